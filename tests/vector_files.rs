//! The files in `tests/vectors/` are read, admitted, and written back.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use iovasim::trace::binary;
use iovasim::trace::check::Checker;
use iovasim::trace::event::{Event, Header};
use iovasim::trace::outcome::{self, Line};
use iovasim::trace::read::Reader;
use iovasim::trace::write::Writer;

/// The files below a folder whose names contain `part`; none where there is no such folder.
fn files(folder: &Path, part: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path, part)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.to_string_lossy().contains(part))
        .collect();
    files.sort();
    files
}

/// Of the project's own vectors, and of all where they are at hand.
fn vectors(part: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/vectors", "../shared/vectors"];
    folders
        .iter()
        .flat_map(|folder| files(&root.join(folder), part))
        .collect()
}

fn read(name: &str, input: impl Read + Send + 'static) -> (Header, Vec<Event>) {
    let reader = Reader::new(name, input).unwrap_or_else(|error| panic!("{error}"));
    let header = reader.header().clone();
    let events = reader.map(|event| event.unwrap_or_else(|error| panic!("{error}")).1);
    (header, events.collect())
}

#[test]
fn traces_are_admitted() {
    for path in vectors(".trace.jsonl") {
        let name = path.to_string_lossy();
        let reader = Reader::new(&name, File::open(&path).unwrap()).unwrap();
        let mut checker = Checker::new(reader.header());
        for event in reader {
            let (place, event) = event.unwrap_or_else(|error| panic!("{error}"));
            let request = checker.admit(place, &event);
            request.unwrap_or_else(|error| panic!("{}", error.in_file(&name)));
        }
    }
}

#[test]
fn traces_come_back_from_their_one_form() {
    for path in vectors(".trace.jsonl") {
        let (header, events) = read(&path.to_string_lossy(), File::open(&path).unwrap());
        let mut writer = Writer::new(Vec::new(), &header).unwrap();
        for event in &events {
            writer.write(event).unwrap();
        }
        let text = writer.finish().unwrap();
        assert_eq!(
            read("written", Cursor::new(text)),
            (header, events),
            "{}",
            path.display()
        );
    }
}

#[test]
fn traces_come_back_from_the_binary_form() {
    for path in vectors(".trace.jsonl") {
        let (header, events) = read(&path.to_string_lossy(), File::open(&path).unwrap());
        let mut writer = binary::Writer::new(Vec::new(), &header).unwrap();
        for event in &events {
            writer.write(event).unwrap();
        }
        let bytes = writer.finish().unwrap();
        assert_eq!(
            read("written", Cursor::new(bytes)),
            (header, events),
            "{}",
            path.display()
        );
    }
}

#[test]
fn outcomes_are_written_byte_for_byte() {
    for path in vectors(".out.jsonl") {
        let name = path.to_string_lossy();
        let mut writer = outcome::Writer::new(Vec::new());
        for line in outcome::Reader::new(&name, File::open(&path).unwrap()).unwrap() {
            match line.unwrap_or_else(|error| panic!("{error}")) {
                Line::Outcome(outcome) => writer.write(&outcome).unwrap(),
                Line::Aborted { i, violation } => writer.aborted(i, &violation).unwrap(),
            }
        }
        let mut text = Vec::new();
        let mut plain = flate2::read::MultiGzDecoder::new(File::open(&path).unwrap());
        plain.read_to_end(&mut text).unwrap();
        assert!(
            writer.finish().unwrap() == text,
            "{name} was written otherwise"
        );
    }
}
