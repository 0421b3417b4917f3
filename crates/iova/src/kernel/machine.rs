//! The machine around the domains: its CPUs, its memory and its clock.

use std::collections::BTreeSet;

use super::timer::TimerQueue;
use crate::names::named_enum;
use crate::units::{Cpu, Nanos};

/// What all domains share. Whoever drives the domains moves `now` and runs the timers.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The moment at which a domain is asked, or at which its delayed work was due.
    pub now: Nanos,
    /// Which CPUs are online.
    pub online: Online,
    /// Memory allocations that are to fail.
    pub faults: FaultInjection,
    /// Delayed work and timers.
    pub timers: TimerQueue,
}

impl Machine {
    /// A machine with `cpus` CPUs, all online.
    pub fn new(cpus: u32) -> Machine {
        Machine {
            now: Nanos(0),
            online: Online::all(cpus),
            faults: FaultInjection::default(),
            timers: TimerQueue::default(),
        }
    }
}

/// The CPUs of a machine that are online.
#[derive(Clone, Debug)]
pub struct Online {
    cpus: BTreeSet<Cpu>,
}

impl Online {
    /// The CPUs from 0 to `cpus` - 1.
    pub fn all(cpus: u32) -> Online {
        let numbers = (0..cpus).map_while(|cpu| u16::try_from(cpu).ok());
        Online {
            cpus: numbers.map(Cpu).collect(),
        }
    }

    /// Whether a CPU is online.
    pub fn has(&self, cpu: Cpu) -> bool {
        self.cpus.contains(&cpu)
    }

    /// The number of CPUs online.
    pub fn count(&self) -> usize {
        self.cpus.len()
    }

    /// The lowest CPU that is online.
    pub fn lowest(&self) -> Option<Cpu> {
        self.cpus.first().copied()
    }

    /// Takes a CPU offline or brings it back.
    pub fn set(&mut self, cpu: Cpu, online: bool) {
        if online {
            self.cpus.insert(cpu);
        } else {
            self.cpus.remove(&cpu);
        }
    }
}

named_enum! {
    /// What the kernel allocates memory for while it hands out or takes back addresses.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Memory {
        /// A range's own record (`struct iova`).
        Iova = "iova",
        /// A magazine of a per-CPU cache (`struct iova_magazine`).
        Magazine = "magazine",
    }
}

/// Injected failures of the kernel's own memory allocations: how many of each kind are still to
/// fail. They count for all domains.
#[derive(Clone, Debug, Default)]
pub struct FaultInjection {
    left: [u64; Memory::ALL.len()],
}

impl FaultInjection {
    /// Lets `count` more allocations of a kind fail.
    pub fn add(&mut self, what: Memory, count: u64) {
        let left = &mut self.left[what as usize];
        *left = left.saturating_add(count);
    }

    /// Whether an allocation of this kind fails now; takes one from the count if so.
    pub fn should_fail(&mut self, what: Memory) -> bool {
        let left = &mut self.left[what as usize];
        let fails = *left > 0;
        *left -= u64::from(fails);
        fails
    }
}
