//! CPUs that go offline and return.
//!
//! What an offline CPU would have asked moves to the next CPU above it that is online, from
//! the highest on to the lowest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::trace::event::{Event, Op};
use crate::workload::ScheduledClient;
use crate::workload::client::{Client, EventSink};
use crate::workload::cpus::Cpus;
use crate::workload::invalid::InvalidConfig;
use crate::workload::quantity::Time;
use iova::units::{Cpu, Nanos};

use super::schedule::Schedule;

/// CPUs that go offline together and return together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offline {
    /// Which, in the order in which they go and return.
    pub cpus: Cpus,
    /// When.
    pub at: Time,
    /// For how long: for ever if missing.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub lasts: Option<Time>,
    /// The time from one going to the next: once if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub every: Option<Time>,
}

/// Refuses CPUs that are not there, named twice, or all there are.
pub(super) fn check<'a>(
    faults: impl Iterator<Item = &'a Offline>,
    cpus: u32,
) -> Result<(), InvalidConfig> {
    let mut named = vec![false; cpus as usize];
    for fault in faults {
        fault.schedule().check()?;
        for cpu in fault.cpus.iter() {
            let expected = format!("below {cpus}, and each once");
            let possible = named.get(cpu.index()) == Some(&false);
            InvalidConfig::unless(possible, "cpus", cpu.0, expected)?;
            named[cpu.index()] = true;
        }
    }
    let stays = named.contains(&false);
    InvalidConfig::unless(stays, "cpus", "all CPUs", "one at least that stays online")
}

impl Offline {
    fn schedule(&self) -> Schedule {
        Schedule {
            at: self.at.into(),
            every: self.every.map(Nanos::from),
            lasts: self.lasts.map(Nanos::from),
        }
    }

    pub(super) fn client(&self) -> ScheduledClient {
        ScheduledClient {
            client: Box::new(Switch {
                cpus: self.cpus.iter().collect(),
                due: Some(self.at.into()),
                schedule: self.schedule(),
                strikes: 0,
                next: 0,
                down: false,
            }),
            stop: None,
        }
    }
}

/// What takes the CPUs offline and brings them back, one an act.
struct Switch {
    cpus: Vec<Cpu>,
    schedule: Schedule,
    strikes: u64,
    due: Option<Nanos>,
    next: usize,
    down: bool,
}

impl Client for Switch {
    fn due(&self) -> Option<Nanos> {
        self.due
    }

    fn act(&mut self, sink: &mut EventSink<'_>) {
        let op = if self.down { Op::CpuUp } else { Op::CpuDead };
        sink.ask(self.cpus[self.next], 0, op);
        self.next += 1;
        if self.next < self.cpus.len() {
            return;
        }
        self.next = 0;
        self.down = !self.down;
        self.due = if self.down {
            self.schedule.end(sink.now())
        } else {
            self.strikes += 1;
            self.schedule.strike(self.strikes)
        };
    }

    fn stop(&mut self, _at: Nanos) {
        self.due = None;
    }
}

/// Events, those of offline CPUs moved to online ones.
pub(super) struct Remapped<I> {
    source: I,
    online: Vec<bool>,
}

impl<I: Iterator<Item = Event>> Remapped<I> {
    pub(super) fn new(source: I, cpus: u32) -> Remapped<I> {
        Remapped {
            source,
            online: vec![true; cpus as usize],
        }
    }

    /// The next CPU above an offline one that is online, from the highest on to the lowest.
    fn replacement(&self, cpu: Cpu) -> Cpu {
        let is_online = |&index: &usize| self.online[index];
        let mut above = cpu.index()..self.online.len();
        let index = above
            .find(is_online)
            .or_else(|| (0..cpu.index()).find(is_online));
        let number = index.and_then(|index| u16::try_from(index).ok());
        number.map_or(cpu, Cpu)
    }
}

impl<I: Iterator<Item = Event>> Iterator for Remapped<I> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = self.source.next()?;
        let up = match event.op {
            Op::CpuDead => false,
            Op::CpuUp => true,
            _ => {
                if self.online.get(event.cpu.index()) == Some(&false) {
                    event.cpu = self.replacement(event.cpu);
                }
                return Some(event);
            }
        };
        if let Some(online) = self.online.get_mut(event.cpu.index()) {
            *online = up;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Merge;

    fn offline(cpus: &str, at: u64, every: Option<u64>, lasts: Option<u64>) -> Offline {
        Offline {
            cpus: cpus.parse().expect("a list"),
            at: Time(at),
            every: every.map(Time),
            lasts: lasts.map(Time),
        }
    }

    #[test]
    fn cpus_go_and_return_together() {
        let switch = offline("1-2", 10, Some(100), Some(5)).client();
        let events = Merge::new(vec![switch]).map(|tagged| tagged.event).take(5);
        let read = |event: Event| (event.at.0, event.cpu.0, event.op == Op::CpuUp);
        assert_eq!(
            events.map(read).collect::<Vec<_>>(),
            [
                (10, 1, false),
                (10, 2, false),
                (15, 1, true),
                (15, 2, true),
                (110, 1, false)
            ]
        );
    }

    #[test]
    fn what_an_offline_cpu_would_ask_moves_to_the_next_online_one() {
        let event = |cpu, op| Event {
            at: Nanos(0),
            cpu: Cpu(cpu),
            dom: 0,
            op,
        };
        let ask = |cpu| event(cpu, Op::Free { id: 1 });
        let events = [
            ask(3),
            event(3, Op::CpuDead),
            ask(3),
            event(1, Op::CpuDead),
            ask(1),
            event(0, Op::CpuDead),
            ask(3),
            event(3, Op::CpuUp),
            ask(3),
            ask(2),
        ];
        let remapped = Remapped::new(events.into_iter(), 4);
        let asked = remapped.filter(|event| matches!(event.op, Op::Free { .. }));
        let cpus: Vec<_> = asked.map(|event| event.cpu.0).collect();
        assert_eq!(cpus, [3, 0, 2, 2, 3, 2]);
    }

    #[test]
    fn one_cpu_at_least_stays_online() {
        let refused = |faults: &[Offline]| {
            let error = check(faults.iter(), 4).expect_err("impossible");
            (error.field, error.found)
        };
        let some = offline("0-1", 0, None, None);
        assert_eq!(
            check([some.clone(), offline("2", 5, None, None)].iter(), 4),
            Ok(())
        );
        assert_eq!(
            refused(&[some.clone(), offline("1", 5, None, None)]),
            ("cpus", "1".into())
        );
        assert_eq!(
            refused(&[offline("4", 0, None, None)]),
            ("cpus", "4".into())
        );
        let rest = offline("2-3", 0, None, None);
        assert_eq!(refused(&[some, rest]), ("cpus", "all CPUs".into()));
        assert_eq!(refused(&[offline("1", 0, Some(5), Some(5))]).0, "every");
    }
}
