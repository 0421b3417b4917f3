//! The kind of a file that a command cannot read, and the command for it.

use std::fmt::Display;
use std::io::Read;
use std::path::Path;

use iovasim::import;

use super::files;
use super::status::Failure;

/// How much of a file shows its kind, in bytes.
const HEAD: u64 = 1 << 16;

/// The failure to read a trace or another file: its kind, if another command reads it, else `error`.
pub(crate) fn failure(path: &Path, error: impl Display) -> Failure {
    failure_unless(path, "trace", error)
}

/// The same of a file whose kind was to be `expected`.
pub(crate) fn failure_unless(path: &Path, expected: &str, error: impl Display) -> Failure {
    match command(path, expected) {
        Some((what, command)) => {
            let name = files::input_name(path);
            Failure::bad(format!("{name}: this is {what}: {command}"))
        }
        None => Failure::bad(error),
    }
}

/// The kind of a file, and the command that reads it.
fn command(path: &Path, expected: &str) -> Option<(&'static str, &'static str)> {
    if files::is_dash(path) || !path.is_file() {
        return None;
    }
    let bytes = files::open(path).ok()?.bytes;
    let mut head = Vec::new();
    import::text(bytes)
        .ok()?
        .take(HEAD)
        .read_to_end(&mut head)
        .ok()?;
    let text = String::from_utf8_lossy(&head);
    let recording = (
        "a recording of a kernel",
        "`iovasim import` makes a trace of it",
    );
    if import::is_recording(&head) {
        return Some(recording);
    }
    Some(match document(&text).filter(|kind| *kind != expected)? {
        "trace" => (
            "a trace",
            "`iovasim replay` replays it, and a scenario's `trace` client names it",
        ),
        "scenario" => ("a scenario", "`iovasim run` runs it"),
        "result" => ("a result", "`iovasim compare` and `iovasim plot` read it"),
        "policy" => ("a policy", "`iovasim compare --policy` reads it"),
        _ => return None,
    })
}

/// The kind that a document of this program names at its start.
fn document(text: &str) -> Option<&str> {
    let (before, rest) = text.trim_start().split_once("\"iovasim\"")?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start();
    let kind = value.strip_prefix('"')?.split('"').next();
    kind.filter(|_| before.starts_with('{') && before.len() < 400)
}
