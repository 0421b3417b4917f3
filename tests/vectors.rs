//! The kernel's own answers: every outcome stream of `tests/vectors/`, and of the larger set
//! that these were chosen from where that is at hand, is written byte for byte.

use std::fs::{self, File};
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use iova::kernel::{Allocator, FlushQueue};
use iovasim::study::{self, Observe, OutcomeWriter, RequestStream};
use iovasim::trace::event::Header;
use iovasim::trace::read::Reader;

const TRACE: &str = ".trace.jsonl.gz";
const OUTCOMES: &str = ".out.jsonl.gz";

/// The folders of vectors of one kind: ours, and that of the larger set.
fn folders(kind: &str) -> impl Iterator<Item = PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sets = ["tests/vectors", "../shared/vectors"].map(|set| root.join(set).join(kind));
    sets.into_iter().filter(|folder| folder.is_dir())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let mut names: Vec<String> = names.map(|name| name.expect("a name in UTF-8")).collect();
    names.sort();
    names
}

/// The allocator and the flush queue that a variant stands for.
fn variant(name: &str) -> (Allocator, FlushQueue) {
    let (base, flush_queue) = if let Some(base) = name.strip_suffix("-lazy") {
        (base, FlushQueue::PerCpu)
    } else if let Some(base) = name.strip_suffix("-single") {
        (base, FlushQueue::Single)
    } else {
        (name, FlushQueue::None)
    };
    let allocator = match base {
        "k5.10" => "linux-5.10+hotplug-flush+free-space-estimate".to_owned(),
        "k5.10-old" => "linux-5.10+hotplug-flush".to_owned(),
        "k6.1" => "linux-6.1+retry-overflow".to_owned(),
        "k6.1-old" => "linux-6.1+retry-overflow~free-space-estimate".to_owned(),
        "k7.2" => "linux-7.2".to_owned(),
        "k7.2-old" => "linux-7.2~free-space-estimate".to_owned(),
        "k7.2-reset-on-retry" => "linux-7.2~free-space-estimate+reset-on-retry".to_owned(),
        "maple" => "maple-2026".to_owned(),
        cap if cap.starts_with("align-cap") => format!("linux-7.2+{cap}"),
        fit if fit.starts_with("best-fit") => fit.replace("-align", "+align"),
        release => release.replace('r', "linux-"),
    };
    let allocator = allocator
        .parse()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    (allocator, flush_queue)
}

/// The outcome stream of a variant on a trace.
fn replayed(trace: &Path, name: &str) -> Vec<u8> {
    let (allocator, flush_queue) = variant(name);
    let file = trace.to_string_lossy();
    let reader = Reader::new(&file, File::open(trace).expect("a trace"));
    let reader = reader.unwrap_or_else(|error| panic!("{error}"));
    let header = Header {
        flush_queue,
        ..reader.header().clone()
    };
    let mut outcomes = OutcomeWriter::new(Vec::new());
    let observe = Observe {
        observers: vec![&mut outcomes],
        ..Observe::default()
    };
    let stream = RequestStream::new(&file, &header, reader);
    let replayed = study::run(stream, &[allocator], observe, NonZeroUsize::MIN);
    replayed.unwrap_or_else(|error| panic!("{error}"));
    outcomes.finish().expect("memory")
}

fn expected(outcomes: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = MultiGzDecoder::new(File::open(outcomes).expect("outcomes"));
    reader.read_to_end(&mut bytes).expect("a whole file");
    bytes
}

/// The first line that differs.
fn complaint(found: &[u8], expected: &[u8]) -> String {
    let lines = |bytes: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let (found, expected) = (lines(found), lines(expected));
    let same = found
        .iter()
        .zip(&expected)
        .take_while(|(one, two)| one == two)
        .count();
    let at = |lines: &[String]| lines.get(same).cloned().unwrap_or_default();
    format!("expected {}\n   found {}", at(&expected), at(&found))
}

/// Compares all vectors of a kind, of which there are at least so many.
fn compare(kind: &str, at_least: usize) {
    for folder in folders(kind) {
        let names = names(&folder);
        let traces = names.iter().filter_map(|name| name.strip_suffix(TRACE));
        let mut compared = 0;
        for what in traces {
            let trace = folder.join(format!("{what}{TRACE}"));
            let of_this = |name: &&String| name.starts_with(&format!("{what}."));
            for name in names.iter().filter(of_this) {
                let Some(variant) = name[what.len() + 1..].strip_suffix(OUTCOMES) else {
                    continue;
                };
                let expected = expected(&folder.join(name));
                let found = replayed(&trace, variant);
                assert!(
                    found == expected,
                    "{}: {name}\n{}",
                    folder.display(),
                    complaint(&found, &expected)
                );
                compared += 1;
            }
        }
        assert!(
            compared >= at_least,
            "{}: only {compared}",
            folder.display()
        );
    }
}

#[test]
fn general() {
    compare("", 60);
}

#[test]
fn corners() {
    compare("corners", 119);
}

#[test]
fn dma() {
    compare("dma", 28);
}

#[test]
fn faults() {
    compare("faults", 20);
}

#[test]
fn history() {
    compare("history", 112);
}

#[test]
fn proposals() {
    compare("proposals", 8);
}
