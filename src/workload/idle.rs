//! Small idle users: a few buffers held for ever, and a short transfer now and then.
//!
//! A USB controller without traffic is six pages in a domain that others fill.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{Client, ClientPlan, CpuChoice, EventSink, Held, Issuer, Place};
use super::distribution::{Delay, Lifetime};
use super::invalid::{InvalidConfig, LIVE_MAX};
use super::pool::{Order, Pool, PoolPlan, Target};
use super::quantity::{Bytes, Time};
use super::random::Owner;
use super::size::{BYTES_MAX, Sizes};
use iova::units::Nanos;

/// An idle user as a scenario describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdlePlan {
    /// How many buffers it holds all the time.
    #[schemars(range(max = LIVE_MAX))]
    pub holds: u32,
    /// How large each of them is: one page if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 1, "maximum" = BYTES_MAX, "pattern" = "[1-9]"))]
    pub hold_size: Option<Bytes>,
    /// The sizes of the transfers.
    pub sizes: Sizes,
    /// The time between two transfers.
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub every: Delay,
    /// How long a transfer takes.
    pub lasts: Delay,
}

impl ClientPlan for IdlePlan {
    fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::unless_live("holds", u64::from(self.holds).max(1))?;
        if let Some(Bytes(size)) = self.hold_size {
            let possible = (1..=BYTES_MAX).contains(&size);
            InvalidConfig::unless(possible, "hold_size", size, "from 1 to 2^48 bytes")?;
        }
        InvalidConfig::unless(!self.every.is_zero(), "every", 0, "a time above 0")
    }

    fn start(&self, place: Place, owner: &Owner, start: Nanos) -> Box<dyn Client> {
        Box::new(Idle::new(self.clone(), place, owner, start))
    }
}

/// A running idle user.
pub struct Idle {
    plan: IdlePlan,
    /// The size of each buffer that is held all the time, in bytes.
    hold_size: u64,
    port: Issuer,
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
            sizes: plan.sizes.clone(),
            keeps: Some(Target::Arrivals(plan.every)),
            lifetime: Lifetime::For(plan.lasts),
            rest: Delay::fixed(0),
            fill: Time(0),
            order: Order::OldestFirst,
            changes: None,
        };
        Idle {
            hold_size: plan.hold_size.map_or(place.granule.bytes(), |size| size.0),
            plan,
            port: Issuer::new(place.clone(), owner),
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

    fn act(&mut self, sink: &mut EventSink<'_>) {
        if self.stopped.is_some()
            && let Some(held) = self.held.pop()
        {
            self.port.put(sink, CpuChoice::Lane(self.held.len()), held);
        } else if self.stopped.is_none() && self.held.len() < self.plan.holds as usize {
            let held = self
                .port
                .get(sink, CpuChoice::Lane(self.held.len()), self.hold_size);
            self.held.push(held);
        } else {
            self.transfers.act(sink);
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
            hold_size: None,
            sizes: Sizes::fixed(65536).expect("possible"),
            every: Delay::fixed(10),
            lasts: Delay::fixed(4),
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
            every: Delay::exponential(1_000_000),
            lasts: Delay::exponential(2_000_000),
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
                hold_size: Some(Bytes(0)),
                ..plan()
            }),
            "hold_size"
        );
        let every = Delay::fixed(0);
        assert_eq!(field(IdlePlan { every, ..plan() }), "every");
    }
}
