//! What there is to draw of a scenario or a trace, from whichever document it comes.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::failure_rate::Failures;
use super::number;
use crate::study::result::StepCounts;
use crate::study::statistics::{self, Sample};
use crate::study::wire::{WireCauses, WireFigures};
use crate::study::{Replayed, Row, ScenarioResult, stored};
use crate::trace::event::Header;
use iova::measure::record::{SampledRecord, TrafficRecord, Window};
use iova::measure::{Cause, Steps};

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

/// A document that is not to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Subject {
    /// Reads the documents that `run` or `replay` wrote; errors call them `file`.
    ///
    /// # Errors
    ///
    /// Where the text holds no such documents.
    pub fn read(file: &str, text: &str) -> Result<Vec<Subject>, Error> {
        let head: Option<Head> = serde_json::Deserializer::from_str(text)
            .into_iter()
            .next()
            .and_then(Result::ok);
        if head.is_some_and(|head| head.iovasim == "replay") {
            return replayed(file, text);
        }
        let results = stored::results(file, text).map_err(|error| Error(error.to_string()))?;
        Ok(results.into_iter().map(Subject::of_result).collect())
    }

    fn of_result(result: ScenarioResult) -> Subject {
        let requests = result.rows.iter().map(|row| row.figures.allocs).max();
        let seeds = match result.traces.as_slice() {
            [] => "no seed".to_owned(),
            [one] => format!("seed {}", one.seed),
            many => format!("{} seeds", many.len()),
        };
        let about = format!(
            "{} · {} requests an allocator, {seeds}",
            result.scenario,
            counted(requests.unwrap_or(0))
        );
        let runs = result.traces.len();
        let sampled = result.samples.as_deref().and_then(<[_]>::first);
        let sampled_seed = sampled.map(|it| it.seed).filter(|_| runs > 1);
        let mut seen_of: BTreeMap<String, SampledRecord> = BTreeMap::new();
        for one in result.samples.into_iter().flatten() {
            seen_of.insert(one.allocator, one.seen);
        }
        let mut walked: BTreeMap<&str, Option<Steps>> = BTreeMap::new();
        for run in &result.runs {
            let all = walked
                .entry(&run.allocator)
                .or_insert_with(|| Some(Steps::default()));
            match (&run.step_counts, all.as_mut()) {
                (Some(counts), Some(all)) => all.merge(&counts.0),
                _ => *all = None,
            }
        }
        let allocators = result.rows.iter().map(|row| Subjected {
            failures: failures(&row.figures, runs > 1),
            walked: walked
                .remove(row.allocator.as_str())
                .map(|steps| steps.map_or(Walked::Nowhere, Walked::Steps)),
            sampled: seen_of.remove(&row.allocator),
            allocator: row.allocator.clone(),
        });
        Subject {
            allocators: allocators.collect(),
            name: result.scenario.clone(),
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

    /// What came of a trace that was replayed just now; messages call it `file`.
    pub fn of_replay(file: &str, header: &Header, replayed: &Replayed) -> Subject {
        let allocator = |row: &Row| {
            let walks = row.allocator.rules().walks();
            Subjected {
                allocator: row.allocator.name().to_owned(),
                failures: failures(&WireFigures::of(&row.figures, walks), false),
                walked: Some(if walks {
                    Walked::Steps(row.figures.steps.clone())
                } else {
                    Walked::Nowhere
                }),
                sampled: row.sampled.clone(),
            }
        };
        Subject {
            name: stem(file),
            about: about_trace(file, header.name.as_deref(), replayed.events),
            sampled_seed: None,
            allocators: replayed.rows.iter().map(allocator).collect(),
            traffic: replayed.traffic.clone(),
        }
    }
}

/// How often it failed; where no interval is recorded, with that of one run.
fn failures(figures: &WireFigures, several_runs: bool) -> Failures {
    let WireCauses {
        shortcut,
        missed,
        cached,
        fragmented,
        exhausted,
        nomem,
    } = figures.causes;
    let counts = [shortcut, missed, cached, fragmented, exhausted, nomem];
    let all = Sample {
        failures: counts.iter().sum(),
        requests: figures.allocs,
    };
    let interval = figures.failure_rate_ci95;
    let interval = interval.or_else(|| statistics::interval(&[all]));
    Failures {
        requests: figures.allocs,
        causes: Cause::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect(),
        interval: interval.map(|[low, high]| (low, high)),
        several_runs,
    }
}

fn about_trace(file: &str, name: Option<&str>, events: u64) -> String {
    let events = counted(events);
    let name = name.map_or(String::new(), |name| format!("{name} · "));
    format!("{file} · {name}{events} events")
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

/// What any document of this program begins with.
#[derive(Deserialize)]
struct Head {
    iovasim: String,
}

/// What is drawn of a document of `replay`.
#[derive(Deserialize)]
struct Document {
    version: u64,
    traces: Vec<WireTrace>,
    rows: Vec<WireRow>,
}

#[derive(Deserialize)]
struct WireTrace {
    file: String,
    name: Option<String>,
    events: u64,
    traffic: Option<TrafficRecord>,
}

#[derive(Deserialize)]
struct WireRow {
    trace: String,
    allocator: String,
    #[serde(flatten)]
    figures: WireFigures,
    step_counts: Option<StepCounts>,
    timeline: Option<iova::measure::record::TimelineRecord>,
    map: Option<iova::measure::record::MapRecord>,
}

fn replayed(file: &str, text: &str) -> Result<Vec<Subject>, Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let document: Document =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let (path, inner) = (error.path(), error.inner());
            Error(format!("{file}: {path}: {inner}"))
        })?;
    let expected = crate::report::json::VERSION;
    if document.version != expected {
        let version = document.version;
        return Err(Error(format!(
            "{file}: found a document of version {version}, expected version {expected}"
        )));
    }
    let Document {
        traces, mut rows, ..
    } = document;
    let subjects = traces.into_iter().map(|trace| {
        let of_trace = rows.extract_if(.., |row| row.trace == trace.file);
        Subject {
            name: stem(&trace.file),
            about: about_trace(&trace.file, trace.name.as_deref(), trace.events),
            sampled_seed: None,
            allocators: of_trace.map(WireRow::subjected).collect(),
            traffic: trace.traffic,
        }
    });
    Ok(subjects.collect())
}

impl WireRow {
    fn subjected(self) -> Subjected {
        let walks = self.figures.steps.is_some();
        let walked = self.step_counts.map(|counts| Walked::Steps(counts.0));
        let pair = self.timeline.zip(self.map);
        Subjected {
            allocator: self.allocator,
            failures: failures(&self.figures, false),
            walked: if walks { walked } else { Some(Walked::Nowhere) },
            sampled: pair.map(|(timeline, map)| SampledRecord { timeline, map }),
        }
    }
}
