//! The smallest trace that still shows something: delta debugging over allocations with their frees.
//!
//! What can be removed is a unit: an allocation with its free, a CPU's way down and up,
//! or another single event. Whole domains, devices and CPUs go first, then chunks of units that
//! halve, then single units and single frees, until no removal of one keeps the predicate. Then
//! what is left is made simple (CPUs, times, sizes, limits, restored ranges), each step kept if
//! the trace still shows it, and removals are tried again.
//!
//! Everything after the first event that shows the predicate is left out. A candidate replays from
//! the last checkpoint before its first change. Candidates are tried in a fixed order, in
//! batches if there are several [`Workers`]; the first that holds is taken and only those up to it
//! are counted, so the result and the count do not depend on the number of workers.

mod simplify;
mod units;

use iova::kernel::ConfigError;
use iova::replay::Request;

use super::predicate::{Predicate, Watch};
use super::requests::Requests;
use crate::trace::event::Header;

/// Tests candidates, on several threads where there are some.
pub trait Workers {
    /// The lowest number below `count` for which `holds`; `None` if there is none.
    fn first(&self, count: usize, holds: &(dyn Fn(usize) -> bool + Sync)) -> Option<usize>;

    /// Takes note of the progress: replays so far and events left.
    fn progress(&self, replays: u64, events: usize);
}

/// A shrunk trace.
#[derive(Clone, Debug)]
pub struct Shrunk {
    pub requests: Requests,
    /// Candidates that were replayed.
    pub replays: u64,
    /// Whether no removal of one allocation, free or other event keeps the predicate.
    pub minimal: bool,
}

/// Why a trace cannot be shrunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the trace does not show `{0}`")]
    NotShown(String),
}

/// Shrinks a trace that shows `predicate`, with at most `budget` replays.
///
/// # Errors
///
/// If the trace does not show the predicate, or an allocator cannot have its domains.
pub fn shrink(
    requests: &Requests,
    predicate: &Predicate,
    budget: u64,
    workers: &dyn Workers,
) -> Result<Shrunk, Error> {
    let first = predicate.first(&requests.header, &requests.requests)?;
    let last = first.ok_or_else(|| Error::NotShown(predicate.to_string()))?;
    let mut best = requests.clone();
    best.requests.truncate(last + 1);
    let mut search = Search {
        predicate,
        budget,
        replays: 1,
        workers,
        best,
    };
    search.remove_groups();
    search.remove_chunks();
    while search.simplify() && !search.is_spent() {
        search.remove_chunks();
    }
    let minimal = !search.is_spent();
    Ok(Shrunk {
        replays: search.replays,
        requests: search.best,
        minimal,
    })
}

/// The smallest trace so far, and what is left of the budget.
struct Search<'a> {
    predicate: &'a Predicate,
    budget: u64,
    replays: u64,
    workers: &'a dyn Workers,
    best: Requests,
}

/// States of the predicate's replays at some events, so that a candidate need not begin at the start.
struct Checkpoints<'a> {
    /// Ascending: how many requests were applied, and the state after them.
    states: Vec<(usize, Watch<'a>)>,
}

/// How many states are kept.
const CHECKPOINTS: usize = 16;

impl<'a> Checkpoints<'a> {
    fn of(predicate: &'a Predicate, header: &Header, requests: &[Request]) -> Option<Self> {
        let mut watch = Watch::new(predicate, header).ok()?;
        let stride = requests.len().div_ceil(CHECKPOINTS).max(1);
        let mut states = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            if index.is_multiple_of(stride) {
                states.push((index, watch.clone()));
            }
            watch.shows(request);
        }
        Some(Checkpoints { states })
    }

    /// The last state that knows none of the requests from `index` on.
    fn before(&self, index: usize) -> &(usize, Watch<'a>) {
        let after = self.states.partition_point(|(at, _)| *at <= index);
        &self.states[after.saturating_sub(1)]
    }
}

