//! Reads result documents, those of earlier versions too.
//!
//! A newer version is refused, and so is an unknown field: a comparison cannot judge what it does
//! not understand, and a new field is a new version. What loads is consistent: the rows agree with
//! the runs, each run has a trace, and counts can be added up.

mod version_1;

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::document::{Document, Row, Run, StudyResult, VERSION};
use super::pool;
use iova::measure::{METRICS, MetricId, Value};

/// A file that holds no result that this program can read.
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

/// What is wrong with a document, and where in it.
type Problem = (Option<(usize, usize)>, String);

/// Reads the result document of a file, which errors call `file`. Version 1 wrote a document for
/// each scenario, one after the other, and another kind for replays.
///
/// # Errors
///
/// If the text is no result document, or one of a newer version, or contradicts itself.
pub fn document(file: &str, text: &str) -> Result<Document, Error> {
    let error = |place, problem| Error {
        file: file.to_owned(),
        place,
        problem,
    };
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut whole: Option<Document> = None;
    while let Some(value) = values.next() {
        let value = value
            .map_err(|it| error(Some((it.line(), it.column())), without_place(&it)))?
            .get();
        let before = &text[..values.byte_offset() - value.len()];
        let line = 1 + before.matches('\n').count();
        let document = one(value).map_err(|(place, problem)| {
            let place = place.map_or((line, 1), |(at, column)| (line + at - 1, column));
            error(Some(place), problem)
        })?;
        let whole = whole.get_or_insert_with(|| Document {
            results: Vec::new(),
            ..document.clone()
        });
        for result in document.results {
            let name = result.name();
            if whole.results.iter().any(|it| it.name() == name) {
                let problem = format!("`{name}` a second time");
                return Err(error(Some((line, 1)), problem));
            }
            whole.results.push(result);
        }
    }
    whole.ok_or_else(|| {
        let problem = "empty, expected a result as `iovasim run -o FILE.json` writes it";
        error(None, problem.to_owned())
    })
}

/// Reads one JSON value.
fn one(text: &str) -> Result<Document, Problem> {
    let head: Head = serde_json::from_str(text).map_err(|_| {
        let problem = "found no document of iovasim, expected an object with `iovasim` and \
                       `version`, as `iovasim run -o FILE.json` writes it";
        (None, problem.to_owned())
    })?;
    let kind = head.iovasim.as_deref().unwrap_or_default();
    let document = match (kind, head.version) {
        ("result", Some(VERSION)) => parse::<Document>(text)?,
        ("result", Some(1)) => parse::<version_1::RunDocument>(text)?.into(),
        ("replay", Some(1)) => parse::<version_1::ReplayDocument>(text)?.into(),
        _ => return Err((None, refused(&head))),
    };
    for result in &document.results {
        let name = result.name();
        check(result).map_err(|problem| (None, format!("`{name}`: {problem}")))?;
    }
    Ok(document)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let inner = error.inner();
        let place = (inner.line(), inner.column());
        let path = error.path();
        (Some(place), format!("{path}: {}", without_place(inner)))
    })
}

/// The message of the JSON reader, without the place.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// Why a document of that kind and version is refused.
fn refused(head: &Head) -> String {
    const EXPECTED: &str = "expected a result, as `iovasim run -o FILE.json` writes it";
    let newest = |kind| if kind == "result" { VERSION } else { 1 };
    match (head.iovasim.as_deref(), head.version) {
        (Some(kind @ ("result" | "replay")), Some(version)) if version > newest(kind) => {
            let (this, newest) = (env!("CARGO_PKG_VERSION"), newest(kind));
            let writer = head.program.as_deref().unwrap_or("of that version");
            format!(
                "a {kind} of version {version}, and iovasim {this} reads up to version {newest}; \
                 read it with iovasim {writer}, which wrote it, or a newer one"
            )
        }
        (Some(kind @ ("result" | "replay")), _) => {
            format!("a {kind} whose version is not 1 to {}", newest(kind))
        }
        (Some(kind), _) => format!("found a document of kind `{kind}`, {EXPECTED}"),
        (None, _) => format!("found an object without `iovasim`, {EXPECTED}"),
    }
}

/// Checks that the parts of a result agree.
fn check(result: &StudyResult) -> Result<(), String> {
    let mut traces = BTreeSet::new();
    if let Some(twice) = result.traces.iter().find(|it| !traces.insert(it.seed)) {
        return Err(format!("the trace of {} a second time", seed(twice.seed)));
    }
    let mut seen = BTreeSet::new();
    for run in &result.runs {
        let of = format!("{} of {}", seed(run.seed), run.allocator);
        if !traces.contains(&run.seed) {
            return Err(format!("{of} has no trace"));
        }
        if !seen.insert((&run.allocator, run.seed)) {
            return Err(format!("{of} a second time"));
        }
        check_run(run).map_err(|problem| format!("{of}: {problem}"))?;
    }
    check_rows(result)
}

fn seed(seed: Option<u64>) -> String {
    seed.map_or("the recorded trace".to_owned(), |seed| {
        format!("seed {seed}")
    })
}

fn check_run(run: &Run) -> Result<(), &'static str> {
    let metrics = &run.metrics;
    let counted = run.step_counts.as_ref().map(|counts| counts.0.total());
    if counted.is_some_and(|it| metrics.get(MetricId::StepsTotal) != Some(Value::Count(it))) {
        return Err("`step_counts` do not add up to `steps.total`");
    }
    if metrics.count(MetricId::RunsAborted) != u64::from(run.aborted.is_some()) {
        return Err("`runs_aborted` and `aborted` contradict each other");
    }
    Ok(())
}

/// Checks that the rows are those of the runs.
fn check_rows(result: &StudyResult) -> Result<(), String> {
    let expected = pool::rows(&result.runs).map_err(|metric| {
        format!("`{}` of all runs together is beyond 64 bits", metric.path)
    })?;
    let find = |rows: &[Row], name: &str| rows.iter().position(|it| it.allocator == name);
    if let Some(row) = expected
        .iter()
        .find(|it| find(&result.rows, &it.allocator).is_none())
    {
        return Err(format!("{} has runs and no row", row.allocator));
    }
    let mut names = BTreeSet::new();
    for row in &result.rows {
        let name = &row.allocator;
        if !names.insert(name) {
            return Err(format!("a row of {name} a second time"));
        }
        let Some(index) = find(&expected, name) else {
            return Err(format!("{name} has a row and no runs"));
        };
        let (found, summed) = (row.runs, expected[index].runs);
        if found != summed {
            return Err(format!(
                "{name} has {found} seeds in `rows`, {summed} in `runs`"
            ));
        }
        let integers = |it: &Row, metric| match it.metrics.get(metric) {
            Some(Value::Real(_)) => None,
            value => Some(value),
        };
        let other = |it: &MetricId| integers(row, *it) != integers(&expected[index], *it);
        if let Some(metric) = METRICS.iter().map(|it| it.id).find(other) {
            let path = metric.metric().path;
            return Err(format!(
                "`{path}` of {name} in `rows` is not that of its `runs`"
            ));
        }
    }
    Ok(())
}
