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

use std::collections::{BTreeMap, VecDeque};

use super::error::Problem;
use super::line::{Place, Record, address};
use super::report::Report;
use crate::units::{Cpu, Pages, Pfn, PfnRange};

/// The functions that are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Function {
    AllocFast,
    FreeFast,
    Alloc,
    FreePfn,
    FreeIova,
    Reserve,
    Init,
    Put,
    CpuDead,
}

/// Their names in the kernel.
const FUNCTIONS: [(&str, Function); 9] = [
    ("alloc_iova_fast", Function::AllocFast),
    ("free_iova_fast", Function::FreeFast),
    ("alloc_iova", Function::Alloc),
    ("free_iova", Function::FreePfn),
    ("__free_iova", Function::FreeIova),
    ("reserve_iova", Function::Reserve),
    ("init_iova_domain", Function::Init),
    ("put_iova_domain", Function::Put),
    ("iova_cpuhp_dead", Function::CpuDead),
];

/// What the names of probes add to the function's.
const ENTRY_SUFFIXES: [&str; 2] = ["__entry", "_entry"];
const RETURN_SUFFIXES: [&str; 4] = ["_ret", "__exit", "__return", "_exit"];

/// Which end of a call a probe saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Entry,
    Return,
}

impl Function {
    /// The function and the edge that a record tells of; none for other records.
    pub(super) fn of(record: &Record<'_>) -> Option<(Function, Edge)> {
        let name = record.event;
        let without = |suffixes: &[&str]| suffixes.iter().find_map(|s| name.strip_suffix(s));
        let named = |name: &str| FUNCTIONS.iter().find(|(known, _)| *known == name);
        let (function, edge) = if let Some((_, function)) = named(name) {
            (*function, Edge::Entry)
        } else if let Some((_, function)) = without(&RETURN_SUFFIXES).and_then(named) {
            (*function, Edge::Return)
        } else {
            let (_, function) = without(&ENTRY_SUFFIXES).and_then(named)?;
            (*function, Edge::Entry)
        };
        Some(match record.place() {
            Some(Place::Return { .. }) => (function, Edge::Return),
            Some(Place::Entry(_)) => (function, Edge::Entry),
            None => (function, edge),
        })
    }

    fn name(self) -> &'static str {
        let named = FUNCTIONS.iter().find(|(_, known)| *known == self);
        named.map_or("", |(name, _)| name)
    }
}

/// What is known of the probes before the calls are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Probed {
    /// By function: whether entries and returns are on record, and its address.
    seen: BTreeMap<Function, Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    entries: bool,
    returns: bool,
    address: Option<u64>,
}

impl Probed {
    pub(super) fn note(&mut self, record: &Record<'_>, function: Function, edge: Edge) {
        let seen = self.seen.entry(function).or_default();
        match edge {
            Edge::Entry => seen.entries = true,
            Edge::Return => seen.returns = true,
        }
        seen.address = seen.address.or_else(|| match record.place()? {
            Place::Entry(at) => address(at),
            Place::Return { function, .. } => address(function),
        });
    }

    fn seen(&self, function: Function) -> Seen {
        self.seen.get(&function).copied().unwrap_or_default()
    }

    /// Whether requests are on record at all.
    pub(super) fn any_request(&self) -> bool {
        let on_record = |function| {
            let seen = self.seen(function);
            seen.entries || seen.returns
        };
        on_record(Function::AllocFast) || on_record(Function::Alloc)
    }

    /// What is missing for calls to be told.
    pub(super) fn check(&self) -> Result<(), String> {
        for function in [Function::AllocFast, Function::Alloc] {
            let seen = self.seen(function);
            if seen.entries && !seen.returns {
                let name = function.name();
                return Err(format!(
                    "`{name}` is on record without its returns: which address was handed out \
                     cannot be known; add a return probe, such as `r:iova/{name}_ret {name} \
                     pfn=$retval`"
                ));
            }
        }
        for function in [Function::Init, Function::Put] {
            let seen = self.seen(function);
            if seen.returns && !seen.entries {
                let name = function.name();
                return Err(format!(
                    "`{name}` is on record by its returns alone: probe its entries too"
                ));
            }
        }
        Ok(())
    }

