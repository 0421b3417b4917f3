//! One pass of a search, in O(log n): the answer of the kernel's loop in [`iova`](super::iova),
//! place and steps, without a visit to each range.
//!
//! The subtree summaries of the [`RangeTree`] say which gap is the first that fits, and how many
//! ranges lie between it and the pass's start. A property test beside the loop compares the two.

use super::rbtree::{Need, NodeId, RangeTree};
use crate::units::Pfn;

/// One walk downwards from a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) need: Need,
    /// Exclusive; wraps to 0 for a `limit_pfn` of 2^64 − 1.
    pub(super) limit: Pfn,
    /// The range at which the walk begins.
    pub(super) start: NodeId,
    /// The lowest pfn that may be handed out.
    pub(super) low: Pfn,
    /// The walk ends at the first candidate below this.
    pub(super) stop_below: Pfn,
}

/// The end of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PassEnd {
    /// The range below which the request goes, and its first pfn.
    pub(super) place: Option<(NodeId, Pfn)>,
    /// How many ranges the walk examined.
    pub(super) steps: u64,
}

impl Pass {
    /// Whether candidates can wrap, which only the kernel's own loop models.
    pub(super) fn wraps(&self) -> bool {
        let size = self.need.size.0;
        self.limit.0 < size || size.checked_add(!self.need.align_mask).is_none()
    }

    /// The end of the pass. Its candidates must not [wrap](Self::wraps).
    pub(super) fn end(&self, ranges: &RangeTree) -> PassEnd {
        if ranges.lo(self.start) < self.limit {
            return self.end_below_limit(ranges, self.start);
        }
        // Down to the first range that begins below the limit, all have the same candidate.
        let topmost = self.need.place_below(self.limit);
        if topmost < self.stop_below {
            return PassEnd {
                place: None,
                steps: 1,
            };
        }
        let below_limit = ranges.highest_below(self.limit);
        let (next, below) = below_limit.map_or((None, 0), |(id, count)| (Some(id), count));
        let steps = ranges.rank(self.start) + 1 - below;
        match next {
            Some(next) if topmost <= ranges.hi(next) => {
                let end = self.end_below_limit(ranges, next);
                PassEnd {
                    steps: steps + end.steps,
                    ..end
                }
            }
            _ => {
                let above = ranges.lowest_from(self.limit);
                let place = (topmost >= self.low).then_some((above, topmost));
                PassEnd { place, steps }
            }
        }
    }

    /// The end of a walk that begins at a range below the limit, so that each gap counts up to
    /// the range above it.
    fn end_below_limit(&self, ranges: &RangeTree, from: NodeId) -> PassEnd {
        // A range whose `lo` is below this has no candidate under it at or above `stop_below`.
        let lowest_lo = self
            .stop_below
            .0
            .checked_add(!self.need.align_mask)
            .map(|raised| raised & self.need.align_mask)
            .and_then(|aligned| aligned.checked_add(self.need.size.0));
        let reaches = |lo: Pfn| lowest_lo.is_some_and(|lowest| lo.0 >= lowest);
        if let Some(stop) = ranges.first_fit_down(from, self.need) {
            let lo = ranges.lo(stop.at);
            if reaches(lo) {
                let pfn = self.need.place_below(lo);
                let place = (pfn >= self.low).then_some((stop.at, pfn));
                return PassEnd {
                    place,
                    steps: stop.ranges,
                };
            }
        }
        if !reaches(ranges.lo(from)) {
            return PassEnd {
                place: None,
                steps: 1,
            };
        }
        let lower = lowest_lo.and_then(|lowest| ranges.highest_below(Pfn(lowest)));
        let lower_count = lower.map_or(0, |(_, count)| count);
        PassEnd {
            place: None,
            steps: ranges.rank(from) + 2 - lower_count,
        }
    }
}
