//! A domain: its address space, the per-CPU caches above it, and its flush queue.
//!
//! The kernel's `alloc_iova_fast` and `free_iova_fast`, the flush of the caches, CPUs that go
//! offline, delayed work and the flush queue's timer.

use super::agenda::Work;
use super::allocator::Rules;
use super::caches::{self, Caches, Put};
use super::changes::Change;
use super::config::{DomainConfig, Memory, Snapshot};
use super::design::{AddressSpace, Design, Search, State, Verdict};
use super::flush_queue::{Entry, Rings};
use super::machine::Machine;
use super::tally::Tally;
use crate::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

/// How long a depot's delayed work is put off.
const DEPOT_DELAY_MILLIS: u64 = 100;

/// One IOVA domain.
#[derive(Clone, Debug)]
pub struct Domain {
    number: u32,
    rules: Rules,
    design: Design,
    caches: Caches,
    rings: Option<Rings>,
    reclaim_pending: [bool; caches::ORDERS],
    tally: Tally,
}

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The lowest pfn handed out, or why there is none.
    pub result: Result<Pfn, Refusal>,
    /// How many ranges the backward searches examined, all tries and passes together.
    pub steps: u64,
}

/// Why a request was refused, as its last try has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// By the short cut, without a search.
    Shortcut,
    /// A search found no place.
    NoPlace,
    /// There was no memory for the range's record.
    NoMemory,
    /// The place found was pfn 0, which the fast path takes for failure; the range stays.
    PfnZero,
    /// The kernel would search for ever.
    Endless,
}

impl Domain {
    /// An empty domain; `number` is what its delayed work is known by.
    pub fn new(number: u32, config: &DomainConfig) -> Domain {
        Domain {
            number,
            rules: config.rules(),
            design: Design::new(config),
            caches: Caches::new(config.rules()),
            rings: Rings::new(config.flush_queue()),
            reclaim_pending: [false; caches::ORDERS],
            tally: Tally::default(),
        }
    }

