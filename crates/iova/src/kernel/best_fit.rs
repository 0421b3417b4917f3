//! Android's best fit (vendor kernels, from 2020 on): the smallest gap that takes a request.
//!
//! It looks at the gaps from the top, so that a search takes as many steps as there are
//! ranges unless a gap fits exactly. It is a way to search the kernel's tree; what it leaves
//! out around the search stands in [`iova`](super::iova).

use super::rbtree::{Need, NodeId, RangeTree};
use super::walk::PassEnd;
use crate::units::Pfn;

/// The best gap so far.
struct Best {
    width: u64,
    above: NodeId,
    place: Pfn,
}

/// The place to take below `limit` (exclusive; wraps to 0 for a `limit_pfn` of 2^64 − 1). Steps
/// are gaps that were examined and have a range under them.
pub(super) fn search(ranges: &RangeTree, start_pfn: Pfn, need: Need, limit: Pfn) -> PassEnd {
    let mut best: Option<Best> = None;
    let mut steps = 0;
    let mut above = NodeId::ANCHOR;
    loop {
        let below = ranges.previous(above);
        steps += u64::from(below.is_some());
        let end = ranges.lo(above);
        let lo = match below {
            Some(below) => Pfn(ranges.hi(below).0 + 1),
            None => start_pfn.min(end),
        };
        let width = end.0 - lo.0;
        let better = best.as_ref().is_none_or(|best| width < best.width);
        if let Some(place) = place_in(need, lo, end.min(limit)).filter(|_| better) {
            best = Some(Best {
                width,
                above,
                place,
            });
        }
        let exact = best.as_ref().is_some_and(|best| best.width == need.size.0);
        match below.filter(|_| !exact) {
            Some(below) => above = below,
            None => break,
        }
    }
    PassEnd {
        place: best.map(|best| (best.above, best.place)),
        steps,
    }
}

/// The highest place for the request from `lo` on and below `end`.
fn place_in(need: Need, lo: Pfn, end: Pfn) -> Option<Pfn> {
    let fits = end.0 >= need.size.0;
    fits.then(|| need.place_below(end))
        .filter(|&place| place >= lo)
}
