//! Errors of traces.
//!
//! One list of them all. A message names the file, the line, the field, the value found and the
//! value expected, with a hint if there is one.

use iova::words;
use std::fmt;
use std::io;

/// An error in a trace.
///
/// It prints as one line, lower case, without a full stop:
///
/// ```text
/// traces/camera.trace.jsonl:4181: `free` of id 977, which is not live (freed at line 3902); is a `double_free` meant?
/// ```
#[derive(Debug)]
pub struct Error(Box<Report>);

#[derive(Debug)]
struct Report {
    file: Option<String>,
    place: Option<Place>,
    kind: Kind,
}

/// A position in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of text, counted from 1; the header is the first.
    Line(u64),
    /// An event of a binary trace, counted from 0; the header is not one.
    Event(u64),
}

impl Place {
    /// The number alone, which orders the places of one trace.
    pub fn number(self) -> u64 {
        match self {
            Place::Line(number) | Place::Event(number) => number,
        }
    }

    /// The position of another event of the same trace.
    #[must_use]
    pub fn sibling(self, number: u64) -> Place {
        match self {
            Place::Line(_) => Place::Line(number),
            Place::Event(_) => Place::Event(number),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::Event(event) => write!(f, "event {event}"),
        }
    }
}

impl Error {
    /// An error whose position is not known yet.
    pub(crate) fn new(kind: Kind) -> Error {
        let report = Report {
            file: None,
            place: None,
            kind,
        };
        Error(Box::new(report))
    }

    /// The same error at a position; an error of the whole file has none.
    #[must_use]
    pub fn at(mut self, place: Place) -> Error {
        if !matches!(self.0.kind, Kind::Empty | Kind::NotATrace { .. }) {
            self.0.place = Some(place);
        }
        self
    }

    /// The same error, in a file (`<stdin>` for standard input).
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Error {
        self.0.file = Some(name.to_owned());
        self
    }

    /// Whether a line exceeded the limit of its length.
    pub(super) fn is_long_line(&self) -> bool {
        matches!(self.0.kind, Kind::LineTooLong { .. })
    }

