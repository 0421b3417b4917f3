//! Samples that are too close to be seen apart, taken together.

use std::ops::Range;

use super::panel::Panel;

/// Samples are drawn no narrower than so many pixels.
const SEEN: f64 = 3.0;

/// Stretches of an axis, each with the samples that fall into it.
pub(super) struct Stretches {
    /// Where the stretches begin, and where the last one ends, in pixels.
    pub(super) edges: Vec<f64>,
    samples: Vec<Range<usize>>,
}

impl Stretches {
    /// Those of samples that begin at some values of an axis, of which the last is the end.
    /// Samples without any width that have no neighbour to go with are left out.
    pub(super) fn new(panel: &Panel, begins: &[f64]) -> Stretches {
        let xs: Vec<f64> = begins.iter().map(|&value| panel.x(value)).collect();
        let mut stretches = Stretches {
            edges: xs.first().copied().into_iter().collect(),
            samples: Vec::new(),
        };
        let mut start = 0;
        for end in 1..xs.len() {
            let width = xs[end] - xs[start];
            let is_last = end + 1 == xs.len();
            if width >= SEEN || is_last && width > 0.0 {
                stretches.edges.push(xs[end]);
                stretches.samples.push(start..end);
                start = end;
            }
        }
        stretches
    }

    /// The samples of each stretch.
    pub(super) fn samples(&self) -> &[Range<usize>] {
        &self.samples
    }

    /// What comes of each stretch's part of a column.
    pub(super) fn each<T, U>(&self, column: &[T], of: impl Fn(&[T]) -> U) -> Vec<U> {
        let parts = self
            .samples
            .iter()
            .map(|samples| column.get(samples.clone()));
        parts.map(|part| of(part.unwrap_or_default())).collect()
    }

    /// The last value of each stretch that is known.
    pub(super) fn last(&self, column: &[Option<u64>]) -> Vec<Option<u64>> {
        self.each(column, |part| part.iter().flatten().next_back().copied())
    }

    /// The smallest value of each stretch.
    pub(super) fn min(&self, column: &[Option<u64>]) -> Vec<Option<u64>> {
        self.each(column, |part| part.iter().flatten().min().copied())
    }

    /// The largest value of each stretch.
    pub(super) fn max(&self, column: &[Option<u64>]) -> Vec<Option<u64>> {
        self.each(column, |part| part.iter().flatten().max().copied())
    }
}
