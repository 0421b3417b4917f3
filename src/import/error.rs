//! Errors in recordings: one line that names the place.

use std::fmt;
use std::io;

/// Why a recording could not be imported.
#[derive(Debug)]
pub struct Error {
    file: String,
    place: Place,
    problem: Problem,
}

/// Where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The recording as a whole.
    Whole,
    /// A line, from 1.
    Line(u64),
    /// In a trace.dat.
    Dat(tracedat::Place),
}

/// An error without its place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("line of more than {max} bytes: this is not the text of a recording")]
    LongLine { max: usize },
    #[error("the last line has no line end: was the file cut short?")]
    CutShort,
    #[error(transparent)]
    Dat(#[from] tracedat::Problem),
    #[error("this is perf's binary file: run `perf script -i FILE` and import its output")]
    PerfData,
    #[error("no records of {0}: is this the right file?")]
    Empty(&'static str),
    #[error(
        "not a line of {form}: `{text}`; expected `{expected}`; --skip-bad-lines imports the rest"
    )]
    NotARecord {
        form: &'static str,
        expected: &'static str,
        text: String,
    },
    #[error("`{event}` without `{field}=`; the probe does not record that argument")]
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
        "the recording lost {count} events {cpu}, so the allocator's state is unknown; record with \
         larger buffers, or import the rest with --allow-lost"
    )]
    Lost { count: String, cpu: String },
    #[error("{0}")]
    Ask(String),
}

impl Problem {
    /// Whether one line cannot be read, which `--skip-bad-lines` skips.
    pub(crate) fn is_of_a_line(&self) -> bool {
        matches!(
            self,
            Problem::NotARecord { .. } | Problem::Missing { .. } | Problem::Field { .. }
        )
    }
}

impl Error {
    pub(crate) fn new(file: &str, line: Option<u64>, problem: impl Into<Problem>) -> Error {
        Error::at(file, line.map_or(Place::Whole, Place::Line), problem)
    }

    pub(crate) fn at(file: &str, place: Place, problem: impl Into<Problem>) -> Error {
        Error {
            file: file.to_owned(),
            place,
            problem: problem.into(),
        }
    }

    pub(crate) fn dat(file: &str, error: tracedat::Error) -> Error {
        Error::at(file, Place::Dat(error.place), error.problem)
    }

    /// The line that is wrong, from 1; `None` where it is the file as a whole, or no text.
    pub fn line(&self) -> Option<u64> {
        match self.place {
            Place::Line(line) => Some(line),
            _ => None,
        }
    }

    /// The byte of a trace.dat that is wrong, from 0; in compressed data, where that begins.
    pub fn byte(&self) -> Option<u64> {
        match self.place {
            Place::Dat(tracedat::Place::Byte(at) | tracedat::Place::Unpacked { at, .. }) => {
                Some(at)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        match self.place {
            Place::Whole => {}
            Place::Line(line) => write!(f, "{line}:")?,
            Place::Dat(place) => write!(f, " {place}:")?,
        }
        write!(f, " {}", self.problem)
    }
}

impl std::error::Error for Error {}
