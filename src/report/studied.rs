//! The page that `run` prints of one scenario: failure rates and how sure they are, what else
//! was counted, what differs, and which expectations do not hold.

use super::differs::{self, End, Side};
use super::number::{counted, decimal, grouped, percent};
use super::table::dash;
use super::tables::{self, Line};
use super::{Page, Table};
use crate::scenario::Miss;
use crate::study::ScenarioResult;
use crate::study::result::{Against, Row};
use iova::measure::Difference;
use iova::units::Granule;

/// A scenario's result and what goes with it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What the user calls the scenario: its file.
    pub file: &'a str,
    pub result: &'a ScenarioResult,
    /// How each allocator after the first differs from the first.
    pub differences: &'a [Difference],
    /// What the result was held to.
    pub expected: &'a Expected,
}

/// What became of a scenario's expectations.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// How many the result was held to.
    pub checked: usize,
    /// How many it could not be held to.
    pub unchecked: usize,
    /// Those that do not hold.
    pub misses: Vec<Miss>,
}

/// The page of one scenario.
pub fn text(subject: &Subject<'_>, page: Page) -> String {
    let Subject {
        result,
        differences,
        expected,
        ..
    } = subject;
    let rows = &result.rows;
    let lines: Vec<Line<'_>> = rows
        .iter()
        .map(|row| Line {
            allocator: &row.allocator,
            figures: &row.figures,
        })
        .collect();
    let mut blocks = vec![heading(subject, page)];
    blocks.push(rates(rows).render(page) + &page.paragraph(&footnote(rows)));
    blocks.push(tables::load(&lines).render(page));
    blocks.extend(
        tables::details(&lines)
            .iter()
            .map(|table| table.render(page)),
    );
    blocks.push(rows.iter().filter_map(|row| undone(row, page)).collect());
    let sides: Vec<Side<'_>> = rows.iter().map(side).collect();
    let granule = Granule::from_bytes(result.domain.granule).unwrap_or(Granule::KIB_4);
    let sentences = differs::sentences(&sides, differences, granule);
    blocks.push(sentences.iter().map(|it| page.paragraph(it)).collect());
    blocks.push(expectations(expected, page));
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

fn heading(subject: &Subject<'_>, page: Page) -> String {
    let Subject { file, result, .. } = subject;
    let domain = &result.domain;
    let events: u64 = result.traces.iter().map(|trace| trace.events).sum();
    let seeds = match result.traces.as_slice() {
        [only] if only.seed == 0 => String::new(),
        traces => format!("{}, ", counted(traces.len() as u64, "seed", "seeds")),
    };
    let flush_queue = match domain.flush_queue.as_str() {
        "none" => "",
        "single" => ", a single flush queue",
        _ => ", a flush queue per CPU",
    };
    let forcedac = if domain.forcedac { ", forcedac" } else { "" };
    page.heading(&format!("{file}: {}", result.scenario))
        + &page.paragraph(&result.shows)
        + &page.paragraph(&format!(
            "{seeds}{}, {}, granule {}, start_pfn {:#x}{flush_queue}{forcedac}",
            counted(events, "event", "events"),
            counted(domain.cpus.into(), "CPU", "CPUs"),
            domain.granule,
            domain.start_pfn,
        ))
}

fn rates(rows: &[Row]) -> Table {
    let headings = [
        "allocs",
        "failures",
        "failed",
        "95 % interval",
        "vs first",
        "95 % interval",
    ];
    let mut table = Table::new("allocator", headings);
    for row in rows {
        let figures = &row.figures;
        let against = row.against_first.as_ref();
        let cells = [
            grouped(figures.allocs),
            grouped(figures.failures),
            dash(percent(figures.failures, figures.allocs)),
            dash(figures.failure_rate_ci95.map(points)),
            dash(against.map(difference)),
            dash(against.and_then(|it| it.failure_rate_ci95).map(points)),
        ];
        table.row(&row.allocator, cells);
    }
    table
}

/// `2.95 to 4.10`, in per cent.
fn points([lo, hi]: [f64; 2]) -> String {
    format!("{} to {}", decimal(lo * 100.0, 2), decimal(hi * 100.0, 2))
}

fn difference(against: &Against) -> String {
    match against.seen {
        Some(false) => "none seen".to_owned(),
        _ => decimal(against.failure_rate * 100.0, 2),
    }
}

fn footnote(rows: &[Row]) -> String {
    let seeds = rows.first().map_or(0, |row| row.seeds);
    match seeds {
        0 | 1 => "95 % intervals: Wilson's, as if the requests of the one run were independent"
            .to_owned(),
        _ => format!(
            "95 % intervals: Wilson's, for as many independent requests as the spread between \
             the {seeds} seeds leaves; of the difference in percentage points: seed by seed"
        ),
    }
}

fn undone(row: &Row, page: Page) -> Option<String> {
    let runs = counted(row.runs_undone, "run", "runs");
    let name = &row.allocator;
    let note = format!("{name}: {runs} ended early, where the kernel would have been undone");
    (row.runs_undone > 0).then(|| page.warning(&note))
}

fn side(row: &Row) -> Side<'_> {
    Side {
        name: &row.allocator,
        steps: row.figures.steps.as_ref().map(|steps| steps.total),
        ended: (row.runs_undone > 0).then_some(End::SomeRuns),
    }
}

fn expectations(expected: &Expected, page: Page) -> String {
    let Expected {
        checked,
        unchecked,
        misses,
    } = expected;
    let mut lines = String::new();
    for miss in misses {
        lines += &page.warning(&format!("expectation failed: {miss}"));
    }
    if *checked > 0 && misses.is_empty() {
        let all = counted(*checked as u64, "expectation holds", "expectations hold");
        lines += &page.paragraph(&format!("all of {all}"));
    }
    if *unchecked > 0 {
        let some = counted(*unchecked as u64, "expectation was", "expectations were");
        lines += &page.paragraph(&format!("{some} not checked"));
    }
    lines
}
