//! The ranges of a domain as a sorted list that is walked from one end to the other.

use iova::kernel::Refusal;
use iova::kernel::{Change, Rules, Snapshot};
use iova::replay::ViolationKind;

use super::bug::Bug;

/// A range of pfns, both ends included. Its name tells it from every other one, before and
/// after; the anchor's is 0.
#[derive(Clone, Copy, Debug)]
struct Range {
    lo: u64,
    hi: u64,
    name: u64,
}

const ANCHOR: u64 = 0;

/// How many ranges a search examined. Two numbers, because the model knows no tree: where the
/// tree's shape decides from which of two neighbouring ranges a pass sets out, both count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Steps {
    pub(crate) fn plus(self, more: Steps) -> Steps {
        Steps {
            least: self.least + more.least,
            most: self.most + more.most,
        }
    }
}

/// What came of one try to allocate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    pub(crate) result: Result<u64, Refusal>,
    pub(crate) steps: Steps,
}

impl Tried {
    pub(crate) fn without_search(result: Result<u64, Refusal>) -> Tried {
        Tried {
            result,
            steps: Steps::default(),
        }
    }
}

/// What a search is for.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) size: u64,
    /// The first pfn that is out of reach.
    limit: u64,
    alignment: u64,
}

impl Want {
    /// The highest aligned place that ends below `high`, as wrapping arithmetic has it.
    fn below(self, high: u64) -> u64 {
        let unaligned = high.wrapping_sub(self.size);
        unaligned - unaligned % self.alignment
    }

    /// The highest aligned place below the limit in the gap from `begin` up to `end`.
    pub(super) fn highest_in(self, begin: u64, end: u64) -> Option<u64> {
        let high = end.min(self.limit);
        let place = self.below(high);
        (high >= self.size && place >= begin).then_some(place)
    }
}

struct Pass {
    place: Option<u64>,
    steps: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Tree {
    rules: Rules,
    bug: Option<Bug>,
    start_pfn: u64,
    dma32: u64,
    /// Ascending and disjoint; the anchor is the last.
    ranges: Vec<Range>,
    cached32: u64,
    cached: u64,
    max32: u64,
    names: u64,
    /// What ended this domain; nothing counts after that.
    aborted: Option<ViolationKind>,
}

impl Tree {
    pub(crate) fn new(rules: Rules, start_pfn: u64, dma32: u64, bug: Option<Bug>) -> Tree {
        let anchor = Range {
            lo: u64::MAX,
            hi: u64::MAX,
            name: ANCHOR,
        };
        Tree {
            rules,
            bug,
            start_pfn,
            dma32,
            ranges: vec![anchor],
            cached32: ANCHOR,
            cached: ANCHOR,
            max32: dma32,
            names: 0,
            aborted: None,
        }
    }

    /// Allocates from the tree. `alignment` is a power of two.
    pub(crate) fn alloc(&mut self, size: u64, limit_pfn: u64, alignment: u64) -> Tried {
        let limit = limit_pfn.wrapping_add(1);
        let want = Want {
            size,
            limit,
            alignment,
        };
        if self.aborted.is_some() {
            return Tried::without_search(Err(Refusal::NoPlace));
        }
        if self.rules.design() == "best-fit" {
            let tried = self.search_best_fit(want);
            if let Ok(lo) = tried.result {
                self.insert(lo, lo + (size - 1));
            }
            return tried;
        }
        let too_large = if self.bug == Some(Bug::ShortcutAboveMax32) {
            size > self.max32
        } else {
            size >= self.max32
        };
        if self.has(Change::Max32) && limit <= self.dma32 && too_large {
            if !self.has(Change::Max32Tracking) {
                self.max32 = size;
            }
            return Tried::without_search(Err(Refusal::Shortcut));
        }
        let tried = self.search(want);
        match tried.result {
            Ok(lo) => self.insert_found(lo, lo + (size - 1)),
            Err(Refusal::Endless) => self.aborted = Some(ViolationKind::EndlessSearch),
            Err(_) => {
                if self.has(Change::Max32) {
                    self.max32 = size;
                }
            }
        }
        tried
    }

