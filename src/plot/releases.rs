//! Which change of the kernel's history made a difference: a row for each run of releases that
//! answer alike, with the changes that it came with.

use std::collections::BTreeMap;

use super::axis::{Axis, TICK};
use super::failure_rate::{Failures, bars, causes_seen};
use super::font;
use super::number::{self, plain, real};
use super::panel::{Frame, Panel};
use super::scene::{Anchor, Rect, Scene};
use super::sheet::{DOT, LABEL, Look, Sheet, small};
use super::subject::{Subjected, Walked};
use super::theme::Rgb;
use iova::kernel::changes::{Row, TABLE};
use iova::kernel::{Allocator, Release, Rules};

/// The question that the chart answers.
pub const TITLE: &str = "Which release made the difference?";

/// Releases that answer alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Era {
    /// The first and the last of them, as `5.1 – 5.2`.
    pub releases: String,
    /// The changes between the era before and this one; nothing for the first.
    pub changes: Vec<String>,
    /// How often they fail.
    pub failures: Failures,
    /// Steps that 990 thousandths of the requests did not exceed, where they are counted.
    pub steps_p99: Option<u64>,
}

/// The height of a row, where the height of the picture is not chosen.
const ROW: f64 = 44.0;
/// The same where it has many changes to name.
const ROW_MAX: f64 = 116.0;
const GAP: f64 = 24.0;
/// From one line of changes to the next.
const LINE: f64 = TICK * 1.15;

/// What an era is known by: the first release that has its rules.
fn era_of(rules: Rules) -> Option<Release> {
    Release::all().find(|&release| Rules::of(release) == rules)
}

/// A release of each era, as allocators are named.
pub fn one_of_each() -> Vec<String> {
    let firsts = Release::all().filter(|&release| era_of(Rules::of(release)) == Some(release));
    firsts.map(|release| format!("linux-{release}")).collect()
}

/// The eras that have an allocator among these, the oldest first. Of several allocators of one
/// era, which answer alike, the first counts.
pub fn eras(allocators: &[Subjected]) -> Vec<Era> {
    let mut of_release: BTreeMap<Release, &Subjected> = BTreeMap::new();
    for allocator in allocators {
        let parsed = allocator.allocator.parse::<Allocator>();
        if let Some(release) = parsed.ok().and_then(|it| era_of(it.rules())) {
            of_release.entry(release).or_insert(allocator);
        }
    }
    let mut before: Option<Rules> = None;
    let eras = of_release.into_iter().map(|(first, of)| {
        let rules = Rules::of(first);
        let came =
            |row: &&Row| before.is_some_and(|it| !it.has(row.change)) && rules.has(row.change);
        let changes = TABLE
            .iter()
            .filter(came)
            .map(|row| row.slug.to_owned())
            .collect();
        before = Some(rules);
        let last = Release::all()
            .filter(|&release| Rules::of(release) == rules)
            .last();
        let last = last.filter(|last| *last != first);
        Era {
            releases: last.map_or(first.to_string(), |last| format!("{first} – {last}")),
            changes,
            failures: of.failures.clone(),
            steps_p99: match &of.walked {
                Some(Walked::Steps(steps)) => steps.quantile(990),
                _ => None,
            },
        }
    });
    eras.collect()
}

impl Era {
    /// Whether it shows another figure than the one before.
    fn differs(&self, before: &Era) -> bool {
        let shown = |era: &Era| {
            (
                era.failures.requests,
                era.failures.causes.clone(),
                era.steps_p99,
            )
        };
        shown(self) != shown(before)
    }
}

