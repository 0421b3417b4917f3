//! The page that `run` prints of a scenario: rates with their intervals, causes, the cost of
//! searches, and what differs from the first allocator.

use super::{Row, ScenarioResult};
use crate::report::number::{grouped, percent};
use crate::report::table::dash;
use crate::report::{Page, Table, differs};
use crate::scenario::{Miss, Scenario};
use crate::study::seeds::{Done, Unit};

/// The page of a scenario. The units tell of single requests what the result does not.
pub fn page(
    scenario: &Scenario,
    result: &ScenarioResult,
    units: &[(&Unit<'_>, &Done)],
    misses: &[Miss],
    page: Page,
) -> String {
    let mut blocks = vec![heading(result, page)];
    blocks.extend(tables(result).iter().map(|table| table.render(page)));
    let mut sentences = differences(result);
    sentences.extend(example(units));
    sentences.extend(undone(result));
    sentences.push(held_to(scenario, misses));
    let sentences = sentences.iter().map(|sentence| page.paragraph(sentence));
    blocks.push(sentences.collect());
    let misses = misses
        .iter()
        .map(|miss| page.red(&page.paragraph(&format!("missed: {miss}"))));
    blocks.push(misses.collect());
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

fn heading(result: &ScenarioResult, page: Page) -> String {
    page.bold(&page.paragraph(&result.scenario)) + &page.paragraph(&result.shows)
}

fn tables(result: &ScenarioResult) -> Vec<Table> {
    let rows = &result.rows;
    let failed = rows.iter().any(|row| row.figures.failures > 0);
    let walked = rows.iter().any(|row| row.steps_histogram.is_some());
    let mut tables = vec![requests(rows)];
    tables.extend(failed.then(|| causes(rows)));
    tables.extend(walked.then(|| searches(rows)));
    tables.extend(walked.then(|| walks(rows)));
    tables
}

fn filled<const N: usize>(
    headings: [&str; N],
    rows: &[Row],
    cells: impl Fn(&Row) -> [String; N],
) -> Table {
    let mut table = Table::new("allocator", headings);
    for row in rows {
        table.row(&row.allocator, cells(row));
    }
    table
}

fn requests(rows: &[Row]) -> Table {
    let headings = [
        "seeds",
        "allocs",
        "failures",
        "failed",
        "95 % interval",
        "spurious",
        "pages live",
    ];
    filled(headings, rows, |row| {
        let it = &row.figures;
        [
            grouped(row.seeds),
            grouped(it.allocs),
            grouped(it.failures),
            dash(percent(it.failures, it.allocs)),
            dash(interval(row)),
            grouped(it.spurious),
            dash(it.pages_live_mean.map(|mean| rounded(mean))),
        ]
    })
}

/// The interval of the failure rate. A single seed's rate is exact for its requests, and
/// nothing is known of others.
fn interval(row: &Row) -> Option<String> {
    let [lo, hi] = row.failure_rate_ci95.filter(|_| row.seeds > 1)?;
    Some(format!("{} to {}", points(lo), points(hi)))
}

/// To the nearest integer, in groups of digits.
fn rounded(mean: f64) -> String {
    let digits = format!("{mean:.0}");
    digits.parse::<u128>().map_or(digits, grouped)
}

/// A rate in per cent, without the sign.
fn points(rate: f64) -> String {
    format!("{:.3}", rate * 100.0)
}

fn causes(rows: &[Row]) -> Table {
    let headings = [
        "shortcut",
        "missed",
        "cached",
        "fragmented",
        "exhausted",
        "nomem",
    ];
    filled(headings, rows, |row| {
        let it = &row.figures.causes;
        [
            it.shortcut,
            it.missed,
            it.cached,
            it.fragmented,
            it.exhausted,
            it.nomem,
        ]
        .map(grouped)
    })
}

fn searches(rows: &[Row]) -> Table {
    let headings = [
        "steps/alloc",
        "p50",
        "p99",
        "p99.9",
        "max",
        "2nd passes",
        "found",
    ];
    filled(headings, rows, |row| {
        let it = &row.figures;
        let steps = it.steps.as_ref();
        let figure = |figure: Option<u64>| dash(figure.map(grouped));
        [
            dash(
                steps
                    .and_then(|it| it.mean)
                    .map(|mean| format!("{mean:.1}")),
            ),
            figure(steps.and_then(|it| it.p50)),
            figure(steps.and_then(|it| it.p99)),
            figure(steps.and_then(|it| it.p999)),
            figure(steps.and_then(|it| it.max)),
            grouped(it.retries),
            grouped(it.retry_successes),
        ]
    })
}

/// The distribution of steps, by powers of ten.
fn walks(rows: &[Row]) -> Table {
    const BOUNDS: [u64; 5] = [0, 10, 100, 1_000, 10_000];
    let headings = [
        "0 steps",
        "to 10",
        "to 100",
        "to 1,000",
        "to 10,000",
        "more",
    ];
    filled(headings, rows, |row| {
        let histogram = row.steps_histogram.as_deref();
        let count = |bucket: usize| {
            let in_bucket =
                |steps: u64| BOUNDS.partition_point(|&bound| bound < steps) == bucket;
            let counted = histogram?.iter().filter(|[steps, _]| in_bucket(*steps));
            Some(grouped(counted.map(|[_, requests]| requests).sum::<u64>()))
        };
        [0, 1, 2, 3, 4, 5].map(|bucket| dash(count(bucket)))
    })
}

/// How the failure rates differ from the first allocator's.
fn differences(result: &ScenarioResult) -> Vec<String> {
    let Some((first, others)) = result.rows.split_first() else {
        return Vec::new();
    };
    others
        .iter()
        .filter_map(|row| difference(first, row))
        .collect()
}

fn difference(first: &Row, row: &Row) -> Option<String> {
    let difference = row.difference?;
    let (one, other) = (&first.allocator, &row.allocator);
    let mean = difference.failure_rate;
    let side = if mean > 0.0 { "more" } else { "less" };
    let amount = points(mean.abs());
    let sentence = match difference.failure_rate_ci95 {
        _ if difference.seeds_worse + difference.seeds_better == 0 => {
            format!("no difference seen: {other} failed as often as {one}, seed by seed")
        }
        None => {
            format!("{other} failed {side} often than {one}, by {amount} percentage points")
        }
        Some([lo, hi]) => {
            let seen = lo > 0.0 || hi < 0.0;
            let (worse, better) = (difference.seeds_worse, difference.seeds_better);
            let lead = if seen {
                format!("{other} failed {side} often than {one}")
            } else {
                format!("no difference seen between {other} and {one}")
            };
            let sign = if mean > 0.0 { "+" } else { "-" };
            format!(
                "{lead}: {sign}{amount} percentage points (95 %: {} to {}), more often in \
                 {worse} of {} seeds, less often in {better}",
                points(lo),
                points(hi),
                row.seeds
            )
        }
    };
    Some(sentence)
}

/// What differs, in a sentence about the first seed in which something does.
fn example(units: &[(&Unit<'_>, &Done)]) -> Vec<String> {
    let differs = |done: &Done| {
        done.replayed
            .differences
            .iter()
            .any(crate::measure::Difference::any)
    };
    let example = units
        .iter()
        .find(|(_, done)| differs(done))
        .or(units.first());
    let Some((unit, done)) = example else {
        return Vec::new();
    };
    let granule = unit.scenario.header(unit.seed).granule;
    let sentences =
        differs::sentences(&done.replayed.rows, &done.replayed.differences, granule);
    let several = unit.scenario.seeds.len() > 1;
    let lead = if several {
        format!("seed {}: ", unit.seed)
    } else {
        String::new()
    };
    sentences
        .into_iter()
        .map(|sentence| format!("{lead}{sentence}"))
        .collect()
}

fn undone(result: &ScenarioResult) -> Vec<String> {
    let undone = result
        .by_seed
        .iter()
        .filter_map(|row| Some((row, row.figures.undone.as_ref()?)));
    undone
        .map(|(row, undone)| {
            let (name, seed) = (&row.allocator, row.seed);
            let (finding, event) = (&undone.finding, undone.event);
            format!("{name}: {finding} at event {event} of seed {seed}, where its replay ends")
        })
        .collect()
}

fn held_to(scenario: &Scenario, misses: &[Miss]) -> String {
    let conditions: usize = scenario
        .expectations
        .iter()
        .map(|it| it.conditions().len())
        .sum();
    match (conditions, misses.len()) {
        (0, _) => "nothing is expected of this result".to_owned(),
        (1, 0) => "the one thing that is expected holds".to_owned(),
        (all, 0) => format!("all {all} things that are expected hold"),
        (all, count) => format!("{count} of {all} things that are expected do not hold"),
    }
}
