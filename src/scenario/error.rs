//! What is wrong with a scenario file, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::workload::impossible::Impossible;
use iova::words::nearest;

/// A scenario that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    file: PathBuf,
    /// Line and column, where the text itself is wrong.
    place: Option<(usize, usize)>,
    /// The JSON path; empty for the whole.
    path: String,
    problem: String,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl Error {
    /// What the JSON reader refused.
    pub(crate) fn in_json(
        file: &Path,
        error: &serde_path_to_error::Error<serde_json::Error>,
    ) -> Error {
        let inner = error.inner();
        let (line, column) = (inner.line(), inner.column());
        let text = inner.to_string();
        let place = format!(" at line {line} column {column}");
        let problem = text.strip_suffix(&place).unwrap_or(&text);
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        Error {
            file: file.to_owned(),
            place: Some((line, column)),
            path,
            problem: with_hint(&without_types(problem)),
        }
    }
}

impl Error {
    /// What follows the JSON text.
    pub(crate) fn after_json(file: &Path, error: &serde_json::Error) -> Error {
        Error {
            file: file.to_owned(),
            place: Some((error.line(), error.column())),
            path: String::new(),
            problem: "found more after the end, expected one JSON object".to_owned(),
        }
    }
}

/// Puts what a reader of scenarios knows in place of this program's types.
fn without_types(problem: &str) -> String {
    let mut text = problem.to_owned();
    for (kind, meaning) in [
        ("struct Wire", "an object"),
        ("enum Wire", "one of its names"),
    ] {
        while let Some(start) = text.find(kind) {
            let name = text[start + kind.len()..].chars();
            let length: usize = name
                .take_while(|c| c.is_alphanumeric())
                .map(char::len_utf8)
                .sum();
            text.replace_range(start..start + kind.len() + length, meaning);
        }
    }
    text
}

/// Adds the nearest of the names that serde says it expected.
fn with_hint(problem: &str) -> String {
    let unknown = problem.starts_with("unknown ");
    let mut names = problem.split('`').skip(1).step_by(2);
    let meant = names.next().and_then(|found| nearest(found, names));
    match meant {
        Some(meant) if unknown => format!("{problem}; did you mean `{meant}`?"),
        _ => problem.to_owned(),
    }
}

/// A place in a scenario file, to say what is wrong there.
#[derive(Clone, Debug)]
pub(crate) struct Here<'a> {
    file: &'a Path,
    path: String,
}

impl<'a> Here<'a> {
    pub(crate) fn root(file: &'a Path) -> Here<'a> {
        let path = String::new();
        Here { file, path }
    }

    pub(crate) fn file(&self) -> &'a Path {
        self.file
    }

    /// The field `name` of this place.
    pub(crate) fn field(&self, name: &str) -> Here<'a> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{name}", self.path);
        Here { path, ..*self }
    }

    /// The element `index` of this place.
    pub(crate) fn index(&self, index: usize) -> Here<'a> {
        let path = format!("{}[{index}]", self.path);
        Here { path, ..*self }
    }

    /// What is wrong here.
    pub(crate) fn error(&self, problem: impl fmt::Display) -> Error {
        Error {
            file: self.file.to_owned(),
            place: None,
            path: self.path.clone(),
            problem: problem.to_string(),
        }
    }

    /// That a name here is none of `names`.
    pub(crate) fn unknown<'b>(
        &self,
        what: &str,
        found: &str,
        names: impl Iterator<Item = &'b str> + Clone,
    ) -> Error {
        let known = names.clone().map(|name| format!("`{name}`"));
        let known = known.collect::<Vec<_>>().join(", ");
        let expected = match known.as_str() {
            "" => "there is none".to_owned(),
            known => format!("expected one of {known}"),
        };
        let hint = nearest(found, names)
            .map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        self.error(format!("unknown {what} `{found}`, {expected}{hint}"))
    }
}

/// Says where something is impossible.
pub(crate) trait At<T> {
    fn at(self, here: &Here<'_>) -> Result<T, Error>;
}

impl<T> At<T> for Result<T, Impossible> {
    fn at(self, here: &Here<'_>) -> Result<T, Error> {
        self.map_err(|impossible| here.error(impossible))
    }
}
