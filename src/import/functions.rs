//! The functions that probes are on, and which of their ends a recording has.

use std::collections::BTreeMap;

use super::error::Problem;
use super::record::{Place, Record, address};
use iova::units::Cpu;

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
pub(super) struct Seen {
    pub entries: bool,
    pub returns: bool,
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

    pub(super) fn seen(&self, function: Function) -> Seen {
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
    pub(super) fn returns_into(
        &self,
        place: Option<Place<'_>>,
        outer: Function,
    ) -> Option<bool> {
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

/// The CPU that `iova_cpuhp_dead` is about.
pub(super) fn dead_cpu(record: &Record<'_>) -> Result<Cpu, Problem> {
    let cpu = record.number("cpu")?;
    let found = u16::try_from(cpu).ok().map(Cpu);
    found.filter(|cpu| *cpu != record.cpu).ok_or_else(|| {
        let expected = "the number of another CPU, below 65536";
        record.wrong("cpu", &cpu.to_string(), expected)
    })
}
