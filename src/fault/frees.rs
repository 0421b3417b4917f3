//! Frees that never come, come late, or come twice.

use std::collections::BTreeSet;

use crate::trace::event::{Event, Op};
use crate::workload::client::Sourced;
use crate::workload::distribution::Distribution;
use crate::workload::impossible::Impossible;
use crate::workload::random::{Draws, Owner, Share};
use crate::workload::timeline::Timeline;
use iova::units::Nanos;

/// A share of the frees goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeFault {
    /// The name that its random streams are derived from.
    pub name: String,
    pub kind: FreeFaultKind,
    /// How many of the frees it befalls.
    pub share: Share,
    /// Whose frees, by the clients' numbers; none for everybody's.
    pub clients: Option<BTreeSet<usize>>,
    pub from: Nanos,
    /// Until when; none for ever.
    pub until: Option<Nanos>,
}

/// What goes wrong with a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeFaultKind {
    Leak,
    /// It comes so much later.
    Late(Distribution),
    /// It comes once more, so much later, on the same CPU.
    Twice(Distribution),
}

impl FreeFault {
    /// Refuses what could not be generated.
    ///
    /// # Errors
    ///
    /// Where the fault ends before it begins.
    pub fn check(&self) -> Result<(), Impossible> {
        let until = self.until.unwrap_or(Nanos(u64::MAX));
        let expected = format!("after `from`, {} ns", self.from.0);
        let found = format!("{} ns", until.0);
        Impossible::unless(until > self.from, "until", found, expected)
    }
}

/// A fault with its randomness.
struct Hazard {
    fault: FreeFault,
    shares: Draws,
    delays: Draws,
}

impl Hazard {
    /// Whether it befalls a free. Every free that it could befall takes one draw.
    fn befalls(&mut self, free: &Sourced) -> bool {
        let fault = &self.fault;
        let at = free.event.at;
        let in_time = at >= fault.from && fault.until.is_none_or(|until| at < until);
        let clients = fault.clients.as_ref();
        let in_scope = clients.is_none_or(|clients| clients.contains(&free.client));
        in_time && in_scope && self.shares.happens(fault.share)
    }
}

/// Events with their faulty frees.
pub(super) struct Frees<I: Iterator> {
    source: std::iter::Peekable<I>,
    hazards: Vec<Hazard>,
    /// Frees that come late or once more.
    pending: Timeline<Event>,
}

impl<I: Iterator<Item = Sourced>> Frees<I> {
    pub(super) fn new(source: I, faults: &[FreeFault], seed: u64) -> Frees<I> {
        let hazard = |fault: &FreeFault| {
            let owner = Owner::new(seed, format!("fault:{}", fault.name));
            Hazard {
                fault: fault.clone(),
                shares: owner.draws("shares"),
                delays: owner.draws("delays"),
            }
        };
        Frees {
            source: source.peekable(),
            hazards: faults.iter().map(hazard).collect(),
            pending: Timeline::new(),
        }
    }

    /// What becomes of a free: the event if it comes in time.
    fn befall(&mut self, free: Sourced, id: u64) -> Option<Event> {
        let (mut leaked, mut delay, mut again) = (false, 0_u64, None);
        for hazard in &mut self.hazards {
            if !hazard.befalls(&free) {
                continue;
            }
            match hazard.fault.kind {
                FreeFaultKind::Leak => leaked = true,
                FreeFaultKind::Late(by) => {
                    delay = delay.saturating_add(by.draw(&mut hazard.delays));
                }
                FreeFaultKind::Twice(after) => again = Some(after.draw(&mut hazard.delays)),
            }
        }
        if leaked {
            return None;
        }
        let mut event = free.event;
        event.at = event.at.after(delay);
        let second = again.map(|after| Event {
            at: event.at.after(after),
            op: Op::DoubleFree { id },
            ..event
        });
        let in_time = (delay == 0).then(|| event.clone());
        let late = (delay > 0).then_some(event);
        for event in late.into_iter().chain(second) {
            self.pending.enter(event.at, event);
        }
        in_time
    }
}

