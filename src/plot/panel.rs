//! A panel: data between two axes.

use super::axis::{Axis, TICK, Tick};
use super::font;
use super::page::{LABEL, Page};
use super::scene::{Anchor, Paint, Point, Rect, Scene, Stroke};

/// The surroundings of a panel's data.
pub(super) struct Frame {
    /// A title above; none if empty.
    pub(super) title: String,
    /// A remark beneath the title.
    pub(super) note: String,
    /// The line of its allocator, if it is about one.
    pub(super) of: Option<Stroke>,
    /// Pixels that are left free between the title and the data.
    pub(super) above: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Pixels for the labels of the vertical axis.
    pub(super) y_labels: f64,
}

impl Frame {
    pub(super) fn new(title: &str, x: Axis, y: Axis) -> Frame {
        Frame {
            title: title.to_owned(),
            note: String::new(),
            of: None,
            above: 0.0,
            x,
            y_labels: y.label_width(),
            y,
        }
    }

    /// Rows below each other over one axis, with `y_labels` pixels for their names.
    pub(super) fn rows(x: Axis, y_labels: f64) -> Frame {
        Frame {
            y_labels,
            ..Frame::new("", x, Axis::linear(0.0, 1.0, Vec::new()))
        }
    }
}

/// A panel whose axes are drawn.
pub(super) struct Panel {
    /// The part for the data.
    pub(super) area: Rect,
    x: Axis,
    y: Axis,
}

impl Page {
    /// Draws the axes of a panel into a cell of the page.
    pub(super) fn panel(&mut self, cell: Rect, frame: Frame) -> Panel {
        let height = |text: &str, size: f64| if text.is_empty() { 0.0 } else { size * 1.3 };
        let titled = height(&frame.title, LABEL) + height(&frame.note, TICK);
        let titled = titled + TICK * 0.65 + frame.above;
        let labelled = if frame.x.name.is_empty() {
            6.0
        } else {
            TICK * 3.0
        };
        // The last label is centred on its tick too.
        let beyond = frame.x.last_label_width() / 2.0;
        let area = cell.inset(frame.y_labels + 8.0, titled, beyond.max(2.0), labelled);
        let mut left = cell.left;
        if let Some(stroke) = frame.of {
            left += self.line_of(stroke, (left, cell.top + LABEL * 0.64)) + 8.0;
        }
        let title = font::shorten(&frame.title, LABEL, cell.right - left);
        let at = (left, cell.top + LABEL);
        self.write(at, title, LABEL, self.palette.ink, Anchor::Start);
        let note = font::shorten(&frame.note, TICK, cell.width());
        let below = (cell.left, cell.top + LABEL + TICK * 1.25);
        self.write(below, note, TICK, self.palette.faint, Anchor::Start);
        let panel = Panel {
            area,
            x: frame.x,
            y: frame.y,
        };
        self.y_axis(&panel);
        self.x_axis(&panel, cell);
        panel
    }

    fn y_axis(&mut self, panel: &Panel) {
        let area = panel.area;
        let grid = self.palette.line(self.palette.grid, 1.0);
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
                self.palette.faint,
                Anchor::End,
            );
        }
    }

    fn x_axis(&mut self, panel: &Panel, cell: Rect) {
        let area = panel.area;
        let axis = self.palette.line(self.palette.faint, 1.0);
        let bottom = vec![(area.left, area.bottom), (area.right, area.bottom)];
        self.scene.line(bottom, axis);
        for tick in &panel.x.ticks {
            let x = panel.x(tick.value);
            self.scene
                .line(vec![(x, area.bottom), (x, area.bottom + 4.0)], axis);
        }
        if panel.x.name.is_empty() {
            return;
        }
        for (middle, label) in labels_that_fit(panel, cell) {
            let at = (middle, area.bottom + TICK * 1.4);
            self.write(at, label, TICK, self.palette.faint, Anchor::Middle);
        }
        let middle = f64::midpoint(area.left, area.right);
        let name = panel.x.name.as_str();
        let first = name.split(',').next().unwrap_or(name);
        let fits = font::width(name, TICK) <= area.width();
        let name = font::shorten(if fits { name } else { first }, TICK, area.width());
        let at = (middle, area.bottom + TICK * 2.65);
        self.write(at, name, TICK, self.palette.faint, Anchor::Middle);
    }
}

/// The labels of the horizontal axis, each with its middle: of every tick, or of every second or
/// third if they would overlap. The last tick has one. At the ends they stay within the cell.
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
    /// The x coordinate of a value.
    pub(super) fn x(&self, value: f64) -> f64 {
        self.area.left + self.x.place(value) * self.area.width()
    }

    /// The y coordinate of a value.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.area.bottom - self.y.place(value) * self.area.height()
    }

    /// Draws a line of steps, a value between any two edges in pixels, with a gap where a value is
    /// unknown.
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
                // A value that stays only makes the line longer.
                [.., (_, before), (_, last)] if same(*before, y) && same(*last, y) => {
                    points.pop();
                }
                _ => points.push((from, y)),
            }
            points.push((to, y));
        }
        scene.line(points, stroke);
    }

    /// Fills between two values from each edge in pixels to the next; nothing where they are
    /// unknown or the first is not below the second.
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
