//! Makes what is left of a trace simple: one CPU, no time, round sizes, plain limits, few ranges in
//! restored states.

use std::sync::Arc;

use iova::kernel::{FlushQueue, Snapshot};
use iova::op::Op;
use iova::replay::{Device, Dom, Request, Slot};
use iova::units::{Cpu, Granule, Nanos, Pages, Pfn};

use super::Search;
use super::units::units;
use super::{marked, without};
use crate::diagnose::requests::Requests;

/// How many of the allocations after another may be merged with it.
const NEAR: usize = 8;

/// Sizes that may stand for two.
fn merged_sizes(one: u64, other: u64) -> Vec<u64> {
    let rounded = |size: u64| size.checked_next_power_of_two().unwrap_or(size);
    let sums = [
        one.saturating_add(other),
        rounded(one).saturating_add(rounded(other)),
    ];
    let doubled = (0..4).map(|order| rounded(one.max(other)).saturating_mul(1 << order));
    sums.into_iter().chain(doubled).collect()
}

impl Search<'_> {
    /// Tries every simplification; true if one was kept.
    pub(super) fn simplify(&mut self) -> bool {
        let mut kept = self.simplify_whole();
        kept |= self.simplify_restored();
        while self.merge_two() {
            kept = true;
        }
        for index in (0..self.best.requests.len()).rev() {
            kept |= self.simplify_one(index);
        }
        self.best.requests = renumbered(&self.best.requests);
        kept
    }

    /// Simplifications of the whole trace. The header's number of CPUs and the numbers of slots
    /// follow from the requests.
    fn simplify_whole(&mut self) -> bool {
        let whole: [fn(&mut Requests); 5] = [
            |it| {
                it.requests
                    .iter_mut()
                    .for_each(|request| request.at = Nanos(0));
            },
            |it| {
                it.requests
                    .iter_mut()
                    .for_each(|request| request.cpu = Cpu(0));
                it.header.cpus = 1;
            },
            |it| {
                let highest = it.requests.iter().map(|request| request.cpu.0).max();
                it.header.cpus = u32::from(highest.unwrap_or(0)) + 1;
            },
            |it| it.header.flush_queue = FlushQueue::None,
            |it| it.header.start_pfn = Pfn(1),
        ];
        let mut kept = false;
        for simplify in whole {
            kept |= self.try_to(&|it| simplify(it));
        }
        kept
    }

    /// Removes ranges of restored states, in chunks that halve.
    fn simplify_restored(&mut self) -> bool {
        let mut kept = false;
        for index in 0..self.best.requests.len() {
            let Op::Restore { snapshot } = &self.best.requests[index].op else {
                continue;
            };
            let mut size = snapshot.nodes.len().div_ceil(2);
            while size > 0 {
                let mut start = 0;
                while let Some(count) = self.restored(index).filter(|&count| start < count) {
                    let end = (start + size).min(count);
                    let removed = self.try_to(&|it| remove_nodes(it, index, start..end));
                    kept |= removed;
                    start = if removed { start } else { end };
                }
                size = if size == 1 { 0 } else { size.div_ceil(2) };
            }
        }
        kept
    }

    /// Lets one larger allocation stand for two; true if that was kept.
    fn merge_two(&mut self) -> bool {
        let units = units(&self.best.requests);
        let sizes = |unit: &Vec<usize>| size_of(&self.best.requests[unit[0]]);
        let allocations: Vec<(Vec<usize>, u64)> = (units.into_iter())
            .filter_map(|unit| sizes(&unit).map(|size| (unit, size)))
            .collect();
        for (index, (first, one)) in allocations.iter().enumerate() {
            for (second, other) in allocations[index + 1..].iter().take(NEAR) {
                for size in merged_sizes(*one, *other) {
                    let merged = |it: &mut Requests| {
                        set_size(it, first[0], size);
                        let gone = marked(it.requests.len(), std::slice::from_ref(second));
                        *it = without(it, &|index| gone[index]);
                    };
                    if self.try_to(&merged) {
                        return true;
                    }
                }
            }
        }
        false
    }

    fn restored(&self, index: usize) -> Option<usize> {
        match &self.best.requests.get(index)?.op {
            Op::Restore { snapshot } => Some(snapshot.nodes.len()),
            _ => None,
        }
    }

    /// Simplifications of one request: its size, then its limit.
    fn simplify_one(&mut self, index: usize) -> bool {
        let mut kept = false;
        let Some(request) = self.best.requests.get(index) else {
            return false;
        };
        for size in simpler_sizes(request, self.best.header.granule) {
            if self.try_to(&|it| set_size(it, index, size)) {
                kept = true;
                break;
            }
        }
        let dma32 = self.best.header.granule.dma32();
        kept | self.try_to(&|it| {
            if let Some(Request {
                op: Op::Alloc { limit, .. },
                ..
            }) = it.requests.get_mut(index)
            {
                *limit = Pfn(dma32.0 - 1);
            }
        })
    }

    /// Keeps a change if it changes something and the trace still shows the predicate.
    fn try_to(&mut self, change: &dyn Fn(&mut Requests)) -> bool {
        if self.is_spent() {
            return false;
        }
        let mut changed = self.best.clone();
        change(&mut changed);
        let same = changed.header == self.best.header && changed.requests == self.best.requests;
        if same || !is_sound(&changed) {
            return false;
        }
        self.replays += 1;
        let holds = super::shows(self.predicate, &changed.header, &changed.requests);
        if holds {
            self.truncate(&mut changed);
            self.best = changed;
        }
        holds
    }
}

