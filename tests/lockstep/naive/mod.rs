//! The allocator once more, as naively as can be: a second reading of what the kernel does, to
//! hold the model against.
//!
//! Ranges are a sorted list, every search walks, every look-up scans. It shares with the model
//! only the vocabulary (requests, rules, refusals), so that a misreading on either side shows.
//! What it gives up is speed, and the red-black tree's shape: where that decides between two
//! numbers of steps it gives both.

mod best_fit;
pub(crate) mod bug;
mod domain;
mod machine;
mod maple;
mod space;
mod tree;

use std::collections::BTreeMap;

use iova::kernel::Refusal;
use iova::kernel::{Change, DomainConfig, Memory};
use iova::op::{Op, Path};
use iova::replay::{Device, Dom, Request, Route, Slot, ViolationKind};

use bug::Bug;
use domain::{Domain, round_small};
use machine::{Machine, Work};
pub(crate) use tree::Steps;
use tree::Tried;

#[derive(Clone, Copy, Debug)]
struct Life {
    pfn: u64,
    pages: u64,
    dom: Dom,
    route: Route,
    succeeded: bool,
    live: bool,
}

#[derive(Clone, Copy, Debug)]
struct DeviceState {
    pci: bool,
    failed_32bit: bool,
}

/// What a request asked and got, to judge it.
#[derive(Clone, Copy)]
struct Given {
    pages: u64,
    limit_pfn: u64,
    aligned: bool,
    tried: Tried,
}

/// What came of a request for addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) result: Result<u64, Refusal>,
    pub(crate) steps: Steps,
}

/// The naive model in the middle of a trace.
#[derive(Clone, Debug)]
pub(crate) struct Naive {
    config: DomainConfig,
    bug: Option<Bug>,
    machine: Machine,
    domains: Vec<Domain>,
    devices: BTreeMap<Device, DeviceState>,
    lives: BTreeMap<Slot, Life>,
    found: BTreeMap<ViolationKind, u64>,
}

impl Naive {
    pub(crate) fn new(config: DomainConfig, cpus: u32, bug: Option<Bug>) -> Naive {
        Naive {
            config,
            bug,
            machine: Machine::new(cpus as usize),
            domains: Vec::new(),
            devices: BTreeMap::new(),
            lives: BTreeMap::new(),
            found: BTreeMap::new(),
        }
    }

    /// Runs what is due and then one request; an error is the end.
    pub(crate) fn apply(&mut self, request: &Request) -> Result<Option<Answer>, ViolationKind> {
        while self.domains.len() <= request.dom.0 as usize {
            let number = self.domains.len();
            let cpus = self.machine.online.len();
            self.domains
                .push(Domain::new(number, self.config, cpus, self.bug));
        }
        while let Some(work) = self.machine.next_due(request.at.0) {
            if self.bug == Some(Bug::ReclaimFromEvent) {
                self.machine.now = request.at.0;
            }
            match work {
                Work::ReclaimDepot { domain, order } => {
                    self.domains[domain].reclaim_depot(&mut self.machine, order);
                }
                Work::FlushTimer { domain, cpu } => {
                    self.domains[domain].flush_timer(&mut self.machine, cpu);
                }
            }
            self.check_aborted()?;
        }
        self.machine.now = request.at.0;
        let answer = self.ask(request);
        self.check_aborted()?;
        Ok(answer)
    }

    fn check_aborted(&self) -> Result<(), ViolationKind> {
        let aborted = self.domains.iter().find_map(|it| it.space().aborted());
        aborted.map_or(Ok(()), Err)
    }

    fn ask(&mut self, request: &Request) -> Option<Answer> {
        let cpu = request.cpu.index();
        let dom = request.dom;
        let machine = &mut self.machine;
        let domain = &mut self.domains[dom.0 as usize];
        match request.op {
            Op::Alloc {
                id: slot,
                pages,
                limit,
                path,
                ..
            } => {
                let (pages, limit_pfn) = (pages.0, limit.0);
                let (route, aligned, tried) = match path {
                    Path::Fast { flush } => {
                        let tried = domain.alloc_fast(machine, cpu, pages, limit_pfn, flush);
                        (Route::Fast, true, tried)
                    }
                    Path::Direct { align } => {
                        let tried = domain.alloc_direct(machine, pages, limit_pfn, align);
                        (Route::Direct, align, tried)
                    }
                };
                let given = Given {
                    pages,
                    limit_pfn,
                    aligned,
                    tried,
                };
                Some(self.begin(slot, dom, route, given))
            }
            Op::Map {
                id: slot,
                bytes,
                mask,
                dev: device,
                pci,
                ..
            } => {
                let granule = self.config.granule().bytes();
                let mut tried = self.map(request, bytes, mask, device, pci);
                tried.result = tried.result.and_then(|pfn| {
                    let address = pfn.wrapping_mul(granule);
                    Some(address / granule)
                        .filter(|&pfn| pfn > 0)
                        .ok_or(Refusal::PfnZero)
                });
                let given = Given {
                    pages: pages_of(bytes, granule),
                    limit_pfn: mask / granule,
                    aligned: true,
                    tried,
                };
                Some(self.begin(slot, dom, Route::Mapped, given))
            }
            Op::Free { id: slot } | Op::Unmap { id: slot } => {
                if let Some(life) = self.lives.get_mut(&slot) {
                    life.live = false;
                }
                self.give_back(cpu, slot);
                None
            }
            Op::DoubleFree { id: slot } => {
                self.give_back(cpu, slot);
                None
            }
            Op::Reserve { range } => {
                domain.reserve(machine, range.lo().0, range.hi().0);
                None
            }
            Op::FreePfn { pfn } => {
                domain.free_direct(pfn.0);
                None
            }
            Op::CpuDead => {
                machine.online[cpu] = false;
                for domain in &mut self.domains {
                    domain.cpu_dead(cpu);
                }
                None
            }
            Op::CpuUp => {
                machine.online[cpu] = true;
                None
            }
            Op::Restore { ref snapshot } => {
                domain.restore(snapshot);
                None
            }
            Op::NoMem { what, count } => {
                match what {
                    Memory::Iova => machine.iova_faults += count,
                    Memory::Magazine => machine.magazine_faults += count,
                }
                None
            }
        }
    }

