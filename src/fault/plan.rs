//! The kinds of faults.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frees::{AffectedFrees, DoubleFrees, FreeFault, Kind, LateFrees};
use super::hotplug::Offline;
use super::shortage::Shortage;
use super::stall::Stall;
use crate::workload::random::Owner;
use iova::units::Nanos;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Frees that never come.
    Leak(AffectedFrees),
    /// Frees that come late.
    Late(LateFrees),
    /// Frees that come twice.
    DoubleFree(DoubleFrees),
    /// CPUs that go offline.
    Offline(Offline),
    /// Memory that runs out.
    Nomem(Shortage),
    /// Times in which no timer runs: neither the flush queue's nor the depots'.
    Stall(Stall),
}

impl Fault {
    /// Its field in a scenario and the time of its first strike, if it has one.
    pub fn first_strike(&self) -> Option<(&'static str, Nanos)> {
        let (field, at) = match self {
            Fault::Offline(offline) => ("offline", offline.at),
            Fault::Nomem(shortage) => ("nomem", shortage.at),
            Fault::Stall(stall) => ("stall", stall.at),
            Fault::Leak(_) | Fault::Late(_) | Fault::DoubleFree(_) => return None,
        };
        Some((field, at.into()))
    }
}

/// The faults of frees in a run of `seed` whose clients are called `names`, in order. Their
/// random streams are named by their kind and their number among those of their kind.
pub(super) fn free_faults(faults: &[Fault], names: &[&str], seed: u64) -> Vec<FreeFault> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut found = Vec::new();
    for fault in faults {
        let (name, kind, affected) = match fault {
            Fault::Leak(affected) => ("leak", Kind::Leak, affected),
            Fault::Late(late) => ("late", Kind::Late(late.by), &late.of),
            Fault::DoubleFree(double) => ("double-free", Kind::Twice(double.after), &double.of),
            Fault::Offline(_) | Fault::Nomem(_) | Fault::Stall(_) => continue,
        };
        let count = counts.entry(name).or_default();
        *count += 1;
        let owner = Owner::new(seed, format!("fault:{name}#{count}"));
        let numbers = |wanted: &Vec<String>| {
            let clients = names.iter().enumerate();
            let clients = clients.filter(|(_, name)| wanted.iter().any(|it| it == *name));
            clients.map(|(number, _)| number).collect()
        };
        let clients = affected.clients.as_ref().map(numbers);
        found.push(FreeFault::new(&owner, kind, affected.clone(), clients));
    }
    found
}
