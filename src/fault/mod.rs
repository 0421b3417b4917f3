//! What goes wrong, and when: faults woven into a stream of events.
//!
//! A fault becomes part of the trace, which then replays the same faults anywhere. Frees that
//! never come, come late or come twice ([`frees`]), CPUs that go offline ([`hotplug`]), memory
//! that runs out ([`shortage`]), timers that stall ([`stall`]). Faults draw from streams of
//! their own: with or without them, clients ask for the same.

pub mod frees;
pub mod hotplug;
pub mod schedule;
pub mod shortage;
pub mod stall;

use frees::{FreeFault, Frees};
use hotplug::{Moved, Offline};
use shortage::Shortage;
use stall::{Stall, Stalled};

use crate::trace::event::Event;
use crate::units::Nanos;
use crate::workload::impossible::Impossible;
use crate::workload::{Merge, Stint, Workload};

/// The faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// Frees that go wrong; each fault sees every free, in this order.
    pub frees: Vec<FreeFault>,
    /// CPUs that go offline.
    pub offline: Vec<Offline>,
    /// Memory that runs out.
    pub shortages: Vec<Shortage>,
    /// Times during which no timer runs.
    pub stalls: Vec<Stall>,
}

impl FaultPlan {
    /// Refuses what could not be generated on a machine with `cpus` CPUs.
    ///
    /// # Errors
    ///
    /// As the faults say; also where no CPU would be sure to stay online, or two stalls meet.
    pub fn check(&self, cpus: u32) -> Result<(), Impossible> {
        self.frees.iter().try_for_each(FreeFault::check)?;
        hotplug::check(&self.offline, cpus)?;
        self.shortages.iter().try_for_each(Shortage::check)?;
        stall::check(&self.stalls)
    }

    /// The events of a workload with its faults, before `until`, with the randomness of
    /// `seed`, on a machine with `cpus` CPUs.
    pub fn weave(
        &self,
        workload: &Workload,
        seed: u64,
        cpus: u32,
        until: Option<Nanos>,
    ) -> impl Iterator<Item = Event> + Send + use<> {
        let mut stints = workload.stints(seed);
        let offline = self.offline.iter().map(Offline::stint);
        let shortages = self.shortages.iter().map(Shortage::stint);
        stints.extend(offline.chain(shortages).collect::<Vec<Stint>>());
        let events = Frees::new(Merge::new(stints), &self.frees, seed);
        let before_end = move |event: &Event| until.is_none_or(|until| event.at < until);
        Stalled::new(
            Moved::new(events, cpus).take_while(before_end),
            &self.stalls,
        )
    }
}
