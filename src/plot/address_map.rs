//! Who holds which part of the address space over time: a map per allocator, all on one scale, with
//! the failures above.

use std::collections::BTreeMap;

use super::Series;
use super::axis::Axis;
use super::number::real;
use super::page::{ChartOptions, Key, Page, Sample, small};
use super::panel::Panel;
use super::scene::{Rect, Rgb, Scene};
use super::small_multiples::{self, Multiple, SmallMultiples};
use super::theme::Palette;
use super::time::{Runs, Sampled};
use iova::measure::Cause;
use iova::measure::address_map::Holder;
use iova::measure::record::{self, MapRecord};

/// The question that the chart answers.
pub const TITLE: &str = "Who holds which addresses, and when do allocations fail?";

/// The most maps of a chart.
const MAPS: usize = 12;
/// The smallest cell, in pixels.
const CELL_MIN: f64 = 2.5;
/// The height of a row of failures.
const STRIP: f64 = 9.0;

pub fn draw(about: &[String], series: &[Series<&MapRecord>], options: &ChartOptions) -> Scene {
    let (series, about) = small_multiples::first_of(MAPS, series, about);
    let columns = match series.len() {
        5.. => 4,
        count => count.clamp(1, 2),
    };
    let rows = series.len().div_ceil(columns);
    let palette = Palette::of(options.theme);
    let panel = |one: &Series<&MapRecord>| Multiple {
        title: one.allocator.clone(),
        note: String::new(),
        of: Some(palette.allocator_line(one.place)),
        above: 2.0 * STRIP,
        y: addresses(one.data),
    };
    let multiples = SmallMultiples {
        title: TITLE,
        about,
        options,
        height: 190.0 + small(rows) * if rows > 1 { 290.0 } else { 470.0 },
        keys: keys(&palette, series),
        columns,
        ticks: if columns > 2 { 3 } else { 5 },
        panels: series.iter().map(panel).collect(),
        same_scale: true,
    };
    multiples.draw(series, |page, panel, index| {
        map(page, panel, series[index].data);
    })
}

fn keys(palette: &Palette, series: &[Series<&MapRecord>]) -> Vec<Key> {
    let seen = Holder::ALL
        .into_iter()
        .filter(|holder| series.iter().any(|it| it.data.held.contains_key(holder)));
    let mut keys: Vec<Key> = seen
        .map(|holder| Key {
            sample: Sample::Area(palette.holder(holder).into()),
            label: match holder {
                Holder::Live => "live",
                Holder::Cached => "cached",
                Holder::Queued => "in flush queues",
                Holder::Other => "reserved or restored",
            }
            .to_owned(),
        })
        .collect();
    keys.push(Key {
        sample: Sample::Blank(palette.line(palette.faint, 1.0)),
        label: "free (faded: held in part)".to_owned(),
    });
    let failed = |of: fn(&MapRecord) -> &Vec<u64>| {
        series
            .iter()
            .any(|it| of(it.data).iter().any(|&count| count > 0))
    };
    if failed(|it| &it.refused_with_room) {
        keys.push(Key {
            sample: Sample::Area(palette.cause(Cause::Shortcut).into()),
            label: "above: refused with room".to_owned(),
        });
    }
    if failed(|it| &it.refused_without) {
        keys.push(Key {
            sample: Sample::Area(palette.faint.into()),
            label: "refused without room".to_owned(),
        });
    }
    keys
}

/// The window's addresses in bytes.
fn addresses(map: &MapRecord) -> Axis {
    let granule = real(map.window.granule);
    let rows = map.held.values().next().map_or(0, Vec::len);
    let low = real(map.base_pfn) * granule;
    let high = low + real(map.row_pages) * small(rows.max(1)) * granule;
    Axis::addresses(low, high, 5)
}

fn map(page: &mut Page, panel: &Panel, record: &MapRecord) {
    let grid = Grid::of(record);
    let runs = Runs::new(panel, record);
    let down = (CELL_MIN / (panel.area.height() / small(grid.rows.max(1)))).ceil();
    let down = (1..=grid.rows.max(1))
        .find(|&rows| small(rows) >= down)
        .unwrap_or(1);
    let mut by_colour: BTreeMap<Rgb, Vec<Rect>> = BTreeMap::new();
    for first in (0..grid.rows).step_by(down) {
        let rows = first..(first + down).min(grid.rows);
        let height = panel.area.height() / small(grid.rows);
        let mut run: Option<(Rgb, Rect)> = None;
        let mut before = page.palette.background;
        for (columns, sides) in runs.samples().iter().zip(runs.edges.windows(2)) {
            // Cells that were skipped keep their last state.
            let seen = grid.colour(&page.palette, rows.clone(), columns.clone());
            let rgb = seen.unwrap_or(before);
            before = rgb;
            let cell = Rect {
                left: sides[0],
                right: sides[1],
                top: panel.area.top + small(rows.start) * height,
                bottom: panel.area.top + small(rows.end) * height,
            };
            match &mut run {
                Some((same, rect)) if *same == rgb => rect.right = cell.right,
                _ => {
                    let done = run.replace((rgb, cell));
                    if let Some((rgb, rect)) = done {
                        by_colour.entry(rgb).or_default().push(rect);
                    }
                }
            }
        }
        if let Some((rgb, rect)) = run {
            by_colour.entry(rgb).or_default().push(rect);
        }
    }
    by_colour.remove(&page.palette.background);
    for (rgb, rects) in by_colour {
        page.scene.rects(rects, rgb.into());
    }
    failures(page, panel, record);
}

