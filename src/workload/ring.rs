//! NIC rings: buffers that are posted and completed in order.
//!
//! Each queue is a lane: it allocates on one CPU and, where the place says so, frees on
//! another. A completion frees the queue's oldest buffer and posts a new one. A change (another
//! MTU) frees all queues, one after the other, and fills them again with other sizes.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{Change, Changes, SizePhases};
use super::client::{Client, ClientPlan, CpuChoice, EventSink, Held, Issuer, Place};
use super::distribution::Delay;
use super::event_queue::EventQueue;
use super::invalid::{InvalidConfig, LIVE_MAX};
use super::quantity::one;
use super::random::{Draws, Owner};
use super::size::Sizes;
use iova::units::Nanos;

/// The largest number of queues.
const QUEUES_MAX: u32 = 1 << 16;

/// A device's rings as a scenario describes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RingPlan {
    /// The sizes of the buffers.
    pub sizes: Sizes,
    /// How many queues there are; they take the CPUs in turn.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = QUEUES_MAX))]
    pub queues: u32,
    /// How many buffers each holds.
    #[schemars(range(min = 1, max = LIVE_MAX))]
    pub depth: u32,
    /// The time between two completions of a queue.
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub every: Delay,
    /// Changes of the sizes, each of which frees all queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
}

impl ClientPlan for RingPlan {
    fn check(&self) -> Result<(), InvalidConfig> {
        let possible = (1..=QUEUES_MAX).contains(&self.queues);
        let expected = format!("from 1 to {QUEUES_MAX}");
        InvalidConfig::unless(possible, "queues", self.queues, expected)?;
        self.changes.as_ref().map_or(Ok(()), Changes::check)?;
        let buffers = u64::from(self.queues) * u64::from(self.depth);
        InvalidConfig::unless_live("depth", buffers)?;
        InvalidConfig::unless(!self.every.is_zero(), "every", 0, "a time above 0")
    }

    fn start(&self, place: Place, owner: &Owner, start: Nanos) -> Box<dyn Client> {
        Box::new(Ring::new(self.clone(), place, owner, start))
    }
}

impl RingPlan {
    fn phases(&self) -> SizePhases<'_> {
        SizePhases {
            first: &self.sizes,
            changes: self.changes.as_ref(),
        }
    }
}

/// Running rings.
pub struct Ring {
    plan: RingPlan,
    port: Issuer,
    agenda: EventQueue<Step>,
    queues: Vec<VecDeque<Held>>,
    change: Change,
    posted: u64,
    stopping: bool,
    sizes: Draws,
    completions: Draws,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Post to a queue that is being filled.
    Fill(usize),
    Complete(usize),
    Change,
    Leave,
}

impl Ring {
    /// The rings of `plan`, from `start` on.
    pub fn new(plan: RingPlan, place: Place, owner: &Owner, start: Nanos) -> Ring {
        let mut ring = Ring {
            port: Issuer::new(place, owner),
            agenda: EventQueue::new(),
            queues: vec![VecDeque::new(); plan.queues as usize],
            change: Change::new(owner),
            posted: 0,
            stopping: false,
            sizes: owner.draws("sizes"),
            completions: owner.draws("completions"),
            plan,
        };
        ring.open(start);
        ring
    }

    /// Begins to fill the queues, and notes when the sizes change next.
    fn open(&mut self, now: Nanos) {
        for queue in 0..self.queues.len() {
            self.agenda.push(now, Step::Fill(queue));
        }
        if let Some(at) = self.change.next(self.plan.phases(), now) {
            self.agenda.push(at, Step::Change);
        }
    }

    fn post(&mut self, sink: &mut EventSink<'_>, queue: usize) {
        let sizes = self.change.sizes(self.plan.phases());
        let bytes = sizes.draw(&mut self.sizes, self.posted);
        self.posted += 1;
        let held = self.port.get(sink, CpuChoice::Lane(queue), bytes);
        self.queues[queue].push_back(held);
    }

    /// Frees the queue's oldest buffer; whether there was one.
    fn retire(&mut self, sink: &mut EventSink<'_>, queue: usize) -> bool {
        let oldest = self.queues[queue].pop_front();
        if let Some(held) = oldest {
            self.port.put(sink, CpuChoice::Lane(queue), held);
        }
        oldest.is_some()
    }

    fn await_completion(&mut self, now: Nanos, queue: usize) {
        let at = now.after(self.plan.every.draw(&mut self.completions));
        self.agenda.push(at, Step::Complete(queue));
    }

    fn leave(&mut self, now: Nanos) {
        self.agenda.clear();
        self.agenda.push(now, Step::Leave);
    }

