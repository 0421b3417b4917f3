//! A trace's header and events, as its file says them.
//!
//! Events name allocations by id and devices by name. What a replay takes is the
//! [`Request`](iova::replay::Request), in which both have been checked and resolved.

use std::sync::Arc;

use iova::kernel::{FlushQueue, Memory, Snapshot};
use iova::replay::Path;
use iova::units::{Cpu, Granule, Nanos, Pages, Pfn, PfnRange};

/// The version of the trace format that this program reads and writes.
pub const VERSION: u64 = 1;

/// What the first line of a trace says of its domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes per pfn.
    pub granule: Granule,
    /// The lowest pfn that a domain may hand out.
    pub start_pfn: Pfn,
    /// The number of CPUs, all online at the start; from 1 to [`Cpu::COUNT_MAX`].
    pub cpus: u32,
    /// What `unmap` goes through.
    pub flush_queue: FlushQueue,
    /// PCI devices skip the 32-bit try.
    pub forcedac: bool,
    /// What the trace is, in free text.
    pub name: Option<String>,
    /// Where the trace came from, in free text.
    pub source: Option<String>,
    /// Which kernel recorded it, in free text.
    pub kernel: Option<String>,
}

impl Default for Header {
    fn default() -> Header {
        Header {
            granule: Granule::KIB_4,
            start_pfn: Pfn(1),
            cpus: 1,
            flush_queue: FlushQueue::None,
            forcedac: false,
            name: None,
            source: None,
            kernel: None,
        }
    }
}

/// One line of a trace after the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When: never before the event before it.
    pub at: Nanos,
    /// The CPU that asks; for `cpu_dead` and `cpu_up` the CPU that goes or comes.
    pub cpu: Cpu,
    /// The IOVA domain's number.
    pub dom: u64,
    pub op: Op,
}

impl Default for Event {
    /// A place to read events into: nothing that a trace holds.
    fn default() -> Event {
        Event {
            at: Nanos(0),
            cpu: Cpu(0),
            dom: 0,
            op: Op::CpuUp,
        }
    }
}

/// What an event asks of the allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Allocate `pages` at or below pfn `limit` (inclusive).
    Alloc {
        /// The allocation's name from now until it is freed.
        id: u64,
        /// How much; at least 1.
        pages: Pages,
        /// The highest pfn that may be handed out.
        limit: Pfn,
        /// Through the per-CPU caches or straight from the tree.
        path: Path,
        /// What the recorded kernel answered.
        got: Got,
    },
    /// Free what [`Op::Alloc`] got, on the path that it came by.
    Free { id: u64 },
    /// Allocate as the DMA API does.
    Map {
        /// The mapping's name from now until it is unmapped.
        id: u64,
        /// How much, not yet rounded up to granules; at least 1.
        bytes: u64,
        /// The highest address (inclusive, in bytes) that the device can reach.
        mask: u64,
        /// Whether the device is a PCI device, which counts at its first `map`.
        pci: bool,
        /// The device's name within its domain; one unnamed device a domain.
        dev: Option<Arc<str>>,
        /// What the recorded kernel answered.
        got: Got,
    },
    /// End a [`Op::Map`], through the flush queue where the domain has one.
    Unmap { id: u64 },
    /// Take a range of pfns out of use, as `reserve_iova()`.
    Reserve { range: PfnRange },
    /// Free the range that contains `pfn` straight to the tree, as `free_iova()`.
    FreePfn {
        /// Any pfn of the range; not the anchor's.
        pfn: Pfn,
    },
    /// The event's CPU goes offline.
    CpuDead,
    /// The event's CPU is online again.
    CpuUp,
    /// Replace the domain's tree and cached positions by a state taken elsewhere.
    Restore(Arc<Snapshot>),
    /// A fault: the next `count` memory allocations of a kind fail.
    NoMem {
        what: Memory,
        /// How many of them.
        count: u64,
    },
    /// A fault: a driver frees an id once more after it has freed it.
    DoubleFree {
        /// The name of an ended life.
        id: u64,
    },
}

impl Op {
    /// The operation, as traces spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Alloc { .. } => "alloc",
            Op::Free { .. } => "free",
            Op::Map { .. } => "map",
            Op::Unmap { .. } => "unmap",
            Op::Reserve { .. } => "reserve",
            Op::FreePfn { .. } => "free_pfn",
            Op::CpuDead => "cpu_dead",
            Op::CpuUp => "cpu_up",
            Op::Restore(_) => "restore",
            Op::NoMem { .. } => "nomem",
            Op::DoubleFree { .. } => "double_free",
        }
    }
}

/// What a recorded kernel answered, where a trace says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Got {
    /// The trace does not say.
    #[default]
    Unrecorded,
    Failed,
    /// The lowest pfn handed out.
    Pfn(Pfn),
}
