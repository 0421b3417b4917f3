//! How far searches walk: the share of requests that took at least so many steps, and the steps
//! as time goes by.

use super::Entry;
use super::axis::{Axis, TICK};
use super::clock::{Clock, Spans};
use super::number::{self, plain, real};
use super::panel::{Frame, Panel};
use super::scene::{Anchor, Rect, Scene, Stroke};
use super::sheet::{DOT, Key, LABEL, Look, Sample, Sheet, small};
use super::stretch::Stretches;
use iova::measure::record::TimelineRecord;

/// The question that the chart answers.
pub const TITLE: &str = "How many ranges does a search walk over?";

/// The search cost of an allocator.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps<'a> {
    /// How many requests took how many steps, by steps, ascending; none of an allocator that
    /// does not walk from range to range.
    pub counts: Option<Vec<(u64, u64)>>,
    /// Steps that so many thousandths of the requests did not exceed.
    pub quantiles: Vec<(u16, u64)>,
    /// The steps as time goes by, where that was sampled.
    pub timeline: Option<&'a TimelineRecord>,
}

/// How many allocators are drawn over each other as time goes by.
const OVERLAID: usize = 6;

impl Steps<'_> {
    fn counts(&self) -> &[(u64, u64)] {
        self.counts.as_deref().unwrap_or_default()
    }

    fn requests(&self) -> u64 {
        self.counts().iter().map(|(_, requests)| requests).sum()
    }

    fn max(&self) -> u64 {
        self.counts().last().map_or(0, |&(steps, _)| steps)
    }
}

