//! The data of the charts of a scenario or a trace, from a result of `run` or `replay`.

use std::collections::BTreeMap;

use super::failure_rate::Failures;
use super::number::{self, grouped};
use crate::study::StudyResult;
use crate::study::document::{self, Row};
use iova::measure::record::{SampledRecord, TrafficRecord, Window};
use iova::measure::{Cause, MetricId, Steps};

/// The data of a scenario or a trace.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its name, part of the names of files.
    pub name: String,
    /// A line about it for each chart.
    pub about: String,
    /// The sampled seed, if there were others.
    pub sampled_seed: Option<u64>,
    pub allocators: Vec<AllocatorData>,
    /// The requests, if sampled.
    pub traffic: Option<TrafficRecord>,
}

/// The data of an allocator.
#[derive(Clone, Debug)]
pub struct AllocatorData {
    pub allocator: String,
    pub failures: Failures,
    /// How far its searches walked, if recorded.
    pub walked: Option<Walked>,
    /// Its run over time, if sampled.
    pub sampled: Option<SampledRecord>,
}

/// How far searches walked.
#[derive(Clone, Debug)]
pub enum Walked {
    Steps(Steps),
    /// The design does not search range by range.
    Nowhere,
}

impl Dataset {
    /// A result of `run` or `replay`.
    pub fn of_result(result: StudyResult) -> Dataset {
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
            AllocatorData {
                failures: failures(row, several),
                walked,
                sampled,
                allocator: row.allocator.clone(),
            }
        });
        Dataset {
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

    /// The lines about a chart of the sampled seed alone.
    pub(super) fn about_the_seed(&self) -> Vec<String> {
        let seed = self.sampled_seed.map(|seed| format!("seed {seed} only"));
        [self.about.clone()].into_iter().chain(seed).collect()
    }

    /// The lines about a chart over time: the sampled seed, domain and, with `window`, addresses.
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
                let requests = timeline.requests.iter();
                let here = requests.fold(0_u64, |sum, &count| sum.saturating_add(count));
                let (here, all) = (grouped(here), grouped(here.saturating_add(elsewhere)));
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
            let requests = grouped(requests.unwrap_or(0));
            let seeds = match result.traces.as_slice() {
                [] => ", no seed".to_owned(),
                [one] => one
                    .seed
                    .map_or(String::new(), |seed| format!(", seed {seed}")),
                many => format!(", {} seeds", many.len()),
            };
            format!("{name} · {requests} requests per allocator{seeds}")
        }
        document::Subject::Trace { name, .. } => {
            let events = grouped(result.traces.iter().map(|trace| trace.events).sum::<u64>());
            let file = result.file.as_deref().unwrap_or_default();
            let file = file_name(file);
            let name = name
                .as_ref()
                .map_or(String::new(), |name| format!("{name} · "));
            format!("{file} · {name}{events} events")
        }
    }
}

/// A file's name without its folder, which is of no interest elsewhere.
fn file_name(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

/// A file's name without its folder and the endings of traces.
fn stem(file: &str) -> String {
    const ENDINGS: [&str; 6] = [".zst", ".gz", ".jsonl", ".json", ".bin", ".trace"];
    let mut name = file_name(file);
    for ending in ENDINGS {
        name = name.strip_suffix(ending).unwrap_or(name);
    }
    name.trim_matches(['<', '>']).to_owned()
}
