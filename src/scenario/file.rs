//! A scenario file as a whole: its fields, its text, and how it becomes a [`Scenario`].

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::Context;
use super::domain::{Domain, DomainPlan};
use super::expect::ExpectationEntry;
use super::load::Load;
use super::phases::{self, Phase};
use super::runnable::{Clients, Scenario, Source};
use crate::fault::{self, Fault};
use crate::strict_json::{self, Error, JsonPath};
use crate::trace::event::Header;
use crate::workload::invalid::InvalidConfig;
use crate::workload::quantity::{Time, is_default};
use crate::workload::{Run, Workload};
use iova::kernel::{Allocator, allocator_list};
use iova::measure::Sampling;
use iova::measure::sampling::Every;
use iova::units::Nanos;

/// The version of the format that this program reads.
const VERSION: u64 = 1;

/// The largest number of seeds.
pub const SEEDS_MAX: u64 = 100_000;

/// A scenario of `iovasim`: domains, their users, what goes wrong, and what to expect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Scenario", transform = by_workload)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// The JSON Schema, for editors.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The kind of this file.
    pub iovasim: Tag,
    /// The version of this format: 1.
    pub version: Version,
    /// The scenario's name.
    #[schemars(regex(pattern = r"\S"))]
    pub name: String,
    /// What it shows and what to look at, in a sentence.
    #[schemars(regex(pattern = r"\S"))]
    pub shows: String,
    /// The domains; a recorded trace says it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainPlan>,
    /// Where the requests come from.
    pub workload: WorkloadPlan,
    /// The allocators by name, the one to compare with first.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub allocators: Vec<String>,
    /// How many seeds (from 1), or which; a recorded trace has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// The run ends after this many events at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub events: Option<u64>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "is_default")]
    pub faults: Vec<Fault>,
    /// How often the address space is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingPlan>,
    /// What the result is held to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expect: Vec<ExpectationEntry>,
}

/// Says that a file is a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// It is one.
    Scenario,
}

/// The version of the format, of which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version;

impl TryFrom<u64> for Version {
    type Error = InvalidConfig;

