//! A scenario file as a whole: its fields, and how they become a [`Scenario`].

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::client::Surroundings;
use super::domain::{Domain, WireDomain};
use super::error::{At, Error, Here};
use super::expect::WireExpectation;
use super::faults::{self, WireFault};
use super::phases::{self, WirePhase};
use super::quantity::{Count, Or, Time};
use super::{Clients, Load, Scenario, Source};
use crate::trace::event::Header;
use crate::workload::Workload;
use crate::workload::impossible::Impossible;
use iova::kernel::{Allocator, allocator_list};
use iova::measure::Sampling;
use iova::measure::sampling::Every;

/// The version of the format that this program reads.
const VERSION: u64 = 1;

/// The largest number of seeds.
const SEEDS_MAX: u64 = 100_000;

/// A scenario of `iovasim`: domains, their users, what goes wrong, and what to expect.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Scenario")]
#[serde(deny_unknown_fields)]
struct WireScenario {
    /// The schema, for editors.
    #[serde(rename = "$schema", default)]
    #[expect(dead_code, reason = "for editors alone")]
    schema: Option<String>,
    /// What this file is.
    #[expect(dead_code, reason = "has one value")]
    iovasim: WireTag,
    /// The version of this format: 1.
    version: u64,
    /// The scenario's name.
    name: String,
    /// What it shows and what to look at, in a sentence.
    shows: String,
    /// The domains; a recorded trace says it itself.
    domain: Option<WireDomain>,
    /// Who asks for what.
    workload: WireWorkload,
    /// The allocators by name, the one to compare with first.
    allocators: Vec<String>,
    /// How many seeds (from 1), or which; a recorded trace has none.
    seeds: Option<Or<Count, Vec<u64>>>,
    /// The run ends after so many events at the latest.
    events: Option<u64>,
    /// What goes wrong.
    #[serde(default)]
    faults: Vec<WireFault>,
    /// How often the address space is looked at.
    sampling: Option<WireSampling>,
    /// What the result is held to.
    #[serde(default)]
    expect: Vec<WireExpectation>,
}

/// Says that a file is a scenario.
#[derive(Debug, Deserialize, JsonSchema)]
enum WireTag {
    #[serde(rename = "scenario")]
    Scenario,
}

/// A recorded trace, or phases of synthetic clients.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WireWorkload {
    /// A trace file's path, relative to this file.
    Trace(String),
    /// What happens one after the other.
    Phases(Vec<WirePhase>),
}

/// When the address space is looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WireSampling {
    /// After every so many events.
    Events(u64),
    /// Whenever so much time has passed.
    Time(Time),
}

/// The JSON Schema of scenario files, as text that ends with a newline.
pub fn schema() -> String {
    let schema = schemars::schema_for!(WireScenario);
    // The prefix of the types says something to readers of the source alone.
    format!("{:#}\n", schema.as_value()).replace("Wire", "")
}

pub(super) fn parse(text: &str, path: &Path, load: &mut Load<'_>) -> Result<Scenario, Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let in_json = |error: &_| Error::in_json(path, error);
    let wire: WireScenario =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| in_json(&error))?;
    reader
        .end()
        .map_err(|error| Error::after_json(path, &error))?;
    wire.check(&Here::root(path), load)
}

impl WireScenario {
    fn check(&self, here: &Here<'_>, load: &mut Load<'_>) -> Result<Scenario, Error> {
        let refuse = |possible, field, found: &str, expected: &str| {
            Impossible::unless(possible, field, found, expected).at(here)
        };
        let version = self.version.to_string();
        refuse(self.version == VERSION, "version", &version, "1")?;
        refuse(!self.name.trim().is_empty(), "name", "empty", "a name")?;
        refuse(
            !self.shows.trim().is_empty(),
            "shows",
            "empty",
            "a sentence",
        )?;
        refuse(self.events != Some(0), "events", "0", "at least 1")?;
        let (header, source) = self.source(here, load)?;
        let allocators = self.allocators(here)?;
        let expectations = self.expect.iter().enumerate();
        Ok(Scenario {
            name: self.name.clone(),
            shows: self.shows.clone(),
            seeds: self.seeds(here)?,
            sampling: self.sampling(here)?,
            expectations: expectations
                .map(|(index, expectation)| {
                    let here = here.field("expect").index(index);
                    expectation.check(&allocators, &here)
                })
                .collect::<Result<_, _>>()?,
            allocators,
            header,
            source,
            events_max: self.events,
        })
    }

