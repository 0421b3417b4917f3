//! A panel: data between two axes.

use super::axis::{Axis, TICK, Tick};
use super::font;
use super::scene::{Anchor, Point, Rect, Scene, Stroke};
use super::sheet::{LABEL, Sheet};
use super::theme::Paint;

/// What surrounds the data of a panel.
pub(super) struct Frame {
    /// What it shows, above.
    pub(super) title: String,
    /// What is to be said beneath the title.
    pub(super) note: String,
    /// The line of the allocator that it is about, where it is about one.
    pub(super) of: Option<Stroke>,
    /// How much is left free between the title and the data.
    pub(super) above: f64,
    pub(super) x: Axis,
    /// What the horizontal axis shows; empty where its labels are left out.
    pub(super) x_name: String,
    pub(super) y: Axis,
    /// How wide the labels of the vertical axis are at most.
    pub(super) y_labels: f64,
}

/// A panel whose axes are drawn.
pub(super) struct Panel {
    /// Where the data goes.
    pub(super) area: Rect,
    x: Axis,
    y: Axis,
}

impl Sheet {
    /// Draws the axes of a panel into a cell of the page.
    pub(super) fn panel(&mut self, cell: Rect, frame: Frame) -> Panel {
        let titled = if frame.title.is_empty() {
            0.0
        } else {
            LABEL * 1.3
        };
        let noted = if frame.note.is_empty() {
            0.0
        } else {
            TICK * 1.3
        };
        let titled = titled + noted + TICK * 0.65 + frame.above;
        let labelled = if frame.x_name.is_empty() {
            6.0
        } else {
            TICK * 3.0
        };
        let area = cell.inset(frame.y_labels + 8.0, titled, 2.0, labelled);
        let mut left = cell.left;
        if let Some(stroke) = frame.of {
            left += self.line_of(stroke, (left, cell.top + LABEL * 0.64)) + 8.0;
        }
        let title = font::shorten(&frame.title, LABEL, cell.right - left);
        let at = (left, cell.top + LABEL);
        self.write(at, title, LABEL, self.theme.ink, Anchor::Start);
        let note = font::shorten(&frame.note, TICK, cell.width());
        let below = (cell.left, cell.top + LABEL + TICK * 1.25);
        self.write(below, note, TICK, self.theme.faint, Anchor::Start);
        let panel = Panel {
            area,
            x: frame.x,
            y: frame.y,
        };
        self.y_axis(&panel);
        self.x_axis(&panel, cell, &frame.x_name);
        panel
    }

    fn y_axis(&mut self, panel: &Panel) {
        let area = panel.area;
        let grid = self.theme.line(self.theme.grid, 1.0);
        let mut free_below = f64::INFINITY;
        for Tick { value, label } in &panel.y.ticks {
            let y = panel.y(*value);
            self.scene.line(vec![(area.left, y), (area.right, y)], grid);
            if y + TICK / 2.0 > free_below {
                continue;
            }
            free_below = y - TICK / 2.0;
            self.write(
                (area.left - 8.0, y + TICK * font::CAPITAL_MIDDLE),
                label.clone(),
                TICK,
                self.theme.faint,
                Anchor::End,
            );
        }
    }

    fn x_axis(&mut self, panel: &Panel, cell: Rect, name: &str) {
        let area = panel.area;
        let axis = self.theme.line(self.theme.faint, 1.0);
        let bottom = vec![(area.left, area.bottom), (area.right, area.bottom)];
        self.scene.line(bottom, axis);
        for tick in &panel.x.ticks {
            let x = panel.x(tick.value);
            self.scene
                .line(vec![(x, area.bottom), (x, area.bottom + 4.0)], axis);
        }
        if name.is_empty() {
            return;
        }
        for (middle, label) in labels_that_fit(panel, cell) {
            let at = (middle, area.bottom + TICK * 1.4);
            self.write(at, label, TICK, self.theme.faint, Anchor::Middle);
        }
        let middle = f64::midpoint(area.left, area.right);
        let name = font::shorten(name, TICK, area.width());
        let at = (middle, area.bottom + TICK * 2.65);
        self.write(at, name, TICK, self.theme.faint, Anchor::Middle);
    }
}

/// The labels of every tick of the horizontal axis, or of every second, or third, so that they
/// keep apart; the last tick has one. At the ends they stay within the cell.
fn labels_that_fit(panel: &Panel, cell: Rect) -> Vec<(f64, &str)> {
    let place = |tick: &'_ Tick| {
        let half = font::width(&tick.label, TICK) / 2.0;
        let middle = panel
            .x(tick.value)
            .min(cell.right - half)
            .max(cell.left + half);
        (middle, half)
    };
    let places: Vec<(f64, f64)> = panel.x.ticks.iter().map(place).collect();
    let apart = |stride: &usize| {
        let labelled: Vec<_> = places.iter().rev().step_by(*stride).collect();
        labelled
            .windows(2)
            .all(|pair| pair[1].0 + pair[1].1 + 10.0 <= pair[0].0 - pair[0].1)
    };
    let stride = (1..places.len()).find(apart).unwrap_or(places.len().max(1));
    let ticks = panel.x.ticks.iter().map(|tick| tick.label.as_str());
    let labelled = places.iter().map(|(middle, _)| *middle).zip(ticks);
    labelled.rev().step_by(stride).collect()
}

impl Panel {
    /// Where a value is on the horizontal axis.
    pub(super) fn x(&self, value: f64) -> f64 {
        self.area.left + self.x.place(value) * self.area.width()
    }

    /// Where a value is on the vertical axis.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.area.bottom - self.y.place(value) * self.area.height()
    }

    /// Draws a value for each stretch between edges in pixels, nothing where it is unknown.
    pub(super) fn steps(
        &self,
        scene: &mut Scene,
        edges: &[f64],
        values: &[Option<f64>],
        stroke: Stroke,
    ) {
        let mut points: Vec<Point> = Vec::new();
        for (pair, value) in edges.windows(2).zip(values) {
            let Some(value) = value else {
                scene.line(std::mem::take(&mut points), stroke);
                continue;
            };
            let y = self.y(*value);
            let [from, to] = [pair[0], pair[1]];
            match points.as_slice() {
                // What goes on as before only gets longer.
                [.., (_, before), (_, last)] if same(*before, y) && same(*last, y) => {
                    points.pop();
                }
                _ => points.push((from, y)),
            }
            points.push((to, y));
        }
        scene.line(points, stroke);
    }

    /// Fills what lies between two values in each stretch between edges in pixels; nothing
    /// where one is unknown or the first is not below the second.
    pub(super) fn between(
        &self,
        scene: &mut Scene,
        edges: &[f64],
        bounds: impl IntoIterator<Item = Option<(f64, f64)>>,
        paint: Paint,
    ) {
        let mut rects: Vec<Rect> = Vec::new();
        for (pair, bounds) in edges.windows(2).zip(bounds) {
            let Some((low, high)) = bounds.filter(|(low, high)| low < high) else {
                continue;
            };
            let rect = Rect {
                left: pair[0],
                right: pair[1],
                top: self.y(high),
                bottom: self.y(low),
            };
            match rects.last_mut() {
                Some(before)
                    if same(before.right, rect.left)
                        && same(before.top, rect.top)
                        && same(before.bottom, rect.bottom) =>
                {
                    before.right = rect.right;
                }
                _ => rects.push(rect),
            }
        }
        scene.rects(rects, paint);
    }
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}