    /// `alloc_iova_fast`: through the caches, aligned.
    pub fn alloc_fast(
        &mut self,
        machine: &mut Machine,
        cpu: Cpu,
        pages: Pages,
        limit: Pfn,
        flush: bool,
    ) -> Answer {
        let rounds = self.rules.has(Change::RoundInFast);
        let size = if rounds { round_small(pages) } else { pages };
        if let Some(pfn) = self.take_cached(cpu, size, limit) {
            return Answer {
                result: Ok(pfn),
                steps: 0,
            };
        }
        let mut answer = self.alloc_direct(machine, size, limit, true);
        if answer.result.is_err() && flush && answer.result != Err(Refusal::Endless) {
            self.flush_caches(machine);
            if self.rules.has(Change::ResetOnRetry) {
                self.design.space_mut().reset_max32();
            }
            let second = self.alloc_direct(machine, size, limit, true);
            self.tally.flushes_of_caches += 1;
            self.tally.flushes_that_helped += u64::from(second.result.is_ok());
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

    fn take_cached(&mut self, cpu: Cpu, size: Pages, limit: Pfn) -> Option<Pfn> {
        let order = caches::order_of(size)?;
        let highest = Pfn(limit.0.wrapping_add(1).wrapping_sub(size.0));
        let taken = self.caches.take(cpu, order, highest);
        match taken {
            Some(taken) => {
                self.tally.cache_hits += 1;
                self.tally.depot_refills += u64::from(taken.refilled);
            }
            None => self.tally.cache_misses += 1,
        }
        taken.map(|taken| taken.pfn)
    }

    /// `alloc_iova`: straight from the tree.
    pub fn alloc_direct(
        &mut self,
        machine: &mut Machine,
        size: Pages,
        limit: Pfn,
        aligned: bool,
    ) -> Answer {
        if machine.shortage.strikes(Memory::Iova) {
            return Answer {
                result: Err(Refusal::NoMemory),
                steps: 0,
            };
        }
        let Search {
            verdict,
            steps,
            second_pass,
        } = self.design.space_mut().alloc(size, limit, aligned);
        let result = match verdict {
            Verdict::At(pfn) => Ok(pfn),
            Verdict::Shortcut => Err(Refusal::Shortcut),
            Verdict::NoPlace => Err(Refusal::NoPlace),
            Verdict::Endless => Err(Refusal::Endless),
        };
        self.tally.searches += u64::from(verdict != Verdict::Shortcut);
        self.tally.second_passes += u64::from(second_pass);
        self.tally.second_passes_that_found += u64::from(second_pass && result.is_ok());
        Answer { result, steps }
    }

    /// `free_iova_fast`: into the caches where there is room.
    pub fn free_fast(&mut self, machine: &mut Machine, cpu: Cpu, pfn: Pfn, pages: Pages) {
        let Some(order) = caches::order_of(pages) else {
            self.design.space_mut().free(pfn);
            return;
        };
        let shortage = &mut machine.shortage;
        match self
            .caches
            .put(cpu, order, pfn, || shortage.strikes(Memory::Magazine))
        {
            Put::Kept => {}
            Put::IntoDepot => self.schedule_reclaim(machine, order),
            Put::Overflow(magazine) => {
                self.tally.magazines_returned += 1;
                self.free_all(magazine);
            }
            Put::NoMagazine => {
                self.design.space_mut().free(pfn);
            }
        }
    }

    /// `free_iova`: the range that contains `pfn`, straight to the tree. True if there was one.
    pub fn free_direct(&mut self, pfn: Pfn) -> bool {
        self.design.space_mut().free(pfn)
    }

    /// Returns pfns to the tree. One that is no longer in it is skipped, as the kernel does.
    fn free_all(&mut self, pfns: impl IntoIterator<Item = Pfn>) {
        for pfn in pfns {
            self.design.space_mut().free(pfn);
        }
    }

    fn flush_caches(&mut self, machine: &Machine) {
        for index in 0..machine.online.possible() {
            let cpu = Cpu(u16::try_from(index).unwrap_or(u16::MAX));
            if machine.online.has(cpu) {
                let pfns = self.caches.drain_cpu(cpu);
                self.free_all(pfns);
            }
        }
        if self.rules.has(Change::FlushDepot) {
            let pfns = self.caches.drain_depots();
            self.free_all(pfns);
        }
    }

    fn schedule_reclaim(&mut self, machine: &mut Machine, order: usize) {
        if !self.rules.has(Change::DepotReclaim) || self.reclaim_pending[order] {
            return;
        }
        self.reclaim_pending[order] = true;
        let due = machine.now.after_millis(DEPOT_DELAY_MILLIS);
        let order = u8::try_from(order).expect("there are six orders");
        machine.agenda.schedule(
            due,
            Work::ReclaimDepot {
                domain: self.number,
                order,
            },
        );
    }

    /// A depot's delayed work, at `machine.now`.
    pub fn reclaim_depot(&mut self, machine: &mut Machine, order: u8) {
        let order = usize::from(order);
        self.reclaim_pending[order] = false;
        if let Some(magazine) = self.caches.take_surplus(order, machine.online.count()) {
            self.tally.magazines_returned += 1;
            self.free_all(magazine);
            self.schedule_reclaim(machine, order);
        }
    }

    /// A CPU has gone offline.
    pub fn cpu_dead(&mut self, cpu: Cpu) {
        if self.rules.has(Change::HotplugFlush) {
            let pfns = self.caches.drain_cpu(cpu);
            self.free_all(pfns);
        }
    }

    /// Frees what the DMA layer unmaps: at once, or through the flush queue.
    pub fn unmap(&mut self, machine: &mut Machine, cpu: Cpu, pfn: Pfn, pages: Pages) {
        let Some(mut rings) = self.rings.take() else {
            self.free_fast(machine, cpu, pfn, pages);
            return;
        };
        self.free_ripe(machine, cpu, rings.take_ripe(cpu));
        if rings.is_full(cpu) {
            rings.flush();
            self.tally.queue_flushes_full += 1;
            self.free_ripe(machine, cpu, rings.take_ripe(cpu));
        }
        let length = rings.push(cpu, pfn, pages, machine.now);
        self.tally.queue_fullest = self.tally.queue_fullest.max(length as u64);
        if let Some(due) = rings.start_timer(machine.now) {
            machine.agenda.schedule(
                due,
                Work::FlushTimer {
                    domain: self.number,
                    cpu,
                },
            );
        }
        self.rings = Some(rings);
    }

    /// The flush queue's timer, at `machine.now`. It frees on the CPU that started it, or on
    /// the lowest one online.
    pub fn flush_timer(&mut self, machine: &mut Machine, started_on: Cpu) {
        let stays = machine.online.has(started_on);
        let cpu = if stays {
            Some(started_on)
        } else {
            machine.online.lowest()
        };
        let ripe = self.rings.as_mut().map(|rings| {
            rings.timer_fired();
            rings.take_all_ripe()
        });
        if let (Some(ripe), Some(cpu)) = (ripe, cpu) {
            self.tally.queue_flushes_by_timer += 1;
            self.free_ripe(machine, cpu, ripe);
        }
    }

    fn free_ripe(&mut self, machine: &mut Machine, cpu: Cpu, ripe: Vec<Entry>) {
        for entry in ripe {
            let waited = Nanos(machine.now.0 - entry.since.0);
            self.tally.queue_longest_wait = self.tally.queue_longest_wait.max(waited);
            self.free_fast(machine, cpu, entry.pfn, entry.pages);
        }
    }

    /// `reserve_iova`. A refused reservation takes no memory, nor does one that ranges were
    /// extended over.
    pub fn reserve(&mut self, machine: &mut Machine, range: PfnRange) {
        if let Some(rest) = self.design.space_mut().reserve_over(range)
            && !machine.shortage.strikes(Memory::Iova)
        {
            self.design.space_mut().insert_reserved(rest);
        }
    }

    /// Replaces the tree and empties the caches. Delayed work stays pending, and what waits in
    /// the flush queue stays there.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.design.space_mut().restore(snapshot);
        self.caches.clear();
    }

    pub fn space(&self) -> &dyn AddressSpace {
        self.design.space()
    }

    /// What an outcome tells of the state.
    pub fn state(&self) -> State {
        self.space().state()
    }

    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// What waits in the flush queue.
    pub fn queued(&self) -> impl Iterator<Item = &Entry> + '_ {
        self.rings.iter().flat_map(Rings::entries)
    }

    /// What was counted so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The rounding of small sizes to a power of two, so that freed ranges fit the caches.
pub fn round_small(pages: Pages) -> Pages {
    let largest_cached = 1 << (caches::ORDERS - 1);
    if pages.0 < largest_cached {
        Pages(pages.0.next_power_of_two())
    } else {
        pages
    }
}
