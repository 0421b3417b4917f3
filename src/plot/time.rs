//! Samples over time: the axis, where each sample is on it, and runs of samples that are too close
//! to be seen apart.
//!
//! Samples taken by events are drawn over events, samples taken by time over time, so that a
//! sample is as wide as any other. Over time, a recording that idles for seconds between bursts
//! would be a picture of idling.

use std::ops::Range;

use super::axis::Axis;
use super::number::{self, real};
use super::panel::Panel;
use super::scene::{Paint, Scene, Stroke};
use iova::measure::record::{Column, MapRecord, Moments, TimelineRecord, TrafficRecord};
use iova::measure::sampling::Every;

/// A record of samples.
pub(super) trait Sampled {
    /// When the samples were taken, and how far apart.
    fn times(&self) -> (&Moments, Every);

    fn is_empty(&self) -> bool {
        self.times().0.event.is_empty()
    }

    /// Where each sample begins, and where it ends if nothing happens until the next. The state
    /// after the last event lasts for an event, or as long as a sample does on average, so that it
    /// can be seen.
    fn spans(&self) -> Vec<(f64, f64)> {
        let (moments, every) = self.times();
        let (begun, last) = match every {
            Every::Events(_) => (&moments.event, moments.last_event),
            Every::Nanos(_) => (&moments.nanos, moments.last_nanos),
        };
        let width = every.width().get();
        let over = |at: u64| (at / width).saturating_add(1).saturating_mul(width);
        let nexts = begun.iter().skip(1).map(|&next| Some(next));
        let samples = begun.iter().zip(nexts.chain([None])).map(|(&at, next)| {
            let until = if let Some(next) = next {
                real(over(at).min(next))
            } else {
                let first = begun.first().copied().unwrap_or(at);
                let average = real(last.saturating_sub(first)) / real(begun.len() as u64);
                let lasting = match every {
                    Every::Events(_) => 1.0,
                    Every::Nanos(_) => average.min(real(width)).max(1.0),
                };
                real(last) + lasting
            };
            (real(at), until)
        });
        samples.collect()
    }
}

impl Sampled for TimelineRecord {
    fn times(&self) -> (&Moments, Every) {
        (&self.moments, self.every)
    }
}

impl Sampled for MapRecord {
    fn times(&self) -> (&Moments, Every) {
        (&self.moments, self.every)
    }
}

impl Sampled for TrafficRecord {
    fn times(&self) -> (&Moments, Every) {
        (&self.moments, self.every)
    }
}

/// The axis of some records, all of which were sampled by events, or all by time, with about
/// `ticks` ticks.
pub(super) fn axis<'a, T: Sampled + 'a>(
    records: impl IntoIterator<Item = &'a T>,
    ticks: u32,
) -> Axis {
    let mut by_time = false;
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut nanos = 0;
    for record in records {
        let (moments, every) = record.times();
        by_time = matches!(every, Every::Nanos(_));
        let spans = record.spans();
        if let (Some((first, _)), Some((_, last))) = (spans.first(), spans.last()) {
            (low, high) = (low.min(*first), high.max(*last));
        }
        let begun = moments.nanos.first().copied().unwrap_or(moments.last_nanos);
        nanos = nanos.max(moments.last_nanos.saturating_sub(begun));
    }
    if low > high {
        (low, high) = (0.0, 1.0);
    }
    if by_time {
        return Axis::time(low, high, ticks).named("virtual time");
    }
    let name = match nanos {
        0 => "events".to_owned(),
        _ => format!(
            "events, in {} of virtual time",
            number::duration(real(nanos))
        ),
    };
    Axis::events(low, high, ticks).named(&name)
}

/// Samples are drawn no narrower than so many pixels.
const SEEN: f64 = 3.0;

/// Runs of samples that are drawn as one. A run has no samples where nothing happens.
pub(super) struct Runs {
    /// Where the runs begin, and where the last one ends, in pixels.
    pub(super) edges: Vec<f64>,
    samples: Vec<Range<usize>>,
}

impl Runs {
    /// The runs of a record on a panel. Samples of no width without a close neighbour are left out.
    pub(super) fn new(panel: &Panel, record: &impl Sampled) -> Runs {
        Runs::of_spans(panel, &record.spans())
    }

    fn of_spans(panel: &Panel, spans: &[(f64, f64)]) -> Runs {
        let spans: Vec<(f64, f64)> = spans
            .iter()
            .map(|&(begin, end)| (panel.x(begin), panel.x(end)))
            .collect();
        let mut runs = Runs {
            edges: spans.first().map(|&(begin, _)| begin).into_iter().collect(),
            samples: Vec::new(),
        };
        let mut start = 0;
        for (index, &(_, end)) in spans.iter().enumerate() {
            let begun = spans[start].0;
            match spans.get(index + 1) {
                // A pause before the next sample.
                Some(&(next, _)) if next - end >= SEEN => {
                    let end = end.max(begun + SEEN).min(next);
                    runs.add(end, start..index + 1);
                    runs.add(next, index + 1..index + 1);
                }
                Some(&(next, _)) if next - begun >= SEEN => {
                    runs.add(next, start..index + 1);
                }
                None if end > begun => runs.add(end, start..index + 1),
                _ => continue,
            }
            start = index + 1;
        }
        runs
    }

