//! Small results for tests.

use super::policy::Policy;
use super::{Comparison, Side, Which, compare};
use crate::measure::{Figures, Summary};
use crate::replay::Replay;
use crate::report::result::{ScenarioResult, SeedRow, TraceOfSeed, aggregate};
use crate::report::wire::WireFigures;

/// A result of a scenario in which each allocator fails so often in each of its seeds, from 1.
pub(super) fn result(scenario: &str, allocators: &[(&str, &[u64])]) -> ScenarioResult {
    let mut by_seed = Vec::new();
    for (name, failures) in allocators {
        for (seed, &failures) in (1..).zip(*failures) {
            by_seed.push(SeedRow {
                allocator: (*name).to_owned(),
                seed,
                figures: figures(failures),
            });
        }
    }
    let seeds = allocators
        .first()
        .map_or(0, |(_, failures)| failures.len() as u64);
    let trace = |seed| TraceOfSeed {
        seed,
        hash: format!("hash-{seed}"),
    };
    ScenarioResult {
        iovasim: "result".to_owned(),
        version: 1,
        program: "0.1.0".to_owned(),
        scenario: scenario.to_owned(),
        shows: "something".to_owned(),
        shard: None,
        traces: (1..=seeds).map(trace).collect(),
        rows: aggregate::rows(&by_seed, &vec![None; allocators.len()]),
        by_seed,
    }
}

fn figures(failures: u64) -> WireFigures {
    let replay: Replay = crate::measure::testing::fresh("old");
    let nothing: Figures = Summary::default().finish(&replay, None);
    let mut figures = WireFigures::of(&nothing, false);
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
