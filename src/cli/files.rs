//! Files that appear whole or not at all, standard output, and where input comes from.
//!
//! A new file is written under another name beside its own and renamed when it is complete.
//! What is no regular file (a pipe, `/dev/null`) is written in place.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use iovasim::trace::compress::{Compression, Encoder};
use tempfile::{NamedTempFile, TempPath};

use super::interrupt;
use super::status::Failure;

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
    Beside(Unfinished),
}

struct Unfinished {
    file: File,
    temporary: Option<TempPath>,
    target: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let path = temporary.to_path_buf();
            drop(temporary);
            interrupt::ended(&path);
        }
    }
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
            Kind::Beside(unfinished) => &unfinished.file,
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
            Kind::Beside(unfinished) => unfinished.rename(),
        };
        finished.map_err(|error| Failure::write(self.name, &error))
    }

    /// A failure to write to it.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        Failure::write(&self.name, error)
    }
}

fn begin_file(path: &Path) -> io::Result<Kind> {
    let existing = fs::metadata(path);
    if existing.as_ref().is_ok_and(|existing| !existing.is_file()) {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)
            .map(Kind::InPlace);
    }
    // A link stays, and what it points at is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".iovasim-");
    let permissions = existing.ok().map(|existing| existing.permissions());
    let temporary = create(&mut builder, folder)?;
    interrupt::began(temporary.path());
    let (file, temporary) = temporary.into_parts();
    let unfinished = Unfinished {
        file,
        temporary: Some(temporary),
        target,
    };
    if let Some(permissions) = permissions {
        unfinished.file.set_permissions(permissions)?;
    }
    Ok(Kind::Beside(unfinished))
}

/// A file that is as readable as any other new file, not private as temporary files are.
#[cfg(unix)]
fn create(builder: &mut tempfile::Builder<'_, '_>, folder: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    builder
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

#[cfg(not(unix))]
fn create(builder: &mut tempfile::Builder<'_, '_>, folder: &Path) -> io::Result<NamedTempFile> {
    builder.tempfile_in(folder)
}

impl Unfinished {
    fn rename(mut self) -> io::Result<()> {
        let Some(temporary) = self.temporary.take() else {
            return Ok(());
        };
        let path = temporary.to_path_buf();
        let renamed = temporary.persist(&self.target);
        interrupt::ended(&path);
        renamed.map_err(|error| error.error)
    }
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
