//! Random traces under every allocator whose answers differ.

use std::ops::Range;

use iova::kernel::{Allocator, DomainOptions, Release, Rules};
use iova::op::{Op, Path};
use iova::replay::{Dom, Request, Slot};
use iova::units::{Cpu, Nanos, Pages, Pfn};

use crate::compare::{Seen, compare};
use crate::generate::{bulk_trace, random_trace};
use crate::shrink::shrink;
use crate::trace::{Trace, text};

/// Combinations of changes that no release has, and designs.
const VARIANTS: [&str; 17] = [
    "linux-4.20+stale-cached32",
    "linux-4.20+retry",
    "linux-5.10+hotplug-flush+free-space-estimate",
    "linux-5.10+flush-depot+round-in-fast",
    "linux-5.10+depot-list+depot-reclaim",
    "linux-5.17~restart-at-limit",
    "linux-6.1+retry-overflow",
    "linux-6.6+single-flush-queue+depot-list",
    "linux-7.2~free-space-estimate",
    "linux-7.2~free-space-estimate+reset-on-retry",
    "linux-7.2~stale-cached32",
    "linux-7.2~round-in-fast~sac-once",
    "linux-7.2+align-cap-4",
    "linux-7.2~max32-tracking~retry-overflow+align-cap-9",
    "best-fit",
    "best-fit+align-cap-4",
    "maple-2026",
];

/// The releases that are not the same as the one before, and the variants.
pub(crate) fn allocators() -> Vec<Allocator> {
    let mut names = Vec::new();
    let mut before = None;
    for release in Release::all() {
        let rules = Rules::of(release);
        if before != Some(rules) {
            names.push(format!("linux-{release}"));
        }
        before = Some(rules);
    }
    names.extend(VARIANTS.map(str::to_owned));
    names
        .iter()
        .map(|name| name.parse().expect("the name of an allocator"))
        .collect()
}

/// Compares a trace under one allocator; a difference is shrunk and reported.
pub(crate) fn check(trace: &Trace, allocator: &Allocator) -> Result<Seen, String> {
    let world = trace.world(allocator, None);
    compare(&world, &trace.requests).map_err(|difference| {
        let (requests, shown) = shrink(&world, &trace.requests, difference);
        format!("{allocator}, {shown}\n{}", text(trace, &requests))
    })
}

/// How many differences a run reports before it gives up.
const REPORTED_MAX: usize = 5;

/// Compares the traces of some seeds under all allocators.
fn check_seeds(seeds: Range<u64>, trace_of: impl Fn(u64) -> Trace) -> Seen {
    let allocators = allocators();
    let mut seen = Seen::default();
    let mut differences = Vec::new();
    for seed in seeds {
        let trace = trace_of(seed);
        let results = allocators.iter().map(|allocator| check(&trace, allocator));
        match results.collect::<Result<Vec<Seen>, String>>() {
            Ok(all) => all.into_iter().for_each(|it| seen.add(it)),
            Err(difference) => differences.push(format!("seed {seed}, {difference}")),
        }
        if differences.len() == REPORTED_MAX {
            break;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    println!("{seen:?}");
    seen
}

#[test]
fn short_traces_agree() {
    let seen = check_seeds(0..600, |seed| random_trace(seed, 60));
    assert!(seen.refusals > 100_000 && seen.aborted > 100, "{seen:?}");
    let rarely = seen.answers / 200;
    assert!(
        seen.shape_shows > 0 && seen.shape_shows < rarely,
        "{seen:?}"
    );
}

#[test]
fn long_traces_agree() {
    let seen = check_seeds(10_000..10_100, |seed| random_trace(seed, 1200));
    assert!(seen.steps > 3 * seen.answers, "{seen:?}");
}

/// Depots that run over, and rings, take many ranges.
#[test]
fn deep_traces_agree() {
    check_seeds(20_000..20_003, |seed| bulk_trace(seed, 5000, 11_000));
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name}={text}: expected a number"))
    })
}

/// As many random traces as asked for: `LOCKSTEP_SEEDS` of them from `LOCKSTEP_FIRST_SEED` on,
/// each of `LOCKSTEP_LENGTH` requests.
#[test]
#[ignore = "runs for as long as it is told to"]
fn soak() {
    let first = setting("LOCKSTEP_FIRST_SEED", 1 << 32);
    let seeds = setting("LOCKSTEP_SEEDS", 10_000);
    let length = setting("LOCKSTEP_LENGTH", 300);
    let length = usize::try_from(length).expect("a trace fits into memory");
    check_seeds(first..first + seeds, |seed| random_trace(seed, length));
}

/// Under a capped alignment a request of nearly 2^64 pages wraps to a candidate right above the
/// range, which is then aligned down to below it: a search that goes on.
#[test]
fn requests_that_wrap_under_a_cap_agree() {
    let alloc = |slot, pages, align| Request {
        at: Nanos(0),
        cpu: Cpu(0),
        dom: Dom(0),
        op: Op::Alloc {
            id: Slot(slot),
            pages: Pages(pages),
            limit: Pfn(u64::MAX - 1),
            path: Path::Direct { align },
            got: (),
        },
    };
    let trace = Trace {
        options: DomainOptions::default(),
        cpus: 1,
        requests: vec![
            alloc(0, 3, false),
            alloc(1, 1, false),
            alloc(2, u64::MAX - 1, true),
        ],
    };
    let allocator = "linux-7.2+align-cap-4"
        .parse()
        .expect("the name of an allocator");
    if let Err(difference) = check(&trace, &allocator) {
        panic!("{difference}");
    }
}
