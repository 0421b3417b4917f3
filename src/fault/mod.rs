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
use crate::workload::impossible::Impossible;
use crate::workload::{Merge, Stint, Workload};
use iova::units::Nanos;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Place;
    use crate::trace::check::Checker;
    use crate::trace::event::{Header, Op};
    use crate::workload::distribution::Distribution;
    use crate::workload::random::Share;
    use crate::workload::size::Sizes;
    use crate::workload::stream::StreamPlan;
    use crate::workload::testing;
    use crate::workload::{Plan, Run};
    use frees::FreeFaultKind;
    use iova::kernel::Memory;
    use schedule::Schedule;

    const CPUS: u32 = 4;
    const END: Nanos = Nanos(1_000_000);

    fn workload() -> Workload {
        let plan = StreamPlan {
            sizes: Sizes::fixed(4096).expect("possible"),
            jobs: CPUS,
            depth: 8,
            service: Distribution::exponential(10_000),
            think: Distribution::fixed(0),
        };
        let mut run: Run = testing::run("drive", Plan::Stream(plan));
        run.place.cpus = "0-3".parse().expect("a list");
        Workload::new(vec![run]).expect("possible")
    }

    fn frees(name: &str, kind: FreeFaultKind) -> FreeFault {
        FreeFault {
            name: name.to_owned(),
            kind,
            share: Share::from_millionths(50_000).expect("a twentieth"),
            clients: None,
            from: Nanos(0),
            until: None,
        }
    }

    fn schedule(at: u64, every: u64, lasts: u64) -> Schedule {
        Schedule {
            at: Nanos(at),
            every: Some(Nanos(every)),
            lasts: Some(Nanos(lasts)),
        }
    }

    fn everything() -> FaultPlan {
        FaultPlan {
            frees: vec![
                frees("leak", FreeFaultKind::Leak),
                frees(
                    "late",
                    FreeFaultKind::Late(Distribution::exponential(50_000)),
                ),
                frees(
                    "twice",
                    FreeFaultKind::Twice(Distribution::exponential(1000)),
                ),
            ],
            offline: vec![Offline {
                cpus: "1-2".parse().expect("a list"),
                schedule: schedule(50_000, 200_000, 90_000),
            }],
            shortages: vec![Shortage {
                what: Memory::Iova,
                count: 3,
                schedule: schedule(70_000, 100_000, 1),
            }],
            stalls: vec![Stall {
                schedule: schedule(300_000, 250_000, 40_000),
            }],
        }
    }

    fn woven(plan: &FaultPlan, seed: u64) -> Vec<Event> {
        plan.check(CPUS).expect("possible");
        plan.weave(&workload(), seed, CPUS, Some(END)).collect()
    }

    #[test]
    fn what_is_woven_is_a_trace() {
        let header = Header {
            cpus: CPUS,
            ..Header::default()
        };
        for seed in 0..50 {
            let mut checker = Checker::new(&header);
            let events = woven(&everything(), seed);
            for (number, event) in (0..).zip(&events) {
                let admitted = checker.admit(Place::Event(number), event);
                admitted.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
            let has = |wanted: fn(&Op) -> bool| events.iter().any(|event| wanted(&event.op));
            assert!(has(|op| matches!(op, Op::DoubleFree { .. })), "seed {seed}");
            assert!(has(|op| matches!(op, Op::NoMem { .. })), "seed {seed}");
            assert!(has(|op| *op == Op::CpuDead) && has(|op| *op == Op::CpuUp));
            let last = events.last().map(|event| event.at);
            // Three stalls of 40 µs in 1 ms.
            assert!(last < Some(Nanos(END.0 - 3 * 40_000)), "{last:?}");
        }
    }

    #[test]
    fn clients_ask_for_the_same_with_faults_and_without() {
        let asked = |plan: &FaultPlan| -> Vec<(Nanos, u64)> {
            let events = woven(plan, 1).into_iter();
            let ask = |event: Event| match event.op {
                Op::Map { id, .. } => Some((event.at, id)),
                _ => None,
            };
            events.filter_map(ask).collect()
        };
        let plan = FaultPlan {
            stalls: Vec::new(),
            ..everything()
        };
        assert_eq!(asked(&plan), asked(&FaultPlan::default()));
    }
}
