//! The last stage: events. Here from calls of the allocator, which get ids for live allocations,
//! numbers for domains, and CPUs that go offline; beside it from less exact records.

pub(crate) mod before;
pub(crate) mod dma;
pub(crate) mod domains;
pub(crate) mod iommu;
pub(crate) mod kernel_log;
pub(crate) mod missed_frees;
pub(crate) mod reserved;
pub(crate) mod sink;

use std::collections::{BTreeMap, BTreeSet};

use before::StateBefore;
use domains::{Allocation, Domain, Domains, Named};
use sink::EventSink;

use crate::import::pair::call::{Answer, Call, CallKind, ServedFrom};
use crate::trace::event::Op;
use iova::op::{Got, Path};
use iova::units::{Cpu, Pages, Pfn, PfnRange};

/// Makes events of calls.
#[derive(Debug)]
pub(crate) struct EventBuilder {
    pub domains: Domains,
    next_id: u64,
    offline: BTreeSet<Cpu>,
    /// The states that domains begin with, by ordinal.
    before: BTreeMap<u64, StateBefore>,
}

impl EventBuilder {
    pub(crate) fn new(domains: Domains, before: BTreeMap<u64, StateBefore>) -> EventBuilder {
        EventBuilder {
            domains,
            next_id: 0,
            offline: BTreeSet::new(),
            before,
        }
    }

    /// Takes the next call.
    pub(crate) fn take(&mut self, call: &Call, sink: &mut EventSink<'_>) {
        sink.clock.set(call.at);
        if let CallKind::CpuDead { by } = call.kind {
            if self.offline.remove(&by) {
                sink.push(by, 0, Op::CpuUp);
            }
            if self.offline.insert(call.cpu) {
                sink.push(call.cpu, 0, Op::CpuDead);
            }
            return;
        }
        let domain = self.domains.at(call.domain);
        let ordinal = domain.report.ordinal;
        let Some(dom) = domain.report.number else {
            sink.report.other_domains += 1;
            return;
        };
        // A call is the first sign that its CPU is back.
        if self.offline.remove(&call.cpu) {
            sink.push(call.cpu, 0, Op::CpuUp);
        }
        let mut context = CallContext {
            cpu: call.cpu,
            dom,
            domain,
            next_id: &mut self.next_id,
            sink,
        };
        if let Some(before) = self.before.remove(&ordinal) {
            context.restore(&before, &self.offline);
        }
        context.domain.reserve_initial(context.cpu, context.sink);
        context.take(&call.kind);
    }
}

/// One call and its surroundings.
struct CallContext<'a, 's> {
    cpu: Cpu,
    dom: u64,
    domain: &'a mut Domain,
    next_id: &'a mut u64,
    sink: &'a mut EventSink<'s>,
}

impl CallContext<'_, '_> {
    fn push(&mut self, op: Op) {
        self.sink.push(self.cpu, self.dom, op);
    }

    fn take(&mut self, kind: &CallKind) {
        match *kind {
            CallKind::AllocFast {
                pages,
                limit,
                flush,
                got,
                from,
            } => {
                if from == ServedFrom::Caches && got != Answer::Failed {
                    self.check_start();
                }
                self.alloc(pages, limit, Path::Fast { flush }, got);
            }
            CallKind::Alloc {
                pages,
                limit,
                align,
                got,
                iova,
            } => {
                let id = self.alloc(pages, limit, Path::Direct { align }, got);
                let named = match got {
                    Answer::Failed => return,
                    Answer::Pfn(pfn) => Named::At(pfn),
                    Answer::Somewhere => Named::Unplaced(id),
                };
                self.domain.allocations.name_record(iova, named);
            }
            CallKind::FreeFast { pfn, pages } => self.free_fast(pfn, pages),
            CallKind::FreePfn { pfn } => self.free_pfn(pfn),
            CallKind::FreeIova { iova, pfn } => self.free_iova(iova, pfn),
            CallKind::Reserve { range } => self.push(Op::Reserve { range }),
            CallKind::Unmapped { .. } | CallKind::CpuDead { .. } => {}
        }
    }

