//! Small multiples: panels over the same time, one for each allocator or for each figure.

use super::Series;
use super::axis::Axis;
use super::page::{ChartOptions, Key, Page};
use super::panel::{Frame, Panel};
use super::scene::{Scene, Stroke};
use super::time::{self, Sampled};

/// A chart of panels over the same time.
pub(super) struct SmallMultiples<'a> {
    pub(super) title: &'a str,
    pub(super) about: Vec<String>,
    pub(super) options: &'a ChartOptions,
    /// The height of the page, unless the options have one.
    pub(super) height: f64,
    pub(super) keys: Vec<Key>,
    /// How many panels are side by side.
    pub(super) columns: usize,
    /// About how many ticks the axis of time has.
    pub(super) ticks: u32,
    pub(super) panels: Vec<Multiple>,
    /// Whether all panels have the same vertical axis, so that the leftmost ones alone need labels.
    pub(super) same_scale: bool,
}

/// One of the panels.
pub(super) struct Multiple {
    pub(super) title: String,
    /// A remark beneath the title.
    pub(super) note: String,
    /// The line of its allocator, if it is about one.
    pub(super) of: Option<Stroke>,
    /// Pixels that are left free between the title and the data.
    pub(super) above: f64,
    pub(super) y: Axis,
}

/// At most `most` of the series, and a line about the others.
pub(super) fn first_of<'a, T>(
    most: usize,
    series: &'a [Series<T>],
    about: &[String],
) -> (&'a [Series<T>], Vec<String>) {
    let all = series.len();
    let rest = format!("the first {most} of {all} allocators; --allocator selects others");
    let rest = (all > most).then_some(rest);
    let about = about.iter().cloned().chain(rest).collect();
    (&series[..all.min(most)], about)
}

impl SmallMultiples<'_> {
    /// Draws the page; `content` fills the panel of an index.
    pub(super) fn draw<T: Sampled>(
        self,
        series: &[Series<&T>],
        content: impl Fn(&mut Page, &Panel, usize),
    ) -> Scene {
        if series.iter().all(|it| it.data.is_empty()) {
            return Page::blank(self.options, self.title, &self.about, "no samples");
        }
        let mut page = Page::new(self.options, self.height, self.title, &self.about);
        page.legend(&self.keys);
        let x = time::axis(series.iter().map(|it| it.data), self.ticks);
        let labels = self.panels.iter().map(|it| it.y.label_width());
        let labels = labels.fold(0.0, f64::max);
        let (beside, within) = if self.same_scale {
            (labels + 8.0, -8.0)
        } else {
            (0.0, labels)
        };
        let cells = page.grid(beside, self.panels.len(), self.columns);
        for (index, (multiple, cell)) in self.panels.into_iter().zip(cells).enumerate() {
            let labelled = !self.same_scale || index.is_multiple_of(self.columns);
            let y = multiple.y;
            let frame = Frame {
                note: multiple.note,
                of: multiple.of,
                above: multiple.above,
                y_labels: within,
                ..Frame::new(
                    &multiple.title,
                    x.clone(),
                    if labelled { y } else { y.without_labels() },
                )
            };
            let panel = page.panel(cell, frame);
            content(&mut page, &panel, index);
        }
        page.scene
    }
}
