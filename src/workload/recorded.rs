//! A recorded trace among the clients: stretched in time, shifted, repeated.
//!
//! Ids are given anew, each playing's apart, and domains are moved by an offset. What is live
//! at the end of a playing is freed then, in the order in which it was allocated, and CPUs
//! that the recording left offline come back. What a recorded kernel answered is dropped:
//! among other clients it says nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{Client, ClientPlan, EventSink, Place};
use super::invalid::InvalidConfig;
use super::quantity::{Millionths, Time, is_default, one};
use super::random::Owner;
use crate::trace::event::{Event, Op};
use iova::op::Got;
use iova::units::Nanos;

/// Events that can be mixed in. Their ids number the lives of the recording from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    events: Arc<[Event]>,
    lives: u64,
}

impl Recording {
    /// Takes the events of a trace.
    ///
    /// # Errors
    ///
    /// Where there are none, one uses a CPU from `cpus` on or an id that is not live, or
    /// `restore` or `free_pfn` name pfns, which others may hold by then.
    pub fn new(
        events: impl IntoIterator<Item = Event>,
        cpus: u32,
    ) -> Result<Recording, InvalidConfig> {
        let mut names = Names::default();
        let mut renamed = Vec::new();
        for mut event in events {
            let refuse = |found: String, expected: &str| {
                let found = format!("{found} in event {}", renamed.len());
                InvalidConfig::unless(false, "trace", found, expected)
            };
            if u32::from(event.cpu.0) >= cpus {
                refuse(format!("CPU {}", event.cpu.0), "a CPU of the domain")?;
            }
            let name = match &event.op {
                Op::Restore { .. } => Err("`restore`"),
                Op::FreePfn { .. } => Err("`free_pfn`"),
                _ => Ok(()),
            };
            if let Err(what) = name {
                refuse(what.to_owned(), "requests that name no pfns, among clients")?;
            }
            if let Err(id) = names.rename(&mut event.op) {
                refuse(format!("id {id}"), "an id whose turn it is")?;
            }
            renamed.push(event);
        }
        InvalidConfig::unless(!renamed.is_empty(), "trace", "empty", "at least one event")?;
        Ok(Recording {
            events: renamed.into(),
            lives: names.lives,
        })
    }

    /// What ends a playing after the first `played` events: frees what is live, in the order
    /// of its allocation, and brings back the CPUs that are offline.
    fn closing(&self, played: usize) -> VecDeque<Event> {
        let mut live = BTreeMap::new();
        let mut dead = BTreeMap::new();
        for event in &self.events[..played] {
            let mut close = event.clone();
            match event.op {
                Op::Alloc { id, .. } => {
                    close.op = Op::Free { id };
                    live.insert(id, close);
                }
                Op::Map { id, .. } => {
                    close.op = Op::Unmap { id };
                    live.insert(id, close);
                }
                Op::Free { id } | Op::Unmap { id } => _ = live.remove(&id),
                Op::CpuDead => {
                    close.op = Op::CpuUp;
                    dead.insert(event.cpu, close);
                }
                Op::CpuUp => _ = dead.remove(&event.cpu),
                _ => {}
            }
        }
        dead.into_values().chain(live.into_values()).collect()
    }
}

/// The recorded ids, and the lives that they stand for.
#[derive(Default)]
struct Names {
    live: BTreeMap<u64, u64>,
    ended: BTreeMap<u64, u64>,
    lives: u64,
}

impl Names {
    /// Puts the number of a life in place of its id; the id where it names none.
    fn rename(&mut self, op: &mut Op) -> Result<(), u64> {
        match op {
            Op::Alloc { id, got, .. } | Op::Map { id, got, .. } => {
                *got = Got::Unrecorded;
                let life = self.lives;
                self.lives += 1;
                if self.live.insert(*id, life).is_some() {
                    return Err(*id);
                }
                *id = life;
            }
            Op::Free { id } | Op::Unmap { id } => {
                let life = self.live.remove(id).ok_or(*id)?;
                self.ended.insert(*id, life);
                *id = life;
            }
            Op::DoubleFree { id } => *id = self.ended.get(id).copied().ok_or(*id)?,
            _ => {}
        }
        Ok(())
    }
}

