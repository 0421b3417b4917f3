//! Whether free space is scattered, and who holds the rest, over time: a panel per figure with a line
//! per allocator, or a row of panels per figure where so many lines would hide each other.

use super::Series;
use super::axis::Axis;
use super::number::real;
use super::page::{ChartOptions, Key, Page, Sample, small};
use super::panel::Panel;
use super::scene::Scene;
use super::small_multiples::{self, Multiple, SmallMultiples};
use super::theme::Palette;
use super::time::Runs;
use iova::measure::record::{Column, TimelineRecord};
use iova::measure::timeline::Figure;

/// The question that the chart answers.
pub const TITLE: &str = "Is the free space in one piece, and who holds the rest?";

/// The most allocators: panels get too narrow for more.
const ALLOCATORS: usize = 6;
/// The most lines of a panel: more hide each other.
const OVERLAID: usize = 3;

/// A panel of the chart.
struct Shown {
    figure: Figure,
    title: &'static str,
    /// The title of a narrow panel.
    short: &'static str,
    /// Whether the panel is left out if it is always 0.
    optional: bool,
}

const fn shown(
    figure: Figure,
    title: &'static str,
    short: &'static str,
    optional: bool,
) -> Shown {
    Shown {
        figure,
        title,
        short,
        optional,
    }
}

const PANELS: [Shown; 6] = [
    shown(
        Figure::FragmentationPpm,
        "external fragmentation: 1 − largest gap / free",
        "fragmentation",
        false,
    ),
    shown(
        Figure::Used,
        "in use, reserved or restored",
        "in use",
        false,
    ),
    shown(Figure::LargestGap, "largest gap", "largest gap", false),
    shown(Figure::Cached, "held in the rcaches", "in rcaches", true),
    shown(
        Figure::LargestBlock,
        "largest aligned block, a power of two",
        "largest block",
        false,
    ),
    shown(
        Figure::Queued,
        "held in flush queues",
        "in flush queues",
        true,
    ),
];

pub fn draw(
    about: &[String],
    series: &[Series<&TimelineRecord>],
    options: &ChartOptions,
) -> Scene {
    let (series, about) = small_multiples::first_of(ALLOCATORS, series, about);
    let palette = Palette::of(options.theme);
    let shown: Vec<Shown> = PANELS
        .into_iter()
        .filter(|it| !it.optional || highest(series, it.figure) > 0.0)
        .collect();
    if series.len() > OVERLAID {
        return side_by_side(about, series, &shown, options);
    }
    let key = |one: &Series<&TimelineRecord>| Key {
        sample: Sample::Line(palette.allocator_line(one.place)),
        label: one.allocator.clone(),
    };
    let panel = |it: &Shown| Multiple {
        title: it.title.to_owned(),
        note: String::new(),
        of: None,
        above: 0.0,
        y: axis(series, it.figure),
    };
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
            line(page, panel, one, shown[index].figure);
        }
    })
}

/// A row of panels for each figure, one for each allocator.
fn side_by_side(
    about: Vec<String>,
    series: &[Series<&TimelineRecord>],
    shown: &[Shown],
    options: &ChartOptions,
) -> Scene {
    let palette = Palette::of(options.theme);
    let panel = |it: &Shown, one: &Series<&TimelineRecord>| Multiple {
        title: one.allocator.clone(),
        note: it.short.to_owned(),
        of: Some(palette.allocator_line(one.place)),
        above: 0.0,
        y: axis(series, it.figure),
    };
    let panels = shown
        .iter()
        .flat_map(|it| series.iter().map(move |one| (it, one)));
    let multiples = SmallMultiples {
        title: TITLE,
        about,
        options,
        height: 130.0 + 215.0 * small(shown.len()),
        keys: Vec::new(),
        columns: series.len(),
        ticks: 2,
        panels: panels.map(|(it, one)| panel(it, one)).collect(),
        same_scale: true,
    };
    multiples.draw(series, |page, panel, index| {
        let (figure, one) = (index / series.len(), index % series.len());
        line(page, panel, &series[one], shown[figure].figure);
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
