//! How far searches walk: the share of requests by their steps, and the steps over time.

use super::Series;
use super::axis::{Axis, TICK};
use super::number::{self, grouped, real};
use super::page::{ChartOptions, DOT, Key, LABEL, Page, Sample, small};
use super::panel::{Frame, Panel};
use super::scene::{Anchor, Rect, Scene, Stroke};
use super::time::{self, Runs};
use iova::measure::record::TimelineRecord;

/// The question that the chart answers.
pub const TITLE: &str = "How many ranges does a search visit?";

/// The search cost of an allocator.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps<'a> {
    /// Pairs of steps and the number of requests that took them, ascending; `None` of an allocator
    /// that does not search range by range.
    pub counts: Option<Vec<(u64, u64)>>,
    /// Pairs of thousandths of the requests and the steps that those did not exceed.
    pub quantiles: Vec<(u16, u64)>,
    /// The steps over time, if sampled.
    pub timeline: Option<&'a TimelineRecord>,
}

/// The most allocators over time: more lines could not be told apart.
const OVERLAID: usize = 6;

impl Steps<'_> {
    fn counts(&self) -> &[(u64, u64)] {
        self.counts.as_deref().unwrap_or_default()
    }

    fn requests(&self) -> u64 {
        let counts = self.counts().iter();
        counts.fold(0, |sum, (_, requests)| sum.saturating_add(*requests))
    }

    fn max(&self) -> u64 {
        self.counts().last().map_or(0, |&(steps, _)| steps)
    }
}

