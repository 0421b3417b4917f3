//! What can be wrong with a recording, in one line that names the place.

use std::fmt;
use std::io;

/// Why a recording could not be imported.
#[derive(Debug)]
pub struct Error {
    file: String,
    line: Option<u64>,
    problem: Problem,
}

/// What is wrong, without the place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a line of more than {max} bytes: not the text of a recording")]
    LongLine { max: usize },
    #[error("the last line has no end: was the file cut short?")]
    CutShort,
    #[error(
        "this is trace-cmd's binary file: run `trace-cmd report -i FILE` and import what it prints"
    )]
    TraceDat,
    #[error("this is perf's binary file: run `perf script -i FILE` and import what it prints")]
    PerfData,
    #[error("found no record of {0}: is it such a recording?")]
    Empty(&'static str),
    #[error("not a line of {form}: `{text}`; expected `{expected}`")]
    NotARecord {
        form: &'static str,
        expected: &'static str,
        text: String,
    },
    #[error(
        "`{event}` without `{field}=`; recorded with other arguments than the importer needs?"
    )]
    Missing { event: String, field: &'static str },
    #[error("`{field}` of `{event}`: found `{found}`, expected {expected}")]
    Field {
        event: String,
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error(
        "time goes back by {back_ns} ns {whose}: the lines are not in the order in which they were \
         recorded; several files in one, or sorted?"
    )]
    TimeGoesBack { back_ns: u64, whose: &'static str },
    #[error(
        "the recording lost {count} events {cpu}: what the allocator did cannot be known; record \
         with larger buffers, or import what is left with --allow-lost"
    )]
    Lost { count: String, cpu: String },
    #[error("{0}")]
    Ask(String),
}

impl Error {
    pub(super) fn new(file: &str, line: Option<u64>, problem: impl Into<Problem>) -> Error {
        Error {
            file: file.to_owned(),
            line,
            problem: problem.into(),
        }
    }

    /// The line that is wrong, from 1; none where it is the file as a whole.
    pub fn line(&self) -> Option<u64> {
        self.line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.problem)
    }
}

impl std::error::Error for Error {}
