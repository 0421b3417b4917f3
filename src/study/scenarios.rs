//! Runs scenarios: every seed under every allocator, on as many threads as there may be.
//!
//! A unit of work is a scenario with one seed: its requests are made once, and all allocators
//! get the same ones in step. Units are handed out by a counter and their results put back in
//! order, so that the result does not depend on the number of threads.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Error;
use super::agreement::{Agreement, Tally};
use super::document::{Run, Shard, StudyResult, Subject, TraceRecord};
use super::run::{self, Observe, Replayed};
use super::stream::{GeneratedEvents, RequestStream};
use crate::scenario::Scenario;
use crate::trace::event::Header;
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

/// The result of a scenario or a trace, and what its document does not have.
#[derive(Debug)]
pub struct Studied {
    pub result: StudyResult,
    /// How each allocator after the first differs from the first, request by request and all
    /// seeds together.
    pub differences: Vec<Difference>,
    /// For each allocator, how its answers compare with recorded ones, if that was asked for.
    pub agreements: Vec<Option<Agreement>>,
    /// For each allocator of a replay, how many recorded answers it gave too.
    pub tallies: Vec<Tally>,
}

impl Studied {
    /// The replay of a trace.
    pub fn of_replay(file: &str, header: &Header, replayed: Replayed) -> Studied {
        Studied {
            result: StudyResult::of_replay(file, header, &replayed),
            differences: replayed.differences,
            tallies: replayed.runs.iter().map(|run| run.tally).collect(),
            agreements: replayed.runs.into_iter().map(|run| run.agreement).collect(),
        }
    }
}

/// A scenario and its file, as the user named it.
#[derive(Clone, Debug)]
pub struct Named {
    pub file: String,
    pub scenario: Scenario,
}

/// A scenario with one of its seeds, and the allocators whose turn it is.
struct Task<'a> {
    /// The scenario's place among all.
    number: usize,
    scenario: &'a Named,
    seed: u64,
    allocators: Vec<Allocator>,
}

/// The replay of one seed.
struct Unit {
    /// `None` for a recorded trace.
    seed: Option<u64>,
    replayed: Replayed,
}

/// Runs a part of the scenarios on up to `jobs` threads. Calls `done` after each of the [`units`],
/// and `each` for every scenario, in their order, as soon as it and those before it are done.
///
/// # Errors
///
/// If an allocator cannot have a scenario's domains, or a scenario makes requests that make no
/// sense.
pub fn run(
    scenarios: &[Named],
    part: Part,
    jobs: NonZeroUsize,
    done: &(dyn Fn() + Sync),
    each: &mut (dyn FnMut(usize, &Studied) + Send),
) -> Result<Vec<Studied>, Error> {
    check_domains(scenarios)?;
    let tasks = tasks(scenarios, part);
    let threads_each = NonZeroUsize::new(jobs.get() / tasks.len().max(1));
    let mut studied: Vec<Option<Result<Studied, Error>>> = Vec::new();
    studied.resize_with(scenarios.len(), || None);
    let mut units = Vec::new();
    let work = |task: &Task<'_>| {
        let unit = run_unit(task, threads_each.unwrap_or(NonZeroUsize::MIN));
        done();
        unit
    };
    in_parallel(&tasks, jobs, work, |index, unit| {
        units.push(unit);
        let number = tasks[index].number;
        if tasks
            .get(index + 1)
            .is_some_and(|next| next.number == number)
        {
            return;
        }
        let all: Result<Vec<Unit>, Error> = std::mem::take(&mut units).into_iter().collect();
        let one = all.map(|units| put_together(&scenarios[number], part, &units));
        if let Ok(one) = &one {
            each(number, one);
        }
        studied[number] = Some(one);
    });
    let studied = studied.into_iter().zip(scenarios);
    studied
        .map(|(one, named)| one.unwrap_or_else(|| Ok(put_together(named, part, &[]))))
        .collect()
}

/// Refuses all scenarios before any of them has run.
fn check_domains(scenarios: &[Named]) -> Result<(), ConfigError> {
    for Named { scenario, .. } in scenarios {
        let options = scenario.header(0).domain_options();
        for allocator in &scenario.allocators {
            DomainConfig::new(allocator, options)?;
        }
    }
    Ok(())
}

/// How many units a part of these scenarios has.
pub fn units(scenarios: &[Named], part: Part) -> usize {
    tasks(scenarios, part).len()
}

