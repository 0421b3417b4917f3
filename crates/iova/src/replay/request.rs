//! A request: an event of a trace whose ids, CPUs and domains have been checked.
//!
//! A request cannot name an allocation that is not live, a CPU that does not exist or is
//! offline, or a time before that of the request before it: the trace's checker makes every
//! request of a trace. Allocations are named by [`Slot`]s, small numbers that are reused, so
//! that a replay finds them in a table.

use crate::op::{Op, Slot};
use crate::units::{Cpu, Nanos};

/// A domain, numbered in the order of first mention from 0, without holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dom(pub u32);

/// A checked event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub at: Nanos,
    /// The CPU that asks, which is online; for `CpuDead` and `CpuUp` the one that changes.
    pub cpu: Cpu,
    pub dom: Dom,
    pub op: Op<Slot>,
}

impl Default for Request {
    /// A value to be overwritten.
    fn default() -> Request {
        Request {
            at: Nanos(0),
            cpu: Cpu(0),
            dom: Dom(0),
            op: Op::CpuUp,
        }
    }
}
