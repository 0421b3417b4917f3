//! Violations of an allocator's invariants: each kind with how often it happened, where it happened
//! first, and the change of the kernel that mends it.

use super::block::Block;
use super::number::counted;
use crate::study::document::{Row, Run, StudyResult, Subject, ViolationRecord};
use iova::kernel::{Allocator, Change};
use iova::measure::MetricId;
use iova::replay::ViolationKind;

/// A warning for each kind of violation of each allocator, and for each replay that ended early.
pub(super) fn blocks(result: &StudyResult) -> Vec<Block> {
    let notes = result.rows.iter().flat_map(|row| {
        let runs = result.runs.iter();
        let runs: Vec<&Run> = runs.filter(|run| run.allocator == row.allocator).collect();
        let ended = match result.subject {
            Subject::Trace { .. } => runs.iter().find_map(|run| ended(run)),
            Subject::Scenario { .. } => some_ended(row),
        };
        kinds(row, &runs).into_iter().chain(ended)
    });
    notes.map(Block::Warning).collect()
}

fn kinds(row: &Row, runs: &[&Run]) -> Vec<String> {
    let name = &row.allocator;
    let ends = |kind| match runs {
        [only] => only.aborted.as_ref().is_some_and(|it| it.violation == kind),
        _ => false,
    };
    let note = |kind: ViolationKind| {
        let metric = MetricId::of_violation(kind);
        let count = row.metrics.count(metric);
        if count == 0 || ends(kind) {
            return None;
        }
        let times = counted(count, "time", "times");
        let meaning = metric.metric().meaning;
        let first = runs.iter().find_map(|run| {
            let first = run
                .first_violations
                .iter()
                .find(|it| it.violation == kind)?;
            let seed = run.seed.filter(|_| runs.len() > 1);
            Some(found(first, seed))
        });
        let first = first.unwrap_or_default();
        let mended = mended_by(name, kind);
        let kind = kind.name();
        Some(format!("{name}: {kind} {times} ({meaning}){first}{mended}"))
    };
    ViolationKind::ALL.into_iter().filter_map(note).collect()
}

fn found(found: &ViolationRecord, seed: Option<u64>) -> String {
    let range = found.pfn.zip(found.pages);
    let range = range.map_or(String::new(), |(pfn, pages)| {
        format!(", {} at pfn {pfn:#x}", counted(pages, "page", "pages"))
    });
    let seed = seed.map_or(String::new(), |seed| format!(" in seed {seed}"));
    format!(", first{seed} at event {}{range}", found.event)
}

/// The change of the kernel's history that mends a violation of an allocator without it.
fn mended_by(allocator: &str, kind: ViolationKind) -> String {
    let changes: &[Change] = match kind {
        ViolationKind::BelowStart => &[Change::Retry, Change::RetryOverflow],
        ViolationKind::UseAfterFree => &[Change::StaleCached32],
        _ => &[],
    };
    let Ok(allocator) = allocator.parse::<Allocator>() else {
        return String::new();
    };
    let lacking = changes.iter().find(|it| !allocator.rules().has(**it));
    lacking.map_or(String::new(), |change| {
        let row = change.row();
        let commit = row
            .commit
            .map_or(String::new(), |it| format!(" (commit {it})"));
        let first = row
            .first
            .map_or(String::new(), |it| format!(" in linux-{it}"));
        format!("; mended by {}{commit}{first}: {}", row.slug, row.summary)
    })
}

/// Where the replay of a trace ended early.
fn ended(run: &Run) -> Option<String> {
    let aborted = run.aborted.as_ref()?;
    let why = match aborted.violation {
        ViolationKind::UseAfterFree => "the kernel would go on from a range that was freed",
        _ => "the kernel would search for ever under its lock",
    };
    let (name, event, violation) = (&run.allocator, aborted.event, aborted.violation.name());
    Some(format!(
        "{name}: {violation} at event {event}, where its replay ends: {why}"
    ))
}

/// How many runs of a scenario ended early.
fn some_ended(row: &Row) -> Option<String> {
    let count = row.metrics.count(MetricId::RunsAborted);
    let runs = counted(count, "run", "runs");
    let name = &row.allocator;
    (count > 0).then(|| {
        format!("{name}: {runs} ended early, where the kernel would have crashed or hung")
    })
}
