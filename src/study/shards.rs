//! Shards put together: the bytes of a run that was not sharded.
//!
//! The rows over all seeds are made anew of the runs, in the one way in which they always are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::document::{Document, Run, Shard, StudyResult, TraceRecord};
use super::pool;

/// The results of a shard, and what messages call it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The name of its file.
    pub file: String,
    pub document: Document,
}

/// Parts that do not make a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Puts the shards of a run together, in whatever order they come.
///
/// # Errors
///
/// If they are no shards of one run, if one is missing or there twice.
pub fn merge(parts: &[Part]) -> Result<Document, Error> {
    let Some(first) = parts.first() else {
        return Err(Error("no shards".to_owned()));
    };
    complete(parts)?;
    for part in parts {
        let programs = [&first.document.program, &part.document.program];
        if programs[0] != programs[1] {
            return Err(Error(format!(
                "{} is of iovasim {}, {} of {}: they are not of one run",
                first.file, programs[0], part.file, programs[1],
            )));
        }
        let scenarios = |part: &Part| {
            let names = part.document.results.iter().map(|it| it.name().to_owned());
            names.collect::<Vec<_>>()
        };
        if scenarios(part) != scenarios(first) {
            return Err(Error(format!(
                "{} has the scenarios {}, {} has {}: they are not of one run",
                first.file,
                scenarios(first).join(", "),
                part.file,
                scenarios(part).join(", "),
            )));
        }
    }
    let merged = (0..first.document.results.len()).map(|index| {
        let pieces = parts.iter().map(|part| Piece {
            file: &part.file,
            result: &part.document.results[index],
        });
        scenario(&pieces.collect::<Vec<_>>())
    });
    Ok(Document {
        results: merged.collect::<Result<_, Error>>()?,
        ..first.document.clone()
    })
}

/// The shard that a file is, which all its documents agree on.
fn shard_of(part: &Part) -> Result<(u64, u64), Error> {
    let file = &part.file;
    let mut found = None;
    for result in &part.document.results {
        let scenario = result.name();
        let Some(Shard { index, of, .. }) = result.shard else {
            let problem = format!("{file}: scenario `{scenario}` is whole, expected a shard");
            return Err(Error(problem));
        };
        if index == 0 || index > of {
            let problem = format!("{file}: scenario `{scenario}` is shard {index} of {of}");
            return Err(Error(problem));
        }
        if *found.get_or_insert((index, of)) != (index, of) {
            return Err(Error(format!("{file}: holds pieces of several shards")));
        }
    }
    found.ok_or_else(|| Error(format!("{file}: empty, expected a shard")))
}

/// How many missing shards are named.
const NAMED: usize = 10;

/// Whether every shard is there, once.
fn complete(parts: &[Part]) -> Result<(), Error> {
    let mut files: BTreeMap<u64, &str> = BTreeMap::new();
    let mut all: Option<(u64, &str)> = None;
    for part in parts {
        let (index, of) = shard_of(part)?;
        let file = part.file.as_str();
        let (count, other) = *all.get_or_insert((of, file));
        if count != of {
            return Err(Error(format!(
                "{other} is a shard of {count} and {file} a shard of {of}: they are not of one run"
            )));
        }
        if let Some(other) = files.insert(index, file) {
            return Err(Error(format!(
                "{other} and {file} are both shard {index} of {of}"
            )));
        }
    }
    let Some((of, _)) = all else {
        return Ok(());
    };
    let missing = of - files.len() as u64;
    if missing == 0 {
        return Ok(());
    }
    let named = (1..=of).filter(|index| !files.contains_key(index));
    let named: Vec<String> = named.take(NAMED).map(|it| it.to_string()).collect();
    let more = if missing > NAMED as u64 { ", …" } else { "" };
    let (shards, are) = if missing == 1 {
        ("shard", "is")
    } else {
        ("shards", "are")
    };
    let list = named.join(", ");
    Err(Error(format!(
        "{shards} {list}{more} of {of} {are} missing"
    )))
}

