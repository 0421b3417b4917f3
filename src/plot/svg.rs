//! A scene as an SVG.
//!
//! A mark is an element. A map of addresses has tens of thousands of rectangles: they are one path
//! of relative moves on a grid of [`FINER`] units a pixel, some ten bytes each. (The drawing
//! library's own SVG backend writes an element for every rectangle and every dash, and whole
//! pixels only.)

use super::font;
use super::scene::{Anchor, Mark, Paint, Point, Rect, Rgb, Scene, Stroke, Text};

/// Units of the view box a pixel.
const FINER: f64 = 4.0;

/// Draws a scene as an SVG. The same scene gives the same bytes.
pub fn svg(scene: &Scene) -> String {
    let [width, height] = [scene.width, scene.height].map(|it| units(it.into()));
    let head = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{}\" role=\"img\">\n\
         <title>{}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" {}/>\n",
        scene.shown.0,
        scene.shown.1,
        font::FAMILY,
        escaped(&scene.title),
        paint("fill", scene.background.into()),
    );
    let marks: String = scene.marks.iter().map(element).collect();
    format!("{head}{marks}</svg>\n")
}

fn element(mark: &Mark) -> String {
    match mark {
        Mark::Rects { rects, paint: of } => {
            let paths: Vec<String> = rects.iter().map(rect).collect();
            format!(
                "<path {} d=\"{}\"/>\n",
                paint("fill", *of),
                paths.join("\n")
            )
        }
        Mark::Lines { lines, stroke } => {
            let paths: Vec<String> = lines.iter().map(|points| line(points)).collect();
            format!(
                "<path fill=\"none\" {} d=\"{}\"/>\n",
                stroked(stroke),
                paths.join("\n")
            )
        }
        Mark::Disc {
            center: (x, y),
            radius,
            paint: of,
        } => {
            let [x, y, radius] = [*x, *y, *radius].map(units);
            let of = paint("fill", *of);
            format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {of}/>\n")
        }
        Mark::Text(text) => text_element(text),
    }
}

fn text_element(text: &Text) -> String {
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let [x, y, size] = [text.at.0, text.at.1, text.size].map(units);
    let (fill, text) = (paint("fill", text.rgb.into()), escaped(&text.text));
    format!("<text x=\"{x}\" y=\"{y}\"{anchor} font-size=\"{size}\" {fill}>{text}</text>\n")
}

fn rect(rect: &Rect) -> String {
    let [left, top, right, bottom] = [rect.left, rect.top, rect.right, rect.bottom].map(units);
    let width = right - left;
    format!("M{left} {top}h{width}v{}h{}z", bottom - top, -width)
}

fn line(points: &[Point]) -> String {
    let mut path = String::new();
    let mut at = None;
    for &(x, y) in points {
        let to = (units(x), units(y));
        let step = match at.map(|(x, y)| (to.0 - x, to.1 - y)) {
            None => format!("M{} {}", to.0, to.1),
            Some((0, 0)) => continue,
            Some((dx, 0)) => format!("h{dx}"),
            Some((0, dy)) => format!("v{dy}"),
            Some((dx, dy @ ..0)) => format!("l{dx}{dy}"),
            Some((dx, dy)) => format!("l{dx} {dy}"),
        };
        path.push_str(&step);
        at = Some(to);
    }
    path
}

fn stroked(stroke: &Stroke) -> String {
    let (colour, width) = (paint("stroke", stroke.paint), units(stroke.width).max(1));
    let solid = format!("{colour} stroke-width=\"{width}\"");
    if stroke.dash.is_empty() {
        return solid;
    }
    let lengths: Vec<String> = stroke
        .dash
        .iter()
        .map(|it| units(*it).to_string())
        .collect();
    let dashed = format!("{solid} stroke-dasharray=\"{}\"", lengths.join(" "));
    match units(stroke.phase) {
        0 => dashed,
        phase => format!("{dashed} stroke-dashoffset=\"{phase}\""),
    }
}

/// The attributes that fill or stroke with a colour.
fn paint(name: &str, Paint { rgb, alpha }: Paint) -> String {
    let Rgb(red, green, blue) = rgb;
    let opacity = if alpha < 1.0 {
        format!(" {name}-opacity=\"{alpha:.2}\"")
    } else {
        String::new()
    };
    format!("{name}=\"#{red:02x}{green:02x}{blue:02x}\"{opacity}")
}

#[expect(clippy::cast_possible_truncation, reason = "the value is rounded")]
fn units(pixels: f64) -> i32 {
    (pixels * FINER).round() as i32
}

/// Text as XML, in which control characters and the two non-characters are not allowed.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            _ if character.is_control() => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::theme::{Palette, Theme};
    use super::*;

    #[test]
    fn a_mark_is_an_element_and_alike_shapes_are_one_path_of_relative_moves() {
        let palette = Palette::of(Theme::Light);
        let mut scene = Scene::new(40, 20, palette.background);
        scene.title = "a < b\u{ffff}".to_owned();
        let rects = [0.0, 10.0].map(|left| Rect::new(left, 2.25, 5.0, 5.0));
        scene.rects(rects.to_vec(), Rgb(255, 0, 0).with_alpha(0.25));
        let points = vec![(0.0, 15.0), (20.0, 15.0), (20.0, 18.0), (30.0, 10.0)];
        scene.line(points, palette.line(palette.ink, 2.0));
        let dashed = Stroke {
            dash: &[2.5, 4.5],
            phase: 3.5,
            ..palette.line(palette.ink, 2.0)
        };
        scene.line(vec![(0.0, 1.0), (9.0, 1.0)], dashed);
        scene.line(vec![(0.0, 3.0), (9.0, 3.0)], dashed);
        scene.text(Text {
            at: (20.0, 12.0),
            text: "x & y".to_owned(),
            size: 8.0,
            rgb: palette.ink,
            anchor: Anchor::Middle,
        });
        scene.disc((35.0, 5.0), 2.0, palette.ink.into());
        let expected = "\
<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\" viewBox=\"0 0 160 80\" \
font-family=\"DejaVu Sans,Verdana,sans-serif\" role=\"img\">
<title>a &lt; b </title>
<rect width=\"160\" height=\"80\" fill=\"#ffffff\"/>
<path fill=\"#ff0000\" fill-opacity=\"0.25\" d=\"M0 9h20v20h-20z
M40 9h20v20h-20z\"/>
<path fill=\"none\" stroke=\"#1a1a1a\" stroke-width=\"8\" d=\"M0 60h80v12l40-32\"/>
<path fill=\"none\" stroke=\"#1a1a1a\" stroke-width=\"8\" stroke-dasharray=\"10 18\" \
stroke-dashoffset=\"14\" d=\"M0 4h36
M0 12h36\"/>
<text x=\"80\" y=\"48\" text-anchor=\"middle\" font-size=\"32\" fill=\"#1a1a1a\">x &amp; y</text>
<circle cx=\"140\" cy=\"20\" r=\"8\" fill=\"#1a1a1a\"/>
</svg>
";
        assert_eq!(svg(&scene), expected);
    }
}
