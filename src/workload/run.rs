//! Which clients run, and when.

use std::collections::BTreeSet;

use super::churn::{Churn, ChurnPlan};
use super::client::{Client, Place};
use super::idle::{Idle, IdlePlan};
use super::impossible::Impossible;
use super::merge::Stint;
use super::pool::{Pool, PoolPlan};
use super::profiled::{Profiled, ProfiledPlan};
use super::random::Owner;
use super::recorded::{Recorded, RecordedPlan};
use super::ring::{Ring, RingPlan};
use super::stream::{Stream, StreamPlan};
use iova::units::Nanos;

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the plans say it")]
pub enum Plan {
    Pool(PoolPlan),
    Ring(RingPlan),
    Stream(StreamPlan),
    Churn(ChurnPlan),
    Idle(IdlePlan),
    Recorded(RecordedPlan),
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
    /// Refuses what could not be generated.
    ///
    /// # Errors
    ///
    /// As the plans say.
    pub fn check(&self) -> Result<(), Impossible> {
        match self {
            Plan::Pool(plan) => plan.check(),
            Plan::Ring(plan) => plan.check(),
            Plan::Stream(plan) => plan.check(),
            Plan::Churn(plan) => plan.check(),
            Plan::Idle(plan) => plan.check(),
            Plan::Recorded(plan) => plan.check(),
            Plan::Profiled(plan) => plan.check(),
        }
    }
}

impl Workload {
    /// The workload of `runs`.
    ///
    /// # Errors
    ///
    /// Where one of them could not be generated, or two share a name.
    pub fn new(runs: Vec<Run>) -> Result<Workload, Impossible> {
        let mut names = BTreeSet::new();
        for run in &runs {
            run.plan.check()?;
            let new = names.insert(&run.name);
            Impossible::unless(new, "name", &run.name, "a name of its own")?;
        }
        Ok(Workload { runs })
    }

    /// The clients in order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The clients, ready to run with the randomness of `seed`.
    pub fn stints(&self, seed: u64) -> Vec<Stint> {
        self.runs.iter().map(|run| run.stint(seed)).collect()
    }
}

impl Run {
    /// The domains that the client asks, not all different.
    pub fn doms(&self) -> impl Iterator<Item = u64> + '_ {
        let recorded = match &self.plan {
            Plan::Recorded(plan) => Some(plan.doms()),
            _ => None,
        };
        let own = recorded.is_none().then_some(self.place.dom);
        recorded.into_iter().flatten().chain(own)
    }

    fn stint(&self, seed: u64) -> Stint {
        let owner = &Owner::new(seed, format!("client:{}", self.name));
        let (place, start) = (self.place.clone(), self.start);
        let client: Box<dyn Client> = match self.plan.clone() {
            Plan::Pool(plan) => Box::new(Pool::new(plan, place, owner, start)),
            Plan::Ring(plan) => Box::new(Ring::new(plan, place, owner, start)),
            Plan::Stream(plan) => Box::new(Stream::new(plan, place, owner, start)),
            Plan::Churn(plan) => Box::new(Churn::new(plan, place, owner, start)),
            Plan::Idle(plan) => Box::new(Idle::new(plan, place, owner, start)),
            Plan::Recorded(plan) => Box::new(Recorded::new(plan, start)),
            Plan::Profiled(plan) => Box::new(Profiled::new(plan, place, owner, start)),
        };
        Stint {
            client,
            stop: self.stop,
        }
    }
}