/// Whether every CPU exists, and none is used while it is offline.
fn is_sound(requests: &Requests) -> bool {
    let cpus = requests.header.cpus;
    let several = cpus > 1;
    requests.requests.iter().all(|request| {
        let changes_cpu = matches!(request.op, Op::CpuDead | Op::CpuUp);
        u32::from(request.cpu.0) < cpus && (several || !changes_cpu)
    })
}

fn remove_nodes(requests: &mut Requests, index: usize, range: std::ops::Range<usize>) {
    if let Op::Restore { snapshot } = &mut requests.requests[index].op {
        let mut nodes = snapshot.nodes.clone();
        nodes.drain(range);
        let holds = |pfn: &Pfn| nodes.iter().any(|node| node.lo() == *pfn);
        *snapshot = Arc::new(Snapshot {
            cached32: snapshot.cached32.filter(holds),
            cached: snapshot.cached.filter(holds),
            max32: snapshot.max32,
            nodes,
        });
    }
}

/// The pages or bytes that a request asks for.
fn size_of(request: &Request) -> Option<u64> {
    match request.op {
        Op::Alloc { pages, .. } => Some(pages.0),
        Op::Map { bytes, .. } => Some(bytes),
        _ => None,
    }
}

/// Sizes that are simpler than that of a request, the simplest first.
fn simpler_sizes(request: &Request, granule: Granule) -> Vec<u64> {
    let Some(size) = size_of(request) else {
        return Vec::new();
    };
    let least = match request.op {
        Op::Map { .. } => granule.shift(),
        _ => 0,
    };
    let mut sizes: Vec<u64> = (least..64).map(|order| 1 << order).collect();
    sizes.retain(|&it| it < size);
    sizes.extend(size.checked_next_power_of_two().filter(|&it| it != size));
    sizes
}

fn set_size(requests: &mut Requests, index: usize, size: u64) {
    match &mut requests.requests[index].op {
        Op::Alloc { pages, .. } => *pages = Pages(size),
        Op::Map { bytes, .. } => *bytes = size,
        _ => {}
    }
}

/// The same requests with domains, devices and slots numbered anew: the names stay.
fn renumbered(requests: &[Request]) -> Vec<Request> {
    // Domains and devices keep their numbers, as `Requests` has their names by number.
    let mut next = 0;
    let mut numbers = std::collections::BTreeMap::new();
    let mut renumber = |old: Slot, begins: bool| {
        if begins {
            numbers.insert(old, Slot(next));
            next += 1;
        }
        numbers.get(&old).copied().unwrap_or(old)
    };
    let renumbered = requests.iter().map(|request| {
        let begins = matches!(request.op, Op::Alloc { .. } | Op::Map { .. });
        let number = request.op.id().map(|old| renumber(old, begins));
        let id = |old: &Slot| Ok::<Slot, std::convert::Infallible>(number.unwrap_or(*old));
        let Ok(op) = request.op.rename(id, |device: &Device| Ok(*device), ());
        Request {
            op,
            dom: Dom(request.dom.0),
            ..*request
        }
    });
    renumbered.collect()
}
