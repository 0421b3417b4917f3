//! Whether free space is scattered, and who holds the rest, over time: a panel per figure, a line
//! per allocator.

use super::Series;
use super::axis::Axis;
use super::number::real;
use super::page::{ChartOptions, Key, Page, Sample};
use super::panel::Panel;
use super::scene::Scene;
use super::small_multiples::{self, Multiple, SmallMultiples};
use super::theme::Palette;
use super::time::Runs;
use iova::measure::record::{Column, TimelineRecord};
use iova::measure::timeline::Figure;

/// The question that the chart answers.
pub const TITLE: &str = "Is the free space in one piece, and who holds the rest?";

/// The most allocators: more lines could not be told apart.
const OVERLAID: usize = 6;

/// The panels: a figure, its title, and whether the panel is left out if it is always 0.
const PANELS: [(Figure, &str, bool); 6] = [
    (
        Figure::FragmentationPpm,
        "external fragmentation: 1 − largest gap / free",
        false,
    ),
    (Figure::Used, "in use, reserved or restored", false),
    (Figure::LargestGap, "largest gap", false),
    (Figure::Cached, "held in the rcaches", true),
    (
        Figure::LargestBlock,
        "largest aligned block, a power of two",
        false,
    ),
    (Figure::Queued, "held in flush queues", true),
];

pub fn draw(
    about: &[String],
    series: &[Series<&TimelineRecord>],
    options: &ChartOptions,
) -> Scene {
    let (series, about) = small_multiples::first_of(OVERLAID, series, about);
    let palette = Palette::of(options.theme);
    let key = |one: &Series<&TimelineRecord>| Key {
        sample: Sample::Line(palette.allocator_line(one.place)),
        label: one.allocator.clone(),
    };
    let panel = |&(figure, title, _): &(Figure, &str, bool)| Multiple {
        title: title.to_owned(),
        note: String::new(),
        of: None,
        above: 0.0,
        y: axis(series, figure),
    };
    let shown: Vec<_> = PANELS
        .into_iter()
        .filter(|&(figure, _, optional)| !optional || highest(series, figure) > 0.0)
        .collect();
    let multiples = SmallMultiples {
        title: TITLE,
        about,
        options,
        height: 860.0,
        keys: series.iter().map(key).collect(),
        columns: 2,
        ticks: 5,
        panels: shown.iter().map(panel).collect(),
        same_scale: false,
    };
    multiples.draw(series, |page, panel, index| {
        for one in palette.solid_first(series, |it| it.place) {
            line(page, panel, one, shown[index].0);
        }
    })
}

fn line(page: &mut Page, panel: &Panel, one: &Series<&TimelineRecord>, figure: Figure) {
    let Some(column) = one.data.figures.get(&figure) else {
        return;
    };
    let scale = scale(one.data, figure);
    let value = |value: Option<u64>| value.map(|value| real(value) * scale);
    let band = page.palette.allocator(one.place).with_alpha(0.2);
    let paint = (band, page.palette.allocator_line(one.place));
    let runs = Runs::new(panel, one.data);
    runs.draw(&mut page.scene, panel, column, value, paint);
}

/// Converts a figure to the unit of its axis: pages to bytes, parts per million to a share.
fn scale(record: &TimelineRecord, figure: Figure) -> f64 {
    match figure {
        Figure::FragmentationPpm => 1e-6,
        Figure::Gaps => 1.0,
        _ => real(record.window.granule),
    }
}

fn highest(series: &[Series<&TimelineRecord>], figure: Figure) -> f64 {
    let highest = series.iter().map(|one| {
        let column = one.data.figures.get(&figure);
        let highest = column.and_then(|column| Column::max(column).iter().flatten().max());
        real(highest.copied().unwrap_or(0)) * scale(one.data, figure)
    });
    highest.fold(0.0, f64::max)
}

fn axis(series: &[Series<&TimelineRecord>], figure: Figure) -> Axis {
    let highest = highest(series, figure);
    match figure {
        Figure::FragmentationPpm => Axis::shares(highest.max(0.01), 4),
        Figure::Gaps => Axis::counts(highest, 4),
        _ => Axis::bytes(highest, 4),
    }
}