    /// Whether a return goes back into `outer`; none where the line cannot tell.
    fn returns_into(&self, place: Option<Place<'_>>, outer: Function) -> Option<bool> {
        /// No function of the allocator is longer.
        const LENGTH_MAX: u64 = 0x1000;
        let Some(Place::Return { function, to }) = place else {
            return None;
        };
        if address(function).is_some() {
            let outer = self.seen(outer).address?;
            let to = address(to)?;
            return Some(to.checked_sub(outer).is_some_and(|at| at < LENGTH_MAX));
        }
        let symbol = to.split(['+', '.']).next();
        Some(symbol == Some(outer.name()))
    }
}

/// A call that somebody made of the allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The CPU on which it began.
    pub cpu: Cpu,
    /// The domain's pointer; 0 where the call is about none.
    pub domain: u64,
    pub what: What,
}

/// What was called, with the kernel's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    AllocFast {
        pages: Pages,
        limit: Pfn,
        flush: bool,
        got: Answer,
    },
    Alloc {
        pages: Pages,
        limit: Pfn,
        align: bool,
        got: Answer,
        /// The address of the range's record.
        iova: u64,
    },
    FreeFast {
        pfn: Pfn,
        pages: Pages,
    },
    FreePfn {
        pfn: Pfn,
    },
    FreeIova {
        iova: u64,
        pfn: Option<Pfn>,
    },
    Reserve {
        range: PfnRange,
    },
    CpuDead,
}

/// What an allocation answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Failed,
    Pfn(Pfn),
    /// It succeeded; the probe does not say with what.
    Somewhere,
}

/// An entry whose return has not come yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    function: Function,
    cpu: Cpu,
    domain: u64,
    pages: Pages,
    limit: Pfn,
    /// `flush` or `align`.
    flag: bool,
    nested: bool,
}

/// Whose lines belong together: a task's, or those of a CPU's idle task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Context {
    Task(u32),
    Idle(Cpu),
}

impl Context {
    pub(super) fn of(record: &Record<'_>) -> Context {
        if record.pid == 0 {
            Context::Idle(record.cpu)
        } else {
            Context::Task(record.pid)
        }
    }
}

/// A free that may be about to call another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Freed {
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
pub(super) struct Pairing {
    probed: Probed,
    open: BTreeMap<Context, Vec<Open>>,
    freed: BTreeMap<Cpu, VecDeque<Freed>>,
}

impl Pairing {
    pub(super) fn new(probed: Probed) -> Pairing {
        Pairing {
            probed,
            open: BTreeMap::new(),
            freed: BTreeMap::new(),
        }
    }

    /// Takes a record of `function`; gives the call that it completes, if any.
    pub(super) fn take(
        &mut self,
        record: &Record<'_>,
        function: Function,
        edge: Edge,
        report: &mut Report,
    ) -> Result<Option<Call>, Problem> {
        match (function, edge) {
            (Function::AllocFast | Function::Alloc, Edge::Entry) => {
                self.enter(record, function, report)?;
                Ok(None)
            }
            (Function::AllocFast | Function::Alloc, Edge::Return) => {
                self.leave(record, function, report)
            }
            // Where a function has probes at both ends, its entry is what counts.
            (_, Edge::Return) if self.probed.seen(function).entries => Ok(None),
            (Function::FreeFast | Function::FreePfn | Function::FreeIova, _) => {
                self.free(record, function, report)
            }
            (Function::Reserve, _) => reserve(record).map(Some),
            // Which domain a pointer means is `Domains`' business.
            (Function::Init | Function::Put, _) => Ok(None),
            (Function::CpuDead, _) => Ok(Some(Call {
                cpu: dead_cpu(record)?,
                domain: 0,
                what: What::CpuDead,
            })),
        }
    }

    /// Entries without a return, at the end of the recording.
    pub(super) fn finish(&self, report: &mut Report) {
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
        entered.nested = function == Function::Alloc && is_inside(open, &entered);
        let same = |other: &Open| other.function == function;
        if open.iter().filter(|other| same(other)).count() >= DEPTH_MAX
            && let Some(oldest) = open.iter().position(same)
        {
            open.remove(oldest);
            report.entries_unmatched += 1;
        }
        open.push(entered);
        Ok(())
    }

