//! The releases' address space (`struct iova_domain`): the red-black tree of ranges, the two
//! cached nodes at which searches begin, and `max32_alloc_size`, the size of the 32-bit request
//! that failed.
//!
//! The kernel's `alloc_iova()`, `free_iova()` and `reserve_iova()` below the per-CPU caches.
//! Behaviour that differs between releases asks [`Rules`] for its change.

use super::address_space::{AddressSpace, Asked, Crash, Refusal, Search, Snapshot, State};
use super::best_fit;
use super::changes::Change;
use super::rbtree::{Maxima, NodeId, RangeTree};
use super::rules::Rules;
use super::walk::{Pass, PassEnd};
use crate::units::{Granule, Pages, Pfn, PfnRange};

/// Ranges, cached nodes and `max32_alloc_size` of one domain.
#[derive(Clone, Debug)]
pub struct IovaTree {
    rules: Rules,
    strategy: SearchStrategy,
    ranges: RangeTree,
    start_pfn: Pfn,
    dma32: Pfn,
    reserve_max: Pfn,
    cached32: NodeId,
    cached: NodeId,
    max32: Pages,
}

/// How the tree is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchStrategy {
    /// As released: downwards from a cached node to the first gap that fits.
    FirstFit,
    /// Android's best fit: no fast-fail, a failure leaves `max32` alone, and an insertion moves no
    /// cached node.
    BestFit,
}

/// `__alloc_and_insert_iova_range()`, its inner loop: one walk downwards, range by range.
///
/// It ends at the first gap that takes the request, at a candidate that is too low, or at the
/// lowest range.
fn walk_range_by_range(ranges: &RangeTree, pass: &Pass) -> PassEnd {
    let (mut curr, mut steps, mut high) = (pass.start, 0, pass.limit);
    loop {
        steps += 1;
        high = high.min(ranges.lo(curr));
        let candidate = pass.need.place_below(high);
        let below = ranges.previous(curr);
        match below.filter(|&below| candidate <= ranges.hi(below)) {
            Some(below) if candidate >= pass.stop_below => curr = below,
            _ => {
                let found = high.0 >= pass.need.size.0 && candidate >= pass.low;
                return PassEnd {
                    place: found.then_some((curr, candidate)),
                    steps,
                };
            }
        }
    }
}

/// The same, without a visit to each range where that is possible.
fn walk(ranges: &RangeTree, pass: &Pass) -> PassEnd {
    if pass.wraps() {
        walk_range_by_range(ranges, pass)
    } else {
        pass.end(ranges)
    }
}

impl IovaTree {
    /// `init_iova_domain()`: an empty tree above `start_pfn`.
    pub fn new(
        rules: Rules,
        granule: Granule,
        start_pfn: Pfn,
        strategy: SearchStrategy,
    ) -> IovaTree {
        IovaTree {
            rules,
            strategy,
            ranges: RangeTree::new(rules.alignment(granule)),
            start_pfn,
            dma32: granule.dma32(),
            reserve_max: Pfn(u64::MAX >> granule.shift()),
            cached32: NodeId::ANCHOR,
            cached: NodeId::ANCHOR,
            max32: Pages(granule.dma32().0),
        }
    }

    /// `__alloc_and_insert_iova_range()`: fast-fail, one or two passes, insertion.
    fn alloc_first_fit(&mut self, asked: Asked) -> Search {
        let Asked { size, aligned, .. } = asked;
        let limit = exclusive(asked.limit);
        if limit <= self.dma32 && self.max32().is_some_and(|max32| size >= max32) {
            return self.refuse_by_max32(size);
        }
        let start = self.cached_node(limit);
        let pass = Pass {
            need: self.ranges.need(size, aligned),
            limit,
            start,
            low: self.start_pfn,
            stop_below: self.stop_below(self.start_pfn),
        };
        let PassEnd {
            mut place,
            mut steps,
        } = walk(&self.ranges, &pass);
        let retry_low = self.retry_low(start, limit).filter(|_| place.is_none());
        if let Some(low) = retry_low {
            let second = Pass {
                start: self.restart_node(limit),
                low,
                stop_below: self.stop_below(low),
                ..pass
            };
            let end = walk(&self.ranges, &second);
            place = end.place;
            steps += end.steps;
            // A second pass from `start_pfn` is taken for a first one, and repeats for ever.
            if place.is_none() && low == self.start_pfn {
                return Search {
                    result: Err(Refusal::Endless),
                    steps,
                    second_pass: true,
                };
            }
        }
        let result = if let Some((above, pfn)) = place {
            let id = self.insert_iova(above, pfn, size);
            self.cached_rbnode_insert_update(id);
            Ok(pfn)
        } else {
            self.max32 = size;
            Err(Refusal::NoPlace)
        };
        Search {
            result,
            steps,
            second_pass: retry_low.is_some(),
        }
    }

