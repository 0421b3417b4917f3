//! A page with a title, lines about what it shows, and a legend. The rest is for panels.

use super::axis::TICK;
use super::font;
#[cfg(test)]
use super::scene::Mark;
use super::scene::{Anchor, Paint, Point, Rect, Rgb, Scene, Stroke, Text};
use super::theme::{Palette, Theme};

/// The options of any chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChartOptions {
    /// Width and height in pixels, if not the chart's own.
    pub size: Option<(u32, u32)>,
    pub theme: Theme,
    /// The title, if not the chart's own.
    pub title: Option<String>,
}

/// The width of a page, unless the options have one.
const WIDTH: u32 = 1200;
/// The margin at the sides.
const MARGIN: f64 = 24.0;
const TITLE: f64 = 25.0;
/// The size of legends and of titles of panels.
pub(super) const LABEL: f64 = 16.0;

/// A page that is being drawn.
pub(super) struct Page {
    pub(super) scene: Scene,
    pub(super) palette: Palette,
    /// The top of the free part.
    top: f64,
}

/// An entry of a legend.
pub(super) struct Key {
    pub(super) sample: Sample,
    pub(super) label: String,
}

/// The looks of something in a chart.
#[derive(Clone, Copy)]
pub(super) enum Sample {
    Line(Stroke),
    Area(Paint),
    Cross(Paint),
    Dot(Paint),
    /// The background, within a frame.
    Blank(Stroke),
}

/// The width of a sample of a legend.
pub(super) const SAMPLE: f64 = 34.0;

impl Page {
    /// A page with a title and lines about it, `height` high unless the options have a size. A
    /// smaller page shows the same, all of it smaller.
    pub(super) fn new(
        options: &ChartOptions,
        height: f64,
        title: &str,
        about: &[String],
    ) -> Page {
        let suits = (WIDTH, pixels(height));
        let shown = options.size.unwrap_or(suits);
        let needed = [(suits.0, shown.0), (suits.1, shown.1)]
            .map(|(suits, shown)| f64::from(suits) / f64::from(shown));
        let larger = needed.into_iter().fold(1.0, f64::max);
        let [width, height] = [shown.0, shown.1].map(|it| pixels(f64::from(it) * larger));
        let palette = Palette::of(options.theme);
        let mut scene = Scene::new(width, height, palette.background);
        scene.shown = shown;
        let mut page = Page {
            scene,
            palette,
            top: MARGIN - 6.0,
        };
        let title = options.title.as_deref().unwrap_or(title);
        title.clone_into(&mut page.scene.title);
        page.paragraph(title, TITLE, palette.ink);
        for line in about {
            page.paragraph(line, TICK, palette.faint);
        }
        page.top += 8.0;
        page
    }

    /// A page that explains why there is nothing to see.
    pub(super) fn blank(
        options: &ChartOptions,
        title: &str,
        about: &[String],
        why: &str,
    ) -> Scene {
        let mut page = Page::new(options, 260.0, title, about);
        page.remark(page.body(), why);
        page.scene
    }

    /// Explains in the middle of a cell why there is nothing to see.
    pub(super) fn remark(&mut self, cell: Rect, why: &str) {
        let [x, y] = [(cell.left, cell.right), (cell.top, cell.bottom)]
            .map(|(low, high)| f64::midpoint(low, high));
        for (index, line) in font::wrap(why, LABEL, cell.width()).into_iter().enumerate() {
            let at = (x, y + small(index) * LABEL * 1.4);
            self.write(at, line, LABEL, self.palette.faint, Anchor::Middle);
        }
    }

    fn paragraph(&mut self, text: &str, size: f64, rgb: Rgb) {
        for line in font::wrap(text, size, self.width()) {
            self.top += size * 1.32;
            self.write(
                (MARGIN, self.top - size * 0.32),
                line,
                size,
                rgb,
                Anchor::Start,
            );
        }
    }

    /// Writes a line of text, anchored on its baseline.
    pub(super) fn write(
        &mut self,
        at: Point,
        text: impl Into<String>,
        size: f64,
        rgb: Rgb,
        anchor: Anchor,
    ) {
        self.scene.text(Text {
            at,
            text: text.into(),
            size,
            rgb,
            anchor,
        });
    }

    /// The width between the margins.
    pub(super) fn width(&self) -> f64 {
        f64::from(self.scene.width) - 2.0 * MARGIN
    }

    /// Adds a legend, a long one in columns.
    pub(super) fn legend(&mut self, keys: &[Key]) {
        const IN_A_LINE: usize = 6;
        let widths = keys.iter().map(|key| font::width(&key.label, LABEL));
        let widest = widths.fold(0.0, f64::max) + SAMPLE + 34.0;
        let columns = (self.width() / widest).floor().max(1.0);
        let column = if keys.len() > IN_A_LINE {
            self.width() / columns
        } else {
            0.0
        };
        let mut x: f64 = 0.0;
        for (index, key) in keys.iter().enumerate() {
            let room = self.width() - SAMPLE - 8.0;
            let label = font::shorten(&key.label, LABEL, room);
            let width = SAMPLE + 8.0 + font::width(&label, LABEL);
            if index > 0 && x + width > self.width() + 0.5 {
                x = 0.0;
                self.top += LABEL * 1.5;
            }
            let middle = self.top + LABEL * 0.75;
            self.sample(key.sample, (MARGIN + x, middle));
            let at = (
                MARGIN + x + SAMPLE + 8.0,
                middle + LABEL * font::CAPITAL_MIDDLE,
            );
            self.write(at, label, LABEL, self.palette.ink, Anchor::Start);
            x += (width + 26.0).max(column);
        }
        if !keys.is_empty() {
            self.top += LABEL * 1.5 + 8.0;
        }
    }

