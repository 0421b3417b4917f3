//! The invariants that an allocator broke: what no caller may ever see.
//!
//! A full address space is no violation, and neither is a request that cannot be met.

use crate::names::named_enum;
use crate::op::Slot;
use crate::units::{Pages, Pfn};

named_enum! {
    /// A kind of violation.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum ViolationKind {
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

/// A violation, and where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    pub kind: ViolationKind,
    /// The event's number, from 0.
    pub event: u64,
    /// The range that was handed out, if the violation is about one.
    pub range: Option<(Pfn, Pages)>,
    /// The live allocation that it collides with.
    pub other: Option<Slot>,
}

/// How many examples of each kind are kept.
const EXAMPLES: usize = 8;

/// The violations so far: a count of each kind, and its first examples.
#[derive(Clone, Debug, Default)]
pub struct Violations {
    counts: [u64; ViolationKind::ALL.len()],
    examples: Vec<Violation>,
}

impl Violations {
    /// Counts a violation, and keeps it if it is among the first of its kind.
    pub fn add(&mut self, violation: Violation) {
        let count = &mut self.counts[violation.kind as usize];
        *count += 1;
        if *count <= EXAMPLES as u64 {
            self.examples.push(violation);
        }
    }

    /// The number of violations of a kind.
    pub fn count(&self, kind: ViolationKind) -> u64 {
        self.counts[kind as usize]
    }

    /// The number of all violations.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The first few of each kind, in the order of their events.
    pub fn examples(&self) -> &[Violation] {
        &self.examples
    }
}
