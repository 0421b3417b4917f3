//! What can be removed from a trace so that it stays a trace.

use std::collections::BTreeMap;

use iova::op::Op;
use iova::replay::{Request, Slot};
use iova::units::Cpu;

/// Events that can only be removed together, as indices of requests, in the order of their first.
pub(super) fn units(requests: &[Request]) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut of_slot: BTreeMap<Slot, usize> = BTreeMap::new();
    let mut of_dead: BTreeMap<Cpu, usize> = BTreeMap::new();
    for (index, request) in requests.iter().enumerate() {
        let next = units.len();
        let unit = match request.op {
            Op::Alloc { id, .. } | Op::Map { id, .. } => {
                of_slot.insert(id, next);
                next
            }
            Op::Free { id } | Op::Unmap { id } | Op::DoubleFree { id } => {
                of_slot.get(&id).copied().unwrap_or(next)
            }
            Op::CpuDead => {
                of_dead.insert(request.cpu, next);
                next
            }
            Op::CpuUp => of_dead.remove(&request.cpu).unwrap_or(next),
            _ => next,
        };
        match units.get_mut(unit) {
            Some(unit) => unit.push(index),
            None => units.push(vec![index]),
        }
    }
    units
}

/// Each free that can go while its allocation stays: the slot is not used again, and no
/// `double_free` depends on it.
pub(super) fn single_frees(requests: &[Request]) -> Vec<Vec<usize>> {
    let mut last_use: BTreeMap<Slot, usize> = BTreeMap::new();
    for (index, request) in requests.iter().enumerate() {
        if let Some(slot) = request.op.id() {
            last_use.insert(slot, index);
        }
    }
    let frees = requests.iter().enumerate().filter(|(index, request)| {
        let ends = matches!(request.op, Op::Free { .. } | Op::Unmap { .. });
        ends && request.op.id().and_then(|it| last_use.get(&it)) == Some(index)
    });
    frees.map(|(index, _)| vec![index]).collect()
}

/// For each domain, device and CPU of which there are several: the requests that go with it.
pub(super) fn groups(requests: &[Request]) -> Vec<Vec<bool>> {
    let units = units(requests);
    let mut groups: BTreeMap<(u8, u64), Vec<bool>> = BTreeMap::new();
    for unit in &units {
        let first = &requests[unit[0]];
        let mut keys = vec![(0, u64::from(first.dom.0)), (2, u64::from(first.cpu.0))];
        if let Op::Map { dev, .. } = first.op {
            keys.push((1, u64::from(dev.0)));
        }
        for key in keys {
            let group = groups
                .entry(key)
                .or_insert_with(|| vec![false; requests.len()]);
            for &index in unit {
                group[index] = true;
            }
        }
    }
    groups.retain(|_, group| !group.iter().all(|&it| it));
    groups.into_values().collect()
}
