//! Who has which part of the address space, and when: a map an allocator, all on one scale,
//! with the failures above.

use std::collections::BTreeMap;

use super::Entry;
use super::axis::Axis;
use super::clock::{Clock, Spans};
use super::number::real;
use super::panel::{Frame, Panel};
use super::scene::{Rect, Scene};
use super::sheet::{Key, Look, Sample, Sheet, small};
use super::stretch::Stretches;
use super::theme::{Rgb, Theme};
use iova::measure::Cause;
use iova::measure::address_map::Holder;
use iova::measure::record::{self, MapRecord};

/// The question that the chart answers.
pub const TITLE: &str = "Who has which addresses, and when do allocations fail?";

/// The most maps of a picture.
const MAPS: usize = 12;
/// Cells are not drawn smaller than so many pixels.
const CELL_MIN: f64 = 2.5;
/// The height of a line of failures.
const STRIP: f64 = 9.0;

pub fn draw(about: &[String], entries: &[Entry<&MapRecord>], look: &Look) -> Scene {
    let mut about = about.to_vec();
    if entries.len() > MAPS {
        about.push(format!(
            "the first {MAPS} of {} allocators; --allocator chooses",
            entries.len()
        ));
    }
    let entries = &entries[..entries.len().min(MAPS)];
    let columns = if entries.len() > 4 {
        4
    } else {
        entries.len().clamp(1, 2)
    };
    if entries.iter().all(|it| it.what.moments.event.is_empty()) {
        return Sheet::blank(look, TITLE, &about, "no event was sampled");
    }
    let rows = entries.len().div_ceil(columns);
    let height = 190.0 + small(rows) * if rows > 1 { 290.0 } else { 470.0 };
    let mut sheet = Sheet::new(look, height, TITLE, &about);
    let keys = keys(&sheet, entries);
    sheet.legend(&keys);
    let clock = Clock::of(entries.iter().map(|it| (&it.what.moments, it.what.every)));
    let labels = entries.iter().map(|it| addresses(it.what).label_width());
    let labels = labels.fold(0.0, f64::max) + 8.0;
    let cells = sheet.grid(labels, entries.len(), columns);
    for (index, (entry, cell)) in entries.iter().zip(cells).enumerate() {
        let y = addresses(entry.what);
        let labelled = index.is_multiple_of(columns);
        let panel = sheet.panel(
            cell,
            Frame {
                title: entry.allocator.clone(),
                note: String::new(),
                of: Some(sheet.theme.allocator_line(entry.place)),
                above: 2.0 * STRIP,
                x: clock.axis(if columns > 2 { 3 } else { 5 }),
                x_name: clock.name(),
                y: if labelled { y } else { y.without_labels() },
                y_labels: -8.0,
            },
        );
        map(&mut sheet, &panel, entry.what);
    }
    sheet.scene
}

fn keys(sheet: &Sheet, entries: &[Entry<&MapRecord>]) -> Vec<Key> {
    let seen = Holder::ALL
        .into_iter()
        .filter(|holder| entries.iter().any(|it| it.what.held.contains_key(holder)));
    let mut keys: Vec<Key> = seen
        .map(|holder| Key {
            sample: Sample::Area(sheet.theme.holder(holder).into()),
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
        sample: Sample::Blank(sheet.theme.line(sheet.theme.faint, 1.0)),
        label: "free; paler: in part".to_owned(),
    });
    let failed = |of: fn(&MapRecord) -> &Vec<u64>| {
        entries
            .iter()
            .any(|it| of(it.what).iter().any(|&count| count > 0))
    };
    if failed(|it| &it.refused_with_room) {
        keys.push(Key {
            sample: Sample::Area(sheet.theme.cause(Cause::Shortcut).into()),
            label: "above: refused with room".to_owned(),
        });
    }
    if failed(|it| &it.refused_without) {
        keys.push(Key {
            sample: Sample::Area(sheet.theme.faint.into()),
            label: "refused without".to_owned(),
        });
    }
    keys
}

