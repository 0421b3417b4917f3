//! Probes on the allocator's functions: entries and returns into calls.
//!
//! A return belongs to the innermost open entry of its function in the same context: a task, or
//! a CPU's idle task. A task's interrupts run between its lines and carry its pid, but they end
//! before it goes on, so innermost first is exact, and stays so when a task moves to another CPU.
//!
//! Calls that the allocator makes itself are no requests: `alloc_iova` inside `alloc_iova_fast`,
//! `free_iova` inside `free_iova_fast`, and `__free_iova` inside `free_iova` (up to 5.12). The return
//! address shows them, or the lines of the outer call around them (`nesting`).
//!
//! An allocation counts at its return, a free at its entry, or, if it has a probe at its exit alone,
//! at the first exit inside it. So a range is never handed out before the line that freed it,
//! whatever CPUs the two ran on.

pub(crate) mod call;

mod nesting;
mod order;

use std::collections::BTreeMap;

use call::{Answer, Call, CallKind, Edge, Function, Probed, ServedFrom, dead_cpu};
use nesting::{InnerExit, InnerExits, OuterFree, OuterFrees};
use order::{CallOrder, Ticket};

use crate::import::error::Problem;
use crate::import::read::record::{Context, Record};
use crate::import::report::Report;
use iova::units::{Cpu, Pages, Pfn, PfnRange};

/// An entry whose return has not come yet.
#[derive(Clone, Copy, Debug)]
struct OpenCall {
    /// Its place among the others; `None` if the allocator made the call itself.
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

/// The calls of a function that can be open in one context: a task's, and one each of a soft
/// interrupt, an interrupt and a non-maskable interrupt.
const DEPTH_MAX: usize = 4;

/// Makes calls of the records of probes.
#[derive(Debug)]
pub(crate) struct Pairing {
    probed: Probed,
    order: CallOrder,
    open: BTreeMap<Context, Vec<OpenCall>>,
    outer_frees: OuterFrees,
    inner_exits: InnerExits,
}

impl Pairing {
    pub(crate) fn new(probed: Probed) -> Pairing {
        Pairing {
            probed,
            order: CallOrder::new(),
            open: BTreeMap::new(),
            outer_frees: OuterFrees::default(),
            inner_exits: InnerExits::default(),
        }
    }

    /// Takes a record of `function`. A call that it completes can be [popped](Self::pop) when all
    /// calls that began before have returned.
    pub(crate) fn take(
        &mut self,
        record: &Record<'_>,
        function: Function,
        edge: Edge,
        report: &mut Report,
    ) -> Result<(), Problem> {
        while let Some(settled) = self.inner_exits.take_settled(record.at) {
            self.order.close(settled.ticket, settled.call);
        }
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
        while let Some(last) = self.inner_exits.take_last() {
            self.order.close(last.ticket, last.call);
        }
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
        let answer = Answered::of(record, function)?;
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
        let call = Call {
            at: entered.at,
            cpu: entered.cpu,
            domain: entered.domain,
            kind: self.allocation(&entered, answer),
        };
        let context = Context::of(record);
        if let (Function::Alloc, Some(pfn)) = (function, call.got()) {
            self.outer_frees.forget(call.domain, pfn);
        }
        if let Some(pfn) = call.got()
            && let Some(free) = self.inner_exits.take_reallocated(context, call.domain, pfn)
        {
            self.order.close(free.ticket, free.call);
        }
        while let Some(inner) = self.inner_exits.take(context, &call) {
            report.nested += 1;
            self.order.abandon(inner.ticket);
        }
        match entered.ticket {
            Some(ticket) => self.order.close(ticket, call),
            None if function == Function::Alloc && inside.is_none() && self.exits_alone() => {
                self.wait_for_outer(context, call, None);
            }
            None => self.order.push(call),
        }
        Ok(())
    }

