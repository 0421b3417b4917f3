//! Small idle users: a few buffers held for ever, and a short transfer now and then.
//!
//! A USB controller without traffic is six pages in a domain that others fill.

use super::change::Modes;
use super::client::{Asks, Client, Held, On, Place, Port};
use super::distribution::Distribution;
use super::impossible::Impossible;
use super::pool::{Order, Pool, PoolPlan, Target};
use super::random::Owner;
use super::size::{BYTES_MAX, Sizes};
use iova::units::Nanos;

/// An idle user as a scenario describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdlePlan {
    /// How many buffers it holds all the time.
    pub holds: u32,
    /// How large each of them is, in bytes.
    pub hold_size: u64,
    /// The sizes of its transfers.
    pub sizes: Sizes,
    /// The time between two transfers.
    pub every: Distribution,
    /// How long a transfer takes.
    pub lasts: Distribution,
}

impl IdlePlan {
    /// Refuses what could not be generated.
    ///
    /// # Errors
    ///
    /// Where transfers would follow each other without end at one moment.
    pub fn check(&self) -> Result<(), Impossible> {
        Impossible::unless_live("holds", u64::from(self.holds).max(1))?;
        let possible = (1..=BYTES_MAX).contains(&self.hold_size);
        let expected = "from 1 to 2^48 bytes";
        Impossible::unless(possible, "hold_size", self.hold_size, expected)?;
        Impossible::unless(!self.every.is_zero(), "every", 0, "a time above 0")
    }
}

/// A running idle user.
pub struct Idle {
    plan: IdlePlan,
    port: Port,
    start: Nanos,
    held: Vec<Held>,
    transfers: Pool,
    /// Since when it gives back what it holds.
    stopped: Option<Nanos>,
}

impl Idle {
    /// The user of `plan`, from `start` on.
    pub fn new(plan: IdlePlan, place: Place, owner: &Owner, start: Nanos) -> Idle {
        let transfers = PoolPlan {
            modes: Modes::one(plan.sizes.clone()),
            target: Target::Arrivals(plan.every),
            lifetime: Some(plan.lasts),
            rest: Distribution::fixed(0),
            fill: Nanos(0),
            order: Order::OldestFirst,
        };
        Idle {
            plan,
            port: Port::new(place.clone(), owner),
            start,
            held: Vec::new(),
            transfers: Pool::new(transfers, place, owner, start),
            stopped: None,
        }
    }
}

impl Client for Idle {
    fn due(&self) -> Option<Nanos> {
        match self.stopped {
            Some(at) if !self.held.is_empty() => Some(at),
            None if self.held.len() < self.plan.holds as usize => Some(self.start),
            _ => self.transfers.due(),
        }
    }

    fn act(&mut self, asks: &mut Asks<'_>) {
        if self.stopped.is_some()
            && let Some(held) = self.held.pop()
        {
            self.port.put(asks, On::Lane(self.held.len()), held);
        } else if self.stopped.is_none() && self.held.len() < self.plan.holds as usize {
            let held = self
                .port
                .get(asks, On::Lane(self.held.len()), self.plan.hold_size);
            self.held.push(held);
        } else {
            self.transfers.act(asks);
        }
    }

    fn stop(&mut self, at: Nanos) {
        self.stopped = Some(at);
        self.transfers.stop(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::run::Plan;
    use crate::workload::testing::{events, mean_live, read, run};

    fn plan() -> IdlePlan {
        IdlePlan {
            holds: 2,
            hold_size: 4096,
            sizes: Sizes::fixed(65536).expect("possible"),
            every: Distribution::fixed(10),
            lasts: Distribution::fixed(4),
        }
    }

    #[test]
    fn transfers_come_and_go_beside_what_is_held() {
        let mut run = run("usb", Plan::Idle(plan()));
        run.start = Nanos(100);
        run.stop = Some(Nanos(121));
        assert_eq!(
            read(&events(vec![run], u64::MAX)),
            "100+1:4096 100+2:4096 110+3:65536 114-3 120+4:65536 121-2 121-1 121-4"
        );
    }

    /// 6 held, and 1000 transfers a second of 2 ms each: 8 live on average. The average over
    /// 10 s has a standard deviation of √(2 · 2 · 2 ms / 10 s) = 0.03.
    #[test]
    fn an_idle_user_holds_little() {
        let plan = IdlePlan {
            holds: 6,
            every: Distribution::exponential(1_000_000),
            lasts: Distribution::exponential(2_000_000),
            ..plan()
        };
        let events = events(vec![run("usb", Plan::Idle(plan))], 10_100_000_000);
        let mean = mean_live(&events, 100_000_000, 10_100_000_000);
        assert!((mean - 8.0).abs() < 0.12, "{mean}");
    }

    #[test]
    fn idle_users_that_cannot_be_are_refused() {
        let field = |plan: IdlePlan| plan.check().expect_err("impossible").field;
        assert_eq!(
            field(IdlePlan {
                holds: u32::MAX,
                ..plan()
            }),
            "holds"
        );
        assert_eq!(
            field(IdlePlan {
                hold_size: 0,
                ..plan()
            }),
            "hold_size"
        );
        let every = Distribution::fixed(0);
        assert_eq!(field(IdlePlan { every, ..plan() }), "every");
    }
}