    fn search(&self, want: Want) -> Tried {
        let is_32bit = if self.bug == Some(Bug::BorderIs64Bit) {
            want.limit < self.dma32
        } else {
            want.limit <= self.dma32
        };
        let begin = self.index_of(if is_32bit { self.cached32 } else { self.cached });
        let first = self.pass(begin, want, self.start_pfn);
        let mut steps = Steps {
            least: first.steps,
            most: first.steps,
        };
        if let Some(place) = first.place {
            let result = Ok(place);
            return Tried { result, steps };
        }
        let Some(low) = self.second_low(self.ranges[begin].hi, want.limit) else {
            let result = Err(Refusal::NoPlace);
            return Tried { result, steps };
        };

        let [above, straddling] = self.second_begins(want.limit);
        let second = self.pass(above, want, low);
        let other = self.pass(straddling, want, low);
        assert_eq!(second.place, other.place, "the shape shows in steps alone");
        steps = steps.plus(Steps {
            least: second.steps.min(other.steps),
            most: second.steps.max(other.steps),
        });
        let result = match second.place {
            Some(place) => Ok(place),
            None if low == self.start_pfn => Err(Refusal::Endless),
            None => Err(Refusal::NoPlace),
        };
        Tried { result, steps }
    }

    /// One pass downwards from the range at index `begin`.
    fn pass(&self, begin: usize, want: Want, low: u64) -> Pass {
        let mut high = want.limit;
        let mut at = begin;
        let mut steps = 0;
        loop {
            steps += 1;
            high = high.min(self.ranges[at].lo);
            let candidate = want.below(high);
            let above_low = candidate >= low || !self.has(Change::Retry);
            let collides = at > 0 && {
                let previous = self.ranges[at - 1];
                match self.bug {
                    Some(Bug::CandidateMayTouch) => candidate < previous.hi,
                    _ => candidate <= previous.hi,
                }
            };
            if collides && above_low {
                at -= 1;
                continue;
            }
            let found = high >= want.size && candidate >= low;
            let place = found.then_some(candidate);
            return Pass { place, steps };
        }
    }

    /// The lower bound of a second pass after one that began at a range up to `begin_hi`, where
    /// there is to be a second one.
    fn second_low(&self, begin_hi: u64, limit: u64) -> Option<u64> {
        let above = begin_hi.wrapping_add(1);
        let resume = if self.has(Change::RetryOverflow) {
            begin_hi
        } else {
            above
        };
        let low = if self.bug == Some(Bug::ResumeOffByOne) {
            above.wrapping_add(1)
        } else {
            above
        };
        (self.has(Change::Retry) && resume < limit).then_some(low)
    }

    /// The two ranges, by index, of which the tree's shape chooses the one at which a second
    /// pass begins; mostly they are the same.
    fn second_begins(&self, limit: u64) -> [usize; 2] {
        let anchor = self.ranges.len() - 1;
        if limit > self.dma32 || !self.has(Change::RestartAtLimit) {
            return [anchor; 2];
        }
        let at_limit = |range: &Range| range.lo >= limit;
        let above = self.ranges.iter().position(at_limit).unwrap_or(anchor);
        if above > 0 && self.ranges[above - 1].hi >= limit {
            [above, above - 1]
        } else {
            [above; 2]
        }
    }

    fn insert_found(&mut self, lo: u64, hi: u64) {
        let name = self.insert(lo, hi);
        let remembered = if self.bug == Some(Bug::SuccessorIsCached) {
            self.ranges[self.index_of(name) + 1].name
        } else {
            name
        };
        let is_32bit = if self.bug == Some(Bug::BorderIs32Bit) {
            hi <= self.dma32
        } else {
            hi < self.dma32
        };
        if is_32bit {
            self.cached32 = remembered;
        } else {
            self.cached = remembered;
        }
    }

    fn insert(&mut self, lo: u64, hi: u64) -> u64 {
        self.names += 1;
        let name = self.names;
        let at = self.ranges.partition_point(|range| range.lo < lo);
        self.ranges.insert(at, Range { lo, hi, name });
        name
    }

