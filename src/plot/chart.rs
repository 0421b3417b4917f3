//! The charts by name: what each needs of a dataset, and how that is recorded.

use std::collections::BTreeMap;
use std::fmt;

use super::dataset::{AllocatorData, Dataset, Walked};
use super::{ChartOptions, Scene, Series};
use super::{
    address_map, failure_rate, fragmentation, max32_gap, releases, search_cost, workload,
};
use iova::measure::record::SampledRecord;

/// A chart; each has a module of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chart {
    FailureRate,
    Fragmentation,
    Max32Gap,
    AddressMap,
    SearchCost,
    Releases,
    Workload,
}

/// Data that a chart needs and a dataset lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Samples of the address space over time.
    Samples,
    /// The steps of each request.
    StepCounts,
    /// Two releases with different answers.
    Releases,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lacking::Samples => {
                f.write_str("samples, recorded by `run --sample` or `replay --sample`")
            }
            Lacking::StepCounts => {
                f.write_str("the steps of each request, recorded by `run` or `replay --sample`")
            }
            Lacking::Releases => write!(
                f,
                "two releases with different answers; `run` or `replay` all of them with --allocator {}",
                releases::one_of_each().join(",")
            ),
        }
    }
}

impl Chart {
    pub const ALL: [Chart; 7] = [
        Chart::FailureRate,
        Chart::Fragmentation,
        Chart::Max32Gap,
        Chart::AddressMap,
        Chart::SearchCost,
        Chart::Releases,
        Chart::Workload,
    ];

    /// The chart of a name; `belief` is an old name of `max32`.
    pub fn named(name: &str) -> Option<Chart> {
        let name = if name == "belief" { "max32" } else { name };
        Chart::ALL.into_iter().find(|chart| chart.name() == name)
    }

    /// Its name on the command line and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Chart::FailureRate => "failure-rate",
            Chart::Fragmentation => "fragmentation",
            Chart::Max32Gap => "max32",
            Chart::AddressMap => "address-map",
            Chart::SearchCost => "search-cost",
            Chart::Releases => "releases",
            Chart::Workload => "workload",
        }
    }

    /// The question that it answers.
    pub fn question(self) -> &'static str {
        match self {
            Chart::FailureRate => failure_rate::TITLE,
            Chart::Fragmentation => fragmentation::TITLE,
            Chart::Max32Gap => max32_gap::TITLE,
            Chart::AddressMap => address_map::TITLE,
            Chart::SearchCost => search_cost::TITLE,
            Chart::Releases => releases::TITLE,
            Chart::Workload => workload::TITLE,
        }
    }

    /// Draws a dataset. `places` has each allocator's place among all, by name.
    ///
    /// # Errors
    ///
    /// Where the dataset lacks what the chart needs.
    pub fn draw(
        self,
        dataset: &Dataset,
        places: &BTreeMap<String, usize>,
        options: &ChartOptions,
    ) -> Result<Scene, Lacking> {
        let about = &[dataset.about.clone()][..];
        let about_window = &dataset.about_samples(true);
        match self {
            Chart::FailureRate => {
                let series = series_of(dataset, places, |it| Some(it.failures.clone()));
                Ok(failure_rate::draw(about, &series, options))
            }
            Chart::Fragmentation => {
                let series = sampled(dataset, places, |it| &it.timeline)?;
                Ok(fragmentation::draw(about_window, &series, options))
            }
            Chart::Max32Gap => {
                let series = sampled(dataset, places, |it| &it.timeline)?;
                Ok(max32_gap::draw(about_window, &series, options))
            }
            Chart::AddressMap => {
                let series = sampled(dataset, places, |it| &it.map)?;
                Ok(address_map::draw(about_window, &series, options))
            }
            Chart::SearchCost => {
                let series = series_of(dataset, places, steps);
                if series.is_empty() {
                    return Err(Lacking::StepCounts);
                }
                Ok(search_cost::draw(
                    &dataset.about_samples(false),
                    &series,
                    options,
                ))
            }
            Chart::Releases => {
                let groups = releases::groups(&dataset.allocators);
                if groups.len() < 2 {
                    return Err(Lacking::Releases);
                }
                Ok(releases::draw(about, &groups, options))
            }
            Chart::Workload => {
                let traffic = dataset.traffic.as_ref().ok_or(Lacking::Samples)?;
                Ok(workload::draw(&dataset.about_the_seed(), traffic, options))
            }
        }
    }
}

/// A series for each allocator that has the data.
fn series_of<'a, T>(
    dataset: &'a Dataset,
    places: &BTreeMap<String, usize>,
    of: impl Fn(&'a AllocatorData) -> Option<T>,
) -> Vec<Series<T>> {
    let one = |it: &'a AllocatorData| {
        Some(Series {
            place: places.get(&it.allocator).copied().unwrap_or(0),
            allocator: it.allocator.clone(),
            data: of(it)?,
        })
    };
    dataset.allocators.iter().filter_map(one).collect()
}

fn sampled<'a, T>(
    dataset: &'a Dataset,
    places: &BTreeMap<String, usize>,
    of: impl Fn(&'a SampledRecord) -> &'a T,
) -> Result<Vec<Series<&'a T>>, Lacking> {
    let series = series_of(dataset, places, |it| it.sampled.as_ref().map(&of));
    if series.is_empty() {
        Err(Lacking::Samples)
    } else {
        Ok(series)
    }
}

