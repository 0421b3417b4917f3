//! Frees that never come, come late, or come twice.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::trace::event::{Event, Op};
use crate::workload::client::TaggedEvent;
use crate::workload::distribution::Delay;
use crate::workload::event_queue::EventQueue;
use crate::workload::invalid::InvalidConfig;
use crate::workload::quantity::{Time, is_default};
use crate::workload::random::{Draws, Owner, Share};
use iova::units::Nanos;

/// Which frees go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AffectedFrees {
    /// The share of the frees, from 0 to 1.
    #[schemars(extend("maximum" = 1))]
    pub share: Share,
    /// Whose frees, by the clients' names: everybody's if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<String>>,
    /// From when on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from: Time,
    /// Until when: for ever if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// Which frees come late, and how late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LateFrees {
    /// How late.
    pub by: Delay,
    /// Which frees.
    pub of: AffectedFrees,
}

/// Which frees come twice, and when again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoubleFrees {
    /// How long after the first the second comes, on the same CPU: at once if missing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub after: Delay,
    /// Which frees.
    pub of: AffectedFrees,
}

impl AffectedFrees {
    /// Refuses what ends before it begins.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let until = self.until.unwrap_or(Time(u64::MAX));
        let expected = format!("after `from`, {} ns", self.from.0);
        let found = format!("{} ns", until.0);
        InvalidConfig::unless(until > self.from, "until", found, expected)
    }
}

/// What goes wrong with a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It never comes.
    Leak,
    /// It comes this much later.
    Late(Delay),
    /// It comes once more, this much later.
    Twice(Delay),
}

/// A fault of frees with its randomness.
#[derive(Clone, Debug)]
pub(super) struct FreeFault {
    kind: Kind,
    affected: AffectedFrees,
    /// The numbers of the clients; none for everybody's frees.
    clients: Option<BTreeSet<usize>>,
    shares: Draws,
    delays: Draws,
}

impl FreeFault {
    /// A fault whose random streams are `owner`'s, of the clients with these numbers; of all
    /// where that is `None`.
    pub(super) fn new(
        owner: &Owner,
        kind: Kind,
        affected: AffectedFrees,
        clients: Option<BTreeSet<usize>>,
    ) -> FreeFault {
        FreeFault {
            kind,
            affected,
            clients,
            shares: owner.draws("shares"),
            delays: owner.draws("delays"),
        }
    }

    /// Whether it applies to a free. Every free that it could apply to takes one draw.
    fn applies(&mut self, free: &TaggedEvent) -> bool {
        let affected = &self.affected;
        let at = free.event.at;
        let (from, until) = (affected.from.into(), affected.until.map(Nanos::from));
        let in_time = at >= from && until.is_none_or(|until| at < until);
        let clients = self.clients.as_ref();
        let in_scope = clients.is_none_or(|clients| clients.contains(&free.client));
        in_time && in_scope && self.shares.happens(affected.share)
    }
}

/// Events with their faulty frees.
pub(super) struct FaultyFrees<I: Iterator> {
    source: std::iter::Peekable<I>,
    faults: Vec<FreeFault>,
    /// Frees that come late or once more.
    pending: EventQueue<Event>,
}

impl<I: Iterator<Item = TaggedEvent>> FaultyFrees<I> {
    pub(super) fn new(source: I, faults: Vec<FreeFault>) -> FaultyFrees<I> {
        FaultyFrees {
            source: source.peekable(),
            faults,
            pending: EventQueue::new(),
        }
    }