pub fn draw(about: &[String], entries: &[Entry<Steps<'_>>], look: &Look) -> Scene {
    let why = if entries.iter().all(|it| it.what.counts.is_none()) {
        Some("none of these allocators walks from range to range")
    } else if entries.iter().all(|it| it.what.requests() == 0) {
        Some("there are no requests for addresses")
    } else if entries.iter().all(|it| it.what.max() == 0) {
        Some("no request took a single step: the caches served them all")
    } else {
        None
    };
    if let Some(why) = why {
        return Sheet::blank(look, TITLE, about, why);
    }
    let height = 820.0 + LABEL * 1.5 * small(entries.len());
    let mut sheet = Sheet::new(look, height, TITLE, about);
    let keys: Vec<Key> = entries
        .iter()
        .map(|entry| Key {
            sample: Sample::Line(sheet.theme.allocator_line(entry.place)),
            label: format!("{}   {}", entry.allocator, figures(&entry.what)),
        })
        .collect();
    sheet.legend(&keys);
    let body = sheet.body();
    let sampled = entries.iter().any(|it| it.what.timeline.is_some());
    let share = if sampled { 0.58 } else { 1.0 };
    let upper = Rect::new(body.left, body.top, body.width(), body.height() * share);
    distribution(&mut sheet, upper, entries);
    if sampled {
        let lower = body.inset(0.0, body.height() * share + 12.0, 0.0, 0.0);
        over_time(&mut sheet, lower, entries);
    }
    sheet.scene
}

fn figures(steps: &Steps<'_>) -> String {
    if steps.counts.is_none() {
        return "does not walk".to_owned();
    }
    let named = steps.quantiles.iter().map(|&(per_mille, steps)| {
        format!("{} {}", quantile_name(per_mille), plain(real(steps), 0))
    });
    let max = format!("max {}", plain(real(steps.max()), 0));
    named.chain([max]).collect::<Vec<_>>().join(" · ")
}

/// `p99.9` of 999 thousandths.
fn quantile_name(per_mille: u16) -> String {
    format!("p{}", plain(f64::from(per_mille) / 10.0, 1))
}

/// The share of requests that took at least so many steps, both on logarithmic axes.
fn distribution(sheet: &mut Sheet, cell: Rect, entries: &[Entry<Steps<'_>>]) {
    let longest = entries.iter().map(|it| it.what.max()).max().unwrap_or(1);
    let requests = entries
        .iter()
        .map(|it| it.what.requests())
        .max()
        .unwrap_or(1);
    let y = Axis::decades(1.0 / real(requests.max(2)), 1.0, 7, number::percent);
    let y_labels = y.label_width();
    let panel = sheet.panel(
        cell.inset(0.0, 0.0, 58.0, 0.0),
        Frame {
            title: "share of requests that took at least so many steps".to_owned(),
            note: String::new(),
            of: None,
            above: 0.0,
            x: Axis::decades(1.0, real(longest), 9, number::count),
            x_name: "steps (ranges looked at) of a request".to_owned(),
            y,
            y_labels,
        },
    );
    guides(sheet, &panel);
    for entry in sheet.theme.solid_first(entries, |it| it.place) {
        curve(sheet, &panel, entry);
    }
}

/// Marks the shares at which the curves cross their quantiles.
fn guides(sheet: &mut Sheet, panel: &Panel) {
    for per_mille in [500, 990, 999] {
        let y = panel.y(1.0 - f64::from(per_mille) / 1000.0);
        if y >= panel.area.bottom {
            continue;
        }
        let stroke = Stroke {
            dash: &[3.0, 4.0],
            ..sheet.theme.line(sheet.theme.faint, 1.0)
        };
        sheet
            .scene
            .line(vec![(panel.area.left, y), (panel.area.right, y)], stroke);
        let at = (panel.area.right + 8.0, y + 5.0);
        sheet.write(
            at,
            quantile_name(per_mille),
            TICK,
            sheet.theme.faint,
            Anchor::Start,
        );
    }
}

fn curve(sheet: &mut Sheet, panel: &Panel, entry: &Entry<Steps<'_>>) {
    let all = real(entry.what.requests());
    let mut left = entry.what.requests();
    let mut points = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for &(steps, requests) in entry.what.counts() {
        if steps > 0 {
            let (x, y) = (panel.x(real(steps)), panel.y(real(left) / all));
            // Steps that are closer than can be seen are left out, the last never.
            if points.is_empty() {
                points.push((panel.area.left, y));
            }
            if x - last >= 0.75 || left == requests {
                points.push((points.last().map_or(x, |&(x, _)| x), y));
                points.push((x, y));
                last = x;
            }
        }
        left -= requests;
    }
    points.dedup();
    let end = points.last().copied();
    sheet
        .scene
        .line(points, sheet.theme.allocator_line(entry.place));
    if let Some(end) = end {
        sheet
            .scene
            .disc(end, DOT + 1.0, sheet.theme.allocator(entry.place).into());
    }
}

fn over_time(sheet: &mut Sheet, cell: Rect, entries: &[Entry<Steps<'_>>]) {
    let sampled = entries.iter().filter_map(|it| {
        let record = it.what.timeline?;
        Some((it.place, record, &record.requests, record.steps.as_ref()?))
    });
    let mut sampled: Vec<_> = sampled.collect();
    let note = if sampled.len() > OVERLAID {
        format!("of the first {OVERLAID} allocators that walk; --allocator chooses")
    } else {
        String::new()
    };
    sampled.truncate(OVERLAID);
    let clock = Clock::of(
        sampled
            .iter()
            .map(|(_, record, ..)| (&record.moments, record.every)),
    );
    let most = sampled
        .iter()
        .filter_map(|(.., steps)| steps.max.iter().flatten().max());
    let highest = real(most.max().copied().unwrap_or(1));
    let names = ["most steps of a request", "steps a request, on average"];
    for (cell, name) in cell.halves().into_iter().zip(names) {
        let y = Axis::decades(1.0, highest, 4, number::count);
        let y_labels = y.label_width();
        let panel = sheet.panel(
            cell,
            Frame {
                title: name.to_owned(),
                note: note.clone(),
                of: None,
                above: 0.0,
                x: clock.axis(5),
                x_name: clock.name(),
                y,
                y_labels,
            },
        );
        for (place, record, requests, steps) in sheet.theme.solid_first(&sampled, |it| it.0) {
            let stretches = Stretches::new(&panel, &Spans::of(&record.moments, record.every));
            let values = if name == names[0] {
                let most = stretches.max(&steps.max);
                most.into_iter().map(|steps| steps.map(real)).collect()
            } else {
                means(&stretches, &steps.total, requests)
            };
            let stroke = sheet.theme.allocator_line(*place);
            panel.steps(&mut sheet.scene, &stretches.edges, &values, stroke);
        }
    }
}

/// Steps a request in each stretch; none where there was no request.
fn means(stretches: &Stretches, steps: &[u64], requests: &[u64]) -> Vec<Option<f64>> {
    let sum = |part: &[u64]| part.iter().sum::<u64>();
    let sums = stretches.each(steps, sum).into_iter();
    let sums = sums.zip(stretches.each(requests, sum));
    sums.map(|(steps, requests)| (requests > 0).then(|| real(steps) / real(requests)))
        .collect()
}
