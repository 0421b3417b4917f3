//! Scenes as SVG and PNG, drawn by one routine on two backends of the drawing library.
//!
//! A PNG is drawn several times as large and averaged, which makes its edges smooth.

use plotters::backend::BitMapBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle, TextStyle};
use plotters_backend::{DrawingBackend, DrawingErrorKind};

use super::font;
use super::scene::{Anchor, Mark, Point, Rect, Scene, Stroke, Text};
use super::svg::{self, Svg};
use super::theme::{Paint, Rgb};

/// The picture as an SVG. The same scene gives the same bytes.
pub fn svg(scene: &Scene) -> String {
    let mut out = String::new();
    let size = (scene.width * svg::FINER, scene.height * svg::FINER);
    let backend = Svg::new(&mut out, size, scene.shown, &scene.title);
    let pen = Pen {
        backend,
        scale: svg::FINER.into(),
        pixels: false,
    };
    match pen.draw(scene) {
        Ok(()) => out,
        Err(error) => unreachable!("a string takes all text: {error}"),
    }
}

/// Pixels of the largest picture that is drawn four times as large.
const SMOOTHEST: u64 = 1 << 21;

/// The picture as a PNG. The same scene gives the same bytes.
///
/// # Panics
///
/// If the picture has no pixels.
pub fn png(scene: &Scene) -> Vec<u8> {
    let shown = scene.shown;
    let pixels = u64::from(shown.0) * u64::from(shown.1);
    let finer = if pixels <= SMOOTHEST { 4 } else { 2 };
    let (width, height) = (shown.0 * finer, shown.1 * finer);
    let Rgb(red, green, blue) = scene.background;
    let mut large = [red, green, blue].repeat(width as usize * height as usize);
    let pen = Pen {
        backend: BitMapBackend::with_buffer(&mut large, (width, height)),
        scale: f64::from(width) / f64::from(scene.width),
        pixels: true,
    };
    if let Err(error) = pen.draw(scene) {
        unreachable!("memory takes all pixels: {error}");
    }
    encode(scene, &averaged(&large, shown.0 as usize, finer as usize))
}

/// Means of squares of `scale` × `scale` pixels.
fn averaged(large: &[u8], width: usize, scale: usize) -> Vec<u8> {
    let rows = large.chunks_exact(width * scale * 3 * scale);
    let mut small = Vec::with_capacity(large.len() / (scale * scale));
    for rows in rows {
        let mut sums = vec![0_u32; width * 3];
        for row in rows.chunks_exact(width * scale * 3) {
            for (index, pixel) in row.chunks_exact(3).enumerate() {
                let sum = &mut sums[index / scale * 3..][..3];
                sum.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, &byte)| *sum += u32::from(byte));
            }
        }
        let squares = u32::try_from(scale * scale).unwrap_or(u32::MAX);
        let mean = |sum: &u32| u8::try_from((sum + squares / 2) / squares).unwrap_or(u8::MAX);
        small.extend(sums.iter().map(mean));
    }
    small
}

fn encode(scene: &Scene, pixels: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, scene.shown.0, scene.shown.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let written = encoder
        .add_text_chunk("Title".to_owned(), scene.title.clone())
        .and_then(|()| encoder.write_header())
        .and_then(|mut writer| writer.write_image_data(pixels));
    written.expect("a picture with pixels can be encoded into memory");
    out
}

/// Draws on a backend that is `scale` times as large as the scene.
struct Pen<B> {
    backend: B,
    scale: f64,
    /// Whether the backend is a raster, which draws lines and text in its own way.
    pixels: bool,
}

type Drawn<B> = Result<(), DrawingErrorKind<<B as DrawingBackend>::ErrorType>>;

impl<B: DrawingBackend> Pen<B> {
    fn draw(mut self, scene: &Scene) -> Drawn<B> {
        self.backend.ensure_prepared()?;
        let all = Rect::new(0.0, 0.0, scene.width.into(), scene.height.into());
        self.rect(all, scene.background.into())?;
        for mark in &scene.marks {
            match mark {
                Mark::Rects { rects, paint } => {
                    rects.iter().try_for_each(|&rect| self.rect(rect, *paint))?;
                }
                Mark::Line { points, stroke } => self.line(points, *stroke)?,
                Mark::Disc {
                    center,
                    radius,
                    paint,
                } => {
                    let radius = self.length(*radius);
                    let center = self.point(*center);
                    self.backend
                        .draw_circle(center, radius, &filled(*paint), true)?;
                }
                Mark::Text(text) => self.text(text)?,
            }
        }
        self.backend.present()
    }

    fn rect(&mut self, rect: Rect, paint: Paint) -> Drawn<B> {
        let upper_left = self.point((rect.left, rect.top));
        let (right, bottom) = self.point((rect.right, rect.bottom));
        if right > upper_left.0 && bottom > upper_left.1 {
            let lower_right = (right, bottom);
            let style = filled(paint);
            self.backend
                .draw_rect(upper_left, lower_right, &style, true)?;
        }
        Ok(())
    }