/// Draws the chart, the oldest era first. Changes without an effect are faint.
pub fn draw(about: &[String], eras: &[Era], look: &Look) -> Scene {
    if eras.iter().all(|it| it.failures.requests == 0) {
        return Sheet::blank(look, TITLE, about, "there are no requests for addresses");
    }
    let width = Sheet::new(look, 0.0, TITLE, about).body().width();
    let lines = eras
        .iter()
        .map(|era| changes(era, changes_width(width)).len());
    let row = (small(lines.max().unwrap_or(1)) * LINE + 8.0).clamp(ROW, ROW_MAX);
    let height = 230.0 + row * small(eras.len());
    let mut sheet = Sheet::new(look, height, TITLE, about);
    sheet.legend(&causes_seen(&sheet, &eras.iter().map(|it| &it.failures)));
    let body = sheet.body();
    let widest = |texts: &mut dyn Iterator<Item = &str>| {
        texts
            .map(|text| font::width(text, LABEL))
            .fold(0.0, f64::max)
    };
    let names = widest(&mut eras.iter().map(|it| it.releases.as_str())).min(body.width() * 0.2);
    let changes = changes_width(body.width());
    let columns = (body.width() - changes - 2.0 * GAP) / 2.0;
    let highest = eras
        .iter()
        .map(|it| it.failures.highest())
        .fold(0.0, f64::max);
    let longest = eras.iter().filter_map(|it| it.steps_p99).max().unwrap_or(1);
    let rates = sheet.panel(
        Rect::new(body.left, body.top, columns + names / 2.0, body.height()),
        Frame {
            title: String::new(),
            note: String::new(),
            of: None,
            above: 0.0,
            x: Axis::shares(highest, 4),
            x_name: "requests refused; whiskers: 95 %".to_owned(),
            y: Axis::linear(0.0, 1.0, Vec::new()),
            y_labels: names,
        },
    );
    let left = rates.area.right + GAP;
    let steps = sheet.panel(
        Rect {
            left,
            right: body.right - changes - GAP,
            ..body
        },
        Frame {
            title: String::new(),
            note: String::new(),
            of: None,
            above: 0.0,
            x: Axis::decades(1.0, real(longest), 5, number::count),
            x_name: "steps that 99 % do not exceed".to_owned(),
            y: Axis::linear(0.0, 1.0, Vec::new()),
            y_labels: 0.0,
        },
    );
    let row = rates.area.height() / small(eras.len());
    for (index, era) in eras.iter().enumerate() {
        let middle = rates.area.top + row * (small(index) + 0.5);
        let theme = sheet.theme;
        let rule = theme.line(theme.grid, 1.0);
        let above = middle - row / 2.0;
        sheet
            .scene
            .line(vec![(body.left, above), (body.right, above)], rule);
        let name = font::shorten(&era.releases, LABEL, names);
        let baseline = middle + LABEL * font::CAPITAL_MIDDLE;
        sheet.write(
            (rates.area.left - 8.0, baseline),
            name,
            LABEL,
            theme.ink,
            Anchor::End,
        );
        bars(&mut sheet, &rates, &era.failures, middle, row);
        p99(&mut sheet, &steps, era, middle);
        let beside = Rect {
            left: steps.area.right + GAP,
            right: body.right,
            top: above,
            bottom: above + row,
        };
        let has_effect = index == 0 || era.differs(&eras[index - 1]);
        let paint = if has_effect { theme.ink } else { theme.faint };
        name_changes(&mut sheet, beside, era, paint);
    }
    sheet.scene
}

fn p99(sheet: &mut Sheet, panel: &Panel, era: &Era, middle: f64) {
    let theme = sheet.theme;
    let Some(steps) = era.steps_p99 else {
        return;
    };
    let x = panel.x(real(steps));
    sheet.scene.line(
        vec![(panel.area.left, middle), (x, middle)],
        theme.line(theme.faint, 1.5),
    );
    sheet.scene.disc((x, middle), DOT + 1.0, theme.ink.into());
    let text = plain(real(steps), 0);
    let width = font::width(&text, TICK);
    let (at, anchor) = if x + 12.0 + width > panel.area.right {
        (x - 10.0, Anchor::End)
    } else {
        (x + 10.0, Anchor::Start)
    };
    sheet.write((at, middle - 4.0), text, TICK, theme.ink, anchor);
}

/// How wide the names of changes may be on a page.
fn changes_width(width: f64) -> f64 {
    font::width("+free-space-estimate", TICK).max(width * 0.26)
}

/// The names of an era's changes, in lines.
fn changes(era: &Era, width: f64) -> Vec<String> {
    let named = era.changes.iter().map(|change| format!("+{change}"));
    font::wrap(&named.collect::<Vec<_>>().join(" "), TICK, width)
}

/// Names an era's changes in a part of the page, in up to as many lines as there is room for.
fn name_changes(sheet: &mut Sheet, area: Rect, era: &Era, paint: Rgb) {
    let mut lines = changes(era, area.width());
    if small(lines.len()) > (area.height() / LINE).max(1.0) {
        lines = vec![format!("{} changes", era.changes.len())];
    }
    let middle = f64::midpoint(area.top, area.bottom) + TICK * font::CAPITAL_MIDDLE;
    let above = small(lines.len() - 1) * LINE / 2.0;
    for (index, line) in lines.into_iter().enumerate() {
        let at = (area.left, middle - above + small(index) * LINE);
        sheet.write(at, line, TICK, paint, Anchor::Start);
    }
}