    fn try_from(version: u64) -> Result<Version, InvalidConfig> {
        let expected = VERSION.to_string();
        InvalidConfig::unless(version == VERSION, "version", version, expected)?;
        Ok(Version)
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> u64 {
        VERSION
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": VERSION })
    }
}

/// A recorded trace, or phases of synthetic clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Workload")]
#[serde(rename_all = "snake_case")]
pub enum WorkloadPlan {
    /// A trace file's path, relative to this file.
    Trace(String),
    /// What happens one after the other.
    Phases(#[schemars(length(min = 1))] Vec<Phase>),
}

/// How many seeds, or which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number of seeds, or a list of them")]
pub enum Seeds {
    /// This many, from 1 on.
    Count(#[schemars(range(min = 1, max = SEEDS_MAX))] u64),
    /// These.
    List(#[schemars(length(min = 1, max = SEEDS_MAX), extend("uniqueItems" = true))] Vec<u64>),
}

/// When the address space is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Sampling")]
#[serde(rename_all = "snake_case")]
pub enum SamplingPlan {
    /// Whenever this many events have happened.
    Events(#[schemars(range(min = 1))] u64),
    /// Whenever this much time has passed.
    Time(#[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))] Time),
}

/// What goes with a recorded trace, and what with phases.
fn by_workload(schema: &mut Schema) {
    let missing = json!({ "type": "null" });
    let given = json!({ "not": { "type": "null" } });
    schema.insert(
        "if".to_owned(),
        json!({ "properties": { "workload": { "required": ["trace"] } } }),
    );
    schema.insert(
        "then".to_owned(),
        json!({ "properties": { "domain": missing, "seeds": missing, "faults": { "maxItems": 0 } } }),
    );
    schema.insert(
        "else".to_owned(),
        json!({
            "required": ["domain", "seeds"],
            "properties": { "domain": given, "seeds": given },
        }),
    );
}

/// The JSON Schema of scenario files, as text that ends with a newline.
pub fn schema() -> String {
    strict_json::schema::<ScenarioFile>()
}

impl Scenario {
    /// Reads a scenario. `path` is what errors call it; trace files are found relative to it
    /// and read by `load`.
    ///
    /// # Errors
    ///
    /// Where the text is not a scenario, or asks for what cannot be.
    pub fn parse(text: &str, path: &Path, load: &mut Load<'_>) -> Result<Scenario, Error> {
        ScenarioFile::from_text(text, path)?.resolve(path, load)
    }
}

impl ScenarioFile {
    /// Reads a scenario file, without the traces that it names. `path` is what errors call it.
    ///
    /// # Errors
    ///
    /// Where the text is not of the form of a scenario.
    pub fn from_text(text: &str, path: &Path) -> Result<ScenarioFile, Error> {
        strict_json::read(text, path)
    }

    /// The file's text, which ends with a newline.
    pub fn to_text(&self) -> String {
        strict_json::text(self)
    }

    /// The scenario that can be run; `path` is the file's, and `load` reads the traces that it
    /// names.
    ///
    /// # Errors
    ///
    /// Where it asks for what cannot be.
    pub fn resolve(self, path: &Path, load: &mut Load<'_>) -> Result<Scenario, Error> {
        let here = &JsonPath::root(path);
        let named = |field: &'static str, text: &str, expected: &str| {
            let possible = !text.trim().is_empty();
            here.check(InvalidConfig::unless(possible, field, "empty", expected))
        };
        named("name", &self.name, "a name")?;
        named("shows", &self.shows, "a sentence")?;
        let possible = self.events != Some(0);
        here.check(InvalidConfig::unless(possible, "events", 0, "at least 1"))?;
        let (header, source) = self.source(path, here, load)?;
        let allocators = self.allocators(here)?;
        let expectations = self.expect.iter().enumerate();
        Ok(Scenario {
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
            name: self.name,
            shows: self.shows,
        })
    }

    fn source(
        &self,
        path: &Path,
        here: &JsonPath<'_>,
        load: &mut Load<'_>,
    ) -> Result<(Header, Source), Error> {
        let workload = here.field("workload");
        match (&self.workload, &self.domain) {
            (WorkloadPlan::Trace(name), None) => {
                if !self.faults.is_empty() {
                    let problem = "are for clients, expected none for a recorded trace";
                    return Err(here.field("faults").error(problem));
                }
                let trace = super::load::load(name, load, &workload.field("trace"))?;
                Ok((trace.header, Source::Trace(trace.events.into())))
            }
            (WorkloadPlan::Trace(_), Some(_)) => {
                let problem = "is said by the trace itself, expected none beside a trace";
                Err(here.field("domain").error(problem))
            }
            (WorkloadPlan::Phases(_), None) => {
                Err(here.error("missing `domain`, expected it beside phases"))
            }
            (WorkloadPlan::Phases(phases), Some(domain)) => {
                let domain = domain.check(&here.field("domain"))?;
                let clients = self.clients(phases, &domain, load, &workload.field("phases"))?;
                let faults = &JsonPath::root(path).field("faults");
                check_faults(&self.faults, clients.workload.runs(), &domain, faults)?;
                check_strikes(&self.faults, clients.until, faults)?;
                Ok((domain.header, Source::Clients(Box::new(clients))))
            }
        }
    }

    fn clients(
        &self,
        phases: &[Phase],
        domain: &Domain,
        load: &mut Load<'_>,
        here: &JsonPath<'_>,
    ) -> Result<Clients, Error> {
        let schedule = phases::check(phases, &mut Context { domain, load }, here)?;
        if schedule.until.is_none() && self.events.is_none() {
            let problem = "no end, expected `for` in the last phase or `events`";
            return Err(here.error(problem));
        }
        Ok(Clients {
            workload: here.check(Workload::new(schedule.runs))?,
            faults: self.faults.clone(),
            reserved: domain.reserved.clone(),
            limit: domain.limit,
            until: schedule.until,
        })
    }

    fn allocators(&self, here: &JsonPath<'_>) -> Result<Vec<Allocator>, Error> {
        let here = here.field("allocators");
        if self.allocators.is_empty() {
            return Err(here.error("empty, expected one at least"));
        }
        let names = self.allocators.iter().map(String::as_str);
        allocator_list::parse(names).map_err(|(index, error)| here.index(index).error(error))
    }

    fn seeds(&self, here: &JsonPath<'_>) -> Result<Vec<u64>, Error> {
        let here = here.field("seeds");
        let seeds: Vec<u64> = match (&self.workload, &self.seeds) {
            (WorkloadPlan::Trace(_), None) => return Ok(vec![0]),
            (WorkloadPlan::Trace(_), Some(_)) => {
                return Err(here.error("given, expected none for a recorded trace"));
            }
            (WorkloadPlan::Phases(_), None) => {
                return Err(here.error("missing, expected a number of seeds or a list"));
            }
            (_, Some(Seeds::Count(count))) => (1..=(*count).min(SEEDS_MAX + 1)).collect(),
            (_, Some(Seeds::List(seeds))) => seeds.clone(),
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

    fn sampling(&self, here: &JsonPath<'_>) -> Result<Option<Sampling>, Error> {
        let Some(sampling) = self.sampling else {
            return Ok(None);
        };
        let every = match sampling {
            SamplingPlan::Events(events) => NonZeroU64::new(events).map(Every::Events),
            SamplingPlan::Time(Time(nanos)) => NonZeroU64::new(nanos).map(Every::Nanos),
        };
        let zero = || here.field("sampling").error("found 0, expected at least 1");
        let every = every.ok_or_else(zero)?;
        Ok(Some(Sampling {
            every,
            ..Sampling::default()
        }))
    }
}

/// Refuses a fault that would only strike when the workload has ended.
fn check_strikes(
    faults: &[Fault],
    until: Option<Nanos>,
    here: &JsonPath<'_>,
) -> Result<(), Error> {
    let Some(Nanos(until)) = until else {
        return Ok(());
    };
    for (index, fault) in faults.iter().enumerate() {
        if let Some((field, Nanos(at))) = fault.first_strike().filter(|(_, at)| at.0 >= until) {
            let problem =
                format!("is {at} ns, expected before the workload ends, at {until} ns");
            return Err(here.index(index).field(field).field("at").error(problem));
        }
    }
    Ok(())
}

/// Checks the faults of a scenario with the clients `runs`.
fn check_faults(
    faults: &[Fault],
    runs: &[Run],
    domain: &Domain,
    here: &JsonPath<'_>,
) -> Result<(), Error> {
    let clients: BTreeSet<&str> = runs.iter().map(Run::client).collect();
    let unknown = |here: JsonPath<'_>, names: &Option<Vec<String>>| {
        for (index, name) in names.iter().flatten().enumerate() {
            if !clients.contains(name.as_str()) {
                let here = here.field("clients").index(index);
                return Err(here.unknown("client", name, clients.iter().copied()));
            }
        }
        Ok(())
    };
    let takes_cpus = runs
        .iter()
        .find(|run| run.plan.kind().1.takes_cpus_offline());
    for (index, fault) in faults.iter().enumerate() {
        let here = here.index(index);
        match fault {
            Fault::Leak(frees) => unknown(here.field("leak"), &frees.clients)?,
            Fault::Late(late) => unknown(here.field("late").field("of"), &late.of.clients)?,
            Fault::DoubleFree(double) => {
                unknown(here.field("double_free").field("of"), &double.of.clients)?;
            }
            Fault::Offline(_) => {
                if let Some(run) = takes_cpus {
                    let problem = format!("`{}` takes CPUs offline itself", run.name);
                    return Err(here.field("offline").error(problem));
                }
            }
            Fault::Nomem(_) | Fault::Stall(_) => {}
        }
    }
    // Faults are checked against those before them: the first with which they fail is wrong.
    let cpus = domain.header.cpus;
    let numbers: Vec<usize> = (1..=faults.len()).collect();
    let possible =
        numbers.partition_point(|&count| fault::check(&faults[..count], cpus).is_ok());
    here.index(possible).check(fault::check(faults, cpus))
}
