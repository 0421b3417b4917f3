//! Moments of samples as places on an axis.
//!
//! What was sampled by events is drawn over events, what was sampled by time over time: so a
//! sample is as wide as any other. Over time, a recording that idles for seconds between bursts
//! would be a picture of idling.

use super::axis::Axis;
use super::number::{self, real};
use iova::measure::record::Moments;
use iova::measure::sampling::Every;

/// The axis of samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    by_time: bool,
    low: f64,
    high: f64,
    /// The virtual time of all samples, in nanoseconds.
    lasting: u64,
}

/// Where samples are on the axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spans {
    /// Where each sample begins and where its stretch ends; nothing happens from there to the
    /// beginning of the next.
    pub(super) samples: Vec<(f64, f64)>,
}

impl Clock {
    /// For all of these samples, all of which were taken by events, or all by time.
    pub(super) fn of<'a>(all: impl IntoIterator<Item = (&'a Moments, Every)>) -> Clock {
        let mut clock = Clock {
            by_time: false,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            lasting: 0,
        };
        for (moments, every) in all {
            clock.by_time = matches!(every, Every::Nanos(_));
            let spans = Spans::of(moments, every).samples;
            if let (Some((low, _)), Some((_, high))) = (spans.first(), spans.last()) {
                clock.low = clock.low.min(*low);
                clock.high = clock.high.max(*high);
            }
            let begun = moments.nanos.first().copied().unwrap_or(moments.last_nanos);
            clock.lasting = clock.lasting.max(moments.last_nanos.saturating_sub(begun));
        }
        if clock.low > clock.high {
            (clock.low, clock.high) = (0.0, 1.0);
        }
        clock
    }

    /// The axis, with about `ticks` ticks.
    pub(super) fn axis(self, ticks: u32) -> Axis {
        if self.by_time {
            Axis::time(self.low, self.high, ticks)
        } else {
            Axis::events(self.low, self.high, ticks)
        }
    }

    /// What the axis shows.
    pub(super) fn name(self) -> String {
        match self.lasting {
            _ if self.by_time => "virtual time".to_owned(),
            0 => "events".to_owned(),
            nanos => format!(
                "events, in {} of virtual time",
                number::duration(real(nanos))
            ),
        }
    }
}

impl Spans {
    /// Those of some samples. The state after the last event lasts for an event, or as long as
    /// a sample does on average, so that it is seen.
    pub(super) fn of(moments: &Moments, every: Every) -> Spans {
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
                let average = real(last - first) / real(begun.len() as u64);
                let lasting = match every {
                    Every::Events(_) => 1.0,
                    Every::Nanos(_) => average.min(real(width)).max(1.0),
                };
                real(last) + lasting
            };
            (real(at), until)
        });
        Spans {
            samples: samples.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

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
        let (events, time) = (Every::Events(width(1)), Every::Nanos(width(20)));
        let clock = Clock::of([(&moments, events)]);
        assert_eq!(clock.name(), "events, in 40 ns of virtual time");
        assert_eq!(
            Spans::of(&moments, events).samples,
            [(0.0, 1.0), (1.0, 2.0)]
        );
        let clock = Clock::of([(&moments, time)]);
        assert_eq!(clock.name(), "virtual time");
        assert_eq!(
            Spans::of(&moments, time).samples,
            [(10.0, 20.0), (30.0, 70.0)]
        );
        assert!(Spans::of(&Moments::default(), time).samples.is_empty());
        let still = Clock::of([(&Moments::default(), events)]);
        assert_eq!((still.name().as_str(), still.low), ("events", 0.0));
    }

    #[test]
    fn a_sample_does_not_last_over_a_stretch_in_which_nothing_happens() {
        let moments = moments([3, 100, 101], [0, 0, 0]);
        let spans = Spans::of(&moments, Every::Events(width(4)));
        assert_eq!(spans.samples, [(3.0, 4.0), (100.0, 102.0)]);
    }
}
