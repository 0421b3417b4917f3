//! Documents of version 1: a result of `run` for each scenario, one after the other in a file, and
//! another kind for `replay`. They differ from version 2 in the frame; rows and runs are the same.

use serde::Deserialize;

use crate::study::document::{
    AbortRecord, CasesRecord, CheckRecord, DifferenceRecord, Document, DomainRecord, ResultTag,
    Row, Run, Shard, StepCounts, StudyResult, Subject, TraceRecord, VERSION, ViolationRecord,
};
use crate::study::pool;
use iova::kernel::FlushQueue;
use iova::measure::record::{MapRecord, SampledRecord, TimelineRecord, TrafficRecord};
use iova::measure::{MetricId, Metrics};

/// The result of a scenario.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunDocument {
    #[serde(rename = "iovasim")]
    _kind: String,
    #[serde(rename = "version")]
    _version: u64,
    program: String,
    shard: Option<Shard>,
    scenario: String,
    shows: String,
    domain: DomainRecord,
    /// Seed 0 alone is a recorded trace.
    traces: Vec<TraceRecord>,
    rows: Vec<RunRow>,
    runs: Vec<Run>,
    traffic: Option<TrafficRecord>,
    samples: Option<Vec<Samples>>,
}

/// An allocator: all its seeds together.
#[derive(Deserialize)]
struct RunRow {
    allocator: String,
    seeds: u64,
    failure_rate_ci95: Option<[f64; 2]>,
    #[serde(flatten)]
    metrics: Metrics,
    against_first: Option<crate::study::document::Against>,
}

/// What was sampled in the first run of an allocator.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Samples {
    allocator: String,
    seed: u64,
    timeline: TimelineRecord,
    map: MapRecord,
}

impl From<RunDocument> for Document {
    fn from(old: RunDocument) -> Document {
        let recorded = matches!(old.traces[..], [TraceRecord { seed: Some(0), .. }]);
        let seed = |seed: Option<u64>| seed.filter(|_| !recorded);
        let mut samples = old.samples.unwrap_or_default();
        let runs = old.runs.into_iter().map(|run| {
            let of_run = samples.extract_if(.., |it| {
                it.allocator == run.allocator && Some(it.seed) == run.seed
            });
            let last = of_run.last().map(|it| SampledRecord {
                timeline: it.timeline,
                map: it.map,
            });
            Run {
                seed: seed(run.seed),
                sampled: last,
                ..with_aborted(run)
            }
        });
        let runs = runs.collect();
        let rows = old.rows.into_iter().map(|row| Row {
            allocator: row.allocator,
            runs: row.seeds,
            failure_rate_ci95: row.failure_rate_ci95,
            metrics: row.metrics,
            against_first: row.against_first,
        });
        let result = StudyResult {
            file: None,
            subject: Subject::Scenario {
                name: old.scenario,
                shows: old.shows,
            },
            shard: old.shard.map(|shard| Shard {
                seeds: shard.seeds.into_iter().map(seed).collect(),
                ..shard
            }),
            domain: old.domain,
            traces: old
                .traces
                .into_iter()
                .map(|trace| TraceRecord {
                    seed: seed(trace.seed),
                    ..trace
                })
                .collect(),
            rows: rows.collect(),
            runs,
            differences: Vec::new(),
            traffic: old.traffic,
        };
        document(old.program, vec![result])
    }
}

fn document(program: String, results: Vec<StudyResult>) -> Document {
    Document {
        iovasim: ResultTag::Result,
        version: VERSION,
        program,
        results,
    }
}

fn with_aborted(run: Run) -> Run {
    let aborted = u64::from(run.aborted.is_some());
    Run {
        metrics: run.metrics.with(MetricId::RunsAborted, aborted),
        ..run
    }
}

/// The replays of some traces.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayDocument {
    #[serde(rename = "iovasim")]
    _kind: String,
    #[serde(rename = "version")]
    _version: u64,
    program: String,
    traces: Vec<ReplayTrace>,
    rows: Vec<ReplayRow>,
    differences: Vec<ReplayDifference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayTrace {
    file: String,
    hash: String,
    name: Option<String>,
    source: Option<String>,
    kernel: Option<String>,
    events: u64,
    cpus: u32,
    granule: u64,
    start_pfn: u64,
    flush_queue: FlushQueue,
    forcedac: bool,
    traffic: Option<TrafficRecord>,
}

/// An allocator on a trace, whose file is named. Steps were only counted if it was sampled.
#[derive(Deserialize)]
struct ReplayRow {
    trace: String,
    allocator: String,
    #[serde(flatten)]
    metrics: Metrics,
    #[serde(rename = "undone")]
    aborted: Option<AbortRecord>,
    #[serde(rename = "first_findings")]
    first_violations: Vec<ViolationRecord>,
    check: Option<CheckRecord>,
    step_counts: Option<StepCounts>,
    timeline: Option<TimelineRecord>,
    map: Option<MapRecord>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayDifference {
    trace: String,
    first: String,
    other: String,
    compared: u64,
    first_refused: CasesRecord,
    other_refused: CasesRecord,
    moved: CasesRecord,
}

impl From<ReplayDocument> for Document {
    fn from(old: ReplayDocument) -> Document {
        let (mut rows, mut differences) = (old.rows, old.differences);
        let results = old.traces.into_iter().map(|trace| {
            let rows = rows.extract_if(.., |row| row.trace == trace.file);
            let runs: Vec<Run> = rows.map(ReplayRow::into_run).collect();
            let differences = differences.extract_if(.., |it| it.trace == trace.file);
            StudyResult {
                subject: Subject::Trace {
                    name: trace.name,
                    source: trace.source,
                    kernel: trace.kernel,
                },
                shard: None,
                domain: DomainRecord {
                    granule: trace.granule,
                    start_pfn: trace.start_pfn,
                    cpus: trace.cpus,
                    flush_queue: trace.flush_queue,
                    forcedac: trace.forcedac,
                },
                traces: vec![TraceRecord {
                    seed: None,
                    hash: trace.hash,
                    events: trace.events,
                }],
                // Sums that are too large are found by the check that follows.
                rows: pool::rows(&runs).unwrap_or_default(),
                runs,
                differences: differences.map(ReplayDifference::into_record).collect(),
                traffic: trace.traffic,
                file: Some(trace.file),
            }
        });
        document(old.program, results.collect())
    }
}

impl ReplayRow {
    fn into_run(self) -> Run {
        let sampled = self.timeline.zip(self.map);
        with_aborted(Run {
            allocator: self.allocator,
            seed: None,
            metrics: self.metrics,
            aborted: self.aborted,
            step_counts: self.step_counts,
            first_violations: self.first_violations,
            check: self.check,
            sampled: sampled.map(|(timeline, map)| SampledRecord { timeline, map }),
        })
    }
}

impl ReplayDifference {
    fn into_record(self) -> DifferenceRecord {
        DifferenceRecord {
            first: self.first,
            other: self.other,
            compared: self.compared,
            first_refused: self.first_refused,
            other_refused: self.other_refused,
            moved: self.moved,
        }
    }
}
