//! Which IOVA domain is meant, and what is live in it.
//!
//! A domain is told by its pointer. When it is put away, or made again, at the same address, that
//! is another domain: each life has a number of its own, in the order of appearance.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Problem;
use super::functions::{Edge, Function};
use super::ledger::Sink;
use super::record::Record;
use super::report::{DomainReport, Report};
use crate::trace::event::Op;
use iova::op::Path;
use iova::units::{Cpu, Granule, Pages, Pfn, PfnRange};

/// Which domains of a recording are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The one with this number, in the order of appearance from 0.
    Ordinal(u64),
    /// Those at this address, one after the other.
    Pointer(u64),
    /// The one of this device.
    Device(String),
    /// Records that name no domain are all of one.
    One,
}

impl std::str::FromStr for Choice {
    type Err = String;

    /// Reads `one`, a number, a pointer (`0x…`) or a device's name.
    fn from_str(text: &str) -> Result<Choice, String> {
        if text == "one" {
            return Ok(Choice::One);
        }
        if let Some(digits) = text.strip_prefix("0x") {
            let pointer = super::record::hexadecimal(digits);
            return pointer
                .map(Choice::Pointer)
                .ok_or_else(|| format!("`{text}` is not a pointer"));
        }
        if text.is_empty() {
            return Err("a domain is `one`, a number, a pointer or a device's name".to_owned());
        }
        match text.parse() {
            Ok(number) => Ok(Choice::Ordinal(number)),
            Err(_) => Ok(Choice::Device(text.to_owned())),
        }
    }
}

/// A range that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub id: u64,
    pub range: PfnRange,
    pub pages: Pages,
    pub path: Path,
}

/// What is live in a domain, by its lowest pfn; no two overlap.
#[derive(Debug, Default)]
pub(super) struct Lives {
    by_pfn: BTreeMap<Pfn, Life>,
    /// What came by `alloc_iova`, by the address of the range's record.
    by_record: BTreeMap<u64, Named>,
}

/// What a record's address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    At(Pfn),
    /// An id whose place is not on record.
    Unplaced(u64),
}

impl Lives {
    /// Adds a life; gives back one that it overlaps, which has then ended, in place of adding.
    pub(super) fn add(&mut self, life: Life) -> Option<Life> {
        let below = self.by_pfn.range(..=life.range.hi()).next_back();
        if let Some((&pfn, other)) = below
            && other.range.overlaps(life.range)
        {
            return self.by_pfn.remove(&pfn);
        }
        self.by_pfn.insert(life.range.lo(), life);
        None
    }

    /// Ends the life that begins at a pfn.
    pub(super) fn end(&mut self, pfn: Pfn) -> Option<Life> {
        self.by_pfn.remove(&pfn)
    }

    /// Ends the life that contains a pfn.
    pub(super) fn end_at(&mut self, pfn: Pfn) -> Option<Life> {
        let (&lo, life) = self.by_pfn.range(..=pfn).next_back()?;
        (life.range.hi() >= pfn).then(|| self.by_pfn.remove(&lo))?
    }

    /// The life that begins at a pfn.
    pub(super) fn id_at(&self, pfn: Pfn) -> Option<u64> {
        self.by_pfn.get(&pfn).map(|life| life.id)
    }

    /// Names a direct allocation by its record's address.
    pub(super) fn name_record(&mut self, iova: u64, named: Named) {
        self.by_record.insert(iova, named);
    }

    /// What a record's address names, once.
    pub(super) fn take_record(&mut self, iova: u64) -> Option<Named> {
        self.by_record.remove(&iova)
    }

    pub(super) fn len(&self) -> u64 {
        self.by_pfn.len() as u64
    }
}

/// One life of a domain.
#[derive(Debug)]
pub(super) struct Domain {
    pub report: DomainReport,
    pub lives: Lives,
    /// What it was made with, where that is on record.
    pub made: Option<(Granule, Pfn)>,
    /// What is out of use from its first event on.
    reserved: Arc<[PfnRange]>,
}

impl Domain {
    /// Before any event: takes out of use what was so before the recording.
    pub(super) fn begin(&mut self, cpu: Cpu, sink: &mut Sink<'_>) {
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
pub(super) struct Domains {
    choice: Option<Choice>,
    current: BTreeMap<u64, usize>,
    all: Vec<Domain>,
    chosen: u64,
    /// What is out of use in domains whose making is not on record.
    reserved: Arc<[PfnRange]>,
}

impl Domains {
    pub(super) fn new(choice: Option<Choice>, reserved: &[PfnRange]) -> Domains {
        Domains {
            choice,
            reserved: Arc::from(reserved),
            current: BTreeMap::new(),
            all: Vec::new(),
            chosen: 0,
        }
    }

    /// The domain that a pointer means now.
    pub(super) fn at(&mut self, pointer: u64) -> &mut Domain {
        self.named(pointer, || format!("{pointer:#x}"))
    }

    /// The domain that a key means now; a new one gets a name.
    pub(super) fn named(&mut self, key: u64, name: impl FnOnce() -> String) -> &mut Domain {
        let at = match self.current.get(&key) {
            Some(at) => *at,
            None => self.add(key, name(), None),
        };
        &mut self.all[at]
    }

    /// Notes what a record of a probe says of domains, in the order of the lines: a domain is
    /// mentioned first, made, or gone.
    pub(super) fn mention(
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
                // What is live in it ends without a free.
                if let Some(at) = self.current.remove(&record.number("iovad")?) {
                    self.all[at].lives = Lives::default();
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
            Some(Choice::Ordinal(wanted)) => wanted == ordinal,
            Some(Choice::Pointer(wanted)) => wanted == key,
            Some(Choice::Device(_) | Choice::One) | None => true,
        };
        let number = chosen.then_some(self.chosen);
        self.chosen += u64::from(chosen);
        if let Some(at) = self.current.insert(key, self.all.len()) {
            self.all[at].lives = Lives::default();
        }
        self.all.push(Domain {
            report: DomainReport {
                ordinal,
                number,
                name,
                from_start: made.is_some(),
                ..DomainReport::default()
            },
            lives: Lives::default(),
            reserved: match made {
                Some(_) => Arc::default(),
                None => self.reserved.clone(),
            },
            made,
        });
        self.all.len() - 1
    }

    pub(super) fn finish(&self, report: &mut Report) {
        let live = |domain: &Domain| domain.lives.len();
        report.live += self.all.iter().map(live).sum::<u64>();
        report.domains = self
            .all
            .iter()
            .map(|domain| domain.report.clone())
            .collect();
    }

    pub(super) fn all(&self) -> &[Domain] {
        &self.all
    }
}
