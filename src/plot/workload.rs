//! What the callers ask for, whatever an allocator answers: sizes, lifetimes, and the load.

use super::axis::{Axis, Tick};
use super::clock::{Clock, Spans};
use super::number::{self, plain, real};
use super::panel::{Frame, Panel};
use super::scene::{Rect, Scene};
use super::sheet::{Key, Look, Sample, Sheet, small};
use super::stretch::Stretches;
use iova::kernel::caches;
use iova::measure::record::TrafficRecord;

/// The question that the chart answers.
pub const TITLE: &str = "What do the callers ask for?";

pub fn draw(about: &[String], traffic: &TrafficRecord, look: &Look) -> Scene {
    if traffic.sizes.is_empty() {
        return Sheet::blank(look, TITLE, about, "there are no requests for addresses");
    }
    let mut sheet = Sheet::new(look, 820.0, TITLE, about);
    let [requests, pages] = [sheet.theme.requests(), sheet.theme.bytes()];
    let keys = [
        (Sample::Area(requests.into()), "share of the requests"),
        (Sample::Area(pages.into()), "share of the bytes asked for"),
    ];
    sheet.legend(&keys.map(|(sample, label)| Key {
        sample,
        label: label.to_owned(),
    }));
    let body = sheet.body();
    let upper = body.height() * 0.52;
    let above = Rect::new(body.left, body.top, body.width(), upper);
    let [left, right] = above.halves();
    sizes(&mut sheet, left, traffic);
    lifetimes(&mut sheet, right, traffic);
    load(&mut sheet, body.inset(0.0, upper + 14.0, 0.0, 0.0), traffic);
    sheet.scene
}

/// Bars side by side: classes in order, and for each of them some shares.
struct Bars<'a> {
    title: String,
    x_name: &'a str,
    labels: Vec<String>,
    shares: Vec<Vec<f64>>,
}

impl Bars<'_> {
    fn draw(self, sheet: &mut Sheet, cell: Rect) {
        let highest = self.shares.iter().flatten().copied().fold(0.0, f64::max);
        let y = Axis::shares(highest.max(1e-6), 4);
        let count = self.labels.len();
        let ticks = self
            .labels
            .into_iter()
            .enumerate()
            .map(|(index, label)| Tick {
                value: small(index) + 0.5,
                label,
            });
        let x = Axis::linear(0.0, small(count), ticks.collect());
        let y_labels = y.label_width();
        let panel = sheet.panel(
            cell,
            Frame {
                title: self.title,
                note: String::new(),
                of: None,
                above: 0.0,
                x,
                x_name: self.x_name.to_owned(),
                y,
                y_labels,
            },
        );
        for (index, shares) in self.shares.iter().enumerate() {
            bars(sheet, &panel, small(index), shares);
        }
    }
}

fn bars(sheet: &mut Sheet, panel: &Panel, from: f64, shares: &[f64]) {
    const WIDEST: f64 = 60.0;
    let room = panel.x(from + 1.0) - panel.x(from);
    let width = (room * 0.8 / small(shares.len())).min(WIDEST);
    let start = panel.x(from) + (room - width * small(shares.len())) / 2.0;
    for (place, &share) in shares.iter().enumerate() {
        let left = start + small(place) * width;
        let bar = Rect {
            left,
            right: left + width,
            // What is there is seen.
            top: panel
                .y(share)
                .min(panel.area.bottom - if share > 0.0 { 1.0 } else { 0.0 }),
            bottom: panel.area.bottom,
        };
        sheet.scene.rect(
            bar,
            [sheet.theme.requests(), sheet.theme.bytes()][place % 2].into(),
        );
    }
}

