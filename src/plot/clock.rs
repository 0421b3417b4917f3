//! Moments of samples as places on an axis.

use super::axis::Axis;
use super::number::real;
use crate::measure::record::Moments;

/// The moments of samples on one axis: virtual time, or events where no time passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    by_time: bool,
    low: f64,
    high: f64,
}

impl Clock {
    /// For all of these samples.
    pub(super) fn of<'a>(all: impl IntoIterator<Item = &'a Moments>) -> Clock {
        let mut clock = Clock {
            by_time: false,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        };
        let all: Vec<_> = all.into_iter().collect();
        clock.by_time = all
            .iter()
            .any(|it| it.nanos.first().is_some_and(|&first| first < it.last_nanos));
        for moments in all {
            let edges = clock.edges(moments);
            clock.low = clock.low.min(edges.first().copied().unwrap_or(clock.low));
            clock.high = clock.high.max(edges.last().copied().unwrap_or(clock.high));
        }
        if clock.low > clock.high {
            (clock.low, clock.high) = (0.0, 1.0);
        }
        clock
    }

    /// Where samples begin, and where the last one ends; nothing without samples. The last
    /// event's state lasts as long as a sample does on average, so that it is seen.
    pub(super) fn edges(self, moments: &Moments) -> Vec<f64> {
        let (begun, last) = if self.by_time {
            (&moments.nanos, moments.last_nanos)
        } else {
            (&moments.event, moments.last_event)
        };
        let Some(&first) = begun.first() else {
            return Vec::new();
        };
        let lasting = if self.by_time {
            real(last - first) / real(begun.len() as u64)
        } else {
            1.0
        };
        let begun = begun.iter().map(|&it| real(it));
        begun.chain([real(last) + lasting.max(1.0)]).collect()
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
    pub(super) fn name(self) -> &'static str {
        if self.by_time {
            "virtual time"
        } else {
            "events"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_time_the_clock_counts_events() {
        let moments = |nanos: [u64; 2], last_nanos| Moments {
            event: vec![0, 1],
            nanos: nanos.to_vec(),
            last_event: 1,
            last_nanos,
        };
        let still = Clock::of([&moments([7, 7], 7)]);
        assert_eq!(
            (still.name(), still.edges(&moments([7, 7], 7))),
            ("events", vec![0.0, 1.0, 2.0])
        );
        let timed = Clock::of([&moments([10, 30], 50)]);
        assert_eq!(timed.name(), "virtual time");
        assert_eq!(timed.edges(&moments([10, 30], 50)), [10.0, 30.0, 70.0]);
        assert!(
            Clock::of([&Moments::default()])
                .edges(&Moments::default())
                .is_empty()
        );
    }
}
