//! What `replay` and `run` came to, for programs: versioned documents.

use serde::Serialize;

use super::Subject;
use crate::study::Agreement;
use crate::study::agreement::Disagreement;
use crate::study::result::StepCounts;
use crate::study::wire::{WireFigures, WireUndone};
use crate::study::{Row, ScenarioResult};
use iova::kernel::FlushQueue;
use iova::measure::Difference;
use iova::measure::difference::{Case, Cases};
use iova::measure::record::{SampledRecord, TrafficRecord};
use iova::op::Got;
use iova::op::Op;
use iova::replay::Found;

/// The version of the document.
pub const VERSION: u64 = 1;

/// The document about some traces, indented, with a newline at its end; a row a line where it
/// has columns of samples.
pub fn text(subjects: &[Subject<'_>]) -> String {
    let document = Document {
        iovasim: "replay",
        version: VERSION,
        program: env!("CARGO_PKG_VERSION"),
        traces: subjects.iter().map(WireTrace::of).collect(),
        rows: subjects.iter().flat_map(rows).collect(),
        differences: subjects.iter().flat_map(differences).collect(),
    };
    if subjects.iter().any(|it| it.traffic.is_some()) {
        return super::set::document(&document);
    }
    super::document(&document)
}

/// The results of scenarios, one document after the other, with a row a line.
pub fn results<'a>(results: impl IntoIterator<Item = &'a ScenarioResult>) -> String {
    let documents = results.into_iter().map(super::set::document);
    documents.collect()
}

#[derive(Serialize)]
struct Document<'a> {
    iovasim: &'static str,
    version: u64,
    program: &'static str,
    traces: Vec<WireTrace<'a>>,
    rows: Vec<WireRow<'a>>,
    differences: Vec<WireDifference<'a>>,
}

#[derive(Serialize)]
struct WireTrace<'a> {
    file: &'a str,
    hash: &'a str,
    name: Option<&'a str>,
    source: Option<&'a str>,
    kernel: Option<&'a str>,
    events: u64,
    cpus: u32,
    granule: u64,
    start_pfn: u64,
    flush_queue: FlushQueue,
    forcedac: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<&'a TrafficRecord>,
}

impl<'a> WireTrace<'a> {
    fn of(subject: &Subject<'a>) -> WireTrace<'a> {
        let header = subject.header;
        WireTrace {
            file: subject.file,
            hash: subject.digest,
            name: header.name.as_deref(),
            source: header.source.as_deref(),
            kernel: header.kernel.as_deref(),
            events: subject.events,
            cpus: header.cpus,
            granule: header.granule.bytes(),
            start_pfn: header.start_pfn.0,
            flush_queue: header.flush_queue,
            forcedac: header.forcedac,
            traffic: subject.traffic,
        }
    }
}

#[derive(Serialize)]
struct WireRow<'a> {
    trace: &'a str,
    allocator: &'a str,
    #[serde(flatten)]
    figures: WireFigures,
    undone: Option<WireUndone>,
    first_findings: Vec<WireFound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<WireCheck>,
    #[serde(flatten)]
    sampled: Option<WireSampled<'a>>,
}

/// What there is where a replay was sampled.
#[derive(Serialize)]
struct WireSampled<'a> {
    step_counts: Option<StepCounts>,
    #[serde(flatten)]
    seen: &'a SampledRecord,
}

impl<'a> WireSampled<'a> {
    fn of(row: &'a Row) -> Option<WireSampled<'a>> {
        let walks = row.allocator.rules().walks();
        Some(WireSampled {
            step_counts: walks.then(|| StepCounts(row.figures.steps.clone())),
            seen: row.sampled.as_ref()?,
        })
    }
}

fn rows<'a>(subject: &Subject<'a>) -> impl Iterator<Item = WireRow<'a>> + use<'a> {
    let file = subject.file;
    subject.rows.iter().map(move |row: &Row| WireRow {
        trace: file,
        allocator: row.allocator.name(),
        figures: WireFigures::of(&row.figures, row.allocator.rules().walks()),
        undone: row.figures.undone.map(WireUndone::of),
        first_findings: row
            .figures
            .findings
            .examples()
            .iter()
            .map(WireFound::of)
            .collect(),
        check: row.agreement.as_ref().map(WireCheck::of),
        sampled: WireSampled::of(row),
    })
}

