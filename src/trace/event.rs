//! A trace's header and events, as its file says them.
//!
//! Events name allocations by id and devices by name. What a replay takes is the
//! [`Request`](iova::replay::Request), in which both have been checked and resolved.

use std::sync::Arc;

use iova::kernel::{DomainOptions, FlushQueue};
use iova::op::Got;
use iova::units::{Cpu, Granule, Nanos, Pfn};

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

impl Header {
    /// The options of its domains.
    pub fn domain_options(&self) -> DomainOptions {
        DomainOptions {
            granule: self.granule,
            start_pfn: self.start_pfn,
            flush_queue: self.flush_queue,
            forcedac: self.forcedac,
        }
    }
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
    /// Never before the event before it.
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

/// An operation as a file has it: ids are numbers, devices names; one device of each domain
/// may be unnamed.
pub type Op = iova::op::Op<u64, Option<Arc<str>>, Got>;
