//! Probes on the allocator's functions: entries and returns into calls.
//!
//! A return belongs to the innermost open entry of its function in the same context: a task, or
//! a CPU's idle task. A task's interrupts run between its lines and carry its pid, but they end
//! before it goes on, so innermost first is exact, and stays so when a task moves to another CPU.
//!
//! Calls that the allocator makes of itself are no requests: `alloc_iova` inside `alloc_iova_fast`,
//! `free_iova` inside `free_iova_fast`, and `__free_iova` inside `free_iova` (up to 5.12). They are
//! told by the return address where the line has one that says so, else by the open call.
//!
//! An allocation counts at its return, a free at its entry. So a range is never handed out
//! before the line that freed it, whatever CPUs the two ran on.

pub(crate) mod call;

mod order;

use std::collections::{BTreeMap, VecDeque};

use call::{Answer, Call, CallKind, Edge, Function, Probed, ServedFrom, dead_cpu};
use order::{CallOrder, Ticket};

use crate::import::error::Problem;
use crate::import::read::record::{Context, Record};
use crate::import::report::Report;
use iova::units::{Cpu, Pages, Pfn, PfnRange};

/// An entry whose return has not come yet.
#[derive(Clone, Copy, Debug)]
struct OpenCall {
    /// Its place among the others; none if it is no call of its own.
    ticket: Option<Ticket>,
    function: Function,
    at: u64,
    cpu: Cpu,
    domain: u64,
    pages: Pages,
    limit: Pfn,
    /// `flush` or `align`.
    flag: bool,
    nested: bool,
    /// An `alloc_iova` was seen inside.
    searched: bool,
}

/// A free that may be about to call another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RecentFree {
    context: Context,
    function: Function,
    domain: u64,
    pfn: Pfn,
}

/// A task, its soft interrupts, its interrupts, and what no interrupt keeps out: no more calls of
/// a function can be open in one context.
const DEPTH_MAX: usize = 4;

/// How many frees of a CPU are remembered: more than an interrupt makes before the one that it
/// interrupted goes on.
const FREED_MAX: usize = 512;

/// Makes calls of the records of probes.
#[derive(Debug)]
pub(crate) struct Pairing {
    probed: Probed,
    order: CallOrder,
    open: BTreeMap<Context, Vec<OpenCall>>,
    freed: BTreeMap<Cpu, VecDeque<RecentFree>>,
}

impl Pairing {
    pub(crate) fn new(probed: Probed) -> Pairing {
        Pairing {
            probed,
            order: CallOrder::new(),
            open: BTreeMap::new(),
            freed: BTreeMap::new(),
        }
    }

    /// Takes a record of `function`. What it completes is there to [`pop`](Self::pop) when all that
    /// began before has returned.
    pub(crate) fn take(
        &mut self,
        record: &Record<'_>,
        function: Function,
        edge: Edge,
        report: &mut Report,
    ) -> Result<(), Problem> {
        match (function, edge) {
            (Function::AllocFast | Function::Alloc, Edge::Entry) => {
                self.enter(record, function, report)
            }
            (Function::AllocFast | Function::Alloc, Edge::Return) => {
                self.leave(record, function, report)
            }
            // Where a function has probes at both ends, its entry is what counts.
            (_, Edge::Return) if self.probed.seen(function).entries => Ok(()),
            (Function::FreeFast | Function::FreePfn | Function::FreeIova, _) => {
                self.free(record, function, report)
            }
            (Function::Reserve, _) => {
                self.order.push(reserve(record)?);
                Ok(())
            }
            // Which domain a pointer means is `Domains`' business.
            (Function::Init | Function::Put, _) => Ok(()),
            (Function::CpuDead, _) => {
                let cpu = dead_cpu(record)?;
                self.order.push(Call {
                    at: record.at,
                    cpu,
                    domain: 0,
                    kind: CallKind::CpuDead { by: record.cpu },
                });
                Ok(())
            }
        }
    }

    /// Adds a call that no probe saw.
    pub(crate) fn push(&mut self, call: Call) {
        self.order.push(call);
    }

    /// The next call in order, at a moment of the recording's clock.
    pub(crate) fn pop(&mut self, now: u64) -> Option<Call> {
        self.order.pop(now)
    }

    /// The next call in order, at the end of the recording.
    pub(crate) fn pop_last(&mut self) -> Option<Call> {
        self.order.pop_last()
    }

