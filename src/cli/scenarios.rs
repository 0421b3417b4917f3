//! Reading scenario files, and the traces that they name.

use std::error::Error;
use std::io::Read;
use std::path::Path;

use iovasim::scenario::{Scenario, Trace};
use iovasim::trace::check::Checker;
use iovasim::trace::read::Reader;

use super::files;
use super::status::Failure;

/// The most that a scenario file may hold, in bytes.
const SIZE_MAX: u64 = 16 << 20;

/// Reads a scenario.
pub(crate) fn read(path: &Path) -> Result<Scenario, Failure> {
    let name = files::input_name(path);
    let mut bytes = Vec::new();
    let mut input = files::open(path)?.bytes.take(SIZE_MAX + 1);
    let unreadable = |error| Failure::bad(format!("{name}: cannot read: {error}"));
    input.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SIZE_MAX {
        let found = format!("{name}: more than {SIZE_MAX} bytes, which is no scenario");
        return Err(Failure::bad(found));
    }
    let not_text = |error| Failure::bad(format!("{name}: no UTF-8 text: {error}"));
    let text = String::from_utf8(bytes).map_err(not_text)?;
    Scenario::parse(&text, Path::new(&name), &mut load).map_err(Failure::bad)
}

/// Reads a trace that a scenario names, and checks it as a whole.
fn load(path: &Path) -> Result<Trace, Box<dyn Error>> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let reader = Reader::new(&name, file)?;
    let header = reader.header().clone();
    let mut checker = Checker::new(&header);
    let mut events = Vec::new();
    for next in reader {
        let (place, event) = next?;
        checker
            .admit(place, event.clone())
            .map_err(|error| error.in_file(&name))?;
        events.push(event);
    }
    Ok(Trace { header, events })
}
