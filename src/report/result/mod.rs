//! What `run` came to: one versioned document a scenario, which comparisons, charts and people
//! read.
//!
//! A row an allocator over all seeds, and a row an allocator and seed. Everything in the first
//! follows from the second and from the distribution of steps, so that shards of a run can be
//! put together to the same bytes. A document is set with a row a line, so that a difference
//! between two of them is a line each in `diff`.

pub(in crate::report) mod aggregate;
pub mod merge;
pub mod read;
mod set;
pub mod text;

use serde::{Deserialize, Serialize};

use super::wire::WireFigures;
use crate::measure::Steps;
use crate::model::Allocator;
use crate::scenario::{Expectation, Measured, Miss, Scenario};
use crate::study::seeds::{Done, Unit};

/// The version of the document.
pub const VERSION: u64 = 1;

/// What the document says that it is.
pub const KIND: &str = "result";

/// The result of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioResult {
    /// [`KIND`].
    pub iovasim: String,
    /// [`VERSION`].
    pub version: u64,
    /// The version of the program.
    pub program: String,
    /// The scenario's name.
    pub scenario: String,
    /// What the scenario shows.
    pub shows: String,
    /// Which part of the work this is; null where it is all.
    pub shard: Option<Shard>,
    /// The requests of each seed.
    pub traces: Vec<TraceOfSeed>,
    /// All seeds of an allocator together.
    pub rows: Vec<Row>,
    /// Each seed of each allocator.
    pub by_seed: Vec<SeedRow>,
}

/// A part of a run: every `of`-th unit of scenario, seed and allocator. Its document has only
/// the rows that it ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Which, from 1.
    pub index: u64,
    /// Of how many.
    pub of: u64,
    /// The allocators of the whole run.
    pub allocators: Vec<String>,
    /// The seeds of the whole run.
    pub seeds: Vec<u64>,
}

/// The requests that a seed makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceOfSeed {
    /// The seed.
    pub seed: u64,
    /// The digest of the requests.
    pub hash: String,
}

/// All seeds of an allocator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "read::WireRow")]
pub struct Row {
    /// The allocator's name.
    pub allocator: String,
    /// How many seeds.
    pub seeds: u64,
    /// The 95 % interval of the failure rate; null without requests.
    pub failure_rate_ci95: Option<[f64; 2]>,
    /// What the interval goes by: `seeds`, the spread between them, or `requests`, as if these
    /// were independent.
    pub failure_rate_ci95_by: Option<IntervalBy>,
    /// The failure rate less the first allocator's, seed by seed; null for the first itself.
    pub difference: Option<PairedDifference>,
    /// The figures: sums over the seeds, the largest where it is a maximum, the mean where it
    /// is a mean.
    #[serde(flatten)]
    pub figures: WireFigures,
    /// How many requests took how many steps, ascending; null where the design does not walk.
    pub steps_histogram: Option<Vec<[u64; 2]>>,
}

/// What an interval of a rate goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalBy {
    /// The spread between seeds.
    Seeds,
    /// The number of requests.
    Requests,
}

/// A difference between two allocators over the same requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedDifference {
    /// The mean over the seeds.
    pub failure_rate: f64,
    /// Its 95 % interval; null with a single seed, whose difference is exact.
    pub failure_rate_ci95: Option<[f64; 2]>,
    /// Seeds with more failures than the first allocator has.
    pub seeds_worse: u64,
    /// Seeds with fewer.
    pub seeds_better: u64,
}

/// One seed of an allocator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "read::WireSeedRow")]
pub struct SeedRow {
    /// The allocator's name.
    pub allocator: String,
    /// The seed.
    pub seed: u64,
    /// The figures.
    #[serde(flatten)]
    pub figures: WireFigures,
}

impl ScenarioResult {
    /// The result of a scenario whose units, in their order, came to this.
    pub fn of(scenario: &Scenario, units: &[(&Unit<'_>, &Done)]) -> ScenarioResult {
        let traces = units.iter().map(|(unit, done)| TraceOfSeed {
            seed: unit.seed,
            hash: done.digest.clone(),
        });
        let mut by_seed = Vec::new();
        let mut steps = Vec::new();
        for allocator in &scenario.allocators {
            let before = by_seed.len();
            let mut sum: Option<Steps> = None;
            for (unit, done) in units {
                let rows = &done.replayed.rows;
                let Some(row) = rows.iter().find(|row| row.allocator == *allocator) else {
                    continue;
                };
                let walks = allocator.rules().walks();
                by_seed.push(SeedRow {
                    allocator: allocator.name().to_owned(),
                    seed: unit.seed,
                    figures: WireFigures::of(&row.figures, walks),
                });
                if walks {
                    sum.get_or_insert_default().merge(&row.figures.steps);
                }
            }
            if by_seed.len() > before {
                steps.push(sum);
            }
        }
        ScenarioResult {
            iovasim: KIND.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: scenario.name.clone(),
            shows: scenario.shows.clone(),
            shard: None,
            traces: traces.collect(),
            rows: aggregate::rows(&by_seed, &steps),
            by_seed,
        }
    }

    /// The row of an allocator.
    pub fn row(&self, allocator: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.allocator == allocator)
    }

    /// The expectations of the scenario that this result misses.
    pub fn misses(&self, expectations: &[Expectation]) -> Vec<Miss> {
        let measured =
            |allocator: &str, figure: &'static str| self.row(allocator)?.measured(figure);
        let missed = expectations
            .iter()
            .filter_map(|it| it.check(measured).err());
        missed.flatten().collect()
    }

    /// The same result, said to be a part of a run of `scenario`: part `index` (from 1) of
    /// `of`.
    #[must_use]
    pub fn of_shard(self, scenario: &Scenario, index: u64, of: u64) -> ScenarioResult {
        let names = scenario.allocators.iter().map(Allocator::name);
        let shard = Shard {
            index,
            of,
            allocators: names.map(str::to_owned).collect(),
            seeds: scenario.seeds.clone(),
        };
        ScenarioResult {
            shard: Some(shard),
            ..self
        }
    }

    /// The document, a row a line, with a newline at its end.
    pub fn to_json(&self) -> String {
        set::document(self)
    }
}

impl Row {
    /// A figure of this row by its path in the document, such as `causes.shortcut`; none where
    /// it is not known.
    pub fn measured(&self, figure: &str) -> Option<Measured> {
        let document = serde_json::to_value(self).ok()?;
        let value = figure
            .split('.')
            .try_fold(&document, |value, name| value.get(name))?;
        let interval = if figure == "failure_rate" {
            self.failure_rate_ci95
        } else {
            None
        };
        Some(Measured {
            value: value.as_f64()?,
            interval,
        })
    }
}
