//! Broken promises of an allocator: what it did that no caller may ever see.
//!
//! A full address space is no finding, and neither is a request that cannot be met.

use crate::names::named_enum;
use crate::op::Slot;
use crate::units::{Pages, Pfn};

named_enum! {
    /// A kind of broken promise.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Finding {
        /// A range was handed out that shares pages with one that is live.
        Overlap = "overlap",
        /// The very address of a live range was handed out once more.
        Aliased = "aliased",
        /// A range was handed out below `start_pfn`.
        BelowStart = "below-start",
        /// A range was handed out that reaches above the request's limit.
        AboveLimit = "above-limit",
        /// An aligned request got a range that is not aligned to its size.
        Misaligned = "misaligned",
        /// `cached32` was left pointing at a range that was freed; the kernel's answers mean
        /// nothing from then on.
        UseAfterFree = "use-after-free",
        /// The kernel would search for ever under its lock.
        EndlessSearch = "endless-search",
    }
}

/// A finding, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub finding: Finding,
    /// The event's number, from 0.
    pub event: u64,
    /// The range handed out, where one was.
    pub range: Option<(Pfn, Pages)>,
    /// The live allocation that it collides with.
    pub other: Option<Slot>,
}

/// How many examples of each kind are kept.
const EXAMPLES: usize = 8;

/// What was found so far: how often each kind, and the first examples of each.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    counts: [u64; Finding::ALL.len()],
    examples: Vec<Found>,
}

impl Findings {
    /// Counts a finding, and keeps it if it is among the first of its kind.
    pub fn add(&mut self, found: Found) {
        let count = &mut self.counts[found.finding as usize];
        *count += 1;
        if *count <= EXAMPLES as u64 {
            self.examples.push(found);
        }
    }

    /// How often a kind was found.
    pub fn count(&self, finding: Finding) -> u64 {
        self.counts[finding as usize]
    }

    /// How much was found in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The first few of each kind, in the order of their events.
    pub fn examples(&self) -> &[Found] {
        &self.examples
    }
}
