//! Runs scenarios: every seed under every allocator, on as many threads as there may be.
//!
//! A unit of work is a scenario with one seed: its requests are made once, and all allocators
//! get the same ones in step. Units are handed out by a counter and their results put back in
//! order, so that the result does not depend on the number of threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Error;
use super::feed::{Feed, Made};
use super::lanes::{self, Lane, Replayed, Stop};
use super::result::{Run, Samples, ScenarioResult, Shard, StepCounts, WireSeed};
use super::wire::{WireFigures, WireUndone};
use crate::scenario::Scenario;
use iova::kernel::{Allocator, ConfigError, DomainConfig};
use iova::measure::Difference;

/// A part of the work: every `of`-th unit of scenario, seed and allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    index: u64,
    of: u64,
}

impl Part {
    /// All of the work.
    pub const WHOLE: Part = Part { index: 1, of: 1 };

    /// Part `index`, from 1, of `of`; none if there is no such part.
    pub fn new(index: u64, of: u64) -> Option<Part> {
        (1..=of).contains(&index).then_some(Part { index, of })
    }
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Studied {
    pub result: ScenarioResult,
    /// How each allocator after the first differs from the first, request by request and all
    /// seeds together.
    pub differences: Vec<Difference>,
}

/// A scenario with one of its seeds, and the allocators whose turn it is.
struct Task<'a> {
    scenario: &'a Scenario,
    seed: u64,
    allocators: Vec<Allocator>,
}

/// What came of one seed.
struct Unit {
    seed: u64,
    hash: String,
    replayed: Replayed,
}

/// Runs a part of the scenarios on up to `jobs` threads. `done` is told whenever one more of
/// the [`units`] is.
///
/// # Errors
///
/// If an allocator cannot have a scenario's domains, or a scenario makes requests that make no
/// sense.
pub fn run(
    scenarios: &[Scenario],
    part: Part,
    jobs: NonZeroUsize,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Studied>, Error> {
    check_domains(scenarios)?;
    let tasks = tasks(scenarios, part);
    let threads_each = NonZeroUsize::new(jobs.get() / tasks.len().max(1));
    let results = in_parallel(&tasks, jobs, |task| {
        let unit = run_unit(task, threads_each.unwrap_or(NonZeroUsize::MIN));
        done();
        unit
    });
    let mut results = tasks.iter().zip(results).peekable();
    let studied = scenarios.iter().map(|scenario| {
        let mut units = Vec::new();
        while let Some((_, unit)) =
            results.next_if(|(task, _)| std::ptr::eq(task.scenario, scenario))
        {
            units.push(unit?);
        }
        Ok(put_together(scenario, part, &units))
    });
    studied.collect()
}

/// Refuses all scenarios before any of them has run.
fn check_domains(scenarios: &[Scenario]) -> Result<(), ConfigError> {
    for scenario in scenarios {
        let options = scenario.header(0).domain_options();
        for allocator in &scenario.allocators {
            DomainConfig::new(allocator, options)?;
        }
    }
    Ok(())
}

/// How many units a part of these scenarios has.
pub fn units(scenarios: &[Scenario], part: Part) -> usize {
    tasks(scenarios, part).len()
}

/// Scenario by scenario, seed by seed. A seed in which it is no allocator's turn is left out.
fn tasks(scenarios: &[Scenario], part: Part) -> Vec<Task<'_>> {
    let mut turns = (1..=part.of).cycle();
    let mut tasks = Vec::new();
    for scenario in scenarios {
        for &seed in &scenario.seeds {
            let allocators = scenario.allocators.iter();
            let allocators: Vec<Allocator> = allocators
                .filter(|_| turns.next() == Some(part.index))
                .cloned()
                .collect();
            if !allocators.is_empty() {
                tasks.push(Task {
                    scenario,
                    seed,
                    allocators,
                });
            }
        }
    }
    tasks
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

fn run_unit(task: &Task<'_>, threads: NonZeroUsize) -> Result<Unit, Error> {
    let Task {
        scenario,
        seed,
        allocators,
    } = task;
    let seed = *seed;
    let header = scenario.header(seed);
    let file = format!("{}, seed {seed}", scenario.name);
    let mut feed = Feed::new(&file, &header, Made::new(scenario.events(seed)));
    let allocators = allocators.iter().cloned();
    let sampling = scenario
        .sampling
        .filter(|_| scenario.seeds.first() == Some(&seed));
    let lanes = allocators.map(|allocator| {
        let lane = Lane::<Vec<u8>>::new(allocator, &header)?;
        Ok(match sampling {
            Some(sampling) => lane.with_sampling(sampling),
            None => lane,
        })
    });
    let lanes: Vec<_> = lanes.collect::<Result<_, ConfigError>>()?;
    match lanes::replay(lanes, |step| feed.read(step), threads) {
        Ok((replayed, _)) => Ok(Unit {
            seed,
            hash: feed.digest().to_string(),
            replayed,
        }),
        Err(Stop::Stream(error)) => Err(Error::Stream(error)),
        Err(Stop::Outcomes(_)) => unreachable!("no lane writes outcomes"),
    }
}

fn put_together(scenario: &Scenario, part: Part, units: &[Unit]) -> Studied {
    let seeds = units.iter().map(|unit| WireSeed {
        seed: unit.seed,
        hash: unit.hash.clone(),
        events: unit.replayed.events,
    });
    let runs = scenario.allocators.iter().flat_map(|allocator| {
        let runs = units.iter();
        runs.filter_map(move |unit| run_of(unit, allocator))
    });
    let mut result = ScenarioResult::new(
        &scenario.name,
        &scenario.shows,
        &scenario.header(0),
        seeds.collect(),
        runs.collect(),
    );
    result.shard = (part != Part::WHOLE).then(|| Shard {
        index: part.index,
        of: part.of,
        allocators: scenario
            .allocators
            .iter()
            .map(|allocator| allocator.name().to_owned())
            .collect(),
        seeds: scenario.seeds.clone(),
    });
    sampled(&mut result, scenario, units);
    let mut differences =
        vec![Difference::default(); scenario.allocators.len().saturating_sub(1)];
    // In a part the first of a unit is not always the first of the scenario.
    for unit in units.iter().filter(|_| part == Part::WHOLE) {
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

/// Adds what was sampled: of the first seed alone, whose unit comes first.
fn sampled(result: &mut ScenarioResult, scenario: &Scenario, units: &[Unit]) {
    let Some(unit) = units.iter().find(|unit| unit.replayed.traffic.is_some()) else {
        return;
    };
    result.traffic.clone_from(&unit.replayed.traffic);
    let samples = scenario.allocators.iter().filter_map(|allocator| {
        let mut rows = unit.replayed.rows.iter();
        let row = rows.find(|row| row.allocator == *allocator)?;
        Some(Samples {
            allocator: allocator.name().to_owned(),
            seed: unit.seed,
            seen: row.sampled.clone()?,
        })
    });
    result.samples = Some(samples.collect());
}

/// The run of an allocator; none if it was not its turn.
fn run_of(unit: &Unit, allocator: &Allocator) -> Option<Run> {
    let mut rows = unit.replayed.rows.iter();
    let row = rows.find(|row| row.allocator == *allocator)?;
    let walks = row.allocator.rules().walks();
    Some(Run {
        allocator: row.allocator.name().to_owned(),
        seed: unit.seed,
        figures: WireFigures::of(&row.figures, walks),
        undone: row.figures.undone.map(WireUndone::of),
        step_counts: walks.then(|| StepCounts(row.figures.steps.clone())),
    })
}
