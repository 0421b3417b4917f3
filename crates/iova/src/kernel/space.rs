//! The releases' address space: the ranges, the two cached positions at which searches begin,
//! and `max32`, the memory of the 32-bit request that failed.
//!
//! The kernel's `alloc_iova`, `free_iova` and `reserve_iova`, without the per-CPU caches
//! above them. Where a release differs, the behaviour asks [`Rules`] for its change by name.

use super::allocator::Rules;
use super::changes::Change;
use super::config::Snapshot;
use super::design::{AddressSpace, Search, State, Verdict};
use super::ranges::{Maxima, Need, NodeId, Ranges};
use crate::units::{Granule, Pages, Pfn, PfnRange};

/// Ranges, cached positions and `max32` of one domain.
#[derive(Clone, Debug)]
pub struct Space {
    rules: Rules,
    ranges: Ranges,
    start_pfn: Pfn,
    dma32: Pfn,
    reserve_max: Pfn,
    cached32: NodeId,
    cached: NodeId,
    max32: Pages,
    dangling: bool,
}

/// One pass of a search: where it ended, and after how many steps.
struct Pass {
    /// The range below which the request goes, and its first pfn.
    place: Option<(NodeId, Pfn)>,
    steps: u64,
}

/// What a pass looks for.
#[derive(Clone, Copy)]
struct Wanted {
    need: Need,
    /// Exclusive; wraps to 0 for a `limit_pfn` of 2^64 − 1.
    limit: Pfn,
    /// `!mask` of the kernel: the bits that an aligned pfn lacks.
    misaligned: u64,
}

impl Wanted {
    fn new(ranges: &Ranges, size: Pages, limit: Pfn, aligned: bool) -> Wanted {
        let need = ranges.need(size, aligned);
        Wanted {
            need,
            limit,
            misaligned: ranges.misaligned(need),
        }
    }

    /// The highest place for the request that ends at or below `high`.
    fn candidate(&self, high: Pfn) -> Pfn {
        Pfn(high.0.wrapping_sub(self.need.size.0) & !self.misaligned)
    }
}

impl Space {
    /// An empty space above `start_pfn`.
    pub fn new(rules: Rules, granule: Granule, start_pfn: Pfn) -> Space {
        Space {
            rules,
            ranges: Ranges::new(rules.alignment(granule)),
            start_pfn,
            dma32: granule.dma32(),
            reserve_max: Pfn(u64::MAX >> granule.shift()),
            cached32: NodeId::ANCHOR,
            cached: NodeId::ANCHOR,
            max32: Pages(granule.dma32().0),
            dangling: false,
        }
    }

    fn alloc_below(&mut self, size: Pages, limit: Pfn, aligned: bool) -> Search {
        let below_4g = limit <= self.dma32;
        if below_4g && self.rules.has(Change::Max32) && size >= self.max32 {
            if !self.rules.has(Change::Max32Tracking) {
                self.max32 = size;
            }
            return Search {
                verdict: Verdict::Shortcut,
                steps: 0,
                second_pass: false,
            };
        }
        let wanted = Wanted::new(&self.ranges, size, limit, aligned);
        let start = if below_4g { self.cached32 } else { self.cached };
        let (search, place) = self.search(wanted, start);
        match place {
            Some((above, pfn)) => self.insert_and_cache(above, pfn, size),
            None if search.verdict == Verdict::NoPlace => self.max32 = size,
            None => {}
        }
        search
    }