    /// The DMA layer: 32-bit space first for a PCI device that reaches further.
    fn map(
        &mut self,
        request: &Request,
        bytes: u64,
        mask: u64,
        device: Device,
        pci: bool,
    ) -> Tried {
        const MASK_32: u64 = (1 << 32) - 1;
        let cpu = request.cpu.index();
        let domain = &mut self.domains[request.dom.0 as usize];
        let has = |change| self.config.rules().has(change);
        let granule = self.config.granule().bytes();
        let mut size = pages_of(bytes, granule);
        if !has(Change::RoundInFast) {
            size = round_small(size);
        }
        let fresh = DeviceState {
            pci,
            failed_32bit: false,
        };
        let device = self.devices.entry(device).or_insert(fresh);
        let given_up =
            device.failed_32bit && has(Change::SacOnce) && self.bug != Some(Bug::DeviceForgets);
        let forced = self.config.forcedac() && has(Change::Forcedac);

        let mut steps = Steps::default();
        if device.pci && mask > MASK_32 && !forced && !given_up {
            let limit_pfn = MASK_32 / granule;
            let first = domain.alloc_fast(&mut self.machine, cpu, size, limit_pfn, false);
            if first.result.is_ok() {
                return first;
            }
            device.failed_32bit = true;
            steps = first.steps;
        }
        let mut tried = domain.alloc_fast(&mut self.machine, cpu, size, mask / granule, true);
        tried.steps = steps.plus(tried.steps);
        tried
    }

    fn begin(&mut self, slot: Slot, dom: Dom, route: Route, given: Given) -> Answer {
        let Given { pages, tried, .. } = given;
        if let Ok(pfn) = tried.result {
            self.judge(dom, pfn, given);
        }
        let life = Life {
            pfn: tried.result.unwrap_or(0),
            pages,
            dom,
            route,
            succeeded: tried.result.is_ok(),
            live: true,
        };
        self.lives.insert(slot, life);
        Answer {
            result: tried.result,
            steps: tried.steps,
        }
    }

    fn give_back(&mut self, cpu: usize, slot: Slot) {
        let Some(&life) = self.lives.get(&slot) else {
            return;
        };
        if !life.succeeded {
            return;
        }
        let domain = &mut self.domains[life.dom.0 as usize];
        match life.route {
            Route::Fast => domain.free_fast(&mut self.machine, cpu, life.pfn, life.pages),
            Route::Mapped => domain.unmap(&mut self.machine, cpu, life.pfn, life.pages),
            Route::Direct => domain.free_direct(life.pfn),
        }
    }

    /// Counts what a caller may never see: of the live ranges, all are looked at each time.
    fn judge(&mut self, dom: Dom, pfn: u64, given: Given) {
        let end = u128::from(pfn) + u128::from(given.pages);
        let mut report = |kind| *self.found.entry(kind).or_insert(0) += 1;
        if pfn < self.config.start_pfn().0 {
            report(ViolationKind::BelowStart);
        }
        if end > u128::from(given.limit_pfn) + 1 {
            report(ViolationKind::AboveLimit);
        }
        let alignment = domain::alignment(&self.config, given.pages);
        if given.aligned && !pfn.is_multiple_of(alignment) {
            report(ViolationKind::Misaligned);
        }
        let others = self.lives.values().filter(|life| {
            let theirs = u128::from(life.pfn) + u128::from(life.pages);
            let shares = u128::from(life.pfn) < end && u128::from(pfn) < theirs;
            life.live && life.succeeded && life.dom == dom && shares
        });
        let lowest = others.map(|life| life.pfn).min();
        match lowest {
            Some(lowest) if lowest == pfn => report(ViolationKind::Aliased),
            Some(_) => report(ViolationKind::Overlap),
            None => {}
        }
    }

    pub(crate) fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// How often a promise of this kind was broken.
    pub(crate) fn found(&self, kind: ViolationKind) -> u64 {
        self.found.get(&kind).copied().unwrap_or(0)
    }
}

/// `iova_align()` and the shift: where rounding up wraps to 0, the power of two that holds 0 pages
/// is 1.
fn pages_of(bytes: u64, granule: u64) -> u64 {
    (bytes.wrapping_add(granule - 1) / granule).max(1)
}
