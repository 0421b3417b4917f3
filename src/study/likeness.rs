//! How alike two streams of requests are in what allocators make of them: a trace, and what
//! the scenario of its profile generates.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::Error;
use super::feed::{Events, Feed, Made};
use super::lanes::{self, Lane, Row, Stop};
use crate::scenario::Scenario;
use crate::trace::event::{Event, Header, Op};
use iova::kernel::Allocator;
use iova::measure::Sampling;
use iova::measure::timeline::Figure;
use iova::op::Got;
use iova::units::Granule;

/// What a stream looks like under one allocator. What cannot be told is none.
#[derive(Clone, Debug, Serialize)]
pub struct Looks {
    /// Requests for addresses.
    pub requests: f64,
    /// The share of them that was refused.
    pub failure_rate: Option<f64>,
    /// The share that was refused though there was room.
    pub spurious_rate: Option<f64>,
    /// The pages that callers hold, averaged over virtual time.
    pub live_pages_mean: Option<f64>,
    /// The most pages that they held.
    pub live_pages_max: f64,
    /// External fragmentation of the sampled window, averaged over the events.
    pub fragmentation: Option<f64>,
    /// The largest gap of the sampled window in pages, averaged over the events.
    pub largest_gap_pages: Option<f64>,
    /// Ranges that a search walks over, for each request.
    pub steps: Option<f64>,
    /// Which part of the live pages is in buffers of which order (power of two of pages),
    /// averaged over the events, had every request been granted that was not refused on record.
    #[serde(skip)]
    pub live_sizes: BTreeMap<u32, f64>,
}

/// A trace and its likeness under one allocator.
#[derive(Clone, Debug)]
pub struct Likeness {
    pub allocator: Allocator,
    pub original: Looks,
    /// What was generated, a seed each.
    pub seeds: Vec<Looks>,
}

impl Likeness {
    /// By how much the failure rates differ, in percentage points; none without requests.
    pub fn failure_points(&self) -> Option<f64> {
        let generated = mean(self.seeds.iter().map(|looks| looks.failure_rate))?;
        Some((generated - self.original.failure_rate?).abs() * 100.0)
    }

    /// The largest difference between the shares of live pages in buffers up to any size.
    pub fn sizes_apart(&self) -> f64 {
        let seeds = self.seeds.iter();
        let apart = seeds.map(|looks| apart(&self.original.live_sizes, &looks.live_sizes));
        mean(apart.map(Some)).unwrap_or(0.0)
    }
}

/// The mean of what is known, if anything is.
pub fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = values.flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / count(known.len()))
}

fn apart(one: &BTreeMap<u32, f64>, other: &BTreeMap<u32, f64>) -> f64 {
    let (mut sums, mut most) = ([0.0, 0.0], 0.0_f64);
    for order in 0..=u64::BITS {
        for (sum, shares) in sums.iter_mut().zip([one, other]) {
            *sum += shares.get(&order).unwrap_or(&0.0);
        }
        most = most.max((sums[0] - sums[1]).abs());
    }
    most
}

/// Looks at a trace and at what a scenario generates of each of its seeds, under the scenario's
/// allocators. The busiest domain is sampled.
///
/// # Errors
///
/// If an allocator cannot have such domains, the trace has an error, or what is generated is no
/// trace.
pub fn compare(
    file: &str,
    header: &Header,
    events: impl Events,
    scenario: &Scenario,
    jobs: NonZeroUsize,
) -> Result<Vec<Likeness>, Error> {
    let allocators = &scenario.allocators;
    let originals = look(file, header, events, allocators, jobs)?;
    let both = allocators.iter().zip(originals);
    let mut likenesses: Vec<Likeness> = both
        .map(|(allocator, original)| Likeness {
            allocator: allocator.clone(),
            original,
            seeds: Vec::new(),
        })
        .collect();
    for &seed in &scenario.seeds {
        let events = Made::new(scenario.events(seed));
        let header = scenario.header(seed);
        let looks = look(&scenario.name, &header, events, allocators, jobs)?;
        for (likeness, looks) in likenesses.iter_mut().zip(looks) {
            likeness.seeds.push(looks);
        }
    }
    Ok(likenesses)
}

