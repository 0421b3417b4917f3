//! Finds live ranges that share pages.
//!
//! As long as every range of the tree has one holder (a live allocation, a cache entry or a
//! flush-queue entry) no two live ranges can overlap, since the tree's do not. Few things break
//! that: a double free, a range freed by its pfn, a state restored over live allocations, a cached
//! range that is shorter than the request that gets it (before `round-in-fast`), an address cut to
//! 64 bits, and a reservation that merges live ranges (`maple-2026`). The audit begins with the
//! first of these, and costs nothing before; from then on it knows all live ranges of the domain.
//!
//! `iset` is an interval tree: ranges may overlap, and the lowest that meets another is found in
//! O(log n). Weighed against a `BTreeMap` by start, which has to look at everything within the
//! length of the longest range.

use iset::IntervalSet;

use super::violations::ViolationKind;
use crate::op::Slot;
use crate::units::{Pages, Pfn};

/// The live ranges of one domain, which may overlap. Each begins at its first pfn and slot, so that
/// no two are equal, and ends before the pfn after its last.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    live: IntervalSet<u128>,
}

impl Audit {
    /// Adds a live range.
    pub(super) fn hold(&mut self, slot: Slot, pfn: Pfn, pages: Pages) {
        self.live.insert(interval(slot, pfn, pages));
    }

    /// Takes a live range away.
    pub(super) fn release(&mut self, slot: Slot, pfn: Pfn, pages: Pages) {
        self.live.remove(interval(slot, pfn, pages));
    }

    /// The lowest live range with which this one would share pages.
    pub(super) fn collision(&self, pfn: Pfn, pages: Pages) -> Option<(ViolationKind, Slot)> {
        let lowest = self.live.iter(interval(Slot(0), pfn, pages)).next()?;
        let (start, slot) = (lowest.start >> SLOT_BITS, lowest.start & SLOT_MASK);
        let kind = if start == u128::from(pfn.0) {
            ViolationKind::Aliased
        } else {
            ViolationKind::Overlap
        };
        let slot = u32::try_from(slot).expect("the low bits are a slot");
        Some((kind, Slot(slot)))
    }
}

const SLOT_BITS: u32 = 32;
const SLOT_MASK: u128 = (1 << SLOT_BITS) - 1;

fn interval(slot: Slot, pfn: Pfn, pages: Pages) -> std::ops::Range<u128> {
    let end = u128::from(pfn.0) + u128::from(pages.0);
    (u128::from(pfn.0) << SLOT_BITS) + u128::from(slot.0)..end << SLOT_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_pages_collide() {
        use ViolationKind::{Aliased, Overlap};
        let mut audit = Audit::default();
        audit.hold(Slot(0), Pfn(100), Pages(50));
        audit.hold(Slot(1), Pfn(200), Pages(1));
        audit.hold(Slot(2), Pfn(u64::MAX - 1), Pages(2));
        let collision = |audit: &Audit, pfn, pages| audit.collision(Pfn(pfn), Pages(pages));
        assert_eq!(collision(&audit, 150, 50), None);
        assert_eq!(collision(&audit, 149, 1), Some((Overlap, Slot(0))));
        assert_eq!(collision(&audit, 200, 2), Some((Aliased, Slot(1))));
        assert_eq!(collision(&audit, 160, 41), Some((Overlap, Slot(1))));
        assert_eq!(collision(&audit, 99, 200), Some((Overlap, Slot(0))));
        assert_eq!(collision(&audit, u64::MAX, 1), Some((Overlap, Slot(2))));
        audit.hold(Slot(4), Pfn(200), Pages(9));
        audit.hold(Slot(3), Pfn(200), Pages(2));
        assert_eq!(collision(&audit, 200, 1), Some((Aliased, Slot(1))));
        audit.release(Slot(1), Pfn(200), Pages(1));
        assert_eq!(collision(&audit, 201, 5), Some((Overlap, Slot(3))));
        audit.release(Slot(0), Pfn(100), Pages(50));
        assert_eq!(collision(&audit, 120, 1), None);
    }
}
