//! Questions about the order of the ranges and the gaps between them, each answered in
//! O(log n) from the subtree summaries.

use super::RangeTree;
use super::gap::Gap;
use super::node::{Maxima, NIL, Node, NodeId};
use crate::units::{Pages, Pfn};

/// What a gap must take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    pub size: Pages,
    /// Whether they must be aligned to their size, as the tree's
    /// [`Alignment`](super::Alignment) has it.
    pub aligned: bool,
    /// The bits that the first pfn may have.
    pub align_mask: u64,
}

impl Need {
    /// The highest place that ends at or below `end` (exclusive). Wraps where `end` is less than
    /// the size, as the kernel's candidates do.
    pub fn place_below(self, end: Pfn) -> Pfn {
        Pfn(end.0.wrapping_sub(self.size.0) & self.align_mask)
    }
}

/// Where a walk down the ranges stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The range at which it stopped.
    pub at: NodeId,
    /// How many ranges it looked at, the first and the last included.
    pub ranges: u64,
}

impl RangeTree {
    /// How many ranges lie below this one.
    pub fn rank(&self, id: NodeId) -> u64 {
        let mut rank = self.node(self.node(id).left).count();
        let mut below = id;
        let mut above = self.node(id).parent;
        while above != NIL {
            let node = self.node(above);
            if node.right == below {
                rank += 1 + self.node(node.left).count();
            }
            below = above;
            above = node.parent;
        }
        u64::from(rank)
    }

    /// The highest range whose `lo` is below `pfn`, and how many such ranges there are.
    pub fn highest_below(&self, pfn: Pfn) -> Option<(NodeId, u64)> {
        let mut highest = NIL;
        let mut count = 0;
        let mut id = self.root;
        while id != NIL {
            let node = self.node(id);
            if node.lo < pfn {
                highest = id;
                count += u64::from(1 + self.node(node.left).count());
                id = node.right;
            } else {
                id = node.left;
            }
        }
        highest.some().map(|id| (id, count))
    }

    /// How many pages below `pfn` belong to ranges.
    pub fn used_below(&self, pfn: Pfn) -> Pages {
        let mut used = 0u64;
        let mut id = self.root;
        while id != NIL {
            let node = self.node(id);
            if node.lo < pfn {
                let own = if node.hi < pfn {
                    node.pages()
                } else {
                    pfn.0 - node.lo.0
                };
                used += self.node(node.left).used + own;
                id = node.right;
            } else {
                id = node.left;
            }
        }
        Pages(used)
    }

    /// The lowest range whose `lo` is at or above `pfn`; the anchor where there is no other.
    pub fn lowest_from(&self, pfn: Pfn) -> NodeId {
        let mut lowest = NodeId::ANCHOR;
        let mut id = self.root;
        while id != NIL {
            let node = self.node(id);
            if node.lo >= pfn {
                lowest = id;
                id = node.left;
            } else {
                id = node.right;
            }
        }
        lowest
    }

    /// The lowest range that reaches up to `pfn` or lies above it.
    pub fn lowest_reaching(&self, pfn: Pfn) -> NodeId {
        let mut lowest = NodeId::ANCHOR;
        let mut id = self.root;
        while id != NIL {
            let node = self.node(id);
            if node.hi >= pfn {
                lowest = id;
                id = node.left;
            } else {
                id = node.right;
            }
        }
        lowest
    }

    /// `iova_find_limit()`: where a second pass below `limit` begins (371d7955e310), the lowest
    /// range that is not below `limit`. One that straddles it is taken only where the descent
    /// from the root, going right while a range ends below `limit`, stops on it: here the
    /// tree's shape shows.
    pub fn at_limit(&self, limit: Pfn) -> NodeId {
        let mut id = self.root;
        while self.node(id).hi < limit {
            id = self.node(id).right;
        }
        if self.node(id).lo < limit {
            id
        } else {
            self.lowest_from(limit)
        }
    }

    /// The first range, from `from` downwards, with a gap below it that takes `need`. The
    /// gap below the lowest range reaches down to pfn 0.
    pub fn first_fit_down(&self, from: NodeId, need: Need) -> Option<Stop> {
        let mut passed = 1;
        let mut id = from;
        if self.own_gap_fits(id, need) {
            return Some(Stop {
                at: id,
                ranges: passed,
            });
        }
        loop {
            let left = self.node(id).left;
            if Self::subtree_fits(self.node(left), need) {
                return Some(self.topmost_fit(left, need, passed));
            }
            passed += u64::from(self.node(left).count());
            loop {
                let below = id;
                id = self.node(id).parent;
                if id == NIL {
                    let lowest = Stop {
                        at: self.lowest,
                        ranges: passed,
                    };
                    return self.own_gap_fits(self.lowest, need).then_some(lowest);
                }
                if self.node(id).right == below {
                    break;
                }
            }
            passed += 1;
            if self.own_gap_fits(id, need) {
                return Some(Stop {
                    at: id,
                    ranges: passed,
                });
            }
        }
    }

