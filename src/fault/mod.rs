//! What goes wrong, and when: faults injected into a stream of events.
//!
//! A fault becomes part of the trace, which then replays the same faults anywhere. Frees that
//! never come, come late or come twice ([`frees`]), CPUs that go offline ([`hotplug`]), memory
//! that runs out ([`shortage`]), timers that stall ([`stall`]). Faults draw from streams of
//! their own: with or without them, clients ask for the same.

pub mod frees;
pub mod hotplug;
mod plan;
mod schedule;
pub mod shortage;
pub mod stall;

pub use plan::Fault;

use frees::FaultyFrees;
use hotplug::{Offline, Remapped};
use stall::{Stall, Stalled};

use crate::trace::event::Event;
use crate::workload::invalid::InvalidConfig;
use crate::workload::{Merge, Run, Workload};
use iova::units::Nanos;

/// Refuses faults that could not be generated on a machine with `cpus` CPUs.
///
/// # Errors
///
/// As the faults say; also where no CPU would be sure to stay online, or two stalls meet.
pub fn check(faults: &[Fault], cpus: u32) -> Result<(), InvalidConfig> {
    for fault in faults {
        match fault {
            Fault::Leak(affected) => affected.check()?,
            Fault::Late(late) => late.of.check()?,
            Fault::DoubleFree(double) => double.of.check()?,
            Fault::Nomem(shortage) => shortage.check()?,
            Fault::Offline(_) | Fault::Stall(_) => {}
        }
    }
    hotplug::check(offline(faults), cpus)?;
    stall::check(&stalls(faults))
}

/// The events of a workload with its faults, before `until`, with the randomness of `seed`, on
/// a machine with `cpus` CPUs.
pub fn inject(
    faults: &[Fault],
    workload: &Workload,
    seed: u64,
    cpus: u32,
    until: Option<Nanos>,
) -> impl Iterator<Item = Event> + Send + use<> {
    let mut clients = workload.clients(seed);
    clients.extend(offline(faults).map(Offline::client));
    clients.extend(faults.iter().filter_map(|fault| match fault {
        Fault::Nomem(shortage) => Some(shortage.client()),
        _ => None,
    }));
    let names: Vec<&str> = workload.runs().iter().map(Run::client).collect();
    let free_faults = plan::free_faults(faults, &names, seed);
    let events = FaultyFrees::new(Merge::new(clients), free_faults);
    let before_end = move |event: &Event| until.is_none_or(|until| event.at < until);
    let events = Remapped::new(events, cpus).take_while(before_end);
    Stalled::new(events, &stalls(faults))
}

fn offline(faults: &[Fault]) -> impl Iterator<Item = &Offline> {
    faults.iter().filter_map(|fault| match fault {
        Fault::Offline(offline) => Some(offline),
        _ => None,
    })
}

fn stalls(faults: &[Fault]) -> Vec<Stall> {
    let stall = |fault: &Fault| match fault {
        Fault::Stall(stall) => Some(*stall),
        _ => None,
    };
    faults.iter().filter_map(stall).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Place;
    use crate::trace::check::Checker;
    use crate::trace::event::{Header, Op};
    use crate::workload::distribution::Delay;
    use crate::workload::quantity::Time;
    use crate::workload::random::Share;
    use crate::workload::size::Sizes;
    use crate::workload::stream::StreamPlan;
    use crate::workload::testing;
    use crate::workload::{Plan, Run};
    use frees::{AffectedFrees, DoubleFrees, LateFrees};
    use iova::kernel::Memory;
    use shortage::Shortage;

    const CPUS: u32 = 4;
    const END: Nanos = Nanos(1_000_000);

    fn workload() -> Workload {
        let plan = StreamPlan {
            sizes: Sizes::fixed(4096).expect("possible"),
            jobs: CPUS,
            depth: 8,
            service: Delay::exponential(10_000),
            think: Delay::fixed(0),
        };
        let mut run: Run = testing::run("drive", Plan::Stream(plan));
        run.place.cpus = "0-3".parse().expect("a list");
        Workload::new(vec![run]).expect("possible")
    }

    fn frees() -> AffectedFrees {
        AffectedFrees {
            share: Share::from_millionths(50_000).expect("a twentieth"),
            clients: None,
            from: Time(0),
            until: None,
        }
    }

    fn everything() -> Vec<Fault> {
        vec![
            Fault::Leak(frees()),
            Fault::Late(LateFrees {
                by: Delay::exponential(50_000),
                of: frees(),
            }),
            Fault::DoubleFree(DoubleFrees {
                after: Delay::exponential(1000),
                of: frees(),
            }),
            Fault::Offline(Offline {
                cpus: "1-2".parse().expect("a list"),
                at: Time(50_000),
                every: Some(Time(200_000)),
                lasts: Some(Time(90_000)),
            }),
            Fault::Nomem(Shortage {
                what: Memory::Iova,
                count: 3,
                at: Time(70_000),
                every: Some(Time(100_000)),
            }),
            Fault::Stall(Stall {
                at: Time(300_000),
                every: Some(Time(250_000)),
                lasts: Time(40_000),
            }),
        ]
    }

    fn injected(faults: &[Fault], seed: u64) -> Vec<Event> {
        check(faults, CPUS).expect("possible");
        inject(faults, &workload(), seed, CPUS, Some(END)).collect()
    }

    #[test]
    fn what_is_injected_is_a_trace() {
        let header = Header {
            cpus: CPUS,
            ..Header::default()
        };
        for seed in 0..50 {
            let mut checker = Checker::new(&header);
            let events = injected(&everything(), seed);
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
        let asked = |faults: &[Fault]| -> Vec<(Nanos, u64)> {
            let events = injected(faults, 1).into_iter();
            let ask = |event: Event| match event.op {
                Op::Map { id, .. } => Some((event.at, id)),
                _ => None,
            };
            events.filter_map(ask).collect()
        };
        let mut faults = everything();
        faults.retain(|fault| !matches!(fault, Fault::Stall(_)));
        assert_eq!(asked(&faults), asked(&[]));
    }
}
