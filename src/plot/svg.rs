//! An SVG of few bytes, as a backend of the drawing library.
//!
//! The library's own writes an element for every rectangle and every dash, and whole pixels
//! only; a map of addresses has tens of thousands of rectangles. Here neighbours in the drawing
//! order that look alike are one path of relative moves, so that a rectangle takes some ten
//! bytes, and a pixel is [`FINER`] units of the view box.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend,
    DrawingErrorKind, text_anchor::HPos,
};

use super::font;

/// Units of the view box a pixel.
pub(super) const FINER: u32 = 4;

/// An SVG in the making.
pub(super) struct Svg<'a> {
    out: &'a mut String,
    size: (u32, u32),
    look: Option<Look>,
    /// The data of a path that looks like that, and where its last point is.
    path: String,
    at: BackendCoord,
}

/// What shapes of one path have in common.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    rgb: (u8, u8, u8),
    alpha: f64,
    /// The width of lines; none for what is filled.
    stroke: Option<u32>,
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl<'a> Svg<'a> {
    /// An empty picture, `size` view-box units large, which is shown in so many pixels.
    pub(super) fn new(
        out: &'a mut String,
        size: (u32, u32),
        shown: (u32, u32),
        title: &str,
    ) -> Svg<'a> {
        let (width, height) = size;
        put(
            out,
            format_args!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
                 viewBox=\"0 0 {width} {height}\" font-family=\"{}\" role=\"img\">\n\
                 <title>{}</title>\n",
                shown.0,
                shown.1,
                font::FAMILY,
                escaped(title)
            ),
        );
        Svg {
            out,
            size,
            look: None,
            path: String::new(),
            at: (0, 0),
        }
    }

    /// Makes shapes of that look go into the path.
    fn take(&mut self, look: Look) {
        if self.look != Some(look) {
            self.flush();
            self.look = Some(look);
        }
    }

    fn flush(&mut self) {
        let Some(look) = self.look.take() else {
            return;
        };
        let path = std::mem::take(&mut self.path);
        let colour = colour(look.rgb);
        let (paint, opacity) = match look.stroke {
            None => (format!("fill=\"{colour}\""), "fill-opacity"),
            Some(width) => (
                format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\""),
                "stroke-opacity",
            ),
        };
        let opacity = if look.alpha < 1.0 {
            format!(" {opacity}=\"{:.2}\"", look.alpha)
        } else {
            String::new()
        };
        put(
            self.out,
            format_args!("<path {paint}{opacity} d=\"{path}\"/>\n"),
        );
    }

    fn move_to(&mut self, to: BackendCoord) {
        // A line of the file has not to be longer than an editor likes.
        let separator = if self.path.is_empty() { "" } else { "\n" };
        put(
            &mut self.path,
            format_args!("{separator}M{} {}", to.0, to.1),
        );
        self.at = to;
    }

    fn line_to(&mut self, to: BackendCoord) {
        let (dx, dy) = (to.0 - self.at.0, to.1 - self.at.1);
        match (dx, dy) {
            (0, 0) => {}
            (_, 0) => put(&mut self.path, format_args!("h{dx}")),
            (0, _) => put(&mut self.path, format_args!("v{dy}")),
            (_, ..0) => put(&mut self.path, format_args!("l{dx}{dy}")),
            _ => put(&mut self.path, format_args!("l{dx} {dy}")),
        }
        self.at = to;
    }
}

impl DrawingBackend for Svg<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        self.flush();
        self.out.push_str("</svg>\n");
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect(point, (point.0 + 1, point.1 + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        self.take(look(style, fill));
        let (width, height) = (bottom_right.0 - upper_left.0, bottom_right.1 - upper_left.1);
        self.move_to(upper_left);
        put(
            &mut self.path,
            format_args!("h{width}v{height}h{}z", -width),
        );
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.take(look(style, false));
        let mut points = path.into_iter();
        if let Some(first) = points.next() {
            self.move_to(first);
            points.for_each(|point| self.line_to(point));
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        self.take(look(style, fill));
        let across = i64::from(radius) * 2;
        self.move_to((center.0.saturating_sub_unsigned(radius), center.1));
        let half = format!("a{radius} {radius} 0 1 1 ");
        put(
            &mut self.path,
            format_args!("{half}{across} 0{half}{} 0z", -across),
        );
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vert: I,
        style: &S,
    ) -> Drawn {
        // Shapes that overlap must not cancel each other out.
        self.flush();
        self.take(look(style, true));
        let mut points = vert.into_iter();
        if let Some(first) = points.next() {
            self.move_to(first);
            points.for_each(|point| self.line_to(point));
            self.path.push('z');
        }
        self.flush();
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        pos: BackendCoord,
    ) -> Drawn {
        self.flush();
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => " text-anchor=\"middle\"",
            HPos::Right => " text-anchor=\"end\"",
        };
        let size = style.size() / font::HEIGHT;
        put(
            self.out,
            format_args!(
                "<text x=\"{}\" y=\"{}\"{anchor} font-size=\"{size:.0}\" fill=\"{}\">{}</text>\n",
                pos.0,
                pos.1,
                colour(style.color().rgb),
                escaped(text)
            ),
        );
        Ok(())
    }
}

fn look<S: BackendStyle>(style: &S, fill: bool) -> Look {
    let color = style.color();
    Look {
        rgb: color.rgb,
        alpha: color.alpha,
        stroke: (!fill).then(|| style.stroke_width()),
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    written.expect("a string takes all text");
}

fn colour((red, green, blue): (u8, u8, u8)) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            _ if character.is_control() => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    escaped
}
