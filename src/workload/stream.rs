//! Request streams: NVMe drives and storage adapters.
//!
//! Jobs keep a fixed number of requests in flight. A request is one buffer, a scatter list
//! taken as a whole, and completes after a time of its own: in random order where that time
//! is random. Each job is a lane: it submits on one CPU and, where the place says so, its
//! requests complete on another.

use super::client::{Asks, Client, Held, On, Place, Port};
use super::distribution::Distribution;
use super::impossible::Impossible;
use super::random::{Draws, Owner};
use super::size::Sizes;
use super::timeline::Timeline;
use iova::units::Nanos;

/// A request stream as a scenario describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPlan {
    /// The sizes of the requests.
    pub sizes: Sizes,
    /// How many jobs submit requests.
    pub jobs: u32,
    /// How many requests a job keeps in flight.
    pub depth: u32,
    /// How long a request takes.
    pub service: Distribution,
    /// How long a job waits after a completion before it submits the next request.
    pub think: Distribution,
}

impl StreamPlan {
    /// Refuses what could not be generated.
    ///
    /// # Errors
    ///
    /// Where requests would take no time.
    pub fn check(&self) -> Result<(), Impossible> {
        Impossible::unless_live("jobs", u64::from(self.jobs))?;
        let requests = u64::from(self.jobs) * u64::from(self.depth);
        Impossible::unless_live("depth", requests)?;
        let at_once = self.service.is_zero() && self.think.is_zero();
        Impossible::unless(!at_once, "service", 0, "above 0, or a `think`")
    }
}

/// A running request stream.
pub struct Stream {
    plan: StreamPlan,
    port: Port,
    agenda: Timeline<Step>,
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
        let mut agenda = Timeline::new();
        for flight in 0..flights {
            agenda.enter(start, Step::Submit(flight));
        }
        Stream {
            plan,
            port: Port::new(place, owner),
            agenda,
            flights: vec![None; flights],
            sizes: owner.draws("sizes"),
            services: owner.draws("services"),
            thinks: owner.draws("thinks"),
        }
    }

    fn job(&self, flight: usize) -> On {
        On::Lane(flight / self.plan.depth as usize)
    }

    fn submit(&mut self, asks: &mut Asks<'_>, flight: usize) {
        let bytes = self.plan.sizes.draw(&mut self.sizes, flight as u64);
        self.flights[flight] = Some(self.port.get(asks, self.job(flight), bytes));
        let at = asks.now().after(self.plan.service.draw(&mut self.services));
        self.agenda.enter(at, Step::Complete(flight));
    }

    fn complete(&mut self, asks: &mut Asks<'_>, flight: usize) {
        if let Some(held) = self.flights[flight].take() {
            self.port.put(asks, self.job(flight), held);
        }
    }
}

impl Client for Stream {
    fn due(&self) -> Option<Nanos> {
        self.agenda.due()
    }

    fn act(&mut self, asks: &mut Asks<'_>) {
        let Some((now, step)) = self.agenda.pop() else {
            return;
        };
        match step {
            Step::Submit(flight) => self.submit(asks, flight),
            Step::Complete(flight) => {
                self.complete(asks, flight);
                let think = self.plan.think.draw(&mut self.thinks);
                self.agenda.enter(now.after(think), Step::Submit(flight));
            }
            Step::Leave(flight) => self.complete(asks, flight),
        }
    }

    /// What is in flight completes at once, in the order of submission.
    fn stop(&mut self, at: Nanos) {
        let mut live: Vec<_> = (0..)
            .zip(&self.flights)
            .filter_map(|(flight, held)| held.map(|held| (held.id, flight)))
            .collect();
        live.sort_unstable();
        self.agenda.clear();
        for (_, flight) in live {
            self.agenda.enter(at, Step::Leave(flight));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::run::Plan;
    use crate::workload::testing::{events, live, mean_live, read, run};

    fn plan() -> StreamPlan {
        StreamPlan {
            sizes: Sizes::list(&[(1, 1), (2, 1)]).expect("possible"),
            jobs: 2,
            depth: 1,
            service: Distribution::fixed(4),
            think: Distribution::fixed(1),
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
            service: Distribution::exponential(300_000),
            think: Distribution::exponential(100_000),
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
            service: Distribution::exponential(1000),
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
        let zero = Distribution::fixed(0);
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