    /// The call that `entered` began and an answer ended.
    fn allocation(&self, entered: &OpenCall, answer: Answered) -> CallKind {
        let (pages, limit, flag) = (entered.pages, entered.limit, entered.flag);
        match answer {
            Answered::Fast(got) => CallKind::AllocFast {
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
                got,
            },
            Answered::Direct(got, iova) => CallKind::Alloc {
                pages,
                limit,
                align: flag,
                got,
                iova,
            },
        }
    }

    /// Whether `alloc_iova_fast` has probes at its exits alone.
    fn exits_alone(&self) -> bool {
        let seen = self.probed.seen(Function::AllocFast);
        seen.returns && !seen.entries
    }

    /// Keeps a call until the exit of the one that may have made it, in its place or a new one.
    fn wait_for_outer(&mut self, context: Context, call: Call, ticket: Option<Ticket>) {
        let ticket = ticket.unwrap_or_else(|| self.order.open(call.at));
        self.inner_exits.push(InnerExit {
            context,
            ticket,
            call,
        });
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
        let mut call = free(record, function)?;
        let context = Context::of(record);
        let inner = self.inner_exits.take(context, &call);
        if let Some(inner) = &inner {
            report.nested += 1;
            call.at = inner.call.at;
        }
        let ticket = inner.map(|inner| inner.ticket);
        let pfn = call.freed();
        let nested = function.made_by().is_some_and(|outer| {
            let inside = self.probed.returns_into(record.place(), outer);
            inside == Some(true)
                || inside.is_none() && self.outer_frees.take(context, outer, call.domain, pfn)
        });
        // 5.12 and before: `free_iova_fast` calls `free_iova`, and that calls `__free_iova`.
        if let Some(pfn) = pfn.filter(|_| function != Function::FreeIova) {
            let domain = call.domain;
            let free = OuterFree {
                context,
                function,
                domain,
                pfn,
            };
            self.outer_frees.remember(record.cpu, free);
        }
        if nested {
            report.nested += 1;
            ticket.inspect(|ticket| self.order.abandon(*ticket));
        } else if function.made_by().is_some_and(|outer| {
            let seen = self.probed.seen(outer);
            seen.returns && !seen.entries
        }) {
            self.wait_for_outer(context, call, ticket);
        } else {
            match ticket {
                Some(ticket) => self.order.close(ticket, call),
                None => self.order.push(call),
            }
        }
        Ok(())
    }
}

/// The answer on the line of a return.
#[derive(Clone, Copy, Debug)]
enum Answered {
    Fast(Answer),
    /// With the address of the range's `struct iova`.
    Direct(Answer, u64),
}

impl Answered {
    fn of(record: &Record<'_>, function: Function) -> Result<Answered, Problem> {
        if function == Function::AllocFast {
            return Ok(Answered::Fast(match record.number("pfn")? {
                0 => Answer::Failed,
                pfn => Answer::Pfn(Pfn(pfn)),
            }));
        }
        let iova = record.number("iova")?;
        let got = match (iova, record.optional("lo")?) {
            (0, _) => Answer::Failed,
            (_, Some(lo)) => Answer::Pfn(Pfn(lo)),
            (_, None) => Answer::Somewhere,
        };
        Ok(Answered::Direct(got, iova))
    }
}

fn free(record: &Record<'_>, function: Function) -> Result<Call, Problem> {
    let kind = match function {
        Function::FreeFast => CallKind::FreeFast {
            pfn: Pfn(record.number("pfn")?),
            pages: pages(record)?,
        },
        Function::FreePfn => CallKind::FreePfn {
            pfn: Pfn(record.number("pfn")?),
        },
        _ => CallKind::FreeIova {
            pfn: record.optional("lo")?.map(Pfn),
            iova: record.number("iova")?,
        },
    };
    Ok(Call {
        at: record.at,
        cpu: record.cpu,
        domain: record.number("iovad")?,
        kind,
    })
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
