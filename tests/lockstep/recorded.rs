//! The traces of `tests/vectors/`, and of the larger set that they were chosen from where that is
//! at hand, under every allocator.
//!
//! The model is held against what the kernel's own allocator answered on these; here it holds
//! the naive model to the same.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use iova::kernel::Answer;
use iova::kernel::{Allocator, FlushQueue};
use iova::op::Op;
use iova::replay::Replay;
use iovasim::trace::check::Checker;
use iovasim::trace::read::Reader;

use crate::compare::Seen;
use crate::generate::random_trace;
use crate::random_traces::{allocators, check};
use crate::trace::{Trace, text};

/// What the vectors' variants are, where no other test compares it.
const VARIANTS: [&str; 2] = [
    "linux-5.10+hotplug-flush",
    "linux-6.1+retry-overflow~free-space-estimate",
];

/// The traces in a folder and in those below it.
fn traces(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            paths.extend(traces(&path));
        } else if path.to_string_lossy().ends_with(".trace.jsonl.gz") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

/// The trace that a file of the trace format holds.
fn read(name: &str, input: impl Read + Send + 'static) -> Trace {
    let reader = Reader::new(name, input).unwrap_or_else(|error| panic!("{error}"));
    let header = reader.header().clone();
    let mut checker = Checker::new(&header);
    let requests = reader.map(|event| {
        let (place, event) = event.unwrap_or_else(|error| panic!("{error}"));
        let request = checker.admit(place, &event);
        request.unwrap_or_else(|error| panic!("{}", error.in_file(name)))
    });
    Trace {
        options: header.domain_options(),
        cpus: header.cpus,
        requests: requests.collect(),
    }
}

/// The flush queues that make a difference to a trace.
fn queues(trace: &Trace) -> &'static [FlushQueue] {
    let maps = trace
        .requests
        .iter()
        .any(|it| matches!(it.op, Op::Map { .. }));
    if maps {
        &FlushQueue::ALL
    } else {
        &[FlushQueue::None]
    }
}

/// Compares all traces of a set, if it is there.
fn check_set(set: &str) -> Seen {
    let mut allocators = allocators();
    let variants = VARIANTS.iter().map(|name| name.parse::<Allocator>());
    allocators.extend(variants.map(|it| it.expect("the name of an allocator")));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(set);
    let mut seen = Seen::default();
    if !folder.is_dir() {
        return seen;
    }
    for path in traces(&folder) {
        let file = File::open(&path).expect("a trace");
        let mut trace = read(&path.to_string_lossy(), file);
        for &queue in queues(&trace) {
            trace.options.flush_queue = queue;
            for allocator in &allocators {
                match check(&trace, allocator) {
                    Ok(more) => seen.add(more),
                    Err(difference) => panic!("{}, {difference}", path.display()),
                }
            }
        }
    }
    println!("{seen:?}");
    seen
}

/// The answers that a trace gets.
fn answers(trace: &Trace) -> Vec<Option<Answer>> {
    let allocator = "linux-7.2".parse().expect("the name of an allocator");
    let world = trace.world(&allocator, None);
    let mut replay = Replay::new(world.config, world.cpus);
    let answers = trace
        .requests
        .iter()
        .map_while(|request| replay.apply(request).ok());
    answers.collect()
}

#[test]
fn what_is_printed_is_the_trace() {
    for seed in 0..100 {
        let trace = random_trace(seed, 100);
        let printed = text(&trace, &trace.requests);
        let back = read(&format!("seed {seed}"), Cursor::new(printed));
        assert_eq!(back.requests.len(), trace.requests.len(), "seed {seed}");
        assert_eq!(answers(&back), answers(&trace), "seed {seed}");
    }
}

#[test]
fn our_own_agree() {
    let seen = check_set("tests/vectors");
    assert!(seen.answers > 100_000, "{seen:?}");
}

#[test]
#[ignore = "takes a minute"]
fn the_larger_set_agrees() {
    check_set("../shared/vectors");
}
