//! Full-space churn: fills the space, then frees at random and asks for more than is free.
//!
//! A round frees a random buffer, asks for one, and then for `extra` more, which a full space
//! cannot grant; those are given back at once, whatever the answer was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{Client, ClientPlan, CpuChoice, EventSink, Held, Issuer, Place};
use super::distribution::Delay;
use super::invalid::{InvalidConfig, LIVE_MAX};
use super::quantity::one;
use super::random::{Draws, Owner};
use super::size::Sizes;
use iova::units::Nanos;

/// Churn as a scenario describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChurnPlan {
    /// The sizes of the buffers.
    pub sizes: Sizes,
    /// How many buffers fill the space.
    #[schemars(range(min = 1, max = LIVE_MAX))]
    pub count: u32,
    /// How many more a round asks for.
    #[serde(default = "one")]
    #[schemars(range(max = LIVE_MAX))]
    pub extra: u32,
    /// The time between two rounds.
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub every: Delay,
}

impl ClientPlan for ChurnPlan {
    fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::unless_live("count", u64::from(self.count))?;
        let extra = u64::from(self.extra).max(1);
        InvalidConfig::unless_live("extra", extra)?;
        InvalidConfig::unless(!self.every.is_zero(), "every", 0, "a time above 0")
    }

    fn start(&self, place: Place, owner: &Owner, start: Nanos) -> Box<dyn Client> {
        Box::new(Churn::new(self.clone(), place, owner, start))
    }
}

/// Running churn.
pub struct Churn {
    plan: ChurnPlan,
    port: Issuer,
    due: Option<Nanos>,
    live: Vec<Held>,
    asked: u64,
    stopping: bool,
    sizes: Draws,
    victims: Draws,
    rounds: Draws,
}

impl Churn {
    /// The churn of `plan`, from `start` on.
    pub fn new(plan: ChurnPlan, place: Place, owner: &Owner, start: Nanos) -> Churn {
        Churn {
            plan,
            port: Issuer::new(place, owner),
            due: Some(start),
            live: Vec::new(),
            asked: 0,
            stopping: false,
            sizes: owner.draws("sizes"),
            victims: owner.draws("victims"),
            rounds: owner.draws("rounds"),
        }
    }

    fn get(&mut self, sink: &mut EventSink<'_>) -> Held {
        let bytes = self.plan.sizes.draw(&mut self.sizes, self.asked);
        self.asked += 1;
        self.port.get(sink, CpuChoice::Any, bytes)
    }

    fn round(&mut self, sink: &mut EventSink<'_>) {
        let victim = self.live.swap_remove(self.victims.index(self.live.len()));
        self.port.put(sink, CpuChoice::Any, victim);
        let successor = self.get(sink);
        self.live.push(successor);
        let extra: Vec<Held> = (0..self.plan.extra).map(|_| self.get(sink)).collect();
        for held in extra {
            self.port.put(sink, CpuChoice::Any, held);
        }
    }
}

impl Client for Churn {
    fn due(&self) -> Option<Nanos> {
        self.due
    }

    fn act(&mut self, sink: &mut EventSink<'_>) {
        let full = self.live.len() >= self.plan.count as usize;
        if self.stopping {
            if let Some(held) = self.live.pop() {
                self.port.put(sink, CpuChoice::Any, held);
            }
            self.due = (!self.live.is_empty()).then(|| sink.now());
        } else if full {
            self.round(sink);
            self.due = Some(sink.now().after(self.plan.every.draw(&mut self.rounds)));
        } else {
            let held = self.get(sink);
            self.live.push(held);
        }
    }

    /// The newest buffer goes first.
    fn stop(&mut self, at: Nanos) {
        self.stopping = true;
        self.due = (!self.live.is_empty()).then_some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::run::Plan;
    use crate::workload::testing::{events, read, run};

    fn plan() -> ChurnPlan {
        ChurnPlan {
            sizes: Sizes::fixed(4096).expect("possible"),
            count: 3,
            extra: 1,
            every: Delay::fixed(10),
        }
    }

    #[test]
    fn rounds_free_one_take_one_and_ask_for_one_more() {
        let mut run = run("churn", Plan::Churn(plan()));
        run.stop = Some(Nanos(15));
        assert_eq!(
            read(&events(vec![run], u64::MAX)),
            "0+1:4096 0+2:4096 0+3:4096 0-3 0+4:4096 0+5:4096 0-5 \
             10-4 10+6:4096 10+7:4096 10-7 15-6 15-2 15-1"
        );
    }

    #[test]
    fn churn_that_cannot_be_is_refused() {
        let field = |plan: ChurnPlan| plan.check().expect_err("impossible").field;
        assert_eq!(field(ChurnPlan { count: 0, ..plan() }), "count");
        assert_eq!(
            field(ChurnPlan {
                extra: u32::MAX,
                ..plan()
            }),
            "extra"
        );
        let every = Delay::fixed(0);
        assert_eq!(field(ChurnPlan { every, ..plan() }), "every");
    }
}
