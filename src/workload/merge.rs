//! Turns clients into one stream of events: by time, ties in the order of the clients.
//!
//! Memory is what is live: clients act when their time has come, and no further ahead.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::client::{Client, EventSink, TaggedEvent};
use iova::units::Nanos;

/// A client and when it is to stop; none to let it run on.
pub struct ScheduledClient {
    pub client: Box<dyn Client>,
    /// From when on it gives back what it holds.
    pub stop: Option<Nanos>,
}

/// The events of many clients.
pub struct Merge {
    clients: Vec<ScheduledClient>,
    agenda: BinaryHeap<Reverse<(Nanos, usize)>>,
    events: VecDeque<TaggedEvent>,
    last_id: u64,
}

impl Merge {
    /// The events of `clients`, whose order breaks ties.
    pub fn new(clients: Vec<ScheduledClient>) -> Merge {
        let mut merge = Merge {
            agenda: BinaryHeap::with_capacity(clients.len()),
            clients,
            events: VecDeque::new(),
            last_id: 0,
        };
        for number in 0..merge.clients.len() {
            merge.put_down(number);
        }
        merge
    }

    /// Notes when a client comes next: to act, or to be stopped.
    fn put_down(&mut self, number: usize) {
        let stint = &self.clients[number];
        let next = match (stint.client.due(), stint.stop) {
            (Some(due), Some(stop)) => Some(due.min(stop)),
            (due, stop) => due.or(stop),
        };
        self.agenda.extend(next.map(|at| Reverse((at, number))));
    }

    /// Lets the client act whose turn is at `now`, or stops it.
    fn take_turn(&mut self, now: Nanos, number: usize) {
        let stint = &mut self.clients[number];
        if let Some(stop) = stint.stop.take_if(|stop| *stop <= now) {
            stint.client.stop(stop);
        } else {
            stint.client.act(&mut EventSink {
                now,
                client: number,
                last_id: &mut self.last_id,
                events: &mut self.events,
            });
        }
        self.put_down(number);
    }
}

impl Iterator for Merge {
    type Item = TaggedEvent;

    fn next(&mut self) -> Option<TaggedEvent> {
        while self.events.is_empty() {
            let Reverse((now, number)) = self.agenda.pop()?;
            self.take_turn(now, number);
        }
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::event::{Event, Op};
    use crate::workload::distribution::{Delay, Lifetime};
    use crate::workload::pool::{Order, PoolPlan, Target};
    use crate::workload::quantity::Time;
    use crate::workload::run::{Plan, Run, Workload};
    use crate::workload::size::Sizes;
    use crate::workload::testing::{events, read, run};

    fn pool(name: &str, bytes: u64, interval: Delay) -> Run {
        let sizes = Sizes::fixed(bytes).expect("possible");
        let plan = PoolPlan {
            sizes,
            keeps: Some(Target::Arrivals(interval)),
            lifetime: Lifetime::For(Delay::exponential(50)),
            rest: Delay::fixed(0),
            fill: Time(0),
            order: Order::OldestFirst,
            changes: None,
        };
        run(name, Plan::Pool(plan))
    }

    #[test]
    fn ties_go_in_the_order_of_clients() {
        let ten = Delay::fixed(10);
        let story = read(&events(vec![pool("b", 1, ten), pool("a", 2, ten)], 11));
        assert_eq!(story, "10+1:1 10+2:2");
    }

    #[test]
    fn a_client_that_stops_gives_back_before_its_successor_begins() {
        let ten = Delay::fixed(10);
        let mut first = pool("pool", 1, ten);
        first.stop = Some(Nanos(15));
        let mut second = pool("pool again", 2, ten);
        second.start = Nanos(15);
        let story = read(&events(vec![first, second], 26));
        assert!(story.starts_with("10+1:1 15-1 25+2:2"), "{story}");
    }

    /// The events of the client `number`, without the ids.
    fn of_client(runs: Vec<Run>, number: usize) -> Vec<(Nanos, Option<u64>)> {
        let workload = Workload::new(runs).expect("possible");
        let size = |event: &Event| match event.op {
            Op::Map { bytes, .. } => Some(bytes),
            _ => None,
        };
        Merge::new(workload.clients(1))
            .filter(|sourced| sourced.client == number)
            .take(500)
            .map(|sourced| (sourced.event.at, size(&sourced.event)))
            .collect()
    }

    #[test]
    fn a_client_more_shifts_nobody_elses_draws() {
        let interval = Delay::exponential(10);
        let alone = of_client(vec![pool("a", 1, interval)], 0);
        let among = vec![pool("b", 2, interval), pool("a", 1, interval)];
        assert_eq!(of_client(among, 1), alone);
        let other = of_client(vec![pool("c", 1, interval)], 0);
        assert_ne!(other, alone);
    }

    #[test]
    fn names_are_unique() {
        let ten = Delay::fixed(10);
        let error = Workload::new(vec![pool("a", 1, ten), pool("a", 1, ten)]);
        assert_eq!(error.expect_err("twice").field, "name");
    }
}