    /// The topmost gap that takes `need` below `limit` (exclusive): from its first pfn up to
    /// its end, or to the limit if that lies within. The lowest gap begins at pfn 0.
    pub fn topmost_gap(&self, limit: Pfn, need: Need) -> Option<(Pfn, Pfn)> {
        let above = self.lowest_from(limit);
        let lo = self.node(above).gap_lo;
        if lo < limit && self.takes(Gap::new(lo, limit), need) {
            return Some((lo, limit));
        }
        let stop = self.first_fit_down(self.previous(above)?, need)?;
        let node = self.node(stop.at);
        Some((node.gap_lo, node.lo))
    }

    /// The largest requests that find a place from `low` on and below `limit` (exclusive).
    pub fn largest_between(&self, low: Pfn, limit: Pfn) -> Maxima {
        self.largest_of(self.root, [Some(low), Some(limit)])
    }

    /// What the gaps of a subtree take, as far as they lie within bounds. A bound that all of
    /// the subtree's gaps keep is none: where both are, the summaries say it all, so that no
    /// more than two ways down are walked.
    fn largest_of(&self, id: NodeId, bounds: [Option<Pfn>; 2]) -> Maxima {
        let node = self.node(id);
        if id == NIL || bounds == [None, None] {
            // The summaries leave the lowest gap out, and only bounds with a `low` meet it.
            return node.maxima;
        }
        let [low, limit] = bounds;
        let lo = low.map_or(node.gap_lo, |low| low.max(node.gap_lo));
        let end = limit.map_or(node.lo, |limit| limit.min(node.lo));
        let mut largest = Maxima::NONE;
        if lo < end {
            let gap = Gap::new(lo, end);
            largest = Maxima {
                aligned: gap.aligned_fit(self.alignment),
                any: gap.len(),
            };
        }
        if low.is_none_or(|low| low < node.gap_lo) {
            let limit = limit.filter(|&limit| limit < node.gap_lo);
            largest = largest.max(self.largest_of(node.left, [low, limit]));
        }
        if limit.is_none_or(|limit| node.lo < limit) {
            let low = low.filter(|&low| node.lo < low);
            largest = largest.max(self.largest_of(node.right, [low, limit]));
        }
        largest
    }

    /// The first such range within a subtree that is known to have such a range.
    fn topmost_fit(&self, mut id: NodeId, need: Need, mut passed: u64) -> Stop {
        loop {
            let node = self.node(id);
            let right = self.node(node.right);
            if Self::subtree_fits(right, need) {
                id = node.right;
                continue;
            }
            passed += 1 + u64::from(right.count());
            if self.own_gap_fits(id, need) {
                return Stop {
                    at: id,
                    ranges: passed,
                };
            }
            id = node.left;
        }
    }

    fn subtree_fits(node: &Node, need: Need) -> bool {
        need.size
            <= if need.aligned {
                node.maxima.aligned
            } else {
                node.maxima.any
            }
    }

    fn own_gap_fits(&self, id: NodeId, need: Need) -> bool {
        self.takes(self.node(id).gap(), need)
    }

    fn takes(&self, gap: Gap, need: Need) -> bool {
        need.size <= gap.len()
            && (!need.aligned || need.size <= gap.aligned_fit(self.alignment))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Alignment;
    use super::*;
    use crate::units::PfnRange;
    use proptest::prelude::*;

    /// The largest request that has a place, by asking for each size.
    fn by_asking(ranges: &RangeTree, aligned: bool, low: Pfn, limit: Pfn) -> Pages {
        let sizes = (1..=limit.0 - low.0).rev().map(Pages);
        let mut fitting = sizes.filter(|&size| {
            ranges
                .highest_place(ranges.need(size, aligned), limit, low)
                .is_some()
        });
        fitting.next().unwrap_or(Pages(0))
    }

    proptest! {
        #[test]
        fn the_largest_requests_are_those_that_find_a_place(
            used in proptest::collection::vec(proptest::bool::weighted(0.4), 96),
            low in 0u64..48,
            length in 0u64..60,
            cap in proptest::option::of(0u32..5),
        ) {
            let alignment = cap.map_or(Alignment::Size, |order| Alignment::AtMost { order });
            let mut ranges = RangeTree::new(alignment);
            for (pfn, _) in (0..).zip(used).filter(|&(_, used)| used) {
                ranges.insert(PfnRange::new(Pfn(pfn), Pfn(pfn)).expect("one page"));
            }
            let (low, limit) = (Pfn(low), Pfn(low + length));
            let largest = ranges.largest_between(low, limit);
            prop_assert_eq!(largest.any, by_asking(&ranges, false, low, limit));
            prop_assert_eq!(largest.aligned, by_asking(&ranges, true, low, limit));
        }
    }
}
