//! Finds live ranges that share pages.
//!
//! As long as every range of the tree has one holder (a live allocation, a cache entry or a
//! flush-queue entry) no two live ranges can overlap, since the tree's do not. Few things break
//! that: a double free, a range freed by its pfn, a state restored over live allocations, a cached
//! range that is shorter than the request that gets it (before `round-in-fast`), an address cut to
//! 64 bits, and a reservation that merges live ranges (`maple-2026`). The audit begins with the
//! first of these, and costs nothing before; from then on it knows all live ranges of the domain.
//!
//! Short ranges, of which there are many, are in a map by their start: one that reaches into another
//! begins at most the longest one's length below it. Long ones are in `iset`'s interval tree, which
//! finds the lowest that meets another in O(log n) whatever their lengths, but costs twice as much
//! where all are short.

use std::collections::BTreeMap;

use iset::IntervalSet;

use super::violations::ViolationKind;
use crate::op::Slot;
use crate::units::{Pages, Pfn};

/// The live ranges of one domain, which may overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    /// The last pfn of each short range.
    short: BTreeMap<(Pfn, Slot), Pfn>,
    /// No short range was longer.
    longest: u64,
    /// Each long range, from its first pfn and slot to the pfn after its last.
    long: IntervalSet<u128>,
}

/// The pages of the longest short range.
const SHORT: Pages = Pages(4096);

impl Audit {
    /// Adds a live range.
    pub(super) fn hold(&mut self, slot: Slot, pfn: Pfn, pages: Pages) {
        if pages > SHORT {
            self.long.insert(interval(slot, pfn, pages));
        } else {
            self.longest = self.longest.max(pages.0);
            self.short.insert((pfn, slot), last(pfn, pages));
        }
    }

    /// Takes a live range away.
    pub(super) fn release(&mut self, slot: Slot, pfn: Pfn, pages: Pages) {
        if pages > SHORT {
            self.long.remove(interval(slot, pfn, pages));
        } else {
            self.short.remove(&(pfn, slot));
        }
    }

    /// The lowest live range with which this one would share pages.
    pub(super) fn collision(&self, pfn: Pfn, pages: Pages) -> Option<(ViolationKind, Slot)> {
        let lowest = [self.lowest_short(pfn, pages), self.lowest_long(pfn, pages)];
        let (start, slot) = lowest.into_iter().flatten().min()?;
        let kind = if start == pfn {
            ViolationKind::Aliased
        } else {
            ViolationKind::Overlap
        };
        Some((kind, slot))
    }

    fn lowest_short(&self, pfn: Pfn, pages: Pages) -> Option<(Pfn, Slot)> {
        let reach = Pfn(pfn.0.saturating_sub(self.longest));
        let near = (reach, Slot(0))..=(last(pfn, pages), Slot(u32::MAX));
        let mut meeting = self.short.range(near).filter(|(_, last)| **last >= pfn);
        meeting.next().map(|(&range, _)| range)
    }

    fn lowest_long(&self, pfn: Pfn, pages: Pages) -> Option<(Pfn, Slot)> {
        if self.long.is_empty() {
            return None;
        }
        let lowest = self.long.iter(interval(Slot(0), pfn, pages)).next()?;
        let start = u64::try_from(lowest.start >> SLOT_BITS).expect("a pfn");
        let slot = u32::try_from(lowest.start & SLOT_MASK).expect("the low bits are a slot");
        Some((Pfn(start), Slot(slot)))
    }
}

fn last(pfn: Pfn, pages: Pages) -> Pfn {
    Pfn(pfn.0.saturating_add(pages.0 - 1))
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
        audit.hold(Slot(5), Pfn(110), Pages(5000));
        assert_eq!(collision(&audit, 200, 1), Some((Overlap, Slot(5))));
        assert_eq!(collision(&audit, 110, 1), Some((Aliased, Slot(5))));
        audit.hold(Slot(6), Pfn(105), Pages(10));
        assert_eq!(collision(&audit, 110, 300), Some((Overlap, Slot(6))));
        audit.release(Slot(5), Pfn(110), Pages(5000));
        assert_eq!(collision(&audit, 5000, 1), None);
    }
}