    /// The one or two passes of a search.
    fn search(&self, wanted: Wanted, start: NodeId) -> (Search, Option<(NodeId, Pfn)>) {
        let end = |pass: &Pass, steps, second_pass| {
            let verdict = pass
                .place
                .map_or(Verdict::NoPlace, |(_, pfn)| Verdict::At(pfn));
            (
                Search {
                    verdict,
                    steps,
                    second_pass,
                },
                pass.place,
            )
        };
        let first = self.pass(wanted, start, self.start_pfn);
        let Some(low) = self.second_pass_low(start, wanted.limit) else {
            return end(&first, first.steps, false);
        };
        if first.place.is_some() {
            return end(&first, first.steps, false);
        }
        let restart = if wanted.limit <= self.dma32 && self.rules.has(Change::RestartAtLimit) {
            self.ranges.at_limit(wanted.limit)
        } else {
            NodeId::ANCHOR
        };
        let second = self.pass(wanted, restart, low);
        let steps = first.steps + second.steps;
        if second.place.is_none() && low == self.start_pfn {
            let search = Search {
                verdict: Verdict::Endless,
                steps,
                second_pass: true,
            };
            return (search, None);
        }
        end(&second, steps, true)
    }

    /// The lowest pfn of a second pass after a first one that began at `start`; none where
    /// there is no second pass.
    fn second_pass_low(&self, start: NodeId, limit: Pfn) -> Option<Pfn> {
        if !self.rules.has(Change::Retry) {
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

    /// One walk down from `start` for a place at or above `low`.
    ///
    /// Before `retry` the walk itself does not stop at `low`: it runs until something fits.
    fn pass(&self, wanted: Wanted, start: NodeId, low: Pfn) -> Pass {
        let size = wanted.need.size.0;
        let wraps = wanted.limit.0 < size || size.checked_add(wanted.misaligned).is_none();
        if wraps {
            return self.literal_pass(wanted, start, low);
        }
        let stop_below = if self.rules.has(Change::Retry) {
            low
        } else {
            Pfn(0)
        };
        let mut steps = 0;
        let mut from = start;
        if self.ranges.lo(start) >= wanted.limit {
            let topmost = wanted.candidate(wanted.limit);
            if topmost < stop_below {
                return Pass {
                    place: None,
                    steps: 1,
                };
            }
            let below_limit = self.ranges.highest_below(wanted.limit);
            let (next, next_rank) = below_limit.map_or((None, 0), |(id, n)| (Some(id), n));
            steps = self.ranges.rank(start) + 1 - next_rank;
            match next {
                Some(next) if topmost <= self.ranges.hi(next) => from = next,
                _ => {
                    let above = self.ranges.lowest_from(wanted.limit);
                    let place = (topmost >= low).then_some((above, topmost));
                    return Pass { place, steps };
                }
            }
        }
        let mut pass = self.pass_below_limit(wanted, from, low, stop_below);
        pass.steps += steps;
        pass
    }

    /// The part of a walk in which every range lies below the limit, so that each gap counts
    /// up to the range above it.
    fn pass_below_limit(
        &self,
        wanted: Wanted,
        from: NodeId,
        low: Pfn,
        stop_below: Pfn,
    ) -> Pass {
        // A range whose `lo` is below this has no candidate under it at or above `stop_below`.
        let lowest_lo = stop_below
            .0
            .checked_add(wanted.misaligned)
            .map(|raised| raised & !wanted.misaligned)
            .and_then(|aligned| aligned.checked_add(wanted.need.size.0));
        if let Some(stop) = self.ranges.first_fit_down(from, wanted.need) {
            let lo = self.ranges.lo(stop.at);
            if lowest_lo.is_some_and(|lowest| lo.0 >= lowest) {
                let pfn = wanted.candidate(lo);
                let place = (pfn >= low).then_some((stop.at, pfn));
                return Pass {
                    place,
                    steps: stop.ranges,
                };
            }
        }
        let from_lo = self.ranges.lo(from);
        let stopped_at_once = lowest_lo.is_none_or(|lowest| from_lo.0 < lowest);
        if stopped_at_once {
            return Pass {
                place: None,
                steps: 1,
            };
        }
        let lower = lowest_lo.and_then(|lowest| self.ranges.highest_below(Pfn(lowest)));
        let lower_count = lower.map_or(0, |(_, count)| count);
        Pass {
            place: None,
            steps: self.ranges.rank(from) + 2 - lower_count,
        }
    }

    /// The walk range by range, for requests so large that candidates wrap: it goes on for as
    /// long as ranges reach up to where the candidate wrapped to.
    fn literal_pass(&self, wanted: Wanted, start: NodeId, low: Pfn) -> Pass {
        let stops_below_low = self.rules.has(Change::Retry);
        let (mut id, mut steps, mut high) = (start, 0, wanted.limit);
        loop {
            steps += 1;
            high = high.min(self.ranges.lo(id));
            let candidate = wanted.candidate(high);
            let below = self.ranges.previous(id);
            match below.filter(|&below| candidate <= self.ranges.hi(below)) {
                Some(below) if candidate >= low || !stops_below_low => id = below,
                _ => {
                    let found = high.0 >= wanted.need.size.0 && candidate >= low;
                    return Pass {
                        place: found.then_some((id, candidate)),
                        steps,
                    };
                }
            }
        }
    }

    fn insert_and_cache(&mut self, above: NodeId, lo: Pfn, size: Pages) {
        let id = self.insert(above, lo, size);
        if self.ranges.hi(id) < self.dma32 {
            self.cached32 = id;
        } else {
            self.cached = id;
        }
    }

    /// Takes a place that a search has found, and moves no cached position.
    pub(super) fn insert(&mut self, above: NodeId, lo: Pfn, size: Pages) -> NodeId {
        let hi = Pfn(lo.0 + (size.0 - 1));
        let range = PfnRange::new(lo, hi).expect("a search leaves room for its size");
        self.ranges.insert_below(above, range)
    }

    /// The cached positions and `max32` forget a range that is about to go.
    fn move_cached_before_free(&mut self, id: NodeId) {
        let (lo, hi) = (self.ranges.lo(id), self.ranges.hi(id));
        let next = self.ranges.next(id).unwrap_or(NodeId::ANCHOR);
        let above_cached32 = hi < self.dma32 && lo >= self.ranges.lo(self.cached32);
        let at_cached32 = id == self.cached32;
        let cached32_moves =
            above_cached32 || (at_cached32 && self.rules.has(Change::StaleCached32));
        if cached32_moves {
            self.cached32 = next;
        } else if at_cached32 {
            self.dangling = true;
            self.cached32 = NodeId::ANCHOR;
        }
        let room_came_back = if self.rules.has(Change::FreeSpaceEstimate) {
            lo < self.dma32
        } else {
            cached32_moves
        };
        if room_came_back {
            self.reset_max32();
        }
        if lo >= self.ranges.lo(self.cached) {
            self.cached = next;
        }
    }

    fn position(&self, id: NodeId) -> Option<Pfn> {
        (id != NodeId::ANCHOR).then(|| self.ranges.lo(id))
    }

    pub(super) fn start_pfn(&self) -> Pfn {
        self.start_pfn
    }
}

impl AddressSpace for Space {
    fn alloc(&mut self, size: Pages, limit_pfn: Pfn, aligned: bool) -> Search {
        self.alloc_below(size, Pfn(limit_pfn.0.wrapping_add(1)), aligned)
    }

    fn free(&mut self, pfn: Pfn) -> bool {
        match self.ranges.find(pfn) {
            Some(NodeId::ANCHOR) | None => false,
            Some(id) => {
                self.move_cached_before_free(id);
                self.ranges.remove(id);
                true
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

    fn highest_place(&self, size: Pages, limit_pfn: Pfn, aligned: bool) -> Option<Pfn> {
        let limit = Pfn(limit_pfn.0.saturating_add(1));
        self.ranges
            .highest_place(size, limit, aligned, self.start_pfn)
    }

    fn largest(&self, limit_pfn: Pfn) -> Maxima {
        let limit = Pfn(limit_pfn.0.saturating_add(1));
        self.ranges.largest_between(self.start_pfn, limit)
    }

    fn state(&self) -> State {
        State {
            max32: self.rules.has(Change::Max32).then_some(self.max32),
            cached: Some((self.position(self.cached32), self.position(self.cached))),
            ranges: self.ranges.len(),
        }
    }

    fn dangling(&self) -> bool {
        self.dangling
    }

    fn ranges(&self) -> &Ranges {
        &self.ranges
    }
}
