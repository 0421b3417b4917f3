//! The maple tree in place of the red-black tree (Meta, 2026, under discussion).
//!
//! It asks its tree for the topmost gap of `size + alignment − 1` pages and aligns within it, so
//! that an aligned hole which just fits is never taken. There are no cached positions and no
//! walk; `max32` is set by failed 32-bit requests alone. A reservation merges all that it
//! overlaps into one range.
//!
//! There is no anchor either. A `limit_pfn` of 2^64 − 1 wraps to 0, which counts as a 32-bit
//! request, but the search then covers everything up to pfn 2^64 − 1, and passes over the
//! lowest gap where that begins at pfn 0 and the tree is not empty. (With many ranges the
//! maple tree passes over more, by the shape of its nodes, which this model does not follow.)

use super::address_space::{AddressSpace, Asked, Crash, Refusal, Search, Snapshot, State};
use super::rbtree::{Maxima, Need, NodeId, RangeTree};
use super::rules::Rules;
use crate::units::{Granule, Pages, Pfn, PfnRange};

/// Ranges and `max32`.
#[derive(Clone, Debug)]
pub struct Maple {
    ranges: RangeTree,
    /// The lowest pfn of the range that ends at 2^64 − 1, which the set keeps for its anchor.
    end: Option<Pfn>,
    start_pfn: Pfn,
    dma32: Pfn,
    reserve_max: Pfn,
    max32: Pages,
}

impl Maple {
    /// An empty space above `start_pfn`.
    pub fn new(rules: Rules, granule: Granule, start_pfn: Pfn) -> Maple {
        Maple {
            ranges: RangeTree::new(rules.alignment(granule)),
            end: None,
            start_pfn,
            dma32: granule.dma32(),
            reserve_max: Pfn(u64::MAX >> granule.shift()),
            max32: Pages(granule.dma32().0),
        }
    }

    /// The place in the topmost gap that is long enough wherever its alignment falls, below
    /// `limit` (exclusive; `None` for all pfns).
    fn place(&self, need: Need, limit: Option<Pfn>) -> Option<Pfn> {
        let width = need.size.0.checked_add(!need.align_mask)?;
        if limit.is_none() && self.end.is_none() {
            let topmost = self.ranges.previous(NodeId::ANCHOR);
            let lo = topmost.map_or(self.start_pfn, |id| Pfn(self.ranges.hi(id).0 + 1));
            // The gap's last pfn is 2^64 − 1: its end is 0, and its width may not fit 64 bits.
            if u64::MAX - lo.0 >= width - 1 {
                return Some(need.place_below(Pfn(0)));
            }
        }
        let highest = self.end.unwrap_or(Pfn::ANCHOR);
        let below = limit.map_or(highest, |limit| limit.min(highest));
        let wide = self.ranges.need(Pages(width), false);
        let (lo, end) = self.ranges.topmost_gap(below, wide)?;
        let passed_over = limit.is_none() && lo == Pfn(0) && !self.is_empty();
        let room = end.0.saturating_sub(lo.max(self.start_pfn).0);
        (room >= width && !passed_over).then(|| need.place_below(end))
    }

    fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.end.is_none()
    }

    fn insert(&mut self, lo: Pfn, size: Pages) {
        let hi = Pfn(lo.0 + (size.0 - 1));
        if hi == Pfn::ANCHOR {
            self.end = Some(lo);
            return;
        }
        let range = PfnRange::new(lo, hi).expect("a search leaves room for its size");
        self.ranges.insert(range);
    }

    fn room_came_back(&mut self, lo: Pfn) {
        if lo < self.dma32 {
            self.reset_max32();
        }
    }

    /// The first pfn above all that a request up to `limit_pfn` may get.
    fn below(&self, limit_pfn: Pfn) -> Pfn {
        let end = self.end.unwrap_or(Pfn::ANCHOR);
        Pfn(limit_pfn.0.saturating_add(1)).min(end)
    }
}

impl AddressSpace for Maple {
    fn alloc(&mut self, asked: Asked) -> Search {
        let Asked { size, aligned, .. } = asked;
        let limit = asked.limit.0.checked_add(1).map(Pfn);
        let below_4g = limit.is_none_or(|limit| limit <= self.dma32);
        if below_4g && size >= self.max32 {
            return Search::without_steps(Err(Refusal::Shortcut));
        }
        let place = self.place(self.ranges.need(size, aligned), limit);
        match place {
            Some(place) => self.insert(place, size),
            None if below_4g => self.max32 = size,
            None => {}
        }
        Search::without_steps(place.ok_or(Refusal::NoPlace))
    }

