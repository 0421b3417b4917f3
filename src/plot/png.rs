//! A scene as a PNG, on the drawing library's raster.
//!
//! The picture is drawn several times as large and averaged, which makes its edges smooth. The
//! library draws neither dashes nor text without a font crate whose licence does not go with this
//! program's: both are drawn here.

use std::error::Error;

use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::{Color, RGBAColor, RGBColor, ShapeStyle};

use super::font;
use super::scene::{Anchor, Mark, Paint, Point, Rect, Rgb, Scene, Stroke, Text};

/// Pixels of the largest picture that is drawn four times as large.
const SMOOTHEST: u64 = 1 << 21;

/// Draws a scene as a PNG. The same scene gives the same bytes.
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
    let mut raster = Raster {
        backend: BitMapBackend::with_buffer(&mut large, (width, height)),
        scale: f64::from(width) / f64::from(scene.width),
    };
    let drawn = scene.marks.iter().try_for_each(|mark| raster.mark(mark));
    drawn.expect("memory takes all pixels");
    drop(raster);
    let pixels = averaged(&large, shown.0 as usize, finer as usize);
    encoded(scene, &pixels).expect("a picture with pixels can be encoded into memory")
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

/// The file. Its title is an `iTXt` chunk, which takes any character.
fn encoded(scene: &Scene, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, scene.shown.0, scene.shown.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let title = scene.title.replace(char::is_control, " ");
    encoder.add_itxt_chunk("Title".to_owned(), title)?;
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(out)
}

/// A raster that is `scale` times as large as the scene.
struct Raster<'a> {
    backend: BitMapBackend<'a>,
    scale: f64,
}

type Drawn = Result<(), Box<dyn Error>>;

