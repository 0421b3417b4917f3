//! Scenario files: the library, the schema, a golden trace, and files that nobody wrote.

mod documents;
mod schema;

use std::fs::File;
use std::path::{Path, PathBuf};

use iovasim::scenario::{Error, Scenario, Trace};
use iovasim::trace::check::Checker;
use iovasim::trace::read::Reader;
use iovasim::trace::write::Writer;
use proptest::prelude::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a trace and checks it.
fn load(path: &Path) -> Result<Trace, Box<dyn std::error::Error>> {
    let reader = Reader::new(&path.display().to_string(), File::open(path)?)?;
    let header = reader.header().clone();
    let mut checker = Checker::new(&header);
    let mut events = Vec::new();
    for read in reader {
        let (place, event) = read?;
        checker.admit(place, &event)?;
        events.push(event);
    }
    Ok(Trace { header, events })
}

fn parse(text: &str, path: &Path) -> Result<Scenario, Error> {
    Scenario::parse(text, path, &mut load)
}

/// The trace of a seed, up to `most` events, as its file reads. It is checked on the way.
fn generate(scenario: &Scenario, seed: u64, most: usize) -> String {
    let header = scenario.header(seed);
    let mut checker = Checker::new(&header);
    let mut writer = Writer::new(Vec::new(), &header).expect("memory");
    for (number, event) in (0..).zip(scenario.events(seed).take(most)) {
        writer.write(&event).expect("memory");
        let place = iovasim::trace::Place::Event(number);
        let admitted = checker.admit(place, &event);
        admitted.unwrap_or_else(|error| panic!("{}, seed {seed}: {error}", scenario.name));
    }
    String::from_utf8(writer.finish().expect("memory")).expect("JSON")
}

/// The scenarios of the library, by file name.
fn library() -> Vec<(String, Scenario)> {
    let files = std::fs::read_dir(folder("scenarios")).expect("the library");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name != "schema.json"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        let scenario = parse(&text(path), path).unwrap_or_else(|error| panic!("{error}"));
        (name.expect("a name"), scenario)
    };
    paths.iter().map(read).collect()
}

#[test]
fn every_scenario_of_the_library_says_what_it_shows_and_holds_it() {
    let library = library();
    assert!(library.len() >= 14, "{}", library.len());
    for (file, scenario) in library {
        assert_eq!(file, scenario.name);
        assert!(!scenario.expectations.is_empty(), "{file} expects nothing");
    }
}

#[test]
fn every_scenario_of_the_library_makes_traces() {
    for (_, scenario) in library() {
        for &seed in scenario.seeds.iter().take(3) {
            let trace = generate(&scenario, seed, 20_000);
            let again = generate(&scenario, seed, 20_000);
            assert!(trace == again, "{}, seed {seed}", scenario.name);
        }
    }
}

/// What this holds: streams of randomness, distributions, clients, faults and the order of
/// events. A change of any of them, or of a dependency, changes the requests of every scenario.
/// The file is what `iovasim generate tests/scenarios/everything.json` writes.
#[test]
fn traces_are_pinned() {
    let path = folder("tests/scenarios/everything.json");
    let scenario = parse(&text(&path), &path).expect("possible");
    let trace = generate(&scenario, 42, usize::MAX);
    let golden = text(&folder("tests/scenarios/everything.trace.jsonl"));
    for (line, (found, expected)) in (1..).zip(trace.lines().zip(golden.lines())) {
        assert_eq!(found, expected, "line {line}");
    }
    assert_eq!(trace.lines().count(), golden.lines().count());
}

/// A scenario with some of its characters, words or numbers changed.
fn damaged() -> impl Strategy<Value = String> {
    let original = text(&folder("tests/scenarios/everything.json"));
    let original: Vec<String> = tokens(&original);
    let count = original.len();
    let change = (0..count, 0..count, 0..6_u8, any::<u64>());
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut tokens = original.clone();
        for (at, other, kind, number) in changes {
            tokens[at] = match kind {
                0 => String::new(),
                1 => tokens[other].clone(),
                2 => (number >> (number % 64)).to_string(),
                3 => format!("{}{}", tokens[at], tokens[other]),
                4 => "null".to_owned(),
                _ => tokens[at].chars().skip(1).collect(),
            };
        }
        tokens.concat()
    })
}

/// Splits a text into words, numbers and single other characters.
fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut follows = false;
    for c in text.chars() {
        let is_word = c.is_ascii_alphanumeric() || c == '_';
        match found.last_mut() {
            Some(word) if is_word && follows => word.push(c),
            _ => found.push(c.to_string()),
        }
        follows = is_word;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is in the file: an error that names it, or events that are a trace.
    #[test]
    fn a_damaged_scenario_is_an_error_or_still_a_scenario(text in damaged()) {
        let path = folder("tests/scenarios/everything.json");
        match parse(&text, &path) {
            Ok(scenario) => {
                prop_assert!(schema::schema_accepts(&text), "the schema refuses {text}");
                _ = generate(&scenario, 1, 300);
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with(&path.display().to_string()), "{message}");
                prop_assert!(!message.contains("struct "), "{message}");
            }
        }
    }

    #[test]
    fn any_text_is_an_error(text in ".{0,80}") {
        prop_assert!(parse(&text, Path::new("any.json")).is_err());
    }
}