/// Looks at a stream under some allocators.
fn look(
    file: &str,
    header: &Header,
    events: impl Events,
    allocators: &[Allocator],
    jobs: NonZeroUsize,
) -> Result<Vec<Looks>, Error> {
    let sampling = Sampling::default();
    let lane = |it: &Allocator| {
        Lane::<Vec<u8>>::new(it.clone(), header).map(|lane| lane.with_sampling(sampling))
    };
    let lanes: Vec<_> = allocators.iter().map(lane).collect::<Result<_, _>>()?;
    let mut feed = Feed::new(file, header, events);
    let mut sizes = LiveSizes::new(header.granule);
    let read = |step: &mut super::Step| {
        let more = feed.read(step)?;
        if more {
            sizes.observe(feed.event());
        }
        Ok(more)
    };
    match lanes::replay(lanes, read, jobs) {
        Ok((replayed, _)) => {
            let sizes = sizes.finish();
            Ok(replayed.rows.iter().map(|row| looks(row, &sizes)).collect())
        }
        Err(Stop::Stream(error)) => Err(Error::Stream(error)),
        Err(Stop::Outcomes(_)) => unreachable!("no lane writes outcomes"),
    }
}

fn looks(row: &Row, sizes: &BTreeMap<u32, f64>) -> Looks {
    let figures = &row.figures;
    let of_requests = |number: u64| ratio(number, figures.allocs);
    let timeline = row.sampled.as_ref().map(|sampled| &sampled.timeline);
    let averaged = |figure: Figure| {
        let column = timeline?.figures.get(&figure)?;
        mean(column.last.iter().map(|value| value.map(float)))
    };
    Looks {
        requests: float(figures.allocs),
        failure_rate: of_requests(figures.failures),
        spurious_rate: of_requests(figures.causes.spurious()),
        live_pages_mean: figures
            .live_pages_mean
            .map(|mean| wide(mean.area) / float(mean.nanos)),
        live_pages_max: wide(figures.live_pages_max),
        fragmentation: averaged(Figure::FragmentationPpm).map(|ppm| ppm / 1e6),
        largest_gap_pages: averaged(Figure::LargestGap),
        steps: of_requests(figures.steps.total()).filter(|_| row.allocator.rules().walks()),
        live_sizes: sizes.clone(),
    }
}

fn ratio(number: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| float(number) / float(of))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read to four digits"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures are read to four digits"
)]
fn wide(number: u128) -> f64 {
    number as f64
}

fn count(number: usize) -> f64 {
    float(number as u64)
}

/// The live pages by the order of their buffers, as events go by.
#[derive(Debug)]
struct LiveSizes {
    granule: Granule,
    /// The order and the pages of what is live.
    live: FxHashMap<u64, (u32, u64)>,
    pages: BTreeMap<u32, Area>,
    events: u64,
}

/// Pages times events, until an event.
#[derive(Clone, Copy, Debug, Default)]
struct Area {
    pages: u128,
    passed: u128,
    until: u64,
}

impl Area {
    fn pass_to(&mut self, event: u64) {
        self.passed += self.pages * u128::from(event - self.until);
        self.until = event;
    }
}

impl LiveSizes {
    fn new(granule: Granule) -> LiveSizes {
        LiveSizes {
            granule,
            live: FxHashMap::default(),
            pages: BTreeMap::new(),
            events: 0,
        }
    }

    fn observe(&mut self, event: &Event) {
        self.events += 1;
        let (id, pages) = match event.op {
            Op::Alloc { id, pages, got, .. } if got != Got::Failed => (id, pages),
            Op::Map { id, bytes, got, .. } if got != Got::Failed => {
                (id, self.granule.pages(bytes))
            }
            Op::Free { id } | Op::Unmap { id } => {
                if let Some((order, pages)) = self.live.remove(&id) {
                    self.at(order).pages -= u128::from(pages);
                }
                return;
            }
            _ => return,
        };
        let order = pages.order();
        self.live.insert(id, (order, pages.0));
        self.at(order).pages += u128::from(pages.0);
    }

    fn at(&mut self, order: u32) -> &mut Area {
        let area = self.pages.entry(order).or_default();
        area.pass_to(self.events);
        area
    }

    /// The share of each order.
    fn finish(self) -> BTreeMap<u32, f64> {
        let mut areas = self.pages;
        for area in areas.values_mut() {
            area.pass_to(self.events);
        }
        let total: u128 = areas.values().map(|area| area.passed).sum();
        let share = |area: &Area| {
            if total == 0 {
                0.0
            } else {
                wide(area.passed) / wide(total)
            }
        };
        areas
            .iter()
            .map(|(&order, area)| (order, share(area)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_apart_by_the_largest_difference_of_their_sums() {
        let one = BTreeMap::from([(0, 0.5), (1, 0.5)]);
        let other = BTreeMap::from([(1, 0.75), (4, 0.25)]);
        assert!((apart(&one, &other) - 0.5).abs() < 1e-12);
        assert!(apart(&one, &one) < 1e-12);
    }

    #[test]
    fn means_are_of_what_is_known() {
        assert_eq!(mean([Some(1.0), None, Some(2.0)].into_iter()), Some(1.5));
        assert_eq!(mean([None].into_iter()), None);
    }
}
