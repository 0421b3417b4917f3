//! Reading result files: documents of [`ScenarioResult`], one after the other.
//!
//! A document of any version up to [`VERSION`] loads; a newer one is refused, and so is a field
//! that its version does not have: what a comparison does not understand it cannot judge. A
//! new field is a new version. What loads is consistent: a row for each allocator, the runs
//! of its seeds, each of which has a trace, and counts that can be added up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::result::{Run, ScenarioResult, VERSION};

/// What a result document says that it is.
const KIND: &str = "result";

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

/// What is wrong with a document, and where in it.
type Problem = (Option<(usize, usize)>, String);

/// Reads the results of a file, which errors call `file`.
///
/// # Errors
///
/// Where the text is no result, or one of a newer version, or contradicts itself.
pub fn results(file: &str, text: &str) -> Result<Vec<ScenarioResult>, Error> {
    let error = |place, problem| Error {
        file: file.to_owned(),
        place,
        problem,
    };
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut results: Vec<ScenarioResult> = Vec::new();
    while let Some(document) = documents.next() {
        let document = document
            .map_err(|it| error(Some((it.line(), it.column())), without_place(&it)))?
            .get();
        let before = &text[..documents.byte_offset() - document.len()];
        let line = 1 + before.matches('\n').count();
        let result = result(document).map_err(|(place, problem)| {
            let place = place.map_or((line, 1), |(at, column)| (line + at - 1, column));
            error(Some(place), problem)
        })?;
        if results.iter().any(|it| it.scenario == result.scenario) {
            let problem = format!("scenario `{}` a second time", result.scenario);
            return Err(error(Some((line, 1)), problem));
        }
        results.push(result);
    }
    if results.is_empty() {
        let problem = "empty, expected the documents that `iovasim run --format json` writes";
        return Err(error(None, problem.to_owned()));
    }
    Ok(results)
}

fn result(document: &str) -> Result<ScenarioResult, Problem> {
    let head: Head = serde_json::from_str(document).map_err(|_| {
        let problem = "found no document of iovasim, expected an object with `iovasim` and \
                       `version`, as `iovasim run --format json` writes them";
        (None, problem.to_owned())
    })?;
    check_head(&head).map_err(|problem| (None, problem))?;
    let mut reader = serde_json::Deserializer::from_str(document);
    let result: ScenarioResult =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let inner = error.inner();
            let place = (inner.line(), inner.column());
            let path = error.path();
            (Some(place), format!("{path}: {}", without_place(inner)))
        })?;
    let in_scenario = |problem| (None, format!("scenario `{}`: {problem}", result.scenario));
    check_fields(document, &result).map_err(in_scenario)?;
    check_rows(&result).map_err(in_scenario)?;
    check_sums(&result.runs).map_err(in_scenario)?;
    Ok(result)
}

/// What the JSON reader says, without the place.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

fn check_head(head: &Head) -> Result<(), String> {
    let expected =
        format!("expected one of kind `{KIND}`, as `iovasim run --format json` writes it");
    match (head.iovasim.as_deref(), head.version) {
        (Some(KIND), Some(1..=VERSION)) => Ok(()),
        (Some(KIND), Some(version)) if version > VERSION => {
            let this = env!("CARGO_PKG_VERSION");
            let writer = head.program.as_deref().unwrap_or("of that version");
            Err(format!(
                "a result of version {version}, and iovasim {this} reads up to version \
                 {VERSION}; read it with iovasim {writer}, which wrote it, or a newer one"
            ))
        }
        (Some(KIND), _) => Err(format!("a result whose version is not 1 to {VERSION}")),
        (Some(kind), _) => Err(format!("found a document of kind `{kind}`, {expected}")),
        (None, _) => Err(format!("found an object without `iovasim`, {expected}")),
    }
}

/// That the document has no field which the result has not taken in.
fn check_fields(document: &str, result: &ScenarioResult) -> Result<(), String> {
    let found = serde_json::from_str(document).unwrap_or_default();
    let taken = serde_json::to_value(result).unwrap_or_default();
    match first_unknown(&found, &taken) {
        None => Ok(()),
        Some(path) => Err(format!("unknown field `{}`", path.trim_start_matches('.'))),
    }
}

fn first_unknown(found: &Value, taken: &Value) -> Option<String> {
    match (found, taken) {
        (Value::Object(found), Value::Object(taken)) => {
            found
                .iter()
                .find_map(|(name, found)| match taken.get(name) {
                    Some(taken) => Some(format!(".{name}{}", first_unknown(found, taken)?)),
                    None if found.is_null() => None,
                    None => Some(format!(".{name}")),
                })
        }
        (Value::Array(found), Value::Array(taken)) => {
            let pairs = found.iter().zip(taken).enumerate();
            let mut unknown = pairs.filter_map(|(index, (found, taken))| {
                Some(format!("[{index}]{}", first_unknown(found, taken)?))
            });
            unknown.next()
        }
        _ => None,
    }
}

/// That rows and runs are of the same allocators and of seeds that have a trace.
fn check_rows(result: &ScenarioResult) -> Result<(), String> {
    let mut traces = BTreeSet::new();
    if let Some(twice) = result.traces.iter().find(|it| !traces.insert(it.seed)) {
        return Err(format!("the trace of seed {} a second time", twice.seed));
    }
    let mut seeds: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for Run {
        allocator, seed, ..
    } in &result.runs
    {
        if !traces.contains(seed) {
            return Err(format!("seed {seed} of {allocator} has no trace"));
        }
        if !seeds.entry(allocator).or_default().insert(*seed) {
            return Err(format!("seed {seed} of {allocator} a second time"));
        }
    }
    let mut rows = BTreeSet::new();
    for row in &result.rows {
        let name = row.allocator.as_str();
        if !rows.insert(name) {
            return Err(format!("a row of {name} a second time"));
        }
        let found = seeds.get(name).map_or(0, BTreeSet::len);
        if row.seeds != found as u64 {
            let said = row.seeds;
            return Err(format!(
                "{name} has {said} seeds in `rows`, {found} in `runs`"
            ));
        }
    }
    match seeds.keys().find(|name| !rows.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(format!("{name} has runs and no row")),
    }
}

/// That the counts of all runs can be added up.
fn check_sums(runs: &[Run]) -> Result<(), String> {
    let mut sums: BTreeMap<String, u128> = BTreeMap::new();
    for run in runs {
        let (name, seed) = (&run.allocator, run.seed);
        let counted = run.step_counts.as_ref().map(|counts| counts.0.total());
        let said = run.figures.steps.as_ref().map(|steps| steps.total);
        if counted != said {
            return Err(format!(
                "seed {seed} of {name}: `step_counts` do not add up to `steps.total`"
            ));
        }
        add(
            &serde_json::to_value(&run.figures).unwrap_or_default(),
            "",
            &mut sums,
        );
    }
    match sums.iter().find(|(_, sum)| u64::try_from(**sum).is_err()) {
        None => Ok(()),
        Some((path, _)) => Err(format!("`{path}` of all runs together is beyond 64 bits")),
    }
}

fn add(value: &Value, path: &str, sums: &mut BTreeMap<String, u128>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                add(value, &format!("{path}{dot}{name}"), sums);
            }
        }
        Value::Number(number) => {
            *sums.entry(path.to_owned()).or_default() += number.as_u128().unwrap_or(0);
        }
        _ => {}
    }
}