    fn line(&mut self, points: &[Point], stroke: Stroke) -> Drawn<B> {
        let style = filled(stroke.paint).stroke_width(self.length(stroke.width));
        for piece in dashed(points, stroke.dash, stroke.phase) {
            let piece: Vec<_> = piece.into_iter().map(|point| self.point(point)).collect();
            self.path(&piece, &style)?;
        }
        Ok(())
    }

    /// The library's thick lines have holes where they cross themselves, so that on a raster each
    /// straight piece is drawn alone, a little longer where it meets another to close the corner.
    fn path(&mut self, points: &[(i32, i32)], style: &ShapeStyle) -> Drawn<B> {
        if !self.pixels {
            return self.backend.draw_path(points.iter().copied(), style);
        }
        let below = i32::try_from(style.stroke_width / 2).unwrap_or(0);
        let above = i32::try_from(style.stroke_width).unwrap_or(0) - below;
        for (index, pair) in points.windows(2).enumerate() {
            let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
            let meets = [index > 0, index + 2 < points.len()];
            let [longer0, longer1] = meets.map(|meets| if meets { below } else { 0 });
            // From the lower to the higher end of a side, where it is as long as the line.
            let long = |from: i32, to: i32| {
                if from <= to {
                    (from - longer0, to + longer1)
                } else {
                    (to - longer1, from + longer0)
                }
            };
            if x0 == x1 || y0 == y1 {
                let thick = |at: i32| (at - below, at + above);
                let (left, right) = if y0 == y1 { long(x0, x1) } else { thick(x0) };
                let (top, bottom) = if y0 == y1 { thick(y0) } else { long(y0, y1) };
                let (upper_left, lower_right) = ((left, top), (right, bottom));
                self.backend
                    .draw_rect(upper_left, lower_right, &style.filled(), true)?;
            } else {
                self.backend.draw_path([(x0, y0), (x1, y1)], style)?;
            }
        }
        Ok(())
    }

    /// On a raster, a text is put half a font height above its baseline.
    fn text(&mut self, text: &Text) -> Drawn<B> {
        let h_pos = match text.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let Rgb(red, green, blue) = text.paint.rgb;
        let color = RGBColor(red, green, blue).mix(text.paint.alpha);
        let font = font::at(text.size * self.scale);
        let style = TextStyle::from(font).pos(Pos::new(h_pos, VPos::Top));
        let (x, y) = text.at;
        let above = if self.pixels { font::HEIGHT / 2.0 } else { 0.0 };
        let at = self.point((x, y - text.size * above));
        self.backend.draw_text(&text.text, &style.color(&color), at)
    }

    fn point(&self, (x, y): Point) -> (i32, i32) {
        (whole(x * self.scale), whole(y * self.scale))
    }

    fn length(&self, length: f64) -> u32 {
        let pixels = whole(length * self.scale);
        u32::try_from(pixels).unwrap_or(0).max(1)
    }
}

/// The nearest whole number; pictures are far smaller than what fits.
#[expect(clippy::cast_possible_truncation, reason = "the value is rounded")]
fn whole(value: f64) -> i32 {
    value.round() as i32
}

fn filled(paint: Paint) -> ShapeStyle {
    let Rgb(red, green, blue) = paint.rgb;
    RGBColor(red, green, blue).mix(paint.alpha).filled()
}

