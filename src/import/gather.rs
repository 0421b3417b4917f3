//! A reading of all calls for what only later lines tell, before events are made.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::before::{Before, Gatherer};
use super::call::{Call, What};
use super::domains::Domains;
use super::error::{Error, Problem};
use super::functions::{Edge, Function};
use super::line::Line;
use super::options::Options;
use super::owners::Owners;
use super::pairing::Pairing;
use super::record::Record;
use super::report::Report;
use super::source::Source;
use super::survey::Survey;
use super::unmaps::Missed;
use iova::units::{Granule, Pfn};

/// What all calls show.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By the domains' ordinals, what they were like before the recording, if that is wanted.
    pub before: BTreeMap<u64, Before>,
    /// The domains' pointers, by the numbers of the unmaps whose free was missed.
    pub owners: BTreeMap<u64, u64>,
}

struct Gathering {
    pairing: Pairing,
    domains: Domains,
    before: Gatherer,
    owners: Owners,
    /// What is counted here is counted again when the events are made.
    report: Report,
}

impl Gathered {
    /// Reads a whole recording.
    pub(super) fn of<R: BufRead>(
        source: &mut Source<R>,
        survey: &Survey,
        options: &Options,
        granule: Granule,
    ) -> Result<Gathered, Error> {
        let missed = survey.missed.iter().map(|(number, _)| (*number, None));
        let places = survey.missed.iter();
        let places = places.map(|(_, start)| Pfn(start >> granule.shift()));
        let mut gathering = Gathering {
            pairing: Pairing::new(survey.probed.clone(), Missed::new(granule, missed)),
            domains: Domains::new(options.domain.clone(), &[]),
            before: Gatherer::default(),
            owners: Owners::new(places),
            report: Report::default(),
        };
        while source.advance()? {
            if let Line::Record(record) = source.line(survey.form) {
                let taken = gathering.take(&record);
                taken.map_err(|problem| source.error(problem))?;
            }
        }
        while let Some(call) = gathering.pairing.pop_last() {
            gathering.see(&call);
        }
        Ok(Gathered {
            before: if options.state_before {
                gathering.before.finish()
            } else {
                BTreeMap::new()
            },
            owners: gathering.owners.finish(),
        })
    }
}

impl Gathering {
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
            None => self.pairing.take_other(record, &mut self.report)?,
        }
        while let Some(call) = self.pairing.pop(record.at) {
            self.see(&call);
        }
        Ok(())
    }

    fn see(&mut self, call: &Call) {
        self.owners.take(call);
        if !matches!(call.what, What::Unmapped { .. } | What::CpuDead { .. }) {
            self.before.take(call, self.domains.at(call.domain));
        }
    }
}
