//! Which change of the kernel's history made a difference: a row for each group of releases with
//! identical answers, with the changes that it came with.

use std::collections::BTreeMap;

use super::axis::{Axis, TICK};
use super::dataset::{AllocatorData, Walked};
use super::failure_rate::{Failures, bars, causes_seen};
use super::font;
use super::number::{self, grouped, real};
use super::page::{ChartOptions, DOT, LABEL, Page, small};
use super::panel::{Frame, Panel};
use super::scene::{Anchor, Rect, Rgb, Scene};
use iova::kernel::changes::{Row, TABLE};
use iova::kernel::{Allocator, Release, Rules};

/// The question that the chart answers.
pub const TITLE: &str = "Which release made the difference?";

/// Consecutive releases with identical answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseGroup {
    pub first: Release,
    /// The first and the last release, as `5.1 – 5.2`.
    pub releases: String,
    /// The changes between the group before and this one; none for the first.
    pub changes: Vec<String>,
    pub failures: Failures,
    /// The 99th percentile of the steps of a request, if steps were counted.
    pub steps_p99: Option<u64>,
}

/// The height of a row, unless the options have a size.
const ROW: f64 = 44.0;
/// The height of a row that has many changes to name.
const ROW_MAX: f64 = 116.0;
const RATE_NAME: &str = "requests refused; whiskers: 95 % interval";
const GAP: f64 = 24.0;
/// From one line of changes to the next.
const LINE: f64 = TICK * 1.15;

/// The first release with these rules, by which its group is known.
fn first_with(rules: Rules) -> Option<Release> {
    Release::all().find(|&release| Rules::of(release) == rules)
}

/// The first release of each group, as an allocator's name.
pub fn one_of_each() -> Vec<String> {
    let firsts =
        Release::all().filter(|&release| first_with(Rules::of(release)) == Some(release));
    firsts.map(|release| format!("linux-{release}")).collect()
}

/// Whether every group between the first and the last among these allocators has one of them, and
/// there are enough to see where an answer changed.
pub fn are_all(allocators: &[AllocatorData]) -> bool {
    /// Fewer are a comparison, not a history.
    const FEWEST: usize = 4;
    let all = one_of_each();
    let groups = groups(allocators).into_iter().map(|it| it.first);
    let places: Option<Vec<usize>> = groups
        .map(|first| all.iter().position(|it| *it == format!("linux-{first}")))
        .collect();
    places.is_some_and(|places| {
        places.len() >= FEWEST && places.windows(2).all(|pair| pair[1] == pair[0] + 1)
    })
}

/// The groups with an allocator among these, the oldest first. Allocators of one group answer alike:
/// the first counts.
pub fn groups(allocators: &[AllocatorData]) -> Vec<ReleaseGroup> {
    let mut of_release: BTreeMap<Release, &AllocatorData> = BTreeMap::new();
    for allocator in allocators {
        let parsed = allocator.allocator.parse::<Allocator>();
        if let Some(release) = parsed.ok().and_then(|it| first_with(it.rules())) {
            of_release.entry(release).or_insert(allocator);
        }
    }
    let mut before: Option<Rules> = None;
    let groups = of_release.into_iter().map(|(first, of)| {
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
        ReleaseGroup {
            first,
            releases: last.map_or(first.to_string(), |last| format!("{first} – {last}")),
            changes,
            failures: of.failures.clone(),
            steps_p99: match &of.walked {
                Some(Walked::Steps(steps)) => steps.quantile(990),
                _ => None,
            },
        }
    });
    groups.collect()
}

impl ReleaseGroup {
    /// Whether it shows another figure than the one before.
    fn differs(&self, before: &ReleaseGroup) -> bool {
        let shown = |group: &ReleaseGroup| {
            (
                group.failures.requests,
                group.failures.causes.clone(),
                group.steps_p99,
            )
        };
        shown(self) != shown(before)
    }
}

