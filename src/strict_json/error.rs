//! What is wrong with a file that a user writes, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use iova::words::nearest;

/// A scenario or a policy that cannot be used.
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
    pub(super) fn in_json(
        file: &Path,
        path: &serde_path_to_error::Path,
        error: &serde_json::Error,
    ) -> Error {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        let problem = text.strip_suffix(&place).unwrap_or(&text);
        let path = match path.to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        Error {
            file: file.to_owned(),
            place: Some((line, column)),
            path,
            problem: problem.to_owned(),
        }
    }

    /// What follows the JSON text.
    pub(super) fn after_json(file: &Path, error: &serde_json::Error) -> Error {
        Error {
            file: file.to_owned(),
            place: Some((error.line(), error.column())),
            path: String::new(),
            problem: "found more after the end, expected one JSON object".to_owned(),
        }
    }
}

/// A place in a file, to say what is wrong there.
#[derive(Clone, Debug)]
pub(crate) struct JsonPath<'a> {
    file: &'a Path,
    path: String,
}

impl<'a> JsonPath<'a> {
    pub(crate) fn root(file: &'a Path) -> JsonPath<'a> {
        let path = String::new();
        JsonPath { file, path }
    }

    pub(crate) fn file(&self) -> &'a Path {
        self.file
    }

    /// The field `name` of this place.
    pub(crate) fn field(&self, name: &str) -> JsonPath<'a> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{name}", self.path);
        JsonPath { path, ..*self }
    }

    /// The element `index` of this place.
    pub(crate) fn index(&self, index: usize) -> JsonPath<'a> {
        let path = format!("{}[{index}]", self.path);
        JsonPath { path, ..*self }
    }

    /// The same, or its error at this place.
    pub(crate) fn check<T, E: fmt::Display>(&self, checked: Result<T, E>) -> Result<T, Error> {
        checked.map_err(|problem| self.error(problem))
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
        self.error(unknown(what, found, names))
    }
}

/// The message that a name is none of `names`, with the nearest of them.
pub(super) fn unknown<'a>(
    what: &str,
    found: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let known: Vec<_> = names.clone().map(|name| format!("`{name}`")).collect();
    let expected = match known.as_slice() {
        [] => "there is none".to_owned(),
        [name] => format!("expected {name}"),
        names => format!("expected one of {}", names.join(", ")),
    };
    let hint =
        nearest(found, names).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    format!("unknown {what} `{found}`, {expected}{hint}")
}
