//! The ranges that nobody uses and that are not free: those in caches and flush queues.

use super::cause;
use crate::kernel::domain;
use crate::replay::{Dom, Replay};
use crate::units::{Pages, Pfn, PfnRange};

/// What holds a range back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A magazine of a CPU or of a depot.
    Cache,
    /// A flush queue.
    Queue,
}

/// What finding a range in the tree costs, in ranges that need not be found.
const FINDING: u64 = 60;

/// Visits the ranges that are held back in a domain, in no order of theirs, and gives how many
/// ranges' worth of work that was.
///
/// The size of an entry's range follows from its order until ranges have several holders or sizes
/// mix; then it is looked up in the tree.
pub(super) fn visit(replay: &Replay, dom: Dom, mut visit: impl FnMut(Holder, PfnRange)) -> u64 {
    let domain = &replay.domains()[dom.0 as usize];
    let mut work = 0;
    if replay.entries_tell_sizes(dom) {
        let caches = domain.rcache();
        for (order, pfn) in caches.in_magazines().chain(caches.in_depots()) {
            visit(Holder::Cache, starting(pfn, Pages(1 << order)));
            work += 1;
        }
        for entry in domain.queued() {
            let pages = domain::round_small(entry.pages);
            visit(Holder::Queue, starting(entry.pfn, pages));
            work += 1;
        }
    } else {
        let ranges = domain.space().ranges();
        let holders = [
            (Holder::Cache, cause::cached(domain)),
            (Holder::Queue, cause::queued(domain)),
        ];
        for (holder, held) in holders {
            work += FINDING * held.len() as u64;
            let found = held.iter().map(|&id| (ranges.lo(id), ranges.hi(id)));
            for range in found.filter_map(|(lo, hi)| PfnRange::new(lo, hi)) {
                visit(holder, range);
            }
        }
    }
    work
}

fn starting(pfn: Pfn, pages: Pages) -> PfnRange {
    let last = Pfn(pfn.0.saturating_add(pages.0.saturating_sub(1)));
    PfnRange::new(pfn, last).expect("a range does not end before it starts")
}
