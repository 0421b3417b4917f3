//! The load over time, in a bounded number of slices of one length.

use super::Load;
use iova::units::Nanos;

/// How many slices there are at most; from half of that on, once there were so many.
const SLICES_MAX: usize = 24;

/// The shortest slice: a microsecond.
const SLICE_MIN_NS: u64 = 1000;

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
    /// What was live at its end.
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
    /// Time goes on to a moment, with the load that was so far.
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

    /// The load at that moment.
    pub(super) fn note(&mut self, load: Load) {
        if let Some(slice) = self.slices.last_mut() {
            slice.max = slice.max.or(load);
            slice.end = load;
        }
    }

    /// How long a slice is.
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
                .fold(Load::default(), |max, slice| max.or(slice.max)),
            end: pair.last().copied().unwrap_or_default().end,
        });
        self.slices = merged.collect();
    }
}

impl Load {
    /// The larger of both figures.
    fn or(self, other: Load) -> Load {
        Load {
            ranges: self.ranges.max(other.ranges),
            pages: self.pages.max(other.pages),
        }
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
