//! A domain: the tree, the per-CPU caches before it, and the flush queue behind `unmap`.

use std::collections::VecDeque;

use iova::kernel::Refusal;
use iova::kernel::rbtree::Alignment;
use iova::kernel::{Change, DomainConfig, FlushQueue, Memory, Snapshot};

use super::bug::Bug;
use super::machine::{Machine, Work};
use super::space::Space;
use super::tree::Tried;

/// Sizes of 1, 2, 4, 8, 16 and 32 pages are cached.
const ORDERS: usize = 6;
/// What a depot held before 6.7.
const DEPOT_ROOM: usize = 32;

/// The magazines of one CPU and one order; each is a stack whose top is the end.
#[derive(Clone, Debug, Default)]
struct Pair {
    loaded: Vec<u64>,
    prev: Vec<u64>,
}

/// A range that waits in the flush queue.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    pfn: u64,
    pages: u64,
    flush: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Domain {
    number: usize,
    config: DomainConfig,
    bug: Option<Bug>,
    space: Space,
    /// By CPU and order.
    pairs: Vec<[Pair; ORDERS]>,
    /// By order; the newest magazine is the last.
    depots: [Vec<Vec<u64>>; ORDERS],
    reclaims_pending: [bool; ORDERS],
    /// By CPU; a single queue is the first.
    rings: Vec<VecDeque<Waiting>>,
    flushes_started: u64,
    flushes_finished: u64,
    timer_on: bool,
}

/// Sizes below 32 pages, rounded up to a power of two.
pub(crate) fn round_small(pages: u64) -> u64 {
    if pages < 32 {
        pages.next_power_of_two()
    } else {
        pages
    }
}

/// The smallest `order` with 2^order ≥ `pages`.
fn order_of(pages: u64) -> u32 {
    (0..64).find(|&order| 1 << order >= pages).unwrap_or(64)
}

/// The alignment of an aligned request, in pages. Where it would be 2^64 the kernel's shift
/// wraps to a shift by nothing, and there is none.
pub(crate) fn alignment(config: &DomainConfig, size: u64) -> u64 {
    let order = match config.rules().alignment(config.granule()) {
        Alignment::Size => order_of(size),
        Alignment::AtMost { order } => order_of(size).min(order),
    };
    1_u64.checked_shl(order).unwrap_or(1)
}

/// The cache that ranges of `pages` go into.
fn cache_of(pages: u64) -> Option<usize> {
    (0..ORDERS).find(|&order| 1 << order >= pages)
}

impl Domain {
    pub(crate) fn new(
        number: usize,
        config: DomainConfig,
        cpus: usize,
        bug: Option<Bug>,
    ) -> Domain {
        Domain {
            number,
            config,
            bug,
            space: Space::new(&config, bug),
            pairs: vec![<[Pair; ORDERS]>::default(); cpus],
            depots: Default::default(),
            reclaims_pending: [false; ORDERS],
            rings: vec![VecDeque::new(); cpus],
            flushes_started: 0,
            flushes_finished: 0,
            timer_on: false,
        }
    }

    fn has(&self, change: Change) -> bool {
        self.config.rules().has(change)
    }

    pub(crate) fn alloc_direct(
        &mut self,
        machine: &mut Machine,
        size: u64,
        limit_pfn: u64,
        aligned: bool,
    ) -> Tried {
        if machine.fails(Memory::Iova) {
            if self.bug == Some(Bug::NoMemForEver) {
                machine.iova_faults += 1;
            }
            return Tried::without_search(Err(Refusal::NoMemory));
        }
        let alignment = if aligned {
            alignment(&self.config, size)
        } else {
            1
        };
        self.space.alloc(size, limit_pfn, alignment)
    }

    pub(crate) fn alloc_fast(
        &mut self,
        machine: &mut Machine,
        cpu: usize,
        pages: u64,
        limit_pfn: u64,
        flush: bool,
    ) -> Tried {
        let size = if self.has(Change::RoundInFast) {
            round_small(pages)
        } else {
            pages
        };
        let highest = limit_pfn.wrapping_add(1).wrapping_sub(size);
        if let Some(pfn) = self.take_cached(cpu, size, highest) {
            return Tried::without_search(Ok(pfn));
        }
        let mut tried = self.alloc_direct(machine, size, limit_pfn, true);
        if tried.result.is_err() && flush {
            self.flush_caches(machine);
            if self.has(Change::ResetOnRetry) {
                self.space.reset_max32();
            }
            let first = tried;
            tried = self.alloc_direct(machine, size, limit_pfn, true);
            tried.steps = first.steps.plus(tried.steps);
        }
        if tried.result == Ok(0) {
            tried.result = Err(Refusal::PfnZero);
        }
        tried
    }

