//! Samples that are too close to be seen apart, taken together.

use std::ops::Range;

use super::clock::Spans;
use super::panel::Panel;
use super::scene::{Scene, Stroke};
use super::theme::Paint;
use iova::measure::record::Column;

/// Samples are drawn no narrower than so many pixels.
const SEEN: f64 = 3.0;

/// Stretches of an axis, each with the samples that fall into it; none where nothing happens.
pub(super) struct Stretches {
    /// Where the stretches begin, and where the last one ends, in pixels.
    pub(super) edges: Vec<f64>,
    samples: Vec<Range<usize>>,
}

impl Stretches {
    /// Those of samples on an axis. Samples without any width that have no neighbour to go with
    /// are left out.
    pub(super) fn new(panel: &Panel, spans: &Spans) -> Stretches {
        let spans: Vec<(f64, f64)> = spans
            .samples
            .iter()
            .map(|&(begin, end)| (panel.x(begin), panel.x(end)))
            .collect();
        let mut stretches = Stretches {
            edges: spans.first().map(|&(begin, _)| begin).into_iter().collect(),
            samples: Vec::new(),
        };
        let mut start = 0;
        for (index, &(_, end)) in spans.iter().enumerate() {
            let begun = spans[start].0;
            match spans.get(index + 1) {
                // Far from here to the next sample.
                Some(&(next, _)) if next - end >= SEEN => {
                    let end = end.max(begun + SEEN).min(next);
                    stretches.add(end, start..index + 1);
                    stretches.add(next, index + 1..index + 1);
                }
                Some(&(next, _)) if next - begun >= SEEN => {
                    stretches.add(next, start..index + 1);
                }
                None if end > begun => stretches.add(end, start..index + 1),
                _ => continue,
            }
            start = index + 1;
        }
        stretches
    }

    fn add(&mut self, end: f64, samples: Range<usize>) {
        self.edges.push(end);
        self.samples.push(samples);
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

    /// Draws a figure as it changes: a line along what was seen last, on a band from the least
    /// to the most. `value` is what a number of the column is on the panel's axis.
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

    /// The last value that is known in each stretch or before it.
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

    /// The smallest value of each stretch.
    pub(super) fn min(&self, column: &[Option<u64>]) -> Vec<Option<u64>> {
        self.each(column, |part| part.iter().flatten().min().copied())
    }

    /// The largest value of each stretch.
    pub(super) fn max(&self, column: &[Option<u64>]) -> Vec<Option<u64>> {
        self.each(column, |part| part.iter().flatten().max().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::super::axis::Axis;
    use super::super::panel::Frame;
    use super::super::scene::Rect;
    use super::super::sheet::{Look, Sheet};
    use super::*;

    /// A panel on which a value is as many pixels from the left.
    fn panel() -> Panel {
        let mut sheet = Sheet::new(&Look::default(), 300.0, "", &[]);
        sheet.panel(
            Rect::new(0.0, 0.0, 1002.0, 200.0),
            Frame {
                title: String::new(),
                note: String::new(),
                of: None,
                above: 0.0,
                x: Axis::linear(0.0, 1000.0, Vec::new()),
                x_name: String::new(),
                y: Axis::linear(0.0, 1.0, Vec::new()),
                y_labels: -8.0,
            },
        )
    }

    #[test]
    fn narrow_samples_are_taken_together_and_nothing_happens_where_there_are_none() {
        let samples = vec![(0.0, 10.0), (10.0, 11.0), (11.0, 12.0), (500.0, 510.0)];
        let stretches = Stretches::new(&panel(), &Spans { samples });
        assert_eq!(stretches.edges, [0.0, 10.0, 13.0, 500.0, 510.0]);
        assert_eq!(stretches.samples(), [0..1, 1..3, 3..3, 3..4]);
        let column = [Some(1), Some(2), Some(3), None];
        assert_eq!(stretches.min(&column), [Some(1), Some(2), None, None]);
        assert_eq!(stretches.max(&column), [Some(1), Some(3), None, None]);
        assert_eq!(
            stretches.last(&column),
            [Some(1), Some(3), Some(3), Some(3)]
        );
    }
}
