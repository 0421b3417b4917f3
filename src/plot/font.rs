//! The font, which is part of the program: `DejaVu` Sans.
//!
//! A viewer of an SVG that does not have it takes Verdana, which is as wide, or another one,
//! which is narrower: what fits here fits there.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

/// What an SVG asks for.
pub(super) const FAMILY: &str = "DejaVu Sans,Verdana,sans-serif";

/// The height of a line of the font, from the top of the highest to the bottom of the lowest
/// character, in ems; the drawing library measures fonts by that.
pub(super) const HEIGHT: f64 = 2384.0 / 2048.0;

/// How far the baseline is above the middle of a capital or a digit, in ems.
pub(super) const CAPITAL_MIDDLE: f64 = 0.365;

/// The font at so many pixels an em.
pub(super) fn at(size: f64) -> FontDesc<'static> {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        let registered = register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular());
        assert!(registered.is_ok(), "the font of the program can be read");
    });
    FontDesc::new(FontFamily::Name(FAMILY), size * HEIGHT, FontStyle::Normal)
}

/// How wide a text is, in pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    // The library rounds down to pixels.
    const FINER: f64 = 16.0;
    let measured = at(size * FINER).layout_box(text);
    let ((left, _), (right, _)) = measured.expect("the font of the program was registered");
    f64::from(right - left) / FINER
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