impl Search<'_> {
    fn is_spent(&self) -> bool {
        self.replays >= self.budget
    }

    /// Takes the first candidate that shows the predicate; false if there is none. `make` gives a
    /// candidate's requests, and `None` where there is no such candidate.
    fn take_first(
        &mut self,
        count: usize,
        make: &(dyn Fn(usize) -> Option<Requests> + Sync),
    ) -> Option<usize> {
        let left = usize::try_from(self.budget - self.replays.min(self.budget));
        let count = count.min(left.unwrap_or(usize::MAX));
        let holds = |number: usize| {
            make(number).is_some_and(|it| shows(self.predicate, &it.header, &it.requests))
        };
        let found = self.workers.first(count, &holds);
        self.replays += found.map_or(count, |number| number + 1) as u64;
        let mut best = make(found?)?;
        self.truncate(&mut best);
        self.best = best;
        self.workers
            .progress(self.replays, self.best.requests.len());
        found
    }

    /// Leaves out what follows the first event that shows the predicate.
    fn truncate(&self, requests: &mut Requests) {
        let first = self.predicate.first(&requests.header, &requests.requests);
        if let Ok(Some(last)) = first {
            requests.requests.truncate(last + 1);
        }
    }

    /// Removes whole domains, devices and CPUs.
    fn remove_groups(&mut self) {
        loop {
            let groups = units::groups(&self.best.requests);
            let best = self.best.clone();
            let make = |number: usize| {
                let removed = &groups[number];
                Some(without(&best, &|index| removed[index]))
            };
            if groups.is_empty() || self.take_first(groups.len(), &make).is_none() {
                return;
            }
        }
    }

    /// Removes chunks of units that halve in size, then single units and frees, until none can go.
    fn remove_chunks(&mut self) {
        let mut size = units::units(&self.best.requests).len().div_ceil(2);
        while size > 0 && !self.is_spent() {
            let removed = self.remove_each(size);
            if size == 1 && removed {
                continue;
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// Goes through all chunks of that many units, the last first; true if one was removed.
    fn remove_each(&mut self, size: usize) -> bool {
        let mut removed_any = false;
        let mut done = 0;
        loop {
            let mut units = units::units(&self.best.requests);
            if size == 1 {
                units.extend(units::single_frees(&self.best.requests));
            }
            let chunks: Vec<&[Vec<usize>]> = units.rchunks(size).skip(done).collect();
            if chunks.is_empty() || self.is_spent() {
                return removed_any;
            }
            let best = self.best.clone();
            let Some(states) = Checkpoints::of(self.predicate, &best.header, &best.requests)
            else {
                return removed_any;
            };
            let left = usize::try_from(self.budget - self.replays).unwrap_or(usize::MAX);
            let count = chunks.len().min(left);
            let holds = |number: usize| holds_without(&best, &states, chunks[number]);
            let found = self.workers.first(count, &holds);
            self.replays += found.map_or(count, |number| number + 1) as u64;
            let Some(number) = found else {
                return removed_any;
            };
            let gone = marked(best.requests.len(), chunks[number]);
            let mut smaller = without(&best, &|index| gone[index]);
            self.truncate(&mut smaller);
            self.best = smaller;
            self.workers
                .progress(self.replays, self.best.requests.len());
            removed_any = true;
            done += number;
        }
    }
}

/// Whether a trace shows a predicate.
fn shows(predicate: &Predicate, header: &Header, requests: &[Request]) -> bool {
    matches!(predicate.first(header, requests), Ok(Some(_)))
}

/// Whether the predicate is still shown without some units.
fn holds_without(best: &Requests, states: &Checkpoints<'_>, chunk: &[Vec<usize>]) -> bool {
    let Some(&first) = chunk.iter().flatten().min() else {
        return false;
    };
    let gone = marked(best.requests.len(), chunk);
    let (from, watch) = states.before(first);
    let rest: Vec<Request> = (*from..best.requests.len())
        .filter(|&index| !gone[index])
        .map(|index| best.requests[index].clone())
        .collect();
    watch.clone().run(&rest).is_some()
}

/// Which of `count` requests belong to some units.
fn marked(count: usize, units: &[Vec<usize>]) -> Vec<bool> {
    let mut marked = vec![false; count];
    for &index in units.iter().flatten() {
        marked[index] = true;
    }
    marked
}

/// The trace without some requests.
fn without(requests: &Requests, gone: &dyn Fn(usize) -> bool) -> Requests {
    let kept = requests.requests.iter().enumerate();
    Requests {
        header: requests.header.clone(),
        requests: kept
            .filter(|(index, _)| !gone(*index))
            .map(|(_, request)| request.clone())
            .collect(),
        domains: requests.domains.clone(),
        devices: requests.devices.clone(),
    }
}
