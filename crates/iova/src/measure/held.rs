//! Where the ranges of a replay are at a moment: with callers, in caches, in flush queues.

use crate::replay::Replay;

/// Ranges by whoever holds them, in all domains together.
///
/// Without a double free every range of the tree is in one of these places, or was reserved,
/// restored, or given to a fast-path caller who takes its pfn 0 for a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Ranges that callers hold.
    pub by_callers: u64,
    /// The pages of these, as asked for.
    pub pages_by_callers: u128,
    /// Entries of the CPUs' magazines.
    pub in_magazines: u64,
    /// Entries of the depots' magazines.
    pub in_depots: u64,
    /// Entries of the flush queues.
    pub in_flush_queues: u64,
    /// Ranges in the tree.
    pub in_tree: u64,
}

impl Held {
    /// What is held where now.
    pub fn of(replay: &Replay) -> Held {
        let mut held = Held::default();
        for (_, allocation) in replay.allocations().held() {
            held.by_callers += 1;
            held.pages_by_callers += u128::from(allocation.pages.0);
        }
        for domain in replay.domains() {
            held.in_magazines += domain.rcache().in_magazines().count() as u64;
            held.in_depots += domain.rcache().in_depots().count() as u64;
            held.in_flush_queues += domain.queued().count() as u64;
            held.in_tree += domain.state().ranges;
        }
        held
    }
}
