//! Drives an allocator with requests on virtual time.
//!
//! [`Replay::apply`] is the one step that everything else repeats: first whatever was due by
//! then, in the order of when it was due, then the request itself. What came of it is the
//! answer; what it broke is among the [`Findings`]. Observers look at the replay between steps.

mod audit;
mod findings;
mod lives;
mod request;

pub use crate::op::{Device, Slot};
use audit::Audit;
pub use findings::{Finding, Findings, Found};
pub use lives::{Life, Lives, Route};
pub use request::{Dom, Request};

use crate::kernel::agenda::Work;
use crate::kernel::allocator::Kind;
use crate::kernel::dma;
use crate::kernel::domain::{Answer, Domain, Refusal};
use crate::kernel::machine::Machine;
use crate::kernel::{Change, DomainConfig};
use crate::op::{Op, Path};
use crate::units::{Cpu, Nanos, Pages, Pfn};

/// One allocator in the middle of a trace.
#[derive(Clone, Debug)]
pub struct Replay {
    config: DomainConfig,
    machine: Machine,
    domains: Vec<Domain>,
    audits: Vec<Option<Audit>>,
    devices: Vec<dma::Device>,
    lives: Lives,
    findings: Findings,
    applied: u64,
    frees_of_failed: u64,
}

/// The kernel would be undone: the replay ends before this event's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The event's number, from 0.
    pub event: u64,
    pub finding: Finding,
}

/// What a request for addresses asked, to check the answer against.
#[derive(Clone, Copy)]
struct Promise {
    pages: Pages,
    limit: Pfn,
    aligned: bool,
}

impl Replay {
    /// A machine with `cpus` CPUs and domains of one kind, which appear as they are asked.
    pub fn new(config: DomainConfig, cpus: u32) -> Replay {
        Replay {
            config,
            machine: Machine::new(cpus),
            domains: Vec::new(),
            audits: Vec::new(),
            devices: Vec::new(),
            lives: Lives::default(),
            findings: Findings::default(),
            applied: 0,
            frees_of_failed: 0,
        }
    }

    /// Runs what is due and then one request. Gives an answer to requests for addresses.
    ///
    /// # Errors
    ///
    /// Where the kernel would be undone. The state means nothing then.
    pub fn apply(&mut self, request: &Request) -> Result<Option<Answer>, Undone> {
        while self.domains.len() <= request.dom.0 as usize {
            let number = u32::try_from(self.domains.len()).unwrap_or(u32::MAX);
            self.domains.push(Domain::new(number, &self.config));
            self.audits.push(None);
        }
        self.run_due(request.at);
        self.check_undone()?;
        self.machine.now = request.at;
        let answer = self.ask(request);
        self.check_undone()?;
        if answer.is_some_and(|answer| answer.result == Err(Refusal::Endless)) {
            return Err(self.undone(Finding::EndlessSearch));
        }
        self.applied += 1;
        Ok(answer)
    }

    fn run_due(&mut self, now: Nanos) {
        while let Some((due, work)) = self.machine.agenda.pop_due(now) {
            self.machine.now = due;
            match work {
                Work::ReclaimDepot { domain, order } => {
                    self.domains[domain as usize].reclaim_depot(&mut self.machine, order);
                }
                Work::FlushTimer { domain, cpu } => {
                    self.domains[domain as usize].flush_timer(&mut self.machine, cpu);
                }
            }
        }
    }

    fn check_undone(&mut self) -> Result<(), Undone> {
        let can_dangle = !self.config.rules().has(Change::StaleCached32);
        if can_dangle && self.domains.iter().any(|domain| domain.space().dangling()) {
            return Err(self.undone(Finding::UseAfterFree));
        }
        Ok(())
    }

