//! How often allocations fail, and whether there was room: a bar an allocator, split by cause,
//! with the interval of the rate.

use std::collections::BTreeMap;

use super::Entry;
use super::axis::{Axis, TICK};
use super::font;
use super::number::{percent, real};
use super::panel::{Frame, Panel};
use super::scene::{Anchor, Rect, Scene};
use super::sheet::{Key, LABEL, Look, SAMPLE, Sample, Sheet, small};
use iova::measure::Cause;

/// The question that the chart answers.
pub const TITLE: &str = "How often does an allocation fail, and was there room?";

/// The failures of an allocator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failures {
    /// Requests for addresses.
    pub requests: u64,
    /// Those that were refused, by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// The interval of the rate, where it is known.
    pub interval: Option<(f64, f64)>,
    /// Whether the interval knows how runs differ; the requests of one run count as independent.
    pub several_runs: bool,
}

impl Failures {
    /// The share of the requests that was refused for causes of a kind; none without requests.
    pub(super) fn share(&self, counts: impl Fn(Cause) -> bool) -> Option<f64> {
        let refused = self.causes.iter().filter(|(cause, _)| counts(**cause));
        let refused: u64 = refused.map(|(_, count)| count).sum();
        (self.requests > 0).then(|| real(refused) / real(self.requests))
    }

    /// The largest share that is drawn.
    pub(super) fn highest(&self) -> f64 {
        let rate = self.share(|_| true).unwrap_or(0.0);
        self.interval.map_or(rate, |(_, high)| high.max(rate))
    }
}

/// The height of a row, where the height of the picture is not chosen.
const ROW: f64 = 38.0;

pub fn draw(about: &[String], entries: &[Entry<Failures>], look: &Look) -> Scene {
    if entries.iter().all(|it| it.what.requests == 0) {
        return Sheet::blank(look, TITLE, about, "there are no requests for addresses");
    }
    let height = 240.0 + ROW * small(entries.len());
    let mut sheet = Sheet::new(look, height, TITLE, about);
    sheet.legend(&causes_seen(&sheet, &entries.iter().map(|it| &it.what)));
    table(&mut sheet, entries);
    sheet.scene
}

/// A heading, and the causes that count for it.
type Figure = (&'static str, fn(Cause) -> bool);

/// The figures beside the bars.
const FIGURES: [Figure; 2] = [("refused", |_| true), ("with room", Cause::is_spurious)];

/// Draws a row an allocator: its name, its bar, its figures.
fn table(sheet: &mut Sheet, entries: &[Entry<Failures>]) {
    let column = font::width("0.000001 %", LABEL) + 18.0;
    let names = entries.iter().map(|it| font::width(&it.allocator, LABEL));
    let names = names.fold(0.0, f64::max).min(sheet.width() * 0.34) + SAMPLE + 8.0;
    let highest = entries
        .iter()
        .map(|it| it.what.highest())
        .fold(0.0, f64::max);
    let cell = sheet
        .body()
        .inset(0.0, TICK, column * small(FIGURES.len()), TICK);
    let panel = sheet.panel(
        cell,
        Frame {
            title: String::new(),
            note: String::new(),
            of: None,
            above: 0.0,
            x: Axis::shares(highest, 6),
            x_name: x_name(entries),
            y: Axis::linear(0.0, 1.0, Vec::new()),
            y_labels: names,
        },
    );
    let rights = FIGURES.iter().zip(1_u32..).map(|(figure, column_number)| {
        (figure, cell.right + column * f64::from(column_number))
    });
    for ((name, _), right) in rights.clone() {
        let at = (right, panel.area.top - 4.0);
        sheet.write(at, *name, TICK, sheet.theme.faint, Anchor::End);
    }
    let row = panel.area.height() / small(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let middle = panel.area.top + row * (small(index) + 0.5);
        name_row(sheet, &panel, entry, middle, row);
        bars(sheet, &panel, &entry.what, middle, row);
        for ((_, counts), right) in rights.clone() {
            let share = entry.what.share(counts);
            let text = share.map_or("no requests".to_owned(), percent);
            let at = (right, middle + LABEL * font::CAPITAL_MIDDLE);
            sheet.write(at, text, LABEL, sheet.theme.ink, Anchor::End);
        }
    }
}

fn x_name(entries: &[Entry<Failures>]) -> String {
    let refused = |it: &Entry<Failures>| it.what.causes.values().any(|&count| count > 0);
    let what = if entries.iter().any(refused) {
        "requests refused"
    } else {
        "no request was refused"
    };
    let several_runs = entries.iter().any(|it| it.what.several_runs);
    let whiskers = if entries.iter().all(|it| it.what.interval.is_none()) {
        ""
    } else if several_runs {
        "; whiskers: 95 %"
    } else {
        "; whiskers: 95 %, as if independent"
    };
    format!("{what}{whiskers}")
}

/// A legend of the causes that there are.
pub(super) fn causes_seen<'a>(
    sheet: &Sheet,
    failures: &(impl Iterator<Item = &'a Failures> + Clone),
) -> Vec<Key> {
    let seen = Cause::ALL.into_iter().filter(|cause| {
        failures
            .clone()
            .any(|it| it.causes.get(cause).is_some_and(|&count| count > 0))
    });
    let key = |cause: Cause| Key {
        sample: Sample::Area(sheet.theme.cause(cause).into()),
        label: match cause {
            Cause::Shortcut => "shortcut: there was room",
            Cause::Missed => "missed: there was room",
            Cause::Cached => "cached: caches hold it",
            Cause::Fragmented => "fragmented",
            Cause::Exhausted => "exhausted",
            Cause::NoMem => "nomem: injected",
        }
        .to_owned(),
    };
    seen.map(key).collect()
}

/// Names a row, and shows what its allocator looks like in other charts.
fn name_row<T>(sheet: &mut Sheet, panel: &Panel, entry: &Entry<T>, middle: f64, row: f64) {
    let name = &entry.allocator;
    let stroke = sheet.theme.allocator_line(entry.place);
    let right = panel.area.left - 8.0 - SAMPLE;
    sheet.line_of(stroke, (right, middle));
    let right = right - 8.0;
    let room = right - sheet.body().left;
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
        sheet.write(at, line, LABEL, sheet.theme.ink, Anchor::End);
    }
}

/// Draws the bar of a row, split by cause, and the interval.
pub(super) fn bars(
    sheet: &mut Sheet,
    panel: &Panel,
    failures: &Failures,
    middle: f64,
    row: f64,
) {
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
            sheet.scene.rect(bar, sheet.theme.cause(cause).into());
            from += share;
        }
    }
    if let Some((low, high)) = failures.interval {
        let [low, high] = [low, high].map(|share| panel.x(share));
        let theme = sheet.theme;
        // A light edge makes the whisker stand out from a dark bar.
        for stroke in [
            theme.line(theme.background, 4.0),
            theme.line(theme.ink, 1.75),
        ] {
            let across = vec![(low, middle), (high, middle)];
            sheet.scene.line(across, stroke);
            for end in [low, high] {
                let upright = vec![(end, middle - 5.0), (end, middle + 5.0)];
                sheet.scene.line(upright, stroke);
            }
        }
    }
}
