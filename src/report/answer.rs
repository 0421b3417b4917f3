//! The answer of `run` and `replay`: a sentence, and the main table under it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::Table;
use super::differs::list;
use super::number::{counted, grouped, percentage_points};
use super::table::dash;
use super::tables::cell;
use crate::study::document::{Row, Run, StudyResult};
use crate::study::statistics;
use iova::measure::{MetricId, Value};

/// Fewer seeds than this may all lie on one side by chance.
const SEEDS_MIN: usize = 5;

const ALLOCS: (&str, MetricId) = ("requests", MetricId::Allocs);
const FAILED: (&str, MetricId) = ("failed", MetricId::Failures);
const RATE: (&str, MetricId) = ("rate", MetricId::FailureRate);
const ROOM: (&str, MetricId) = ("with room", MetricId::Spurious);
const INTERVAL: (&str, &str) = (
    "95 % interval",
    "the rate to expect of other seeds; after `vs first`, of that difference",
);
const VS_FIRST: (&str, &str) = (
    "vs first",
    "mean difference of the rate per seed from the first allocator, in percentage points",
);

const OUTSIDE: (&str, &str) = (
    "outside",
    "requests granted below start_pfn or above their limit; only if there are any",
);

/// The heading and the meaning of every column.
pub fn columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    let metrics = [ALLOCS, FAILED, RATE, ROOM];
    let metrics = metrics.map(|(heading, metric)| (heading, metric.metric().meaning));
    metrics.into_iter().chain([OUTSIDE, INTERVAL, VS_FIRST])
}

/// An allocator's failures beside those of the first, seed by seed. A request that is granted
/// outside of the domain counts as a failure.
struct Pairs {
    /// The difference of the failure rate in each seed.
    rates: Vec<f64>,
    fewer: usize,
    more: usize,
}

impl Pairs {
    fn of(result: &StudyResult, first: &Row, row: &Row) -> Pairs {
        let runs = |name: &str| -> Vec<&Run> {
            let runs = result.runs.iter();
            runs.filter(|run| run.allocator == name).collect()
        };
        let (ones, others) = (runs(&first.allocator), runs(&row.allocator));
        let pairs: Vec<(&Run, &Run)> = ones.into_iter().zip(others).collect();
        let count = |run: &Run| run.metrics.not_served();
        let ordered = |order| {
            let ordered = pairs
                .iter()
                .filter(|(one, other)| count(other).cmp(&count(one)) == order);
            ordered.count()
        };
        let rate = |run: &Run| {
            let requests = run.metrics.count(MetricId::Allocs);
            let real = |count| Value::Count(count).to_f64();
            (requests > 0).then(|| real(count(run)) / real(requests))
        };
        let difference = |(one, other): &(&Run, &Run)| Some(rate(other)? - rate(one)?);
        Pairs {
            fewer: ordered(Ordering::Less),
            more: ordered(Ordering::Greater),
            rates: pairs.iter().filter_map(difference).collect(),
        }
    }

    fn seeds(&self) -> usize {
        self.rates.len()
    }

    /// All seeds lie on one side.
    fn one_sided(&self) -> Option<Ordering> {
        match (self.fewer, self.more) {
            (fewer, 0) if fewer == self.seeds() => Some(Ordering::Less),
            (0, more) if more == self.seeds() => Some(Ordering::Greater),
            _ => None,
        }
    }

    /// Whether fewer or more requests fail than under the first; `None` if the seeds do not tell.
    fn order(&self) -> Option<Ordering> {
        if self.fewer == 0 && self.more == 0 {
            return Some(Ordering::Equal);
        }
        let (mean, interval) = statistics::mean(&self.rates)?;
        match interval {
            None => self.one_sided(),
            Some([lo, hi]) if lo > 0.0 || hi < 0.0 => mean.partial_cmp(&0.0),
            Some(_) => self.one_sided().filter(|_| self.seeds() >= SEEDS_MIN),
        }
    }

    /// The interval of the mean difference, or in how many seeds there was one.
    fn interval(&self) -> Option<String> {
        let (_, interval) = statistics::mean(&self.rates)?;
        let [lo, hi] = interval?;
        let seeds = self.seeds();
        let tells = lo > 0.0 || hi < 0.0 || (lo >= 0.0 && hi <= 0.0);
        Some(match (tells, self.fewer, self.more) {
            (false, fewer, 0) => format!("fewer in {fewer} of {seeds} seeds"),
            (false, 0, more) => format!("more in {more} of {seeds} seeds"),
            _ => interval_text([lo, hi]),
        })
    }
}

/// `2.95 to 4.10`, in per cent.
fn interval_text([lo, hi]: [f64; 2]) -> String {
    format!("{} to {}", percentage_points(lo), percentage_points(hi))
}

/// The failures of the first allocator, and under which others fewer or more requests fail.
pub fn sentence(result: &StudyResult) -> String {
    let Some((first, others)) = result.rows.split_first() else {
        return String::new();
    };
    let mut sentences = vec![failures(first)];
    let named: Vec<(&Row, Option<Ordering>)> = others
        .iter()
        .map(|row| (row, Pairs::of(result, first, row).order()))
        .collect();
    let kinds = [
        (Some(Ordering::Less), "Fewer fail under"),
        (Some(Ordering::Greater), "More fail under"),
        (Some(Ordering::Equal), "As many fail under"),
        (None, "No difference that these seeds can tell under"),
    ];
    for (kind, words) in kinds {
        let rows = named.iter().filter(|(_, order)| *order == kind);
        let rows: Vec<&Row> = rows.map(|(row, _)| *row).collect();
        if !rows.is_empty() {
            let listed = with_failures(&rows, kind != Some(Ordering::Equal));
            sentences.push(format!("{words} {listed}."));
        }
    }
    sentences.join(" ")
}