    fn undone(&mut self, finding: Finding) -> Undone {
        let event = self.applied;
        self.findings.add(Found {
            finding,
            event,
            range: None,
            other: None,
        });
        Undone { event, finding }
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
                let (answer, route, aligned) = match path {
                    Path::Fast { flush } => {
                        let answer = domain.alloc_fast(machine, cpu, pages, limit, flush);
                        (answer, Route::Fast, true)
                    }
                    Path::Direct { align } => {
                        let answer = domain.alloc_direct(machine, pages, limit, align);
                        (answer, Route::Direct, align)
                    }
                };
                let promise = Promise {
                    pages,
                    limit,
                    aligned,
                };
                self.begin(slot, dom, route, promise, answer);
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
                let (answer, pages) = dma::map(&self.config, domain, machine, cpu, device, map);
                let limit = self.config.granule().limit(mask);
                let promise = Promise {
                    pages,
                    limit,
                    aligned: true,
                };
                self.begin(slot, dom, Route::Mapped, promise, answer);
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
                domain.reserve(machine, range);
                // A reservation there merges live ranges, which are then freed together.
                if self.config.rules().kind() == Kind::Maple {
                    self.begin_audit(dom);
                }
                None
            }
            Op::FreePfn { pfn } => {
                if domain.free_direct(pfn) {
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
                self.machine.shortage.add(what, count);
                None
            }
        }
    }

    fn begin(&mut self, slot: Slot, dom: Dom, route: Route, promise: Promise, answer: Answer) {
        let succeeded = answer.result.is_ok();
        let pfn = answer.result.unwrap_or(Pfn(0));
        if succeeded {
            self.check_promise(slot, dom, pfn, promise);
        }
        let life = Life {
            pfn,
            pages: promise.pages,
            dom,
            route,
            succeeded,
            live: true,
        };
        self.lives.begin(slot, life);
    }

    fn check_promise(&mut self, slot: Slot, dom: Dom, pfn: Pfn, promise: Promise) {
        let Promise {
            pages,
            limit,
            aligned,
        } = promise;
        let alignment = self.config.rules().alignment(self.config.granule());
        let order = alignment.order_of(pages).unwrap_or(0);
        let misaligned = pfn.0 & ((1 << order) - 1) != 0;
        let end = pfn.0.checked_add(pages.0 - 1);
        let mut find = |finding, other| {
            let range = Some((pfn, pages));
            self.findings.add(Found {
                finding,
                event: self.applied,
                range,
                other,
            });
        };
        if pfn < self.config.start_pfn() {
            find(Finding::BelowStart, None);
        }
        if end.is_none_or(|end| end > limit.0) {
            find(Finding::AboveLimit, None);
        }
        if aligned && misaligned {
            find(Finding::Misaligned, None);
        }
        if let Some(audit) = &mut self.audits[dom.0 as usize] {
            if let Some((finding, other)) = audit.collision(pfn, pages) {
                find(finding, Some(other));
            }
            audit.hold(slot, pfn, pages);
        }
    }

    fn end(&mut self, cpu: Cpu, slot: Slot) {
        let life = self.lives.end(slot);
        if !life.succeeded {
            self.frees_of_failed += 1;
            return;
        }
        if let Some(audit) = &mut self.audits[life.dom.0 as usize] {
            audit.release(slot, life.pfn);
        }
        let rounds = self.config.rules().has(Change::RoundInFast);
        if life.route == Route::Fast && !rounds && !life.pages.0.is_power_of_two() {
            self.begin_audit(life.dom);
        }
        self.give_back(cpu, life);
    }

    fn double_free(&mut self, cpu: Cpu, slot: Slot) {
        let life = self.lives.get(slot);
        if life.succeeded {
            self.begin_audit(life.dom);
            self.give_back(cpu, life);
        }
    }

    fn give_back(&mut self, cpu: Cpu, life: Life) {
        let domain = &mut self.domains[life.dom.0 as usize];
        match life.route {
            Route::Fast => domain.free_fast(&mut self.machine, cpu, life.pfn, life.pages),
            Route::Mapped => domain.unmap(&mut self.machine, cpu, life.pfn, life.pages),
            Route::Direct => {
                domain.free_direct(life.pfn);
            }
        }
    }

    /// From now on live ranges of this domain may overlap.
    fn begin_audit(&mut self, dom: Dom) {
        let audit = &mut self.audits[dom.0 as usize];
        if audit.is_none() {
            let mut fresh = Audit::default();
            for (slot, life) in self.lives.holding().filter(|(_, life)| life.dom == dom) {
                fresh.hold(slot, life.pfn, life.pages);
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
    pub fn lives(&self) -> &Lives {
        &self.lives
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Whether every range of a domain has had one holder since the domain was made: a caller,
    /// a cache entry or a flush-queue entry, or nobody that is known. So the size class of an
    /// entry tells its range's size.
    pub fn has_single_holders(&self, dom: Dom) -> bool {
        self.audits[dom.0 as usize].is_none()
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