impl<I: Iterator<Item = Sourced>> Iterator for Frees<I> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            let next = self.source.peek().map(|sourced| sourced.event.at);
            let overdue = self
                .pending
                .due()
                .is_some_and(|due| next.is_none_or(|at| due <= at));
            if overdue {
                return self.pending.pop().map(|(_, event)| event);
            }
            let sourced = self.source.next()?;
            let (Op::Free { id } | Op::Unmap { id }) = sourced.event.op else {
                return Some(sourced.event);
            };
            if let Some(event) = self.befall(sourced, id) {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iova::units::Cpu;

    fn sourced(at: u64, client: usize, op: Op) -> Sourced {
        let event = Event {
            at: Nanos(at),
            cpu: Cpu(0),
            dom: 0,
            op,
        };
        Sourced { client, event }
    }

    fn free(at: u64, client: usize, id: u64) -> Sourced {
        sourced(at, client, Op::Unmap { id })
    }

    fn fault(kind: FreeFaultKind) -> FreeFault {
        FreeFault {
            name: "fault".to_owned(),
            kind,
            share: Share::ALL,
            clients: None,
            from: Nanos(0),
            until: None,
        }
    }

    /// The events as `time-id`, a second free as `time=id`.
    fn read(source: &[Sourced], faults: &[FreeFault]) -> String {
        let read = |event: Event| match event.op {
            Op::Unmap { id } => format!("{}-{id}", event.at.0),
            Op::DoubleFree { id } => format!("{}={id}", event.at.0),
            _ => format!("{}", event.at.0),
        };
        let events = Frees::new(source.iter().cloned(), faults, 1);
        events.map(read).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn leaks_never_come() {
        let source = [free(1, 0, 1), sourced(2, 0, Op::CpuUp), free(3, 0, 2)];
        assert_eq!(read(&source, &[fault(FreeFaultKind::Leak)]), "2");
    }

    #[test]
    fn late_frees_come_in_time_order() {
        let source = [free(1, 0, 1), free(5, 0, 2), sourced(11, 0, Op::CpuUp)];
        let late = fault(FreeFaultKind::Late(Distribution::fixed(10)));
        assert_eq!(read(&source, std::slice::from_ref(&late)), "11-1 11 15-2");
        let twice = fault(FreeFaultKind::Twice(Distribution::fixed(2)));
        assert_eq!(read(&source, &[late, twice]), "11-1 11 13=1 15-2 17=2");
    }

    #[test]
    fn a_second_free_at_once_follows_the_first() {
        let twice = fault(FreeFaultKind::Twice(Distribution::fixed(0)));
        assert_eq!(
            read(&[free(1, 0, 1), free(1, 0, 2)], &[twice]),
            "1-1 1=1 1-2 1=2"
        );
    }

    #[test]
    fn faults_keep_to_their_clients_and_times() {
        let source: Vec<_> = (0..8)
            .map(|at| free(at, usize::from(at % 2 == 1), at))
            .collect();
        let leak = FreeFault {
            clients: Some([1].into()),
            from: Nanos(3),
            until: Some(Nanos(7)),
            ..fault(FreeFaultKind::Leak)
        };
        assert_eq!(read(&source, &[leak]), "0-0 1-1 2-2 4-4 6-6 7-7");
    }

    #[test]
    fn shares_are_drawn_apart_for_each_fault() {
        let source: Vec<_> = (0..10_000).map(|at| free(at, 0, at)).collect();
        let leak = FreeFault {
            share: Share::from_millionths(100_000).expect("a tenth"),
            ..fault(FreeFaultKind::Leak)
        };
        let left = |faults: &[FreeFault]| -> Vec<Event> {
            let events = Frees::new(source.iter().cloned(), faults, 1);
            events
                .filter(|event| !matches!(event.op, Op::DoubleFree { .. }))
                .collect()
        };
        let alone = left(std::slice::from_ref(&leak));
        // Standard deviation: √(10,000 · 0.1 · 0.9) = 30.
        assert!(alone.len().abs_diff(9000) < 120, "{}", alone.len());
        let twice = FreeFault {
            name: "other".to_owned(),
            share: leak.share,
            ..fault(FreeFaultKind::Twice(Distribution::exponential(5)))
        };
        assert_eq!(left(&[twice, leak]), alone);
    }

    #[test]
    fn a_fault_ends_after_it_begins() {
        let fault = FreeFault {
            from: Nanos(5),
            until: Some(Nanos(5)),
            ..fault(FreeFaultKind::Leak)
        };
        assert_eq!(fault.check().expect_err("impossible").field, "until");
    }
}
