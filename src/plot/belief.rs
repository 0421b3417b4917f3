//! What the allocator believes and what is true: `max32`, from which on it refuses any 32-bit
//! request, beside the largest one that would find a place; a panel an allocator.

use super::Entry;
use super::axis::Axis;
use super::clock::{Clock, Spans};
use super::number::{self, real};
use super::panel::{Frame, Panel};
use super::scene::{Point, Scene};
use super::sheet::{self, Key, Look, Sample, Sheet, small};
use super::stretch::Stretches;
use iova::measure::Cause;
use iova::measure::record::TimelineRecord;
use iova::measure::timeline::Figure;

/// The question that the chart answers.
pub const TITLE: &str = "Does the allocator refuse what it could grant?";

/// The most panels of a picture.
const PANELS: usize = 12;

pub fn draw(about: &[String], entries: &[Entry<&TimelineRecord>], look: &Look) -> Scene {
    let mut about = about.to_vec();
    if entries.len() > PANELS {
        about.push(format!(
            "the first {PANELS} of {} allocators; --allocator chooses",
            entries.len()
        ));
    }
    let entries = &entries[..entries.len().min(PANELS)];
    let columns = if entries.len() > 3 { 3 } else { 1 };
    if entries.iter().all(|it| it.what.moments.event.is_empty()) {
        return Sheet::blank(look, TITLE, &about, "no event was sampled");
    }
    let rows = entries.len().div_ceil(columns);
    let height = 210.0 + small(rows) * if columns > 1 { 255.0 } else { 300.0 };
    let mut sheet = Sheet::new(look, height, TITLE, &about);
    let keys = keys(&sheet, entries[0].place);
    sheet.legend(&keys);
    let clock = Clock::of(entries.iter().map(|it| (&it.what.moments, it.what.every)));
    let y = size_axis(entries, if columns > 1 { 4 } else { 5 });
    let labels = y.label_width() + 8.0;
    let cells = sheet.grid(labels, entries.len(), columns);
    for (index, (entry, cell)) in entries.iter().zip(cells).enumerate() {
        let labelled = index.is_multiple_of(columns);
        let y = y.clone();
        let panel = sheet.panel(
            cell,
            Frame {
                title: title_of(entry),
                note: note(entry.what),
                of: Some(sheet.theme.allocator_line(entry.place)),
                above: 0.0,
                x: clock.axis(if columns > 1 { 3 } else { 7 }),
                x_name: clock.name(),
                y: if labelled { y } else { y.without_labels() },
                y_labels: -8.0,
            },
        );
        lines(&mut sheet, &panel, entry);
    }
    sheet.scene
}

fn keys(sheet: &Sheet, place: usize) -> [Key; 5] {
    let theme = sheet.theme;
    let mistaken = theme.cause(Cause::Shortcut);
    let key = |sample, label: &str| Key {
        sample,
        label: label.to_owned(),
    };
    [
        key(
            Sample::Line(theme.line(theme.ink, 2.5)),
            "largest request that would find a place",
        ),
        key(
            Sample::Line(theme.allocator_line(place)),
            "in colour: max32, refuses this and more",
        ),
        key(
            Sample::Area(mistaken.with_alpha(0.3)),
            "refuses though it could grant",
        ),
        key(Sample::Cross(mistaken.into()), "refused, with room"),
        key(Sample::Dot(theme.faint.into()), "refused, without"),
    ]
}

fn title_of(entry: &Entry<&TimelineRecord>) -> String {
    let max32 = entry.what.figures.get(&Figure::Max32);
    let has_max32 = max32.is_some_and(|column| column.last.iter().any(Option::is_some));
    let none = if has_max32 { "" } else { " (has no max32)" };
    format!("{}{none}", entry.allocator)
}

fn note(record: &TimelineRecord) -> String {
    let count = |spurious: bool| -> u64 {
        let causes = record.failures.iter();
        let counted = causes.filter(|(cause, _)| cause.is_spurious() == spurious);
        counted.flat_map(|(_, counts)| counts).sum()
    };
    let [with, without] = [count(true), count(false)].map(|it| number::plain(real(it), 0));
    format!("refused {with} with room, {without} without")
}

