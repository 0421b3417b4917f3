//! The IOVA domains of a recording, and the allocations live in each.
//!
//! A pointer identifies a domain until `put_iova_domain` or another `init_iova_domain` at the same
//! address; after that it is another domain. Domains are numbered in order of appearance.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sink::EventSink;
use crate::import::error::Problem;
use crate::import::options::DomainChoice;
use crate::import::pair::call::{Edge, Function};
use crate::import::read::record::Record;
use crate::import::report::{DomainReport, Report};
use crate::trace::event::Op;
use iova::op::Path;
use iova::units::{Cpu, Granule, Pages, Pfn, PfnRange};

/// A range that is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    pub id: u64,
    pub range: PfnRange,
    pub pages: Pages,
    pub path: Path,
}

/// The live allocations of a domain, by lowest pfn; no two overlap.
#[derive(Debug, Default)]
pub(crate) struct AllocationTable {
    by_pfn: BTreeMap<Pfn, Allocation>,
    /// Those from `alloc_iova`, by the address of their `struct iova`.
    by_record: BTreeMap<u64, Named>,
}

/// The allocation that the address of a `struct iova` refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    At(Pfn),
    /// An id whose place was not recorded.
    Unplaced(u64),
}

impl AllocationTable {
    /// Adds an allocation. If it overlaps another, removes and returns that one instead.
    pub(crate) fn insert(&mut self, allocation: Allocation) -> Option<Allocation> {
        let below = self.by_pfn.range(..=allocation.range.hi()).next_back();
        if let Some((&pfn, other)) = below
            && other.range.overlaps(allocation.range)
        {
            return self.by_pfn.remove(&pfn);
        }
        self.by_pfn.insert(allocation.range.lo(), allocation);
        None
    }

    /// Removes the allocation that begins at a pfn.
    pub(crate) fn remove(&mut self, pfn: Pfn) -> Option<Allocation> {
        self.by_pfn.remove(&pfn)
    }

    /// Removes the allocation that contains a pfn.
    pub(crate) fn remove_containing(&mut self, pfn: Pfn) -> Option<Allocation> {
        let (&lo, allocation) = self.by_pfn.range(..=pfn).next_back()?;
        (allocation.range.hi() >= pfn).then(|| self.by_pfn.remove(&lo))?
    }

    /// The id of the allocation that begins at a pfn.
    pub(crate) fn id_at(&self, pfn: Pfn) -> Option<u64> {
        self.by_pfn.get(&pfn).map(|allocation| allocation.id)
    }

    /// Notes the address of a direct allocation's `struct iova`.
    pub(crate) fn name_record(&mut self, iova: u64, named: Named) {
        self.by_record.insert(iova, named);
    }

    /// The allocation that an address refers to, once.
    pub(crate) fn take_record(&mut self, iova: u64) -> Option<Named> {
        self.by_record.remove(&iova)
    }

    pub(crate) fn len(&self) -> u64 {
        self.by_pfn.len() as u64
    }
}

/// One domain.
#[derive(Debug)]
pub(crate) struct Domain {
    pub report: DomainReport,
    pub allocations: AllocationTable,
    /// Granule and `start_pfn` of its `init_iova_domain`, where that was recorded.
    pub made: Option<(Granule, Pfn)>,
    /// Ranges to reserve before its first event.
    reserved: Arc<[PfnRange]>,
}

impl Domain {
    /// Reserves the ranges that were reserved before the recording; once, before any other event.
    pub(crate) fn reserve_initial(&mut self, cpu: Cpu, sink: &mut EventSink<'_>) {
        let Some(number) = self.report.number else {
            return;
        };
        for &range in std::mem::take(&mut self.reserved).iter() {
            sink.push(cpu, number, Op::Reserve { range });
        }
    }
}

/// All domains of a recording.
#[derive(Debug)]
pub(crate) struct Domains {
    choice: Option<DomainChoice>,
    current: BTreeMap<u64, usize>,
    all: Vec<Domain>,
    chosen: u64,
    /// Ranges reserved in domains whose creation was not recorded.
    reserved: Arc<[PfnRange]>,
    /// Further ones, by the domains' ordinals.
    inferred: BTreeMap<u64, Vec<PfnRange>>,
}

