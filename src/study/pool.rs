//! The rows of a result: the runs of each allocator put together, and compared with the first.

use std::collections::BTreeMap;

use super::document::{Against, Row, Run};
use super::statistics::{self, Sample};
use iova::measure::{Metric, MetricId, Metrics, Steps};

/// A row for each allocator, in the order in which their first runs stand.
///
/// # Errors
///
/// The metric whose sum is beyond 64 bits.
pub(super) fn rows(runs: &[Run]) -> Result<Vec<Row>, &'static Metric> {
    let mut order = Vec::new();
    let mut of_allocator: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let runs = of_allocator.entry(&run.allocator).or_default();
        if runs.is_empty() {
            order.push(run.allocator.as_str());
        }
        runs.push(run);
    }
    let first = order.first().map(|name| samples(&of_allocator[name]));
    let rows = order.iter().enumerate().map(|(index, name)| {
        let runs = &of_allocator[name];
        let mut row = row(name, runs)?;
        if let (Some(first), true) = (&first, index > 0) {
            row.against_first = against(first, &samples(runs));
        }
        Ok(row)
    });
    rows.collect()
}

fn row(allocator: &str, runs: &[&Run]) -> Result<Row, &'static Metric> {
    let metrics: Vec<&Metrics> = runs.iter().map(|run| &run.metrics).collect();
    Ok(Row {
        allocator: allocator.to_owned(),
        runs: runs.len() as u64,
        failure_rate_ci95: statistics::interval(&samples(runs)),
        metrics: Metrics::pool(&metrics, steps(runs)?.as_ref())?,
        against_first: None,
    })
}

/// The steps of all requests of some runs; `None` where a run has none.
pub(super) fn steps(runs: &[&Run]) -> Result<Option<Steps>, &'static Metric> {
    let mut all = Steps::default();
    for run in runs {
        let Some(counts) = &run.step_counts else {
            return Ok(None);
        };
        let (one, total) = (&counts.0, all.total());
        if total.checked_add(one.total()).is_none() {
            return Err(MetricId::StepsTotal.metric());
        }
        if all.requests().checked_add(one.requests()).is_none() {
            return Err(MetricId::Allocs.metric());
        }
        all.merge(one);
    }
    Ok(Some(all))
}

fn samples(runs: &[&Run]) -> Vec<Sample> {
    let sample = |run: &&Run| Sample {
        failures: run.metrics.count(MetricId::Failures),
        requests: run.metrics.count(MetricId::Allocs),
    };
    runs.iter().map(sample).collect()
}

fn against(first: &[Sample], other: &[Sample]) -> Option<Against> {
    let difference = statistics::difference(first, other)?;
    Some(Against {
        failure_rate: difference.value,
        failure_rate_ci95: difference.interval,
        seen: difference.is_seen(),
    })
}
