//! How well a scenario that was made of a trace resembles it: both are replayed, and what the
//! allocators make of them is compared.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::Error;
use super::run::{self, FinishedRun, Observe};
use super::stream::{Events, GeneratedEvents, RequestStream};
use crate::scenario::Scenario;
use crate::trace::event::{Event, Header, Op};
use iova::kernel::Allocator;
use iova::measure::timeline::Figure;
use iova::measure::{MetricId, Metrics, Sampling};
use iova::op::Got;
use iova::units::Granule;

/// A stream under one allocator. What is unknown is `None`.
#[derive(Clone, Debug, Serialize)]
pub struct Observed {
    #[serde(flatten)]
    pub metrics: Metrics,
    /// External fragmentation of the sampled window, averaged over the events.
    pub fragmentation: Option<f64>,
    /// The largest gap of the sampled window in pages, averaged over the events.
    pub largest_gap_pages: Option<f64>,
    /// Which part of the live pages is in buffers of which order (power of two of pages),
    /// averaged over the events, had every request been granted whose recorded answer is not a
    /// failure.
    #[serde(skip)]
    pub live_sizes: BTreeMap<u32, f64>,
}

/// A trace and its profile's scenario under one allocator.
#[derive(Clone, Debug)]
pub struct ProfileCheck {
    pub allocator: Allocator,
    /// The trace.
    pub trace: Observed,
    /// The scenario, one for each seed.
    pub seeds: Vec<Observed>,
}

impl ProfileCheck {
    /// By how much the failure rates differ, in percentage points; `None` without requests.
    pub fn failure_points(&self) -> Option<f64> {
        let rate = |it: &Observed| it.metrics.real(MetricId::FailureRate);
        let generated = mean(self.seeds.iter().map(rate))?;
        Some((generated - rate(&self.trace)?).abs() * 100.0)
    }

    /// The largest difference between the shares of live pages in buffers up to any size.
    pub fn sizes_apart(&self) -> f64 {
        let seeds = self.seeds.iter();
        let apart = seeds.map(|it| apart(&self.trace.live_sizes, &it.live_sizes));
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

/// Replays a trace, and what a scenario generates of each of its seeds, under the scenario's
/// allocators. The busiest domain is sampled.
///
/// # Errors
///
/// If an allocator cannot have such domains, the trace has an error, or the scenario generates no valid trace.
pub fn compare(
    file: &str,
    header: &Header,
    events: impl Events,
    scenario: &Scenario,
    jobs: NonZeroUsize,
) -> Result<Vec<ProfileCheck>, Error> {
    let allocators = &scenario.allocators;
    let originals = observe(file, header, events, allocators, jobs)?;
    let both = allocators.iter().zip(originals);
    let mut checks: Vec<ProfileCheck> = both
        .map(|(allocator, trace)| ProfileCheck {
            allocator: allocator.clone(),
            trace,
            seeds: Vec::new(),
        })
        .collect();
    for &seed in &scenario.seeds {
        let events = GeneratedEvents::new(scenario.events(seed));
        let header = scenario.header(seed);
        let observed = observe(&scenario.name, &header, events, allocators, jobs)?;
        for (check, observed) in checks.iter_mut().zip(observed) {
            check.seeds.push(observed);
        }
    }
    Ok(checks)
}

fn observe(
    file: &str,
    header: &Header,
    events: impl Events,
    allocators: &[Allocator],
    jobs: NonZeroUsize,
) -> Result<Vec<Observed>, Error> {
    let mut sizes = LiveSizes::new(header.granule);
    let stream = RequestStream::new(file, header, events).inspect(|event| sizes.observe(event));
    let observe = Observe {
        sampling: Some(Sampling::default()),
        ..Observe::default()
    };
    let replayed = run::run(stream, allocators, observe, jobs)?;
    let sizes = sizes.finish();
    Ok(replayed
        .runs
        .iter()
        .map(|it| observed(it, &sizes))
        .collect())
}

fn observed(run: &FinishedRun, sizes: &BTreeMap<u32, f64>) -> Observed {
    let timeline = run.sampled.as_ref().map(|sampled| &sampled.timeline);
    let averaged = |figure: Figure| {
        let column = timeline?.figures.get(&figure)?;
        mean(column.last.iter().map(|value| value.map(float)))
    };
    Observed {
        metrics: Metrics::of(&run.totals),
        fragmentation: averaged(Figure::FragmentationPpm).map(|ppm| ppm / 1e6),
        largest_gap_pages: averaged(Figure::LargestGap),
        live_sizes: sizes.clone(),
    }
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
