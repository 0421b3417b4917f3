//! Small results for tests.

use super::policy::Policy;
use super::{Comparison, Side, Which, compare};
use crate::study::ScenarioResult;
use crate::study::result::{Run, WireSeed};
use crate::study::wire::WireFigures;
use crate::trace::event::Header;
use iova::measure::{Figures, Summary};

/// A result of a scenario in which each allocator fails so often in each of its seeds, from 1.
pub(super) fn result(scenario: &str, allocators: &[(&str, &[u64])]) -> ScenarioResult {
    let mut runs = Vec::new();
    for (name, failures) in allocators {
        for (seed, &failures) in (1..).zip(*failures) {
            runs.push(Run {
                allocator: (*name).to_owned(),
                seed,
                figures: figures(failures),
                undone: None,
                step_counts: None,
            });
        }
    }
    let seeds = allocators
        .first()
        .map_or(0, |(_, failures)| failures.len() as u64);
    let trace = |seed| WireSeed {
        seed,
        hash: format!("hash-{seed}"),
        events: 0,
    };
    let traces = (1..=seeds).map(trace).collect();
    ScenarioResult::new(scenario, "something", &Header::default(), traces, runs)
}

fn figures(failures: u64) -> WireFigures {
    let replay = iova::measure::testing::fresh("old");
    let nothing: Figures = Summary::default().finish(&replay, None);
    let mut figures = WireFigures::of(&nothing, true);
    figures.failures = failures;
    figures
}

/// What comes of `old` failing so often in the seeds of a scenario before, and after.
pub(super) fn comparison(scenario: &str, before: &[u64], after: &[u64]) -> Comparison {
    let [base, new] = [before, after].map(|failures| [result(scenario, &[("old", failures)])]);
    let side = |file, results| Side { file, results };
    let (base, new) = (side("base.json", &base[..]), side("new.json", &new[..]));
    compare(base, new, &Which::Same, &Policy::default()).expect("they can be compared")
}
