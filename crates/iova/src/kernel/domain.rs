//! A domain: its address space, the per-CPU caches above it, and its flush queue.
//!
//! The kernel's `alloc_iova_fast()` and `free_iova_fast()`, the flush of the caches, CPUs that go
//! offline, delayed work and the flush queue's timer.

use super::address_space::{AddressSpace, Asked, Crash, Refusal, Search, Snapshot, State};
use super::changes::Change;
use super::config::DomainConfig;
use super::counters::Counters;
use super::design;
use super::flush_queue::{Entry, Rings};
use super::machine::{Machine, Memory};
use super::rcache::{self, Put, Rcache};
use super::rules::Rules;
use super::timer::Work;
use crate::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

/// The delay of a depot's work (`IOVA_DEPOT_DELAY`).
const DEPOT_DELAY_MILLIS: u64 = 100;

/// One IOVA domain.
#[derive(Clone, Debug)]
pub struct Domain {
    number: u32,
    rules: Rules,
    space: Box<dyn AddressSpace>,
    rcache: Rcache,
    rings: Option<Rings>,
    reclaim_pending: [bool; rcache::ORDERS],
    counters: Counters,
    crash: Option<Crash>,
    /// The smallest range that the cache of each order may hold, while the layer that rounds
    /// leaves some unrounded.
    smallest: [Pages; rcache::ORDERS],
    short_range: bool,
    changes: u64,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The lowest pfn handed out, or why there is none.
    pub result: Result<Pfn, Refusal>,
    /// What the last try asked of the address space.
    pub asked: Asked,
    /// How many ranges the backward searches examined, all tries and passes together.
    pub steps: u64,
}

/// The layer that rounds small sizes up to a power of two, so that freed ranges fit the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// `alloc_iova_fast()`, for every caller.
    InFastPath,
    /// `iommu_dma_alloc_iova()`: other callers can free ranges of one size into the cache of
    /// another.
    InDmaLayer,
}

impl Rounding {
    /// That of an allocator (`round-in-fast`, 972bf252f860).
    #[inline]
    pub(super) fn of(rules: Rules) -> Rounding {
        if rules.has(Change::RoundInFast) {
            Rounding::InFastPath
        } else {
            Rounding::InDmaLayer
        }
    }

    /// A size as the fast path asks the caches for it.
    #[inline]
    fn in_fast_path(self, pages: Pages) -> Pages {
        match self {
            Rounding::InFastPath => round_small(pages),
            Rounding::InDmaLayer => pages,
        }
    }

    /// A size as the DMA layer hands it down.
    pub(super) fn in_dma_layer(self, pages: Pages) -> Pages {
        match self {
            Rounding::InFastPath => pages,
            Rounding::InDmaLayer => round_small(pages),
        }
    }
}

impl Domain {
    /// An empty domain; its delayed work is known by `number`.
    pub fn new(number: u32, config: &DomainConfig) -> Domain {
        let rules = config.rules();
        Domain {
            number,
            rules,
            space: design::address_space(rules, config.granule(), config.start_pfn()),
            rcache: Rcache::new(rules),
            rings: Rings::new(config.flush_queue()),
            reclaim_pending: [false; rcache::ORDERS],
            counters: Counters::default(),
            crash: None,
            smallest: std::array::from_fn(|order| Pages(1 << order)),
            short_range: false,
            changes: 0,
        }
    }

    /// `alloc_iova_fast()`: through the caches, aligned.
    pub fn alloc_iova_fast(
        &mut self,
        machine: &mut Machine,
        cpu: Cpu,
        pages: Pages,
        limit: Pfn,
        flush: bool,
    ) -> Answer {
        let asked = Asked {
            size: Rounding::of(self.rules).in_fast_path(pages),
            limit,
            aligned: true,
        };
        if let Some(pfn) = self.iova_rcache_get(cpu, asked) {
            return Answer {
                result: Ok(pfn),
                asked,
                steps: 0,
            };
        }
        let mut answer = self.alloc_iova(machine, asked);
        if answer.result.is_err() && flush && answer.result != Err(Refusal::Endless) {
            self.flush_rcache(machine);
            if self.rules.has(Change::ResetOnRetry) {
                self.space.reset_max32();
            }
            let second = self.alloc_iova(machine, asked);
            self.counters.flushes_of_caches += 1;
            self.counters.flushes_that_helped += u64::from(second.result.is_ok());
            answer = Answer {
                steps: answer.steps + second.steps,
                ..second
            };
        }
        if answer.result == Ok(Pfn(0)) {
            answer.result = Err(Refusal::PfnZero);
        }
        answer
    }

    /// `iova_rcache_get()`: a range from a magazine, if its size is cached.
    #[inline]
    fn iova_rcache_get(&mut self, cpu: Cpu, asked: Asked) -> Option<Pfn> {
        let order = rcache::order_of(asked.size)?;
        let highest = Pfn(asked.limit.0.wrapping_add(1).wrapping_sub(asked.size.0));
        let taken = self.rcache.get(cpu, order, highest);
        let Some(taken) = taken else {
            self.counters.cache_misses += 1;
            return None;
        };
        self.counters.cache_hits += 1;
        self.counters.depot_refills += u64::from(taken.refilled);
        self.changes += 1;
        if asked.size > self.smallest[order] && !self.short_range {
            self.short_range = self.is_shorter(taken.pfn, asked.size);
        }
        Some(taken.pfn)
    }

