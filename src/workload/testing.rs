//! What the tests of clients share: running them, reading them, and checking what any client
//! must keep to.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{ApiLevel, Place};
use super::cpus::Cpus;
use super::merge::Merge;
use super::quantity::{Bytes, Or};
use super::run::{Plan, Run, Workload};
use super::size::{ManySizes, Sizes};
use crate::trace::event::{Event, Op};
use iova::units::{Cpu, Granule, Nanos};

/// A place on CPU 0 at the DMA level of domain 0.
pub(super) fn place() -> Place {
    let level = ApiLevel::Dma {
        mask: u64::from(u32::MAX),
        pci: false,
        dev: None,
    };
    Place {
        dom: 0,
        granule: Granule::KIB_4,
        level,
        cpus: Cpus::one(Cpu(0)),
        free_cpus: None,
    }
}

/// Sizes in turn: (size, how many in a row).
pub(super) fn list(sizes: &[(u64, u64)]) -> Sizes {
    let sizes = sizes.iter().map(|&(size, count)| (Bytes(size), count));
    Sizes::try_from(Or::Long(ManySizes::List(sizes.collect()))).expect("possible")
}

/// A client alone, from the beginning for ever.
pub(crate) fn run(name: &str, plan: Plan) -> Run {
    Run {
        name: name.to_owned(),
        plan,
        place: place(),
        start: Nanos(0),
        stop: None,
    }
}

/// The events before `until` of clients with seed 1, which any client must keep to.
pub(super) fn events(runs: Vec<Run>, until: u64) -> Vec<Event> {
    let workload = Workload::new(runs).expect("possible");
    let events: Vec<_> = Merge::new(workload.clients(1))
        .map(|sourced| sourced.event)
        .take_while(|event| event.at.0 < until)
        .collect();
    assert!(events.is_sorted_by_key(|event| event.at), "time went back");
    let mut seen = BTreeSet::new();
    let mut live = BTreeSet::new();
    for event in &events {
        match event.op {
            Op::Map { id, .. } | Op::Alloc { id, .. } => {
                assert!(seen.insert(id), "{event:?}: used again");
                live.insert(id);
            }
            Op::Unmap { id } | Op::Free { id } => {
                assert!(live.remove(&id), "{event:?}: not live");
            }
            _ => {}
        }
    }
    events
}

/// How events read: `time+id:bytes` for what is asked for and `time-id` for what is given
/// back, with the CPU where that is not 0.
pub(super) fn read(events: &[Event]) -> String {
    let read = |event: &Event| {
        let (at, cpu) = (event.at.0, event.cpu.0);
        let cpu = if cpu == 0 {
            String::new()
        } else {
            format!("@{cpu}")
        };
        match &event.op {
            Op::Map { id, bytes, .. } => format!("{at}+{id}:{bytes}{cpu}"),
            Op::Alloc { id, pages, .. } => format!("{at}+{id}:{}p{cpu}", pages.0),
            Op::Unmap { id } | Op::Free { id } => format!("{at}-{id}{cpu}"),
            op => format!("{at} {op:?}{cpu}"),
        }
    };
    events.iter().map(read).collect::<Vec<_>>().join(" ")
}

/// How many buffers and bytes are live after each event.
pub(super) fn live(events: &[Event]) -> Vec<(usize, u64)> {
    let mut live = BTreeMap::new();
    let mut bytes_live = 0;
    let after = |event: &Event| {
        match event.op {
            Op::Map { id, bytes, .. } => {
                bytes_live += bytes;
                live.insert(id, bytes);
            }
            Op::Unmap { id } => bytes_live -= live.remove(&id).expect("live"),
            _ => {}
        }
        (live.len(), bytes_live)
    };
    events.iter().map(after).collect()
}

/// The number of live buffers on average over the time from `from` to `until`.
#[expect(
    clippy::cast_precision_loss,
    reason = "statistics are checked in floats"
)]
pub(super) fn mean_live(events: &[Event], from: u64, until: u64) -> f64 {
    let counts = live(events);
    let ends = events[1..].iter().map(|event| event.at.0).chain([until]);
    let area: u64 = events
        .iter()
        .zip(ends)
        .zip(counts)
        .map(|((event, end), (count, _))| {
            let lasted = end.max(from) - event.at.0.max(from);
            lasted * count as u64
        })
        .sum();
    area as f64 / (until - from) as f64
}
