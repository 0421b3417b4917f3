//! What there is to draw of a scenario or a trace, from whichever document it comes.

use std::collections::BTreeMap;

use super::failure_rate::Failures;
use super::number;
use crate::study::StudyResult;
use crate::study::document::{self, Row};
use iova::measure::record::{SampledRecord, TrafficRecord, Window};
use iova::measure::{Cause, MetricId, Steps};

/// A scenario, or a trace, and what came of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name, which goes into the names of files.
    pub name: String,
    /// What pictures say of it, in a line.
    pub about: String,
    /// The seed that was sampled, where there were others.
    pub sampled_seed: Option<u64>,
    /// What there is of each allocator.
    pub allocators: Vec<Subjected>,
    /// What the callers asked for, where that was sampled.
    pub traffic: Option<TrafficRecord>,
}

/// What there is of an allocator.
#[derive(Clone, Debug)]
pub struct Subjected {
    pub allocator: String,
    /// How often it failed.
    pub failures: Failures,
    /// How far it walked; none where that was not recorded.
    pub walked: Option<Walked>,
    /// Its run as time goes by, where that was sampled.
    pub sampled: Option<SampledRecord>,
}

/// How far searches walked.
#[derive(Clone, Debug)]
pub enum Walked {
    Steps(Steps),
    /// The design does not walk from range to range.
    Nowhere,
}

impl Subject {
    /// A result of `run` or `replay`.
    pub fn of_result(result: StudyResult) -> Subject {
        let about = about(&result);
        let several = result.traces.len() > 1;
        let mut sampled_seed = None;
        let mut of_allocator: BTreeMap<String, (Option<Walked>, Option<SampledRecord>)> =
            BTreeMap::new();
        for run in result.runs {
            let walked = Walked::of(&run);
            let (all, sampled) = of_allocator
                .entry(run.allocator)
                .or_insert_with(|| (Some(Walked::Steps(Steps::default())), None));
            *all = all.take().zip(walked).map(|(all, one)| all.and(one));
            if run.sampled.is_some() {
                sampled_seed = run.seed.filter(|_| several);
                *sampled = run.sampled;
            }
        }
        let allocators = result.rows.iter().map(|row| {
            let (walked, sampled) = of_allocator.remove(&row.allocator).unwrap_or_default();
            Subjected {
                failures: failures(row, several),
                walked,
                sampled,
                allocator: row.allocator.clone(),
            }
        });
        Subject {
            allocators: allocators.collect(),
            name: match &result.subject {
                document::Subject::Scenario { name, .. } => name.clone(),
                document::Subject::Trace { name, .. } => {
                    let file = result.file.as_deref().or(name.as_deref());
                    stem(file.unwrap_or_default())
                }
            },
            about,
            sampled_seed,
            traffic: result.traffic,
        }
    }

    /// What pictures say where all is of the seed that was sampled.
    pub(super) fn about_the_seed(&self) -> Vec<String> {
        let seed = self
            .sampled_seed
            .map(|seed| format!("of seed {seed} alone"));
        [self.about.clone()].into_iter().chain(seed).collect()
    }

    /// What pictures say where something is drawn as time goes by: what was sampled. With
    /// `window`, addresses count.
    pub(super) fn about_samples(&self, window: bool) -> Vec<String> {
        let mut sampled: Vec<String> = Vec::new();
        sampled.extend(self.sampled_seed.map(|seed| format!("seed {seed}")));
        let records = self.allocators.iter().filter_map(|it| it.sampled.as_ref());
        if let Some(SampledRecord { timeline, .. }) = records.into_iter().next() {
            let Window {
                domain,
                granule,
                limit_pfn,
                ..
            } = timeline.window;
            let elsewhere = timeline.requests_elsewhere;
            if elsewhere > 0 {
                let here: u64 = timeline.requests.iter().sum();
                let (here, all) = (counted(here), counted(here + elsewhere));
                sampled.push(format!(
                    "domain {domain}, which has {here} of {all} requests"
                ));
            }
            if window {
                let limit = (number::real(limit_pfn) + 1.0) * number::real(granule);
                sampled.push(format!("addresses below {}", number::bytes(limit)));
            }
        }
        let sampled =
            (!sampled.is_empty()).then(|| format!("over time: {}", sampled.join("; ")));
        [self.about.clone()].into_iter().chain(sampled).collect()
    }
}

impl Walked {
    /// How far the searches of a run walked; `None` where that was not recorded.
    fn of(run: &document::Run) -> Option<Walked> {
        match &run.step_counts {
            Some(counts) => Some(Walked::Steps(counts.0.clone())),
            None if run.metrics.get(MetricId::StepsTotal).is_none() => Some(Walked::Nowhere),
            None => None,
        }
    }

    /// The same with another run.
    fn and(self, other: Walked) -> Walked {
        match (self, other) {
            (Walked::Steps(mut all), Walked::Steps(one)) => {
                all.merge(&one);
                Walked::Steps(all)
            }
            _ => Walked::Nowhere,
        }
    }
}

fn failures(row: &Row, several_runs: bool) -> Failures {
    let causes = Cause::ALL.map(|it| (it, row.metrics.count(MetricId::of_cause(it))));
    Failures {
        requests: row.metrics.count(MetricId::Allocs),
        causes: causes.into_iter().filter(|(_, count)| *count > 0).collect(),
        interval: row.failure_rate_ci95.map(|[low, high]| (low, high)),
        several_runs,
    }
}

/// A line about a result.
fn about(result: &StudyResult) -> String {
    match &result.subject {
        document::Subject::Scenario { name, .. } => {
            let requests = result.rows.iter();
            let requests = requests
                .map(|row| row.metrics.count(MetricId::Allocs))
                .max();
            let requests = counted(requests.unwrap_or(0));
            let seeds = match result.traces.as_slice() {
                [] => ", no seed".to_owned(),
                [one] => one
                    .seed
                    .map_or(String::new(), |seed| format!(", seed {seed}")),
                many => format!(", {} seeds", many.len()),
            };
            format!("{name} · {requests} requests an allocator{seeds}")
        }
        document::Subject::Trace { name, .. } => {
            let events = counted(result.traces.iter().map(|trace| trace.events).sum());
            let file = result.file.as_deref().unwrap_or_default();
            let name = name
                .as_ref()
                .map_or(String::new(), |name| format!("{name} · "));
            format!("{file} · {name}{events} events")
        }
    }
}

fn counted(count: u64) -> String {
    number::plain(number::real(count), 0)
}

/// A file's name without its folder and the endings of traces.
fn stem(file: &str) -> String {
    const ENDINGS: [&str; 6] = [".zst", ".gz", ".jsonl", ".json", ".bin", ".trace"];
    let mut name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    for ending in ENDINGS {
        name = name.strip_suffix(ending).unwrap_or(name);
    }
    name.trim_matches(['<', '>']).to_owned()
}
