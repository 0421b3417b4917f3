//! Reads scenario files and the traces that they name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use iovasim::scenario::{Scenario, Trace};
use iovasim::trace::check::Checker;
use iovasim::trace::read::Reader;

use super::files;
use super::status::Failure;

/// How long a scenario file may be, in bytes.
const LENGTH_MAX: u64 = 16 << 20;

/// Reads a scenario; `-` is standard input, whose traces are found from where the program runs.
pub(crate) fn read(path: &Path) -> Result<Scenario, Failure> {
    let name = files::input_name(path);
    let unreadable = |error| Failure::bad(format!("{name}: cannot read: {error}"));
    let mut text = String::new();
    let bytes = files::open(path)?.bytes;
    bytes
        .take(LENGTH_MAX + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > LENGTH_MAX {
        let message = format!("{name}: longer than {LENGTH_MAX} bytes, expected a scenario");
        return Err(Failure::bad(message));
    }
    Scenario::parse(&text, Path::new(&name), &mut load).map_err(Failure::bad)
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
        events.push(event.clone());
        checker
            .admit(place, event)
            .map_err(|error| error.in_file(&name))?;
    }
    Ok(Trace { header, events })
}
