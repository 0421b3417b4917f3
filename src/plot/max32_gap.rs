//! `max32`, the size from which on the allocator refuses any 32-bit request, beside the largest
//! request that would fit: a panel per allocator.

use super::Series;
use super::axis::Axis;
use super::number::{grouped, real};
use super::page::{self, ChartOptions, Key, Page, Sample, small};
use super::panel::Panel;
use super::scene::{Point, Scene};
use super::small_multiples::{self, Multiple, SmallMultiples};
use super::theme::Palette;
use super::time::{Runs, Sampled};
use iova::measure::Cause;
use iova::measure::record::TimelineRecord;
use iova::measure::timeline::Figure;

/// The question that the chart answers.
pub const TITLE: &str = "Does max32 refuse requests that would fit?";

/// The most panels of a chart.
const PANELS: usize = 12;

pub fn draw(
    about: &[String],
    series: &[Series<&TimelineRecord>],
    options: &ChartOptions,
) -> Scene {
    let (series, about) = small_multiples::first_of(PANELS, series, about);
    let columns = if series.len() > 3 { 3 } else { 1 };
    let rows = series.len().div_ceil(columns);
    let palette = Palette::of(options.theme);
    let y = size_axis(series, if columns > 1 { 4 } else { 5 });
    let panel = |one: &Series<&TimelineRecord>| Multiple {
        title: title_of(one),
        note: note(one.data),
        of: Some(palette.allocator_line(one.place)),
        above: 0.0,
        y: y.clone(),
    };
    let multiples = SmallMultiples {
        title: TITLE,
        about,
        options,
        height: 210.0 + small(rows) * if columns > 1 { 255.0 } else { 300.0 },
        keys: keys(&palette, series.first().map_or(0, |it| it.place)).into(),
        columns,
        ticks: if columns > 1 { 3 } else { 7 },
        panels: series.iter().map(panel).collect(),
        same_scale: true,
    };
    multiples.draw(series, |page, panel, index| {
        lines(page, panel, &series[index]);
    })
}

fn keys(palette: &Palette, place: usize) -> [Key; 5] {
    let gap = palette.cause(Cause::Shortcut);
    let key = |sample, label: &str| Key {
        sample,
        label: label.to_owned(),
    };
    [
        key(
            Sample::Line(palette.line(palette.ink, 2.5)),
            "largest request that would fit",
        ),
        key(
            Sample::Line(palette.allocator_line(place)),
            "max32 (in colour): refuses this size and larger",
        ),
        key(Sample::Area(gap.with_alpha(0.3)), "wrongly refused sizes"),
        key(Sample::Cross(gap.into()), "refused with room"),
        key(Sample::Dot(palette.faint.into()), "refused without room"),
    ]
}

fn title_of(one: &Series<&TimelineRecord>) -> String {
    let max32 = one.data.figures.get(&Figure::Max32);
    let has_max32 = max32.is_some_and(|column| column.last.iter().any(Option::is_some));
    let none = if has_max32 {
        ""
    } else {
        " (max32 not sampled)"
    };
    format!("{}{none}", one.allocator)
}

fn note(record: &TimelineRecord) -> String {
    let count = |spurious: bool| -> u64 {
        let causes = record.failures.iter();
        let counted = causes.filter(|(cause, _)| cause.is_spurious() == spurious);
        let counts = counted.flat_map(|(_, counts)| counts);
        counts.fold(0, |sum, &count| sum.saturating_add(count))
    };
    let [with, without] = [count(true), count(false)].map(grouped);
    format!("refused: {with} with room, {without} without")
}

/// Bytes, from less than the smallest size of the chart to the largest.
fn size_axis(series: &[Series<&TimelineRecord>], ticks: u32) -> Axis {
    let seen: Vec<u64> = series.iter().flat_map(|one| sizes(one.data)).collect();
    let granule = series
        .iter()
        .map(|it| it.data.window.granule)
        .min()
        .unwrap_or(1);
    let lowest = seen
        .iter()
        .filter(|&&bytes| bytes > 0)
        .min()
        .copied()
        .unwrap_or(1);
    let highest = seen.iter().max().copied().unwrap_or(1);
    Axis::byte_orders((lowest / 4).max(granule), highest, seen.contains(&0), ticks)
}

/// The sizes of a record that are drawn, in bytes.
fn sizes(record: &TimelineRecord) -> impl Iterator<Item = u64> + '_ {
    let figures = [Figure::Max32, Figure::LargestRequest].into_iter();
    let columns = figures.filter_map(|figure| record.figures.get(&figure));
    let sizes = columns.flat_map(|column| column.min().iter().chain(column.max()));
    let refused = [&record.refused_with_room, &record.refused_without].into_iter();
    let refused = refused.flat_map(|bounds| bounds.min.iter().chain(&bounds.max));
    let granule = record.window.granule;
    sizes
        .chain(refused)
        .flatten()
        .map(move |pages| pages.saturating_mul(granule))
}