/// A recording as a scenario mixes it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedPlan {
    /// The trace file's path, relative to the scenario's file.
    pub trace: String,
    /// What its times are multiplied with: 1 if missing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stretch: Millionths,
    /// How often it is played.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub times: u32,
    /// The time between the end of one playing and the beginning of the next.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gap: Time,
    /// The events of the trace; none until they are loaded.
    #[serde(skip)]
    pub recording: Recording,
}

impl ClientPlan for RecordedPlan {
    fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::unless(self.times > 0, "times", 0, "at least 1")
    }

    fn start(&self, place: Place, _owner: &Owner, start: Nanos) -> Box<dyn Client> {
        Box::new(Recorded::new(self.clone(), place.dom, start))
    }

    /// Those of the recording, moved by `dom`.
    fn doms(&self, dom: u64) -> BTreeSet<u64> {
        let events = self.recording.events.iter();
        events.map(|event| dom.wrapping_add(event.dom)).collect()
    }

    fn takes_cpus_offline(&self) -> bool {
        let mut events = self.recording.events.iter();
        events.any(|event| event.op == Op::CpuDead)
    }
}

/// A recording being played.
pub struct Recorded {
    plan: RecordedPlan,
    /// What is added to the numbers of its domains.
    first_dom: u64,
    /// When this playing began.
    begun: Nanos,
    /// The id of its first life.
    first_id: Option<u64>,
    left: u32,
    next: usize,
    /// What is still to be closed, and since when.
    closing: VecDeque<Event>,
    closing_at: Nanos,
}

impl Recorded {
    /// The recording of `plan`, from `start` on.
    pub fn new(plan: RecordedPlan, first_dom: u64, start: Nanos) -> Recorded {
        Recorded {
            left: plan.times,
            plan,
            first_dom,
            begun: start,
            first_id: None,
            next: 0,
            closing: VecDeque::new(),
            closing_at: start,
        }
    }

    /// When an event of this playing is due.
    fn moment(&self, recorded: Nanos) -> Nanos {
        let stretched = u128::from(recorded.0) * u128::from(self.plan.stretch.0)
            / u128::from(Millionths::ONE.0);
        self.begun
            .after(u64::try_from(stretched).unwrap_or(u64::MAX))
    }

    /// Issues an event under the ids of this playing.
    fn play(&mut self, sink: &mut EventSink<'_>, event: Event) {
        let lives = self.plan.recording.lives;
        let first_id = *self.first_id.get_or_insert_with(|| sink.fresh_ids(lives));
        let mut op = event.op;
        match &mut op {
            Op::Alloc { id, .. }
            | Op::Map { id, .. }
            | Op::Free { id }
            | Op::Unmap { id }
            | Op::DoubleFree { id } => *id += first_id,
            _ => {}
        }
        sink.ask(event.cpu, self.first_dom.wrapping_add(event.dom), op);
    }

    /// Ends this playing at `at`, and begins the next after the gap.
    fn close(&mut self, at: Nanos) {
        self.closing = self.plan.recording.closing(self.next);
        self.closing_at = at;
        self.next = 0;
        self.left = self.left.saturating_sub(1);
        self.begun = at.after(self.plan.gap.0);
    }
}

impl Client for Recorded {
    fn due(&self) -> Option<Nanos> {
        if !self.closing.is_empty() {
            return Some(self.closing_at);
        }
        let event = self.plan.recording.events.get(self.next)?;
        (self.left > 0).then(|| self.moment(event.at))
    }

    fn act(&mut self, sink: &mut EventSink<'_>) {
        if let Some(event) = self.closing.pop_front() {
            self.play(sink, event);
        } else if let Some(event) = self.plan.recording.events.get(self.next).cloned() {
            self.play(sink, event);
            self.next += 1;
            if self.next == self.plan.recording.events.len() {
                self.close(sink.now());
            }
        }
        if self.next == 0 && self.closing.is_empty() {
            self.first_id = None;
        }
    }