    /// Android's `__alloc_and_insert_iova_best_fit()`.
    fn alloc_best_fit(&mut self, asked: Asked) -> Search {
        let need = self.ranges.need(asked.size, asked.aligned);
        let limit = exclusive(asked.limit);
        let found = best_fit::search(&self.ranges, self.start_pfn, need, limit);
        if let Some((above, pfn)) = found.place {
            self.insert_iova(above, pfn, asked.size);
        }
        Search {
            result: found.place.map(|(_, pfn)| pfn).ok_or(Refusal::NoPlace),
            steps: found.steps,
            second_pass: false,
        }
    }

    /// `max32_alloc_size`, where there is one (`max32`, bee60e94a1e2).
    fn max32(&self) -> Option<Pages> {
        self.rules.has(Change::Max32).then_some(self.max32)
    }

    fn refuse_by_max32(&mut self, size: Pages) -> Search {
        if !self.rules.has(Change::Max32Tracking) {
            self.max32 = size;
        }
        Search::without_steps(Err(Refusal::Shortcut))
    }

    /// `__get_cached_rbnode()`: the range at which a search begins.
    fn cached_node(&self, limit: Pfn) -> NodeId {
        if limit <= self.dma32 {
            self.cached32
        } else {
            self.cached
        }
    }

    /// Whether a failed pass is followed by a second one over what lies above its start, and
    /// passes end below their `low` (`retry`, 4e89dce72521).
    fn retries(&self) -> bool {
        self.rules.has(Change::Retry)
    }

    /// The lowest candidate at which a pass goes on. Before `retry` a pass goes on until
    /// something fits.
    fn stop_below(&self, low: Pfn) -> Pfn {
        if self.retries() { low } else { Pfn(0) }
    }

    /// The lowest pfn of the second pass after a first one that began at `start`; `None` if
    /// there is no second pass.
    fn retry_low(&self, start: NodeId, limit: Pfn) -> Option<Pfn> {
        if !self.retries() {
            return None;
        }
        let resume = self.ranges.hi(start);
        let above = Pfn(resume.0.wrapping_add(1));
        let first_looked_at = if self.rules.has(Change::RetryOverflow) {
            resume
        } else {
            above
        };
        (first_looked_at < limit).then_some(above)
    }

    /// `iova_find_limit()`: the range at which a second pass begins.
    fn restart_node(&self, limit: Pfn) -> NodeId {
        if limit <= self.dma32 && self.rules.has(Change::RestartAtLimit) {
            self.ranges.at_limit(limit)
        } else {
            NodeId::ANCHOR
        }
    }

    /// `iova_insert_rbtree()`: takes a place that a search has found.
    fn insert_iova(&mut self, above: NodeId, lo: Pfn, size: Pages) -> NodeId {
        let hi = Pfn(lo.0 + (size.0 - 1));
        let range = PfnRange::new(lo, hi).expect("a search leaves room for its size");
        self.ranges.insert_below(above, range)
    }

    /// `__cached_rbnode_insert_update()`: the next search begins at the new range.
    fn cached_rbnode_insert_update(&mut self, id: NodeId) {
        if self.ranges.hi(id) < self.dma32 {
            self.cached32 = id;
        } else {
            self.cached = id;
        }
    }

