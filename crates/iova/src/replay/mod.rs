//! Drives an allocator with requests on virtual time.
//!
//! [`Replay::apply`] is the one step that everything else repeats: first whatever was due by
//! then, in the order of when it was due, then the request itself. The replay gives its
//! answer, and keeps what it broke among the [`Violations`]. Observers look at the replay between steps.

mod allocations;
mod audit;
mod request;
mod violations;

pub use crate::op::{Device, Slot};
pub use allocations::{Allocation, AllocationTable, Route};
use audit::Audit;
pub use request::{Dom, Request};
pub use violations::{Violation, ViolationKind, Violations};

use crate::kernel::dma;
use crate::kernel::machine::Machine;
use crate::kernel::rbtree::Alignment;
use crate::kernel::timer::Work;
use crate::kernel::{Answer, Asked, Domain, DomainConfig, Refusal};
use crate::op::{Op, Path};
use crate::units::{Cpu, Nanos, Pages, Pfn};

/// One allocator in the middle of a trace.
#[derive(Clone, Debug)]
pub struct Replay {
    config: DomainConfig,
    alignment: Alignment,
    machine: Machine,
    domains: Vec<Domain>,
    audits: Vec<Option<Audit>>,
    devices: Vec<dma::Device>,
    allocations: AllocationTable,
    violations: Violations,
    applied: u64,
    frees_of_failed: u64,
}

/// The kernel would crash or hang: the replay ends before this event's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// The event's number, from 0.
    pub event: u64,
    pub kind: ViolationKind,
}

impl Replay {
    /// A machine with `cpus` CPUs and domains of one kind, which appear as they are asked.
    pub fn new(config: DomainConfig, cpus: u32) -> Replay {
        Replay {
            config,
            alignment: config.rules().alignment(config.granule()),
            machine: Machine::new(cpus),
            domains: Vec::new(),
            audits: Vec::new(),
            devices: Vec::new(),
            allocations: AllocationTable::default(),
            violations: Violations::default(),
            applied: 0,
            frees_of_failed: 0,
        }
    }

    /// Runs what is due and then one request. Gives an answer to requests for addresses.
    ///
    /// # Errors
    ///
    /// Where the kernel would crash or hang. The state means nothing then.
    pub fn apply(&mut self, request: &Request) -> Result<Option<Answer>, Aborted> {
        while self.domains.len() <= request.dom.0 as usize {
            let number = u32::try_from(self.domains.len()).unwrap_or(u32::MAX);
            self.domains.push(Domain::new(number, &self.config));
            self.audits.push(None);
        }
        self.run_due(request.at)?;
        self.machine.now = request.at;
        let answer = self.ask(request);
        match request.op {
            Op::CpuDead => (0..self.domains.len()).try_for_each(|it| self.check_crash(it))?,
            _ => self.check_crash(request.dom.0 as usize)?,
        }
        let result = answer.as_ref().map(|answer| answer.result);
        if result == Some(Err(Refusal::Endless)) {
            return Err(self.abort(ViolationKind::EndlessSearch));
        }
        self.applied += 1;
        Ok(answer)
    }

    fn run_due(&mut self, now: Nanos) -> Result<(), Aborted> {
        while let Some((due, work)) = self.machine.timers.pop_due(now) {
            self.machine.now = due;
            let (Work::ReclaimDepot { domain, .. } | Work::FlushTimer { domain, .. }) = work;
            match work {
                Work::ReclaimDepot { domain, order } => {
                    self.domains[domain as usize].reclaim_depot(&mut self.machine, order);
                }
                Work::FlushTimer { domain, cpu } => {
                    self.domains[domain as usize].flush_timer(&mut self.machine, cpu);
                }
            }
            self.check_crash(domain as usize)?;
        }
        Ok(())
    }

    /// Only a domain that was asked something can have crashed.
    fn check_crash(&mut self, domain: usize) -> Result<(), Aborted> {
        match self.domains[domain].crash() {
            None => Ok(()),
            Some(_) => Err(self.abort(ViolationKind::UseAfterFree)),
        }
    }

    fn abort(&mut self, kind: ViolationKind) -> Aborted {
        let event = self.applied;
        self.violations.add(Violation {
            kind,
            event,
            range: None,
            other: None,
        });
        Aborted { event, kind }
    }

    fn ask(&mut self, request: &Request) -> Option<Answer> {
        let Request { cpu, dom, .. } = *request;
        let domain = &mut self.domains[dom.0 as usize];
        let machine = &mut self.machine;
        match request.op {
            Op::Alloc {
                id: slot,
                pages,
                limit,
                path,
                ..
            } => {
                let (answer, route) = match path {
                    Path::Fast { flush } => {
                        let answer = domain.alloc_iova_fast(machine, cpu, pages, limit, flush);
                        (answer, Route::Fast)
                    }
                    Path::Direct { align: aligned } => {
                        let size = pages;
                        let asked = Asked {
                            size,
                            limit,
                            aligned,
                        };
                        (domain.alloc_iova(machine, asked), Route::Direct)
                    }
                };
                self.begin(slot, dom, route, pages, &answer);
                Some(answer)
            }
            Op::Map {
                id: slot,
                bytes,
                mask,
                dev: device,
                pci,
                ..
            } => {
                let device = known_device(&mut self.devices, device, pci);
                let map = dma::Map { bytes, mask };
                let (answer, pages) =
                    dma::iommu_dma_alloc_iova(&self.config, domain, machine, cpu, device, map);
                self.begin(slot, dom, Route::Mapped, pages, &answer);
                Some(answer)
            }
            Op::Free { id: slot } | Op::Unmap { id: slot } => {
                self.end(cpu, slot);
                None
            }
            Op::DoubleFree { id: slot } => {
                self.double_free(cpu, slot);
                None
            }
            Op::Reserve { range } => {
                domain.reserve_iova(machine, range);
                // A reservation there merges live ranges, which are then freed together.
                if domain.space().merges_reservations() {
                    self.begin_audit(dom);
                }
                None
            }
            Op::FreePfn { pfn } => {
                if domain.free_iova(pfn) {
                    self.begin_audit(dom);
                }
                None
            }
            Op::CpuDead => {
                self.machine.online.set(cpu, false);
                self.domains
                    .iter_mut()
                    .for_each(|domain| domain.cpu_dead(cpu));
                None
            }
            Op::CpuUp => {
                self.machine.online.set(cpu, true);
                None
            }
            Op::Restore { ref snapshot } => {
                domain.restore(snapshot);
                self.begin_audit(dom);
                None
            }
            Op::NoMem { what, count } => {
                self.machine.faults.add(what, count);
                None
            }
        }
    }