    /// Whether the range at `pfn` has less than `size` pages.
    #[cold]
    fn is_shorter(&self, pfn: Pfn, size: Pages) -> bool {
        let ranges = self.space.ranges();
        let found = ranges.find(pfn);
        found.is_some_and(|id| ranges.hi(id).0 - pfn.0 < size.0 - 1)
    }

    /// `alloc_iova()`: straight from the tree.
    pub fn alloc_iova(&mut self, machine: &mut Machine, asked: Asked) -> Answer {
        if machine.faults.should_fail(Memory::Iova) {
            return Answer {
                result: Err(Refusal::NoMemory),
                asked,
                steps: 0,
            };
        }
        let Search {
            result,
            steps,
            second_pass,
        } = self.space.alloc(asked);
        self.changes += u64::from(result.is_ok());
        self.counters.searches += u64::from(result != Err(Refusal::Shortcut));
        self.counters.second_passes += u64::from(second_pass);
        self.counters.second_passes_that_found += u64::from(second_pass && result.is_ok());
        Answer {
            result,
            asked,
            steps,
        }
    }

    /// `free_iova_fast()` by a caller that allocated `pages` by the fast path.
    pub fn free_iova_fast(&mut self, machine: &mut Machine, cpu: Cpu, pfn: Pfn, pages: Pages) {
        if Rounding::of(self.rules) == Rounding::InDmaLayer
            && let Some(order) = rcache::order_of(pages)
        {
            self.smallest[order] = self.smallest[order].min(pages);
        }
        self.free_rounded(machine, cpu, pfn, pages);
    }

    /// `free_iova_fast()` of a range that was rounded when it was allocated: into the caches where
    /// there is room.
    pub(super) fn free_rounded(
        &mut self,
        machine: &mut Machine,
        cpu: Cpu,
        pfn: Pfn,
        pages: Pages,
    ) {
        self.changes += 1;
        if !self.iova_rcache_insert(machine, cpu, pfn, pages) {
            self.free_iova(pfn);
        }
    }

    /// `iova_rcache_insert()`: false if the range must go back to the tree.
    #[inline]
    fn iova_rcache_insert(
        &mut self,
        machine: &mut Machine,
        cpu: Cpu,
        pfn: Pfn,
        pages: Pages,
    ) -> bool {
        let Some(order) = rcache::order_of(pages) else {
            return false;
        };
        let faults = &mut machine.faults;
        let no_memory = || faults.should_fail(Memory::Magazine);
        match self.rcache.insert(cpu, order, pfn, no_memory) {
            Put::Kept => {}
            Put::IntoDepot => self.schedule_reclaim(machine, order),
            Put::Overflow(pfns) => {
                self.counters.magazines_returned += 1;
                self.free_pfns(pfns);
            }
            Put::NoMagazine => return false,
        }
        true
    }

    /// Whether a cache may hold ranges shorter than those of its order. Then the order of an
    /// entry does not tell its size.
    pub fn caches_mix_sizes(&self) -> bool {
        let mut orders = self.smallest.iter().zip(0..);
        orders.any(|(smallest, order)| smallest.0 < 1 << order)
    }

    /// Whether a caller has got a range that is shorter than it asked for, or whose address was
    /// cut. Before that, no two callers share pages unless one frees what it does not hold.
    #[inline]
    pub fn has_short_ranges(&self) -> bool {
        self.short_range
    }

    /// A caller got an address that was cut.
    pub(super) fn cut_an_address(&mut self) {
        self.short_range = true;
    }

    /// Where the kernel has crashed: the domain's answers mean nothing from then on.
    #[inline]
    pub fn crash(&self) -> Option<Crash> {
        self.crash
    }

    /// A number that grows with every change of the tree, the caches and the flush queue.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// `free_iova()` and `__free_iova()`: the range that contains `pfn`, straight to the tree.
    /// True if there was one.
    pub fn free_iova(&mut self, pfn: Pfn) -> bool {
        self.changes += 1;
        self.space.free(pfn).unwrap_or_else(|crash| {
            self.crash = Some(crash);
            false
        })
    }

    /// `iova_magazine_free_pfns()`: returns pfns to the tree, and skips those that are no longer
    /// in it.
    fn free_pfns(&mut self, pfns: impl IntoIterator<Item = Pfn>) {
        for pfn in pfns {
            self.free_iova(pfn);
        }
    }

    /// The flush of the caches after a failure.
    fn flush_rcache(&mut self, machine: &Machine) {
        let online = |cpu: &Cpu| machine.online.has(*cpu);
        for cpu in self.rcache.cpus().into_iter().filter(online) {
            let pfns = self.rcache.free_cpu_cached_iovas(cpu);
            self.free_pfns(pfns);
        }
        if self.rules.has(Change::FlushDepot) {
            let pfns = self.rcache.free_global_cached_iovas();
            self.free_pfns(pfns);
        }
    }