/// From less than the smallest size that is seen up to the largest, in bytes.
fn size_axis(entries: &[Entry<&TimelineRecord>], ticks: u32) -> Axis {
    let seen: Vec<u64> = entries.iter().flat_map(|entry| sizes(entry.what)).collect();
    let granule = entries
        .iter()
        .map(|it| it.what.window.granule)
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

/// All sizes of a record that are drawn.
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

fn lines(sheet: &mut Sheet, panel: &Panel, entry: &Entry<&TimelineRecord>) {
    let theme = sheet.theme;
    let record = entry.what;
    let granule = real(record.window.granule);
    let bytes = |pages: Option<u64>| pages.map(|pages| real(pages) * granule);
    let spans = Spans::of(&record.moments, record.every);
    let stretches = Stretches::new(panel, &spans);
    let mistaken = record.mistaken.min.iter().zip(&record.mistaken.max);
    let mistaken: Vec<_> = mistaken.map(|(min, max)| min.zip(*max)).collect();
    let mistaken = stretches.each(&mistaken, |part| {
        part.iter()
            .flatten()
            .max_by_key(|(max32, largest)| largest - max32)
            .copied()
    });
    let mistaken = mistaken.into_iter().zip(lasting(&stretches, record));
    let mistaken = mistaken.map(|(seen, lasting)| {
        let (max32, largest) = seen.or(lasting)?;
        Some((real(max32) * granule, real(largest) * granule))
    });
    let red = theme.cause(Cause::Shortcut);
    panel.between(
        &mut sheet.scene,
        &stretches.edges,
        mistaken,
        red.with_alpha(0.3),
    );
    let believed = theme.allocator_line(entry.place);
    for (figure, rgb, stroke) in [
        (
            Figure::LargestRequest,
            theme.ink,
            theme.line(theme.ink, believed.width),
        ),
        (Figure::Max32, theme.allocator(entry.place), believed),
    ] {
        let Some(column) = record.figures.get(&figure) else {
            continue;
        };
        let paint = (rgb.with_alpha(0.15), stroke);
        stretches.draw(&mut sheet.scene, panel, column, bytes, paint);
    }
    refusals(sheet, panel, &spans, record);
}

/// `max32` and the largest request where nothing was looked at and all is as it was before, if
/// the first refuses what would find a place.
fn lasting(stretches: &Stretches, record: &TimelineRecord) -> Vec<Option<(u64, u64)>> {
    let columns = [Figure::Max32, Figure::LargestRequest].map(|it| record.figures.get(&it));
    let [Some(max32), Some(largest)] = columns else {
        return vec![None; stretches.samples().len()];
    };
    let seen = stretches.max(largest.max());
    let pairs = stretches.last(&max32.last).into_iter();
    let pairs = pairs.zip(stretches.last(&largest.last)).zip(seen);
    let lasting = pairs.map(|((max32, largest), seen)| {
        let pair = max32
            .zip(largest)
            .filter(|(max32, largest)| max32 <= largest);
        pair.filter(|_| seen.is_none())
    });
    lasting.collect()
}

/// Marks the sizes that were refused: the smallest and the largest of each sample.
fn refusals(sheet: &mut Sheet, panel: &Panel, spans: &Spans, record: &TimelineRecord) {
    let granule = real(record.window.granule);
    let red = sheet.theme.cause(Cause::Shortcut);
    for (refused, with_room) in [
        (&record.refused_without, false),
        (&record.refused_with_room, true),
    ] {
        let sizes = spans.samples.iter();
        let sizes = sizes.zip(refused.min.iter().zip(&refused.max));
        let mut marked: Vec<Point> = Vec::new();
        for (&(begin, end), (&min, &max)) in sizes {
            let x = f64::midpoint(panel.x(begin), panel.x(end));
            for size in [min, max].into_iter().flatten() {
                let at = (x, panel.y(real(size) * granule));
                // One mark stands for others that it would cover.
                let near = |other: &&Point| (other.0 - at.0).abs() < 3.0;
                let mut near = marked.iter().rev().take_while(near);
                if near.any(|other| (other.1 - at.1).abs() < 2.0) {
                    continue;
                }
                marked.push(at);
                if with_room {
                    sheet::cross(&mut sheet.scene, at, red.into());
                } else {
                    sheet.scene.disc(at, 2.5, sheet.theme.faint.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_was_looked_at_a_mistake_lasts() {
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
            "mistaken": { "min": none, "max": none },
            "requests": [1, 1, 1],
            "steps": null,
            "failures": {},
            "refused_with_room": { "min": none, "max": none },
            "refused_without": { "min": none, "max": none },
            "requests_elsewhere": 0
        });
        let record: TimelineRecord = serde_json::from_value(record).expect("a record");
        let mut sheet = Sheet::new(&Look::default(), 300.0, TITLE, &[]);
        let clock = Clock::of([(&record.moments, record.every)]);
        let frame = Frame {
            title: String::new(),
            note: String::new(),
            of: None,
            above: 0.0,
            x: clock.axis(3),
            x_name: String::new(),
            y: Axis::linear(0.0, 1.0, Vec::new()),
            y_labels: 0.0,
        };
        let panel = sheet.panel(sheet.body(), frame);
        let stretches = Stretches::new(&panel, &Spans::of(&record.moments, record.every));
        assert_eq!(lasting(&stretches, &record), [None, Some((4, 9)), None]);
    }
}
