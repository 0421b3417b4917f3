//! Runs scenarios: every seed under every allocator, on as many threads as there may be.
//!
//! A unit of work is a scenario with one seed: its requests are made once, and all allocators
//! get the same ones in step. Units are handed out by a counter and their results put back in
//! order, so that the result does not depend on the number of threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::feed::Feed;
use super::lanes::{self, Lane, Replayed, Stop};
use super::result::{Run, ScenarioResult, StepCounts, WireSeed};
use super::wire::{WireFigures, WireUndone};
use crate::measure::Difference;
use crate::scenario::Scenario;
use crate::trace::{Error, Place};

/// What came of a scenario.
#[derive(Debug)]
pub struct Studied {
    /// Its result.
    pub result: ScenarioResult,
    /// How each allocator after the first differs from the first, request by request and all
    /// seeds together.
    pub differences: Vec<Difference>,
}

/// What came of one seed.
struct Unit {
    seed: u64,
    hash: String,
    replayed: Replayed,
}

/// Runs scenarios on up to `jobs` threads. `done` is told whenever one more of the units is.
///
/// # Errors
///
/// If a scenario makes requests that make no sense.
pub fn run(
    scenarios: &[Scenario],
    jobs: NonZeroUsize,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Studied>, Error> {
    let units: Vec<(&Scenario, u64)> = scenarios
        .iter()
        .flat_map(|scenario| scenario.seeds.iter().map(move |&seed| (scenario, seed)))
        .collect();
    let threads_each = NonZeroUsize::new(jobs.get() / units.len().max(1));
    let results = in_parallel(&units, jobs, |&(scenario, seed)| {
        let unit = run_unit(scenario, seed, threads_each.unwrap_or(NonZeroUsize::MIN));
        done();
        unit
    });
    let mut results = results.into_iter();
    let studied = scenarios.iter().map(|scenario| {
        let units: Result<Vec<Unit>, Error> =
            results.by_ref().take(scenario.seeds.len()).collect();
        Ok(put_together(scenario, &units?))
    });
    studied.collect()
}

/// How many units these scenarios have.
pub fn units(scenarios: &[Scenario]) -> usize {
    scenarios.iter().map(|scenario| scenario.seeds.len()).sum()
}

/// What `work` makes of each item, in the order of the items.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    jobs: NonZeroUsize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let take = || {
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            let result = work(item);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.get().min(items.len()) {
            scope.spawn(take);
        }
        take();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn run_unit(scenario: &Scenario, seed: u64, threads: NonZeroUsize) -> Result<Unit, Error> {
    let header = scenario.header(seed);
    let places = (0..).map(Place::Event);
    let events = places.zip(scenario.events(seed)).map(Ok);
    let file = format!("{}, seed {seed}", scenario.name);
    let mut feed = Feed::new(&file, &header, events);
    let allocators = scenario.allocators.iter().cloned();
    let lanes = allocators.map(|allocator| Lane::<Vec<u8>>::new(allocator, &header));
    match lanes::replay(lanes.collect(), &mut feed, threads) {
        Ok((replayed, _)) => Ok(Unit {
            seed,
            hash: feed.digest().to_string(),
            replayed,
        }),
        Err(Stop::Stream(error)) => Err(error),
        Err(Stop::Outcomes(_)) => unreachable!("no lane writes outcomes"),
    }
}

fn put_together(scenario: &Scenario, units: &[Unit]) -> Studied {
    let seeds = units.iter().map(|unit| WireSeed {
        seed: unit.seed,
        hash: unit.hash.clone(),
        events: unit.replayed.events,
    });
    let runs = (0..scenario.allocators.len())
        .flat_map(|allocator| units.iter().map(move |unit| run_of(unit, allocator)));
    let result = ScenarioResult::new(
        &scenario.name,
        &scenario.shows,
        &scenario.header(0),
        seeds.collect(),
        runs.collect(),
    );
    let mut differences =
        vec![Difference::default(); scenario.allocators.len().saturating_sub(1)];
    for unit in units {
        let seed = (units.len() > 1).then_some(unit.seed);
        for (all, one) in differences.iter_mut().zip(&unit.replayed.differences) {
            all.merge(one, seed);
        }
    }
    Studied {
        result,
        differences,
    }
}

fn run_of(unit: &Unit, allocator: usize) -> Run {
    let row = &unit.replayed.rows[allocator];
    let walks = row.allocator.rules().walks();
    Run {
        allocator: row.allocator.name().to_owned(),
        seed: unit.seed,
        figures: WireFigures::of(&row.figures, walks),
        undone: row.figures.undone.map(WireUndone::of),
        step_counts: walks.then(|| StepCounts(row.figures.steps.clone())),
    }
}
