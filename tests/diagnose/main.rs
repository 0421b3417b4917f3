//! The commands that answer questions about one request or one difference: `explain` and those that
//! find, shrink and show what differs.

mod bisect;
mod docs;
mod explain;
mod regressions;
mod shrink;

use std::path::Path;
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a run of the program prints and how it ends.
struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program in the project's folder.
fn run(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iovasim"));
    let output = command.args(arguments).current_dir(root()).output();
    Run::from(output.expect("the program runs"))
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        Run {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// The JSON that a command prints.
fn json(arguments: &[&str]) -> serde_json::Value {
    let run = run(&[arguments, &["--format", "json"]].concat());
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&run.stdout).expect("a document")
}

/// A trace with these events in a temporary file.
fn trace(header: &str, events: &[&str]) -> tempfile::NamedTempFile {
    use std::io::Write;
    let mut file = tempfile::Builder::new()
        .suffix(".trace.jsonl")
        .tempfile()
        .expect("a file");
    let header = format!(r#"{{"iovasim":"trace","version":1{header}}}"#);
    writeln!(file, "{header}\n{}", events.join("\n")).expect("written");
    file
}