    fn source(&self, here: &Here<'_>, load: &mut Load<'_>) -> Result<(Header, Source), Error> {
        let workload = here.field("workload");
        match (&self.workload, &self.domain) {
            (WireWorkload::Trace(name), None) => {
                if !self.faults.is_empty() {
                    let problem = "are for clients, expected none for a recorded trace";
                    return Err(here.field("faults").error(problem));
                }
                let trace = super::load(name, load, &workload.field("trace"))?;
                Ok((trace.header, Source::Trace(trace.events.into())))
            }
            (WireWorkload::Trace(_), Some(_)) => {
                let problem = "is said by the trace itself, expected none beside a trace";
                Err(here.field("domain").error(problem))
            }
            (WireWorkload::Phases(_), None) => {
                Err(here.error("missing `domain`, expected it beside phases"))
            }
            (WireWorkload::Phases(phases), Some(domain)) => {
                let domain = domain.check(&here.field("domain"))?;
                let here = workload.field("phases");
                let clients = self.clients(phases, &domain, load, &here)?;
                Ok((domain.header, Source::Clients(Box::new(clients))))
            }
        }
    }

    fn clients(
        &self,
        phases: &[WirePhase],
        domain: &Domain,
        load: &mut Load<'_>,
        here: &Here<'_>,
    ) -> Result<Clients, Error> {
        let mut surroundings = Surroundings { domain, load };
        let plot = phases::check(phases, &mut surroundings, here)?;
        if plot.until.is_none() && self.events.is_none() {
            let problem = "no end, expected `for` in the last phase or `events`";
            return Err(here.error(problem));
        }
        let root = Here::root(here.file());
        let cpus = domain.header.cpus;
        let faults = faults::check(&self.faults, &plot.runs, cpus, &root.field("faults"))?;
        Ok(Clients {
            workload: Workload::new(plot.runs).at(here)?,
            faults,
            reserved: domain.reserved.clone(),
            limit: domain.limit,
            until: plot.until,
        })
    }

    fn allocators(&self, here: &Here<'_>) -> Result<Vec<Allocator>, Error> {
        let here = here.field("allocators");
        if self.allocators.is_empty() {
            return Err(here.error("empty, expected one at least"));
        }
        let names = self.allocators.iter().map(String::as_str);
        allocator_list::parse(names).map_err(|(index, error)| here.index(index).error(error))
    }

    fn seeds(&self, here: &Here<'_>) -> Result<Vec<u64>, Error> {
        let here = here.field("seeds");
        let seeds: Vec<u64> = match (&self.workload, &self.seeds) {
            (WireWorkload::Trace(_), None) => return Ok(vec![0]),
            (WireWorkload::Trace(_), Some(_)) => {
                return Err(here.error("given, expected none for a recorded trace"));
            }
            (WireWorkload::Phases(_), None) => {
                return Err(here.error("missing, expected a number of seeds or a list"));
            }
            (_, Some(Or::Short(Count(count)))) => (1..=(*count).min(SEEDS_MAX + 1)).collect(),
            (_, Some(Or::Long(seeds))) => seeds.clone(),
        };
        let different: BTreeSet<_> = seeds.iter().collect();
        if different.len() < seeds.len() {
            return Err(here.error("one seed twice, expected each once"));
        }
        if seeds.is_empty() || seeds.len() as u64 > SEEDS_MAX {
            let (found, expected) = (seeds.len(), format!("from 1 to {SEEDS_MAX}"));
            return Err(here.error(format!("found {found} seeds, expected {expected}")));
        }
        Ok(seeds)
    }

    fn sampling(&self, here: &Here<'_>) -> Result<Option<Sampling>, Error> {
        let Some(sampling) = &self.sampling else {
            return Ok(None);
        };
        let every = match *sampling {
            WireSampling::Events(events) => NonZeroU64::new(events).map(Every::Events),
            WireSampling::Time(Time(nanos)) => NonZeroU64::new(nanos).map(Every::Nanos),
        };
        let zero = || here.field("sampling").error("found 0, expected at least 1");
        let every = every.ok_or_else(zero)?;
        Ok(Some(Sampling {
            every,
            ..Sampling::default()
        }))
    }
}