    fn take_cached(&mut self, cpu: usize, size: u64, highest: u64) -> Option<u64> {
        let order = cache_of(size)?;
        let pair = &mut self.pairs[cpu][order];
        let depot = &mut self.depots[order];
        if pair.loaded.is_empty() {
            if !pair.prev.is_empty() {
                std::mem::swap(&mut pair.loaded, &mut pair.prev);
            } else if !depot.is_empty() {
                pair.loaded = if self.bug == Some(Bug::DepotFirstInFirstOut) {
                    depot.remove(0)
                } else {
                    depot.remove(depot.len() - 1)
                };
            }
        }
        let at = pair.loaded.iter().rposition(|&pfn| pfn <= highest)?;
        if self.bug == Some(Bug::TakeShifts) {
            return Some(pair.loaded.remove(at));
        }
        let taken = pair.loaded[at];
        pair.loaded[at] = pair.loaded[pair.loaded.len() - 1];
        pair.loaded.pop();
        Some(taken)
    }

    /// Frees the range that contains `pfn` to the tree.
    pub(crate) fn free_direct(&mut self, pfn: u64) {
        self.space.free(pfn);
    }

    pub(crate) fn free_fast(
        &mut self,
        machine: &mut Machine,
        cpu: usize,
        pfn: u64,
        pages: u64,
    ) {
        let Some(order) = cache_of(pages) else {
            self.space.free(pfn);
            return;
        };
        let room = self.magazine_room();
        let pair = &mut self.pairs[cpu][order];
        let mut surplus = Vec::new();
        if pair.loaded.len() == room {
            if pair.prev.len() < room {
                std::mem::swap(&mut pair.loaded, &mut pair.prev);
            } else if machine.fails(Memory::Magazine) {
                self.space.free(pfn);
                return;
            } else {
                let full = std::mem::take(&mut pair.loaded);
                if self.depots[order].len() == DEPOT_ROOM && !self.has(Change::DepotList) {
                    surplus = full;
                } else {
                    self.depots[order].push(full);
                    self.schedule_reclaim(machine, order);
                }
            }
        }
        self.pairs[cpu][order].loaded.push(pfn);
        self.free_magazine(surplus);
    }

    fn magazine_room(&self) -> usize {
        let room = if self.has(Change::Magazine127) {
            127
        } else {
            128
        };
        room + usize::from(self.bug == Some(Bug::MagazineOneMore))
    }

    fn free_magazine(&mut self, mut magazine: Vec<u64>) {
        if self.bug == Some(Bug::DrainFromTheTop) {
            magazine.reverse();
        }
        for pfn in magazine {
            self.space.free(pfn);
        }
    }

    fn flush_caches(&mut self, machine: &Machine) {
        for cpu in machine.online() {
            self.flush_cpu(cpu);
        }
        if !self.has(Change::FlushDepot) || self.bug == Some(Bug::FlushForgetsDepots) {
            return;
        }
        for order in 0..ORDERS {
            let mut depot = std::mem::take(&mut self.depots[order]);
            if self.has(Change::DepotList) {
                depot.reverse();
            }
            for magazine in depot {
                self.free_magazine(magazine);
            }
        }
    }

    fn flush_cpu(&mut self, cpu: usize) {
        for order in 0..ORDERS {
            let pair = std::mem::take(&mut self.pairs[cpu][order]);
            self.free_magazine(pair.loaded);
            if self.bug == Some(Bug::FlushForgetsPrev) {
                self.pairs[cpu][order].prev = pair.prev;
            } else {
                self.free_magazine(pair.prev);
            }
        }
    }

    pub(crate) fn cpu_dead(&mut self, cpu: usize) {
        if self.has(Change::HotplugFlush) {
            self.flush_cpu(cpu);
        }
    }

