//! The runs of two allocators side by side, and how their figures differ.

use serde_json::Number;

use super::figure::{Better, Figure, UNDONE, Values};
use super::policy::Rule;
use super::{Change, Most, Paired, Verdict};
use crate::study::result::{Row, Run};
use crate::study::statistics;

/// The rows of a pair.
pub(super) struct Rows {
    totals: [Values; 2],
    undone: [u64; 2],
    seeds: Vec<Seed>,
}

/// The runs of a seed.
struct Seed {
    number: u64,
    values: [Values; 2],
    undone: [u64; 2],
}

impl Rows {
    pub(super) fn of(row: &Row, ours: &[Run], other: &Row, theirs: &[Run]) -> Rows {
        let undone = |rows: &[Run]| {
            let undone = rows.iter().filter(|it| it.undone.is_some());
            undone.count() as u64
        };
        let both = |ours: &Run, theirs: &Run| Seed {
            number: ours.seed,
            values: [ours, theirs].map(|it| Values::of(&it.figures)),
            undone: [ours, theirs].map(|it| u64::from(it.undone.is_some())),
        };
        let seeds = ours.iter().zip(theirs);
        Rows {
            totals: [row, other].map(|it| Values::of(&it.figures)),
            undone: [undone(ours), undone(theirs)],
            seeds: seeds.map(|(ours, theirs)| both(ours, theirs)).collect(),
        }
    }

    /// How a figure changed; none if it did not.
    pub(super) fn change(
        &self,
        figure: &'static Figure,
        rule: Option<&Rule>,
        same_name: bool,
    ) -> Option<Change> {
        let [before, after] = match figure.path {
            UNDONE => self.undone.map(|count| Some(count.into())),
            _ => [0, 1].map(|side| self.totals[side].get(figure)),
        };
        let get = |it: &Seed| {
            let [before, after] = match figure.path {
                UNDONE => it.undone.map(|undone| Some(undone.into())),
                _ => [0, 1].map(|side| it.values[side].get(figure)),
            };
            (it.number, before, after)
        };
        let seeds: Vec<_> = self.seeds.iter().map(get).collect();
        if before == after && seeds.iter().all(|(_, before, after)| before == after) {
            return None;
        }
        let known: Option<Vec<_>> = seeds
            .into_iter()
            .map(|(seed, before, after)| {
                let (before, after) = (before?, after?);
                Some(Most {
                    seed,
                    before,
                    after,
                })
            })
            .collect();
        let forbidden = match (rule, &before, &after) {
            (Some(rule), Some(before), Some(after)) => rule.forbids(before, after),
            (Some(_), ..) if same_name => Some("it to stay known".to_owned()),
            _ => None,
        };
        Some(Change {
            figure: figure.path,
            verdict: verdict(figure.better, before.as_ref(), after.as_ref()),
            before,
            after,
            paired: known.and_then(Paired::of),
            forbidden,
        })
    }
}

fn verdict(better: Better, before: Option<&Number>, after: Option<&Number>) -> Verdict {
    let (Some(before), Some(after)) = (before, after) else {
        return Verdict::Neither;
    };
    let rise = rise(before, after);
    match better {
        Better::Lower if rise > 0.0 => Verdict::Worse,
        Better::Lower if rise < 0.0 => Verdict::Better,
        Better::Higher if rise > 0.0 => Verdict::Better,
        Better::Higher if rise < 0.0 => Verdict::Worse,
        _ => Verdict::Neither,
    }
}

/// By how much a figure rose. Between integers it is exact before it is made a double, so that
/// a rise of 1 is never lost.
pub(super) fn rise(before: &Number, after: &Number) -> f64 {
    match (before.as_u128(), after.as_u128()) {
        (Some(before), Some(after)) if after >= before => to_f64(after - before),
        (Some(before), Some(after)) => -to_f64(before - after),
        _ => real(after) - real(before),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
fn to_f64(count: u128) -> f64 {
    count as f64
}

/// The nearest double.
pub(super) fn real(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

impl Paired {
    /// The differences of the seeds; none of no seeds.
    fn of(seeds: Vec<Most>) -> Option<Paired> {
        let rises: Vec<f64> = seeds.iter().map(|it| rise(&it.before, &it.after)).collect();
        let (mean, ci95) = statistics::mean(&rises)?;
        let up = rises.iter().filter(|&&rise| rise > 0.0).count();
        let down = rises.iter().filter(|&&rise| rise < 0.0).count();
        let mut most: Option<(f64, Most)> = None;
        for (rise, seed) in rises.iter().zip(seeds) {
            if most
                .as_ref()
                .is_none_or(|(largest, _)| rise.abs() > *largest)
            {
                most = Some((rise.abs(), seed));
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
