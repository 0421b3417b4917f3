//! Reading result files: documents of [`ScenarioResult`], one after the other.
//!
//! A document of any version up to [`VERSION`] loads; a newer one is refused, and so is a field
//! that its version does not have: what a comparison does not understand it cannot judge. A
//! field more is a new version. What loads is consistent: a row for each allocator, and
//! the rows of its seeds, each of which has a trace.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{IntervalBy, KIND, PairedDifference, Row, ScenarioResult, SeedRow, VERSION};
use crate::report::wire::{
    WireCaches, WireCauses, WireFigures, WireFindings, WireFlushQueue, WireHeld, WireSteps,
    WireUndone,
};

/// A file that holds no results that this program can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    file: String,
    place: Option<(usize, usize)>,
    problem: String,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What any document of this program begins with.
#[derive(Deserialize)]
struct Head {
    iovasim: Option<String>,
    version: Option<u64>,
    program: Option<String>,
}

/// Reads the results of a file, which errors call `file`.
///
/// # Errors
///
/// Where the text is no result, or one of a newer version, or contradicts itself.
pub fn results(file: &str, text: &str) -> Result<Vec<ScenarioResult>, Error> {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut results: Vec<ScenarioResult> = Vec::new();
    while let Some(document) = documents.next() {
        let in_file = |place, problem| Error {
            file: file.to_owned(),
            place,
            problem,
        };
        let document = document.map_err(|error| {
            let place = Some((error.line(), error.column()));
            in_file(place, problem(&error))
        })?;
        let end = documents.byte_offset();
        let began = end - document.get().len();
        let before = &text.as_bytes()[..began];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let result = result(document.get()).map_err(|(place, problem)| {
            let place = place.map_or((line, 1), |(l, column)| (line + l - 1, column));
            in_file(Some(place), problem)
        })?;
        if results
            .iter()
            .any(|other| other.scenario == result.scenario)
        {
            let problem = format!("scenario `{}` a second time", result.scenario);
            return Err(in_file(Some((line, 1)), problem));
        }
        results.push(result);
    }
    if results.is_empty() {
        return Err(Error {
            file: file.to_owned(),
            place: None,
            problem: "empty, expected the documents that `iovasim run --format json` writes"
                .to_owned(),
        });
    }
    Ok(results)
}

type Problem = (Option<(usize, usize)>, String);

fn result(document: &str) -> Result<ScenarioResult, Problem> {
    let head: Head = serde_json::from_str(document).map_err(|_| {
        let problem = "found no document of iovasim, expected an object with `iovasim` and \
                       `version`, as `iovasim run --format json` writes them";
        (None, problem.to_owned())
    })?;
    is_readable(&head).map_err(|problem| (None, problem))?;
    let mut reader = serde_json::Deserializer::from_str(document);
    let result: ScenarioResult =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let inner = error.inner();
            let place = (inner.line(), inner.column());
            let path = error.path().to_string();
            (Some(place), format!("{path}: {}", problem(inner)))
        })?;
    is_consistent(&result).map_err(|problem| {
        let scenario = &result.scenario;
        (None, format!("scenario `{scenario}`: {problem}"))
    })?;
    Ok(result)
}

/// What the JSON reader says, without the place.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

fn is_readable(head: &Head) -> Result<(), String> {
    match (head.iovasim.as_deref(), head.version) {
        (Some(KIND), Some(1..=VERSION)) => Ok(()),
        (Some(KIND), Some(version)) if version > VERSION => {
            let this = env!("CARGO_PKG_VERSION");
            let writer = head.program.as_deref().unwrap_or("a newer one");
            Err(format!(
                "a result of version {version}, and iovasim {this} reads up to version \
                 {VERSION}; read it with iovasim {writer}, which wrote it, or a newer one"
            ))
        }
        (Some(KIND), _) => Err(format!(
            "a result without a version, expected 1 to {VERSION}"
        )),
        (Some(kind), _) => Err(format!(
            "found a document of kind `{kind}`, expected `{KIND}`, as `iovasim run --format \
             json` writes it"
        )),
        (None, _) => Err(format!(
            "found an object without `iovasim`, expected one of kind `{KIND}`, as `iovasim run \
             --format json` writes it"
        )),
    }
}

