//! The values of all metrics, of one replay or of several.

use std::cmp::Ordering;

use super::value::{Value, quotient, to_f64};
use super::{COUNT, METRICS, Metric, MetricId, Pool};
use crate::measure::Steps;
use crate::measure::summary::Totals;

/// The metrics of one replay, or of several of one allocator together.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics(pub(super) [Option<Value>; COUNT]);

impl Metrics {
    /// The metrics of one replay.
    pub fn of(totals: &Totals) -> Metrics {
        let steps = totals.steps.as_ref();
        let values = METRICS.map(|metric| match metric.pool {
            Pool::Sum(get) => Some(Value::Count(get(totals))),
            Pool::Max(get) => get(totals).map(Value::Count),
            Pool::Mean(get) => get(totals).map(Value::real),
            Pool::Steps(get) => get(steps?),
            Pool::Ratio(..) => None,
        });
        Metrics(values).with_ratios()
    }

    /// The metrics of several runs of one allocator together. `steps` are those of all runs;
    /// without them the metrics of steps are those of a single run, and else unknown.
    ///
    /// # Errors
    ///
    /// The metric whose sum is beyond 64 bits.
    pub fn pool(runs: &[&Metrics], steps: Option<&Steps>) -> Result<Metrics, &'static Metric> {
        let mut pooled = Metrics([None; COUNT]);
        for metric in &METRICS {
            let values = || runs.iter().map(|run| run.get(metric.id));
            pooled.0[metric.id as usize] = match metric.pool {
                Pool::Sum(_) => Some(sum(values()).ok_or(metric.id.metric())?),
                Pool::Max(_) => largest(values()),
                Pool::Mean(_) => mean(values()),
                Pool::Steps(get) => match (steps, runs) {
                    (Some(steps), _) => get(steps),
                    (None, [run]) => run.get(metric.id),
                    (None, _) => None,
                },
                Pool::Ratio(..) => None,
            };
        }
        Ok(pooled.with_ratios())
    }

    fn with_ratios(mut self) -> Metrics {
        for metric in &METRICS {
            if let Pool::Ratio(part, whole) = metric.pool {
                let (part, whole) = (self.count(part), self.count(whole));
                self.0[metric.id as usize] = quotient(part.into(), whole.into());
            }
        }
        self
    }

    /// The value of a metric; `None` where it is unknown.
    pub fn get(&self, metric: MetricId) -> Option<Value> {
        self.0[metric as usize]
    }

    /// A count; 0 where it is unknown or no integer.
    pub fn count(&self, metric: MetricId) -> u64 {
        match self.get(metric) {
            Some(Value::Count(count)) => count,
            _ => 0,
        }
    }

    /// Requests that were granted outside of the domain: below `start_pfn` or above their limit.
    pub fn granted_outside(&self) -> u64 {
        let kinds = [MetricId::ViolationBelowStart, MetricId::ViolationAboveLimit];
        kinds
            .iter()
            .fold(0, |sum: u64, kind| sum.saturating_add(self.count(*kind)))
    }

    /// Requests that were refused or granted outside of the domain.
    pub fn not_served(&self) -> u64 {
        self.count(MetricId::Failures)
            .saturating_add(self.granted_outside())
    }

    /// The value of a metric as the nearest double.
    pub fn real(&self, metric: MetricId) -> Option<f64> {
        self.get(metric).map(Value::to_f64)
    }

    /// The same metrics but for one.
    #[must_use]
    pub fn with(mut self, metric: MetricId, value: u64) -> Metrics {
        self.0[metric as usize] = Some(Value::Count(value));
        self.with_ratios()
    }
}

fn sum(values: impl Iterator<Item = Option<Value>>) -> Option<Value> {
    let counts = values.flatten().map(|value| match value {
        Value::Count(count) => Some(count),
        Value::Real(_) => None,
    });
    let sum = counts
        .into_iter()
        .try_fold(0_u64, |sum, count| sum.checked_add(count?));
    sum.map(Value::Count)
}

fn largest(values: impl Iterator<Item = Option<Value>>) -> Option<Value> {
    let values: Option<Vec<Value>> = values.collect();
    values?.into_iter().max_by(|one, other| {
        let order = Value::rise(*other, *one).partial_cmp(&0.0);
        order.unwrap_or(Ordering::Equal)
    })
}

fn mean(values: impl Iterator<Item = Option<Value>>) -> Option<Value> {
    let values: Option<Vec<f64>> = values.map(|it| it.map(Value::to_f64)).collect();
    let values = values?;
    let sum = values.iter().sum::<f64>();
    (!values.is_empty()).then(|| Value::real(sum / to_f64(values.len() as u128)))
}