    /// Counts entries without a return, at the end of the recording.
    pub(crate) fn finish(&self, report: &mut Report) {
        report.open_at_end += self
            .open
            .values()
            .map(|open| open.len() as u64)
            .sum::<u64>();
    }

    fn enter(
        &mut self,
        record: &Record<'_>,
        function: Function,
        report: &mut Report,
    ) -> Result<(), Problem> {
        let mut entered = arguments(record, function)?;
        let context = Context::of(record);
        let open = self.open.entry(context).or_default();
        if function == Function::Alloc
            && let Some(outer) = open.last_mut().filter(|outer| is_inside(outer, &entered))
        {
            outer.searched = true;
            entered.nested = true;
        }
        let same = |other: &OpenCall| other.function == function;
        if open.iter().filter(|other| same(other)).count() >= DEPTH_MAX
            && let Some(oldest) = open.iter().position(same)
        {
            let oldest = open.remove(oldest);
            oldest.ticket.inspect(|ticket| self.order.abandon(*ticket));
            report.entries_unmatched += 1;
        }
        if !entered.nested {
            entered.ticket = Some(self.order.open(record.at));
        }
        open.push(entered);
        Ok(())
    }

    fn leave(
        &mut self,
        record: &Record<'_>,
        function: Function,
        report: &mut Report,
    ) -> Result<(), Problem> {
        let Some(entered) = self.close(record, function, report)? else {
            return Ok(());
        };
        let inside = self
            .probed
            .returns_into(record.place(), Function::AllocFast);
        if function == Function::Alloc && inside.unwrap_or(entered.nested) {
            report.nested += 1;
            entered.ticket.inspect(|ticket| self.order.abandon(*ticket));
            return Ok(());
        }
        let (pages, limit, flag) = (entered.pages, entered.limit, entered.flag);
        let kind = if function == Function::AllocFast {
            CallKind::AllocFast {
                pages,
                limit,
                flush: flag,
                from: if entered.searched {
                    ServedFrom::Tree
                } else if self.probed.seen(Function::Alloc).entries {
                    ServedFrom::Caches
                } else {
                    ServedFrom::Unknown
                },
                got: match record.number("pfn")? {
                    0 => Answer::Failed,
                    pfn => Answer::Pfn(Pfn(pfn)),
                },
            }
        } else {
            let iova = record.number("iova")?;
            CallKind::Alloc {
                pages,
                limit,
                align: flag,
                got: match (iova, record.optional("lo")?) {
                    (0, _) => Answer::Failed,
                    (_, Some(lo)) => Answer::Pfn(Pfn(lo)),
                    (_, None) => Answer::Somewhere,
                },
                iova,
            }
        };
        if let CallKind::Alloc {
            got: Answer::Pfn(pfn),
            ..
        } = kind
        {
            self.forget_freed(entered.domain, pfn);
        }
        let call = Call {
            at: entered.at,
            cpu: entered.cpu,
            domain: entered.domain,
            kind,
        };
        match entered.ticket {
            Some(ticket) => self.order.close(ticket, call),
            None => self.order.push(call),
        }
        Ok(())
    }

    /// The entry of the call that a record ends: the innermost open one, or, of a probe at exits
    /// alone, the record itself.
    fn close(
        &mut self,
        record: &Record<'_>,
        function: Function,
        report: &mut Report,
    ) -> Result<Option<OpenCall>, Problem> {
        if !self.probed.seen(function).entries {
            return arguments(record, function).map(Some);
        }
        let domain = record.optional("iovad")?;
        let context = Context::of(record);
        let open = self.open.entry(context).or_default();
        let ends = |open: &OpenCall| {
            open.function == function && domain.is_none_or(|domain| open.domain == domain)
        };
        let found = open.iter().rposition(ends);
        let entered = found.map(|at| {
            for inner in open.drain(at + 1..) {
                report.entries_unmatched += 1;
                inner.ticket.inspect(|ticket| self.order.abandon(*ticket));
            }
            let entered = open.remove(at);
            report.migrated += u64::from(entered.cpu != record.cpu);
            entered
        });
        report.returns_unmatched += u64::from(entered.is_none());
        if open.is_empty() {
            self.open.remove(&context);
        }
        Ok(entered)
    }