fn lines(page: &mut Page, panel: &Panel, one: &Series<&TimelineRecord>) {
    let palette = page.palette;
    let record = one.data;
    let granule = real(record.window.granule);
    let bytes = |pages: Option<u64>| pages.map(|pages| real(pages) * granule);
    let runs = Runs::new(panel, record);
    let gaps = record.max32_gap.min.iter().zip(&record.max32_gap.max);
    let gaps: Vec<_> = gaps.map(|(min, max)| min.zip(*max)).collect();
    let gaps = runs.each(&gaps, |part| {
        part.iter()
            .flatten()
            .max_by_key(|(max32, largest)| largest.saturating_sub(*max32))
            .copied()
    });
    let gaps = gaps.into_iter().zip(lasting(&runs, record));
    let gaps = gaps.map(|(seen, lasting)| {
        let (max32, largest) = seen.or(lasting)?;
        Some((real(max32) * granule, real(largest) * granule))
    });
    let red = palette.cause(Cause::Shortcut);
    panel.between(&mut page.scene, &runs.edges, gaps, red.with_alpha(0.3));
    let believed = palette.allocator_line(one.place);
    for (figure, rgb, stroke) in [
        (
            Figure::LargestRequest,
            palette.ink,
            palette.line(palette.ink, believed.width),
        ),
        (Figure::Max32, palette.allocator(one.place), believed),
    ] {
        let Some(column) = record.figures.get(&figure) else {
            continue;
        };
        let paint = (rgb.with_alpha(0.15), stroke);
        runs.draw(&mut page.scene, panel, column, bytes, paint);
    }
    refusals(page, panel, record);
}

/// `max32` and the largest request that would fit, if the first is not above the second, in the runs
/// whose samples were skipped: the state is that of the last sample.
fn lasting(runs: &Runs, record: &TimelineRecord) -> Vec<Option<(u64, u64)>> {
    let columns = [Figure::Max32, Figure::LargestRequest].map(|it| record.figures.get(&it));
    let [Some(max32), Some(largest)] = columns else {
        return vec![None; runs.samples().len()];
    };
    let seen = runs.max(largest.max());
    let pairs = runs.last(&max32.last).into_iter();
    let pairs = pairs.zip(runs.last(&largest.last)).zip(seen);
    let lasting = pairs.map(|((max32, largest), seen)| {
        let pair = max32
            .zip(largest)
            .filter(|(max32, largest)| max32 <= largest);
        pair.filter(|_| seen.is_none())
    });
    lasting.collect()
}

/// Marks the smallest and the largest refused size of each sample.
fn refusals(page: &mut Page, panel: &Panel, record: &TimelineRecord) {
    let spans = record.spans();
    let granule = real(record.window.granule);
    let red = page.palette.cause(Cause::Shortcut);
    for (refused, with_room) in [
        (&record.refused_without, false),
        (&record.refused_with_room, true),
    ] {
        let sizes = spans.iter();
        let sizes = sizes.zip(refused.min.iter().zip(&refused.max));
        let mut marked: Vec<Point> = Vec::new();
        for (&(begin, end), (&min, &max)) in sizes {
            let x = f64::midpoint(panel.x(begin), panel.x(end));
            for size in [min, max].into_iter().flatten() {
                let at = (x, panel.y(real(size) * granule));
                // One mark stands for others so close that they would overlap.
                let near = |other: &&Point| (other.0 - at.0).abs() < 3.0;
                let mut near = marked.iter().rev().take_while(near);
                if near.any(|other| (other.1 - at.1).abs() < 2.0) {
                    continue;
                }
                marked.push(at);
                if with_room {
                    page::cross(&mut page.scene, at, red.into());
                } else {
                    page.scene.disc(at, 2.5, page.palette.faint.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::panel::Frame;
    use super::*;

    #[test]
    fn the_gap_lasts_where_samples_were_skipped() {
        let column = |last: [Option<u64>; 3]| serde_json::json!({ "last": last });
        let none = [None::<u64>; 3];
        let record = serde_json::json!({
            "window": { "domain": 0, "granule": 4096, "start_pfn": 1, "limit_pfn": 0xf_ffff },
            "every": { "events": 100 },
            "moments": {
                "event": [0, 100, 200], "nanos": [0, 0, 0], "last_event": 300, "last_nanos": 0
            },
            "figures": {
                "max32": column([Some(4), None, Some(10)]),
                "largest_request": column([Some(9), None, Some(9)])
            },
            "max32_gap": { "min": none, "max": none },
            "requests": [1, 1, 1],
            "steps": null,
            "failures": {},
            "refused_with_room": { "min": none, "max": none },
            "refused_without": { "min": none, "max": none },
            "requests_elsewhere": 0
        });
        let record: TimelineRecord = serde_json::from_value(record).expect("a record");
        let mut page = Page::new(&ChartOptions::default(), 300.0, TITLE, &[]);
        let [x, y] = [300.0, 1.0].map(|high| Axis::linear(0.0, high, Vec::new()));
        let panel = page.panel(page.body(), Frame::new("", x, y));
        let runs = Runs::new(&panel, &record);
        assert_eq!(lasting(&runs, &record), [None, Some((4, 9)), None]);
    }
}