fn steps(of: &AllocatorData) -> Option<search_cost::Steps<'_>> {
    let timeline = of.sampled.as_ref().map(|sampled| &sampled.timeline);
    let (counts, quantiles) = match of.walked.as_ref()? {
        Walked::Nowhere => (None, Vec::new()),
        Walked::Steps(steps) => {
            let quantiles = [500, 990, 999].into_iter();
            let quantiles = quantiles.filter_map(|at| Some((at, steps.quantile(at)?)));
            (Some(steps.counts().collect()), quantiles.collect())
        }
    };
    Some(search_cost::Steps {
        counts,
        quantiles,
        timeline,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::{page, svg};
    use crate::study::{self, GeneratedEvents, Observe, RequestStream, StudyResult};
    use crate::trace::event::{Event, Header, Op};
    use iova::kernel::Allocator;
    use iova::measure::Sampling;
    use iova::measure::sampling::Every;
    use iova::op::{Got, Path};
    use iova::units::{Cpu, Nanos, Pages, Pfn};
    use std::num::{NonZeroU64, NonZeroUsize};

    /// Requests of many sizes, of which every third is freed.
    fn events(count: u64) -> Vec<Event> {
        let event = |at, op| Event {
            at: Nanos(at * 1000),
            cpu: Cpu(0),
            dom: 0,
            op,
        };
        let mut events = Vec::new();
        for id in 0..count {
            let alloc = Op::Alloc {
                id,
                pages: Pages(1 + (id * 7919) % 40_000),
                limit: Pfn(0xf_ffff),
                path: Path::Fast { flush: true },
                got: Got::Unrecorded,
            };
            events.push(event(id, alloc));
            if id % 3 == 2 {
                events.push(event(id, Op::Free { id: id - 1 }));
            }
        }
        events
    }

    fn dataset(allocators: &[&str], count: u64, sampling: Sampling) -> Dataset {
        let header = Header::default();
        let names = allocators.iter();
        let allocators: Vec<Allocator> = names
            .map(|name| name.parse().expect("an allocator"))
            .collect();
        let events = GeneratedEvents::new(events(count).into_iter());
        let stream = RequestStream::new("a trace", &header, events);
        let observe = Observe {
            sampling: Some(sampling),
            ..Observe::default()
        };
        let replayed = study::run(stream, &allocators, observe, NonZeroUsize::MIN);
        let replayed = replayed.expect("a trace");
        Dataset::of_result(StudyResult::of_replay("a.trace", &header, &replayed))
    }

    const TWELVE: [&str; 12] = [
        "linux-4.15",
        "linux-4.20",
        "linux-5.10",
        "old",
        "new",
        "linux-6.1",
        "linux-7.2",
        "best-fit",
        "maple-2026",
        "linux-7.2~free-space-estimate+reset-on-retry",
        "linux-7.2+align-cap-4",
        "linux-7.2+align-cap-9",
    ];

    #[test]
    fn no_text_overlaps_or_is_cut_off() {
        let of_size = |width, height| ChartOptions {
            size: Some((width, height)),
            ..ChartOptions::default()
        };
        let by_events = Sampling::default();
        let by_time = Sampling {
            every: Every::Nanos(NonZeroU64::MIN),
            ..by_events
        };
        for (allocators, count, sampling, options) in [
            (&TWELVE[..], 600, by_events, &ChartOptions::default()),
            (&TWELVE[..], 600, by_time, &ChartOptions::default()),
            (&TWELVE[..], 600, by_time, &of_size(400, 400)),
            (&TWELVE[..], 600, by_time, &of_size(400, 1600)),
            (&TWELVE[..], 600, by_time, &of_size(4096, 2048)),
            (&TWELVE[3..5], 600, by_time, &ChartOptions::default()),
            (&TWELVE[4..5], 10, by_events, &ChartOptions::default()),
            (&TWELVE[..2], 0, by_events, &ChartOptions::default()),
        ] {
            let dataset = dataset(allocators, count, sampling);
            for chart in Chart::ALL {
                let Ok(scene) = chart.draw(&dataset, &BTreeMap::new(), options) else {
                    assert!(
                        chart == Chart::Releases && allocators.len() < 3,
                        "{chart:?}"
                    );
                    continue;
                };
                let faults = page::faults(&scene);
                assert!(
                    faults.is_empty(),
                    "{chart:?} of {}: {faults:?}",
                    allocators.len()
                );
                assert_eq!(svg(&scene), svg(&scene));
            }
        }
    }

    #[test]
    fn what_a_chart_lacks_comes_with_the_option_that_records_it() {
        let mut dataset = dataset(&["new"], 10, Sampling::default());
        dataset.traffic = None;
        dataset.allocators[0].sampled = None;
        let lacking = |chart: Chart| {
            let drawn = chart.draw(&dataset, &BTreeMap::new(), &ChartOptions::default());
            drawn.expect_err("it lacks something").to_string()
        };
        for chart in [
            Chart::Max32Gap,
            Chart::Fragmentation,
            Chart::AddressMap,
            Chart::Workload,
        ] {
            assert!(lacking(chart).contains("--sample"), "{}", lacking(chart));
        }
        let releases = "linux-4.15,linux-4.20,linux-5.1,linux-5.3,linux-5.11";
        assert!(lacking(Chart::Releases).contains(releases));
    }
}
