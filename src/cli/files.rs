//! Files that appear whole or not at all, standard output, and where input comes from.
//!
//! A new file has no name until it is complete (`O_TMPFILE`), so that nothing is left of it however
//! the program ends. On systems and file systems without such files it has another name beside its
//! own until then, which stays if the program is killed. What is no regular file (a pipe,
//! `/dev/null`) is written in place.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use iovasim::trace::compress::{Compression, Encoder};
use tempfile::TempPath;

use super::status::Failure;
use super::unnamed;

/// What the command line and messages call standard input and output.
const DASH: &str = "-";
const STDIN: &str = "<stdin>";
const STDOUT: &str = "<stdout>";

/// Whether a name stands for standard input or output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == DASH
}

/// What messages call an input.
pub(crate) fn input_name(path: &Path) -> String {
    if is_dash(path) {
        STDIN.to_owned()
    } else {
        path.display().to_string()
    }
}

pub(crate) fn open(path: &Path) -> Result<Input, Failure> {
    if is_dash(path) {
        return Ok(Input {
            bytes: Box::new(io::stdin()),
            size: None,
        });
    }
    let unreadable =
        |error: io::Error| Failure::bad(format!("{}: cannot open: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    Ok(Input {
        size: metadata.is_file().then_some(metadata.len()),
        bytes: Box::new(file),
    })
}

/// An open input.
pub(crate) struct Input {
    pub(crate) bytes: Box<dyn Read + Send>,
    /// How many there are, where that is known.
    pub(crate) size: Option<u64>,
}

/// An output that is not complete yet. Dropped, it leaves nothing behind.
pub(crate) struct Output {
    name: String,
    kind: Kind,
}

enum Kind {
    Stdout,
    InPlace(File),
    New(NewFile),
}

/// A file that gets its name when it is complete.
struct NewFile {
    file: File,
    target: PathBuf,
    /// Its name until then, if it must have one.
    temporary: Option<TempPath>,
}

impl Output {
    /// Begins an output; `-` is standard output.
    pub(crate) fn begin(path: &Path) -> Result<Output, Failure> {
        if is_dash(path) {
            return Ok(Output {
                name: STDOUT.to_owned(),
                kind: Kind::Stdout,
            });
        }
        let name = path.display().to_string();
        match begin_file(path) {
            Ok(kind) => Ok(Output { name, kind }),
            Err(error) => Err(Failure::write(name, &error)),
        }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A writer to it.
    pub(crate) fn writer(&self) -> Result<Box<dyn Write + Send>, Failure> {
        let file = match &self.kind {
            Kind::Stdout => return Ok(Box::new(io::stdout())),
            Kind::InPlace(file) => file,
            Kind::New(new) => &new.file,
        };
        match file.try_clone() {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// The output is complete.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let finished = match self.kind {
            Kind::Stdout => io::stdout().flush(),
            Kind::InPlace(mut file) => file.flush(),
            Kind::New(new) => new.finish(),
        };
        finished.map_err(|error| Failure::write(self.name, &error))
    }

    /// A failure to write to it.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        Failure::write(&self.name, error)
    }
}

fn begin_file(path: &Path) -> io::Result<Kind> {
    let existing = fs::metadata(path).ok();
    if existing
        .as_ref()
        .is_some_and(|existing| !existing.is_file())
    {
        let file = fs::OpenOptions::new().write(true).open(path)?;
        return Ok(Kind::InPlace(file));
    }
    if let Some(existing) = &existing {
        if existing.permissions().readonly() {
            let problem = "it exists and is read-only";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
        }
        fs::OpenOptions::new().write(true).open(path)?;
    }
    let target = behind_links(path)?;
    let new = match unnamed::create(folder(&target)) {
        Some(file) => NewFile {
            file,
            target,
            temporary: None,
        },
        None => named(target)?,
    };
    if let Some(existing) = existing {
        new.file.set_permissions(existing.permissions())?;
    }
    Ok(Kind::New(new))
}

/// The file that a name stands for: links stay, and what they point at is written, also if it does
/// not exist yet.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    /// As many as Linux follows.
    const LINKS_MAX: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(to) = fs::read_link(&path) else {
            return Ok(path);
        };
        path = folder(&path).join(to);
    }
    Err(io::Error::other("too many symbolic links"))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A file with another name beside its own. Unlike other temporary files it is as readable as any
/// new file.
fn named(target: PathBuf) -> io::Result<NewFile> {
    let create = |path: &Path| {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
    };
    let (file, temporary) = unnamed::beside()
        .make_in(folder(&target), create)?
        .into_parts();
    Ok(NewFile {
        file,
        target,
        temporary: Some(temporary),
    })
}

impl NewFile {
    fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        match self.temporary {
            Some(temporary) => temporary.persist(&self.target).map_err(|error| error.error),
            None => unnamed::link(&self.file, folder(&self.target), &self.target),
        }
    }
}

/// Refuses an output that is also an input or another output, before it costs the input.
///
/// `outputs` are options and their files.
pub(crate) fn check_distinct(
    inputs: &[&Path],
    outputs: &[(&str, Option<&Path>)],
) -> Result<(), Failure> {
    let mut taken: Vec<(PathBuf, String)> = Vec::new();
    for input in inputs {
        taken.extend(identity(input).map(|it| (it, "it is an input".to_owned())));
    }
    for (option, path) in outputs {
        let Some((path, identity)) = path.and_then(|it| Some((it, identity(it)?))) else {
            continue;
        };
        if let Some((_, problem)) = taken.iter().find(|(it, _)| *it == identity) {
            let path = path.display();
            return Err(Failure::bad(format!(
                "{option} {path}: {problem}; expected another file"
            )));
        }
        taken.push((identity, format!("{option} writes it too")));
    }
    Ok(())
}

/// What is the same for all names of a file; `None` for what can be read or written several times.
fn identity(path: &Path) -> Option<PathBuf> {
    if is_dash(path) || (path.exists() && !path.is_file()) {
        return None;
    }
    let target = behind_links(path).ok()?;
    let folder = fs::canonicalize(folder(&target)).ok()?;
    Some(folder.join(target.file_name()?))
}

/// Writes a report on standard error. Where that is closed nobody is there to be told.
pub(crate) fn write_to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a text to a file, compressed as its name says, or to standard output without a file.
pub(crate) fn write_text(path: Option<&Path>, text: &str) -> Result<(), Failure> {
    let output = Output::begin(path.unwrap_or(Path::new(DASH)))?;
    let writer = output.writer()?;
    let written =
        Encoder::new(writer, Compression::of_name(output.name())).and_then(|mut out| {
            out.write_all(text.as_bytes())?;
            out.finish()?.flush()
        });
    written.map_err(|error| output.failure(&error))?;
    output.finish()
}
