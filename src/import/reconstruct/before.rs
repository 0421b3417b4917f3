//! The state of domains before the recording, as far as it shows.
//!
//! A range whose free is recorded but not its allocation was live before. A range that the rcaches
//! hand out without a recorded free was cached; the order in which they hand out is the order of the
//! CPU's magazine. Ranges that are neither freed nor handed out remain unknown.
//!
//! This takes a reading of all calls before events are made, which finds the owners of missed frees
//! too.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use super::domains::Domains;
use super::missed_frees::{FreeOwners, MissedFrees};
use super::reserved::ReservedFinder;
use crate::import::error::{Error, Problem};
use crate::import::options::{Form, Options};
use crate::import::pair::Pairing;
use crate::import::pair::call::{Answer, Call, CallKind, Edge, Function, Probed, ServedFrom};
use crate::import::read::Source;
use crate::import::read::record::{Line, Record};
use crate::import::report::Report;
use iova::units::{Cpu, Granule, Pages, Pfn, PfnRange};

/// One domain before the recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateBefore {
    /// Ranges that were live or cached, from the top down; no two overlap.
    pub ranges: Vec<PfnRange>,
    /// Those of them that lay in a CPU's caches, the first to be handed out last.
    pub cached: Vec<(Cpu, PfnRange)>,
}

/// Collects the ranges that calls show to have been live or cached before, by domain.
#[derive(Debug, Default)]
pub(crate) struct StateBeforeBuilder {
    domains: BTreeMap<u64, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The lowest pfns of all ranges that were handed out or freed.
    known: BTreeSet<Pfn>,
    live: Vec<PfnRange>,
    cached: Vec<(Cpu, PfnRange)>,
}

impl StateBeforeBuilder {
    /// Takes a call on a domain.
    ///
    /// `ordinal` is the domain's number in order of appearance, `made` whether it was made on record.
    pub(crate) fn take(&mut self, call: &Call, ordinal: u64, made: bool) {
        let seen = self.domains.entry(ordinal).or_default();
        match call.kind {
            CallKind::AllocFast {
                pages,
                got: Answer::Pfn(pfn),
                from,
                ..
            } => {
                let first = seen.known.insert(pfn);
                let range = range(pfn, pages).filter(|_| first && from == ServedFrom::Caches);
                seen.cached.extend(range.map(|range| (call.cpu, range)));
            }
            CallKind::Alloc {
                got: Answer::Pfn(pfn),
                ..
            } => {
                seen.known.insert(pfn);
            }
            CallKind::FreeFast { pfn, pages } => {
                // A domain that was made on record, and not used before that was noticed, has
                // nothing before: the allocation was missed.
                let whole = made && seen.cached.is_empty();
                if seen.known.insert(pfn) && !whole {
                    seen.live.extend(range(pfn, pages));
                }
            }
            _ => {}
        }
    }

    pub(crate) fn finish(self) -> BTreeMap<u64, StateBefore> {
        let before = self
            .domains
            .into_iter()
            .map(|(ordinal, seen)| (ordinal, seen.before()));
        before
            .filter(|(_, before)| !before.ranges.is_empty())
            .collect()
    }
}

impl Seen {
    fn before(self) -> StateBefore {
        let Seen {
            live, mut cached, ..
        } = self;
        let mut ranges: Vec<PfnRange> = cached.iter().map(|(_, range)| *range).collect();
        ranges.extend(live);
        ranges.sort_unstable();
        // Of two that overlap, one was allocated unseen while the recording ran.
        ranges.dedup_by(|later, earlier| later.overlaps(*earlier));
        ranges.reverse();
        let kept: BTreeSet<PfnRange> = ranges.iter().copied().collect();
        cached.retain(|(_, range)| kept.contains(range));
        cached.reverse();
        StateBefore { ranges, cached }
    }
}

fn range(pfn: Pfn, pages: Pages) -> Option<PfnRange> {
    PfnRange::new(pfn, Pfn(pfn.0.checked_add(pages.0 - 1)?))
}

/// Facts that only later lines show.
#[derive(Debug, Default)]
pub(crate) struct LookAhead {
    /// The states before the recording by the domains' ordinals, if they are asked for.
    pub before: BTreeMap<u64, StateBefore>,
    /// The domains' pointers, by the numbers of the unmaps whose free was missed.
    pub owners: BTreeMap<u64, u64>,
    /// Ranges that were occupied throughout, of domains whose creation was not recorded, by ordinal.
    pub occupied: BTreeMap<u64, Vec<PfnRange>>,
}

struct LookAheadReader {
    pairing: Pairing,
    missed: MissedFrees,
    domains: Domains,
    before: StateBeforeBuilder,
    owners: FreeOwners,
    reserved: ReservedFinder,
    dma32: Pfn,
    /// Discarded: everything is counted again when the events are made.
    report: Report,
}

impl LookAhead {
    /// Reads a whole recording.
    pub(crate) fn of<R: BufRead>(
        source: &mut Source<R>,
        form: Form,
        probed: &Probed,
        missed: &[(u64, u64)],
        options: &Options,
        granule: Granule,
    ) -> Result<LookAhead, Error> {
        let places = missed.iter();
        let places = places.map(|(_, start)| Pfn(start >> granule.shift()));
        let numbers = missed.iter().map(|(number, _)| (*number, None));
        let mut gathering = LookAheadReader {
            pairing: Pairing::new(probed.clone()),
            missed: MissedFrees::new(granule, numbers),
            domains: Domains::new(options.domain.clone(), &[]),
            before: StateBeforeBuilder::default(),
            owners: FreeOwners::new(places),
            reserved: ReservedFinder::default(),
            dma32: granule.dma32(),
            report: Report::default(),
        };
        while source.advance()? {
            if let Line::Record(record) = source.line(form) {
                source.check(gathering.take(&record), options)?;
            }
        }
        while let Some(call) = gathering.pairing.pop_last() {
            gathering.see(&call);
        }
        let mut occupied = gathering.reserved.finish();
        for ranges in occupied.values_mut() {
            ranges.retain(|range| !options.reserved.iter().any(|it| it.overlaps(*range)));
        }
        occupied.retain(|_, ranges| !ranges.is_empty());
        Ok(LookAhead {
            occupied,
            before: if options.state_before {
                gathering.before.finish()
            } else {
                BTreeMap::new()
            },
            owners: gathering.owners.finish(),
        })
    }
}

impl LookAheadReader {
    fn take(&mut self, record: &Record<'_>) -> Result<(), Problem> {
        match Function::of(record) {
            Some((function, edge)) => {
                self.domains.mention(record, function, edge)?;
                if let (Function::Init | Function::Put, Edge::Entry) = (function, edge) {
                    self.owners.forget(record.number("iovad")?);
                }
                self.pairing
                    .take(record, function, edge, &mut self.report)?;
            }
            None => {
                if let Some(call) = self.missed.take(record)? {
                    self.pairing.push(call);
                }
            }
        }
        while let Some(call) = self.pairing.pop(record.at) {
            self.see(&call);
        }
        Ok(())
    }

    fn see(&mut self, call: &Call) {
        self.owners.take(call);
        if !matches!(
            call.kind,
            CallKind::Unmapped { .. } | CallKind::CpuDead { .. }
        ) {
            let domain = self.domains.at(call.domain);
            let (ordinal, made) = (domain.report.ordinal, domain.made.is_some());
            self.before.take(call, ordinal, made);
            if !made {
                self.reserved.take(call, ordinal, self.dma32);
            }
        }
    }
}