    /// `__cached_rbnode_delete_update()`: cached nodes and `max32` before a range goes.
    ///
    /// Before `stale-cached32` (9eed17d37c77), `cached32` stays at a range that ends above 4 GiB.
    fn cached_rbnode_delete_update(&mut self, id: NodeId) -> Result<(), Crash> {
        let (lo, hi) = (self.ranges.lo(id), self.ranges.hi(id));
        let next = self.ranges.next(id).unwrap_or(NodeId::ANCHOR);
        let above_cached32 = hi < self.dma32 && lo >= self.ranges.lo(self.cached32);
        let at_cached32 = id == self.cached32;
        let cached32_moves =
            above_cached32 || (at_cached32 && self.rules.has(Change::StaleCached32));
        let dangles = at_cached32 && !cached32_moves;
        if cached32_moves {
            self.cached32 = next;
        } else if dangles {
            self.cached32 = NodeId::ANCHOR;
        }
        let resets_max32 = if self.rules.has(Change::FreeSpaceEstimate) {
            lo < self.dma32
        } else {
            cached32_moves
        };
        if resets_max32 {
            self.reset_max32();
        }
        if lo >= self.ranges.lo(self.cached) {
            self.cached = next;
        }
        if dangles {
            Err(Crash::DanglingNode)
        } else {
            Ok(())
        }
    }

    /// `remove_iova()` (once `private_free_iova()`): the range leaves the tree.
    fn remove_iova(&mut self, id: NodeId) -> Result<(), Crash> {
        let updated = self.cached_rbnode_delete_update(id);
        self.ranges.remove(id);
        assert!(
            id != self.cached32 && id != self.cached,
            "a cached node points at a range that was freed"
        );
        updated
    }

    fn position(&self, id: NodeId) -> Option<Pfn> {
        (id != NodeId::ANCHOR).then(|| self.ranges.lo(id))
    }
}

/// `limit_pfn + 1`, as the kernel computes it.
fn exclusive(limit_pfn: Pfn) -> Pfn {
    Pfn(limit_pfn.0.wrapping_add(1))
}

impl AddressSpace for IovaTree {
    fn alloc(&mut self, asked: Asked) -> Search {
        match self.strategy {
            SearchStrategy::FirstFit => self.alloc_first_fit(asked),
            SearchStrategy::BestFit => self.alloc_best_fit(asked),
        }
    }

    /// `free_iova()`, with `find_iova()` (`private_find_iova()`).
    fn free(&mut self, pfn: Pfn) -> Result<bool, Crash> {
        match self.ranges.find(pfn) {
            None => Ok(false),
            Some(NodeId::ANCHOR) => Err(Crash::AnchorFreed),
            Some(id) => self.remove_iova(id).map(|()| true),
        }
    }

    fn reset_max32(&mut self) {
        self.max32 = Pages(self.dma32.0);
    }

    /// `reserve_iova()`, with `__is_range_overlap()` and `__adjust_overlap_range()`.
    fn reserve_over(&mut self, range: PfnRange) -> Option<PfnRange> {
        if range.hi() > self.reserve_max {
            return None;
        }
        let mut rest = range;
        let mut next = Some(self.ranges.lowest_reaching(range.lo()));
        while let Some(id) = next {
            let (lo, hi) = (self.ranges.lo(id), self.ranges.hi(id));
            if rest.lo() > hi || rest.hi() < lo {
                break;
            }
            if rest.lo() < lo {
                self.ranges.extend_down(id, rest.lo());
            }
            if rest.hi() <= hi {
                return None;
            }
            let above = Pfn(hi.0.wrapping_add(1));
            rest = PfnRange::new(above, rest.hi())?;
            next = self.ranges.next(id);
        }
        Some(rest)
    }

    fn insert_reserved(&mut self, range: PfnRange) {
        self.ranges.insert(range);
    }

    fn restore(&mut self, snapshot: &Snapshot) {
        self.ranges.refill(&snapshot.nodes);
        let find = |lo: Option<Pfn>| {
            lo.and_then(|lo| self.ranges.find(lo))
                .unwrap_or(NodeId::ANCHOR)
        };
        (self.cached32, self.cached) = (find(snapshot.cached32), find(snapshot.cached));
        self.max32 = snapshot.max32;
    }

