//! Makes results of what replays came to.

use super::agreement::{Agreement, Disagreement};
use super::document::{
    AbortRecord, CaseRecord, CasesRecord, CheckRecord, DifferenceRecord, DisagreementRecord,
    DomainRecord, Run, StepCounts, StudyResult, Subject, TraceRecord, ViolationRecord,
};
use super::pool;
use super::run::{FinishedRun, Replayed};
use crate::trace::event::Header;
use iova::measure::difference::{Case, Cases};
use iova::measure::{Difference, Metrics};
use iova::op::{Got, Op};
use iova::replay::{Aborted, Violation};

impl StudyResult {
    /// The result of runs, which are in the order of allocators and then of seeds.
    pub fn new(
        file: &str,
        subject: Subject,
        header: &Header,
        traces: Vec<TraceRecord>,
        runs: Vec<Run>,
    ) -> StudyResult {
        StudyResult {
            file: Some(file.to_owned()),
            subject,
            shard: None,
            domain: DomainRecord::of(header),
            traces,
            rows: pool::rows(&runs).expect("64 bits hold the counts of what was simulated"),
            runs,
            differences: Vec::new(),
            traffic: None,
        }
    }

    /// The result of a trace that was replayed.
    pub fn of_replay(file: &str, header: &Header, replayed: &Replayed) -> StudyResult {
        let subject = Subject::Trace {
            name: header.name.clone(),
            source: header.source.clone(),
            kernel: header.kernel.clone(),
        };
        let trace = TraceRecord {
            seed: None,
            hash: replayed.hash.clone(),
            events: replayed.events,
        };
        let runs: Vec<Run> = replayed.runs.iter().map(|run| Run::of(run, None)).collect();
        let others = replayed.runs.iter().skip(1).zip(&replayed.differences);
        let differences = others.map(|(other, difference)| {
            let [first, other] = [&replayed.runs[0], other].map(|it| it.allocator.name());
            DifferenceRecord::of(first, other, difference)
        });
        StudyResult {
            differences: differences.collect(),
            traffic: replayed.traffic.clone(),
            ..StudyResult::new(file, subject, header, vec![trace], runs)
        }
    }
}

impl DomainRecord {
    fn of(header: &Header) -> DomainRecord {
        DomainRecord {
            granule: header.granule.bytes(),
            start_pfn: header.start_pfn.0,
            cpus: header.cpus,
            flush_queue: header.flush_queue,
            forcedac: header.forcedac,
        }
    }
}

impl Run {
    /// A run on the requests of a seed, or of a recorded trace.
    pub fn of(run: &FinishedRun, seed: Option<u64>) -> Run {
        let totals = &run.totals;
        let examples = totals.violations.examples().iter();
        Run {
            allocator: run.allocator.name().to_owned(),
            seed,
            metrics: Metrics::of(totals),
            aborted: totals.aborted.map(AbortRecord::of),
            step_counts: totals.steps.clone().map(StepCounts),
            first_violations: examples.map(ViolationRecord::of).collect(),
            check: run.agreement.as_ref().map(CheckRecord::of),
            sampled: run.sampled.clone(),
        }
    }
}

impl AbortRecord {
    fn of(aborted: Aborted) -> AbortRecord {
        AbortRecord {
            event: aborted.event,
            violation: aborted.kind,
        }
    }
}

impl ViolationRecord {
    fn of(violation: &Violation) -> ViolationRecord {
        ViolationRecord {
            violation: violation.kind,
            event: violation.event,
            pfn: violation.range.map(|(pfn, _)| pfn.0),
            pages: violation.range.map(|(_, pages)| pages.0),
        }
    }
}

impl CheckRecord {
    fn of(agreement: &Agreement) -> CheckRecord {
        CheckRecord {
            compared: agreement.tally.compared,
            agreeing: agreement.tally.addresses,
            first_disagreement: agreement.first.as_ref().map(DisagreementRecord::of),
        }
    }
}

impl DisagreementRecord {
    fn of(disagreement: &Disagreement) -> DisagreementRecord {
        let pfn = |got| match got {
            Got::Unrecorded | Got::Failed => None,
            Got::Pfn(pfn) => Some(pfn.0),
        };
        DisagreementRecord {
            event: disagreement.event,
            recorded: pfn(disagreement.recorded),
            replayed: pfn(disagreement.replayed),
        }
    }
}

impl DifferenceRecord {
    fn of(first: &str, other: &str, difference: &Difference) -> DifferenceRecord {
        DifferenceRecord {
            first: first.to_owned(),
            other: other.to_owned(),
            compared: difference.compared,
            first_refused: CasesRecord::of(&difference.first_refused),
            other_refused: CasesRecord::of(&difference.other_refused),
            moved: CasesRecord::of(&difference.moved),
        }
    }
}

impl CasesRecord {
    fn of(cases: &Cases) -> CasesRecord {
        CasesRecord {
            count: cases.count,
            first: cases.first.as_deref().map(CaseRecord::of),
        }
    }
}

impl CaseRecord {
    fn of(case: &Case) -> CaseRecord {
        let record = CaseRecord {
            event: case.event,
            cause: case.refused.map(|refused| refused.cause),
            max32: case.refused.and_then(|it| it.max32).map(|max32| max32.0),
            ..CaseRecord::default()
        };
        match case.request.op {
            Op::Alloc { pages, limit, .. } => CaseRecord {
                pages: Some(pages.0),
                limit: Some(limit.0),
                ..record
            },
            Op::Map { bytes, mask, .. } => CaseRecord {
                bytes: Some(bytes),
                mask: Some(mask),
                ..record
            },
            _ => record,
        }
    }
}
