//! What a client is, and how it sink.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::cpus::Cpus;
use super::invalid::InvalidConfig;
use super::random::{Draws, Owner};
use crate::trace::event::{Event, Op};
use iova::op::{Got, Path};
use iova::units::{Cpu, Granule, Nanos, Pfn};

/// A user of the allocator: a state machine on virtual time that sees no answers.
pub trait Client: Send {
    /// When it acts next; none once it is done. Never before what was due last.
    fn due(&self) -> Option<Nanos>;

    /// Does what is due now. A burst may take several acts at one moment; an act asks for a
    /// few events at most.
    fn act(&mut self, sink: &mut EventSink<'_>);

    /// Ends it: from `at` on it gives back what it holds, asks for nothing, and is done.
    fn stop(&mut self, at: Nanos);
}

/// A kind of client: a file of this folder has its plan, its state machine and its tests, and
/// [`Plan`](super::Plan) has a row for it.
pub trait ClientPlan {
    /// Refuses what could not be generated.
    ///
    /// # Errors
    ///
    /// Where time would stand still, or the client would hold too much.
    fn check(&self) -> Result<(), InvalidConfig>;

    /// The client, ready to run from `start` on.
    fn start(&self, place: Place, owner: &Owner, start: Nanos) -> Box<dyn Client>;

    /// The domains that it asks where its place has `dom`.
    fn doms(&self, dom: u64) -> BTreeSet<u64> {
        BTreeSet::from([dom])
    }

    /// Whether it takes CPUs offline itself.
    fn takes_cpus_offline(&self) -> bool {
        false
    }
}

/// An event and the number of the client that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedEvent {
    /// The client's place in the order of clients.
    pub client: usize,
    pub event: Event,
}

/// Where a client's events go; gives every allocation an id of its own, ascending from 1.
pub struct EventSink<'a> {
    pub(super) now: Nanos,
    pub(super) client: usize,
    pub(super) last_id: &'a mut u64,
    pub(super) events: &'a mut VecDeque<TaggedEvent>,
}

impl EventSink<'_> {
    /// The moment of the act.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The first of `count` ids in a row that no other allocation of the trace has.
    pub(super) fn fresh_ids(&mut self, count: u64) -> u64 {
        let first = *self.last_id + 1;
        *self.last_id += count;
        first
    }

    /// Issues `op` of domain `dom` on `cpu`.
    pub fn ask(&mut self, cpu: Cpu, dom: u64, op: Op) {
        let event = Event {
            at: self.now,
            cpu,
            dom,
            op,
        };
        self.events.push_back(TaggedEvent {
            client: self.client,
            event,
        });
    }
}

/// The level at which a client sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiLevel {
    /// `alloc` and `free`: the IOVA allocator itself.
    Iova {
        /// The highest pfn that may be handed out.
        limit: Pfn,
        /// Through the caches or straight from the tree.
        path: Path,
    },
    /// `map` and `unmap`: the DMA API above it.
    Dma {
        /// The highest address that the device reaches.
        mask: u64,
        /// Whether it is a PCI device.
        pci: bool,
        /// The device's name within its domain.
        dev: Option<Arc<str>>,
    },
}

/// Where a client asks: of which domain, at which level, on which CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub dom: u64,
    /// What sizes in bytes are rounded up to: the size of a page.
    pub granule: Granule,
    /// The level at which it asks.
    pub level: ApiLevel,
    /// The CPUs that allocate.
    pub cpus: Cpus,
    /// The CPUs that free; none where a buffer is freed on the CPU that it came by.
    pub free_cpus: Option<Cpus>,
}

/// Which of a place's CPUs sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CpuChoice {
    /// Any, drawn each time.
    Any,
    /// The one of a lane.
    Lane(usize),
}

/// A live buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) id: u64,
    pub(super) bytes: u64,
    cpu: Cpu,
}

/// A client's way to its place.
#[derive(Debug)]
pub(super) struct Issuer {
    place: Place,
    cpu_draws: Draws,
    free_cpu_draws: Draws,
}

impl Issuer {
    pub(super) fn new(place: Place, owner: &Owner) -> Issuer {
        Issuer {
            place,
            cpu_draws: owner.draws("cpus"),
            free_cpu_draws: owner.draws("free-cpus"),
        }
    }

    /// Allocates a buffer of `bytes`.
    pub(super) fn get(&mut self, sink: &mut EventSink<'_>, on: CpuChoice, bytes: u64) -> Held {
        let id = sink.fresh_ids(1);
        let cpu = match on {
            CpuChoice::Any => self.place.cpus.any(&mut self.cpu_draws),
            CpuChoice::Lane(lane) => self.place.cpus.of_lane(lane),
        };
        let got = Got::Unrecorded;
        let op = match &self.place.level {
            ApiLevel::Iova { limit, path } => Op::Alloc {
                id,
                pages: self.place.granule.pages(bytes),
                limit: *limit,
                path: *path,
                got,
            },
            ApiLevel::Dma { mask, pci, dev } => Op::Map {
                id,
                bytes,
                mask: *mask,
                pci: *pci,
                dev: dev.clone(),
                got,
            },
        };
        sink.ask(cpu, self.place.dom, op);
        Held { id, bytes, cpu }
    }

    /// Gives a buffer back.
    pub(super) fn put(&mut self, sink: &mut EventSink<'_>, on: CpuChoice, held: Held) {
        let cpu = match (&self.place.free_cpus, on) {
            (None, _) => held.cpu,
            (Some(cpus), CpuChoice::Any) => cpus.any(&mut self.free_cpu_draws),
            (Some(cpus), CpuChoice::Lane(lane)) => cpus.of_lane(lane),
        };
        let op = match self.place.level {
            ApiLevel::Iova { .. } => Op::Free { id: held.id },
            ApiLevel::Dma { .. } => Op::Unmap { id: held.id },
        };
        sink.ask(cpu, self.place.dom, op);
    }
}