/// The pieces of a line that are drawn, given the lengths that are and are not in turns, and the
/// length that is over when the line begins.
fn dashed(points: &[Point], dash: &[f64], phase: f64) -> Vec<Vec<Point>> {
    if dash.is_empty() {
        return vec![points.to_vec()];
    }
    let mut lengths = dash.iter().copied().cycle();
    let mut left = lengths.next().unwrap_or(f64::INFINITY);
    let mut drawn = true;
    let mut over = phase;
    while over >= left {
        over -= left;
        left = lengths.next().unwrap_or(f64::INFINITY);
        drawn = !drawn;
    }
    left -= over;
    let mut pieces = if drawn {
        vec![vec![points[0]]]
    } else {
        Vec::new()
    };
    for pair in points.windows(2) {
        let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let part = done / length;
            let at = (x0 + (x1 - x0) * part, y0 + (y1 - y0) * part);
            if drawn {
                pieces
                    .last_mut()
                    .into_iter()
                    .for_each(|piece| piece.push(at));
            } else {
                pieces.push(vec![at]);
            }
            drawn = !drawn;
            left = lengths.next().unwrap_or(f64::INFINITY);
        }
        left -= length - done;
        if drawn {
            pieces
                .last_mut()
                .into_iter()
                .for_each(|piece| piece.push((x1, y1)));
        }
    }
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::theme::{Theme, Tone};

    fn scene() -> Scene {
        let theme = Theme::of(Tone::Light);
        let mut scene = Scene::new(40, 20, theme.background);
        scene.title = "a < b".to_owned();
        let rects = [0.0, 10.0].map(|left| Rect::new(left, 2.25, 5.0, 5.0));
        scene.rects(rects.to_vec(), Rgb(255, 0, 0).into());
        let points = vec![(0.0, 15.0), (20.0, 15.0), (20.0, 18.0), (30.0, 10.0)];
        scene.line(points, theme.line(theme.ink, 2.0));
        scene.text(Text {
            at: (20.0, 12.0),
            text: "x & y".to_owned(),
            size: 8.0,
            paint: theme.ink.into(),
            anchor: Anchor::Middle,
        });
        scene.disc((35.0, 5.0), 2.0, theme.ink.into());
        scene
    }

    #[test]
    fn alike_shapes_are_one_path_of_relative_moves() {
        let expected = "\
<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\" viewBox=\"0 0 160 80\" \
font-family=\"DejaVu Sans,Verdana,sans-serif\" role=\"img\">
<title>a &lt; b</title>
<path fill=\"#ffffff\" d=\"M0 0h160v80h-160z\"/>
<path fill=\"#ff0000\" d=\"M0 9h20v20h-20z
M40 9h20v20h-20z\"/>
<path fill=\"none\" stroke=\"#1a1a1a\" stroke-width=\"8\" d=\"M0 60h80v12l40-32\"/>
<text x=\"80\" y=\"48\" text-anchor=\"middle\" font-size=\"32\" fill=\"#1a1a1a\">x &amp; y</text>
<path fill=\"#1a1a1a\" d=\"M132 20a8 8 0 1 1 16 0a8 8 0 1 1 -16 0z\"/>
</svg>
";
        assert_eq!(svg(&scene()), expected);
    }

    #[test]
    fn a_png_has_the_size_and_the_colours_of_its_scene() {
        let bytes = png(&scene());
        assert_eq!(bytes, png(&scene()));
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        assert_eq!((info.width, info.height), (40, 20));
        let pixel = |x: usize, y: usize| &pixels[(y * 40 + x) * 3..][..3];
        assert_eq!(pixel(2, 4), [255, 0, 0]);
        assert_eq!(pixel(7, 4), [255, 255, 255]);
        assert_eq!(
            pixel(2, 2),
            [255, 64, 64],
            "a quarter of its area is outside"
        );
        assert_eq!(pixel(10, 15), [26, 26, 26]);
    }

    #[test]
    fn a_scene_that_is_shown_smaller_has_all_its_marks_there() {
        let scene = Scene {
            shown: (20, 10),
            ..scene()
        };
        let svg = svg(&scene);
        let head = "width=\"20\" height=\"10\" viewBox=\"0 0 160 80\"";
        assert!(svg.contains(head), "{svg}");
        let bytes = png(&scene);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        assert_eq!((info.width, info.height), (20, 10));
        let pixel = |x: usize, y: usize| &pixels[(y * 20 + x) * 3..][..3];
        assert_eq!(pixel(1, 2), [255, 0, 0]);
        assert_eq!(pixel(3, 2), [255, 255, 255]);
        assert_eq!(pixel(19, 9), [255, 255, 255]);
    }

    #[test]
    fn a_dash_is_as_long_on_a_raster_as_it_should_be() {
        let theme = Theme::of(Tone::Light);
        let mut scene = Scene::new(30, 9, theme.background);
        let stroke = Stroke {
            dash: &[6.0, 4.0],
            ..theme.line(theme.ink, 3.0)
        };
        scene.line(vec![(0.0, 4.5), (30.0, 4.5)], stroke);
        let bytes = png(&scene);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        reader.next_frame(&mut pixels).expect("pixels");
        let row = pixels[4 * 30 * 3..5 * 30 * 3].chunks(3);
        let drawn: String = row.map(|it| if it[0] < 128 { '#' } else { '.' }).collect();
        assert_eq!(drawn, "######....".repeat(3));
    }

    #[test]
    fn dashes_go_on_around_corners() {
        let points = [(0.0, 0.0), (5.0, 0.0), (5.0, 10.0)];
        let pieces = dashed(&points, &[4.0, 2.0], 0.0);
        let expected = [
            vec![(0.0, 0.0), (4.0, 0.0)],
            vec![(5.0, 1.0), (5.0, 5.0)],
            vec![(5.0, 7.0), (5.0, 10.0)],
        ];
        assert_eq!(pieces, expected);
        let pieces = dashed(&points[..2], &[2.0, 2.0], 3.0);
        assert_eq!(pieces, [vec![(1.0, 0.0), (3.0, 0.0)]]);
        let pieces = dashed(&points[..2], &[2.0, 2.0], 1.0);
        assert_eq!(
            pieces,
            [vec![(0.0, 0.0), (1.0, 0.0)], vec![(3.0, 0.0), (5.0, 0.0)]]
        );
    }
}
