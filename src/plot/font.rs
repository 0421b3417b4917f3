//! The font, which is part of the program: `DejaVu` Sans, in `assets/` with its licence.
//!
//! `ttf-parser` measures and places text for both formats, `fontdue` draws glyphs into PNGs. An
//! SVG names the font: a viewer without it falls back to Verdana, which is as wide, or to a
//! narrower one, so that text that fits here fits there.

use std::sync::OnceLock;

use fontdue::{Font, FontSettings, Metrics};
use ttf_parser::{Face, GlyphId};

/// The font family of an SVG.
pub(super) const FAMILY: &str = "DejaVu Sans,Verdana,sans-serif";

/// How far the baseline is below the middle of a capital or a digit, in ems.
pub(super) const CAPITAL_MIDDLE: f64 = 0.365;

const BYTES: &[u8] = include_bytes!("../../assets/DejaVuSans.ttf");

fn face() -> &'static Face<'static> {
    static FACE: OnceLock<Face<'static>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(BYTES, 0).expect("the program's own font is valid"))
}

/// The glyphs of a line of text, each with its distance from the start in pixels at an em of
/// `size`, and the width of the whole.
pub(super) fn layout(text: &str, size: f64) -> (Vec<(GlyphId, f64)>, f64) {
    let face = face();
    let pixels = |units: i32| f64::from(units) * size / f64::from(face.units_per_em());
    let mut glyphs: Vec<(GlyphId, f64)> = Vec::new();
    let mut end = 0;
    for character in text.chars() {
        let glyph = face.glyph_index(character).unwrap_or_default();
        if let Some(&(before, _)) = glyphs.last() {
            end += kerning(face, before, glyph);
        }
        glyphs.push((glyph, pixels(end)));
        end += i32::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    }
    (glyphs, pixels(end))
}

fn kerning(face: &Face<'_>, left: GlyphId, right: GlyphId) -> i32 {
    let tables = face.tables().kern.into_iter();
    let mut tables = tables.flat_map(|kern| kern.subtables);
    let found = tables.find_map(|table| table.glyphs_kerning(left, right));
    i32::from(found.unwrap_or(0))
}

/// The width of a line of text in pixels, at an em of `size`.
pub(super) fn width(text: &str, size: f64) -> f64 {
    layout(text, size).1
}

/// A glyph's coverage of pixels, row by row, at an em of `size` pixels.
#[expect(
    clippy::cast_possible_truncation,
    reason = "sizes are small numbers of pixels"
)]
pub(super) fn rasterize(glyph: GlyphId, size: f64) -> (Metrics, Vec<u8>) {
    static FONT: OnceLock<Font> = OnceLock::new();
    let font = FONT.get_or_init(|| {
        let settings = FontSettings {
            load_substitutions: false,
            ..FontSettings::default()
        };
        Font::from_bytes(BYTES, settings).expect("the program's own font is valid")
    });
    font.rasterize_indexed(glyph.0, size as f32)
}

/// The text in lines that are no wider than `width`, broken at spaces and before `~` and `+`;
/// what is still too wide is shortened.
pub(super) fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text) {
        let line = lines.last_mut().expect("there is a line");
        let longer = format!("{line}{word}");
        if line.is_empty() || self::width(longer.trim_end(), size) <= width {
            *line = longer;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
        .iter()
        .map(|line| shorten(line.trim(), size, width))
        .collect()
}

/// The text, with an ellipsis for its middle if it is wider than `width`.
pub(super) fn shorten(text: &str, size: f64, width: f64) -> String {
    if self::width(text, size) <= width {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    let keeping = |kept: usize| -> String {
        let head = characters[..kept.div_ceil(2)].iter();
        let tail = characters[characters.len() - kept / 2..].iter();
        head.chain(&['…']).chain(tail).collect()
    };
    let (mut fitting, mut too_many) = (0, characters.len());
    while too_many - fitting > 1 {
        let kept = fitting.midpoint(too_many);
        if self::width(&keeping(kept), size) <= width {
            fitting = kept;
        } else {
            too_many = kept;
        }
    }
    keeping(fitting)
}

/// Pieces of a text between which a line may be broken.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let from = first.len_utf8();
        let end = rest[from..].char_indices().find_map(|(at, character)| {
            let before = &rest[..from + at];
            let breaks = matches!(character, '~' | '+') || before.ends_with(' ');
            (breaks && character != ' ').then_some(from + at)
        });
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = behind;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_measured_in_parts_of_a_pixel() {
        let (narrow, wide) = (width("iiii", 15.0), width("WWWW", 15.0));
        assert!(narrow < wide && narrow > 10.0, "{narrow} {wide}");
        assert!((width("12345", 30.0) - 2.0 * width("12345", 15.0)).abs() < 0.2);
        assert!(width("", 15.0).abs() < f64::EPSILON);
    }

    #[test]
    fn lines_break_between_words_and_before_changes() {
        assert_eq!(words("one two  three"), ["one ", "two  ", "three"]);
        assert_eq!(words("linux-7.2~a+b"), ["linux-7.2", "~a", "+b"]);
        assert_eq!(
            wrap("ab cd ef", 10.0, width("ab cd", 10.0)),
            ["ab cd", "ef"]
        );
        assert_eq!(wrap("", 10.0, 5.0), [""]);
    }

    #[test]
    fn what_does_not_fit_is_shortened_in_its_middle() {
        let all = "reset-on-retry";
        assert_eq!(shorten(all, 10.0, width(all, 10.0)), all);
        let shortened = shorten(all, 10.0, width(all, 10.0) - 1.0);
        assert!(
            shortened.contains('…') && shortened.starts_with("reset"),
            "{shortened}"
        );
        assert_eq!(shorten(all, 10.0, 0.0), "…");
    }
}
