//! A scenario that can be run: the events of each of its seeds.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::expect::Expectation;
use crate::fault::{self, Fault};
use crate::trace::event::{Event, Header, Op};
use crate::workload::{Run, Workload};
use iova::kernel::Allocator;
use iova::measure::Sampling;
use iova::units::{Cpu, Nanos, Pfn, PfnRange};

/// A scenario in which everything can be run.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    /// What it shows and what to look at.
    pub shows: String,
    /// The allocators, the one to compare with first.
    pub allocators: Vec<Allocator>,
    /// The seeds, each of them once; a recorded trace has a single 0, which means nothing.
    pub seeds: Vec<u64>,
    /// How often the address space is looked at.
    pub sampling: Option<Sampling>,
    /// What the result is held to.
    pub expectations: Vec<Expectation>,
    pub(super) header: Header,
    pub(super) source: Source,
    pub(super) events_max: Option<u64>,
}

/// Where the events come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Trace(Arc<[Event]>),
    Clients(Box<Clients>),
}

/// What makes events up.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) workload: Workload,
    pub(super) faults: Vec<Fault>,
    pub(super) reserved: Vec<PfnRange>,
    pub(super) limit: Pfn,
    pub(super) until: Option<Nanos>,
}

impl Scenario {
    /// What the trace of a seed begins with.
    pub fn header(&self, seed: u64) -> Header {
        let mut header = self.header.clone();
        if let Source::Clients(_) = self.source {
            header.name = Some(self.name.clone());
            header.source = Some(format!("scenario {}, seed {seed}", self.name));
        }
        header
    }

    /// A seed as results have it: a recorded trace has none.
    pub fn in_results(&self, seed: u64) -> Option<u64> {
        matches!(self.source, Source::Clients(_)).then_some(seed)
    }

    /// The highest pfn for clients that do not say otherwise; none for a recorded trace.
    pub fn limit(&self) -> Option<Pfn> {
        match &self.source {
            Source::Trace(_) => None,
            Source::Clients(clients) => Some(clients.limit),
        }
    }

    /// The events of a seed: the same for every allocator.
    pub fn events(&self, seed: u64) -> Box<dyn Iterator<Item = Event> + Send> {
        let most = self.events_max.unwrap_or(u64::MAX);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        match &self.source {
            Source::Trace(events) => {
                let events = Arc::clone(events);
                let events = (0..events.len()).map(move |index| events[index].clone());
                Box::new(events.take(most))
            }
            Source::Clients(clients) => {
                let events = clients.events(seed, self.header.cpus);
                Box::new(clients.reservations().into_iter().chain(events).take(most))
            }
        }
    }
}

impl Clients {
    fn events(&self, seed: u64, cpus: u32) -> impl Iterator<Item = Event> + Send + use<> {
        fault::inject(&self.faults, &self.workload, seed, cpus, self.until)
    }

    /// What puts the reserved pfns out of use in every domain, before anything else.
    fn reservations(&self) -> Vec<Event> {
        let doms: BTreeSet<u64> = self.workload.runs().iter().flat_map(Run::doms).collect();
        let reservation = |dom: u64, &range: &PfnRange| Event {
            at: Nanos(0),
            cpu: Cpu(0),
            dom,
            op: Op::Reserve { range },
        };
        let of_dom = |dom| {
            self.reserved
                .iter()
                .map(move |range| reservation(dom, range))
        };
        doms.into_iter().flat_map(of_dom).collect()
    }
}
