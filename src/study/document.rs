//! The result document of `run` and `replay`: for each scenario or trace a row for each allocator,
//! and each of its runs. A replay of a trace is a result whose allocators have one run each,
//! without a seed.
//!
//! The rows are computed from the runs and nothing else, so the shards of a run merge into the
//! same document as the run itself.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::scenario::{Expectation, Measured, Miss};
use crate::strict_json;
use iova::kernel::FlushQueue;
use iova::measure::record::{SampledRecord, TrafficRecord};
use iova::measure::{Cause, Metric, MetricId, Metrics, Steps};
use iova::replay::ViolationKind;

/// The version of the document.
pub const VERSION: u64 = 2;

/// A document: one JSON value with the results of some scenarios or traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The kind of the document.
    pub iovasim: ResultTag,
    /// Its version.
    #[schemars(extend("const" = VERSION))]
    pub version: u64,
    /// The version of the program that wrote it.
    pub program: String,
    pub results: Vec<StudyResult>,
}

/// Marks a result document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResultTag {
    #[serde(rename = "result")]
    Result,
}

/// The result of a scenario or a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyResult {
    /// The file of the scenario or the trace, as the user named it; absent from documents of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What was studied.
    pub subject: Subject,
    /// The shard that this is; absent from a whole result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    pub domain: DomainRecord,
    /// The requests, a trace for each seed.
    pub traces: Vec<TraceRecord>,
    /// One for each allocator; the others are compared with the first.
    pub rows: Vec<Row>,
    /// One for each allocator and seed, in the order of the allocators and then of the seeds.
    pub runs: Vec<Run>,
    /// How the allocators of a replay differ from the first, request by request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<DifferenceRecord>,
    /// The requests of the first seed over time; absent without sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficRecord>,
}

/// What was studied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Subject {
    Scenario {
        name: String,
        /// What the scenario shows.
        shows: String,
    },
    /// A recorded trace, with what its header says of itself.
    Trace {
        name: Option<String>,
        source: Option<String>,
        kernel: Option<String>,
    },
}

/// A part of a run: every `of`-th unit of scenario, seed and allocator, from number `index` on.
/// Its document has nothing but these units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// The number of the shard, from 1.
    pub index: u64,
    /// The number of shards.
    pub of: u64,
    /// The allocators of the whole run.
    pub allocators: Vec<String>,
    /// The seeds of the whole run; a single null for a recorded trace.
    pub seeds: Vec<Option<u64>>,
}

/// The domains, as the header of a trace describes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainRecord {
    /// Bytes per page.
    pub granule: u64,
    pub start_pfn: u64,
    pub cpus: u32,
    pub flush_queue: FlushQueue,
    pub forcedac: bool,
}

/// The requests of one seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceRecord {
    /// Absent for a recorded trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The hash of the trace.
    pub hash: String,
    pub events: u64,
}

/// An allocator: all its runs together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct Row {
    pub allocator: String,
    /// The number of its runs, one for each seed.
    pub runs: u64,
    /// The 95 % interval of the failure rate; absent where there are no requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_rate_ci95: Option<[f64; 2]>,
    #[serde(flatten)]
    pub metrics: Metrics,
    /// How it differs from the first allocator; null for that one.
    pub against_first: Option<Against>,
}

/// A failure rate beside the first allocator's, seed by seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Against {
    /// This rate less the first allocator's.
    pub failure_rate: f64,
    /// Its 95 % interval over the seeds; null with a single seed.
    pub failure_rate_ci95: Option<[f64; 2]>,
    /// Whether the seeds tell the two apart; null with a single seed.
    pub seen: Option<bool>,
}

/// An allocator on the requests of one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct Run {
    pub allocator: String,
    /// Absent for a recorded trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Where the kernel would have crashed or hung, which ended the run.
    #[serde(alias = "undone")]
    pub aborted: Option<AbortRecord>,
    /// How many requests took how many steps, as `steps:requests` separated by commas; null if
    /// the design does not walk.
    pub step_counts: Option<StepCounts>,
    /// The first violations of each kind.
    #[serde(
        default,
        alias = "first_findings",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub first_violations: Vec<ViolationRecord>,
    /// How the answers compare with recorded ones; absent if that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckRecord>,
    /// The address space over time; absent if it was not sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<SampledRecord>,
}

