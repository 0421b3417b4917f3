//! The traces that a scenario names.

use std::path::Path;

use crate::strict_json::{Error, JsonPath};
use crate::trace::event::{Event, Header};

/// A recorded trace in memory.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What it says of its domains.
    pub header: Header,
    pub events: Vec<Event>,
}

/// Gives the trace of a path.
pub type Load<'a> = dyn FnMut(&Path) -> Result<Trace, Box<dyn std::error::Error>> + 'a;

/// Reads the trace that a scenario names.
pub(super) fn load(
    name: &str,
    load: &mut Load<'_>,
    here: &JsonPath<'_>,
) -> Result<Trace, Error> {
    let folder = here.file().parent().unwrap_or(Path::new(""));
    load(&folder.join(name)).map_err(|error| here.error(error))
}