fn sizes(sheet: &mut Sheet, cell: Rect, traffic: &TrafficRecord) {
    let granule = real(traffic.granule);
    let order = |pages_max: Option<u64>| pages_max.map_or(64, u64::ilog2);
    let orders = traffic.sizes.iter().map(|class| order(class.pages_max));
    let (first, last) = (orders.clone().min().unwrap_or(0), orders.max().unwrap_or(0));
    let [requests, pages] = [
        traffic
            .sizes
            .iter()
            .map(|class| real(class.requests))
            .sum::<f64>(),
        traffic
            .sizes
            .iter()
            .map(|class| real(class.pages))
            .sum::<f64>(),
    ];
    let shares = (first..=last).map(|at| {
        let class = traffic
            .sizes
            .iter()
            .find(|class| order(class.pages_max) == at);
        class.map_or(vec![0.0, 0.0], |class| {
            vec![real(class.requests) / requests, real(class.pages) / pages]
        })
    });
    let largest_cached = granule * f64::from(1 << (caches::ORDERS - 1));
    let title = format!(
        "sizes (up to {} go through the caches)",
        number::bytes(largest_cached)
    );
    let bars = Bars {
        title,
        x_name: "size of a request, up to",
        labels: (first..=last)
            .map(|at| number::bytes(granule * f64::from(at).exp2()))
            .collect(),
        shares: shares.collect(),
    };
    bars.draw(sheet, cell);
}

fn lifetimes(sheet: &mut Sheet, cell: Rect, traffic: &TrafficRecord) {
    let Some(classes) = traffic.lifetimes.as_deref() else {
        let why = "no lifetimes: no time passes in this trace";
        sheet.remark(cell, why);
        return;
    };
    let freed: u64 = classes.iter().map(|class| class.allocations).sum();
    let all = real(freed + traffic.never_freed);
    let order = |nanos_max: Option<u64>| nanos_max.map_or(64, u64::ilog2);
    let orders = classes.iter().map(|class| order(class.nanos_max));
    let range = orders.clone().min().zip(orders.max());
    let mut labels = Vec::new();
    let mut shares = Vec::new();
    for at in range.into_iter().flat_map(|(first, last)| first..=last) {
        let class = classes.iter().find(|class| order(class.nanos_max) == at);
        labels.push(number::rough_duration(f64::from(at).exp2()));
        shares.push(vec![
            class.map_or(0.0, |class| real(class.allocations) / all),
        ]);
    }
    labels.push("never".to_owned());
    shares.push(vec![real(traffic.never_freed) / all]);
    let bars = Bars {
        title: "lifetimes, from request to free".to_owned(),
        x_name: "lifetime, up to",
        labels,
        shares,
    };
    bars.draw(sheet, cell);
}

fn load(sheet: &mut Sheet, cell: Rect, traffic: &TrafficRecord) {
    let granule = real(traffic.granule);
    let bytes = |pages: Option<u64>| pages.map(|pages| real(pages) * granule);
    let column = &traffic.live_pages;
    let highest = column
        .max()
        .iter()
        .copied()
        .filter_map(bytes)
        .fold(0.0, f64::max);
    let most = traffic
        .live
        .max()
        .iter()
        .flatten()
        .max()
        .copied()
        .unwrap_or(0);
    let clock = Clock::of([(&traffic.moments, traffic.every)]);
    let y = Axis::bytes(highest, 4);
    let y_labels = y.label_width();
    let panel = sheet.panel(
        cell,
        Frame {
            title: format!(
                "live bytes if every request were granted (at most {} allocations at once)",
                plain(real(most), 0)
            ),
            note: String::new(),
            of: None,
            above: 0.0,
            x: clock.axis(8),
            x_name: clock.name(),
            y,
            y_labels,
        },
    );
    let stretches = Stretches::new(&panel, &Spans::of(&traffic.moments, traffic.every));
    let rgb = sheet.theme.bytes();
    let paint = (rgb.with_alpha(0.25), sheet.theme.line(rgb, 2.5));
    stretches.draw(&mut sheet.scene, &panel, column, bytes, paint);
}
