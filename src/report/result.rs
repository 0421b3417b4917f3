//! The report of one scenario or trace, for people: how often allocations fail and how sure that
//! is, what else was counted, violations, what differs, and what does not hold.

use super::block::Block;
use super::differs::{self, End, Side};
use super::number::counted;
use super::{agreement, answer, tables, violations};
use crate::scenario::Miss;
use crate::study::Studied;
use crate::study::document::{Row, StudyResult, Subject};
use iova::kernel::FlushQueue;
use iova::measure::MetricId;
use iova::units::Granule;

/// What became of a scenario's expectations.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// How many were checked.
    pub checked: usize,
    /// How many could not be checked.
    pub unchecked: usize,
    /// Those that do not hold.
    pub misses: Vec<Miss>,
}

/// How much a report tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The answer and the main table.
    Main,
    /// Also what the scenario shows, every table that is not all zero, and how each allocator
    /// differs from the first, request by request.
    All,
}

/// The report, section by section: the answer first.
pub fn sections(studied: &Studied, expected: &Expected, detail: Detail) -> Vec<Vec<Block>> {
    let result = &studied.result;
    let rows = &result.rows;
    let differences = differences(studied);
    let answer = answer(result, differences.first());
    let mut sections = vec![heading(result, detail), answer, main_table(result)];
    if detail == Detail::All {
        sections.extend(tables::details(rows).map(|table| vec![Block::Table(table)]));
    }
    sections.push(violations::blocks(result));
    if detail == Detail::All {
        sections.push(differences.into_iter().map(Block::Paragraph).collect());
    }
    sections.push(agreement::blocks(studied));
    sections.push(expectations(expected));
    sections
}

fn heading(result: &StudyResult, detail: Detail) -> Vec<Block> {
    let domain = &result.domain;
    let file = result.file.as_deref().unwrap_or_default();
    let name = result.subject.name();
    let name = name.map_or(String::new(), |name| format!(": {name}"));
    let seeds = match result.traces.as_slice() {
        [only] if only.seed.is_none() => String::new(),
        traces => format!("{}, ", counted(traces.len() as u64, "seed", "seeds")),
    };
    let events: u64 = result.traces.iter().map(|trace| trace.events).sum();
    let flush_queue = match domain.flush_queue {
        FlushQueue::None => "",
        FlushQueue::PerCpu => ", a flush queue per CPU",
        FlushQueue::Single => ", a single flush queue",
    };
    let forcedac = if domain.forcedac { ", forcedac" } else { "" };
    let facts = format!(
        "{seeds}{}, {}, granule {}, start_pfn {:#x}{flush_queue}{forcedac}",
        counted(events, "event", "events"),
        counted(domain.cpus.into(), "CPU", "CPUs"),
        domain.granule,
        domain.start_pfn,
    );
    let shows = match &result.subject {
        Subject::Scenario { shows, .. } if detail == Detail::All => {
            Some(Block::Paragraph(shows.clone()))
        }
        Subject::Scenario { .. } | Subject::Trace { .. } => None,
    };
    let mut blocks = vec![Block::Heading(format!("{file}{name}"))];
    blocks.extend(shows);
    blocks.push(Block::Paragraph(facts));
    blocks
}

/// The answer, and the first request that two allocators answer differently.
fn answer(result: &StudyResult, first_that_differs: Option<&String>) -> Vec<Block> {
    let sentence = Block::Paragraph(answer::sentence(result));
    let first = first_that_differs.cloned().map(Block::Paragraph);
    [sentence].into_iter().chain(first).collect()
}

fn main_table(result: &StudyResult) -> Vec<Block> {
    let footnote = answer::footnote(result).map(Block::Paragraph);
    let table = Block::Table(answer::table(result));
    [table].into_iter().chain(footnote).collect()
}

fn differences(studied: &Studied) -> Vec<String> {
    let result = &studied.result;
    let sides: Vec<Side<'_>> = result.rows.iter().map(|row| side(result, row)).collect();
    let granule = Granule::from_bytes(result.domain.granule).unwrap_or(Granule::KIB_4);
    differs::sentences(&sides, &studied.differences, granule)
}

fn side<'a>(result: &'a StudyResult, row: &'a Row) -> Side<'a> {
    let mut runs = result
        .runs
        .iter()
        .filter(|run| run.allocator == row.allocator);
    let aborted = runs.find_map(|run| run.aborted.as_ref());
    Side {
        name: &row.allocator,
        steps: row
            .metrics
            .get(MetricId::StepsTotal)
            .map(|_| row.metrics.count(MetricId::StepsTotal)),
        ended: aborted.map(|aborted| match result.subject {
            Subject::Trace { .. } => End::Event(aborted.event),
            Subject::Scenario { .. } => End::SomeRuns,
        }),
    }
}

fn expectations(expected: &Expected) -> Vec<Block> {
    let Expected {
        checked,
        unchecked,
        misses,
    } = expected;
    let warning = |miss| Block::Warning(format!("expectation failed: {miss}"));
    let mut blocks: Vec<Block> = misses.iter().map(warning).collect();
    if *checked > 0 && misses.is_empty() {
        let all = counted(*checked as u64, "expectation holds", "expectations hold");
        blocks.push(Block::Paragraph(format!("all of {all}")));
    }
    if *unchecked > 0 {
        let some = counted(*unchecked as u64, "expectation was", "expectations were");
        blocks.push(Block::Paragraph(format!("{some} not checked")));
    }
    blocks
}