    fn free(&mut self, pfn: Pfn) -> Result<bool, Crash> {
        if let Some(lo) = self.end.take_if(|lo| *lo <= pfn) {
            self.room_came_back(lo);
            return Ok(true);
        }
        match self.ranges.find(pfn) {
            Some(NodeId::ANCHOR) | None => Ok(false),
            Some(id) => {
                self.room_came_back(self.ranges.lo(id));
                self.ranges.remove(id);
                Ok(true)
            }
        }
    }

    fn reset_max32(&mut self) {
        self.max32 = Pages(self.dma32.0);
    }

    fn reserve_over(&mut self, range: PfnRange) -> Option<PfnRange> {
        if range.hi() > self.reserve_max {
            return None;
        }
        let (mut lo, mut hi) = (range.lo(), range.hi());
        let mut overlapped = Vec::new();
        let mut next = Some(self.ranges.lowest_reaching(lo));
        while let Some(id) =
            next.filter(|&id| id != NodeId::ANCHOR && self.ranges.lo(id) <= range.hi())
        {
            (lo, hi) = (lo.min(self.ranges.lo(id)), hi.max(self.ranges.hi(id)));
            overlapped.push(id);
            next = self.ranges.next(id);
        }
        if let Some(end) = self.end.filter(|end| *end <= range.hi()) {
            (lo, hi) = (lo.min(end), Pfn::ANCHOR);
        } else if overlapped.is_empty() {
            return Some(range);
        }
        for id in overlapped {
            self.ranges.remove(id);
        }
        self.insert_reserved(PfnRange::new(lo, hi).expect("a union of ranges is one"));
        None
    }

    fn insert_reserved(&mut self, range: PfnRange) {
        if range.hi() == Pfn::ANCHOR {
            self.end = Some(range.lo());
        } else {
            self.ranges.insert(range);
        }
    }

    fn restore(&mut self, snapshot: &Snapshot) {
        self.ranges.refill(&snapshot.nodes);
        self.end = None;
        self.max32 = snapshot.max32;
    }

    fn highest_place(&self, asked: Asked) -> Option<Pfn> {
        let need = self.ranges.need(asked.size, asked.aligned);
        let below = self.below(asked.limit);
        self.ranges.highest_place(need, below, self.start_pfn)
    }

    fn largest(&self, limit_pfn: Pfn) -> Maxima {
        self.ranges
            .largest_between(self.start_pfn, self.below(limit_pfn))
    }

    fn state(&self) -> State {
        let ranges = self.ranges.len() + u64::from(self.end.is_some());
        State {
            max32: None,
            cached: None,
            ranges,
        }
    }

    fn merges_reservations(&self) -> bool {
        true
    }

    fn ranges(&self) -> &RangeTree {
        &self.ranges
    }

    fn boxed(&self) -> Box<dyn AddressSpace> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Allocator;

    /// With a granule of one byte the highest pfn of all can be reserved.
    #[test]
    fn a_reservation_merges_with_what_ends_at_the_highest_pfn() {
        let allocator: Allocator = "maple-2026".parse().expect("an allocator");
        let granule = Granule::from_bytes(1).expect("a granule");
        let reserve = |maple: &mut Maple, lo: u64, hi: u64| {
            let range = PfnRange::new(Pfn(lo), Pfn(hi)).expect("a range");
            if let Some(rest) = maple.reserve_over(range) {
                maple.insert_reserved(rest);
            }
        };
        let mut maple = Maple::new(allocator.rules(), granule, Pfn(1));
        let asked = |size, aligned| Asked {
            size: Pages(size),
            limit: Pfn(u64::MAX),
            aligned,
        };
        maple.alloc(asked(16, true));
        assert_eq!(maple.end, Some(Pfn(u64::MAX - 15)));
        reserve(&mut maple, u64::MAX - 99, u64::MAX - 90);
        assert_eq!(maple.state().ranges, 2);
        reserve(&mut maple, u64::MAX - 95, u64::MAX);
        assert_eq!(
            (maple.end, maple.state().ranges),
            (Some(Pfn(u64::MAX - 99)), 1)
        );

        let mut maple = Maple::new(allocator.rules(), granule, Pfn(1));
        reserve(&mut maple, 7, u64::MAX);
        assert_eq!((maple.end, maple.state().ranges), (Some(Pfn(7)), 1));
        assert_eq!(maple.alloc(asked(9, false)).result, Err(Refusal::NoPlace));
    }
}