    /// Frees the next buffer of rings that go.
    fn leave_on(&mut self, sink: &mut EventSink<'_>) {
        let full = self.queues.iter().position(|queue| !queue.is_empty());
        if let Some(queue) = full {
            self.retire(sink, queue);
            self.agenda.push(sink.now(), Step::Leave);
        } else if !self.stopping {
            self.open(sink.now().after(self.plan.phases().pause().0));
        }
    }
}

impl Client for Ring {
    fn due(&self) -> Option<Nanos> {
        self.agenda.due()
    }

    fn act(&mut self, sink: &mut EventSink<'_>) {
        let Some((now, step)) = self.agenda.pop() else {
            return;
        };
        match step {
            Step::Fill(queue) => {
                self.post(sink, queue);
                if self.queues[queue].len() < self.plan.depth as usize {
                    self.agenda.push(now, Step::Fill(queue));
                } else {
                    self.await_completion(now, queue);
                }
            }
            Step::Complete(queue) => {
                self.retire(sink, queue);
                self.post(sink, queue);
                self.await_completion(now, queue);
            }
            Step::Change => {
                self.change.turn();
                self.leave(now);
            }
            Step::Leave => self.leave_on(sink),
        }
    }

    fn stop(&mut self, at: Nanos) {
        self.stopping = true;
        self.leave(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::quantity::Time;
    use crate::workload::run::Plan;
    use crate::workload::size::Sizes;
    use crate::workload::testing::{events, live, read, run};

    fn sizes(bytes: u64) -> Sizes {
        Sizes::fixed(bytes).expect("possible")
    }

    fn plan() -> RingPlan {
        RingPlan {
            sizes: sizes(4096),
            queues: 2,
            depth: 2,
            every: Delay::fixed(10),
            changes: None,
        }
    }

    #[test]
    fn queues_complete_in_order_on_their_cpus() {
        let mut run = run("ring", Plan::Ring(plan()));
        run.place.cpus = "0-1".parse().expect("a list");
        run.place.free_cpus = Some("7".parse().expect("a list"));
        assert_eq!(
            read(&events(vec![run], 30)),
            "0+1:4096 0+2:4096@1 0+3:4096 0+4:4096@1 \
             10-1@7 10+5:4096 10-2@7 10+6:4096@1 20-3@7 20+7:4096 20-4@7 20+8:4096@1"
        );
    }

    #[test]
    fn a_change_frees_the_queues_and_fills_them_again() {
        let plan = RingPlan {
            sizes: sizes(1),
            changes: Some(Changes {
                every: Delay::fixed(15),
                pause: Time(2),
                to: vec![sizes(2)],
            }),
            ..plan()
        };
        let story = read(&events(vec![run("ring", Plan::Ring(plan))], 20));
        assert_eq!(
            story,
            "0+1:1 0+2:1 0+3:1 0+4:1 10-1 10+5:1 10-2 10+6:1 \
             15-3 15-5 15-4 15-6 17+7:2 17+8:2 17+9:2 17+10:2"
        );
    }

    /// 3 queues of 64 hold 192 buffers; in 1 ms each completes 1 ms / 500 ns = 2000 times.
    #[test]
    fn a_ring_is_always_full_and_completes_at_its_rate() {
        let plan = RingPlan {
            queues: 3,
            depth: 64,
            every: Delay::exponential(500),
            ..plan()
        };
        let events = events(vec![run("ring", Plan::Ring(plan))], 1_000_000);
        let live = live(&events);
        assert!(
            live[191..]
                .iter()
                .all(|&(count, _)| count == 192 || count == 191)
        );
        let completions = (events.len() - 192) / 2;
        // Standard deviation: √6000 = 77.
        assert!(completions.abs_diff(6000) < 310, "{completions}");
    }

    #[test]
    fn a_stopped_ring_gives_everything_back() {
        let mut run = run("ring", Plan::Ring(plan()));
        run.stop = Some(Nanos(10));
        let story = read(&events(vec![run], u64::MAX));
        assert_eq!(
            story,
            "0+1:4096 0+2:4096 0+3:4096 0+4:4096 10-1 10-3 10-2 10-4"
        );
    }

    #[test]
    fn rings_that_cannot_be_are_refused() {
        let field = |plan: RingPlan| plan.check().expect_err("impossible").field;
        assert_eq!(
            field(RingPlan {
                queues: 0,
                ..plan()
            }),
            "queues"
        );
        assert_eq!(
            field(RingPlan {
                depth: 1 << 24,
                ..plan()
            }),
            "depth"
        );
        let every = Delay::fixed(0);
        assert_eq!(field(RingPlan { every, ..plan() }), "every");
    }
}