/// The window's addresses in bytes, with room above for two lines of failures.
fn addresses(map: &MapRecord) -> Axis {
    let granule = real(map.window.granule);
    let rows = map.held.values().next().map_or(0, Vec::len);
    let low = real(map.base_pfn) * granule;
    let high = low + real(map.row_pages) * small(rows.max(1)) * granule;
    Axis::addresses(low, high, 5)
}

fn map(sheet: &mut Sheet, panel: &Panel, record: &MapRecord) {
    let grid = Grid::of(record);
    let spans = Spans::of(&record.moments, record.every);
    let stretches = Stretches::new(panel, &spans);
    let down = (CELL_MIN / (panel.area.height() / small(grid.rows.max(1)))).ceil();
    let down = (1..=grid.rows.max(1))
        .find(|&rows| small(rows) >= down)
        .unwrap_or(1);
    let mut by_colour: BTreeMap<Rgb, Vec<Rect>> = BTreeMap::new();
    for first in (0..grid.rows).step_by(down) {
        let rows = first..(first + down).min(grid.rows);
        let height = panel.area.height() / small(grid.rows);
        let mut run: Option<(Rgb, Rect)> = None;
        let mut before = sheet.theme.background;
        for (columns, sides) in stretches.samples().iter().zip(stretches.edges.windows(2)) {
            // Where nothing was looked at, all is as before.
            let seen = grid.colour(&sheet.theme, rows.clone(), columns.clone());
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
    by_colour.remove(&sheet.theme.background);
    for (rgb, rects) in by_colour {
        sheet.scene.rects(rects, rgb.into());
    }
    failures(sheet, panel, &spans, record);
}

/// The cells of a record as numbers.
struct Grid {
    rows: usize,
    /// For each holder its rows, each with a share a column; none where it was not looked at.
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

    /// What some cells look like on average; none where they were not looked at.
    fn colour(
        &self,
        theme: &Theme,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
    ) -> Option<Rgb> {
        let share = |held: &Vec<Vec<Option<f64>>>| {
            let rows = held.get(rows.clone()).unwrap_or_default().iter();
            let cells = rows.flat_map(|row| row.get(columns.clone()).unwrap_or_default());
            let (count, sum) = cells
                .flatten()
                .fold((0.0, 0.0), |(count, sum), share| (count + 1.0, sum + share));
            // In as many steps as there are: the same colours come again.
            (count > 0.0).then(|| (sum / count * 15.0).round() / 15.0)
        };
        let held = self.held.iter();
        let shares: Vec<(Rgb, f64)> = held
            .filter_map(|(holder, held)| Some((theme.holder(*holder), share(held)?)))
            .collect();
        if shares.is_empty() {
            return None;
        }
        let all: f64 = shares.iter().map(|(_, share)| share).sum();
        let shares = shares
            .iter()
            .map(|&(rgb, share)| (rgb, share / all.max(1.0)));
        Some(theme.mixture(&shares))
    }
}

fn failures(sheet: &mut Sheet, panel: &Panel, spans: &Spans, record: &MapRecord) {
    let kinds = [
        (
            &record.refused_with_room,
            sheet.theme.cause(Cause::Shortcut),
        ),
        (&record.refused_without, sheet.theme.faint),
    ];
    for (line, (counts, rgb)) in (0_u32..).zip(kinds) {
        let top = panel.area.top - 1.0 - STRIP * f64::from(2 - line);
        let marked = spans
            .samples
            .iter()
            .zip(counts)
            .filter(|(_, count)| **count > 0);
        let rects = marked.map(|(&(begin, end), _)| Rect {
            left: panel.x(begin),
            // A failure is seen however short the moment.
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
        sheet.scene.rects(merged, rgb.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::Mark;
    use super::*;

    #[test]
    fn what_was_not_looked_at_is_drawn_as_before_and_not_as_free() {
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
        let entry = Entry {
            allocator: "new".to_owned(),
            place: 0,
            what: &record,
        };
        let scene = draw(&[], &[entry], &Look::default());
        let live = Theme::of(Look::default().tone).holder(Holder::Live);
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
