//! Statistics of a trace without a replay: sizes, limits, lifetimes, CPUs, ranges never freed.
//!
//! Memory grows with the live allocations and with the number of limits, CPUs and domains. A
//! request that the recorded kernel refused never counts as live; in a trace without recorded
//! answers every request counts as granted.

mod json;
mod page;
mod timeline;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{Event, Header, Op};
use super::fields;
use iova::op::{Got, Path};
use iova::units::{Cpu, Nanos, Pages, Pfn};
use timeline::{Load, Timeline};

/// The figures of a trace. [`Display`](std::fmt::Display) makes a page of text of them.
#[derive(Clone, Debug)]
pub struct Stats {
    header: Header,
    events: u64,
    ended: Nanos,
    ops: BTreeMap<&'static str, u64>,
    requests: Requests,
    sizes: BTreeMap<u32, Asked>,
    limits: BTreeMap<Pfn, u64>,
    lifetimes: BTreeMap<u32, u64>,
    cpus: BTreeMap<Cpu, Traffic>,
    /// Frees on another CPU than that of the request.
    frees_elsewhere: u64,
    domains: BTreeMap<u64, Traffic>,
    load: Load,
    load_max: Load,
    timeline: Timeline,
    live: BTreeMap<u64, Allocation>,
}

/// Requests by path and by recorded answer.
#[derive(Clone, Copy, Debug, Default)]
struct Requests {
    fast: u64,
    direct: u64,
    map: u64,
    answered: u64,
    failed: u64,
}

impl Requests {
    fn total(self) -> u64 {
        self.fast + self.direct + self.map
    }
}

/// Requests of one size class.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    requests: u64,
    pages: u64,
}

/// Requests and frees of one CPU or one domain.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    requests: u64,
    frees: u64,
}

/// A request that was not freed yet, granted or not.
#[derive(Clone, Debug)]
struct Allocation {
    since: Nanos,
    cpu: Cpu,
    dom: u64,
    pages: Pages,
    dev: Option<Arc<str>>,
    granted: bool,
}

/// The fields that both kinds of requests have.
struct Request<'a> {
    id: u64,
    pages: Pages,
    limit: Pfn,
    dev: Option<&'a Arc<str>>,
    got: Got,
}

impl Stats {
    /// Figures of a trace without events.
    pub fn new(header: &Header) -> Stats {
        Stats {
            header: header.clone(),
            events: 0,
            ended: Nanos(0),
            ops: BTreeMap::new(),
            requests: Requests::default(),
            sizes: BTreeMap::new(),
            limits: BTreeMap::new(),
            lifetimes: BTreeMap::new(),
            cpus: BTreeMap::new(),
            frees_elsewhere: 0,
            domains: BTreeMap::new(),
            load: Load::default(),
            load_max: Load::default(),
            timeline: Timeline::default(),
            live: BTreeMap::new(),
        }
    }

    /// Takes the next event, one that a [`Checker`](super::check::Checker) admits.
    pub fn observe(&mut self, event: &Event) {
        self.timeline.advance(event.at, self.load);
        self.events += 1;
        self.ended = event.at;
        *self.ops.entry(fields::name(&event.op)).or_default() += 1;
        let granule = self.header.granule;
        match &event.op {
            Op::Alloc {
                id,
                pages,
                limit,
                path,
                got,
            } => {
                match path {
                    Path::Fast { .. } => self.requests.fast += 1,
                    Path::Direct { .. } => self.requests.direct += 1,
                }
                let (id, pages, limit, got) = (*id, *pages, *limit, *got);
                let dev = None;
                self.request(
                    event,
                    &Request {
                        id,
                        pages,
                        limit,
                        dev,
                        got,
                    },
                );
            }
            Op::Map {
                id,
                bytes,
                mask,
                dev,
                got,
                pci: _,
            } => {
                self.requests.map += 1;
                let request = Request {
                    id: *id,
                    pages: granule.pages(*bytes),
                    limit: granule.limit(*mask),
                    dev: dev.as_ref(),
                    got: *got,
                };
                self.request(event, &request);
            }
            Op::Free { id } | Op::Unmap { id } => self.free(event, *id),
            _ => {}
        }
        self.timeline.note(self.load);
        self.load_max = self.load_max.max(self.load);
    }

    fn request(&mut self, event: &Event, request: &Request<'_>) {
        let pages = request.pages;
        let granted = request.got != Got::Failed;
        self.requests.answered += u64::from(request.got != Got::Unrecorded);
        self.requests.failed += u64::from(!granted);
        let asked = self.sizes.entry(pages.order()).or_default();
        asked.requests += 1;
        asked.pages = asked.pages.saturating_add(pages.0);
        *self.limits.entry(request.limit).or_default() += 1;
        self.cpus.entry(event.cpu).or_default().requests += 1;
        self.domains.entry(event.dom).or_default().requests += 1;
        if granted {
            self.load.ranges += 1;
            self.load.pages = self.load.pages.saturating_add(pages.0);
        }
        let allocation = Allocation {
            since: event.at,
            cpu: event.cpu,
            dom: event.dom,
            pages,
            dev: request.dev.cloned(),
            granted,
        };
        self.live.insert(request.id, allocation);
    }

    fn free(&mut self, event: &Event, id: u64) {
        let Some(allocation) = self.live.remove(&id) else {
            return;
        };
        if !allocation.granted {
            return;
        }
        self.cpus.entry(event.cpu).or_default().frees += 1;
        self.domains.entry(event.dom).or_default().frees += 1;
        self.frees_elsewhere += u64::from(event.cpu != allocation.cpu);
        self.load.ranges -= 1;
        self.load.pages = self.load.pages.saturating_sub(allocation.pages.0);
        let lived = event.at.0.saturating_sub(allocation.since.0);
        *self.lifetimes.entry(decade(lived)).or_default() += 1;
    }

    /// Ranges that are never freed, by domain, device and size, most pages first.
    fn never_freed(&self) -> Vec<NeverFreed> {
        let mut groups: BTreeMap<(u64, Option<Arc<str>>, Pages), NeverFreed> = BTreeMap::new();
        for allocation in self.live.values().filter(|allocation| allocation.granted) {
            let key = (allocation.dom, allocation.dev.clone(), allocation.pages);
            let group = groups.entry(key).or_insert_with(|| NeverFreed {
                dom: allocation.dom,
                dev: allocation.dev.clone(),
                size: allocation.pages,
                ranges: 0,
                oldest: allocation.since,
            });
            group.ranges += 1;
            group.oldest = group.oldest.min(allocation.since);
        }
        let mut groups: Vec<NeverFreed> = groups.into_values().collect();
        // Stable: equals stay in the order of domain, device and size.
        groups.sort_by_key(|group| std::cmp::Reverse(group.pages()));
        groups
    }
}

/// Ranges of one kind that are live at the end.
struct NeverFreed {
    dom: u64,
    dev: Option<Arc<str>>,
    size: Pages,
    ranges: u64,
    oldest: Nanos,
}

impl NeverFreed {
    fn pages(&self) -> u128 {
        u128::from(self.ranges) * u128::from(self.size.0)
    }
}

/// The number of decimal digits of `nanos`; 0 for 0.
fn decade(nanos: u64) -> u32 {
    nanos.checked_ilog10().map_or(0, |log| log + 1)
}
