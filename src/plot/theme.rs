//! Colours, line styles and sizes: the same in every chart.
//!
//! An allocator has the colour and the dashes of its place among all allocators of the results.
//! The colours are those of Okabe and Ito, which readers with any of the usual colour
//! deficiencies can tell apart, but for yellow, which is too pale on white, pink, which reads as a
//! pale red, and black, which is for the largest request that would fit: violet and brown stand in.
//! Causes of failures have colours of their own, red only where there was room.

use super::scene::{Rgb, Stroke};
use iova::measure::Cause;
use iova::measure::address_map::Holder;

/// The colours of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    pub background: Rgb,
    /// Titles, labels, and the largest request that would fit.
    pub ink: Rgb,
    /// Secondary text, and axes.
    pub faint: Rgb,
    pub grid: Rgb,
    allocators: [Rgb; 7],
    causes: [Rgb; Cause::ALL.len()],
    holders: [Rgb; Holder::ALL.len()],
}

const LIGHT: Palette = Palette {
    background: Rgb(255, 255, 255),
    ink: Rgb(26, 26, 26),
    faint: Rgb(92, 92, 92),
    grid: Rgb(224, 224, 224),
    allocators: [
        Rgb(0, 114, 178),
        Rgb(213, 94, 0),
        Rgb(0, 158, 115),
        Rgb(118, 66, 180),
        Rgb(230, 159, 0),
        Rgb(86, 180, 233),
        Rgb(120, 85, 50),
    ],
    causes: [
        Rgb(178, 24, 43),
        Rgb(239, 120, 100),
        Rgb(84, 110, 150),
        Rgb(120, 120, 120),
        Rgb(165, 165, 165),
        Rgb(205, 205, 205),
    ],
    holders: [
        Rgb(0, 90, 150),
        Rgb(230, 140, 0),
        Rgb(118, 66, 180),
        Rgb(120, 120, 120),
    ],
};

const DARK: Palette = Palette {
    background: Rgb(22, 24, 28),
    ink: Rgb(236, 236, 236),
    faint: Rgb(172, 172, 172),
    grid: Rgb(58, 62, 68),
    allocators: [
        Rgb(90, 170, 235),
        Rgb(240, 130, 50),
        Rgb(30, 190, 145),
        Rgb(178, 145, 255),
        Rgb(240, 185, 60),
        Rgb(150, 210, 245),
        Rgb(190, 155, 120),
    ],
    causes: [
        Rgb(235, 75, 85),
        Rgb(250, 165, 145),
        Rgb(125, 155, 200),
        Rgb(150, 150, 150),
        Rgb(115, 115, 115),
        Rgb(82, 82, 82),
    ],
    holders: [
        Rgb(80, 165, 230),
        Rgb(240, 170, 60),
        Rgb(178, 145, 255),
        Rgb(140, 140, 140),
    ],
};

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    Dark,
}

/// Gaps are wide enough to show a line beneath.
const DASHES: [&[f64]; 5] = [
    &[],
    &[9.0, 6.0],
    &[2.5, 4.5],
    &[11.0, 5.0, 2.5, 5.0],
    &[18.0, 7.0],
];

/// How thick a line of data is.
const LINE: f64 = 2.5;

impl Palette {
    /// The colours of a theme.
    pub fn of(theme: Theme) -> Palette {
        match theme {
            Theme::Light => LIGHT,
            Theme::Dark => DARK,
        }
    }

    /// The colour of the allocator at a place among all.
    pub fn allocator(&self, place: usize) -> Rgb {
        self.allocators[place % self.allocators.len()]
    }

    /// The line of the allocator at a place among all.
    pub fn allocator_line(&self, place: usize) -> Stroke {
        let dash = DASHES[place % DASHES.len()];
        // Where dashes come again, those of one are in the gaps of the other.
        let again = place / DASHES.len();
        let half = dash.iter().sum::<f64>() / 2.0;
        Stroke {
            paint: self.allocator(place).into(),
            width: LINE,
            dash,
            phase: if again.is_multiple_of(2) { 0.0 } else { half },
        }
    }

