//! Calls of the allocator into events: ids for what is live, numbers for domains, CPUs that go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::before::Before;
use super::call::{Answer, Call, From, What};
use super::clock::Clock;
use super::domains::{Domain, Domains, Life, Named};
use super::report::Report;
use crate::trace::event::{Event, Op};
use iova::op::{Got, Path};
use iova::units::{Cpu, Pages, Pfn, PfnRange};

/// Makes events of calls.
#[derive(Debug)]
pub(super) struct Ledger {
    pub domains: Domains,
    next_id: u64,
    offline: BTreeSet<Cpu>,
    /// By a domain's ordinal, what it begins with.
    before: BTreeMap<u64, Before>,
}

/// Where events go.
pub(super) struct Sink<'a> {
    pub clock: &'a mut Clock,
    pub events: &'a mut VecDeque<Event>,
    pub report: &'a mut Report,
}

impl Sink<'_> {
    pub(super) fn push(&mut self, cpu: Cpu, dom: u64, op: Op) {
        self.report.events += 1;
        let at = self.clock.event();
        self.events.push_back(Event { at, cpu, dom, op });
    }
}

impl Ledger {
    pub(super) fn new(domains: Domains, before: BTreeMap<u64, Before>) -> Ledger {
        Ledger {
            domains,
            next_id: 0,
            offline: BTreeSet::new(),
            before,
        }
    }

    /// Takes the next call.
    pub(super) fn take(&mut self, call: &Call, sink: &mut Sink<'_>) {
        sink.clock.set(call.at);
        if let What::CpuDead { by } = call.what {
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
        let mut asked = Asked {
            cpu: call.cpu,
            dom,
            domain,
            next_id: &mut self.next_id,
            sink,
        };
        if let Some(before) = self.before.remove(&ordinal) {
            asked.begin(&before, &self.offline);
        }
        asked.domain.begin(asked.cpu, asked.sink);
        asked.ask(&call.what);
    }
}

/// One call and what it needs.
struct Asked<'a, 's> {
    cpu: Cpu,
    dom: u64,
    domain: &'a mut Domain,
    next_id: &'a mut u64,
    sink: &'a mut Sink<'s>,
}

impl Asked<'_, '_> {
    fn push(&mut self, op: Op) {
        self.sink.push(self.cpu, self.dom, op);
    }

    fn ask(&mut self, what: &What) {
        match *what {
            What::AllocFast {
                pages,
                limit,
                flush,
                got,
                from,
            } => {
                if from == From::Caches && got != Answer::Failed {
                    self.check_start();
                }
                self.alloc(pages, limit, Path::Fast { flush }, got);
            }
            What::Alloc {
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
                self.domain.lives.name_record(iova, named);
            }
            What::FreeFast { pfn, pages } => self.free_fast(pfn, pages),
            What::FreePfn { pfn } => self.free_pfn(pfn),
            What::FreeIova { iova, pfn } => self.free_iova(iova, pfn),
            What::Reserve { range } => self.push(Op::Reserve { range }),
            What::Unmapped { .. } | What::CpuDead { .. } => {}
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
                self.live(id, pfn, pages, path);
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

    /// What the caches hand out was freed before, if not on record then earlier.
    fn check_start(&mut self) {
        let domain = &mut self.domain.report;
        if domain.frees == 0 && domain.from_start {
            domain.from_start = false;
            self.sink.report.note(format!(
                "domain {} handed out a cached range before one was freed on record: it was made on \
                 record, but used before the probes were set",
                self.dom
            ));
        }
    }

    /// Notes a life; whatever is in its place was freed unseen.
    fn live(&mut self, id: u64, pfn: Pfn, pages: Pages, path: Path) {
        let hi = Pfn(pfn.0.saturating_add(pages.0 - 1));
        let Some(range) = PfnRange::new(pfn, hi) else {
            return;
        };
        let life = Life {
            id,
            range,
            pages,
            path,
        };
        while let Some(over) = self.domain.lives.add(life) {
            self.sink.report.frees_missed += 1;
            self.free(over.id);
        }
    }

    fn free(&mut self, id: u64) {
        self.domain.report.frees += 1;
        self.push(Op::Free { id });
    }

    fn free_fast(&mut self, pfn: Pfn, pages: Pages) {
        let Some(life) = self.domain.lives.end(pfn) else {
            self.sink.report.frees_unknown += 1;
            return;
        };
        if life.pages.order() != pages.order() || matches!(life.path, Path::Direct { .. }) {
            self.sink.report.frees_resized += 1;
        }
        self.free(life.id);
    }

    /// `free_iova`: what a direct allocation got goes by its id; anything else by the pfn.
    fn free_pfn(&mut self, pfn: Pfn) {
        match self.domain.lives.end_at(pfn) {
            Some(life) if matches!(life.path, Path::Direct { .. }) => self.free(life.id),
            _ => {
                self.domain.report.frees += 1;
                self.push(Op::FreePfn { pfn });
            }
        }
    }

    /// `__free_iova`, by the address of the range's record.
    fn free_iova(&mut self, iova: u64, pfn: Option<Pfn>) {
        let named = self.domain.lives.take_record(iova);
        match (pfn, named) {
            (Some(pfn), _) | (None, Some(Named::At(pfn))) => self.free_pfn(pfn),
            (None, Some(Named::Unplaced(id))) => self.free(id),
            (None, None) => self.sink.report.frees_unknown += 1,
        }
    }

    /// Makes the domain what it was before the recording: each range where it was, since the limit
    /// leaves it no other place, from the top down, as the kernel hands out; then into the caches
    /// what was there.
    fn begin(&mut self, before: &Before, offline: &BTreeSet<Cpu>) {
        for range in &before.ranges {
            let pages = Pages(range.hi().0 - range.lo().0 + 1);
            // What the caches hold is rounded up to a power of two.
            let taken = 1_u64 << pages.order().min(63);
            let taken = if pages.0 < 32 { taken } else { pages.0 };
            let id = self.next_id();
            self.live(id, range.lo(), pages, Path::Fast { flush: false });
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
            if let Some(life) = self.domain.lives.end(range.lo()) {
                self.sink.report.cached_before += 1;
                self.sink.push(cpu, self.dom, Op::Free { id: life.id });
            }
        }
    }
}
