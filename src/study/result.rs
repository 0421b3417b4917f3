//! What a scenario came to, as a versioned document: a row for each allocator, and one for
//! each of its runs.
//!
//! The rows are made of the runs and of nothing else, so that results of parts of the work
//! make the same document when they are put together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::statistics::{self, Sample};
use super::wire::{WireFigures, WireUndone};
use crate::scenario::{Expectation, Measured, Miss};
use crate::trace::event::Header;
use iova::kernel::FlushQueue;
use iova::measure::Steps;
use iova::measure::record::{SampledRecord, TrafficRecord};

/// The version of the document.
pub const VERSION: u64 = 1;

/// What a scenario came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioResult {
    /// What the document is.
    pub iovasim: ResultTag,
    pub version: u64,
    /// The version of the program that made it.
    pub program: String,
    /// Which part of the work this is; left out where it is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    pub scenario: String,
    /// What the scenario shows.
    pub shows: String,
    /// What the domains are like.
    pub domain: WireDomain,
    /// Of what each seed's requests are.
    pub traces: Vec<WireSeed>,
    /// An allocator each, the first being the one that others are compared with.
    pub rows: Vec<Row>,
    /// An allocator and a seed each: allocators in order, seeds in order.
    pub runs: Vec<Run>,
    /// What the callers asked for with the first seed; left out where nothing was sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficRecord>,
    /// The first run of each allocator as time goes by; left out where nothing was sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Vec<Samples>>,
}

/// A run as time goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    pub allocator: String,
    pub seed: u64,
    #[serde(flatten)]
    pub seen: SampledRecord,
}

/// A part of a run: every `of`-th unit of scenario, seed and allocator. Its document has only
/// what it ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Which, from 1.
    pub index: u64,
    pub of: u64,
    /// The allocators of the whole run.
    pub allocators: Vec<String>,
    /// The seeds of the whole run.
    pub seeds: Vec<u64>,
}

/// Says that a document is a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultTag {
    #[serde(rename = "result")]
    Result,
}

/// What the header of a scenario's traces says of its domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`Header` says what they are")]
pub struct WireDomain {
    pub granule: u64,
    pub start_pfn: u64,
    pub cpus: u32,
    pub flush_queue: String,
    pub forcedac: bool,
}

/// The requests of one seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireSeed {
    /// The seed; 0 for a recorded trace.
    pub seed: u64,
    pub hash: String,
    pub events: u64,
}

/// The figures of one allocator, all its runs together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub allocator: String,
    /// How many seeds it ran.
    pub seeds: u64,
    #[serde(flatten)]
    pub figures: WireFigures,
    /// Runs that ended where the kernel would have been undone.
    pub runs_undone: u64,
    /// How it differs from the first allocator; null for that one.
    pub against_first: Option<Against>,
}

/// A failure rate beside the first allocator's, seed by seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// This rate less the first allocator's.
    pub failure_rate: f64,
    /// The 95 % interval of that over the seeds; null with one seed alone.
    pub failure_rate_ci95: Option<[f64; 2]>,
    /// Whether the seeds tell the two apart; null with one seed alone.
    pub seen: Option<bool>,
}

/// The figures of one allocator with one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub allocator: String,
    pub seed: u64,
    #[serde(flatten)]
    pub figures: WireFigures,
    /// Where the kernel would have been undone, which ended the run.
    pub undone: Option<WireUndone>,
    /// How many requests took how many steps, as `steps:requests` separated by commas; null
    /// where the design does not walk.
    pub step_counts: Option<StepCounts>,
}

/// How many requests took how many steps, on one line of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepCounts(pub Steps);

impl From<StepCounts> for String {
    fn from(counts: StepCounts) -> String {
        let counts = counts.0.counts();
        let texts: Vec<String> = counts.map(|(steps, n)| format!("{steps}:{n}")).collect();
        texts.join(",")
    }
}

impl TryFrom<String> for StepCounts {
    type Error = String;

    fn try_from(text: String) -> Result<StepCounts, String> {
        let mut steps = Steps::default();
        for entry in text.split(',').filter(|_| !text.is_empty()) {
            let numbers = entry.split_once(':').and_then(|(steps, requests)| {
                Some((steps.parse().ok()?, requests.parse().ok()?))
            });
            let Some((taken, requests)) = numbers else {
                return Err(format!(
                    "step counts: found `{entry}`, expected `steps:requests`"
                ));
            };
            if !can_add(&steps, taken, requests) {
                return Err(format!(
                    "step counts: `{entry}` makes the sum of all steps more than 64 bits"
                ));
            }
            steps.add_many(taken, requests);
        }
        Ok(StepCounts(steps))
    }
}

