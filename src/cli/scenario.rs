//! Reads scenario files and the traces that they name.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use iovasim::scenario::{Scenario, Trace, schema};
use iovasim::trace::check::Checker;
use iovasim::trace::read::Reader;

use super::common::Terminal;
use super::status::{Failure, say};
use super::{files, kind};

/// How long a scenario file may be, in bytes.
const LENGTH_MAX: u64 = 16 << 20;

/// Reads a scenario; `-` is standard input, whose traces are found from where the program runs.
pub(crate) fn read(path: &Path) -> Result<Scenario, Failure> {
    let name = files::input_name(path);
    let unreadable = |error| format!("{name}: cannot read: {error}");
    let mut text = String::new();
    let bytes = files::open(path)?.bytes;
    bytes
        .take(LENGTH_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| kind::failure(path, unreadable(error)))?;
    if text.len() as u64 > LENGTH_MAX {
        let message = format!("{name}: longer than {LENGTH_MAX} bytes, expected a scenario");
        return Err(Failure::bad(message));
    }
    if text.trim().is_empty() {
        return Err(Failure::bad(format!(
            "{name}: is empty, expected a scenario"
        )));
    }
    let scenario = Scenario::parse(&text, Path::new(&name), &mut load);
    scenario.map_err(|error| kind::failure_unless(path, "scenario", error))
}

/// Of several files those that are scenarios: their JSON Schema may stand in the same folder.
pub(crate) fn without_schema(paths: &[PathBuf], terminal: Terminal) -> Vec<PathBuf> {
    let mut paths = paths.to_vec();
    if paths.len() > 1 {
        paths.retain(|path| {
            let is_schema = is_schema(path);
            if is_schema && !terminal.is_quiet() {
                let path = path.display();
                say(&format!(
                    "{path}: left out, since it is the schema of scenarios and not one"
                ));
            }
            !is_schema
        });
    }
    paths
}

fn is_schema(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| name == "schema.json");
    named && std::fs::read(path).is_ok_and(|bytes| bytes == schema().as_bytes())
}

fn load(path: &Path) -> Result<Trace, Box<dyn std::error::Error>> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| format!("{name}: cannot open: {error}"))?;
    let reader = Reader::new(&name, file)?;
    let header = reader.header().clone();
    let mut checker = Checker::new(&header);
    let mut events = Vec::new();
    for event in reader {
        let (place, event) = event?;
        checker
            .admit(place, &event)
            .map_err(|error| error.in_file(&name))?;
        events.push(event);
    }
    Ok(Trace { header, events })
}
