//! Traces that are read into memory, to be replayed many times: a file, or one seed of a scenario.

use std::path::Path;

use iova::kernel::Allocator;
use iovasim::diagnose::Requests;
use iovasim::diagnose::requests::Loader;
use iovasim::trace::Place;
use iovasim::trace::event::{Event, Header};
use iovasim::trace::read::Reader;

use super::common::{self, Terminal};
use super::progress::Progress;
use super::status::Failure;
use super::{files, scenario};

/// A trace in memory.
pub(crate) struct Loaded {
    /// What messages and reports call it.
    pub(crate) name: String,
    pub(crate) requests: Requests,
    /// The allocators of the scenario; none of a trace.
    pub(crate) allocators: Vec<Allocator>,
}

impl Loaded {
    /// The allocators that were named, or those of the scenario, or `old` and `new`.
    pub(crate) fn allocators(
        &self,
        named: Option<Vec<Allocator>>,
    ) -> Result<Vec<Allocator>, Failure> {
        match named {
            Some(named) => Ok(named),
            None if self.allocators.is_empty() => common::old_and_new(),
            None => Ok(self.allocators.clone()),
        }
    }
}

/// Reads a trace, or generates the trace of a seed if the name is that of a scenario.
pub(crate) fn read(
    path: &Path,
    seed: Option<u64>,
    terminal: Terminal,
) -> Result<Loaded, Failure> {
    if path.extension().is_some_and(|ending| ending == "json") {
        return generated(path, seed, terminal);
    }
    if let Some(seed) = seed {
        return Err(Failure::bad(format!(
            "--seed {seed}: {} is no scenario (.json), so it has no seeds",
            path.display()
        )));
    }
    let name = files::input_name(path);
    let input = files::open(path)?;
    let mut progress = Progress::new(terminal.shows_progress(), input.size);
    let mut reader = Reader::new(&name, progress.count(input.bytes)).map_err(Failure::bad)?;
    let mut loader = Loader::new(reader.header());
    let mut event = Event::default();
    while let Some(place) = reader.read(&mut event).map_err(Failure::bad)? {
        add(&mut loader, &name, place, &event)?;
        progress.event();
    }
    let requests = loader.finish();
    Ok(Loaded {
        name: titled(&name, &requests.header),
        requests,
        allocators: Vec::new(),
    })
}

fn generated(path: &Path, seed: Option<u64>, terminal: Terminal) -> Result<Loaded, Failure> {
    let scenario = scenario::read(path)?;
    let name = files::input_name(path);
    let seed = seed.or(scenario.seeds.first().copied()).unwrap_or(0);
    let mut progress = Progress::new(terminal.shows_progress(), None);
    let mut loader = Loader::new(&scenario.header(seed));
    for (number, event) in (0..).zip(scenario.events(seed)) {
        add(&mut loader, &name, Place::Event(number), &event)?;
        progress.event();
    }
    let title = match scenario.in_results(seed) {
        Some(seed) => format!("{name}: {}, seed {seed}", scenario.name),
        None => format!("{name}: {}", scenario.name),
    };
    Ok(Loaded {
        name: title,
        requests: loader.finish(),
        allocators: scenario.allocators,
    })
}

fn add(loader: &mut Loader, name: &str, place: Place, event: &Event) -> Result<(), Failure> {
    let added = loader.add(place, event);
    added.map_err(|error| Failure::bad(error.in_file(name)))
}

/// The file's name, with that of the trace.
fn titled(file: &str, header: &Header) -> String {
    match &header.name {
        Some(name) => format!("{file}: {name}"),
        None => file.to_owned(),
    }
}