/// Whether so many requests more, of so many steps each, can be counted.
fn can_add(all: &Steps, steps: u64, requests: u64) -> bool {
    let total = steps.checked_mul(requests);
    let total = total.and_then(|it| it.checked_add(all.total()));
    total.is_some() && all.requests().checked_add(requests).is_some()
}

impl ScenarioResult {
    /// The result of runs, which are in the order of allocators and then of seeds.
    pub fn new(
        scenario: &str,
        shows: &str,
        header: &Header,
        traces: Vec<WireSeed>,
        runs: Vec<Run>,
    ) -> ScenarioResult {
        ScenarioResult {
            iovasim: ResultTag::Result,
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            shard: None,
            scenario: scenario.to_owned(),
            shows: shows.to_owned(),
            domain: WireDomain::of(header),
            traces,
            rows: rows(&runs),
            runs,
            traffic: None,
            samples: None,
        }
    }

    /// The row of an allocator.
    pub fn row(&self, allocator: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.allocator == allocator)
    }

    /// A figure of an allocator's row by its path, such as `causes.shortcut`.
    pub fn measured(&self, allocator: &str, figure: &str) -> Option<Measured> {
        let row = serde_json::to_value(self.row(allocator)?).ok()?;
        let interval = at(&row, &format!("{figure}_ci95")).cloned();
        Some(Measured {
            value: at(&row, figure)?.as_f64()?,
            interval: interval.and_then(|interval| serde_json::from_value(interval).ok()),
        })
    }

    /// The expectations that do not hold. Those of allocators that did not run are not held to
    /// anything.
    pub fn misses(&self, expectations: &[Expectation]) -> Vec<Miss> {
        let held = expectations
            .iter()
            .filter(|expectation| self.can_hold(expectation));
        let misses = held.filter_map(|expectation| {
            let measured = |allocator: &str, figure| self.measured(allocator, figure);
            expectation.check(measured).err()
        });
        misses.flatten().collect()
    }

    /// Whether all allocators that an expectation is about have run.
    pub fn can_hold(&self, expectation: &Expectation) -> bool {
        let ran = |name: &str| self.rows.iter().any(|row| row.allocator == name);
        ran(expectation.allocator())
            && expectation
                .conditions()
                .iter()
                .all(|condition| condition.other().is_none_or(ran))
    }
}

impl WireDomain {
    fn of(header: &Header) -> WireDomain {
        let flush_queue = match header.flush_queue {
            FlushQueue::None => "none",
            FlushQueue::PerCpu => "per-cpu",
            FlushQueue::Single => "single",
        };
        WireDomain {
            granule: header.granule.bytes(),
            start_pfn: header.start_pfn.0,
            cpus: header.cpus,
            flush_queue: flush_queue.to_owned(),
            forcedac: header.forcedac,
        }
    }
}

/// What a document has at a path of names with dots between them.
fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(document, |value, name| value.get(name))
}

/// A row for each allocator, in the order in which their first runs stand.
pub(super) fn rows(runs: &[Run]) -> Vec<Row> {
    let mut order = Vec::new();
    let mut of_allocator: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let runs = of_allocator.entry(&run.allocator).or_default();
        if runs.is_empty() {
            order.push(run.allocator.as_str());
        }
        runs.push(run);
    }
    let first = order.first().map(|name| samples(&of_allocator[name]));
    let rows = order.iter().enumerate().map(|(index, name)| {
        let runs = &of_allocator[name];
        let mut row = row(name, runs);
        if let (Some(first), true) = (&first, index > 0) {
            row.against_first = against(first, &samples(runs));
        }
        row
    });
    rows.collect()
}

fn row(allocator: &str, runs: &[&Run]) -> Row {
    let mut steps = runs
        .iter()
        .all(|run| run.step_counts.is_some())
        .then(Steps::default);
    if let Some(steps) = &mut steps {
        for counts in runs.iter().filter_map(|run| run.step_counts.as_ref()) {
            steps.merge(&counts.0);
        }
    }
    let figures: Vec<&WireFigures> = runs.iter().map(|run| &run.figures).collect();
    Row {
        allocator: allocator.to_owned(),
        seeds: runs.len() as u64,
        figures: WireFigures {
            failure_rate_ci95: statistics::interval(&samples(runs)),
            ..WireFigures::pool(&figures, steps.as_ref())
        },
        runs_undone: runs.iter().filter(|run| run.undone.is_some()).count() as u64,
        against_first: None,
    }
}

fn samples(runs: &[&Run]) -> Vec<Sample> {
    let sample = |run: &&Run| Sample {
        failures: run.figures.failures,
        requests: run.figures.allocs,
    };
    runs.iter().map(sample).collect()
}

fn against(first: &[Sample], other: &[Sample]) -> Option<Against> {
    let difference = statistics::difference(first, other)?;
    Some(Against {
        failure_rate: difference.value,
        failure_rate_ci95: difference.interval,
        seen: difference.is_seen(),
    })
}