    fn schedule_reclaim(&mut self, machine: &mut Machine, order: usize) {
        if !self.rules.has(Change::DepotReclaim) || self.reclaim_pending[order] {
            return;
        }
        self.reclaim_pending[order] = true;
        let due = machine.now.after_millis(DEPOT_DELAY_MILLIS);
        let order = u8::try_from(order).expect("there are six orders");
        let domain = self.number;
        let work = Work::ReclaimDepot { domain, order };
        machine.timers.schedule(due, work);
    }

    /// `iova_depot_work_func()`: a depot's delayed work, at `machine.now`.
    pub fn reclaim_depot(&mut self, machine: &mut Machine, order: u8) {
        let order = usize::from(order);
        self.reclaim_pending[order] = false;
        if let Some(pfns) = self.rcache.take_surplus(order, machine.online.count()) {
            self.counters.magazines_returned += 1;
            self.free_pfns(pfns);
            self.schedule_reclaim(machine, order);
        }
    }

    /// `iova_cpuhp_dead()`: a CPU has gone offline.
    pub fn cpu_dead(&mut self, cpu: Cpu) {
        if self.rules.has(Change::HotplugFlush) {
            let pfns = self.rcache.free_cpu_cached_iovas(cpu);
            self.free_pfns(pfns);
        }
    }

    /// Whether unmapped ranges go through a flush queue.
    pub fn is_lazy(&self) -> bool {
        self.rings.is_some()
    }

    /// `queue_iova()`: an unmapped range waits in the flush queue of a lazy domain. A strict
    /// domain ignores it.
    pub(super) fn queue_iova(
        &mut self,
        machine: &mut Machine,
        cpu: Cpu,
        pfn: Pfn,
        pages: Pages,
    ) {
        let Some(mut rings) = self.rings.take() else {
            return;
        };
        self.changes += 1;
        let now = machine.now;
        let queued = rings.queue_iova(cpu, (pfn, pages), now, |entry| {
            self.free_flushed(machine, cpu, &entry);
        });
        self.rings = Some(rings);
        self.counters.queue_flushes_full += u64::from(queued.flushed);
        self.counters.queue_fullest = self.counters.queue_fullest.max(queued.length as u64);
        if let Some(due) = queued.timer {
            let domain = self.number;
            let work = Work::FlushTimer { domain, cpu };
            machine.timers.schedule(due, work);
        }
    }

    /// `fq_flush_timeout()`: the flush queue's timer, at `machine.now`. It frees on the CPU that
    /// started it, or on the lowest one online.
    pub fn flush_timer(&mut self, machine: &mut Machine, started_on: Cpu) {
        let stays = machine.online.has(started_on).then_some(started_on);
        let Some(cpu) = stays.or_else(|| machine.online.lowest()) else {
            return;
        };
        if let Some(mut rings) = self.rings.take() {
            self.counters.queue_flushes_by_timer += 1;
            rings.fq_flush_timeout(|entry| self.free_flushed(machine, cpu, &entry));
            self.rings = Some(rings);
        }
    }

    fn free_flushed(&mut self, machine: &mut Machine, cpu: Cpu, entry: &Entry) {
        let waited = Nanos(machine.now.0 - entry.since.0);
        self.counters.queue_longest_wait = self.counters.queue_longest_wait.max(waited);
        self.free_rounded(machine, cpu, entry.pfn, entry.pages);
    }

    /// `reserve_iova()`. A refused reservation takes no memory, nor does one that ranges were
    /// extended over.
    pub fn reserve_iova(&mut self, machine: &mut Machine, range: PfnRange) {
        self.changes += 1;
        if let Some(rest) = self.space.reserve_over(range)
            && !machine.faults.should_fail(Memory::Iova)
        {
            self.space.insert_reserved(rest);
        }
    }

    /// Replaces the tree and empties the caches. Delayed work stays pending, and the flush queue
    /// keeps its entries.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.changes += 1;
        self.space.restore(snapshot);
        self.rcache.clear();
    }

    pub fn space(&self) -> &dyn AddressSpace {
        &*self.space
    }

    /// The state that outcome streams show.
    pub fn state(&self) -> State {
        self.space.state()
    }

    /// The per-CPU caches.
    pub fn rcache(&self) -> &Rcache {
        &self.rcache
    }

    /// The entries of the flush queue.
    pub fn queued(&self) -> impl Iterator<Item = &Entry> + '_ {
        self.rings.iter().flat_map(Rings::entries)
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// The rounding of small sizes to a power of two, so that freed ranges fit the caches.
pub fn round_small(pages: Pages) -> Pages {
    let largest_cached = 1 << (rcache::ORDERS - 1);
    if pages.0 < largest_cached {
        Pages(pages.0.next_power_of_two())
    } else {
        pages
    }
}
