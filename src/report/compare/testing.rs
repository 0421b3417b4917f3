//! Small results for tests.

use super::policy::Policy;
use super::{Comparison, Side, Which, Workloads, compare};
use crate::study::StudyResult;
use crate::study::document::{Run, Subject, TraceRecord};
use crate::trace::event::Header;
use iova::measure::{MetricId, Metrics, Summary};

/// A result of a scenario in which each allocator fails so often in each of its seeds, from 1.
pub(super) fn result(scenario: &str, allocators: &[(&str, &[u64])]) -> StudyResult {
    let mut runs = Vec::new();
    for (name, failures) in allocators {
        for (seed, &failures) in (1..).zip(*failures) {
            runs.push(Run {
                allocator: (*name).to_owned(),
                seed: Some(seed),
                metrics: metrics(failures),
                aborted: None,
                step_counts: None,
                first_violations: Vec::new(),
                check: None,
                sampled: None,
            });
        }
    }
    let seeds = allocators
        .first()
        .map_or(0, |(_, failures)| failures.len() as u64);
    let trace = |seed| TraceRecord {
        seed: Some(seed),
        hash: format!("hash-{seed}"),
        events: 0,
    };
    let subject = Subject::Scenario {
        name: scenario.to_owned(),
        shows: "something".to_owned(),
    };
    let file = format!("scenarios/{scenario}.json");
    let traces = (1..=seeds).map(trace).collect();
    StudyResult::new(&file, subject, &Header::default(), traces, runs)
}

fn metrics(failures: u64) -> Metrics {
    let replay = iova::measure::testing::fresh("old");
    let nothing = Summary::default().finish(&replay, None);
    Metrics::of(&nothing).with(MetricId::Failures, failures)
}

/// What comes of `old` failing so often in the seeds of a scenario before, and after.
pub(super) fn comparison(scenario: &str, before: &[u64], after: &[u64]) -> Comparison {
    let [base, new] = [before, after].map(|failures| [result(scenario, &[("old", failures)])]);
    let side = |file, results| Side { file, results };
    let (base, new) = (side("base.json", &base[..]), side("new.json", &new[..]));
    compare(base, new, &Which::Same, Workloads::Same, &Policy::default())
        .expect("they can be compared")
}
