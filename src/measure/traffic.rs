//! What callers ask for, whatever an allocator answers: sizes, lifetimes, and the load if
//! every request were granted.

use super::sampling::{Every, Moment};
use super::series::{Merge, Series};
use super::timeline::Track;
use crate::replay::{Ask, Request, Slot};
use crate::units::{Granule, Nanos, Pages};

/// The most samples of the load that are kept.
const SAMPLES: usize = 512;

/// Numbers are counted by ⌈log2⌉, which is 0 to 64.
const ORDERS: usize = 65;

/// Observes a stream of requests.
#[derive(Clone, Debug)]
pub struct Traffic {
    granule: Granule,
    every: Every,
    events: u64,
    /// When each slot's allocation was asked for, and its size; no pages where there is none.
    asked: Vec<(Nanos, Pages)>,
    sizes: [Class; ORDERS],
    lifetimes: [u64; ORDERS],
    live: Class,
    series: Series<Load>,
    ended: Moment,
}

/// Requests of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// How many.
    pub requests: u64,
    /// Their pages, as asked for.
    pub pages: u64,
}

/// The load in a stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Its first event.
    pub begun: Moment,
    /// Allocations that were not freed yet.
    pub requests: Track,
    /// Their pages, as asked for.
    pub pages: Track,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How the load was sampled, with the distance of the samples at the end.
    pub every: Every,
    /// Bytes per page.
    pub granule: Granule,
    /// Requests by ⌈log2⌉ of their pages, from 0.
    pub sizes: [Class; ORDERS],
    /// Freed allocations by ⌈log2⌉ of the nanoseconds from request to free, from 0; those of
    /// 0 ns count as 1 ns.
    pub lifetimes: [u64; ORDERS],
    /// Allocations that were never freed.
    pub never_freed: Class,
    /// The load, in the order of time.
    pub load: Vec<Load>,
    /// The last event.
    pub ended: Moment,
}

impl Traffic {
    /// An observer of a stream that has not begun.
    pub fn new(granule: Granule, every: Every) -> Traffic {
        Traffic {
            granule,
            every,
            events: 0,
            asked: Vec::new(),
            sizes: [Class::default(); ORDERS],
            lifetimes: [0; ORDERS],
            live: Class::default(),
            series: Series::new(every.width(), SAMPLES),
            ended: Moment::default(),
        }
    }

    /// Takes in the next request.
    pub fn observe(&mut self, request: &Request) {
        let moment = Moment {
            event: self.events,
            at: request.at,
        };
        self.events += 1;
        self.ended = moment;
        match request.ask {
            Ask::Alloc { slot, pages, .. } => self.begin(slot, request.at, pages),
            Ask::Map { slot, bytes, .. } => {
                self.begin(slot, request.at, self.granule.pages(bytes));
            }
            Ask::Free { slot } | Ask::Unmap { slot } => self.end(slot, request.at),
            _ => {}
        }
        let position = self.every.position(moment.event, moment.at);
        let (load, begins) = self.series.at(position);
        if begins {
            load.begun = moment;
        }
        load.requests.see(Some(self.live.requests));
        load.pages.see(Some(self.live.pages));
    }

    fn begin(&mut self, slot: Slot, at: Nanos, pages: Pages) {
        let index = slot.0 as usize;
        if self.asked.len() <= index {
            self.asked.resize(index + 1, (Nanos(0), Pages(0)));
        }
        self.asked[index] = (at, pages);
        self.sizes[pages.order() as usize].add(pages);
        self.live.add(pages);
    }

    fn end(&mut self, slot: Slot, at: Nanos) {
        let Some(asked) = self.asked.get_mut(slot.0 as usize) else {
            return;
        };
        let (since, pages) = std::mem::take(asked);
        let nanos = Pages(at.0.saturating_sub(since.0));
        self.lifetimes[nanos.order() as usize] += 1;
        self.live.requests -= 1;
        self.live.pages = self.live.pages.saturating_sub(pages.0);
    }

    /// What came of it.
    pub fn finish(self) -> Asked {
        Asked {
            every: self.every.with_width(self.series.width()),
            granule: self.granule,
            sizes: self.sizes,
            lifetimes: self.lifetimes,
            never_freed: self.live,
            load: self.series.into_samples().into_iter().map(|(_, it)| it).collect(),
            ended: self.ended,
        }
    }
}

impl Class {
    fn add(&mut self, pages: Pages) {
        self.requests += 1;
        self.pages = self.pages.saturating_add(pages.0);
    }
}

impl Merge for Load {
    fn merge(&mut self, later: Load) {
        self.requests.merge(later.requests);
        self.pages.merge(later.pages);
    }
}