    fn begin(&mut self, slot: Slot, dom: Dom, route: Route, pages: Pages, answer: &Answer) {
        if self.domains[dom.0 as usize].has_short_ranges() {
            self.begin_audit(dom);
        }
        let succeeded = answer.result.is_ok();
        let allocation = Allocation {
            pfn: answer.result.unwrap_or(Pfn(0)),
            pages,
            dom,
            route,
            succeeded,
            live: true,
        };
        if succeeded {
            self.check(slot, allocation, &answer.asked);
        }
        self.allocations.alloc(slot, allocation);
    }

    /// Checks a new range against the request, and against the live ranges of its domain.
    fn check(&mut self, slot: Slot, allocation: Allocation, asked: &Asked) {
        let Allocation {
            pfn, pages, dom, ..
        } = allocation;
        let order = self.alignment.order_of(pages).unwrap_or(0);
        let misaligned = pfn.0 & ((1 << order) - 1) != 0;
        let end = pfn.0.checked_add(pages.0 - 1);
        let mut report = |kind, other| {
            let range = Some((pfn, pages));
            self.violations.add(Violation {
                kind,
                event: self.applied,
                range,
                other,
            });
        };
        if pfn < self.config.start_pfn() {
            report(ViolationKind::BelowStart, None);
        }
        if end.is_none_or(|end| end > asked.limit.0) {
            report(ViolationKind::AboveLimit, None);
        }
        if asked.aligned && misaligned {
            report(ViolationKind::Misaligned, None);
        }
        if let Some(audit) = &mut self.audits[dom.0 as usize] {
            if let Some((kind, other)) = audit.collision(pfn, pages) {
                report(kind, Some(other));
            }
            audit.hold(slot, pfn, pages);
        }
    }

    fn end(&mut self, cpu: Cpu, slot: Slot) {
        let allocation = self.allocations.free(slot);
        if !allocation.succeeded {
            self.frees_of_failed += 1;
            return;
        }
        if let Some(audit) = &mut self.audits[allocation.dom.0 as usize] {
            audit.release(slot, allocation.pfn, allocation.pages);
        }
        self.give_back(cpu, allocation);
    }

    fn double_free(&mut self, cpu: Cpu, slot: Slot) {
        let allocation = self.allocations.get(slot);
        if allocation.succeeded {
            self.begin_audit(allocation.dom);
            self.give_back(cpu, allocation);
        }
    }

    fn give_back(&mut self, cpu: Cpu, allocation: Allocation) {
        let domain = &mut self.domains[allocation.dom.0 as usize];
        match allocation.route {
            Route::Fast => {
                domain.free_iova_fast(&mut self.machine, cpu, allocation.pfn, allocation.pages);
            }
            Route::Mapped => {
                let machine = &mut self.machine;
                dma::iommu_dma_free_iova(
                    domain,
                    machine,
                    cpu,
                    allocation.pfn,
                    allocation.pages,
                );
            }
            Route::Direct => {
                domain.free_iova(allocation.pfn);
            }
        }
    }

    /// From now on live ranges of this domain may overlap.
    fn begin_audit(&mut self, dom: Dom) {
        let audit = &mut self.audits[dom.0 as usize];
        if audit.is_none() {
            let mut fresh = Audit::default();
            for (slot, allocation) in self.allocations.held().filter(|(_, it)| it.dom == dom) {
                fresh.hold(slot, allocation.pfn, allocation.pages);
            }
            *audit = Some(fresh);
        }
    }

    /// What all domains are like.
    pub fn config(&self) -> &DomainConfig {
        &self.config
    }

    /// The domains, in the order of first mention.
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// What each allocation got.
    pub fn allocations(&self) -> &AllocationTable {
        &self.allocations
    }

    /// The invariants that the allocator broke so far.
    pub fn violations(&self) -> &Violations {
        &self.violations
    }

    /// Whether the order of a cached or queued entry tells its range's size: every range of the
    /// domain has had one holder since the domain was made (a caller, a cache entry, a flush-queue
    /// entry, or nobody that is known), and each was rounded to its order.
    pub fn entries_tell_sizes(&self, dom: Dom) -> bool {
        let dom = dom.0 as usize;
        self.audits[dom].is_none() && !self.domains[dom].caches_mix_sizes()
    }

    /// How many requests were applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// How many ids were freed whose request had failed.
    pub fn frees_of_failed(&self) -> u64 {
        self.frees_of_failed
    }
}

/// The state of a device; a new one is a PCI device if its first `map` says so.
fn known_device(devices: &mut Vec<dma::Device>, device: Device, pci: bool) -> &mut dma::Device {
    let index = device.0 as usize;
    while devices.len() <= index {
        devices.push(dma::Device::new(pci));
    }
    &mut devices[index]
}
