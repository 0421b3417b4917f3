//! Random traces under every allocator whose answers differ.

use iovasim::model::{Allocator, Release, Rules};

use crate::compare::{Seen, compare};
use crate::generate::random_trace;
use crate::naive::bug::Bug;
use crate::shrink::shrink;
use crate::trace::{Trace, text};

/// Combinations of changes that no release has.
const VARIANTS: [&str; 14] = [
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
pub(crate) fn check(
    trace: &Trace,
    allocator: &Allocator,
    bug: Option<Bug>,
) -> Result<Seen, String> {
    let world = trace.world(allocator, bug);
    if allocator.name().contains("align-cap")
        && trace.requests.iter().any(|it| match it.ask {
            iovasim::replay::Ask::Alloc { pages, .. } => pages.0 > u64::MAX - (1 << 20),
            _ => false,
        })
    {
        return Ok(Seen::default());
    }
    compare(&world, &trace.requests).map_err(|difference| {
        let (requests, shown) = shrink(&world, &trace.requests, difference);
        format!("{allocator}, {shown}\n{}", text(trace, &requests))
    })
}

/// How many differences a run reports before it gives up.
const REPORTED_MAX: usize = 5;

/// Compares the traces of some seeds under all allocators.
fn check_seeds(seeds: std::ops::Range<u64>, length: usize) -> Seen {
    let allocators = allocators();
    let mut seen = Seen::default();
    let mut differences = Vec::new();
    for seed in seeds {
        let trace = random_trace(seed, length);
        for allocator in &allocators {
            match check(&trace, allocator, None) {
                Ok(more) => seen.add(more),
                Err(difference) => {
                    let place = format!("seed {seed}, {length} requests");
                    differences.push(format!("{place}: {difference}"));
                    break;
                }
            }
        }
        if differences.len() == REPORTED_MAX {
            break;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    seen
}

#[test]
fn short_traces_agree() {
    let seen = check_seeds(0..600, 60);
    println!("{seen:?}");
}

#[test]
fn long_traces_agree() {
    let seen = check_seeds(10_000..10_060, 1200);
    println!("{seen:?}");
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: expected a number"))
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
    println!("{:?}", check_seeds(first..first + seeds, length));
}
#[test]
#[ignore]
fn tally() {
    let mut sum: std::collections::BTreeMap<&str, [u64; 3]> = Default::default();
    for seed in 0..2000u64 {
        for length in [60, 200, 1200] {
            let trace = random_trace(seed, length);
            let a = "linux-7.2".parse().unwrap();
            let world = trace.world(&a, None);
            let mut both = crate::compare::Lockstep::new(&world);
            for r in &trace.requests {
                if !both.apply(r).unwrap() {
                    break;
                }
            }
            for d in both.model().domains() {
                let t = d.tally();
                for (n, v) in [
                    ("hits", t.cache_hits),
                    ("misses", t.cache_misses),
                    ("refills", t.depot_refills),
                    ("returned", t.magazines_returned),
                    ("searches", t.searches),
                    ("second", t.second_passes),
                    ("found", t.second_passes_that_found),
                    ("flushes", t.flushes_of_caches),
                    ("helped", t.flushes_that_helped),
                    ("qfull", t.queue_flushes_full),
                    ("qtimer", t.queue_flushes_by_timer),
                ] {
                    let e = sum.entry(n).or_default();
                    e[0] += v;
                    e[1] += u64::from(v > 0);
                    e[2] = e[2].max(v);
                }
            }
            for f in iovasim::replay::Finding::ALL {
                let v = both.model().findings().count(f);
                let e = sum.entry(f.name()).or_default();
                e[0] += v;
                e[1] += u64::from(v > 0);
                e[2] = e[2].max(v);
            }
        }
    }
    println!("{sum:#?}");
}