    fn schedule_reclaim(&mut self, machine: &mut Machine, order: usize) {
        let pending = self.reclaims_pending[order] && self.bug != Some(Bug::ReclaimNotPending);
        if self.has(Change::DepotReclaim) && !pending {
            self.reclaims_pending[order] = true;
            let domain = self.number;
            machine.schedule(100, Work::ReclaimDepot { domain, order });
        }
    }

    /// A depot's delayed work.
    pub(crate) fn reclaim_depot(&mut self, machine: &mut Machine, order: usize) {
        self.reclaims_pending[order] = false;
        let held = self.depots[order].len();
        let keep = machine.online().count();
        let more = usize::from(self.bug == Some(Bug::ReclaimOneMore));
        if held + more > keep
            && let Some(newest) = self.depots[order].pop()
        {
            self.free_magazine(newest);
            self.schedule_reclaim(machine, order);
        }
    }

    pub(crate) fn unmap(&mut self, machine: &mut Machine, cpu: usize, pfn: u64, pages: u64) {
        let (ring, room, millis) = match self.config.flush_queue() {
            FlushQueue::None => return self.free_fast(machine, cpu, pfn, pages),
            FlushQueue::PerCpu => (cpu, 255, 10),
            FlushQueue::Single => (0, 32767, 1000),
        };
        let room = room + usize::from(self.bug == Some(Bug::RingOneMore));
        self.free_flushed(machine, ring, cpu);
        if self.rings[ring].len() == room {
            self.flush_queue();
            if self.bug != Some(Bug::FullRingKeeps) {
                self.free_flushed(machine, ring, cpu);
            }
        }
        let flush = self.flushes_started;
        self.rings[ring].push_back(Waiting { pfn, pages, flush });
        if !self.timer_on {
            self.timer_on = true;
            let domain = self.number;
            machine.schedule(millis, Work::FlushTimer { domain, cpu });
        }
    }

    fn flush_queue(&mut self) {
        self.flushes_started += 1;
        self.flushes_finished += 1;
    }

    /// Frees, on `cpu`, what waits in a ring for a flush that is over.
    fn free_flushed(&mut self, machine: &mut Machine, ring: usize, cpu: usize) {
        while let Some(&head) = self.rings[ring].front() {
            if head.flush >= self.flushes_finished {
                break;
            }
            self.rings[ring].pop_front();
            self.free_fast(machine, cpu, head.pfn, head.pages);
        }
    }

    pub(crate) fn flush_timer(&mut self, machine: &mut Machine, started_on: usize) {
        self.timer_on = false;
        self.flush_queue();
        let cpu = if self.bug == Some(Bug::TimerOnFirstCpu) {
            0
        } else if machine.online[started_on] {
            started_on
        } else {
            machine.online().next().unwrap_or(started_on)
        };
        for ring in 0..self.rings.len() {
            self.free_flushed(machine, ring, cpu);
        }
    }

    pub(crate) fn reserve(&mut self, machine: &mut Machine, lo: u64, hi: u64) {
        let highest = u64::MAX / self.config.granule().bytes();
        if lo > highest || hi > highest {
            return;
        }
        if let Some((lo, hi)) = self.space.reserve_over(lo, hi)
            && !machine.fails(Memory::Iova)
        {
            self.space.insert_reserved(lo, hi);
        }
    }

    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        self.pairs.fill_with(Default::default);
        self.depots = Default::default();
        self.space.restore(snapshot);
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    /// Order and pfn of all that is in magazines, in no order.
    pub(crate) fn in_magazines(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let pairs = self
            .pairs
            .iter()
            .flat_map(|orders| orders.iter().enumerate());
        pairs.flat_map(|(order, pair)| {
            let pfns = pair.loaded.iter().chain(&pair.prev);
            pfns.map(move |&pfn| (order, pfn))
        })
    }

    /// Order and pfn of all that is in depots, in no order.
    pub(crate) fn in_depots(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let depots = self.depots.iter().enumerate();
        depots.flat_map(|(order, depot)| depot.iter().flatten().map(move |&pfn| (order, pfn)))
    }

    /// Pfn and pages of all that waits in the flush queue, in no order.
    pub(crate) fn queued(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.rings.iter().flatten().map(|it| (it.pfn, it.pages))
    }
}
