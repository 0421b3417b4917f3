//! Scenarios over their seeds: every seed makes one stream of requests, which all allocators
//! of the scenario answer, so that their differences are paired.
//!
//! Pairs of scenario and seed are handed out to threads one by one; the result is in their
//! order, whoever did which.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::feed::Feed;
use super::lanes::{self, Lane, Replayed, Stop};
use crate::model::Allocator;
use crate::scenario::Scenario;
use crate::trace::{Error, Place};

/// A scenario with one of its seeds, and the allocators that answer.
#[derive(Clone, Debug)]
pub struct Unit<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The seed.
    pub seed: u64,
    /// The allocators.
    pub allocators: Vec<Allocator>,
}

/// What came of a unit.
#[derive(Debug)]
pub struct Done {
    /// The digest of the requests.
    pub digest: String,
    /// A row an allocator, and how they differ.
    pub replayed: Replayed,
}

/// Runs all units on up to `jobs` threads. `tell` hears of each that is done.
///
/// # Errors
///
/// The first unit's, in their order, whose requests cannot be replayed.
pub fn run(
    units: &[Unit<'_>],
    jobs: NonZeroUsize,
    tell: &(dyn Fn() + Sync),
) -> Result<Vec<Done>, Error> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Result<Done, Error>>>> =
        units.iter().map(|_| Mutex::new(None)).collect();
    let threads = jobs.get().min(units.len()).max(1);
    let jobs_each = NonZeroUsize::new(jobs.get() / threads).unwrap_or(NonZeroUsize::MIN);
    let work = || {
        while let Some((unit, slot)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            units.get(index).zip(done.get(index))
        } {
            let result = run_unit(unit, jobs_each);
            *slot.lock().expect("no thread panics while it holds a slot") = Some(result);
            tell();
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let results = done.into_iter().map(|slot| {
        let result = slot
            .into_inner()
            .expect("no thread panics while it holds a slot");
        result.expect("every unit was handed out")
    });
    results.collect()
}

fn run_unit(unit: &Unit<'_>, jobs: NonZeroUsize) -> Result<Done, Error> {
    let Unit {
        scenario,
        seed,
        allocators,
    } = unit;
    let header = scenario.header(*seed);
    let lanes = allocators.iter().cloned();
    let lanes: Vec<Lane<io::Empty>> = lanes
        .map(|allocator| Lane::new(allocator, &header))
        .collect();
    let numbered = (0..).zip(scenario.events(*seed));
    let events = numbered.map(|(number, event)| Ok((Place::Event(number), event)));
    let name = format!("scenario {}, seed {seed}", scenario.name);
    let mut feed = Feed::new(&name, &header, events);
    match lanes::replay(lanes, &mut feed, jobs) {
        Ok((replayed, _)) => Ok(Done {
            digest: feed.digest().to_string(),
            replayed,
        }),
        Err(Stop::Stream(error)) => Err(error),
        Err(Stop::Outcomes(_)) => unreachable!("nothing is written"),
    }
}
