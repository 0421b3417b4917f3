//! The runs of two allocators side by side, and how their metrics differ.

use super::comparison::{Change, Most, Paired, Verdict};
use super::policy::Rule;
use crate::study::document::{Row, Run};
use crate::study::statistics;
use iova::measure::metrics::Better;
use iova::measure::{Metric, Metrics, Value};

/// A row of each side, and the runs behind them, seed by seed.
pub(super) struct Rows<'a> {
    pub(super) rows: [&'a Metrics; 2],
    pub(super) seeds: Vec<Seed<'a>>,
}

/// The runs of a seed.
pub(super) struct Seed<'a> {
    number: Option<u64>,
    runs: [&'a Metrics; 2],
}

impl<'a> Rows<'a> {
    pub(super) fn of(
        row: &'a Row,
        ours: &[&'a Run],
        other: &'a Row,
        theirs: &[&'a Run],
    ) -> Rows<'a> {
        let seeds = ours.iter().zip(theirs).map(|(ours, theirs)| Seed {
            number: ours.seed,
            runs: [&ours.metrics, &theirs.metrics],
        });
        Rows {
            rows: [&row.metrics, &other.metrics],
            seeds: seeds.collect(),
        }
    }

    /// Requests that were refused or granted outside of the domain, before and after.
    fn not_served(&self) -> (Value, Value, Option<Paired>) {
        let [before, after] = self.rows.map(|it| Value::Count(it.not_served()));
        let seeds = self.seeds.iter().map(|seed| {
            let [before, after] = seed.runs.map(|it| Value::Count(it.not_served()));
            Most {
                seed: seed.number,
                before,
                after,
            }
        });
        let paired = Paired::of(seeds.collect(), Value::rise(before, after));
        (before, after, paired)
    }

    /// How a metric changed; `None` if it did not.
    pub(super) fn change(
        &self,
        metric: &Metric,
        rule: Option<&Rule>,
        same_name: bool,
    ) -> Option<Change> {
        let get = |sides: [&Metrics; 2]| sides.map(|it| it.get(metric.id));
        let [before, after] = get(self.rows);
        let seeds = self.seeds.iter().map(|seed| (seed.number, get(seed.runs)));
        let seeds: Vec<_> = seeds.collect();
        if before == after && seeds.iter().all(|(_, [before, after])| before == after) {
            return None;
        }
        let known = seeds.into_iter().map(|(seed, [before, after])| {
            Some(Most {
                seed,
                before: before?,
                after: after?,
            })
        });
        let known: Option<Vec<Most>> = known.collect();
        let rise = before
            .zip(after)
            .map_or(0.0, |(before, after)| Value::rise(before, after));
        let paired = known.and_then(|seeds| Paired::of(seeds, rise));
        let forbidden = match (rule, before, after) {
            (Some(rule), ..) if rule.counts_outside() => {
                let (before, after, paired) = self.not_served();
                rule.forbids(before, after, paired.as_ref())
            }
            (Some(rule), Some(before), Some(after)) => {
                rule.forbids(before, after, paired.as_ref())
            }
            (Some(_), ..) if same_name => Some("it to stay known".to_owned()),
            _ => None,
        };
        Some(Change {
            metric: metric.id,
            verdict: verdict(metric.better, rise),
            before,
            after,
            paired,
            forbidden,
        })
    }
}

fn verdict(better: Better, rise: f64) -> Verdict {
    match better {
        Better::Lower if rise > 0.0 => Verdict::Worse,
        Better::Lower if rise < 0.0 => Verdict::Better,
        Better::Higher if rise > 0.0 => Verdict::Better,
        Better::Higher if rise < 0.0 => Verdict::Worse,
        _ => Verdict::Neither,
    }
}

impl Paired {
    /// The differences of the seeds, `None` of no seeds, where all seeds together rose by
    /// `rise`: the seed to look at is the one that moved the most that way.
    fn of(seeds: Vec<Most>, rise: f64) -> Option<Paired> {
        let rises: Vec<f64> = seeds
            .iter()
            .map(|it| Value::rise(it.before, it.after))
            .collect();
        let (mean, ci95) = statistics::mean(&rises)?;
        let up = rises.iter().filter(|&&rise| rise > 0.0).count();
        let down = rises.iter().filter(|&&rise| rise < 0.0).count();
        let that_way = |one: f64| {
            if rise == 0.0 {
                one.abs()
            } else {
                one * rise.signum()
            }
        };
        let mut most: Option<(f64, Most)> = None;
        for (rise, seed) in rises.iter().zip(seeds) {
            let moved = that_way(*rise);
            if most.as_ref().is_none_or(|(largest, _)| moved > *largest) {
                most = Some((moved, seed));
            }
        }
        Some(Paired {
            mean,
            ci95,
            seeds_up: up as u64,
            seeds_down: down as u64,
            most: most?.1,
        })
    }
}
