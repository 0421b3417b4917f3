//! What a replay is asked to do: an event whose ids, CPUs and domains were checked.
//!
//! A request cannot name an allocation that is not live, a CPU that does not exist or is
//! offline, or a moment before the one of the request before it: the
//! trace checker is the only maker of traces' requests. Allocations are
//! named by [`Slot`]s, small numbers that are used again, so that a replay looks them up in
//! a table.

use std::sync::Arc;

use crate::kernel::{Memory, Snapshot};
use crate::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

/// An allocation's place in the table of lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// A domain, numbered in the order of first mention from 0, without holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dom(pub u32);

/// A device, numbered in the order of first mention from 0, without holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(pub u32);

/// One checked event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub at: Nanos,
    /// The CPU that asks, which is online; for `CpuDead` and `CpuUp` the one that goes or comes.
    pub cpu: Cpu,
    /// The domain that is asked.
    pub dom: Dom,
    pub ask: Ask,
}

impl Default for Request {
    /// A place to put requests in: a CPU that comes up.
    fn default() -> Request {
        Request {
            at: Nanos(0),
            cpu: Cpu(0),
            dom: Dom(0),
            ask: Ask::CpuUp,
        }
    }
}

/// What a request asks of the allocator; see the trace's operations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the trace's operations"
)]
pub enum Ask {
    Alloc {
        slot: Slot,
        pages: Pages,
        limit: Pfn,
        path: Path,
    },
    Free {
        slot: Slot,
    },
    Map {
        slot: Slot,
        bytes: u64,
        mask: u64,
        device: Device,
        pci: bool,
    },
    Unmap {
        slot: Slot,
    },
    Reserve {
        range: PfnRange,
    },
    FreePfn {
        pfn: Pfn,
    },
    CpuDead,
    CpuUp,
    Restore(Arc<Snapshot>),
    NoMem {
        what: Memory,
        count: u64,
    },
    DoubleFree {
        slot: Slot,
    },
}

/// How an `alloc` reaches the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// `alloc_iova_fast`: through the per-CPU caches, always aligned.
    Fast {
        /// Whether a failure flushes the caches and tries once more.
        flush: bool,
    },
    /// `alloc_iova`: straight from the tree.
    Direct {
        /// Whether the range is aligned to its size.
        align: bool,
    },
}
