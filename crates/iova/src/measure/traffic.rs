//! What callers ask for, whatever an allocator answers: sizes, lifetimes, and the load if
//! every request were granted.

use rustc_hash::FxHashMap;

use super::record::{Column, LifetimeClass, Moments, SizeClass, TrafficRecord};
use super::sampling::{Every, Moment};
use super::series::{Merge, Series, Track};
use crate::op::Op;
use crate::replay::{Request, Slot};
use crate::units::{Granule, Nanos, Pages};

/// The most samples of the load that are kept.
const SAMPLES: usize = 384;

/// Numbers are counted by ⌈log2⌉, which is 0 to 64.
const ORDERS: usize = 65;

/// Observes a stream of requests.
#[derive(Clone, Debug)]
pub struct Traffic {
    granule: Granule,
    every: Every,
    events: u64,
    /// When each allocation was asked for, and its size. Never iterated over, as its order is
    /// not the trace's.
    asked: FxHashMap<Slot, (Nanos, Pages)>,
    sizes: [Class; ORDERS],
    lifetimes: [u64; ORDERS],
    live: Class,
    series: Series<Load>,
    ended: Moment,
}

/// Requests of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Class {
    requests: u64,
    /// Their pages, as asked for.
    pages: u64,
}

/// The load in a stretch of time.
#[derive(Clone, Debug, Default)]
struct Load {
    begun: Moment,
    /// Allocations that were not freed yet.
    requests: Track,
    /// Their pages, as asked for.
    pages: Track,
}

impl Traffic {
    /// An observer of a stream that has not begun.
    pub fn new(granule: Granule, every: Every) -> Traffic {
        Traffic {
            granule,
            every,
            events: 0,
            asked: FxHashMap::default(),
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
        match request.op {
            Op::Alloc {
                id: slot, pages, ..
            } => self.begin(slot, request.at, pages),
            Op::Map {
                id: slot, bytes, ..
            } => {
                self.begin(slot, request.at, self.granule.pages(bytes));
            }
            Op::Free { id: slot } | Op::Unmap { id: slot } => self.end(slot, request.at),
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
        self.asked.insert(slot, (at, pages));
        self.sizes[order(pages.0)].add(pages);
        self.live.add(pages);
    }

    fn end(&mut self, slot: Slot, at: Nanos) {
        let Some((since, pages)) = self.asked.remove(&slot) else {
            return;
        };
        self.lifetimes[order(at.0.saturating_sub(since.0))] += 1;
        self.live.requests -= 1;
        self.live.pages = self.live.pages.saturating_sub(pages.0);
    }

    /// What came of it.
    pub fn finish(self) -> TrafficRecord {
        let every = self.every.with_width(self.series.width());
        let load = self.series.into_samples();
        let moments = Moments::of(load.iter().map(|it| it.begun), self.ended);
        let time_passes = moments
            .nanos
            .first()
            .is_some_and(|&it| it < self.ended.at.0);
        let sizes = (0..)
            .zip(self.sizes)
            .filter(|(_, class)| class.requests > 0);
        let lifetimes = (0..).zip(self.lifetimes).filter(|&(_, count)| count > 0);
        TrafficRecord {
            granule: self.granule.bytes(),
            sizes: sizes
                .map(|(order, class)| SizeClass {
                    pages_max: 1_u64.checked_shl(order),
                    requests: class.requests,
                    pages: class.pages,
                })
                .collect(),
            lifetimes: time_passes.then(|| {
                lifetimes
                    .map(|(order, allocations)| LifetimeClass {
                        nanos_max: 1_u64.checked_shl(order),
                        allocations,
                    })
                    .collect()
            }),
            never_freed: self.live.requests,
            every,
            live: Column::of(load.iter().map(|it| it.requests)),
            live_pages: Column::of(load.iter().map(|it| it.pages)),
            moments,
        }
    }
}

/// ⌈log2⌉ of a number, and 0 of 0.
fn order(number: u64) -> usize {
    let power = number.checked_next_power_of_two();
    power.map_or(64, |power| power.trailing_zeros() as usize)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::Script;
    use std::num::NonZeroU64;

    fn seen(script: &Script) -> TrafficRecord {
        let mut traffic = Traffic::new(Granule::KIB_4, Every::Events(NonZeroU64::MIN));
        script
            .requests()
            .iter()
            .for_each(|request| traffic.observe(request));
        traffic.finish()
    }

    #[test]
    fn sizes_lifetimes_and_load_are_those_that_were_asked_for() {
        let mut script = Script::default();
        script
            .at(10)
            .alloc(0, 5, 9)
            .alloc(1, 8, 9)
            .at(1034)
            .free(0)
            .at(1035)
            .free(1);
        script.alloc(0, 1, 9);
        let record = seen(&script);
        let sizes = record
            .sizes
            .iter()
            .map(|it| (it.pages_max, it.requests, it.pages));
        assert_eq!(
            sizes.collect::<Vec<_>>(),
            [(Some(1), 1, 1), (Some(8), 2, 13)]
        );
        let lifetimes = record.lifetimes.expect("time passes").into_iter();
        let lifetimes: Vec<_> = lifetimes.map(|it| (it.nanos_max, it.allocations)).collect();
        assert_eq!(lifetimes, [(Some(1024), 1), (Some(2048), 1)]);
        assert_eq!(record.never_freed, 1);
        assert_eq!(record.live_pages.last, [5, 13, 8, 0, 1].map(Some));
        assert_eq!(record.live.last, [1, 2, 1, 0, 1].map(Some));
    }

    #[test]
    fn without_time_there_are_no_lifetimes() {
        let mut script = Script::default();
        script.at(7).alloc(0, 1, 9).free(0);
        assert_eq!(seen(&script).lifetimes, None);
    }

    #[test]
    fn the_load_of_a_long_stream_keeps_its_peak() {
        let mut script = Script::default();
        for event in 0..10_000 {
            let pages = if event == 7_777 { 1000 } else { 1 };
            script.alloc(0, pages, 9).free(0);
        }
        let record = seen(&script);
        assert!(record.moments.event.len() <= SAMPLES);
        assert_eq!(record.live_pages.max().iter().max(), Some(&Some(1000)));
        assert_eq!(record.live_pages.min().iter().flatten().min(), Some(&0));
    }
}
