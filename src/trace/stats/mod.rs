//! What is in a trace, without a replay: sizes, limits, lifetimes, CPUs, what is never freed.
//!
//! A fold over the events; memory grows with what is live, and with how many limits, CPUs and
//! domains there are. A request that the recorded kernel refused is live in no count; where a trace does
//! not carry answers, every request counts as granted.

mod json;
mod page;
mod timeline;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{Event, Header, Op};
use super::fields;
use iova::op::{Got, Path};
use iova::units::{Cpu, Nanos, Pages, Pfn};
use timeline::Timeline;

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
    live: BTreeMap<u64, Life>,
}

/// Requests by what became of them.
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

/// What one CPU or one domain did.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    requests: u64,
    frees: u64,
}

/// What is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    ranges: u64,
    pages: u64,
}

/// A request that was not freed yet.
#[derive(Clone, Debug)]
struct Life {
    since: Nanos,
    cpu: Cpu,
    dom: u64,
    pages: Pages,
    dev: Option<Arc<str>>,
    granted: bool,
}

/// What a request asks.
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
        self.load_max.ranges = self.load_max.ranges.max(self.load.ranges);
        self.load_max.pages = self.load_max.pages.max(self.load.pages);
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
        let life = Life {
            since: event.at,
            cpu: event.cpu,
            dom: event.dom,
            pages,
            dev: request.dev.cloned(),
            granted,
        };
        self.live.insert(request.id, life);
    }

    fn free(&mut self, event: &Event, id: u64) {
        let Some(life) = self.live.remove(&id) else {
            return;
        };
        if !life.granted {
            return;
        }
        self.cpus.entry(event.cpu).or_default().frees += 1;
        self.domains.entry(event.dom).or_default().frees += 1;
        self.frees_elsewhere += u64::from(event.cpu != life.cpu);
        self.load.ranges -= 1;
        self.load.pages = self.load.pages.saturating_sub(life.pages.0);
        let lived = event.at.0.saturating_sub(life.since.0);
        *self.lifetimes.entry(decade(lived)).or_default() += 1;
    }

    /// What is never freed, by domain, device and size, most pages first.
    fn never_freed(&self) -> Vec<NeverFreed> {
        let mut groups: BTreeMap<(u64, Option<Arc<str>>, Pages), NeverFreed> = BTreeMap::new();
        for life in self.live.values().filter(|life| life.granted) {
            let key = (life.dom, life.dev.clone(), life.pages);
            let group = groups.entry(key).or_insert_with(|| NeverFreed {
                dom: life.dom,
                dev: life.dev.clone(),
                size: life.pages,
                ranges: 0,
                oldest: life.since,
            });
            group.ranges += 1;
            group.oldest = group.oldest.min(life.since);
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

/// How many decimal digits a number of nanoseconds has; 0 for none.
fn decade(nanos: u64) -> u32 {
    nanos.checked_ilog10().map_or(0, |log| log + 1)
}