impl Raster<'_> {
    fn mark(&mut self, mark: &Mark) -> Drawn {
        match mark {
            Mark::Rects { rects, paint } => {
                rects.iter().try_for_each(|rect| self.rect(rect, *paint))
            }
            Mark::Lines { lines, stroke } => lines
                .iter()
                .try_for_each(|points| self.line(points, stroke)),
            Mark::Disc {
                center,
                radius,
                paint,
            } => {
                let (center, radius) = (self.point(*center), self.length(*radius));
                let style = colour(*paint).filled();
                Ok(self.backend.draw_circle(center, radius, &style, true)?)
            }
            Mark::Text(text) => self.text(text),
        }
    }

    fn rect(&mut self, rect: &Rect, paint: Paint) -> Drawn {
        let (left, top) = self.point((rect.left, rect.top));
        let (right, bottom) = self.point((rect.right, rect.bottom));
        self.area((left, top), (right, bottom), &colour(paint).filled())
    }

    /// Fills an area, which ends before its right and its bottom.
    fn area(&mut self, from: (i32, i32), to: (i32, i32), style: &ShapeStyle) -> Drawn {
        if from.0 < to.0 && from.1 < to.1 {
            self.backend.draw_rect(from, to, style, true)?;
        }
        Ok(())
    }

    fn line(&mut self, points: &[Point], stroke: &Stroke) -> Drawn {
        let width = self.length(stroke.width);
        let style = colour(stroke.paint).stroke_width(width);
        for dash in dashes(points, stroke) {
            let dash: Vec<_> = dash.into_iter().map(|point| self.point(point)).collect();
            self.path(&dash, style)?;
        }
        Ok(())
    }

    /// The library's thick lines have holes where they cross themselves. So each straight piece is
    /// drawn alone, a little longer where it meets another to close the corner.
    fn path(&mut self, points: &[(i32, i32)], style: ShapeStyle) -> Drawn {
        let below = i32::try_from(style.stroke_width / 2)?;
        let above = i32::try_from(style.stroke_width)? - below;
        for (index, pair) in points.windows(2).enumerate() {
            let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
            if x0 != x1 && y0 != y1 {
                self.backend.draw_path([(x0, y0), (x1, y1)], &style)?;
                continue;
            }
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
            let thick = |at: i32| (at - below, at + above);
            let (left, right) = if y0 == y1 { long(x0, x1) } else { thick(x0) };
            let (top, bottom) = if y0 == y1 { thick(y0) } else { long(y0, y1) };
            self.area((left, top), (right, bottom), &style.filled())?;
        }
        Ok(())
    }

    fn text(&mut self, text: &Text) -> Drawn {
        let size = text.size * self.scale;
        let (glyphs, width) = font::layout(&text.text, size);
        let (x, y) = self.point(text.at);
        let left = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        for (glyph, at) in glyphs {
            let (metrics, coverage) = font::rasterize(glyph, size);
            let left = x + whole(left + at) + metrics.xmin;
            let top = y - metrics.ymin - i32::try_from(metrics.height)?;
            let rows = coverage.chunks(metrics.width.max(1));
            for (row, y) in rows.zip(top..) {
                for (&covered, x) in row.iter().zip(left..) {
                    let paint = text.rgb.with_alpha(f64::from(covered) / 255.0);
                    let colour = colour(paint).to_backend_color();
                    self.backend.draw_pixel((x, y), colour)?;
                }
            }
        }
        Ok(())
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

fn colour(paint: Paint) -> RGBAColor {
    let Rgb(red, green, blue) = paint.rgb;
    RGBColor(red, green, blue).mix(paint.alpha)
}

/// The pieces of a line that are drawn. Its dashes go on around corners.
fn dashes(points: &[Point], stroke: &Stroke) -> Vec<Vec<Point>> {
    if stroke.dash.is_empty() {
        return vec![points.to_vec()];
    }
    let mut lengths = stroke.dash.iter().copied().cycle();
    let mut next = || lengths.next().unwrap_or(f64::INFINITY);
    let (mut left, mut drawn) = (next() - stroke.phase, true);
    while left <= 0.0 {
        left += next();
        drawn = !drawn;
    }
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    if drawn {
        piece.push(points[0]);
    }
    for pair in points.windows(2) {
        let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
        let (dx, dy) = (x1 - x0, y1 - y0);
        let length = (dx * dx + dy * dy).sqrt();
        let mut done = 0.0;
        while length - done > left {
            done += left;
            piece.push((x0 + dx * done / length, y0 + dy * done / length));
            if drawn {
                pieces.push(std::mem::take(&mut piece));
            }
            drawn = !drawn;
            left = next();
        }
        left -= length - done;
        if drawn {
            piece.push((x1, y1));
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::theme::{Palette, Theme};
    use super::*;

    fn scene() -> Scene {
        let palette = Palette::of(Theme::Light);
        let mut scene = Scene::new(40, 20, palette.background);
        let rects = [0.0, 10.0].map(|left| Rect::new(left, 2.25, 5.0, 5.0));
        scene.rects(rects.to_vec(), Rgb(255, 0, 0).into());
        let points = vec![(0.0, 15.0), (20.0, 15.0), (20.0, 18.0), (30.0, 10.0)];
        scene.line(points, palette.line(palette.ink, 2.0));
        scene.disc((35.0, 5.0), 2.0, palette.ink.into());
        scene
    }

    /// A picture that was written: its width, its height and its pixels.
    fn decoded(scene: &Scene) -> (u32, u32, Vec<[u8; 3]>) {
        let bytes = png(scene);
        assert_eq!(bytes, png(scene));
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        let (pixels, _) = pixels.as_chunks::<3>();
        (info.width, info.height, pixels.to_vec())
    }

    #[test]
    fn a_png_has_the_size_and_the_colours_of_its_scene() {
        let (width, height, pixels) = decoded(&scene());
        let pixel = |x: usize, y: usize| pixels[y * 40 + x];
        assert_eq!((width, height), (40, 20));
        assert_eq!(pixel(2, 4), [255, 0, 0]);
        assert_eq!(pixel(7, 4), [255, 255, 255]);
        let reason = "a quarter of its area is outside";
        assert_eq!(pixel(2, 2), [255, 64, 64], "{reason}");
        assert_eq!(pixel(10, 15), [26, 26, 26]);
    }

    #[test]
    fn a_scene_that_is_shown_smaller_has_all_its_marks_there() {
        let shown = (20, 10);
        let (width, height, pixels) = decoded(&Scene { shown, ..scene() });
        let pixel = |x: usize, y: usize| pixels[y * 20 + x];
        assert_eq!((width, height), shown);
        assert_eq!(pixel(1, 2), [255, 0, 0]);
        assert_eq!(pixel(3, 2), [255, 255, 255]);
        assert_eq!(pixel(19, 9), [255, 255, 255]);
    }

    #[test]
    fn text_is_where_its_anchor_is() {
        for (anchor, columns) in [
            (Anchor::Start, 20..26),
            (Anchor::Middle, 17..23),
            (Anchor::End, 14..20),
        ] {
            let mut scene = Scene::new(40, 20, Rgb(255, 255, 255));
            scene.text(Text {
                at: (20.0, 15.0),
                text: "H".to_owned(),
                size: 8.0,
                rgb: Rgb(0, 0, 0),
                anchor,
            });
            let (_, _, pixels) = decoded(&scene);
            let dark = (0..40 * 20).filter(|&at| pixels[at][0] < 200);
            let (rows, found): (Vec<_>, Vec<_>) = dark.map(|at| (at / 40, at % 40)).unzip();
            assert!(found.iter().all(|it| columns.contains(it)), "{found:?}");
            assert_eq!((rows.first(), rows.last()), (Some(&9), Some(&14)));
        }
    }

    #[test]
    fn a_title_of_any_characters_is_kept() {
        let title = "α → 測\u{0}\n".to_owned();
        let bytes = png(&Scene { title, ..scene() });
        let decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
        let reader = decoder.read_info().expect("a PNG");
        let kept = reader.info().utf8_text[0].get_text();
        assert_eq!(kept.expect("text"), "α → 測  ");
    }

    #[test]
    fn a_dash_is_as_long_on_a_raster_as_it_should_be() {
        let mut scene = Scene::new(30, 9, Rgb(255, 255, 255));
        let points = vec![(0.0, 4.5), (30.0, 4.5)];
        scene.line(points, stroke(&[6.0, 4.0], 0.0));
        let (_, _, pixels) = decoded(&scene);
        let row = pixels[4 * 30..5 * 30].iter();
        let drawn: String = row.map(|it| if it[0] < 128 { '#' } else { '.' }).collect();
        assert_eq!(drawn, "######....".repeat(3));
    }

    fn stroke(dash: &'static [f64], phase: f64) -> Stroke {
        let palette = Palette::of(Theme::Light);
        let solid = palette.line(palette.ink, 3.0);
        Stroke {
            dash,
            phase,
            ..solid
        }
    }

    #[test]
    fn dashes_go_on_around_corners() {
        let points = [(0.0, 0.0), (5.0, 0.0), (5.0, 10.0)];
        let expected = [
            vec![(0.0, 0.0), (4.0, 0.0)],
            vec![(5.0, 1.0), (5.0, 5.0)],
            vec![(5.0, 7.0), (5.0, 10.0)],
        ];
        assert_eq!(dashes(&points, &stroke(&[4.0, 2.0], 0.0)), expected);
        for (phase, expected) in [
            (0.0, &[[0.0, 2.0], [4.0, 5.0]][..]),
            (1.0, &[[0.0, 1.0], [3.0, 5.0]]),
            (2.0, &[[2.0, 4.0]]),
            (3.0, &[[1.0, 3.0]]),
        ] {
            let pieces = dashes(&points[..2], &stroke(&[2.0, 2.0], phase));
            let expected: Vec<_> = expected.iter().map(|it| it.map(|x| (x, 0.0))).collect();
            assert_eq!(pieces, expected, "{phase}");
        }
    }
}
