//! Android's best fit (vendor kernels, from 2020 on): the smallest gap that takes a request.
//!
//! It looks at the gaps from the top, so that a search takes as many steps as there are
//! ranges unless a gap fits exactly. It has no short cut, a failure leaves `max32` alone, and
//! an insertion moves no cached position; all else is as in the newest release.

use super::allocator::Rules;
use super::config::Snapshot;
use super::design::{AddressSpace, Search, State, Verdict};
use super::ranges::{Maxima, NodeId, Ranges};
use super::space::Space;
use crate::units::{Granule, Pages, Pfn, PfnRange};

/// A released address space, searched for the best fit.
#[derive(Clone, Debug)]
pub struct BestFit {
    space: Space,
}

/// The best gap so far.
struct Best {
    width: u64,
    above: NodeId,
    place: Pfn,
}

/// What is looked for.
struct Wanted {
    size: u64,
    /// Exclusive; wraps to 0 for a `limit_pfn` of 2^64 − 1.
    limit: u64,
    misaligned: u64,
}

impl Wanted {
    /// The highest place for the request in the gap from `lo` up to `end`.
    fn place_in(&self, lo: u64, end: u64) -> Option<u64> {
        let place = end.min(self.limit).checked_sub(self.size)? & !self.misaligned;
        (place >= lo).then_some(place)
    }
}

impl BestFit {
    /// An empty space above `start_pfn`.
    pub fn new(rules: Rules, granule: Granule, start_pfn: Pfn) -> BestFit {
        BestFit {
            space: Space::new(rules, granule, start_pfn),
        }
    }

    /// The gap to take, and how many gaps with a range under them were looked at.
    fn best(&self, wanted: &Wanted) -> (Option<Best>, u64) {
        let ranges = self.space.ranges();
        let mut best: Option<Best> = None;
        let mut steps = 0;
        let mut above = NodeId::ANCHOR;
        loop {
            let below = ranges.previous(above);
            steps += u64::from(below.is_some());
            let end = ranges.lo(above).0;
            let lo = match below {
                Some(below) => ranges.hi(below).0 + 1,
                None => self.space.start_pfn().0.min(end),
            };
            let width = end - lo;
            let better = best.as_ref().is_none_or(|best| width < best.width);
            if let Some(place) = wanted.place_in(lo, end).filter(|_| better) {
                best = Some(Best {
                    width,
                    above,
                    place: Pfn(place),
                });
                if width == wanted.size {
                    return (best, steps);
                }
            }
            match below {
                Some(below) => above = below,
                None => return (best, steps),
            }
        }
    }
}

impl AddressSpace for BestFit {
    fn alloc(&mut self, size: Pages, limit_pfn: Pfn, aligned: bool) -> Search {
        let ranges = self.ranges();
        let misaligned = ranges.misaligned(ranges.need(size, aligned));
        let limit = limit_pfn.0.wrapping_add(1);
        let wanted = Wanted {
            size: size.0,
            limit,
            misaligned,
        };
        let (best, steps) = self.best(&wanted);
        let verdict = best.map_or(Verdict::NoPlace, |best| {
            self.space.insert(best.above, best.place, size);
            Verdict::At(best.place)
        });
        Search {
            verdict,
            steps,
            second_pass: false,
        }
    }

    fn free(&mut self, pfn: Pfn) -> bool {
        self.space.free(pfn)
    }

    fn reset_max32(&mut self) {
        self.space.reset_max32();
    }

    fn reserve_over(&mut self, range: PfnRange) -> Option<PfnRange> {
        self.space.reserve_over(range)
    }

    fn insert_reserved(&mut self, range: PfnRange) {
        self.space.insert_reserved(range);
    }

    fn restore(&mut self, snapshot: &Snapshot) {
        self.space.restore(snapshot);
    }

    fn highest_place(&self, size: Pages, limit_pfn: Pfn, aligned: bool) -> Option<Pfn> {
        self.space.highest_place(size, limit_pfn, aligned)
    }

    fn largest(&self, limit_pfn: Pfn) -> Maxima {
        self.space.largest(limit_pfn)
    }

    fn state(&self) -> State {
        self.space.state()
    }

    fn dangling(&self) -> bool {
        self.space.dangling()
    }

    fn ranges(&self) -> &Ranges {
        self.space.ranges()
    }
}
