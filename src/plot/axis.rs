//! Axes: from values to places, with ticks at round values that carry their unit.

use super::font;
use super::number::{self, plain};

/// The size of tick labels.
pub(super) const TICK: f64 = 15.0;

/// Values along a side of a panel.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Values that are marked, ascending.
    pub(super) ticks: Vec<Tick>,
}

/// A marked value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    /// What it is called.
    pub(super) label: String,
}

impl Axis {
    /// Values from `low` to `high`, equally far apart. There is some distance between the two
    /// whatever is given.
    pub(super) fn linear(low: f64, high: f64, ticks: Vec<Tick>) -> Axis {
        Axis {
            low,
            high: if high > low { high } else { low + 1.0 },
            logarithmic: false,
            ticks,
        }
    }

    /// Values from `low`, above 0, to `high`, as far apart as their logarithms.
    pub(super) fn logarithmic(low: f64, high: f64, ticks: Vec<Tick>) -> Axis {
        Axis {
            low,
            high: if high > low { high } else { low * 2.0 },
            logarithmic: true,
            ticks,
        }
    }

    /// From 0 to a number or a little more, with about `count` ticks at multiples of a round
    /// step.
    fn from_zero(max: f64, step: f64, label: impl Fn(f64) -> String) -> Axis {
        let last = (max / step - 1e-9).ceil().max(1.0);
        let ticks = (0..)
            .map(f64::from)
            .take_while(|&index| index <= last)
            .map(|index| Tick {
                value: index * step,
                label: label(index * step),
            });
        Axis::linear(0.0, last * step, ticks.collect())
    }

    /// From 0 to so many, in about `ticks` steps.
    pub(super) fn counts(max: f64, ticks: u32) -> Axis {
        let step = decimal_step(max, ticks).max(1.0);
        Axis::from_zero(max, step, number::count)
    }

    /// From 0 to so many bytes, in about `ticks` steps that are powers of two.
    pub(super) fn bytes(max: f64, ticks: u32) -> Axis {
        let step = (max / f64::from(ticks)).max(1.0).log2().ceil().exp2();
        Axis::from_zero(max, step, number::bytes)
    }

    /// From 0 to a share of 1, in about `ticks` steps, in per cent.
    pub(super) fn shares(max: f64, ticks: u32) -> Axis {
        let step = decimal_step(max * 100.0, ticks) / 100.0;
        Axis::from_zero(max, step, number::percent)
    }

    /// Nanoseconds, in about `ticks` steps.
    pub(super) fn time(low: f64, high: f64, ticks: u32) -> Axis {
        const UNITS: [(f64, &str); 3] = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
        let step = decimal_step(high - low, ticks).max(1.0);
        let fitting = UNITS.iter().find(|(unit, _)| high >= *unit);
        let &(unit, name) = fitting.unwrap_or(&(1.0, "ns"));
        let label = |value: f64| format!("{} {name}", plain(value / unit, 6));
        Axis::linear(low, high, multiples(low, high, step, label))
    }

    /// Numbers of events, in about `ticks` steps.
    pub(super) fn events(low: f64, high: f64, ticks: u32) -> Axis {
        let step = decimal_step(high - low, ticks).max(1.0);
        Axis::linear(low, high, multiples(low, high, step, number::count))
    }

    /// Counts from 1 up, by their logarithms, with a tick at each power of ten, or fewer.
    pub(super) fn decades(low: f64, high: f64, ticks: u32, label: fn(f64) -> String) -> Axis {
        let first = low.log10().floor();
        let last = high.log10().ceil().max(first + 1.0);
        let apart = ((last - first) / f64::from(ticks)).ceil().max(1.0);
        let powers = (0..).map(|index| first + f64::from(index) * apart);
        let ticks = powers.take_while(|&power| power <= last).map(|power| Tick {
            value: 10f64.powf(power),
            label: label(10f64.powf(power)),
        });
        Axis::logarithmic(10f64.powf(first), 10f64.powf(last), ticks.collect())
    }

    /// Bytes by their logarithms, from `low` to `high`, with ticks at powers of two. With
    /// `none`, the lowest place stands for nothing at all.
    pub(super) fn byte_orders(low: u64, high: u64, none: bool, ticks: u32) -> Axis {
        let low = low.max(1).ilog2();
        let high = high
            .max(1)
            .checked_next_power_of_two()
            .map_or(64, u64::ilog2);
        let high = high.max(low + 2);
        let apart = (high - low).div_ceil(ticks.max(1));
        // From the top down, so that the whole window has a tick.
        let orders = (low..=high).filter(|order| (high - order).is_multiple_of(apart));
        let marked = orders.map(|order| Tick {
            value: f64::from(order).exp2(),
            label: number::bytes(f64::from(order).exp2()),
        });
        let mut marked: Vec<Tick> = marked.collect();
        let mut bottom = f64::from(low).exp2();
        if none {
            bottom /= f64::from(apart + 1).exp2();
            let label = "none".to_owned();
            let value = bottom;
            marked.insert(0, Tick { value, label });
        }
        Axis::logarithmic(bottom, f64::from(high).exp2(), marked)
    }