    fn stop(&mut self, at: Nanos) {
        if self.closing.is_empty() {
            self.close(at);
        }
        self.left = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::run::{Plan, Run};
    use crate::workload::testing::{events, read, run};
    use iova::units::{Cpu, Pfn};

    fn event(at: u64, cpu: u16, op: Op) -> Event {
        Event {
            at: Nanos(at),
            cpu: Cpu(cpu),
            dom: 0,
            op,
        }
    }

    fn map(at: u64, id: u64, bytes: u64) -> Event {
        let op = Op::Map {
            id,
            bytes,
            mask: 0xffff_ffff,
            pci: false,
            dev: None,
            got: Got::Failed,
        };
        event(at, 0, op)
    }

    fn unmap(at: u64, id: u64) -> Event {
        event(at, 0, Op::Unmap { id })
    }

    fn plan(events: Vec<Event>) -> RecordedPlan {
        RecordedPlan {
            trace: "trace.jsonl".to_owned(),
            recording: Recording::new(events, 2).expect("possible"),
            stretch: Millionths::ONE,
            times: 1,
            gap: Time(0),
        }
    }

    fn recorded(plan: RecordedPlan) -> Run {
        run("recorded", Plan::Recorded(plan))
    }

    #[test]
    fn ids_are_given_anew_and_leftovers_freed() {
        let recording = vec![map(2, 7, 10), map(4, 9, 20), unmap(6, 7), map(8, 7, 30)];
        let plan = RecordedPlan {
            stretch: Millionths(1_500_000),
            times: 2,
            gap: Time(5),
            ..plan(recording)
        };
        let mut run = recorded(plan);
        run.start = Nanos(100);
        assert_eq!(
            read(&events(vec![run], u64::MAX)),
            "103+1:10 106+2:20 109-1 112+3:30 112-2 112-3 \
             120+4:10 123+5:20 126-4 129+6:30 129-5 129-6"
        );
    }

    #[test]
    fn a_stop_frees_what_is_live_by_then() {
        let mut run = recorded(plan(vec![map(2, 7, 10), map(4, 9, 20), unmap(6, 7)]));
        run.stop = Some(Nanos(5));
        let story = read(&events(vec![run], u64::MAX));
        assert_eq!(story, "2+1:10 4+2:20 5-1 5-2");
    }

    #[test]
    fn a_double_free_is_of_the_life_that_ended_last() {
        let recording = vec![
            map(0, 7, 10),
            unmap(0, 7),
            map(0, 7, 20),
            event(1, 0, Op::DoubleFree { id: 7 }),
            unmap(2, 7),
            event(3, 0, Op::DoubleFree { id: 7 }),
        ];
        let events = events(vec![recorded(plan(recording))], u64::MAX);
        assert_eq!(events[3].op, Op::DoubleFree { id: 1 });
        assert_eq!(events[5].op, Op::DoubleFree { id: 2 });
    }

    #[test]
    fn cpus_that_are_left_offline_come_back() {
        let plan = plan(vec![event(1, 1, Op::CpuDead), map(2, 1, 10)]);
        assert!(plan.takes_cpus_offline());
        let events = events(vec![recorded(plan)], u64::MAX);
        assert_eq!(events[2..], [event(2, 1, Op::CpuUp), unmap(2, 1)]);
    }

    #[test]
    fn what_cannot_be_mixed_in_is_refused() {
        let refused = |events: Vec<Event>| {
            let error = Recording::new(events, 2).expect_err("impossible");
            error.to_string()
        };
        let free_pfn = event(0, 0, Op::FreePfn { pfn: Pfn(5) });
        assert_eq!(
            refused(vec![map(0, 1, 1), free_pfn]),
            "`trace` is `free_pfn` in event 1, expected requests that name no pfns, among clients"
        );
        assert!(refused(vec![]).contains("empty"));
        assert!(refused(vec![event(0, 2, Op::CpuDead)]).contains("CPU 2 in event 0"));
        assert!(refused(vec![unmap(0, 3)]).contains("id 3 in event 0"));
        assert!(refused(vec![map(0, 3, 1), map(0, 3, 1)]).contains("id 3 in event 1"));
    }
}