    fn add(&mut self, end: f64, samples: Range<usize>) {
        self.edges.push(end);
        self.samples.push(samples);
    }

    /// The samples of each run.
    pub(super) fn samples(&self) -> &[Range<usize>] {
        &self.samples
    }

    /// Applies `of` to each run's part of a column.
    pub(super) fn each<T, U>(&self, column: &[T], of: impl Fn(&[T]) -> U) -> Vec<U> {
        let parts = self
            .samples
            .iter()
            .map(|samples| column.get(samples.clone()));
        parts.map(|part| of(part.unwrap_or_default())).collect()
    }

    /// Draws a figure over time: a line along the last values, on a band from the minimum to the
    /// maximum. `value` converts a number of the column to one of the panel's vertical axis.
    pub(super) fn draw(
        &self,
        scene: &mut Scene,
        panel: &Panel,
        column: &Column,
        value: impl Fn(Option<u64>) -> Option<f64>,
        (band, line): (Paint, Stroke),
    ) {
        let bounds = self
            .min(column.min())
            .into_iter()
            .zip(self.max(column.max()));
        let bounds = bounds.map(|(min, max)| value(min).zip(value(max)));
        panel.between(scene, &self.edges, bounds, band);
        let last: Vec<_> = self.last(&column.last).into_iter().map(value).collect();
        panel.steps(scene, &self.edges, &last, line);
    }

    /// The last known value in each run or before it.
    pub(super) fn last(&self, column: &[Option<u64>]) -> Vec<Option<u64>> {
        let mut known = None;
        let of = |part: &[Option<u64>]| part.iter().flatten().next_back().copied();
        let lasts = self.each(column, of).into_iter();
        lasts
            .map(|last| {
                known = last.or(known);
                known
            })
            .collect()
    }

    /// The smallest value of each run.
    pub(super) fn min(&self, column: &[Option<u64>]) -> Vec<Option<u64>> {
        self.each(column, |part| part.iter().flatten().min().copied())
    }

    /// The largest value of each run.
    pub(super) fn max(&self, column: &[Option<u64>]) -> Vec<Option<u64>> {
        self.each(column, |part| part.iter().flatten().max().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{ChartOptions, Page};
    use super::super::panel::Frame;
    use super::super::scene::Rect;
    use super::*;
    use std::num::NonZeroU64;

    impl Sampled for (Moments, Every) {
        fn times(&self) -> (&Moments, Every) {
            (&self.0, self.1)
        }
    }

    /// Two samples and the last event.
    fn moments(event: [u64; 3], nanos: [u64; 3]) -> Moments {
        Moments {
            event: event[..2].to_vec(),
            nanos: nanos[..2].to_vec(),
            last_event: event[2],
            last_nanos: nanos[2],
        }
    }

    fn width(width: u64) -> NonZeroU64 {
        NonZeroU64::new(width).expect("a width")
    }

    #[test]
    fn the_axis_shows_what_was_sampled_by() {
        let moments = moments([0, 1, 1], [10, 30, 50]);
        let by_events = (moments.clone(), Every::Events(width(1)));
        let by_time = (moments, Every::Nanos(width(20)));
        let still = (Moments::default(), Every::Events(width(1)));
        assert_eq!(
            axis([&by_events], 3).name,
            "events, in 40 ns of virtual time"
        );
        assert_eq!(by_events.spans(), [(0.0, 1.0), (1.0, 2.0)]);
        assert_eq!(axis([&by_time], 3).name, "virtual time");
        assert_eq!(by_time.spans(), [(10.0, 20.0), (30.0, 70.0)]);
        assert_eq!(axis([&still], 3).name, "events");
        assert!(still.is_empty() && still.spans().is_empty());
    }

    #[test]
    fn a_sample_ends_where_nothing_happens_until_the_next() {
        let moments = moments([3, 100, 101], [0, 0, 0]);
        let spans = (moments, Every::Events(width(4))).spans();
        assert_eq!(spans, [(3.0, 4.0), (100.0, 102.0)]);
    }

    /// A panel on which a value is as many pixels from the left.
    fn panel() -> Panel {
        let mut page = Page::new(&ChartOptions::default(), 300.0, "", &[]);
        let [x, y] = [1000.0, 1.0].map(|high| Axis::linear(0.0, high, Vec::new()));
        let frame = Frame {
            y_labels: -8.0,
            ..Frame::new("", x, y)
        };
        page.panel(Rect::new(0.0, 0.0, 1002.0, 200.0), frame)
    }

    #[test]
    fn narrow_samples_are_one_run_and_a_pause_is_a_run_of_no_samples() {
        let samples = [(0.0, 10.0), (10.0, 11.0), (11.0, 12.0), (500.0, 510.0)];
        let runs = Runs::of_spans(&panel(), &samples);
        assert_eq!(runs.edges, [0.0, 10.0, 13.0, 500.0, 510.0]);
        assert_eq!(runs.samples(), [0..1, 1..3, 3..3, 3..4]);
        let column = [Some(1), Some(2), Some(3), None];
        assert_eq!(runs.min(&column), [Some(1), Some(2), None, None]);
        assert_eq!(runs.max(&column), [Some(1), Some(3), None, None]);
        assert_eq!(runs.last(&column), [Some(1), Some(3), Some(3), Some(3)]);
    }
}