fn is_consistent(result: &ScenarioResult) -> Result<(), String> {
    let mut traces = BTreeSet::new();
    if let Some(twice) = result.traces.iter().find(|it| !traces.insert(it.seed)) {
        return Err(format!("the trace of seed {} a second time", twice.seed));
    }
    let groups: Vec<&[SeedRow]> = result
        .by_seed
        .chunk_by(|one, next| one.allocator == next.allocator)
        .collect();
    let mut names = BTreeSet::new();
    let rows = result.rows.iter().map(|row| row.allocator.as_str());
    let of_seeds = groups.iter().map(|group| group[0].allocator.as_str());
    if !rows.clone().eq(of_seeds) {
        return Err(
            "`rows` and `by_seed` have not the same allocators in one order".to_owned(),
        );
    }
    if let Some(twice) = rows.clone().find(|name| !names.insert(*name)) {
        return Err(format!("allocator `{twice}` a second time"));
    }
    for (row, group) in result.rows.iter().zip(groups) {
        let name = &row.allocator;
        let mut seeds = BTreeSet::new();
        for SeedRow { seed, .. } in group {
            if !seeds.insert(*seed) {
                return Err(format!("seed {seed} of {name} a second time"));
            }
            if !traces.contains(seed) {
                return Err(format!("seed {seed} of {name} has no trace"));
            }
        }
        if row.seeds != group.len() as u64 {
            let (said, found) = (row.seeds, group.len());
            return Err(format!("{name} has {found} seeds in `by_seed`, not {said}"));
        }
    }
    Ok(())
}

/// The fields of [`WireFigures`] and some more: what serde can neither read into a flattened
/// field (128 bits) nor refuse there (what is unknown).
macro_rules! with_figures {
    ($(#[$meta:meta])* $name:ident for $target:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($field: $type,)*
            events: u64,
            allocs: u64,
            failures: u64,
            failure_rate: Option<f64>,
            spurious: u64,
            spurious_share: Option<f64>,
            causes: WireCauses,
            frees_of_failed: u64,
            searches: u64,
            retries: u64,
            retry_successes: u64,
            steps: Option<WireSteps>,
            pages_live_mean: Option<f64>,
            pages_live_max: u128,
            ranges_max: u64,
            held: WireHeld,
            caches: WireCaches,
            flush_queue: WireFlushQueue,
            findings: WireFindings,
            undone: Option<WireUndone>,
        }

        impl From<$name> for $target {
            fn from(it: $name) -> $target {
                $target {
                    $($field: it.$field,)*
                    figures: WireFigures {
                        events: it.events,
                        allocs: it.allocs,
                        failures: it.failures,
                        failure_rate: it.failure_rate,
                        spurious: it.spurious,
                        spurious_share: it.spurious_share,
                        causes: it.causes,
                        frees_of_failed: it.frees_of_failed,
                        searches: it.searches,
                        retries: it.retries,
                        retry_successes: it.retry_successes,
                        steps: it.steps,
                        pages_live_mean: it.pages_live_mean,
                        pages_live_max: it.pages_live_max,
                        ranges_max: it.ranges_max,
                        held: it.held,
                        caches: it.caches,
                        flush_queue: it.flush_queue,
                        findings: it.findings,
                        undone: it.undone,
                    },
                }
            }
        }
    };
}

with_figures! {
    /// A row as version 1 has it.
    WireRow for Row {
        allocator: String,
        seeds: u64,
        failure_rate_ci95: Option<[f64; 2]>,
        failure_rate_ci95_by: Option<IntervalBy>,
        difference: Option<PairedDifference>,
        steps_histogram: Option<Vec<[u64; 2]>>,
    }
}

with_figures! {
    /// A row of a seed as version 1 has it.
    WireSeedRow for SeedRow {
        allocator: String,
        seed: u64,
    }
}