/// Scenario by scenario, seed by seed. A seed in which it is no allocator's turn is left out.
fn tasks(scenarios: &[Named], part: Part) -> Vec<Task<'_>> {
    let mut turns = (1..=part.of).cycle();
    let mut tasks = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        for &seed in &scenario.scenario.seeds {
            let allocators = scenario.scenario.allocators.iter();
            let allocators: Vec<Allocator> = allocators
                .filter(|_| turns.next() == Some(part.index))
                .cloned()
                .collect();
            if !allocators.is_empty() {
                tasks.push(Task {
                    number,
                    scenario,
                    seed,
                    allocators,
                });
            }
        }
    }
    tasks
}

/// Works on all items in parallel, and hands each result to `deliver` in the order of the items, as
/// soon as those before it are there.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    jobs: NonZeroUsize,
    work: impl Fn(&T) -> R + Sync,
    deliver: impl FnMut(usize, R) + Send,
) {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((0, BTreeMap::new(), deliver));
    let take = || {
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            let result = work(item);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            let (delivered, waiting, deliver) = &mut *results;
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(delivered) {
                deliver(*delivered, result);
                *delivered += 1;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.get().min(items.len()) {
            // Fewer threads than asked for only take longer.
            if thread::Builder::new().spawn_scoped(scope, take).is_err() {
                break;
            }
        }
        take();
    });
}

fn run_unit(task: &Task<'_>, threads: NonZeroUsize) -> Result<Unit, Error> {
    let Task {
        scenario,
        seed,
        allocators,
        ..
    } = task;
    let (seed, scenario) = (*seed, &scenario.scenario);
    let header = scenario.header(seed);
    let name = format!("{}, seed {seed}", scenario.name);
    let stream = || {
        let events = GeneratedEvents::new(scenario.events(seed));
        RequestStream::new(&name, &header, events)
    };
    let sampled = scenario
        .sampling
        .filter(|_| scenario.seeds.first() == Some(&seed));
    let observe = Observe {
        sampling: sampled.map(|it| run::survey(stream(), it)).transpose()?,
        ..Observe::default()
    };
    let replayed = run::run(stream(), allocators, observe, threads)?;
    Ok(Unit {
        seed: scenario.in_results(seed),
        replayed,
    })
}

fn put_together(named: &Named, part: Part, units: &[Unit]) -> Studied {
    let Named { file, scenario } = named;
    let traces = units.iter().map(|unit| TraceRecord {
        seed: unit.seed,
        hash: unit.replayed.hash.clone(),
        events: unit.replayed.events,
    });
    let runs = scenario.allocators.iter().flat_map(|allocator| {
        let runs = units.iter();
        runs.filter_map(move |unit| run_of(unit, allocator))
    });
    let subject = Subject::Scenario {
        name: scenario.name.clone(),
        shows: scenario.shows.clone(),
    };
    let mut result = StudyResult::new(
        file,
        subject,
        &scenario.header(0),
        traces.collect(),
        runs.collect(),
    );
    let allocators = scenario.allocators.iter().map(|it| it.name().to_owned());
    let seeds = scenario.seeds.iter().map(|&it| scenario.in_results(it));
    result.shard = (part != Part::WHOLE).then(|| Shard {
        index: part.index,
        of: part.of,
        allocators: allocators.collect(),
        seeds: seeds.collect(),
    });
    let mut sampled = units
        .iter()
        .filter_map(|unit| unit.replayed.traffic.clone());
    result.traffic = sampled.next();
    let mut differences =
        vec![Difference::default(); scenario.allocators.len().saturating_sub(1)];
    // In a part the first of a unit is not always the first of the scenario.
    for unit in units.iter().filter(|_| part == Part::WHOLE) {
        let seed = unit.seed.filter(|_| units.len() > 1);
        for (all, one) in differences.iter_mut().zip(&unit.replayed.differences) {
            all.merge(one, seed);
        }
    }
    Studied {
        result,
        differences,
        agreements: Vec::new(),
        tallies: Vec::new(),
    }
}

/// The run of an allocator; `None` if it was not its turn.
fn run_of(unit: &Unit, allocator: &Allocator) -> Option<Run> {
    let mut runs = unit.replayed.runs.iter();
    let run = runs.find(|run| run.allocator == *allocator)?;
    Some(Run::of(run, unit.seed))
}
