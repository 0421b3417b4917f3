//! The probed functions of the allocator, and one call of them with the kernel's answer.

use std::collections::BTreeMap;

use crate::import::error::Problem;
use crate::import::number::address;
use crate::import::read::record::{ProbePlace, Record};
use iova::units::{Cpu, Pages, Pfn, PfnRange};

/// The functions that are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
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

/// The suffixes that probes' names add to the function's.
const ENTRY_SUFFIXES: [&str; 2] = ["__entry", "_entry"];
const RETURN_SUFFIXES: [&str; 4] = ["_ret", "__exit", "__return", "_exit"];

/// The end of a call that a probe is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Entry,
    Return,
}

impl Function {
    /// The function and edge of a record; `None` for records of other events.
    pub(crate) fn of(record: &Record<'_>) -> Option<(Function, Edge)> {
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
            Some(ProbePlace::Return { .. }) => (function, Edge::Return),
            Some(ProbePlace::Entry(_)) => (function, Edge::Entry),
            None => (function, edge),
        })
    }

    /// The function of the allocator that calls this one to free.
    pub(super) fn made_by(self) -> Option<Function> {
        match self {
            Function::FreePfn => Some(Function::FreeFast),
            Function::FreeIova => Some(Function::FreePfn),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        let named = FUNCTIONS.iter().find(|(_, known)| *known == self);
        named.map_or("", |(name, _)| name)
    }
}

/// Which probes a recording has; known before the calls are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probed {
    /// Whether entries and returns were recorded, and the address, by function.
    seen: BTreeMap<Function, Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub entries: bool,
    pub returns: bool,
    address: Option<u64>,
}

impl Probed {
    pub(crate) fn note(&mut self, record: &Record<'_>, function: Function, edge: Edge) {
        let seen = self.seen.entry(function).or_default();
        match edge {
            Edge::Entry => seen.entries = true,
            Edge::Return => seen.returns = true,
        }
        seen.address = seen.address.or_else(|| match record.place()? {
            ProbePlace::Entry(at) => address(at),
            ProbePlace::Return { function, .. } => address(function),
        });
    }

    pub(crate) fn seen(&self, function: Function) -> Seen {
        self.seen.get(&function).copied().unwrap_or_default()
    }

    /// Whether any allocation was recorded.
    pub(crate) fn any_request(&self) -> bool {
        let on_record = |function| {
            let seen = self.seen(function);
            seen.entries || seen.returns
        };
        on_record(Function::AllocFast) || on_record(Function::Alloc)
    }

    /// Checks that the probes suffice to find calls and their answers.
    pub(crate) fn check(&self) -> Result<(), String> {
        for function in [Function::AllocFast, Function::Alloc] {
            let seen = self.seen(function);
            if seen.entries && !seen.returns {
                let name = function.name();
                return Err(format!(
                    "`{name}` was recorded without its returns, so the allocated addresses are \
                     unknown; add a return probe, such as `r:iova/{name}_ret {name} \
                     pfn=$retval`"
                ));
            }
        }
        for function in [Function::Init, Function::Put] {
            let seen = self.seen(function);
            if seen.returns && !seen.entries {
                let name = function.name();
                return Err(format!(
                    "only the returns of `{name}` were recorded: probe its entries too"
                ));
            }
        }
        Ok(())
    }

    /// Whether a call returns into `outer`; `None` where the line does not show it.
    pub(crate) fn returns_into(
        &self,
        place: Option<ProbePlace<'_>>,
        outer: Function,
    ) -> Option<bool> {
        /// No function of the allocator is longer.
        const LENGTH_MAX: u64 = 0x1000;
        let Some(ProbePlace::Return { function, to }) = place else {
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

/// The CPU that `iova_cpuhp_dead` takes down.
pub(crate) fn dead_cpu(record: &Record<'_>) -> Result<Cpu, Problem> {
    let cpu = record.number("cpu")?;
    let found = u16::try_from(cpu).ok().map(Cpu);
    found.filter(|cpu| *cpu != record.cpu).ok_or_else(|| {
        let expected = "the number of another CPU, below 65536";
        record.wrong("cpu", &cpu.to_string(), expected)
    })
}

/// A call of the allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The beginning, by the recording's clock, in ns.
    pub at: u64,
    /// The CPU on which it began.
    pub cpu: Cpu,
    /// The domain's pointer; 0 where the call concerns no domain.
    pub domain: u64,
    pub kind: CallKind,
}

/// The function, its arguments and the kernel's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    AllocFast {
        pages: Pages,
        limit: Pfn,
        flush: bool,
        got: Answer,
        from: ServedFrom,
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
    /// An `iommu:unmap` whose free was missed, in a domain that is not known yet.
    Unmapped {
        /// Its number among the unmaps.
        number: u64,
        pfn: Pfn,
        pages: Pages,
    },
    CpuDead {
        /// The CPU that takes the other's caches down.
        by: Cpu,
    },
}

/// Which part of the allocator served a fast allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServedFrom {
    Caches,
    Tree,
    /// `alloc_iova` has no probes, so this is unknown.
    Unknown,
}

/// The answer of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Failed,
    Pfn(Pfn),
    /// It succeeded; the probe does not record the range.
    Somewhere,
}

impl Call {
    /// The lowest pfn that it returned.
    pub(crate) fn got(&self) -> Option<Pfn> {
        match self.kind {
            CallKind::AllocFast { got, .. } | CallKind::Alloc { got, .. } => match got {
                Answer::Pfn(pfn) => Some(pfn),
                Answer::Failed | Answer::Somewhere => None,
            },
            _ => None,
        }
    }

    /// Whether it searched the tree and was granted a range above a pfn.
    pub(crate) fn found_above(&self, pfn: Pfn) -> bool {
        self.kind.searched() == Some(true) && self.got().is_some_and(|got| got > pfn)
    }

    /// Whether it searched the tree and was granted a range below a pfn.
    pub(crate) fn found_below(&self, pfn: Pfn) -> bool {
        self.kind.searched() == Some(true) && self.got().is_some_and(|got| got < pfn)
    }

    /// Whether it may concern a domain.
    pub(crate) fn is_about(&self, domain: u64) -> bool {
        self.domain == domain || matches!(self.kind, CallKind::Unmapped { .. })
    }

    /// The pfn that it frees, where that is known.
    pub(crate) fn freed(&self) -> Option<Pfn> {
        match self.kind {
            CallKind::FreeFast { pfn, .. }
            | CallKind::FreePfn { pfn }
            | CallKind::Unmapped { pfn, .. } => Some(pfn),
            CallKind::FreeIova { pfn, .. } => pfn,
            _ => None,
        }
    }

    /// Whether it frees the range that begins at a pfn.
    pub(crate) fn frees(&self, range: Pfn) -> bool {
        self.freed() == Some(range)
    }

    /// The cache to which it frees.
    pub(crate) fn freed_order(&self) -> Option<u32> {
        match self.kind {
            CallKind::FreeFast { pages, .. } => Some(pages.order()),
            _ => None,
        }
    }
}

impl CallKind {
    /// Of an allocation, whether the tree was seen to be searched.
    pub(crate) fn searched(&self) -> Option<bool> {
        match self {
            CallKind::AllocFast { from, .. } => Some(*from == ServedFrom::Tree),
            CallKind::Alloc { .. } => Some(true),
            _ => None,
        }
    }

    /// Of an allocation, the cache from which it is served.
    pub(crate) fn order(&self) -> Option<u32> {
        match self {
            CallKind::AllocFast { pages, .. } => Some(pages.order()),
            _ => None,
        }
    }
}