/// What a shard has of a scenario.
struct Piece<'a> {
    file: &'a str,
    result: &'a StudyResult,
}

impl Piece<'_> {
    fn error(&self, problem: impl fmt::Display) -> Error {
        Error(format!(
            "{}: scenario `{}`: {problem}",
            self.file,
            self.result.name()
        ))
    }
}

/// Puts a scenario together.
fn scenario(pieces: &[Piece<'_>]) -> Result<StudyResult, Error> {
    let first = &pieces[0];
    for piece in pieces {
        same_run(first, piece)?;
    }
    let plan = plan(first);
    let runs = runs(pieces, plan)?;
    Ok(StudyResult {
        shard: None,
        traces: traces(pieces, plan)?,
        rows: pool::rows(&runs).map_err(|metric| {
            first.error(format!("`{}` of all runs is beyond 64 bits", metric.path))
        })?,
        runs,
        traffic: pieces.iter().find_map(|piece| piece.result.traffic.clone()),
        ..first.result.clone()
    })
}

fn plan<'a>(piece: &Piece<'a>) -> &'a Shard {
    let shard = piece.result.shard.as_ref();
    shard.expect("what is whole was refused")
}

fn same_run(first: &Piece<'_>, piece: &Piece<'_>) -> Result<(), Error> {
    let (one, other) = (first.result, piece.result);
    let same = [
        ("domain", one.domain == other.domain),
        ("subject", one.subject == other.subject),
        (
            "allocators",
            plan(first).allocators == plan(piece).allocators,
        ),
        ("seeds", plan(first).seeds == plan(piece).seeds),
    ];
    match same.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((field, _)) => {
            let file = first.file;
            let problem = format!("has another `{field}` than in {file}: not of one run");
            Err(piece.error(problem))
        }
    }
}

fn traces(pieces: &[Piece<'_>], plan: &Shard) -> Result<Vec<TraceRecord>, Error> {
    let mut traces: BTreeMap<Option<u64>, (&TraceRecord, &str)> = BTreeMap::new();
    for piece in pieces {
        for trace in &piece.result.traces {
            let (other, file) = *traces.entry(trace.seed).or_insert((trace, piece.file));
            if other != trace {
                let seed = named(trace.seed);
                let problem = format!("{seed} makes other requests than in {file}");
                return Err(piece.error(problem));
            }
        }
    }
    let traces = plan.seeds.iter().map(|seed| match traces.get(seed) {
        Some((trace, _)) => Ok((*trace).clone()),
        None => Err(pieces[0].error(format!("no shard has {}", named(*seed)))),
    });
    traces.collect()
}

fn runs(pieces: &[Piece<'_>], plan: &Shard) -> Result<Vec<Run>, Error> {
    let mut rows: BTreeMap<(&str, Option<u64>), (&Run, &str)> = BTreeMap::new();
    let planned: BTreeSet<Option<u64>> = plan.seeds.iter().copied().collect();
    for piece in pieces {
        for row in &piece.result.runs {
            let (name, seed) = (row.allocator.as_str(), row.seed);
            if !plan.allocators.contains(&row.allocator) || !planned.contains(&seed) {
                return Err(
                    piece.error(format!("{} of {name} is not of this run", named(seed)))
                );
            }
            if let Some((_, file)) = rows.insert((name, seed), (row, piece.file)) {
                return Err(piece.error(format!("{} of {name} is in {file} too", named(seed))));
            }
        }
    }
    let units = plan
        .allocators
        .iter()
        .flat_map(|name| plan.seeds.iter().map(move |&seed| (name.as_str(), seed)));
    let found = units.map(|(name, seed)| match rows.get(&(name, seed)) {
        Some((row, _)) => Ok((*row).clone()),
        None => Err(pieces[0].error(format!("no shard has {} of {name}", named(seed)))),
    });
    found.collect()
}

fn named(seed: Option<u64>) -> String {
    seed.map_or("the recorded trace".to_owned(), |seed| {
        format!("seed {seed}")
    })
}
