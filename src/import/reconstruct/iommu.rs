//! `iommu:map` and `iommu:unmap` events: addresses and sizes, and nothing of who asked.
//!
//! One allocation for a scatter list makes a `map` for each contiguous part, upwards from its
//! start, all by one task one after the other; and one `unmap`, which shows that they belong
//! together. So the recording is read once before, for the `unmap`s; that costs 16 bytes for
//! each scatter list. Parts that are never unmapped are taken to belong together.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;

use super::sink::{ApiLevel, EventSink};
use crate::import::error::{Error, Problem};
use crate::import::options::{Form, Options};
use crate::import::read::Source;
use crate::import::read::record::{Context, Line, Record};
use crate::import::report::{DomainReport, Report};
use crate::trace::event::Op;
use iova::op::Got;
use iova::units::{Granule, Pfn, PfnRange};

/// Whether a record is one of these events.
pub(crate) fn is_event(record: &Record<'_>) -> bool {
    matches!(record.event, "map" | "unmap") && record.arguments.starts_with("IOMMU:")
}

/// What an `unmap` unmapped; none of other records.
pub(crate) fn unmapped(record: &Record<'_>) -> Result<Option<Part>, Problem> {
    let is_unmap = record.event == "unmap" && is_event(record);
    is_unmap.then(|| Part::of(record)).transpose()
}

/// A part of the address space, in bytes; not empty, and it does not wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub start: u64,
    pub end: u64,
}

impl Part {
    fn of(record: &Record<'_>) -> Result<Part, Problem> {
        let start = record.number("iova")?;
        let size = record.number("size")?;
        match start.checked_add(size) {
            Some(end) if end > start => Ok(Part { start, end }),
            _ => Err(record.wrong(
                "size",
                &size.to_string(),
                "at least 1, and below 2^64 in all",
            )),
        }
    }
}

/// The sizes of allocations that took several `map`s, by the number of the first, ascending.
#[derive(Debug, Default)]
pub(crate) struct Joins {
    bytes: Vec<(u64, u64)>,
}

/// A `map` that has not been unmapped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    number: u64,
    end: u64,
    /// The `map` that its task made just before, if that ended where this begins.
    follows: Option<u64>,
}

/// What is mapped, by start; several where there are several domains.
#[derive(Debug, Default)]
struct Pieces {
    by_start: BTreeMap<u64, Vec<Piece>>,
}

impl Pieces {
    fn add(&mut self, start: u64, piece: Piece) {
        self.by_start.entry(start).or_default().push(piece);
    }

    fn remove(&mut self, start: u64, piece: Piece) {
        if let Some(here) = self.by_start.get_mut(&start) {
            here.retain(|other| *other != piece);
            if here.is_empty() {
                self.by_start.remove(&start);
            }
        }
    }

    fn at(&self, start: u64) -> &[Piece] {
        self.by_start.get(&start).map_or(&[], Vec::as_slice)
    }

    /// The pieces of one allocation from a first one on, up to an end; each with its start.
    fn chain(&self, start: u64, first: Piece, end: u64) -> Vec<(u64, Piece)> {
        let mut chain = vec![(start, first)];
        let mut last = first;
        while last.end < end {
            let follows = |piece: &&Piece| piece.follows == Some(last.number);
            let Some(next) = self.at(last.end).iter().find(follows) else {
                break;
            };
            chain.push((last.end, *next));
            last = *next;
        }
        chain
    }
}

impl Joins {
    /// Reads a whole recording.
    pub(crate) fn of<R: BufRead>(
        source: &mut Source<R>,
        form: Form,
        options: &Options,
    ) -> Result<Joins, Error> {
        let mut joins = Joins::default();
        let mut pieces = Pieces::default();
        let mut last: BTreeMap<Context, (u64, u64)> = BTreeMap::new();
        let mut number = 0;
        while source.advance()? {
            let Line::Record(record) = source.line(form) else {
                continue;
            };
            if !is_event(&record) {
                continue;
            }
            let part = match Part::of(&record) {
                Ok(part) => part,
                Err(problem) => {
                    source.check(Err(problem), options)?;
                    continue;
                }
            };
            let context = Context::of(&record);
            if record.event == "map" {
                let before = last.insert(context, (part.end, number));
                let adjacent = before.filter(|(end, _)| *end == part.start);
                pieces.add(
                    part.start,
                    Piece {
                        number,
                        end: part.end,
                        follows: adjacent.map(|(_, number)| number),
                    },
                );
                number += 1;
            } else {
                last.remove(&context);
                joins.unmap(&mut pieces, part);
            }
        }
        joins.join_the_rest(pieces);
        joins.bytes.sort_unstable();
        Ok(joins)
    }

