//! What a picture shows: a list of marks, the ones behind first. Plain data, so that a test can
//! look for text that overlaps or is cut off.

use super::theme::{Paint, Rgb};

/// A picture before it is drawn. All measures are in pixels from the upper left corner, before it
/// is made smaller.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    pub width: u32,
    pub height: u32,
    /// Width and height in pixels when it is shown: as large, or smaller.
    pub shown: (u32, u32),
    /// What it is behind everything.
    pub background: Rgb,
    /// What it shows, in words: for readers who cannot see it.
    pub title: String,
    /// What is drawn, in order.
    pub marks: Vec<Mark>,
}

/// A point: x to the right, y down.
pub type Point = (f64, f64);

/// An area between `left` and `right`, `top` and `bottom`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the sides of a rectangle say what they are")]
pub struct Rect {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// Something that is drawn.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Mark {
    /// Areas of one colour that do not overlap.
    Rects { rects: Vec<Rect>, paint: Paint },
    /// A line through points.
    Line { points: Vec<Point>, stroke: Stroke },
    Disc {
        center: Point,
        radius: f64,
        paint: Paint,
    },
    /// A line of text.
    Text(Text),
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    pub paint: Paint,
    pub width: f64,
    /// Lengths of what is drawn and what is left out, in turns; nothing for a line without gaps.
    pub dash: &'static [f64],
    /// Where in the first dash a line begins.
    pub phase: f64,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Where it is anchored on its baseline.
    pub at: Point,
    pub text: String,
    /// The size of its font (an em).
    pub size: f64,
    pub paint: Paint,
    /// Which part of it is at its anchor.
    pub anchor: Anchor,
}

/// Which part of a text is at its anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants say what they are")]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Rect {
    /// The area from one corner, `width` and `height` large.
    pub fn new(left: f64, top: f64, width: f64, height: f64) -> Rect {
        Rect {
            left,
            top,
            right: left + width,
            bottom: top + height,
        }
    }

    pub fn width(self) -> f64 {
        self.right - self.left
    }

    pub fn height(self) -> f64 {
        self.bottom - self.top
    }

    /// Its left and its right half, with a gap between them.
    pub fn halves(self) -> [Rect; 2] {
        let width = (self.width() - 26.0) / 2.0;
        let lefts = [self.left, self.right - width];
        lefts.map(|left| Rect::new(left, self.top, width, self.height()))
    }

    /// The area within it that leaves so much at each side.
    #[must_use]
    pub fn inset(self, left: f64, top: f64, right: f64, bottom: f64) -> Rect {
        Rect {
            left: self.left + left,
            top: self.top + top,
            right: self.right - right,
            bottom: self.bottom - bottom,
        }
    }
}

impl Scene {
    pub fn new(width: u32, height: u32, background: Rgb) -> Scene {
        Scene {
            width,
            height,
            shown: (width, height),
            background,
            title: String::new(),
            marks: Vec::new(),
        }
    }

    pub fn rect(&mut self, rect: Rect, paint: Paint) {
        self.rects(vec![rect], paint);
    }

    /// Adds areas of one colour that do not overlap.
    pub fn rects(&mut self, rects: Vec<Rect>, paint: Paint) {
        if !rects.is_empty() {
            self.marks.push(Mark::Rects { rects, paint });
        }
    }

    /// Adds a line; less than two points are none.
    pub fn line(&mut self, points: Vec<Point>, stroke: Stroke) {
        if points.len() > 1 {
            self.marks.push(Mark::Line { points, stroke });
        }
    }

    /// Adds a filled circle.
    pub fn disc(&mut self, center: Point, radius: f64, paint: Paint) {
        self.marks.push(Mark::Disc {
            center,
            radius,
            paint,
        });
    }

    /// Adds a line of text; an empty one is none.
    pub fn text(&mut self, text: Text) {
        if !text.text.is_empty() {
            self.marks.push(Mark::Text(text));
        }
    }
}