    /// Draws a sample of a line to the right of a point, and returns its length.
    pub(super) fn line_of(&mut self, stroke: Stroke, (x, y): Point) -> f64 {
        self.scene.line(vec![(x, y), (x + SAMPLE, y)], stroke);
        SAMPLE
    }

    fn sample(&mut self, sample: Sample, (x, y): Point) {
        match sample {
            Sample::Line(stroke) => {
                self.line_of(stroke, (x, y));
            }
            Sample::Area(paint) => {
                let area = Rect::new(x + SAMPLE - 22.0, y - 7.0, 22.0, 14.0);
                self.scene.rect(area, paint);
            }
            Sample::Blank(stroke) => {
                let (left, right) = (x + SAMPLE - 21.5, x + SAMPLE - 0.5);
                let (top, bottom) = (y - 6.5, y + 6.5);
                let frame = [(left, top), (right, top), (right, bottom), (left, bottom)];
                let closed = frame.into_iter().chain([(left, top)]).collect();
                self.scene.line(closed, stroke);
            }
            Sample::Cross(paint) => cross(&mut self.scene, (x + SAMPLE - 11.0, y), paint),
            Sample::Dot(paint) => self.scene.disc((x + SAMPLE - 11.0, y), DOT, paint),
        }
    }

    /// The free part.
    pub(super) fn body(&self) -> Rect {
        Rect {
            left: MARGIN,
            top: self.top,
            right: f64::from(self.scene.width) - MARGIN,
            bottom: f64::from(self.scene.height) - 14.0,
        }
    }

    /// Divides the free part right of `left` pixels into `count` cells, row by row in `columns`
    /// columns.
    pub(super) fn grid(&self, left: f64, count: usize, columns: usize) -> Vec<Rect> {
        const GAP: f64 = 26.0;
        let body = self.body().inset(left, 0.0, 0.0, 0.0);
        let columns = columns.clamp(1, count.max(1));
        let rows = count.div_ceil(columns).max(1);
        let (across, down) = (small(columns), small(rows));
        let width = (body.width() - GAP * (across - 1.0)) / across;
        let height = (body.height() - GAP / 2.0 * (down - 1.0)) / down;
        (0..count)
            .map(|index| {
                let (row, column) = (small(index / columns), small(index % columns));
                Rect::new(
                    body.left + column * (width + GAP),
                    body.top + row * (height + GAP / 2.0),
                    width,
                    height,
                )
            })
            .collect()
    }
}

/// The radius of a dot.
pub(super) const DOT: f64 = 3.5;

pub(super) fn cross(scene: &mut Scene, (x, y): Point, paint: Paint) {
    const ARM: f64 = 4.5;
    let stroke = Stroke {
        paint,
        width: 2.0,
        dash: &[],
        phase: 0.0,
    };
    scene.line(vec![(x - ARM, y - ARM), (x + ARM, y + ARM)], stroke);
    scene.line(vec![(x - ARM, y + ARM), (x + ARM, y - ARM)], stroke);
}

/// A number of things on a page.
pub(super) fn small(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a height that a chart asks for is positive and small"
)]
fn pixels(length: f64) -> u32 {
    length.round() as u32
}

/// Every text of a scene, with the area that it covers.
#[cfg(test)]
pub(super) fn texts(scene: &Scene) -> Vec<(Rect, &str)> {
    let texts = scene.marks.iter().filter_map(|mark| match mark {
        Mark::Text(text) => Some(text),
        _ => None,
    });
    let covered = texts.map(|text| {
        let width = font::width(&text.text, text.size);
        let left = match text.anchor {
            Anchor::Start => text.at.0,
            Anchor::Middle => text.at.0 - width / 2.0,
            Anchor::End => text.at.0 - width,
        };
        let top = text.at.1 - text.size * 0.76;
        (Rect::new(left, top, width, text.size), text.text.as_str())
    });
    covered.collect()
}

/// The faults of a scene: text that is cut off or overlaps other text.
#[cfg(test)]
pub(super) fn faults(scene: &Scene) -> Vec<String> {
    let texts = texts(scene);
    let mut faults = Vec::new();
    for (index, (area, text)) in texts.iter().enumerate() {
        let (width, height) = (f64::from(scene.width), f64::from(scene.height));
        if area.left < 0.0 || area.top < 0.0 || area.right > width || area.bottom > height {
            faults.push(format!("`{text}` is cut off: {area:?}"));
        }
        for (other_area, other) in &texts[index + 1..] {
            let apart = area.right <= other_area.left
                || other_area.right <= area.left
                || area.bottom <= other_area.top
                || other_area.bottom <= area.top;
            if !apart {
                faults.push(format!("`{text}` and `{other}` overlap"));
            }
        }
    }
    faults
}