    /// Applies the faults to a free: gives the event if it comes in time.
    fn apply(&mut self, free: TaggedEvent, id: u64) -> Option<Event> {
        let (mut leaked, mut delay, mut again) = (false, 0_u64, None);
        for fault in &mut self.faults {
            if !fault.applies(&free) {
                continue;
            }
            match fault.kind {
                Kind::Leak => leaked = true,
                Kind::Late(by) => delay = delay.saturating_add(by.draw(&mut fault.delays)),
                Kind::Twice(after) => again = Some(after.draw(&mut fault.delays)),
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
            self.pending.push(event.at, event);
        }
        in_time
    }
}

impl<I: Iterator<Item = TaggedEvent>> Iterator for FaultyFrees<I> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            let next = self.source.peek().map(|tagged| tagged.event.at);
            let overdue = self
                .pending
                .due()
                .is_some_and(|due| next.is_none_or(|at| due <= at));
            if overdue {
                return self.pending.pop().map(|(_, event)| event);
            }
            let tagged = self.source.next()?;
            let (Op::Free { id } | Op::Unmap { id }) = tagged.event.op else {
                return Some(tagged.event);
            };
            if let Some(event) = self.apply(tagged, id) {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::plan::{Fault, free_faults};
    use iova::units::Cpu;

    fn tagged(at: u64, client: usize, op: Op) -> TaggedEvent {
        let event = Event {
            at: Nanos(at),
            cpu: Cpu(0),
            dom: 0,
            op,
        };
        TaggedEvent { client, event }
    }

    fn free(at: u64, client: usize, id: u64) -> TaggedEvent {
        tagged(at, client, Op::Unmap { id })
    }

    fn all() -> AffectedFrees {
        AffectedFrees {
            share: Share::ALL,
            clients: None,
            from: Time(0),
            until: None,
        }
    }

    fn late(by: u64) -> Fault {
        let by = Delay::fixed(by);
        Fault::Late(LateFrees { by, of: all() })
    }

    fn twice(after: u64) -> Fault {
        let after = Delay::fixed(after);
        Fault::DoubleFree(DoubleFrees { after, of: all() })
    }

    fn faulty(source: &[TaggedEvent], faults: &[Fault]) -> impl Iterator<Item = Event> {
        let faults = free_faults(faults, &["a", "b"], 1);
        FaultyFrees::new(source.iter().cloned(), faults)
    }

    /// The events as `time-id`, a second free as `time=id`.
    fn read(source: &[TaggedEvent], faults: &[Fault]) -> String {
        let read = |event: Event| match event.op {
            Op::Unmap { id } => format!("{}-{id}", event.at.0),
            Op::DoubleFree { id } => format!("{}={id}", event.at.0),
            _ => format!("{}", event.at.0),
        };
        let events = faulty(source, faults);
        events.map(read).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn leaks_never_come() {
        let source = [free(1, 0, 1), tagged(2, 0, Op::CpuUp), free(3, 0, 2)];
        assert_eq!(read(&source, &[Fault::Leak(all())]), "2");
    }

    #[test]
    fn late_frees_come_in_time_order() {
        let source = [free(1, 0, 1), free(5, 0, 2), tagged(11, 0, Op::CpuUp)];
        assert_eq!(read(&source, &[late(10)]), "11-1 11 15-2");
        let both = [late(10), twice(2)];
        assert_eq!(read(&source, &both), "11-1 11 13=1 15-2 17=2");
    }

    #[test]
    fn a_second_free_at_once_follows_the_first() {
        assert_eq!(
            read(&[free(1, 0, 1), free(1, 0, 2)], &[twice(0)]),
            "1-1 1=1 1-2 1=2"
        );
    }

    #[test]
    fn faults_keep_to_their_clients_and_times() {
        let source: Vec<_> = (0..8)
            .map(|at| free(at, usize::from(at % 2 == 1), at))
            .collect();
        let leak = AffectedFrees {
            clients: Some(vec!["b".to_owned()]),
            from: Time(3),
            until: Some(Time(7)),
            ..all()
        };
        assert_eq!(
            read(&source, &[Fault::Leak(leak)]),
            "0-0 1-1 2-2 4-4 6-6 7-7"
        );
    }

    #[test]
    fn shares_are_drawn_apart_for_each_fault() {
        let source: Vec<_> = (0..10_000).map(|at| free(at, 0, at)).collect();
        let affected = AffectedFrees {
            share: Share::from_millionths(100_000).expect("a tenth"),
            ..all()
        };
        let leak = Fault::Leak(affected.clone());
        let left = |faults: &[Fault]| -> Vec<Event> {
            let events = faulty(&source, faults);
            events
                .filter(|event| !matches!(event.op, Op::DoubleFree { .. }))
                .collect()
        };
        let alone = left(std::slice::from_ref(&leak));
        // Standard deviation: √(10,000 · 0.1 · 0.9) = 30.
        assert!(alone.len().abs_diff(9000) < 120, "{}", alone.len());
        let twice = Fault::DoubleFree(DoubleFrees {
            after: Delay::exponential(5),
            of: affected,
        });
        assert_eq!(left(&[twice, leak]), alone);
    }

    #[test]
    fn a_fault_ends_after_it_begins() {
        let affected = AffectedFrees {
            from: Time(5),
            until: Some(Time(5)),
            ..all()
        };
        assert_eq!(affected.check().expect_err("impossible").field, "until");
    }
}