    fn highest_place(&self, asked: Asked) -> Option<Pfn> {
        let limit = Pfn(asked.limit.0.saturating_add(1));
        let need = self.ranges.need(asked.size, asked.aligned);
        self.ranges.highest_place(need, limit, self.start_pfn)
    }

    fn largest(&self, limit_pfn: Pfn) -> Maxima {
        let limit = Pfn(limit_pfn.0.saturating_add(1));
        self.ranges.largest_between(self.start_pfn, limit)
    }

    fn state(&self) -> State {
        State {
            max32: self.max32(),
            cached: Some((self.position(self.cached32), self.position(self.cached))),
            ranges: self.ranges.len(),
        }
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
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::Allocator;
    use crate::kernel::rbtree::Alignment;

    /// Ranges with gaps of 0 to a few pages, from `base` up, so that they meet the limit, the
    /// lowest pfn and the highest.
    fn tree(base: u64, gaps_and_sizes: &[(u64, u64)], alignment: Alignment) -> RangeTree {
        let mut ranges = RangeTree::new(alignment);
        let mut lo = base;
        for &(gap, size) in gaps_and_sizes {
            let hi = lo.saturating_add(gap + size - 1);
            if hi == u64::MAX {
                break;
            }
            let range = PfnRange::new(Pfn(lo + gap), Pfn(hi)).expect("a range of some pages");
            ranges.insert(range);
            lo = hi + 1;
        }
        ranges
    }

    fn alignments() -> impl Strategy<Value = Alignment> {
        prop_oneof![
            Just(Alignment::Size),
            (0..5u32).prop_map(|order| Alignment::AtMost { order })
        ]
    }

    fn bases() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            1..40u64,
            (1..400u64).prop_map(|below| u64::MAX - below)
        ]
    }

    fn sizes() -> impl Strategy<Value = u64> {
        prop_oneof![
            8 => 1..20u64,
            1 => 20..300u64,
            1 => (0..64u32).prop_map(|order| 1 << order),
            1 => any::<u64>().prop_map(|size| size.max(1)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Place and steps, from every range, with `retry` (a pass stops below `low`) and
        /// without.
        #[test]
        fn a_walk_ends_where_the_kernels_loop_ends(
            base in bases(),
            ranges in proptest::collection::vec((0..9u64, 1..9u64), 0..40),
            alignment in alignments(),
            size in sizes(),
            aligned in any::<bool>(),
            limit in prop_oneof![0..400u64, (0..400u64).prop_map(|it| it.wrapping_sub(200))],
            low in prop_oneof![0..100u64, (0..200u64).prop_map(|it| u64::MAX - it)],
        ) {
            let limit = base.wrapping_add(limit);
            let ranges = tree(base, &ranges, alignment);
            let need = ranges.need(Pages(size), aligned);
            let low = Pfn(low);
            for start in ranges.iter() {
                for stop_below in [low, Pfn(0)] {
                    let limit = Pfn(limit);
                    let pass = Pass { need, limit, start, low, stop_below };
                    if !pass.wraps() {
                        let expected = walk_range_by_range(&ranges, &pass);
                        prop_assert_eq!(pass.end(&ranges), expected, "{:?}", pass);
                    }
                }
            }
        }
    }

    #[test]
    fn each_strategy_takes_its_gap() {
        let allocator: Allocator = "linux-7.2".parse().expect("a release");
        let place = |strategy| {
            let rules = allocator.rules();
            let mut tree = IovaTree::new(rules, Granule::KIB_4, Pfn(1), strategy);
            for (lo, hi) in [(10, 19), (22, 29), (40, 49)] {
                let range = PfnRange::new(Pfn(lo), Pfn(hi)).expect("a range");
                tree.insert_reserved(range);
            }
            let asked = Asked {
                size: Pages(2),
                limit: Pfn(45),
                aligned: false,
            };
            let search = tree.alloc(asked);
            (search.result, search.steps)
        };
        assert_eq!(place(SearchStrategy::FirstFit), (Ok(Pfn(38)), 2));
        assert_eq!(place(SearchStrategy::BestFit), (Ok(Pfn(20)), 3));
    }
}
