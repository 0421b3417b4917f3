//! What a domain is told: the words that traces, replays and models share.

use crate::units::{Pages, Pfn, PfnRange};

/// What unmapped ranges wait in before they are freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushQueue {
    /// Nothing: a strict domain frees at once.
    #[default]
    None,
    /// A ring per CPU, of 256 entries and 10 ms.
    PerCpu,
    /// One ring for all CPUs, of 32,768 entries and 1 s (from 6.7 on).
    Single,
}

/// A domain's tree and cached positions, as a log of a real failure gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The ranges, ascending and disjoint; none reaches the anchor's pfn.
    pub nodes: Vec<PfnRange>,
    /// The lowest pfn of the range at which 32-bit searches begin; none for the anchor.
    pub cached32: Option<Pfn>,
    /// The lowest pfn of the range at which other searches begin; none for the anchor.
    pub cached: Option<Pfn>,
    /// `max32_alloc_size`.
    pub max32: Pages,
}

/// What the kernel allocates memory for while it hands out or takes back addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A range's own record (`struct iova`).
    Iova,
    /// A magazine of a per-CPU cache.
    Magazine,
}