    /// Things in the order in which their lines are drawn over each other: solid ones first, so that
    /// they show through the gaps of the others.
    pub(super) fn solid_first<'a, T>(
        &self,
        things: &'a [T],
        place: impl Fn(&T) -> usize,
    ) -> Vec<&'a T> {
        let mut things: Vec<&T> = things.iter().collect();
        things.sort_by_key(|thing| !self.allocator_line(place(thing)).dash.is_empty());
        things
    }

    /// A solid line.
    pub fn line(&self, rgb: Rgb, width: f64) -> Stroke {
        Stroke {
            paint: rgb.into(),
            width,
            dash: &[],
            phase: 0.0,
        }
    }

    /// The colour of a cause.
    pub fn cause(&self, cause: Cause) -> Rgb {
        self.causes[cause as usize]
    }

    /// The colour of a holder of pages.
    pub fn holder(&self, holder: Holder) -> Rgb {
        self.holders[holder as usize]
    }

    /// The colour of a number of requests.
    pub fn requests(&self) -> Rgb {
        self.faint
    }

    /// The colour of a number of bytes asked for.
    pub fn bytes(&self) -> Rgb {
        self.holder(Holder::Live)
    }

    /// The mixture of colours, by their shares, over the background.
    pub fn mixture(&self, shares: &(impl IntoIterator<Item = (Rgb, f64)> + Clone)) -> Rgb {
        let channel = |of: fn(Rgb) -> u8| {
            let background = f64::from(of(self.background));
            let parts = shares.clone().into_iter();
            let raised = parts.map(|(rgb, share)| share * (f64::from(of(rgb)) - background));
            byte(background + raised.sum::<f64>())
        };
        Rgb(channel(|it| it.0), channel(|it| it.1), channel(|it| it.2))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is rounded and within a byte"
)]
fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn lines_without_gaps_are_drawn_first_and_the_others_in_their_order() {
        let drawn = Palette::of(Theme::Light).solid_first(&[1, 0, 7, 5], |&place| place);
        assert_eq!(drawn, [&0, &5, &1, &7]);
    }

    #[test]
    fn no_two_of_thirty_five_allocators_look_alike() {
        for theme in [Theme::Light, Theme::Dark] {
            let palette = Palette::of(theme);
            let styles: BTreeSet<String> = (0..35)
                .map(|place| format!("{:?}", palette.allocator_line(place)))
                .collect();
            assert_eq!(styles.len(), 35);
        }
    }

    /// How bright a colour is seen, by the formula of WCAG 2.
    fn luminance(rgb: Rgb) -> f64 {
        let linear = |byte: u8| {
            let part = f64::from(byte) / 255.0;
            if part <= 0.039_28 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(rgb.0) + 0.7152 * linear(rgb.1) + 0.0722 * linear(rgb.2)
    }

    fn contrast(one: Rgb, other: Rgb) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_and_lines_stand_out_from_the_background() {
        for theme in [Theme::Light, Theme::Dark] {
            let palette = Palette::of(theme);
            assert!(contrast(palette.ink, palette.background) > 10.0);
            assert!(contrast(palette.faint, palette.background) > 4.5);
            for rgb in palette.allocators {
                assert!(
                    contrast(rgb, palette.background) > 2.0,
                    "{rgb:?} in {theme:?}"
                );
            }
        }
    }

    #[test]
    fn a_mixture_of_nothing_is_the_background_and_of_all_its_colour() {
        let palette = Palette::of(Theme::Light);
        let blue = Rgb(0, 0, 200);
        assert_eq!(palette.mixture(&[(blue, 0.0)]), palette.background);
        assert_eq!(palette.mixture(&[(blue, 1.0)]), blue);
    }
}
