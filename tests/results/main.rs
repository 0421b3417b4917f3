//! Results that are kept: those of this repository, and those of earlier versions, load and write
//! back.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use iovasim::report;
use iovasim::study::document::Subject;
use iovasim::study::{Document, load};
use iovasim::trace::compress;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file, plain or compressed.
fn text(path: &Path) -> String {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    let mut bytes = compress::decoded(file).expect("a file");
    bytes.read_to_string(&mut text).expect("text");
    text
}

fn load(path: &Path) -> Document {
    let name = path.display().to_string();
    load::document(&name, &text(path)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_stored_result_loads_and_writes_back() {
    let entries = fs::read_dir(root().join("tests/results")).expect("a folder");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files
        .filter(|it| it.extension().is_some_and(|it| it == "json"))
        .collect();
    files.push(root().join("ci/baseline.json.zst"));
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let document = load(&file);
        let written = report::json(&document);
        let again = load::document("written", &written).unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(again, document, "{}", file.display());
        if text(&file).contains("\n  \"version\": 2,\n") {
            assert!(written == text(&file), "{}: other bytes", file.display());
        }
    }
}

#[test]
fn a_replay_of_version_1_is_a_result_without_seeds() {
    let document = load(&root().join("tests/results/replay-version-1.json"));
    let [state, arm] = &document.results[..] else {
        panic!(
            "{} results, expected one for each trace",
            document.results.len()
        );
    };
    assert_eq!(state.name(), "traces/founding-state.trace.jsonl");
    assert!(matches!(state.subject, Subject::Trace { .. }));
    assert_eq!((state.traces.len(), state.traces[0].seed), (1, None));
    for result in [state, arm] {
        let names = result.rows.iter().map(|row| row.allocator.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["old", "maple-2026"]);
        assert!(result.runs.iter().all(|run| run.sampled.is_some()));
        assert!(result.traffic.is_some() && result.differences.len() == 1);
    }
}

#[test]
fn several_results_of_version_1_are_one_document() {
    let document = load(&root().join("tests/results/run-version-1.json"));
    let names: Vec<&str> = document
        .results
        .iter()
        .map(iovasim::study::StudyResult::name)
        .collect();
    assert_eq!(names, ["arm-counterexample", "founding-state"]);
    for result in &document.results {
        assert_eq!(result.traces[0].seed, None, "a recorded trace has no seed");
        assert!(result.runs.iter().all(|run| run.sampled.is_some()));
    }
}
