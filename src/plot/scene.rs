//! A picture before it is drawn: a list of marks, the ones behind first. Plain data, so that a test
//! can options for text that overlaps or is cut off.

/// A picture before it is drawn. All lengths are pixels from the upper left corner, at full size.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    pub width: u32,
    pub height: u32,
    /// Width and height in pixels when it is shown: full size, or smaller.
    pub shown: (u32, u32),
    pub background: Rgb,
    /// A title for readers who cannot see the picture.
    pub title: String,
    pub marks: Vec<Mark>,
}

/// A point: x to the right, y down.
pub type Point = (f64, f64);

/// An area between `left` and `right`, `top` and `bottom`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// A colour, and its opacity from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paint {
    pub rgb: Rgb,
    pub alpha: f64,
}

impl From<Rgb> for Paint {
    fn from(rgb: Rgb) -> Paint {
        rgb.with_alpha(1.0)
    }
}

impl Rgb {
    /// The colour with an opacity from 0 to 1.
    pub fn with_alpha(self, alpha: f64) -> Paint {
        Paint { rgb: self, alpha }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// Areas of one colour that do not overlap.
    Rects { rects: Vec<Rect>, paint: Paint },
    /// Lines through points, drawn alike.
    Lines {
        lines: Vec<Vec<Point>>,
        stroke: Stroke,
    },
    /// A filled circle.
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
    /// Lengths of dashes and gaps, in turns; empty for a solid line.
    pub dash: &'static [f64],
    /// How far into its dashes a line begins.
    pub phase: f64,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The anchor, on the baseline.
    pub at: Point,
    pub text: String,
    /// The em of its font.
    pub size: f64,
    pub rgb: Rgb,
    pub anchor: Anchor,
}

/// The part of a text that is at its anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// The area within it, with margins of that width.
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

    /// Adds a line, unless it has less than two points. One that is drawn as the mark before goes
    /// with it.
    pub fn line(&mut self, points: Vec<Point>, stroke: Stroke) {
        if points.len() < 2 {
            return;
        }
        match self.marks.last_mut() {
            Some(Mark::Lines {
                lines,
                stroke: same,
            }) if *same == stroke => lines.push(points),
            _ => self.marks.push(Mark::Lines {
                lines: vec![points],
                stroke,
            }),
        }
    }

    pub fn disc(&mut self, center: Point, radius: f64, paint: Paint) {
        self.marks.push(Mark::Disc {
            center,
            radius,
            paint,
        });
    }

    /// Adds a line of text, unless it is empty.
    pub fn text(&mut self, text: Text) {
        if !text.text.is_empty() {
            self.marks.push(Mark::Text(text));
        }
    }
}
