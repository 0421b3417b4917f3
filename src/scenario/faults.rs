//! The faults of a scenario.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::drawn::{WireDelay, delay, delay_or_zero};
use super::error::{At, Error, Here};
use super::quantity::{CpuList, Decimal, Time};
use crate::fault::FaultPlan;
use crate::fault::frees::{FreeFault, FreeFaultKind};
use crate::fault::hotplug::Offline;
use crate::fault::schedule::Schedule;
use crate::fault::shortage::Shortage;
use crate::fault::stall::Stall;
use crate::workload::impossible::Impossible;
use crate::workload::random::Share;
use crate::workload::{Plan, Run};
use iova::kernel::Memory;
use iova::units::Nanos;

/// Something that goes wrong.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireFault {
    /// Frees that never come.
    Leak(WireFrees),
    /// Frees that come late.
    Late(WireLate),
    /// Frees that come twice.
    DoubleFree(WireTwice),
    /// CPUs that go offline.
    Offline(WireOffline),
    /// Memory that runs out.
    Nomem(WireShortage),
    /// Times in which no timer runs: neither the flush queue's nor the depots'.
    Stall(WireStall),
}

/// Which frees go wrong.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireFrees {
    /// The share of the frees, from 0 to 1.
    share: Decimal,
    /// Whose frees: everybody's if missing.
    clients: Option<Vec<String>>,
    /// From when on.
    #[serde(default)]
    from: Time,
    /// Until when.
    until: Option<Time>,
}

/// Which frees come late, and how late.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireLate {
    /// How late.
    by: WireDelay,
    /// Which frees.
    of: WireFrees,
}

/// Which frees come twice, and when again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireTwice {
    /// How long after the first the second comes: at once if missing.
    after: Option<WireDelay>,
    /// Which frees.
    of: WireFrees,
}

/// CPUs that go offline together and return together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireOffline {
    /// Which.
    cpus: CpuList,
    /// When.
    at: Time,
    /// For how long: for ever if missing.
    #[serde(rename = "for")]
    lasts: Option<Time>,
    /// The time from one going to the next: once if missing.
    every: Option<Time>,
}

/// A number of memory allocations that fail in a row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireShortage {
    /// Which allocations fail.
    what: WireMemory,
    /// How many.
    #[serde(default = "one")]
    count: u64,
    /// From when on.
    at: Time,
    /// The time from one burst to the next: once if missing.
    every: Option<Time>,
}

fn one() -> u64 {
    1
}

/// What memory is allocated for.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WireMemory {
    /// A range's own record.
    Iova,
    /// A magazine of a per-CPU cache.
    Magazine,
}

/// A time in which no timer runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireStall {
    /// When.
    at: Time,
    /// For how long.
    #[serde(rename = "for")]
    lasts: Time,
    /// The time from one stall to the next: once if missing.
    every: Option<Time>,
}

fn schedule(at: Time, every: Option<Time>, lasts: Option<Time>) -> Schedule {
    Schedule {
        at: Nanos(at.0),
        every: every.map(|time| Nanos(time.0)),
        lasts: lasts.map(|time| Nanos(time.0)),
    }
}

/// Checks the faults of a scenario with the clients `runs` on `cpus` CPUs.
pub(super) fn check(
    faults: &[WireFault],
    runs: &[Run],
    cpus: u32,
    here: &Here<'_>,
) -> Result<FaultPlan, Error> {
    let mut plan = FaultPlan::default();
    for (index, fault) in faults.iter().enumerate() {
        let here = here.index(index);
        match fault {
            WireFault::Leak(of) => {
                let here = here.field("leak");
                plan.add_frees("leak", FreeFaultKind::Leak, of, runs, &here)?;
            }
            WireFault::Late(WireLate { by, of }) => {
                let here = here.field("late");
                let kind = FreeFaultKind::Late(delay(by, &here.field("by"))?);
                plan.add_frees("late", kind, of, runs, &here.field("of"))?;
            }
            WireFault::DoubleFree(WireTwice { after, of }) => {
                let here = here.field("double_free");
                let after = delay_or_zero(after.as_ref(), &here.field("after"))?;
                let kind = FreeFaultKind::Twice(after);
                plan.add_frees("double-free", kind, of, runs, &here.field("of"))?;
            }
            WireFault::Offline(offline) => {
                if let Some(run) = runs.iter().find(|run| takes_cpus(run)) {
                    let problem = format!("`{}` takes CPUs offline itself", run.name);
                    return Err(here.field("offline").error(problem));
                }
                plan.offline.push(Offline {
                    cpus: offline.cpus.0.clone(),
                    schedule: schedule(offline.at, offline.every, offline.lasts),
                });
            }
            WireFault::Nomem(shortage) => plan.shortages.push(Shortage {
                what: match shortage.what {
                    WireMemory::Iova => Memory::Iova,
                    WireMemory::Magazine => Memory::Magazine,
                },
                count: shortage.count,
                schedule: schedule(shortage.at, shortage.every, None),
            }),
            WireFault::Stall(stall) => plan.stalls.push(Stall {
                schedule: schedule(stall.at, stall.every, Some(stall.lasts)),
            }),
        }
        // What was added last is what is wrong, if anything is.
        plan.check(cpus).at(&here)?;
    }
    Ok(plan)
}

fn takes_cpus(run: &Run) -> bool {
    matches!(&run.plan, Plan::Recorded(plan) if plan.recording.takes_cpus())
}

impl FaultPlan {
    /// Adds a fault of frees; its name counts those of its kind.
    fn add_frees(
        &mut self,
        name: &str,
        kind: FreeFaultKind,
        of: &WireFrees,
        runs: &[Run],
        here: &Here<'_>,
    ) -> Result<(), Error> {
        let number = 1 + self
            .frees
            .iter()
            .filter(|fault| fault.name.starts_with(name))
            .count();
        let share = Share::from_millionths(of.share.0.0);
        let expected = "from 0 to 1";
        Impossible::unless(share.is_some(), "share", of.share.0, expected).at(here)?;
        self.frees.push(FreeFault {
            name: format!("{name}#{number}"),
            kind,
            share: share.unwrap_or(Share::ALL),
            clients: numbers(of.clients.as_deref(), runs, here)?,
            from: Nanos(of.from.0),
            until: of.until.map(|until| Nanos(until.0)),
        });
        Ok(())
    }
}

/// The numbers of the runs of the clients called `names`; none for everybody's.
fn numbers(
    names: Option<&[String]>,
    runs: &[Run],
    here: &Here<'_>,
) -> Result<Option<BTreeSet<usize>>, Error> {
    let Some(names) = names else {
        return Ok(None);
    };
    let client = |run: &'_ Run| run.name.split('#').next().unwrap_or_default().to_owned();
    let mut numbers = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let before = numbers.len();
        let theirs = runs
            .iter()
            .enumerate()
            .filter(|(_, run)| client(run) == *name);
        numbers.extend(theirs.map(|(number, _)| number));
        if numbers.len() == before {
            let known: BTreeSet<String> = runs.iter().map(client).collect();
            let here = here.field("clients").index(index);
            return Err(here.unknown("client", name, known.iter().map(String::as_str)));
        }
    }
    Ok(Some(numbers))
}
