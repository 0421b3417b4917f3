//! Finds live ranges that share pages.
//!
//! As long as every range of the tree has one holder (a live allocation, a cache entry or a
//! flush-queue entry) no two live ranges can overlap, since the tree's do not. Only few
//! things break that: a double free, a range freed by its pfn, a state restored over live
//! allocations, ranges of several sizes in one cache (before `round-in-fast`), and a reservation
//! that merges live ranges (`maple-2026`). So the audit costs nothing until the first of these happens; from then on it knows all live ranges of
//! the domain.

use std::collections::BTreeMap;

use super::violations::ViolationKind;
use crate::op::Slot;
use crate::units::{Pages, Pfn};

/// The live ranges of one domain, which may overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    last_by_start: BTreeMap<(Pfn, Slot), Pfn>,
    /// No live range is longer: how far below a range the start of another that reaches into
    /// it can be.
    longest: u64,
}

impl Audit {
    /// Adds a live range.
    pub(super) fn hold(&mut self, slot: Slot, pfn: Pfn, pages: Pages) {
        self.longest = self.longest.max(pages.0);
        self.last_by_start.insert((pfn, slot), last(pfn, pages));
    }

    /// Takes a live range away.
    pub(super) fn release(&mut self, slot: Slot, pfn: Pfn) {
        self.last_by_start.remove(&(pfn, slot));
    }

    /// A live range with which this one would share pages, the lowest such.
    pub(super) fn collision(&self, pfn: Pfn, pages: Pages) -> Option<(ViolationKind, Slot)> {
        let reach = Pfn(pfn.0.saturating_sub(self.longest));
        let near = self
            .last_by_start
            .range((reach, Slot(0))..=(last(pfn, pages), Slot(u32::MAX)));
        let mut colliding = near.filter(|(_, other_last)| **other_last >= pfn);
        colliding.next().map(|(&(start, slot), _)| {
            let kind = if start == pfn {
                ViolationKind::Aliased
            } else {
                ViolationKind::Overlap
            };
            (kind, slot)
        })
    }
}

fn last(pfn: Pfn, pages: Pages) -> Pfn {
    Pfn(pfn.0.saturating_add(pages.0 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_pages_collide() {
        let mut audit = Audit::default();
        audit.hold(Slot(0), Pfn(100), Pages(50));
        audit.hold(Slot(1), Pfn(200), Pages(1));
        assert_eq!(audit.collision(Pfn(150), Pages(50)), None);
        assert_eq!(
            audit.collision(Pfn(149), Pages(1)),
            Some((ViolationKind::Overlap, Slot(0)))
        );
        assert_eq!(
            audit.collision(Pfn(200), Pages(2)),
            Some((ViolationKind::Aliased, Slot(1)))
        );
        assert_eq!(
            audit.collision(Pfn(160), Pages(41)),
            Some((ViolationKind::Overlap, Slot(1)))
        );
        audit.release(Slot(0), Pfn(100));
        assert_eq!(audit.collision(Pfn(120), Pages(1)), None);
    }
}
