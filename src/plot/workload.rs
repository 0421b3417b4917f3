//! The requests, whatever an allocator answers: sizes, lifetimes, and the load.

use super::axis::{Axis, Tick, power_of_two};
use super::number::{self, grouped, real};
use super::page::{ChartOptions, Key, Page, Sample, small};
use super::panel::{Frame, Panel};
use super::scene::{Rect, Scene};
use super::time::{self, Runs};
use iova::kernel::rcache;
use iova::measure::record::TrafficRecord;

/// The question that the chart answers.
pub const TITLE: &str = "What do the callers request?";

pub fn draw(about: &[String], traffic: &TrafficRecord, options: &ChartOptions) -> Scene {
    if traffic.sizes.is_empty() {
        return Page::blank(options, TITLE, about, "no requests");
    }
    let mut page = Page::new(options, 820.0, TITLE, about);
    let [requests, pages] = [page.palette.requests(), page.palette.bytes()];
    let keys = [
        (Sample::Area(requests.into()), "share of the requests"),
        (Sample::Area(pages.into()), "share of the requested bytes"),
    ];
    page.legend(&keys.map(|(sample, label)| Key {
        sample,
        label: label.to_owned(),
    }));
    let body = page.body();
    let upper = body.height() * 0.52;
    let above = Rect::new(body.left, body.top, body.width(), upper);
    let [left, right] = above.halves();
    sizes(&mut page, left, traffic);
    lifetimes(&mut page, right, traffic);
    load(&mut page, body.inset(0.0, upper + 14.0, 0.0, 0.0), traffic);
    page.scene
}

/// Bars side by side: classes in order, and for each of them some shares.
struct Bars<'a> {
    title: String,
    x_name: &'a str,
    labels: Vec<String>,
    shares: Vec<Vec<f64>>,
}

impl Bars<'_> {
    fn draw(self, page: &mut Page, cell: Rect) {
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
        let frame = Frame::new(&self.title, x.named(self.x_name), y);
        let panel = page.panel(cell, frame);
        for (index, shares) in self.shares.iter().enumerate() {
            bars(page, &panel, small(index), shares);
        }
    }
}

fn bars(page: &mut Page, panel: &Panel, from: f64, shares: &[f64]) {
    const WIDEST: f64 = 60.0;
    let room = panel.x(from + 1.0) - panel.x(from);
    let width = (room * 0.8 / small(shares.len())).min(WIDEST);
    let start = panel.x(from) + (room - width * small(shares.len())) / 2.0;
    for (place, &share) in shares.iter().enumerate() {
        let left = start + small(place) * width;
        let bar = Rect {
            left,
            right: left + width,
            // A share above 0 can be seen.
            top: panel
                .y(share)
                .min(panel.area.bottom - if share > 0.0 { 1.0 } else { 0.0 }),
            bottom: panel.area.bottom,
        };
        page.scene.rect(
            bar,
            [page.palette.requests(), page.palette.bytes()][place % 2].into(),
        );
    }
}

fn sizes(page: &mut Page, cell: Rect, traffic: &TrafficRecord) {
    let granule = real(traffic.granule);
    let order = |pages_max: Option<u64>| pages_max.map_or(64, |it| it.max(1).ilog2());
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
    let largest_cached = granule * f64::from(1 << (rcache::ORDERS - 1));
    let title = format!(
        "sizes (up to {} go through the rcaches)",
        number::bytes(largest_cached)
    );
    let bars = Bars {
        title,
        x_name: "request size, up to",
        labels: (first..=last)
            .map(|at| number::bytes(granule * power_of_two(at)))
            .collect(),
        shares: shares.collect(),
    };
    bars.draw(page, cell);
}

fn lifetimes(page: &mut Page, cell: Rect, traffic: &TrafficRecord) {
    let Some(classes) = traffic.lifetimes.as_deref() else {
        let why = "no lifetimes: the trace has no timestamps";
        page.remark(cell, why);
        return;
    };
    let freed: f64 = classes.iter().map(|class| real(class.allocations)).sum();
    let all = freed + real(traffic.never_freed);
    let order = |nanos_max: Option<u64>| nanos_max.map_or(64, |it| it.max(1).ilog2());
    let orders = classes.iter().map(|class| order(class.nanos_max));
    let range = orders.clone().min().zip(orders.max());
    let mut labels = Vec::new();
    let mut shares = Vec::new();
    for at in range.into_iter().flat_map(|(first, last)| first..=last) {
        let class = classes.iter().find(|class| order(class.nanos_max) == at);
        labels.push(number::rough_duration(power_of_two(at)));
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
    bars.draw(page, cell);
}

fn load(page: &mut Page, cell: Rect, traffic: &TrafficRecord) {
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
    let title = format!(
        "live bytes if every request succeeded (at most {} live allocations)",
        grouped(most)
    );
    let frame = Frame::new(&title, time::axis([traffic], 8), Axis::bytes(highest, 4));
    let panel = page.panel(cell, frame);
    let runs = Runs::new(&panel, traffic);
    let rgb = page.palette.bytes();
    let paint = (rgb.with_alpha(0.25), page.palette.line(rgb, 2.5));
    runs.draw(&mut page.scene, &panel, column, bytes, paint);
}