impl Domains {
    pub(crate) fn new(choice: Option<DomainChoice>, reserved: &[PfnRange]) -> Domains {
        Domains {
            choice,
            reserved: Arc::from(reserved),
            inferred: BTreeMap::new(),
            current: BTreeMap::new(),
            all: Vec::new(),
            chosen: 0,
        }
    }

    /// The same domains with further ranges reserved, by the domains' ordinals.
    pub(crate) fn with_inferred(self, inferred: BTreeMap<u64, Vec<PfnRange>>) -> Domains {
        Domains { inferred, ..self }
    }

    /// The current domain of a pointer.
    pub(crate) fn at(&mut self, pointer: u64) -> &mut Domain {
        self.named(pointer, || format!("{pointer:#x}"))
    }

    /// The current domain of a key; a new one gets the name.
    pub(crate) fn named(&mut self, key: u64, name: impl FnOnce() -> String) -> &mut Domain {
        let at = match self.current.get(&key) {
            Some(at) => *at,
            None => self.add(key, name(), None),
        };
        &mut self.all[at]
    }

    /// Notes the domain that a probe's record mentions, creates or destroys. It takes records in the
    /// order of the lines.
    pub(crate) fn mention(
        &mut self,
        record: &Record<'_>,
        function: Function,
        edge: Edge,
    ) -> Result<(), Problem> {
        match (function, edge) {
            (Function::CpuDead, _) | (Function::Init | Function::Put, Edge::Return) => {}
            (Function::Init, Edge::Entry) => {
                let bytes = record.number("granule")?;
                let granule = Granule::from_bytes(bytes).ok_or_else(|| {
                    let expected = "a power of two from 1 to 65536";
                    record.wrong("granule", &bytes.to_string(), expected)
                })?;
                let start_pfn = Pfn(record.number("start_pfn")?);
                let pointer = record.number("iovad")?;
                self.add(pointer, format!("{pointer:#x}"), Some((granule, start_pfn)));
            }
            (Function::Put, Edge::Entry) => {
                // Its live allocations end without a free.
                if let Some(at) = self.current.remove(&record.number("iovad")?) {
                    self.all[at].allocations = AllocationTable::default();
                }
            }
            _ => {
                if let Some(pointer) = record.optional("iovad")? {
                    self.at(pointer);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, key: u64, name: String, made: Option<(Granule, Pfn)>) -> usize {
        let ordinal = self.all.len() as u64;
        let chosen = match self.choice {
            Some(DomainChoice::Ordinal(wanted)) => wanted == ordinal,
            Some(DomainChoice::Pointer(wanted)) => wanted == key,
            Some(DomainChoice::Device(_) | DomainChoice::One) | None => true,
        };
        let mut reserved = self.reserved.to_vec();
        reserved.extend(self.inferred.remove(&ordinal).unwrap_or_default());
        let number = chosen.then_some(self.chosen);
        self.chosen += u64::from(chosen);
        if let Some(at) = self.current.insert(key, self.all.len()) {
            self.all[at].allocations = AllocationTable::default();
        }
        self.all.push(Domain {
            report: DomainReport {
                ordinal,
                number,
                name,
                from_start: made.is_some(),
                ..DomainReport::default()
            },
            allocations: AllocationTable::default(),
            reserved: match made {
                Some(_) => Arc::default(),
                None => Arc::from(reserved),
            },
            made,
        });
        self.all.len() - 1
    }

    pub(crate) fn finish(&self, report: &mut Report) {
        let live = |domain: &Domain| domain.allocations.len();
        report.live += self.all.iter().map(live).sum::<u64>();
        report.domains = self
            .all
            .iter()
            .map(|domain| domain.report.clone())
            .collect();
    }

    pub(crate) fn all(&self) -> &[Domain] {
        &self.all
    }
}