    /// The parts that one `unmap` covers are of one allocation, the oldest that fits.
    fn unmap(&mut self, pieces: &mut Pieces, whole: Part) {
        let chains = pieces
            .at(whole.start)
            .iter()
            .map(|first| pieces.chain(whole.start, *first, whole.end));
        let fits = |chain: &Vec<(u64, Piece)>| {
            chain
                .last()
                .is_some_and(|(_, piece)| piece.end == whole.end)
        };
        if let Some(chain) = chains.into_iter().find(fits) {
            self.join(pieces, &chain);
        }
    }

    /// What is still mapped at the end.
    fn join_the_rest(&mut self, mut pieces: Pieces) {
        while let Some((&start, here)) = pieces.by_start.first_key_value() {
            let chain = pieces.chain(start, here[0], u64::MAX);
            self.join(&mut pieces, &chain);
        }
    }

    fn join(&mut self, pieces: &mut Pieces, chain: &[(u64, Piece)]) {
        for (start, piece) in chain {
            pieces.remove(*start, *piece);
        }
        if let [(start, first), .., (_, last)] = chain {
            self.bytes.push((first.number, last.end - start));
        }
    }

    fn bytes(&self, number: u64) -> Option<u64> {
        let found = self
            .bytes
            .binary_search_by_key(&number, |(number, _)| *number);
        found.ok().map(|at| self.bytes[at].1)
    }
}

/// Makes events of `iommu` records.
#[derive(Debug)]
pub(crate) struct Importer {
    /// What is out of use from the first event on.
    reserved: Vec<PfnRange>,
    level: ApiLevel,
    granule: Granule,
    joins: Joins,
    number: u64,
    /// Where the parts of an allocation that a task is mapping end.
    mapping: BTreeMap<Context, Part>,
    /// Ids by place, oldest first: addresses of different domains may be the same.
    allocations: BTreeMap<(u64, u64), VecDeque<u64>>,
    live: u64,
    domain: DomainReport,
}

impl Importer {
    pub(crate) fn new(
        level: ApiLevel,
        granule: Granule,
        joins: Joins,
        reserved: &[PfnRange],
    ) -> Importer {
        Importer {
            reserved: reserved.to_vec(),
            level,
            granule,
            joins,
            number: 0,
            mapping: BTreeMap::new(),
            allocations: BTreeMap::new(),
            live: 0,
            domain: DomainReport {
                number: Some(0),
                name: "treated as one domain".to_owned(),
                ..DomainReport::default()
            },
        }
    }

    pub(crate) fn take(
        &mut self,
        record: &Record<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), Problem> {
        sink.clock.set(record.at);
        if !is_event(record) {
            return Ok(());
        }
        let part = Part::of(record)?;
        for range in std::mem::take(&mut self.reserved) {
            sink.push(record.cpu, 0, Op::Reserve { range });
        }
        if record.event == "map" {
            return self.map(record, part, sink);
        }
        let key = (part.start, part.end - part.start);
        let Some(ids) = self.allocations.get_mut(&key) else {
            sink.report.frees_unknown += 1;
            return Ok(());
        };
        if let Some(id) = ids.pop_front() {
            self.live -= 1;
            self.domain.frees += 1;
            sink.push(record.cpu, 0, self.level.free(id));
        }
        if ids.is_empty() {
            self.allocations.remove(&key);
        }
        Ok(())
    }

    fn map(
        &mut self,
        record: &Record<'_>,
        part: Part,
        sink: &mut EventSink<'_>,
    ) -> Result<(), Problem> {
        if part.start & (self.granule.bytes() - 1) != 0 {
            let start = format!("{:#x}", part.start);
            return Err(record.wrong("iova", &start, "whole granules; another --granule?"));
        }
        let number = self.number;
        self.number += 1;
        let context = Context::of(record);
        if let Some(open) = self.mapping.get_mut(&context)
            && open.start == part.start
        {
            sink.report.parts += 1;
            open.start = part.end;
            if open.start >= open.end {
                self.mapping.remove(&context);
            }
            return Ok(());
        }
        let bytes = self.joins.bytes(number).unwrap_or(part.end - part.start);
        if part.start + bytes > part.end {
            let rest = Part {
                start: part.end,
                end: part.start + bytes,
            };
            self.mapping.insert(context, rest);
        }
        let id = self.domain.allocs;
        self.domain.allocs += 1;
        sink.report.allocs += 1;
        let ids = self.allocations.entry((part.start, bytes)).or_default();
        sink.report.mapped_twice += u64::from(!ids.is_empty());
        ids.push_back(id);
        self.live += 1;
        let got = Got::Pfn(Pfn(part.start >> self.granule.shift()));
        let op = self.level.alloc(id, bytes, self.granule, None, got);
        sink.push(record.cpu, 0, op.map_err(Problem::Ask)?);
        Ok(())
    }

    pub(crate) fn finish(&self, report: &mut Report) {
        report.live = self.live;
        report.domains = vec![self.domain.clone()];
    }
}