    /// Addresses in bytes, in about `ticks` steps that are powers of two.
    pub(super) fn addresses(low: f64, high: f64, ticks: u32) -> Axis {
        let step = ((high - low) / f64::from(ticks))
            .max(1.0)
            .log2()
            .ceil()
            .exp2();
        let label = |value: f64| format!("{:#x}", integer(value));
        Axis::linear(low, high, multiples(low, high, step, label))
    }

    /// The same axis, whose ticks have no labels.
    #[must_use]
    pub(super) fn without_labels(mut self) -> Axis {
        self.ticks.iter_mut().for_each(|tick| tick.label.clear());
        self
    }

    /// Where a value is, from 0 to 1; values beyond the ends are at the ends.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// How wide the widest label is, in pixels.
    pub(super) fn label_width(&self) -> f64 {
        let widths = self.ticks.iter().map(|tick| font::width(&tick.label, TICK));
        widths.fold(0.0, f64::max)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "addresses are whole and not negative"
)]
fn integer(value: f64) -> u64 {
    value as u64
}

/// A round number, 1, 2 or 5 times a power of ten, of which about `count` make `span`.
fn decimal_step(span: f64, count: u32) -> f64 {
    let rough = span / f64::from(count);
    if rough.is_nan() || rough <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let fitting = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|step| step * power >= rough * 0.8);
    fitting.unwrap_or(10.0) * power
}

fn multiples(low: f64, high: f64, step: f64, label: impl Fn(f64) -> String) -> Vec<Tick> {
    let first = (low / step - 1e-9).ceil();
    let values = (0..).map(|index| (first + f64::from(index)) * step);
    let within = values.take_while(|&value| value <= high + step * 1e-9);
    within
        .map(|value| Tick {
            value,
            label: label(value),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_carry_their_unit() {
        assert_eq!(labels(&Axis::counts(7.0, 4)), ["0", "2", "4", "6", "8"]);
        assert_eq!(labels(&Axis::counts(0.0, 4)), ["0", "1"]);
        assert_eq!(
            labels(&Axis::shares(0.031, 4)),
            ["0 %", "1 %", "2 %", "3 %", "4 %"]
        );
        let gib = f64::from(1 << 30);
        assert_eq!(
            labels(&Axis::bytes(3.0 * gib, 4)),
            ["0 B", "1 GiB", "2 GiB", "3 GiB"]
        );
        assert_eq!(
            labels(&Axis::time(1e6, 3.5e6, 4)),
            ["1 ms", "1.5 ms", "2 ms", "2.5 ms", "3 ms", "3.5 ms"]
        );
        let addresses = Axis::addresses(gib, 4.0 * gib, 4);
        let expected = ["0x40000000", "0x80000000", "0xc0000000", "0x100000000"];
        assert_eq!(labels(&addresses), expected);
        assert_eq!(
            labels(&Axis::decades(1.0, 3000.0, 9, number::count)),
            ["1", "10", "100", "1,000", "10k"]
        );
        assert_eq!(
            labels(&Axis::decades(0.2, 1.0, 7, number::percent)),
            ["10 %", "100 %"]
        );
        assert!((Axis::decades(0.2, 1.0, 7, number::percent).place(1.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn byte_orders_have_a_place_for_nothing_at_all() {
        let axis = Axis::byte_orders(4096, 4 << 30, true, 5);
        let expected = [
            "none", "4 KiB", "64 KiB", "1 MiB", "16 MiB", "256 MiB", "4 GiB",
        ];
        assert_eq!(labels(&axis), expected);
        assert_eq!(
            labels(&Axis::byte_orders(4096, 4 << 30, false, 5)),
            expected[1..]
        );
        assert!(axis.place(0.0).abs() < 1e-9);
        assert!((axis.place(f64::from(1 << 30) * 4.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn no_axis_is_without_length() {
        for axis in [
            Axis::linear(5.0, 5.0, vec![]),
            Axis::logarithmic(5.0, 5.0, vec![]),
            Axis::byte_orders(4096, 4096, true, 4),
            Axis::time(7.0, 7.0, 3),
        ] {
            assert!(axis.high > axis.low);
            assert!(axis.place(6.0).is_finite());
        }
    }
}