    fn free(
        &mut self,
        record: &Record<'_>,
        function: Function,
        report: &mut Report,
    ) -> Result<(), Problem> {
        let domain = record.number("iovad")?;
        let pfn = match function {
            Function::FreeIova => record.optional("lo")?.map(Pfn),
            _ => Some(Pfn(record.number("pfn")?)),
        };
        let outer = match function {
            Function::FreePfn => Some(Function::FreeFast),
            Function::FreeIova => Some(Function::FreePfn),
            _ => None,
        };
        if let Some(outer) = outer {
            let inside = self.probed.returns_into(record.place(), outer);
            let context = Context::of(record);
            let follows = || self.take_freed(context, outer, domain, pfn);
            if inside.unwrap_or_else(follows) {
                report.nested += 1;
                // 5.12 and before: fast calls `free_iova`, and that calls `__free_iova`.
                self.remember(record, function, domain, pfn);
                return Ok(());
            }
        }
        self.remember(record, function, domain, pfn);
        let kind = match (function, pfn) {
            (Function::FreeFast, Some(pfn)) => CallKind::FreeFast {
                pfn,
                pages: pages(record)?,
            },
            (Function::FreePfn, Some(pfn)) => CallKind::FreePfn { pfn },
            (_, pfn) => CallKind::FreeIova {
                iova: record.number("iova")?,
                pfn,
            },
        };
        self.order.push(Call {
            at: record.at,
            cpu: record.cpu,
            domain,
            kind,
        });
        Ok(())
    }

    fn remember(
        &mut self,
        record: &Record<'_>,
        function: Function,
        domain: u64,
        pfn: Option<Pfn>,
    ) {
        let (Some(pfn), false) = (pfn, function == Function::FreeIova) else {
            return;
        };
        let freed = self.freed.entry(record.cpu).or_default();
        if freed.len() == FREED_MAX {
            freed.pop_front();
        }
        freed.push_back(RecentFree {
            context: Context::of(record),
            function,
            domain,
            pfn,
        });
    }

    /// Whether such a free was remembered; if so, it is not any more. A free of unknown pfn is
    /// that of the one before it.
    fn take_freed(
        &mut self,
        context: Context,
        function: Function,
        domain: u64,
        pfn: Option<Pfn>,
    ) -> bool {
        let wanted = |freed: &RecentFree| {
            freed.context == context
                && freed.function == function
                && freed.domain == domain
                && pfn.is_none_or(|pfn| freed.pfn == pfn)
        };
        self.freed.values_mut().any(|freed| {
            let found = match pfn {
                Some(_) => freed.iter().rposition(wanted),
                None => freed.back().is_some_and(wanted).then(|| freed.len() - 1),
            };
            found.is_some_and(|at| freed.remove(at).is_some())
        })
    }

    /// A range that was handed out again is not about to be freed by an earlier call.
    fn forget_freed(&mut self, domain: u64, pfn: Pfn) {
        for freed in self.freed.values_mut() {
            freed.retain(|freed| freed.domain != domain || freed.pfn != pfn);
        }
    }
}

/// Whether an `alloc_iova` is the one that the innermost open `alloc_iova_fast` makes.
fn is_inside(outer: &OpenCall, entered: &OpenCall) -> bool {
    outer.function == Function::AllocFast
        && outer.domain == entered.domain
        && outer.limit == entered.limit
        && (outer.pages == entered.pages
            || outer.pages.0.checked_next_power_of_two() == Some(entered.pages.0))
}

fn arguments(record: &Record<'_>, function: Function) -> Result<OpenCall, Problem> {
    let flag = match function {
        Function::AllocFast => "flush",
        _ => "align",
    };
    Ok(OpenCall {
        ticket: None,
        function,
        at: record.at,
        cpu: record.cpu,
        domain: record.number("iovad")?,
        pages: pages(record)?,
        limit: Pfn(record.number("limit")?),
        flag: record.number(flag)? != 0,
        nested: false,
        searched: false,
    })
}

fn pages(record: &Record<'_>) -> Result<Pages, Problem> {
    match record.number("size")? {
        0 => Err(record.wrong("size", "0", "at least one page")),
        pages => Ok(Pages(pages)),
    }
}

fn reserve(record: &Record<'_>) -> Result<Call, Problem> {
    let (lo, hi) = (record.number("lo")?, record.number("hi")?);
    let range = PfnRange::new(Pfn(lo), Pfn(hi));
    let range = range.ok_or_else(|| record.wrong("hi", &hi.to_string(), "at least `lo`"))?;
    Ok(Call {
        at: record.at,
        cpu: record.cpu,
        domain: record.number("iovad")?,
        kind: CallKind::Reserve { range },
    })
}
