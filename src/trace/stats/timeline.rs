//! The load over time, in a bounded number of slices of one length.
//!
//! The slices cover the whole time without a hole, for a table that people read; the core's
//! `measure::series` keeps only stretches in which something happened.

use iova::units::Nanos;

/// The largest number of slices. A trace that needed more has at least half of it.
const SLICES_MAX: usize = 24;

/// The shortest slice: a microsecond.
const SLICE_MIN_NS: u64 = 1000;

/// Ranges and pages that are live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub ranges: u64,
    pub pages: u64,
}

impl Load {
    /// The larger of both figures, each by itself.
    #[must_use]
    pub(super) fn max(self, other: Load) -> Load {
        Load {
            ranges: self.ranges.max(other.ranges),
            pages: self.pages.max(other.pages),
        }
    }
}

/// Slices of time, all of one length, which doubles when they get too many.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    length_ns: u64,
    slices: Vec<Slice>,
}

/// One slice of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    /// The most ranges and the most pages that were live, not always at the same time.
    pub max: Load,
    /// The load at its end.
    pub end: Load,
}

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline {
            length_ns: SLICE_MIN_NS,
            slices: vec![Slice::default()],
        }
    }
}

impl Timeline {
    /// Opens the slices up to `now`; the load has been `load` since the last event.
    pub(super) fn advance(&mut self, now: Nanos, load: Load) {
        while self.index(now) >= SLICES_MAX as u64 {
            self.halve();
        }
        while (self.slices.len() as u64) <= self.index(now) {
            self.slices.push(Slice {
                max: load,
                end: load,
            });
        }
    }

    /// Records the load after an event.
    pub(super) fn note(&mut self, load: Load) {
        if let Some(slice) = self.slices.last_mut() {
            slice.max = slice.max.max(load);
            slice.end = load;
        }
    }

    /// The length of a slice.
    pub(super) fn length(&self) -> Nanos {
        Nanos(self.length_ns)
    }

    /// The slices, from the trace's start on.
    pub(super) fn slices(&self) -> &[Slice] {
        &self.slices
    }

    fn index(&self, at: Nanos) -> u64 {
        at.0 / self.length_ns
    }

    fn halve(&mut self) {
        self.length_ns = self.length_ns.saturating_mul(2);
        let merged = self.slices.chunks(2).map(|pair| Slice {
            max: pair
                .iter()
                .fold(Load::default(), |max, slice| max.max(slice.max)),
            end: pair.last().copied().unwrap_or_default().end,
        });
        self.slices = merged.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(ranges: u64) -> Load {
        Load {
            ranges,
            pages: 10 * ranges,
        }
    }

    #[test]
    fn slices_double_when_they_get_too_many() {
        let mut timeline = Timeline::default();
        for micros in 0..100 {
            timeline.advance(Nanos(micros * 1000), load(micros));
            timeline.note(load(micros + 1));
        }
        assert_eq!(timeline.length(), Nanos(8000));
        assert_eq!(timeline.slices().len(), 13);
        assert_eq!(timeline.slices()[0].end, load(8));
        assert_eq!(timeline.slices()[12].max, load(100));
    }

    #[test]
    fn a_slice_without_events_has_the_load_from_before() {
        let mut timeline = Timeline::default();
        timeline.advance(Nanos(0), load(0));
        timeline.note(load(5));
        timeline.note(load(2));
        timeline.advance(Nanos(3000), load(2));
        timeline.note(load(1));
        let maxima: Vec<u64> = timeline
            .slices()
            .iter()
            .map(|slice| slice.max.ranges)
            .collect();
        assert_eq!(maxima, [5, 2, 2, 2]);
        assert_eq!(timeline.slices()[3].end, load(1));
    }

    #[test]
    fn the_end_of_time_is_within_the_slices() {
        let mut timeline = Timeline::default();
        timeline.advance(Nanos(u64::MAX), load(1));
        assert!(timeline.slices().len() <= SLICES_MAX);
    }
}
