//! How often allocations fail, and whether there was room: a bar per allocator, split by cause, with
//! the interval of the rate.

use std::collections::BTreeMap;

use super::Series;
use super::axis::{Axis, TICK};
use super::font;
use super::number::{self, real};
use super::page::{ChartOptions, Key, LABEL, Page, SAMPLE, Sample, small};
use super::panel::{Frame, Panel};
use super::scene::{Anchor, Rect, Scene};
use iova::measure::Cause;

/// The question that the chart answers.
pub const TITLE: &str = "How often does an allocation fail, and was there room?";

/// The failures of an allocator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failures {
    /// Requests for addresses.
    pub requests: u64,
    /// Refused requests by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// The 95 % interval of the failure rate, if known.
    pub interval: Option<(f64, f64)>,
    /// Whether the interval accounts for the spread of several runs. That of one run takes its
    /// requests as independent.
    pub several_runs: bool,
}

impl Failures {
    /// The share of the requests that were refused for some causes; `None` without requests.
    pub(super) fn share(&self, counts: impl Fn(Cause) -> bool) -> Option<f64> {
        let refused = self.causes.iter().filter(|(cause, _)| counts(**cause));
        let refused: f64 = refused.map(|(_, &count)| real(count)).sum();
        (self.requests > 0).then(|| refused / real(self.requests))
    }

    /// The largest share that is drawn.
    pub(super) fn highest(&self) -> f64 {
        let rate = self.share(|_| true).unwrap_or(0.0);
        self.interval.map_or(rate, |(_, high)| high.max(rate))
    }
}

/// The height of a row, unless the options have a size.
const ROW: f64 = 38.0;

pub fn draw(about: &[String], series: &[Series<Failures>], options: &ChartOptions) -> Scene {
    if series.iter().all(|it| it.data.requests == 0) {
        return Page::blank(options, TITLE, about, "no requests");
    }
    let height = 240.0 + ROW * small(series.len());
    let mut page = Page::new(options, height, TITLE, about);
    page.legend(&causes_seen(&page, &series.iter().map(|it| &it.data)));
    table(&mut page, series);
    page.scene
}

