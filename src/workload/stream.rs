//! Request streams: NVMe drives and storage adapters.
//!
//! Jobs keep a fixed number of requests in flight. A request is one buffer, a scatter list
//! taken as a whole, and completes after a time of its own: in random order where that time
//! is random. Each job is a lane: it submits on one CPU and, where the place says so, its
//! requests complete on another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{Client, ClientPlan, CpuChoice, EventSink, Held, Issuer, Place};
use super::distribution::Delay;
use super::event_queue::EventQueue;
use super::invalid::{InvalidConfig, LIVE_MAX};
use super::quantity::{is_default, one};
use super::random::{Draws, Owner};
use super::size::Sizes;
use iova::units::Nanos;

/// A request stream as a scenario describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamPlan {
    /// The sizes of the requests.
    pub sizes: Sizes,
    /// How many jobs submit requests; they take the CPUs in turn.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = LIVE_MAX))]
    pub jobs: u32,
    /// How many requests a job keeps in flight.
    #[schemars(range(min = 1, max = LIVE_MAX))]
    pub depth: u32,
    /// How long a request takes.
    pub service: Delay,
    /// How long a job waits after a completion before it submits the next request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub think: Delay,
}

impl ClientPlan for StreamPlan {
    fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::unless_live("jobs", u64::from(self.jobs))?;
        let requests = u64::from(self.jobs) * u64::from(self.depth);
        InvalidConfig::unless_live("depth", requests)?;
        let at_once = self.service.is_zero() && self.think.is_zero();
        InvalidConfig::unless(!at_once, "service", 0, "above 0, or a `think`")
    }

    fn start(&self, place: Place, owner: &Owner, start: Nanos) -> Box<dyn Client> {
        Box::new(Stream::new(self.clone(), place, owner, start))
    }
}

/// A running request stream.
pub struct Stream {
    plan: StreamPlan,
    port: Issuer,
    queue: EventQueue<Step>,
    /// The requests in flight, `depth` places a job.
    flights: Vec<Option<Held>>,
    sizes: Draws,
    services: Draws,
    thinks: Draws,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Submit(usize),
    Complete(usize),
    Leave(usize),
}

impl Stream {
    /// The stream of `plan`, from `start` on.
    pub fn new(plan: StreamPlan, place: Place, owner: &Owner, start: Nanos) -> Stream {
        let flights = plan.jobs as usize * plan.depth as usize;
        let mut queue = EventQueue::new();
        for flight in 0..flights {
            queue.push(start, Step::Submit(flight));
        }
        Stream {
            plan,
            port: Issuer::new(place, owner),
            queue,
            flights: vec![None; flights],
            sizes: owner.draws("sizes"),
            services: owner.draws("services"),
            thinks: owner.draws("thinks"),
        }
    }

    fn job(&self, flight: usize) -> CpuChoice {
        CpuChoice::Lane(flight / self.plan.depth as usize)
    }

    fn submit(&mut self, sink: &mut EventSink<'_>, flight: usize) {
        let bytes = self.plan.sizes.draw(&mut self.sizes, flight as u64);
        self.flights[flight] = Some(self.port.get(sink, self.job(flight), bytes));
        let at = sink.now().after(self.plan.service.draw(&mut self.services));
        self.queue.push(at, Step::Complete(flight));
    }

    fn complete(&mut self, sink: &mut EventSink<'_>, flight: usize) {
        if let Some(held) = self.flights[flight].take() {
            self.port.put(sink, self.job(flight), held);
        }
    }
}

impl Client for Stream {
    fn due(&self) -> Option<Nanos> {
        self.queue.due()
    }

    fn act(&mut self, sink: &mut EventSink<'_>) {
        let Some((now, step)) = self.queue.pop() else {
            return;
        };
        match step {
            Step::Submit(flight) => self.submit(sink, flight),
            Step::Complete(flight) => {
                self.complete(sink, flight);
                let think = self.plan.think.draw(&mut self.thinks);
                self.queue.push(now.after(think), Step::Submit(flight));
            }
            Step::Leave(flight) => self.complete(sink, flight),
        }
    }

    /// What is in flight completes at once, in the order of submission.
    fn stop(&mut self, at: Nanos) {
        let mut live: Vec<_> = (0..)
            .zip(&self.flights)
            .filter_map(|(flight, held)| held.map(|held| (held.id, flight)))
            .collect();
        live.sort_unstable();
        self.queue.clear();
        for (_, flight) in live {
            self.queue.push(at, Step::Leave(flight));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::run::Plan;
    use crate::workload::testing::{events, list, live, mean_live, read, run};

    fn plan() -> StreamPlan {
        StreamPlan {
            sizes: list(&[(1, 1), (2, 1)]),
            jobs: 2,
            depth: 1,
            service: Delay::fixed(4),
            think: Delay::fixed(1),
        }
    }

    #[test]
    fn jobs_keep_their_depth_on_their_cpus() {
        let mut run = run("drive", Plan::Stream(plan()));
        run.place.cpus = "0-1".parse().expect("a list");
        run.stop = Some(Nanos(6));
        assert_eq!(
            read(&events(vec![run], u64::MAX)),
            "0+1:1 0+2:2@1 4-1 4-2@1 5+3:1 5+4:2@1 6-3 6-4@1"
        );
    }

    /// 4 jobs of depth 32 with requests that take 300 µs and 100 µs of thinking have
    /// 128 · 300 / 400 = 96 in flight. Each flight's share of time has a standard deviation of
    /// about √(2 · 0.75 · 0.25 · 75 µs / 400 ms) = 0.8 %, the sum of 128 one of 0.12.
    #[test]
    fn a_closed_loop_has_its_share_of_time_in_flight() {
        let plan = StreamPlan {
            jobs: 4,
            depth: 32,
            service: Delay::exponential(300_000),
            think: Delay::exponential(100_000),
            ..plan()
        };
        let events = events(vec![run("drive", Plan::Stream(plan))], 410_000_000);
        assert!(live(&events).iter().all(|&(count, _)| count <= 128));
        let mean = mean_live(&events, 10_000_000, 410_000_000);
        assert!((mean - 96.0).abs() < 0.5, "{mean}");
    }

    #[test]
    fn requests_complete_out_of_order() {
        let plan = StreamPlan {
            depth: 8,
            service: Delay::exponential(1000),
            ..plan()
        };
        let mut run = run("pinned", Plan::Stream(plan));
        run.stop = Some(Nanos(100));
        let story = read(&events(vec![run], 100));
        assert!(
            story.ends_with(" 0+16:2 60-8 61+17:2 81-11 82+18:1"),
            "{story}"
        );
    }

    #[test]
    fn streams_that_cannot_be_are_refused() {
        let field = |plan: StreamPlan| plan.check().expect_err("impossible").field;
        assert_eq!(field(StreamPlan { jobs: 0, ..plan() }), "jobs");
        assert_eq!(field(StreamPlan { depth: 0, ..plan() }), "depth");
        let zero = Delay::fixed(0);
        assert_eq!(
            field(StreamPlan {
                service: zero,
                think: zero,
                ..plan()
            }),
            "service"
        );
    }
}
