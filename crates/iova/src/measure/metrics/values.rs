//! The values of all metrics, of one replay or of several.

use std::cmp::Ordering;

use super::{COUNT, METRICS, Metric, MetricId, Pool};
use crate::measure::Steps;
use crate::measure::summary::Totals;

/// A number: an integer, or the nearest double where it is none. Whole numbers below 2^64 are
/// always integers, so that equal numbers are equal values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// An exact integer.
    Count(u64),
    /// The nearest double to a ratio or a mean.
    Real(f64),
}

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

/// The quotient of the nearest doubles; `None` of a whole of 0.
pub(super) fn quotient(part: u128, whole: u128) -> Option<Value> {
    (whole > 0).then(|| Value::real(to_f64(part) / to_f64(whole)))
}

#[expect(clippy::unnecessary_wraps, reason = "what `Pool::Mean` takes")]
pub(super) fn double(number: impl Into<u128>) -> Option<f64> {
    Some(to_f64(number.into()))
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
fn to_f64(number: u128) -> f64 {
    number as f64
}

impl Value {
    /// A number; an integer where it is whole.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number below 2^64 that is not negative"
    )]
    pub fn real(number: f64) -> Value {
        const END: f64 = 18_446_744_073_709_551_616.0;
        if (0.0..END).contains(&number) && number.fract() == 0.0 {
            Value::Count(number as u64)
        } else {
            Value::Real(number)
        }
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            Value::Count(count) => to_f64(count.into()),
            Value::Real(number) => number,
        }
    }

    /// By how much a value rose. Between integers it is exact before it is made a double, so that
    /// a rise of 1 is never lost.
    pub fn rise(before: Value, after: Value) -> f64 {
        match (before, after) {
            (Value::Count(before), Value::Count(after)) if after >= before => {
                to_f64((after - before).into())
            }
            (Value::Count(before), Value::Count(after)) => -to_f64((before - after).into()),
            _ => after.to_f64() - before.to_f64(),
        }
    }
}