/// Draws the chart, the oldest group first. Changes without an effect are faint.
pub fn draw(about: &[String], groups: &[ReleaseGroup], options: &ChartOptions) -> Scene {
    if groups.iter().all(|it| it.failures.requests == 0) {
        return Page::blank(options, TITLE, about, "no requests");
    }
    let width = Page::new(options, 0.0, TITLE, about).body().width();
    let lines = groups
        .iter()
        .map(|group| changes(group, changes_width(width)).len());
    let row = (small(lines.max().unwrap_or(1)) * LINE + 8.0).clamp(ROW, ROW_MAX);
    let height = 230.0 + row * small(groups.len());
    let mut page = Page::new(options, height, TITLE, about);
    page.legend(&causes_seen(&page, &groups.iter().map(|it| &it.failures)));
    let body = page.body();
    let widest = |texts: &mut dyn Iterator<Item = &str>| {
        texts
            .map(|text| font::width(text, LABEL))
            .fold(0.0, f64::max)
    };
    let names =
        widest(&mut groups.iter().map(|it| it.releases.as_str())).min(body.width() * 0.2);
    let changes = changes_width(body.width());
    let columns = (body.width() - changes - 2.0 * GAP) / 2.0;
    let highest = groups
        .iter()
        .map(|it| it.failures.highest())
        .fold(0.0, f64::max);
    let longest = groups
        .iter()
        .filter_map(|it| it.steps_p99)
        .max()
        .unwrap_or(1);
    let rates = page.panel(
        Rect::new(body.left, body.top, columns + names / 2.0, body.height()),
        Frame::rows(Axis::shares(highest, 4).named(RATE_NAME), names),
    );
    let left = rates.area.right + GAP;
    let steps = page.panel(
        Rect {
            left,
            right: body.right - changes - GAP,
            ..body
        },
        Frame::rows(
            Axis::decades(1.0, real(longest), 5, number::count)
                .named("99th percentile of steps per request"),
            0.0,
        ),
    );
    let row = rates.area.height() / small(groups.len());
    for (index, group) in groups.iter().enumerate() {
        let middle = rates.area.top + row * (small(index) + 0.5);
        let palette = page.palette;
        let rule = palette.line(palette.grid, 1.0);
        let above = middle - row / 2.0;
        page.scene
            .line(vec![(body.left, above), (body.right, above)], rule);
        let name = font::shorten(&group.releases, LABEL, names);
        let baseline = middle + LABEL * font::CAPITAL_MIDDLE;
        page.write(
            (rates.area.left - 8.0, baseline),
            name,
            LABEL,
            palette.ink,
            Anchor::End,
        );
        bars(&mut page, &rates, &group.failures, middle, row);
        p99(&mut page, &steps, group, middle);
        let beside = Rect {
            left: steps.area.right + GAP,
            right: body.right,
            top: above,
            bottom: above + row,
        };
        let has_effect = index == 0 || group.differs(&groups[index - 1]);
        let paint = if has_effect {
            palette.ink
        } else {
            palette.faint
        };
        name_changes(&mut page, beside, group, paint);
    }
    page.scene
}

fn p99(page: &mut Page, panel: &Panel, group: &ReleaseGroup, middle: f64) {
    let palette = page.palette;
    let Some(steps) = group.steps_p99 else {
        return;
    };
    let x = panel.x(real(steps));
    page.scene.line(
        vec![(panel.area.left, middle), (x, middle)],
        palette.line(palette.faint, 1.5),
    );
    page.scene.disc((x, middle), DOT + 1.0, palette.ink.into());
    let text = grouped(steps);
    let width = font::width(&text, TICK);
    let (at, anchor) = if x + 12.0 + width > panel.area.right {
        (x - 10.0, Anchor::End)
    } else {
        (x + 10.0, Anchor::Start)
    };
    page.write((at, middle - 4.0), text, TICK, palette.ink, anchor);
}

/// How wide the names of changes may be on a page.
fn changes_width(width: f64) -> f64 {
    font::width("+free-space-estimate", TICK).max(width * 0.26)
}

/// The names of an group's changes, in lines.
fn changes(group: &ReleaseGroup, width: f64) -> Vec<String> {
    let named = group.changes.iter().map(|change| format!("+{change}"));
    font::wrap(&named.collect::<Vec<_>>().join(" "), TICK, width)
}

/// Names an group's changes in a part of the page, in up to as many lines as there is room for.
fn name_changes(page: &mut Page, area: Rect, group: &ReleaseGroup, paint: Rgb) {
    let mut lines = changes(group, area.width());
    if small(lines.len()) > (area.height() / LINE).max(1.0) {
        lines = vec![format!("{} changes", group.changes.len())];
    }
    let middle = f64::midpoint(area.top, area.bottom) + TICK * font::CAPITAL_MIDDLE;
    let above = small(lines.len() - 1) * LINE / 2.0;
    for (index, line) in lines.into_iter().enumerate() {
        let at = (area.left, middle - above + small(index) * LINE);
        page.write(at, line, TICK, paint, Anchor::Start);
    }
}