    fn alloc(&mut self, pages: Pages, limit: Pfn, path: Path, got: Answer) -> u64 {
        let id = self.next_id();
        self.domain.report.allocs += 1;
        self.sink.report.allocs += 1;
        let got = match got {
            Answer::Failed => {
                self.domain.report.failed += 1;
                self.sink.report.failed += 1;
                Got::Failed
            }
            Answer::Pfn(pfn) => {
                self.insert(id, pfn, pages, path);
                Got::Pfn(pfn)
            }
            Answer::Somewhere => {
                self.sink.report.unplaced += 1;
                Got::Unrecorded
            }
        };
        self.push(Op::Alloc {
            id,
            pages,
            limit,
            path,
            got,
        });
        id
    }

    fn next_id(&mut self) -> u64 {
        let id = *self.next_id;
        *self.next_id += 1;
        id
    }

    /// Notes that a domain was used unseen: its caches hand out a range before any recorded free.
    fn check_start(&mut self) {
        let domain = &mut self.domain.report;
        if domain.frees == 0 && domain.from_start {
            domain.from_start = false;
            self.sink.report.note(format!(
                "domain {} allocated a cached range before any recorded free: its creation was recorded, \
                 but it was used before the probes were set",
                self.dom
            ));
        }
    }

    /// Adds an allocation; any that it overlaps was freed unseen.
    fn insert(&mut self, id: u64, pfn: Pfn, pages: Pages, path: Path) {
        let hi = Pfn(pfn.0.saturating_add(pages.0 - 1));
        let Some(range) = PfnRange::new(pfn, hi) else {
            return;
        };
        let allocation = Allocation {
            id,
            range,
            pages,
            path,
        };
        while let Some(over) = self.domain.allocations.insert(allocation) {
            self.sink.report.frees_missed += 1;
            self.free(over.id);
        }
    }

    fn free(&mut self, id: u64) {
        self.domain.report.frees += 1;
        self.push(Op::Free { id });
    }

    fn free_fast(&mut self, pfn: Pfn, pages: Pages) {
        let Some(allocation) = self.domain.allocations.remove(pfn) else {
            self.sink.report.frees_unknown += 1;
            return;
        };
        if allocation.pages.order() != pages.order()
            || matches!(allocation.path, Path::Direct { .. })
        {
            self.sink.report.frees_resized += 1;
        }
        self.free(allocation.id);
    }

    /// `free_iova`: by id if the range came from a direct allocation, else by pfn.
    fn free_pfn(&mut self, pfn: Pfn) {
        match self.domain.allocations.remove_containing(pfn) {
            Some(allocation) if matches!(allocation.path, Path::Direct { .. }) => {
                self.free(allocation.id);
            }
            _ => {
                self.domain.report.frees += 1;
                self.push(Op::FreePfn { pfn });
            }
        }
    }

    /// `__free_iova`: by the address of the range's `struct iova`.
    fn free_iova(&mut self, iova: u64, pfn: Option<Pfn>) {
        let named = self.domain.allocations.take_record(iova);
        match (pfn, named) {
            (Some(pfn), _) | (None, Some(Named::At(pfn))) => self.free_pfn(pfn),
            (None, Some(Named::Unplaced(id))) => self.free(id),
            (None, None) => self.sink.report.frees_unknown += 1,
        }
    }

    /// Restores the state before the recording: allocates each range from the top down, as the kernel
    /// does, with a limit that leaves it no other place; then frees into the caches those that were
    /// there.
    fn restore(&mut self, before: &StateBefore, offline: &BTreeSet<Cpu>) {
        for range in &before.ranges {
            let pages = Pages(range.hi().0 - range.lo().0 + 1);
            // The rcaches hold sizes rounded up to a power of two.
            let taken = 1_u64 << pages.order().min(63);
            let taken = if pages.0 < 32 { taken } else { pages.0 };
            let id = self.next_id();
            self.insert(id, range.lo(), pages, Path::Fast { flush: false });
            self.sink.report.live_before += 1;
            self.push(Op::Alloc {
                id,
                pages,
                limit: Pfn(range.lo().0.saturating_add(taken - 1)),
                path: Path::Fast { flush: false },
                got: Got::Unrecorded,
            });
        }
        for (cpu, range) in &before.cached {
            let cpu = if offline.contains(cpu) {
                self.cpu
            } else {
                *cpu
            };
            if let Some(allocation) = self.domain.allocations.remove(range.lo()) {
                self.sink.report.cached_before += 1;
                self.sink
                    .push(cpu, self.dom, Op::Free { id: allocation.id });
            }
        }
    }
}