    /// The line or the event, if it is known.
    pub fn place(&self) -> Option<Place> {
        self.0.place
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Error {
        Error::new(kind)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { file, place, kind } = &*self.0;
        match (file, place) {
            (Some(file), Some(Place::Line(line))) => write!(f, "{file}:{line}: {kind}"),
            (Some(file), Some(place)) => write!(f, "{file}: {place}: {kind}"),
            (Some(file), None) => write!(f, "{file}: {kind}"),
            (None, Some(place)) => write!(f, "{place}: {kind}"),
            (None, None) => write!(f, "{kind}"),
        }
    }
}

/// All kinds of errors.
///
/// `found` and `expected` are phrases; [`excerpt`] shortens quotations from the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error("cannot read: {0}")]
    Read(io::Error),
    #[error("the {format} data ends too early; was the file cut short?")]
    CutShort { format: &'static str },
    #[error("the {format} data is corrupt: {detail}")]
    Corrupt {
        format: &'static str,
        detail: String,
    },
    #[error("is empty, expected a trace")]
    Empty,
    #[error("is not a trace: found {found}, expected {}", HEADER)]
    NotATrace { found: String },

    #[error("the line is longer than {limit} bytes, expected one object")]
    LineTooLong { limit: usize },
    #[error("found a blank line, expected an object")]
    Blank,
    #[error("found the byte {byte:#04x} at column {column}, expected UTF-8")]
    NotUtf8 { byte: u8, column: usize },
    #[error("not valid JSON at column {column}: {detail}")]
    NotJson { column: usize, detail: String },
    #[error("found {found}, expected an object")]
    NotAnObject { found: String },

    #[error("unknown field `{field}` in {of}{hint}")]
    UnknownField {
        field: String,
        of: &'static str,
        hint: String,
    },
    #[error("duplicate field `{field}`")]
    Twice { field: &'static str },
    #[error("`{field}` is missing in {of}, expected {expected}")]
    Missing {
        field: &'static str,
        of: String,
        expected: String,
    },
    #[error("found `{field}` in `{op}`, expected only {expected}")]
    Foreign {
        field: &'static str,
        op: &'static str,
        expected: String,
    },
    #[error("`{field}` is {found}, expected {expected}")]
    Value {
        field: String,
        found: String,
        expected: String,
    },
    #[error("`op` is {found}{hint}")]
    UnknownOp { found: String, hint: String },
    #[error("`version` is {version}, expected 1; a newer iovasim wrote this trace")]
    Newer { version: u64 },
    #[error("the binary trace has version {version}, expected 1; a newer iovasim wrote it")]
    NewerBinary { version: u64 },

    #[error("`t` goes backwards: {found}, after {before}")]
    TimeGoesBack { found: u64, before: u64 },
    #[error("`cpu` is {cpu}, expected less than {cpus}, the header's `cpus`")]
    NoSuchCpu { cpu: u16, cpus: usize },
    #[error("`cpu` is {cpu}, which is offline since {since}; expected an online CPU")]
    Offline { cpu: u16, since: Place },
    #[error("`cpu_up` of cpu {cpu}, which is already online")]
    AlreadyOnline { cpu: u16 },
    #[error("cannot take cpu {cpu} offline: it is the last one online")]
    LastCpu { cpu: u16 },
    #[error("`{op}` of id {id}, which is still allocated (since {since})")]
    AlreadyLive {
        op: &'static str,
        id: u64,
        since: Place,
    },
    #[error("`{op}` of id {id}, which is not live{}", not_live(*.ended))]
    NotLive {
        op: &'static str,
        id: u64,
        ended: Option<Place>,
    },
    #[error("`{op}` of id {id}, which was {began} at {since}, expected `{expected}`")]
    WrongEnd {
        op: &'static str,
        id: u64,
        began: &'static str,
        since: Place,
        expected: &'static str,
    },
    #[error(
        "`dom` of `{op}` of id {id} is {found}, expected {expected}, the domain that allocated it"
    )]
    OtherDomain {
        op: &'static str,
        id: u64,
        found: u64,
        expected: u64,
    },
    #[error("`double_free` of id {id}, which {}", never_freed(*.live, *.forgotten))]
    NeverFreed {
        id: u64,
        live: Option<Place>,
        forgotten: Option<usize>,
    },
    #[error("more than {most} {what}, expected fewer")]
    TooMany { what: &'static str, most: u32 },
}

/// The start of a trace, as messages quote it.
const HEADER: &str = r#"a header such as `{"iovasim":"trace","version":1}`"#;

impl Kind {
    /// The value of a field is wrong.
    pub(crate) fn value(
        field: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Kind {
        Kind::Value {
            field: field.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

fn not_live(ended: Option<Place>) -> String {
    match ended {
        None => "; was the trace cut at the start?".to_owned(),
        Some(place) => format!(" (freed at {place}); is a `double_free` meant?"),
    }
}

fn never_freed(live: Option<Place>, forgotten: Option<usize>) -> String {
    let (known, ended) = match live {
        Some(since) => (
            format!("is still allocated (since {since}) and was not freed before"),
            "",
        ),
        None => ("was never allocated".to_owned(), "was freed "),
    };
    match forgotten {
        Some(count) => format!("{known}, or {ended}more than {count} frees ago"),
        None => known,
    }
}

/// The hint for a misspelt name: the nearest known name, or all of them if no name is near.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match words::nearest(wrong, names.clone()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => format!(", expected {}", list(names)),
    }
}

/// Names as a list in prose: `` `a`, `b` or `c` ``.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// A quotation for a message: at most 40 characters, control characters escaped.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    const BYTE_ORDER_MARK: char = '\u{feff}';
    let mut short = String::new();
    for c in text.chars().take(CHARS_MAX) {
        if c.is_control() || c == BYTE_ORDER_MARK {
            short.extend(c.escape_default());
        } else {
            short.push(c);
        }
    }
    if text.chars().nth(CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_near_that_differs_in_a_slip_or_two() {
        let names = || ["t", "pages", "double_free"].into_iter();
        assert_eq!(nearest("pagse", names()), "; did you mean `pages`?");
        assert_eq!(
            nearest("dobule_fre", names()),
            "; did you mean `double_free`?"
        );
        let all = ", expected `t`, `pages` or `double_free`";
        assert_eq!(nearest("double_fill", names()), all);
        assert_eq!(nearest("x", names()), all);
    }

    #[test]
    fn an_excerpt_is_short_and_visible() {
        assert_eq!(excerpt("a\0b\u{feff}"), "a\\u{0}b\\u{feff}");
        assert_eq!(excerpt(&"ä".repeat(40)), "ä".repeat(40));
        assert_eq!(excerpt(&"ä".repeat(41)), "ä".repeat(40) + "…");
    }

    #[test]
    fn a_message_begins_with_its_place() {
        let error = || Error::from(Kind::Blank);
        let text = "found a blank line, expected an object";
        let (line, event) = (Place::Line(3), Place::Event(4));
        assert_eq!(error().to_string(), text);
        assert_eq!(error().at(line).to_string(), format!("line 3: {text}"));
        assert_eq!(
            error().at(line).in_file("a").to_string(),
            format!("a:3: {text}")
        );
        assert_eq!(
            error().in_file("a").at(event).to_string(),
            format!("a: event 4: {text}")
        );
        assert_eq!(Error::from(Kind::Empty).at(line).in_file("a").place(), None);
    }
}