/// Where the kernel would have crashed or hung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortRecord {
    /// The number of the event, from 0.
    pub event: u64,
    #[serde(alias = "finding")]
    pub violation: ViolationKind,
}

/// A violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViolationRecord {
    #[serde(alias = "finding")]
    pub violation: ViolationKind,
    /// The number of the event, from 0.
    pub event: u64,
    /// The range that was handed out.
    pub pfn: Option<u64>,
    pub pages: Option<u64>,
}

/// Answers beside recorded ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRecord {
    pub compared: u64,
    pub agreeing: u64,
    pub first_disagreement: Option<DisagreementRecord>,
}

/// The first answer that differs from the recorded one; null is a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisagreementRecord {
    /// The number of the event, from 0.
    pub event: u64,
    pub recorded: Option<u64>,
    pub replayed: Option<u64>,
}

/// How another allocator's answers differ from the first one's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferenceRecord {
    pub first: String,
    pub other: String,
    /// Requests for addresses that both answered.
    pub compared: u64,
    /// Requests that the first alone refused.
    pub first_refused: CasesRecord,
    /// Requests that the other alone refused.
    pub other_refused: CasesRecord,
    /// Requests that both granted, at different addresses.
    pub moved: CasesRecord,
}

/// Requests of a kind: how many, and the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CasesRecord {
    pub count: u64,
    pub first: Option<CaseRecord>,
}

/// A request that was answered differently: `pages` and `limit` of an `alloc`, `bytes` and `mask`
/// of a `map`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseRecord {
    /// The number of the event, from 0.
    pub event: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<u64>,
    /// Why one of the two refused it; null if both granted it.
    pub cause: Option<Cause>,
    /// `max32_alloc_size` after that.
    pub max32: Option<u64>,
}

/// How many requests took how many steps, on one line of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepCounts(pub Steps);

impl JsonSchema for StepCounts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StepCounts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^(\d+:\d+(,\d+:\d+)*)?$" })
    }
}

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

/// Whether so many more requests, of so many steps each, can be counted.
fn can_add(all: &Steps, steps: u64, requests: u64) -> bool {
    let total = steps.checked_mul(requests);
    let total = total.and_then(|it| it.checked_add(all.total()));
    total.is_some() && all.requests().checked_add(requests).is_some()
}

/// The JSON Schema of result documents, as text that ends with a newline.
pub fn schema() -> String {
    strict_json::schema::<Document>()
}

impl Document {
    /// The document of some results.
    pub fn new(results: Vec<StudyResult>) -> Document {
        Document {
            iovasim: ResultTag::Result,
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            results,
        }
    }
}

impl StudyResult {
    /// What messages, policies and comparisons call it: the scenario's name or the trace's file.
    pub fn name(&self) -> &str {
        match &self.subject {
            Subject::Scenario { name, .. } => name,
            Subject::Trace { name, .. } => {
                let file = self.file.as_deref().or(name.as_deref());
                file.unwrap_or("trace")
            }
        }
    }

    /// The row of an allocator.
    pub fn row(&self, allocator: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.allocator == allocator)
    }

    /// A metric of an allocator's row.
    pub fn measured(&self, allocator: &str, metric: &Metric) -> Option<Measured> {
        let row = self.row(allocator)?;
        Some(Measured {
            value: row.metrics.real(metric.id)?,
            interval: row
                .failure_rate_ci95
                .filter(|_| metric.id == MetricId::FailureRate),
        })
    }

    /// The expectations that do not hold. Those of allocators that did not run are not checked.
    pub fn misses(&self, expectations: &[Expectation]) -> Vec<Miss> {
        let held = expectations
            .iter()
            .filter(|expectation| self.can_hold(expectation));
        let misses = held.filter_map(|expectation| {
            let measured = |allocator: &str, metric: &Metric| self.measured(allocator, metric);
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

impl Subject {
    /// The name of a scenario, or what a trace calls itself.
    pub fn name(&self) -> Option<&str> {
        match self {
            Subject::Scenario { name, .. } => Some(name),
            Subject::Trace { name, .. } => name.as_deref(),
        }
    }
}