    /// Frees the range that contains `pfn`, if there is one.
    pub(crate) fn free(&mut self, pfn: u64) {
        let contains = |range: &Range| range.lo <= pfn && pfn <= range.hi;
        let Some(at) = self.ranges.iter().position(contains) else {
            return;
        };
        let freed = self.ranges[at];
        if freed.name == ANCHOR || self.aborted.is_some() {
            return;
        }
        let successor = self.ranges[at + 1].name;
        let cached32 = self.ranges[self.index_of(self.cached32)];
        let cached = self.ranges[self.index_of(self.cached)];

        let is_above = if self.bug == Some(Bug::FreeStrictlyAbove) {
            freed.lo > cached32.lo
        } else {
            freed.lo >= cached32.lo
        };
        let is_own = freed.name == self.cached32;
        let moves =
            is_own && self.has(Change::StaleCached32) || freed.hi < self.dma32 && is_above;
        if is_own && !moves {
            self.aborted = Some(ViolationKind::UseAfterFree);
        }
        if moves || is_own {
            self.cached32 = successor;
        }
        if freed.lo >= cached.lo {
            self.cached = successor;
        }
        let resets = if self.has(Change::FreeSpaceEstimate) {
            freed.lo < self.dma32
        } else {
            moves
        };
        if resets && self.bug != Some(Bug::Max32NeverReset) {
            self.reset_max32();
        }
        self.ranges.remove(at);
    }

    pub(crate) fn reset_max32(&mut self) {
        self.max32 = self.dma32;
    }

    /// Lowers the ranges that `[lo, hi]` overlaps, and gives what is left to be inserted.
    pub(crate) fn extend_over(&mut self, mut lo: u64, hi: u64) -> Option<(u64, u64)> {
        let mut overlapped = false;
        for range in self.ranges.iter_mut().filter(|range| range.name != ANCHOR) {
            if lo <= range.hi && range.lo <= hi {
                overlapped = true;
                range.lo = range.lo.min(lo);
                if hi <= range.hi {
                    return None;
                }
                lo = range.hi + 1;
            } else if overlapped {
                break;
            }
        }
        (self.bug != Some(Bug::ReserveLosesRest) || !overlapped).then_some((lo, hi))
    }

    pub(crate) fn insert_reserved(&mut self, lo: u64, hi: u64) {
        self.insert(lo, hi);
    }

    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        let anchor = self.ranges.len() - 1;
        self.ranges.drain(..anchor);
        for node in &snapshot.nodes {
            self.insert(node.lo().0, node.hi().0);
        }
        let name_at = |lo: u64| {
            let range = self.ranges.iter().find(|range| range.lo == lo);
            range.map_or(ANCHOR, |range| range.name)
        };
        self.cached32 = snapshot.cached32.map_or(ANCHOR, |pfn| name_at(pfn.0));
        self.cached = snapshot.cached.map_or(ANCHOR, |pfn| name_at(pfn.0));
        self.max32 = snapshot.max32.0;
    }

    pub(super) fn bug(&self) -> Option<Bug> {
        self.bug
    }

    pub(super) fn start_pfn(&self) -> u64 {
        self.start_pfn
    }

    fn has(&self, change: Change) -> bool {
        self.rules.has(change)
    }

    fn index_of(&self, name: u64) -> usize {
        let found = self.ranges.iter().position(|range| range.name == name);
        found.expect("a cached range is in the tree")
    }

    pub(crate) fn aborted(&self) -> Option<ViolationKind> {
        self.aborted
    }

    /// `max32`, where the release has it.
    pub(crate) fn max32(&self) -> Option<u64> {
        self.has(Change::Max32).then_some(self.max32)
    }

    /// The lowest pfn of the range at which 32-bit searches begin; none for the anchor.
    pub(crate) fn cached32(&self) -> Option<u64> {
        self.lo_of(self.cached32)
    }

    /// The lowest pfn of the range at which other searches begin; none for the anchor.
    pub(crate) fn cached(&self) -> Option<u64> {
        self.lo_of(self.cached)
    }

    fn lo_of(&self, name: u64) -> Option<u64> {
        (name != ANCHOR).then(|| self.ranges[self.index_of(name)].lo)
    }

    /// The ranges ascending, without the anchor.
    pub(crate) fn ranges(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + '_ {
        let anchor = self.ranges.len() - 1;
        self.ranges[..anchor]
            .iter()
            .map(|range| (range.lo, range.hi))
    }
}
