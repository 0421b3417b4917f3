//! From rows of a seed each to rows over all seeds.

use super::{IntervalBy, PairedDifference, Row, SeedRow};
use crate::measure::Steps;
use crate::report::wire::{WireFigures, WireSteps, quotient};
use crate::study::statistics;

/// A row for each allocator, whose seed rows stand together in `by_seed`; `steps` has the
/// distribution of each of them, in the same order.
pub(in crate::report) fn rows(by_seed: &[SeedRow], steps: &[Option<Steps>]) -> Vec<Row> {
    let groups: Vec<&[SeedRow]> = by_seed
        .chunk_by(|one, next| one.allocator == next.allocator)
        .collect();
    let groups = groups.iter().zip(steps);
    let mut rows: Vec<Row> = Vec::new();
    let mut first: Option<&[SeedRow]> = None;
    for (&group, steps) in groups {
        let difference = first.and_then(|first| difference(first, group));
        first = first.or(Some(group));
        rows.push(row(group, steps.as_ref(), difference));
    }
    rows
}

fn row(group: &[SeedRow], steps: Option<&Steps>, difference: Option<PairedDifference>) -> Row {
    let figures = sum(group, steps);
    let (interval, by) = interval(group, &figures);
    Row {
        allocator: group[0].allocator.clone(),
        seeds: group.len() as u64,
        failure_rate_ci95: interval,
        failure_rate_ci95_by: by,
        difference,
        figures,
        steps_histogram: steps.map(|steps| steps.counts().map(|(it, n)| [it, n]).collect()),
    }
}

fn rates(group: &[SeedRow]) -> Vec<f64> {
    group
        .iter()
        .filter_map(|row| row.figures.failure_rate)
        .collect()
}

/// The interval around the rate of all requests together. Between seeds it is as wide as that
/// around the mean of their rates, and moved to where the rate is.
fn interval(
    group: &[SeedRow],
    figures: &WireFigures,
) -> (Option<[f64; 2]>, Option<IntervalBy>) {
    let Some(rate) = figures.failure_rate else {
        return (None, None);
    };
    let estimate = statistics::estimate(&rates(group));
    let spread = estimate
        .and_then(|it| it.interval)
        .map(|[lo, hi]| (hi - lo) / 2.0);
    match spread {
        Some(half) if half > 0.0 => {
            let interval = [(rate - half).max(0.0), (rate + half).min(1.0)];
            (Some(interval), Some(IntervalBy::Seeds))
        }
        _ => {
            let interval = statistics::wilson(figures.failures, figures.allocs);
            (interval, Some(IntervalBy::Requests))
        }
    }
}

/// Seed by seed; none unless both have the same seeds.
fn difference(first: &[SeedRow], group: &[SeedRow]) -> Option<PairedDifference> {
    let same_seeds = first.len() == group.len()
        && first
            .iter()
            .zip(group)
            .all(|(one, other)| one.seed == other.seed);
    if !same_seeds {
        return None;
    }
    let pairs = || {
        first
            .iter()
            .zip(group)
            .map(|(one, other)| (&one.figures, &other.figures))
    };
    let differences: Option<Vec<f64>> = pairs()
        .map(|(one, other)| Some(other.failure_rate? - one.failure_rate?))
        .collect();
    let estimate = statistics::estimate(&differences?)?;
    Some(PairedDifference {
        failure_rate: estimate.mean,
        failure_rate_ci95: estimate.interval,
        seeds_worse: pairs()
            .filter(|(one, other)| other.failures > one.failures)
            .count() as u64,
        seeds_better: pairs()
            .filter(|(one, other)| other.failures < one.failures)
            .count() as u64,
    })
}

/// Counts are added up, maxima are the largest, means are means over the seeds.
fn sum(group: &[SeedRow], steps: Option<&Steps>) -> WireFigures {
    let mut parts = group.iter().map(|row| &row.figures);
    let mut sum = parts.next().expect("a group has a row").clone();
    for part in parts {
        sum.add(part);
    }
    sum.failure_rate = quotient(sum.failures.into(), sum.allocs.into());
    sum.spurious_share = quotient(sum.spurious.into(), sum.failures.into());
    sum.steps = steps.map(WireSteps::of);
    let means: Option<Vec<f64>> = group
        .iter()
        .map(|row| row.figures.pages_live_mean)
        .collect();
    sum.pages_live_mean = means.and_then(|means| Some(statistics::estimate(&means)?.mean));
    sum
}