#[derive(Serialize)]
struct WireFound {
    finding: &'static str,
    event: u64,
    pfn: Option<u64>,
    pages: Option<u64>,
}

impl WireFound {
    fn of(found: &Found) -> WireFound {
        WireFound {
            finding: found.finding.name(),
            event: found.event,
            pfn: found.range.map(|(pfn, _)| pfn.0),
            pages: found.range.map(|(_, pages)| pages.0),
        }
    }
}

#[derive(Serialize)]
struct WireCheck {
    compared: u64,
    agreeing: u64,
    first_disagreement: Option<WireDisagreement>,
}

#[derive(Serialize)]
struct WireDisagreement {
    event: u64,
    recorded: Option<u64>,
    replayed: Option<u64>,
}

impl WireCheck {
    fn of(agreement: &Agreement) -> WireCheck {
        WireCheck {
            compared: agreement.compared,
            agreeing: agreement.agreeing,
            first_disagreement: agreement.first.as_ref().map(WireDisagreement::of),
        }
    }
}

impl WireDisagreement {
    fn of(disagreement: &Disagreement) -> WireDisagreement {
        WireDisagreement {
            event: disagreement.event,
            recorded: pfn(disagreement.recorded),
            replayed: pfn(disagreement.replayed),
        }
    }
}

fn pfn(got: Got) -> Option<u64> {
    match got {
        Got::Unrecorded | Got::Failed => None,
        Got::Pfn(pfn) => Some(pfn.0),
    }
}

#[derive(Serialize)]
struct WireDifference<'a> {
    trace: &'a str,
    first: &'a str,
    other: &'a str,
    compared: u64,
    first_refused: WireCases,
    other_refused: WireCases,
    moved: WireCases,
}

fn differences<'a>(
    subject: &Subject<'a>,
) -> impl Iterator<Item = WireDifference<'a>> + use<'a> {
    let Subject {
        file,
        rows,
        differences,
        ..
    } = *subject;
    let others = rows.iter().skip(1);
    let pairs = others.zip(differences);
    pairs.map(
        move |(other, difference): (&Row, &Difference)| WireDifference {
            trace: file,
            first: rows[0].allocator.name(),
            other: other.allocator.name(),
            compared: difference.compared,
            first_refused: WireCases::of(&difference.first_refused),
            other_refused: WireCases::of(&difference.other_refused),
            moved: WireCases::of(&difference.moved),
        },
    )
}

#[derive(Serialize)]
struct WireCases {
    count: u64,
    first: Option<WireCase>,
}

#[derive(Serialize)]
struct WireCase {
    event: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<u64>,
    cause: Option<&'static str>,
    max32: Option<u64>,
}

impl WireCases {
    fn of(cases: &Cases) -> WireCases {
        WireCases {
            count: cases.count,
            first: cases.first.as_deref().map(WireCase::of),
        }
    }
}

impl WireCase {
    fn of(case: &Case) -> WireCase {
        let mut wire = WireCase {
            event: case.event,
            pages: None,
            limit: None,
            bytes: None,
            mask: None,
            cause: case.refused.map(|refused| refused.cause.name()),
            max32: case
                .refused
                .and_then(|refused| refused.max32)
                .map(|max32| max32.0),
        };
        match case.request.op {
            Op::Alloc { pages, limit, .. } => {
                (wire.pages, wire.limit) = (Some(pages.0), Some(limit.0));
            }
            Op::Map { bytes, mask, .. } => {
                (wire.bytes, wire.mask) = (Some(bytes), Some(mask));
            }
            _ => {}
        }
        wire
    }
}