/// `old fails 8 of 22 requests (36.36 %), 5 of them although there was room.`
fn failures(row: &Row) -> String {
    let count = |metric| row.metrics.count(metric);
    let name = &row.allocator;
    let requests = counted(count(MetricId::Allocs), "request", "requests");
    let (failures, spurious) = (count(MetricId::Failures), count(MetricId::Spurious));
    let outside = row.metrics.granted_outside();
    let outside = match outside {
        0 => String::new(),
        some => format!(" It grants {} outside of the domain.", grouped(some)),
    };
    if failures == 0 {
        return format!("{name} fails none of {requests}.{outside}");
    }
    let rate = cell(&row.metrics, MetricId::FailureRate);
    let room = match spurious {
        0 => "none of them although there was room".to_owned(),
        all if all == failures => "all of them although there was room".to_owned(),
        some => format!("{} of them although there was room", grouped(some)),
    };
    format!(
        "{name} fails {} of {requests} ({rate}), {room}.{outside}",
        grouped(failures)
    )
}

/// `new and linux-7.2 (1,706) and best-fit (558)`: those with as many failures together.
fn with_failures(rows: &[&Row], with_counts: bool) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for row in rows {
        let failures = counts(row);
        match groups.iter_mut().find(|(counts, _)| *counts == failures) {
            Some((_, names)) => names.push(&row.allocator),
            None => groups.push((failures, vec![&row.allocator])),
        }
    }
    let groups = groups.into_iter().map(|(counts, names)| {
        let names = list(&names);
        if with_counts {
            format!("{names} ({counts})")
        } else {
            names
        }
    });
    let groups: Vec<String> = groups.collect();
    list(&groups.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `592`, or `592, and 220 outside`.
fn counts(row: &Row) -> String {
    let failures = grouped(row.metrics.count(MetricId::Failures));
    match row.metrics.granted_outside() {
        0 => failures,
        outside => format!("{failures}, and {} outside", grouped(outside)),
    }
}

/// The main table: a row for each allocator. The number of requests, which [`sentence`] has, is a
/// column only where it differs, as it does if a replay ended early.
pub fn table(result: &StudyResult) -> Table {
    let has_intervals = has_intervals(result);
    let has_others = result.rows.len() > 1;
    let has_outside = has_outside(result);
    let requests = result.rows.iter().map(|row| row.metrics.count(ALLOCS.1));
    let requests: BTreeSet<u64> = requests.collect();
    let counts = match requests.len() {
        1 if has_others => &[FAILED, RATE][..],
        _ => &[ALLOCS, FAILED, RATE],
    };
    let mut headings: Vec<&str> = counts.iter().map(|(heading, _)| *heading).collect();
    headings.extend(has_intervals.then_some(INTERVAL.0));
    headings.push(ROOM.0);
    headings.extend(has_outside.then_some(OUTSIDE.0));
    headings.extend(has_others.then_some(VS_FIRST.0));
    headings.extend((has_others && has_intervals).then_some(INTERVAL.0));
    let mut table = Table::new("allocator", &headings);
    for (index, row) in result.rows.iter().enumerate() {
        let pairs = (index > 0).then(|| Pairs::of(result, &result.rows[0], row));
        let mean = pairs.as_ref().and_then(|it| statistics::mean(&it.rates));
        let rate = || dash(row.failure_rate_ci95.map(interval_text));
        let difference = || dash(pairs.as_ref().and_then(Pairs::interval));
        let counts = counts.iter().map(|(_, metric)| cell(&row.metrics, *metric));
        let mut cells: Vec<String> = counts.collect();
        cells.extend(has_intervals.then(rate));
        cells.push(cell(&row.metrics, ROOM.1));
        cells.extend(has_outside.then(|| grouped(row.metrics.granted_outside())));
        cells.extend(has_others.then(|| dash(mean.map(|(mean, _)| percentage_points(mean)))));
        cells.extend((has_others && has_intervals).then(difference));
        table.row(&row.allocator, cells);
    }
    table
}

/// Whether an allocator granted requests outside of the domain.
fn has_outside(result: &StudyResult) -> bool {
    result
        .rows
        .iter()
        .any(|row| row.metrics.granted_outside() > 0)
}

/// A recorded trace has no seeds, and so no intervals.
fn has_intervals(result: &StudyResult) -> bool {
    result.runs.iter().any(|run| run.seed.is_some())
}

/// How the intervals were made, and what counts as a failure; `None` if there is nothing to say.
pub fn footnote(result: &StudyResult) -> Option<String> {
    let seeds = result.rows.first().map_or(0, |row| row.runs);
    let intervals = has_intervals(result).then(|| match seeds {
        0 | 1 => {
            "95 % interval: Wilson's, as if the requests of the only seed were independent."
                .to_owned()
        }
        _ => format!(
            "95 % intervals over {seeds} seeds: Wilson's for the rate, adjusted for the spread \
             between seeds; Student's for the mean difference per seed, in percentage points."
        ),
    });
    let outside = (has_outside(result) && result.rows.len() > 1).then(|| {
        "`vs first` counts requests that were granted outside of the domain as failures."
            .to_owned()
    });
    let notes: Vec<String> = intervals.into_iter().chain(outside).collect();
    (!notes.is_empty()).then(|| notes.join(" "))
}