/// The cells of a record as numbers.
struct Grid {
    rows: usize,
    /// For each holder its rows of shares, one per sample; `None` where cells were skipped.
    held: Vec<(Holder, Vec<Vec<Option<f64>>>)>,
}

impl Grid {
    fn of(record: &MapRecord) -> Grid {
        let read = |row: &String| row.chars().map(record::part).collect();
        let held: Vec<_> = record
            .held
            .iter()
            .map(|(&holder, rows)| (holder, rows.iter().map(read).collect()))
            .collect();
        Grid {
            rows: held
                .iter()
                .map(|(_, rows): &(_, Vec<_>)| rows.len())
                .max()
                .unwrap_or(0),
            held,
        }
    }

    /// What some cells options like on average; none where they were not looked at.
    fn colour(
        &self,
        palette: &Palette,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
    ) -> Option<Rgb> {
        let share = |held: &Vec<Vec<Option<f64>>>| {
            let rows = held.get(rows.clone()).unwrap_or_default().iter();
            let cells = rows.flat_map(|row| row.get(columns.clone()).unwrap_or_default());
            let (count, sum) = cells
                .flatten()
                .fold((0.0, 0.0), |(count, sum), share| (count + 1.0, sum + share));
            (count > 0.0).then(|| visible(sum / count))
        };
        let held = self.held.iter();
        let shares: Vec<(Rgb, f64)> = held
            .filter_map(|(holder, held)| Some((palette.holder(*holder), share(held)?)))
            .collect();
        if shares.is_empty() {
            return None;
        }
        let all: f64 = shares.iter().map(|(_, share)| share).sum();
        let shares = shares
            .iter()
            .map(|&(rgb, share)| (rgb, share / all.max(1.0)));
        Some(palette.mixture(&shares))
    }
}

/// How strongly a share is drawn: in as many steps as the record has, since few colours are few paths,
/// and strong enough that a single page can be seen.
fn visible(share: f64) -> f64 {
    const WEAKEST: f64 = 0.2;
    if share > 0.0 {
        WEAKEST + (1.0 - WEAKEST) * (share * 15.0).round() / 15.0
    } else {
        0.0
    }
}

fn failures(page: &mut Page, panel: &Panel, record: &MapRecord) {
    let spans = record.spans();
    let kinds = [
        (
            &record.refused_with_room,
            page.palette.cause(Cause::Shortcut),
        ),
        (&record.refused_without, page.palette.faint),
    ];
    for (line, (counts, rgb)) in (0_u32..).zip(kinds) {
        let top = panel.area.top - 1.0 - STRIP * f64::from(2 - line);
        let marked = spans.iter().zip(counts).filter(|(_, count)| **count > 0);
        let rects = marked.map(|(&(begin, end), _)| Rect {
            left: panel.x(begin),
            // A failure can be seen however short its sample is.
            right: panel.x(end).max(panel.x(begin) + 3.0),
            top,
            bottom: top + STRIP - 1.0,
        });
        let mut merged: Vec<Rect> = Vec::new();
        for rect in rects {
            match merged.last_mut() {
                Some(before) if before.right >= rect.left => {
                    before.right = before.right.max(rect.right);
                }
                _ => merged.push(rect),
            }
        }
        page.scene.rects(merged, rgb.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::Mark;
    use super::*;

    #[test]
    fn skipped_cells_keep_their_last_state() {
        let record = serde_json::json!({
            "window": { "domain": 0, "granule": 4096, "start_pfn": 0, "limit_pfn": 1 },
            "every": { "events": 100 },
            "moments": {
                "event": [0, 100, 200], "nanos": [0, 0, 0], "last_event": 299, "last_nanos": 0
            },
            "base_pfn": 0,
            "row_pages": 1,
            "held": { "live": ["f?0", "???"] },
            "refused_with_room": [0, 0, 0],
            "refused_without": [0, 0, 0]
        });
        let record: MapRecord = serde_json::from_value(record).expect("a record");
        let one = Series {
            allocator: "new".to_owned(),
            place: 0,
            data: &record,
        };
        let scene = draw(&[], &[one], &ChartOptions::default());
        let live = Palette::of(ChartOptions::default().theme).holder(Holder::Live);
        let drawn = scene.marks.iter().filter_map(|mark| match mark {
            Mark::Rects { rects, paint } if *paint == live.into() => Some(rects),
            _ => None,
        });
        // The legend's sample, and two of the three columns.
        let widths: Vec<f64> = drawn.flatten().map(|rect| rect.width()).collect();
        assert_eq!(widths.len(), 2, "{widths:?}");
        let map = f64::from(scene.width) * 2.0 / 3.0;
        assert!(widths[1] > map * 0.8 && widths[1] < map, "{widths:?}");
    }
}