pub fn draw(about: &[String], series: &[Series<Steps<'_>>], options: &ChartOptions) -> Scene {
    let why = if series.iter().all(|it| it.data.counts.is_none()) {
        Some("none of these allocators searches range by range")
    } else if series.iter().all(|it| it.data.requests() == 0) {
        Some("no requests")
    } else if series.iter().all(|it| it.data.max() == 0) {
        Some("every request was served without a search")
    } else {
        None
    };
    if let Some(why) = why {
        return Page::blank(options, TITLE, about, why);
    }
    let height = 820.0 + LABEL * 1.5 * small(series.len());
    let mut page = Page::new(options, height, TITLE, about);
    let keys: Vec<Key> = series
        .iter()
        .map(|one| Key {
            sample: Sample::Line(page.palette.allocator_line(one.place)),
            label: format!("{}: {}", one.allocator, figures(&one.data)),
        })
        .collect();
    page.legend(&keys);
    let body = page.body();
    let sampled = series.iter().any(|it| it.data.timeline.is_some());
    let share = if sampled { 0.58 } else { 1.0 };
    let upper = Rect::new(body.left, body.top, body.width(), body.height() * share);
    distribution(&mut page, upper, series);
    if sampled {
        let lower = body.inset(0.0, body.height() * share + 12.0, 0.0, 0.0);
        over_time(&mut page, lower, series);
    }
    page.scene
}

fn figures(steps: &Steps<'_>) -> String {
    if steps.counts.is_none() {
        return "does not search range by range".to_owned();
    }
    let named = steps
        .quantiles
        .iter()
        .map(|&(per_mille, steps)| format!("{} {}", quantile_name(per_mille), grouped(steps)));
    let max = format!("max {}", grouped(steps.max()));
    // A logarithmic axis has no place for them.
    let without = match steps.counts() {
        &[(0, requests), ..] => {
            let share = real(requests) / real(steps.requests());
            Some(format!("{} at 0 steps", number::percent(share)))
        }
        _ => None,
    };
    let all = without.into_iter().chain(named).chain([max]);
    all.collect::<Vec<_>>().join(" · ")
}

/// `p99.9` of 999 thousandths.
fn quantile_name(per_mille: u16) -> String {
    format!("p{}", number::plain(f64::from(per_mille) / 10.0, 1))
}

/// The share of requests that took at least a number of steps, both on logarithmic axes.
fn distribution(page: &mut Page, cell: Rect, series: &[Series<Steps<'_>>]) {
    let longest = series.iter().map(|it| it.data.max()).max().unwrap_or(1);
    let requests = series
        .iter()
        .map(|it| it.data.requests())
        .max()
        .unwrap_or(1);
    let y = Axis::decades(1.0 / real(requests.max(2)), 1.0, 7, number::percent);
    let x = Axis::decades(1.0, real(longest), 9, number::count);
    let x = x.named("steps (ranges visited) of a request");
    let frame = Frame::new("share of requests that took at least this many steps", x, y);
    let panel = page.panel(cell.inset(0.0, 0.0, 58.0, 0.0), frame);
    guides(page, &panel);
    for one in page.palette.solid_first(series, |it| it.place) {
        curve(page, &panel, one);
    }
}

/// Marks the shares at which the curves cross their quantiles.
fn guides(page: &mut Page, panel: &Panel) {
    for per_mille in [500, 990, 999] {
        let y = panel.y(1.0 - f64::from(per_mille) / 1000.0);
        if y >= panel.area.bottom {
            continue;
        }
        let stroke = Stroke {
            dash: &[3.0, 4.0],
            ..page.palette.line(page.palette.faint, 1.0)
        };
        page.scene
            .line(vec![(panel.area.left, y), (panel.area.right, y)], stroke);
        let at = (panel.area.right + 8.0, y + 5.0);
        page.write(
            at,
            quantile_name(per_mille),
            TICK,
            page.palette.faint,
            Anchor::Start,
        );
    }
}

fn curve(page: &mut Page, panel: &Panel, one: &Series<Steps<'_>>) {
    let all = real(one.data.requests());
    let mut left = one.data.requests();
    let mut points = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for &(steps, requests) in one.data.counts() {
        if steps > 0 {
            let (x, y) = (panel.x(real(steps)), panel.y(real(left) / all));
            // Points too close to be seen are left out, except the last.
            if points.is_empty() {
                points.push((panel.area.left, y));
            }
            if x - last >= 0.75 || left == requests {
                points.push((points.last().map_or(x, |&(x, _)| x), y));
                points.push((x, y));
                last = x;
            }
        }
        left = left.saturating_sub(requests);
    }
    points.dedup();
    let end = points.last().copied();
    page.scene
        .line(points, page.palette.allocator_line(one.place));
    if let Some(end) = end {
        page.scene
            .disc(end, DOT + 1.0, page.palette.allocator(one.place).into());
    }
}

fn over_time(page: &mut Page, cell: Rect, series: &[Series<Steps<'_>>]) {
    let sampled = series.iter().filter_map(|it| {
        let record = it.data.timeline?;
        Some((it.place, record, &record.requests, record.steps.as_ref()?))
    });
    let mut sampled: Vec<_> = sampled.collect();
    let note = if sampled.len() > OVERLAID {
        format!("the first {OVERLAID} allocators that search; --allocator selects others")
    } else {
        String::new()
    };
    sampled.truncate(OVERLAID);
    let x = time::axis(sampled.iter().map(|(_, record, ..)| *record), 5);
    let most = sampled
        .iter()
        .filter_map(|(.., steps)| steps.max.iter().flatten().max());
    let highest = real(most.max().copied().unwrap_or(1));
    let titles = ["most steps of any request", "mean steps per request"];
    for (cell, title) in cell.halves().into_iter().zip(titles) {
        let y = Axis::decades(1.0, highest, 4, number::count);
        let note = note.clone();
        let frame = Frame {
            note,
            ..Frame::new(title, x.clone(), y)
        };
        let panel = page.panel(cell, frame);
        for (place, record, requests, steps) in page.palette.solid_first(&sampled, |it| it.0) {
            let runs = Runs::new(&panel, *record);
            let values = if title == titles[0] {
                let most = runs.max(&steps.max);
                most.into_iter().map(|steps| steps.map(real)).collect()
            } else {
                means(&runs, &steps.total, requests)
            };
            let stroke = page.palette.allocator_line(*place);
            panel.steps(&mut page.scene, &runs.edges, &values, stroke);
        }
    }
}

/// The mean steps per request in each run; `None` without requests.
fn means(runs: &Runs, steps: &[u64], requests: &[u64]) -> Vec<Option<f64>> {
    let sum = |part: &[u64]| part.iter().copied().map(real).sum::<f64>();
    let sums = runs.each(steps, sum).into_iter();
    let sums = sums.zip(runs.each(requests, sum));
    sums.map(|(steps, requests)| (requests > 0.0).then(|| steps / requests))
        .collect()
}
