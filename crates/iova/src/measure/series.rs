//! Samples along a replay, few however long it runs.
//!
//! Positions are event numbers or nanoseconds. Each sample stands for a stretch of positions of
//! one width; once there are too many samples, the width is doubled and neighbours that now
//! share a stretch are merged, as often as it takes to halve their number. So a series of any
//! length keeps between half of the capacity and all of it, and stretches in which nothing
//! happened take no place.

use std::num::NonZeroU64;

/// A sample that can take in the one after it.
pub trait Merge: Default {
    /// Makes this sample stand for both.
    fn merge(&mut self, later: Self);
}

/// Samples in the order of their positions.
#[derive(Clone, Debug)]
pub struct Series<T> {
    width: NonZeroU64,
    capacity: usize,
    samples: Vec<(u64, T)>,
    /// The last position of the newest sample's stretch; none before the first sample.
    last: Option<u64>,
}

impl<T: Merge> Series<T> {
    /// No samples yet; the stretches are of `width` positions at first. A capacity is at
    /// least 4.
    pub fn new(width: NonZeroU64, capacity: usize) -> Series<T> {
        Series {
            width,
            capacity: capacity.max(4),
            samples: Vec::new(),
            last: None,
        }
    }

    /// The sample at a position, which is not before the one asked for last, and whether it
    /// was begun just now.
    pub fn at(&mut self, position: u64) -> (&mut T, bool) {
        let begins = self.last.is_none_or(|last| last < position) && self.begin(position);
        let (_, sample) = self
            .samples
            .last_mut()
            .expect("a sample was begun at the first position");
        (sample, begins)
    }

    /// The newest sample; none before the first.
    pub fn newest(&mut self) -> Option<&mut T> {
        self.samples.last_mut().map(|(_, sample)| sample)
    }

    /// Begins a sample, unless the newest one has been widened over its position.
    fn begin(&mut self, position: u64) -> bool {
        if self.samples.len() == self.capacity {
            while self.samples.len() > self.capacity / 2 {
                self.widen();
            }
        }
        let stretch = position / self.width;
        let first = stretch.saturating_mul(self.width.get());
        self.last = Some(first.saturating_add(self.width.get() - 1));
        let newest = self.samples.last().map(|(begun, _)| *begun / self.width);
        if newest == Some(stretch) {
            return false;
        }
        self.samples.push((position, T::default()));
        true
    }

    fn widen(&mut self) {
        self.width = self.width.saturating_mul(NonZeroU64::MIN.saturating_add(1));
        let width = self.width;
        let mut merged: Vec<(u64, T)> = Vec::with_capacity(self.capacity);
        for (position, sample) in self.samples.drain(..) {
            match merged.last_mut() {
                Some((begun, kept)) if *begun / width == position / width => kept.merge(sample),
                _ => merged.push((position, sample)),
            }
        }
        self.samples = merged;
    }

    /// How many positions a sample stands for.
    pub fn width(&self) -> NonZeroU64 {
        self.width
    }

    /// The samples, in order.
    pub fn into_samples(self) -> Vec<T> {
        self.samples.into_iter().map(|(_, sample)| sample).collect()
    }
}

/// The smallest and the largest of some numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extremes(Option<(u64, u64)>);

impl Extremes {
    /// Takes in a number.
    pub fn add(&mut self, number: u64) {
        let (min, max) = self.0.unwrap_or((number, number));
        self.0 = Some((min.min(number), max.max(number)));
    }

    /// The smallest; none of no numbers.
    pub fn min(self) -> Option<u64> {
        self.0.map(|(min, _)| min)
    }

    /// The largest; none of no numbers.
    pub fn max(self) -> Option<u64> {
        self.0.map(|(_, max)| max)
    }
}

impl Merge for Extremes {
    fn merge(&mut self, later: Extremes) {
        if let Some((min, max)) = later.0 {
            self.add(min);
            self.add(max);
        }
    }
}

/// A figure within a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Track {
    /// The newest value; none where it was not looked at or there is no such thing.
    pub(super) last: Option<u64>,
    /// The smallest and the largest value.
    pub(super) extremes: Extremes,
}

impl Track {
    pub(super) fn see(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            self.last = Some(value);
            self.extremes.add(value);
        }
    }
}

impl Merge for Track {
    fn merge(&mut self, later: Track) {
        self.last = later.last.or(self.last);
        self.extremes.merge(later.extremes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The positions that a sample stands for.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Positions(Vec<u64>);

    impl Merge for Positions {
        fn merge(&mut self, later: Positions) {
            self.0.extend(later.0);
        }
    }

    fn series(width: u64, capacity: usize) -> Series<Positions> {
        Series::new(NonZeroU64::new(width).expect("a width"), capacity)
    }

    #[test]
    fn a_full_series_is_halved_and_goes_on_at_half_the_resolution() {
        let mut series = series(1, 4);
        for position in 0..5 {
            series.at(position).0.0.push(position);
        }
        assert_eq!(series.width().get(), 2);
        let samples: Vec<Vec<u64>> = series.into_samples().into_iter().map(|it| it.0).collect();
        assert_eq!(samples, [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn the_end_of_all_positions_is_one_too() {
        let mut series = series(3, 4);
        for position in [0, 9, 12, 15, u64::MAX - 1, u64::MAX] {
            series.at(position);
        }
        assert!(series.into_samples().len() <= 4);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_sample_keeps_to_its_stretch(
            steps in proptest::collection::vec(0u64..100, 1..500),
            width in 1u64..9,
            capacity in 4usize..20,
        ) {
            let mut series = series(width, capacity);
            let mut all = Vec::new();
            let mut position = 0;
            let mut begun = 0;
            for step in steps {
                position += step;
                let (sample, begins) = series.at(position);
                prop_assert_eq!(begins, sample.0.is_empty());
                begun += usize::from(begins);
                sample.0.push(position);
                all.push(position);
                prop_assert!(series.samples.len() <= capacity);
            }
            prop_assert!(series.samples.len() <= begun);
            let width = series.width().get();
            let samples: Vec<Vec<u64>> =
                series.into_samples().into_iter().map(|it| it.0).collect();
            let stretches: Vec<u64> = samples.iter().map(|it| it[0] / width).collect();
            prop_assert!(stretches.is_sorted_by(|one, two| one < two));
            for sample in &samples {
                prop_assert!(sample.iter().all(|it| it / width == sample[0] / width));
            }
            let kept = samples.concat();
            prop_assert_eq!(kept, all);
        }
    }
}
