//! The flush queue of a lazy domain: unmapped ranges wait until the IOTLB has been flushed.
//!
//! A flush here is two numbers: how many were started and how many have finished. An entry
//! may be freed once more flushes have finished than had been started when it was queued.

use std::collections::VecDeque;

use super::config::FlushQueue;
use crate::units::{Cpu, Nanos, Pages, Pfn};

/// A range that waits, as it will be given to `free_iova_fast`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The range's lowest pfn.
    pub pfn: Pfn,
    /// Its size as the DMA layer gives it.
    pub pages: Pages,
    /// When it was queued.
    pub since: Nanos,
    flush: u64,
}

/// The rings of a domain and its flush numbers.
#[derive(Clone, Debug)]
pub struct Rings {
    per_cpu: bool,
    queues: Vec<VecDeque<Entry>>,
    /// A ring of `2^n` entries has room for one less.
    room: usize,
    timeout_millis: u64,
    started: u64,
    finished: u64,
    timer_on: bool,
}

impl Rings {
    /// Empty rings of a kind; none for a strict domain.
    pub fn new(kind: FlushQueue) -> Option<Rings> {
        let (per_cpu, room, timeout_millis) = match kind {
            FlushQueue::None => return None,
            FlushQueue::PerCpu => (true, 255, 10),
            FlushQueue::Single => (false, 32_767, 1000),
        };
        Some(Rings {
            per_cpu,
            queues: Vec::new(),
            room,
            timeout_millis,
            started: 0,
            finished: 0,
            timer_on: false,
        })
    }

    fn ring(&mut self, cpu: Cpu) -> &mut VecDeque<Entry> {
        let index = if self.per_cpu { cpu.index() } else { 0 };
        if self.queues.len() <= index {
            self.queues.resize_with(index + 1, VecDeque::new);
        }
        &mut self.queues[index]
    }

    /// Takes what may be freed from the head of this CPU's ring.
    pub fn take_ripe(&mut self, cpu: Cpu) -> Vec<Entry> {
        let finished = self.finished;
        take_ripe(self.ring(cpu), finished)
    }

    /// Takes what may be freed from all rings, CPUs ascending.
    pub fn take_all_ripe(&mut self) -> Vec<Entry> {
        let finished = self.finished;
        self.queues
            .iter_mut()
            .flat_map(|ring| take_ripe(ring, finished))
            .collect()
    }

    /// Whether this CPU's ring has no room for another entry.
    pub fn is_full(&mut self, cpu: Cpu) -> bool {
        let room = self.room;
        self.ring(cpu).len() >= room
    }

    /// Flushes the IOTLB: everything that is queued by now may be freed.
    pub fn flush(&mut self) {
        self.started += 1;
        self.finished += 1;
    }

    /// Queues a range, and gives the length of the ring.
    pub fn push(&mut self, cpu: Cpu, pfn: Pfn, pages: Pages, since: Nanos) -> usize {
        let flush = self.started;
        let ring = self.ring(cpu);
        ring.push_back(Entry {
            pfn,
            pages,
            since,
            flush,
        });
        ring.len()
    }

    /// Starts the timer, unless it is running: when it is due then.
    pub fn start_timer(&mut self, now: Nanos) -> Option<Nanos> {
        let starts = !std::mem::replace(&mut self.timer_on, true);
        starts.then(|| now.after_millis(self.timeout_millis))
    }

    /// The timer has fired: it is off, and everything that is queued may be freed.
    pub fn timer_fired(&mut self) {
        self.timer_on = false;
        self.flush();
    }

    /// Everything that waits, CPUs ascending, the oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> + '_ {
        self.queues.iter().flatten()
    }
}

fn take_ripe(ring: &mut VecDeque<Entry>, finished: u64) -> Vec<Entry> {
    let ripe = ring
        .iter()
        .take_while(|entry| entry.flush < finished)
        .count();
    ring.drain(..ripe).collect()
}
