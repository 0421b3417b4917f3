//! Which clients run, and when.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::churn::ChurnPlan;
use super::client::{ClientPlan, Place};
use super::idle::IdlePlan;
use super::invalid::InvalidConfig;
use super::merge::ScheduledClient;
use super::pool::PoolPlan;
use super::profiled::ProfiledPlan;
use super::random::Owner;
use super::recorded::RecordedPlan;
use super::ring::RingPlan;
use super::stream::StreamPlan;
use iova::units::Nanos;

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Buffer pools: cameras, video, displays, GPUs.
    Pool(PoolPlan),
    /// NIC rings.
    Ring(RingPlan),
    /// Request streams: `NVMe` drives, storage adapters.
    Stream(StreamPlan),
    /// Fills the space; then, in each round, frees one at random, asks for one, and for more.
    Churn(ChurnPlan),
    /// Holds a few buffers for ever, with a short transfer now and then.
    Idle(IdlePlan),
    /// A recorded trace among other clients; it says itself where it asks.
    Recorded(RecordedPlan),
    /// What `profile` found in a trace.
    Profiled(ProfiledPlan),
}

/// A client and when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The name that its random streams are derived from; unique within a workload.
    pub name: String,
    pub plan: Plan,
    /// Where it asks; no matter to a recording, which says so itself.
    pub place: Place,
    pub start: Nanos,
    /// When it gives back what it holds; none where it never does.
    pub stop: Option<Nanos>,
}

/// The clients of a run, in the order that breaks ties. All that it holds can be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    runs: Vec<Run>,
}

impl Plan {
    /// Its name in scenario files, and the plan itself.
    pub fn kind(&self) -> (&'static str, &dyn ClientPlan) {
        match self {
            Plan::Pool(plan) => ("pool", plan),
            Plan::Ring(plan) => ("ring", plan),
            Plan::Stream(plan) => ("stream", plan),
            Plan::Churn(plan) => ("churn", plan),
            Plan::Idle(plan) => ("idle", plan),
            Plan::Recorded(plan) => ("recorded", plan),
            Plan::Profiled(plan) => ("profiled", plan),
        }
    }
}

impl Workload {
    /// The workload of `runs`.
    ///
    /// # Errors
    ///
    /// Where one of them could not be generated, or two share a name.
    pub fn new(runs: Vec<Run>) -> Result<Workload, InvalidConfig> {
        let mut names = BTreeSet::new();
        for run in &runs {
            run.plan.kind().1.check()?;
            let new = names.insert(&run.name);
            InvalidConfig::unless(new, "name", &run.name, "a name of its own")?;
        }
        Ok(Workload { runs })
    }

    /// The clients in order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The clients, ready to run with the randomness of `seed`.
    pub fn clients(&self, seed: u64) -> Vec<ScheduledClient> {
        self.runs.iter().map(|run| run.start(seed)).collect()
    }
}

impl Run {
    /// The client's name in the scenario, where it may begin several times.
    pub fn client(&self) -> &str {
        self.name.split('#').next().unwrap_or_default()
    }

    /// The domains that the client asks.
    pub fn doms(&self) -> BTreeSet<u64> {
        self.plan.kind().1.doms(self.place.dom)
    }

    fn start(&self, seed: u64) -> ScheduledClient {
        let owner = Owner::new(seed, format!("client:{}", self.name));
        let (_, plan) = self.plan.kind();
        ScheduledClient {
            client: plan.start(self.place.clone(), &owner, self.start),
            stop: self.stop,
        }
    }
}