    fn leave(
        &mut self,
        record: &Record<'_>,
        function: Function,
        report: &mut Report,
    ) -> Result<Option<Call>, Problem> {
        let Some(entered) = self.close(record, function, report)? else {
            return Ok(None);
        };
        let inside = self
            .probed
            .returns_into(record.place(), Function::AllocFast);
        if function == Function::Alloc && inside.unwrap_or(entered.nested) {
            report.nested += 1;
            return Ok(None);
        }
        let (pages, limit, flag) = (entered.pages, entered.limit, entered.flag);
        let what = if function == Function::AllocFast {
            What::AllocFast {
                pages,
                limit,
                flush: flag,
                got: match record.number("pfn")? {
                    0 => Answer::Failed,
                    pfn => Answer::Pfn(Pfn(pfn)),
                },
            }
        } else {
            let iova = record.number("iova")?;
            What::Alloc {
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
        if let What::Alloc {
            got: Answer::Pfn(pfn),
            ..
        } = what
        {
            self.forget_freed(entered.domain, pfn);
        }
        Ok(Some(Call {
            cpu: entered.cpu,
            domain: entered.domain,
            what,
        }))
    }

    /// The entry of the call that a record ends: the innermost open one, or, of a probe at exits
    /// alone, the record itself.
    fn close(
        &mut self,
        record: &Record<'_>,
        function: Function,
        report: &mut Report,
    ) -> Result<Option<Open>, Problem> {
        if !self.probed.seen(function).entries {
            return arguments(record, function).map(Some);
        }
        let domain = record.optional("iovad")?;
        let context = Context::of(record);
        let open = self.open.entry(context).or_default();
        let ends = |open: &Open| {
            open.function == function && domain.is_none_or(|domain| open.domain == domain)
        };
        let found = open.iter().rposition(ends);
        let entered = found.map(|at| {
            report.entries_unmatched += (open.len() - at - 1) as u64;
            let entered = open[at];
            open.truncate(at);
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
    ) -> Result<Option<Call>, Problem> {
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
                return Ok(None);
            }
        }
        self.remember(record, function, domain, pfn);
        let what = match (function, pfn) {
            (Function::FreeFast, Some(pfn)) => What::FreeFast {
                pfn,
                pages: pages(record)?,
            },
            (Function::FreePfn, Some(pfn)) => What::FreePfn { pfn },
            (_, pfn) => What::FreeIova {
                iova: record.number("iova")?,
                pfn,
            },
        };
        Ok(Some(Call {
            cpu: record.cpu,
            domain,
            what,
        }))
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
        freed.push_back(Freed {
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
        let wanted = |freed: &Freed| {
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
fn is_inside(open: &[Open], entered: &Open) -> bool {
    open.last().is_some_and(|outer| {
        outer.function == Function::AllocFast
            && outer.domain == entered.domain
            && outer.limit == entered.limit
            && (outer.pages == entered.pages
                || outer.pages.0.checked_next_power_of_two() == Some(entered.pages.0))
    })
}

fn arguments(record: &Record<'_>, function: Function) -> Result<Open, Problem> {
    let flag = match function {
        Function::AllocFast => "flush",
        _ => "align",
    };
    Ok(Open {
        function,
        cpu: record.cpu,
        domain: record.number("iovad")?,
        pages: pages(record)?,
        limit: Pfn(record.number("limit")?),
        flag: record.number(flag)? != 0,
        nested: false,
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
        cpu: record.cpu,
        domain: record.number("iovad")?,
        what: What::Reserve { range },
    })
}

/// The CPU that `iova_cpuhp_dead` is about.
pub(super) fn dead_cpu(record: &Record<'_>) -> Result<Cpu, Problem> {
    let cpu = record.number("cpu")?;
    match u16::try_from(cpu) {
        Ok(cpu) => Ok(Cpu(cpu)),
        Err(_) => Err(record.wrong("cpu", &cpu.to_string(), "a CPU's number below 65536")),
    }
}
