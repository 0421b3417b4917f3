//! Delayed work and timers, on virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::units::{Cpu, Nanos};

/// Work that a domain has put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// The delayed work of a domain's depot of one order (`iova_depot_work_func()`).
    ReclaimDepot {
        domain: u32,
        /// The order of the depot's ranges.
        order: u8,
    },
    /// A domain's flush-queue timer (`fq_flush_timeout()`).
    FlushTimer {
        domain: u32,
        /// The CPU that started it.
        cpu: Cpu,
    },
}

/// Work by the time it is due, the earliest first; of what is due at once, the first scheduled first.
#[derive(Clone, Debug, Default)]
pub struct TimerQueue {
    heap: BinaryHeap<Reverse<(Nanos, u64, Work)>>,
    scheduled: u64,
}

impl TimerQueue {
    /// Puts work off until `due`.
    pub fn schedule(&mut self, due: Nanos, work: Work) {
        self.heap.push(Reverse((due, self.scheduled, work)));
        self.scheduled += 1;
    }

    /// Takes the first work that is due at or before `now`, with the moment it was due.
    pub fn pop_due(&mut self, now: Nanos) -> Option<(Nanos, Work)> {
        let &Reverse((due, _, work)) = self.heap.peek()?;
        if due > now {
            return None;
        }
        self.heap.pop();
        Some((due, work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_comes_when_due_and_ties_in_the_order_of_scheduling() {
        let work = |order| Work::ReclaimDepot { domain: 0, order };
        let mut timers = TimerQueue::default();
        timers.schedule(Nanos(20), work(1));
        timers.schedule(Nanos(10), work(5));
        timers.schedule(Nanos(10), work(2));
        assert_eq!(timers.pop_due(Nanos(9)), None);
        assert_eq!(timers.pop_due(Nanos(10)), Some((Nanos(10), work(5))));
        assert_eq!(timers.pop_due(Nanos(30)), Some((Nanos(10), work(2))));
        assert_eq!(timers.pop_due(Nanos(30)), Some((Nanos(20), work(1))));
        assert_eq!(timers.pop_due(Nanos(30)), None);
    }
}
