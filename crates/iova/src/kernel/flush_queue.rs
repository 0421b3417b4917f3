//! The flush queue of a lazy domain: unmapped ranges wait until the IOTLB has been flushed.
//!
//! A flush here is two numbers: how many were started and how many have finished. An entry
//! may be freed once more flushes have finished than had been started when it was queued.

use std::collections::{BTreeMap, VecDeque};

use crate::names::named_enum;
use crate::units::{Cpu, Nanos, Pages, Pfn};

named_enum! {
    /// Where unmapped ranges wait until the IOTLB is flushed (`enum iommu_dma_queue_type`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum FlushQueue {
        /// Nowhere: a strict domain frees at once.
        #[default]
        None = "none",
        /// In a ring per CPU, of 256 entries and 10 ms.
        PerCpu = "per-cpu",
        /// In one ring for all CPUs, of 32,768 entries and 1 s (from 6.7 on).
        Single = "single",
    }
}

/// A queued range (`struct iova_fq_entry`), as it will be given to `free_iova_fast()`.
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

/// A ring of entries, the oldest first (`struct iova_fq`).
type Ring = VecDeque<Entry>;

/// The rings of a domain, their timer and the flush numbers.
#[derive(Clone, Debug)]
pub struct Rings {
    per_cpu: bool,
    /// Those that may hold something: one a CPU, or a single one, which is CPU 0's here.
    queues: BTreeMap<Cpu, Ring>,
    /// A ring of `2^n` entries has room for one less.
    room: usize,
    timeout_millis: u64,
    flushes_started: u64,
    flushes_finished: u64,
    timer_on: bool,
}

/// The effects of queueing a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queued {
    /// Whether the ring was full, so that the IOTLB was flushed first.
    pub(super) flushed: bool,
    /// Entries in the ring afterwards.
    pub(super) length: usize,
    /// When the timer is due that this started, if it did.
    pub(super) timer: Option<Nanos>,
}

impl Rings {
    /// `iommu_dma_init_fq()` (once `init_iova_flush_queue()`): empty rings of a kind; `None` for a strict domain.
    pub fn new(kind: FlushQueue) -> Option<Rings> {
        let (per_cpu, room, timeout_millis) = match kind {
            FlushQueue::None => return None,
            FlushQueue::PerCpu => (true, 255, 10),
            FlushQueue::Single => (false, 32_767, 1000),
        };
        Some(Rings {
            per_cpu,
            queues: BTreeMap::new(),
            room,
            timeout_millis,
            flushes_started: 0,
            flushes_finished: 0,
            timer_on: false,
        })
    }

    /// `queue_iova()`: queues a range on a CPU. `free` gets the entries that were flushed.
    pub(super) fn queue_iova(
        &mut self,
        cpu: Cpu,
        (pfn, pages): (Pfn, Pages),
        now: Nanos,
        mut free: impl FnMut(Entry),
    ) -> Queued {
        let cpu = if self.per_cpu { cpu } else { Cpu(0) };
        let ring = self.queues.entry(cpu).or_default();
        fq_ring_free(ring, self.flushes_finished, &mut free);
        let flushed = fq_full(ring, self.room);
        if flushed {
            fq_flush_iotlb(&mut self.flushes_started, &mut self.flushes_finished);
            fq_ring_free(ring, self.flushes_finished, &mut free);
        }
        let entry = Entry {
            pfn,
            pages,
            since: now,
            flush: self.flushes_started,
        };
        let length = fq_ring_add(ring, entry, self.room);
        let starts = !std::mem::replace(&mut self.timer_on, true);
        Queued {
            flushed,
            length,
            timer: starts.then(|| now.after_millis(self.timeout_millis)),
        }
    }

    /// `fq_flush_timeout()`: the timer is off, and `free` gets the entries of all rings, CPUs
    /// ascending.
    pub(super) fn fq_flush_timeout(&mut self, mut free: impl FnMut(Entry)) {
        self.timer_on = false;
        fq_flush_iotlb(&mut self.flushes_started, &mut self.flushes_finished);
        for ring in self.queues.values_mut() {
            fq_ring_free(ring, self.flushes_finished, &mut free);
        }
        self.queues.retain(|_, ring| !ring.is_empty());
    }

    /// All entries, CPUs ascending, the oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> + '_ {
        self.queues.values().flatten()
    }
}

/// `fq_ring_free()`: gives `free` the entries at the head of a ring that were flushed.
fn fq_ring_free(ring: &mut Ring, finished: u64, free: &mut impl FnMut(Entry)) {
    while let Some(&entry) = ring.front().filter(|entry| entry.flush < finished) {
        ring.pop_front();
        free(entry);
    }
}

/// `fq_full()`: whether a ring has no room for another entry.
fn fq_full(ring: &Ring, room: usize) -> bool {
    ring.len() >= room
}

/// `fq_ring_add()`: queues a range, and gives the length of the ring.
fn fq_ring_add(ring: &mut Ring, entry: Entry, room: usize) -> usize {
    ring.push_back(entry);
    assert!(ring.len() <= room, "a ring holds more than it has room for");
    ring.len()
}

/// `fq_flush_iotlb()` (once `iova_domain_flush()`): everything that is queued by now may be freed.
fn fq_flush_iotlb(started: &mut u64, finished: &mut u64) {
    *started += 1;
    *finished += 1;
}
