//! What a profile is worth: of every trace that resembles a workload, the scenario made of it
//! fails as often as the trace does, within two percentage points.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use iova::kernel::Allocator;
use iovasim::profile::{Naming, Profiler};
use iovasim::scenario::Scenario;
use iovasim::study::fidelity::{self, ProfileCheck};
use iovasim::trace::read::Reader;

const SEEDS: u64 = 4;

/// By how many percentage points the failure rates may differ.
const TOLERANCE: f64 = 2.0;

/// Traces whose profile cannot come so close, why, and how far off it may be.
const EXCEPTIONS: [(&str, &str, f64); 6] = [
    (
        "mediatek-report",
        "a state is restored and probed by hand",
        100.0,
    ),
    (
        "15-restore",
        "states are restored in which little is free",
        100.0,
    ),
    (
        "22-below-cached32",
        "a state is restored and probed by hand",
        100.0,
    ),
    (
        "24-edge-limits",
        "each request is an edge case of its own",
        6.0,
    ),
    (
        "10-odd-masks",
        "16 MiB for a fifth of it: what max32 forgets is luck",
        4.0,
    ),
    (
        "26-dma-map",
        "a small window: what max32 forgets is luck",
        5.0,
    ),
];

/// The traces of some folders, those of the larger set where that is at hand.
fn traces() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "tests/vectors",
        "tests/recordings",
        "traces",
        "../shared/vectors",
    ];
    let folders = folders.map(|folder| root.join(folder));
    let entries = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok());
    let paths = entries
        .flatten()
        .map(|entry| entry.expect("an entry").path());
    let is_trace = |path: &PathBuf| path.to_string_lossy().contains(".trace.jsonl.");
    let mut paths: Vec<PathBuf> = paths.filter(is_trace).collect();
    paths.sort();
    paths
}

fn reader(path: &Path) -> Reader {
    let file = File::open(path).expect("a trace");
    Reader::new(&path.display().to_string(), file).expect("a trace")
}

/// A trace and what its profile generates.
fn checks(path: &Path, allocators: &[Allocator]) -> Vec<ProfileCheck> {
    let trace = reader(path);
    let header = trace.header().clone();
    let mut profiler = Profiler::new(&header);
    for event in trace {
        profiler.observe(&event.expect("a trace").1);
    }
    let naming = Naming {
        name: "profile",
        allocators,
        seeds: SEEDS,
    };
    let profile = profiler.finish().expect("requests");
    let text = profile.scenario(&naming).to_text();
    let mut no_trace = |_: &Path| Err("a profile names no trace".into());
    let scenario = Scenario::parse(&text, path, &mut no_trace).expect("a scenario");
    let jobs = NonZeroUsize::MIN;
    fidelity::compare("trace", &header, reader(path), &scenario, jobs).expect("runs")
}

#[test]
fn a_profile_fails_as_often_as_its_trace() {
    let allocators = ["linux-5.17", "linux-7.2"].map(|name| name.parse().expect("a release"));
    let traces = traces();
    assert!(traces.len() >= 20, "{traces:?}");
    for path in traces {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let exception = EXCEPTIONS.iter().find(|(stem, ..)| name.contains(stem));
        let tolerance = exception.map_or(TOLERANCE, |&(_, _, tolerance)| tolerance);
        for check in checks(&path, &allocators) {
            let points = check.failure_points().unwrap_or(0.0);
            let allocator = &check.allocator;
            assert!(
                points <= tolerance,
                "{name} under {allocator}: {points} points"
            );
        }
    }
}
