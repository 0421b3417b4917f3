//! Whether free space is scattered, and where the pages are, as time goes by: a panel a figure,
//! a line an allocator.
//!
//! Lines are what was seen last in each stretch, bands reach from the least to the most.

use super::Entry;
use super::axis::Axis;
use super::clock::{Clock, Spans};
use super::number::real;
use super::panel::Frame;
use super::scene::Scene;
use super::sheet::{Key, Look, Sample, Sheet};
use super::stretch::Stretches;
use iova::measure::record::{Column, TimelineRecord};
use iova::measure::timeline::Figure;

/// The question that the chart answers.
pub const TITLE: &str = "Is the free space in one piece, and who holds the rest?";

/// How many allocators are drawn over each other at most.
const OVERLAID: usize = 6;

/// The panels: figure, what it is called, whether it is left out where it is always 0.
const PANELS: [(Figure, &str, bool); 6] = [
    (
        Figure::FragmentationPpm,
        "external fragmentation: 1 − largest gap / free",
        false,
    ),
    (Figure::Used, "in use, reserved or restored", false),
    (Figure::LargestGap, "largest gap", false),
    (Figure::Cached, "held back in caches", true),
    (
        Figure::LargestBlock,
        "largest aligned block, a power of two",
        false,
    ),
    (Figure::Queued, "held back in flush queues", true),
];

pub fn draw(about: &[String], entries: &[Entry<&TimelineRecord>], look: &Look) -> Scene {
    let mut about = about.to_vec();
    if entries.len() > OVERLAID {
        about.push(format!(
            "the first {OVERLAID} of {} allocators: more could not be told apart; --allocator \
             chooses",
            entries.len()
        ));
    }
    let entries = &entries[..entries.len().min(OVERLAID)];
    if entries.iter().all(|it| it.what.moments.event.is_empty()) {
        return Sheet::blank(look, TITLE, &about, "no event was sampled");
    }
    let mut sheet = Sheet::new(look, 860.0, TITLE, &about);
    let keys: Vec<Key> = entries
        .iter()
        .map(|entry| Key {
            sample: Sample::Line(sheet.theme.allocator_line(entry.place)),
            label: entry.allocator.clone(),
        })
        .collect();
    sheet.legend(&keys);
    let clock = Clock::of(entries.iter().map(|it| (&it.what.moments, it.what.every)));
    let shown: Vec<_> = PANELS
        .into_iter()
        .filter(|&(figure, _, optional)| !optional || highest(entries, figure) > 0.0)
        .collect();
    let cells = sheet.grid(0.0, shown.len(), 2);
    let axes: Vec<Axis> = shown
        .iter()
        .map(|(figure, ..)| axis(entries, *figure))
        .collect();
    let y_labels = axes.iter().map(Axis::label_width).fold(0.0, f64::max);
    for ((&(figure, name, _), cell), y) in shown.iter().zip(cells).zip(axes) {
        let panel = sheet.panel(
            cell,
            Frame {
                title: name.to_owned(),
                note: String::new(),
                of: None,
                above: 0.0,
                x: clock.axis(5),
                x_name: clock.name(),
                y,
                y_labels,
            },
        );
        for entry in sheet.theme.solid_first(entries, |it| it.place) {
            let Some(column) = entry.what.figures.get(&figure) else {
                continue;
            };
            let stretches =
                Stretches::new(&panel, &Spans::of(&entry.what.moments, entry.what.every));
            let scale = scale(entry.what, figure);
            let value = |value: Option<u64>| value.map(|value| real(value) * scale);
            let band = sheet.theme.allocator(entry.place).with_alpha(0.2);
            let paint = (band, sheet.theme.allocator_line(entry.place));
            stretches.draw(&mut sheet.scene, &panel, column, value, paint);
        }
    }
    sheet.scene
}

/// What one of a figure is on its axis: bytes of pages, parts of parts per million.
fn scale(record: &TimelineRecord, figure: Figure) -> f64 {
    match figure {
        Figure::FragmentationPpm => 1e-6,
        Figure::Gaps => 1.0,
        _ => real(record.window.granule),
    }
}

fn highest(entries: &[Entry<&TimelineRecord>], figure: Figure) -> f64 {
    let highest = entries.iter().map(|entry| {
        let column = entry.what.figures.get(&figure);
        let highest = column.and_then(|column| Column::max(column).iter().flatten().max());
        real(highest.copied().unwrap_or(0)) * scale(entry.what, figure)
    });
    highest.fold(0.0, f64::max)
}

fn axis(entries: &[Entry<&TimelineRecord>], figure: Figure) -> Axis {
    let highest = highest(entries, figure);
    match figure {
        Figure::FragmentationPpm => Axis::shares(highest.max(0.01), 4),
        Figure::Gaps => Axis::counts(highest, 4),
        _ => Axis::bytes(highest, 4),
    }
}