/// A heading, and the causes that count towards it.
type Figure = (&'static str, fn(Cause) -> bool);

/// The figures beside the bars.
const FIGURES: [Figure; 2] = [("refused", |_| true), ("with room", Cause::is_spurious)];

/// Draws a row per allocator: its name, its bar, its figures.
fn table(page: &mut Page, series: &[Series<Failures>]) {
    let column = font::width("0.000001 %", LABEL) + 18.0;
    let names = series.iter().map(|it| font::width(&it.allocator, LABEL));
    let names = names.fold(0.0, f64::max).min(page.width() * 0.34) + SAMPLE + 8.0;
    let highest = series
        .iter()
        .map(|it| it.data.highest())
        .fold(0.0, f64::max);
    let cell = page
        .body()
        .inset(0.0, TICK, column * small(FIGURES.len()), TICK);
    let panel = page.panel(
        cell,
        Frame::rows(Axis::shares(highest, 6).named(&x_name(series)), names),
    );
    let rights = FIGURES.iter().zip(1_u32..).map(|(figure, column_number)| {
        (figure, cell.right + column * f64::from(column_number))
    });
    for ((name, _), right) in rights.clone() {
        let at = (right, panel.area.top - 4.0);
        page.write(at, *name, TICK, page.palette.faint, Anchor::End);
    }
    let row = panel.area.height() / small(series.len());
    for (index, one) in series.iter().enumerate() {
        let middle = panel.area.top + row * (small(index) + 0.5);
        name_row(page, &panel, one, middle, row);
        bars(page, &panel, &one.data, middle, row);
        for ((_, counts), right) in rights.clone() {
            let share = one.data.share(counts);
            let text = share.map_or("no requests".to_owned(), |share| {
                number::percent_with(share, decimals(series, *counts))
            });
            let at = (right, middle + LABEL * font::CAPITAL_MIDDLE);
            page.write(at, text, LABEL, page.palette.ink, Anchor::End);
        }
    }
}

/// How many decimals the shares of a column have, so that the smallest keeps three digits.
fn decimals(series: &[Series<Failures>], counts: fn(Cause) -> bool) -> usize {
    let shares = series.iter().filter_map(|one| one.data.share(counts));
    let decimals = shares.map(|share| number::decimals(share * 100.0));
    decimals.max().unwrap_or(0)
}

fn x_name(series: &[Series<Failures>]) -> String {
    let refused = |it: &Series<Failures>| it.data.causes.values().any(|&count| count > 0);
    let what = if series.iter().any(refused) {
        "requests refused"
    } else {
        "no request was refused"
    };
    let several_runs = series.iter().any(|it| it.data.several_runs);
    let whiskers = if series.iter().all(|it| it.data.interval.is_none()) {
        ""
    } else if several_runs {
        "; whiskers: 95 % interval"
    } else {
        "; whiskers: 95 % interval, as if independent"
    };
    format!("{what}{whiskers}")
}

/// A legend of the causes that occur.
pub(super) fn causes_seen<'a>(
    page: &Page,
    failures: &(impl Iterator<Item = &'a Failures> + Clone),
) -> Vec<Key> {
    let seen = Cause::ALL.into_iter().filter(|cause| {
        failures
            .clone()
            .any(|it| it.causes.get(cause).is_some_and(|&count| count > 0))
    });
    let key = |cause: Cause| Key {
        sample: Sample::Area(page.palette.cause(cause).into()),
        label: match cause {
            Cause::Shortcut => "shortcut: there was room",
            Cause::Missed => "missed: there was room",
            Cause::Cached => "cached: rcaches hold the room",
            Cause::Fragmented => "fragmented",
            Cause::Exhausted => "exhausted",
            Cause::NoMem => "nomem: injected",
        }
        .to_owned(),
    };
    seen.map(key).collect()
}

/// Names a row, with its allocator's line in other charts.
fn name_row<T>(page: &mut Page, panel: &Panel, one: &Series<T>, middle: f64, row: f64) {
    let name = &one.allocator;
    let stroke = page.palette.allocator_line(one.place);
    let right = panel.area.left - 8.0 - SAMPLE;
    page.line_of(stroke, (right, middle));
    let right = right - 8.0;
    let room = right - page.body().left;
    let lines = font::wrap(name, LABEL, room);
    let fitting = if row < LABEL * 2.4 { 1 } else { 2 };
    let lines = if lines.len() > fitting {
        vec![font::shorten(name, LABEL, room)]
    } else {
        lines
    };
    let above = small(lines.len() - 1) * LABEL * 0.6;
    for (index, line) in lines.iter().enumerate() {
        let y = middle - above + small(index) * LABEL * 1.2 + LABEL * font::CAPITAL_MIDDLE;
        let at = (right, y);
        page.write(at, line, LABEL, page.palette.ink, Anchor::End);
    }
}

/// Draws the bar of a row, split by cause, and the interval.
pub(super) fn bars(page: &mut Page, panel: &Panel, failures: &Failures, middle: f64, row: f64) {
    let height = (row * 0.62).min(26.0);
    let mut from = 0.0;
    for cause in Cause::ALL {
        let share = failures.share(|it| it == cause).unwrap_or(0.0);
        if share > 0.0 {
            let (left, right) = (panel.x(from), panel.x(from + share));
            let bar = Rect {
                left,
                right: right.max(left + 0.5),
                top: middle - height / 2.0,
                bottom: middle + height / 2.0,
            };
            page.scene.rect(bar, page.palette.cause(cause).into());
            from += share;
        }
    }
    if let Some((low, high)) = failures.interval {
        let [low, high] = [low, high].map(|share| panel.x(share));
        let palette = page.palette;
        // A light edge makes the whisker stand out from a dark bar.
        for stroke in [
            palette.line(palette.background, 4.0),
            palette.line(palette.ink, 1.75),
        ] {
            let across = vec![(low, middle), (high, middle)];
            page.scene.line(across, stroke);
            for end in [low, high] {
                let upright = vec![(end, middle - 5.0), (end, middle + 5.0)];
                page.scene.line(upright, stroke);
            }
        }
    }
}
