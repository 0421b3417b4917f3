//! Axes: from values to places, with ticks at round values that carry their unit.
//!
//! Not the drawing library's coordinates: those use the platform's logarithms and powers, whose last
//! bits differ, and know neither powers of two nor units.

use super::font;
use super::number::{self, plain};

/// The size of tick labels.
pub(super) const TICK: f64 = 15.0;

/// The values along a side of a panel.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// What it shows; its labels are left out where it has no name.
    pub(super) name: String,
    /// Marked values, ascending.
    pub(super) ticks: Vec<Tick>,
}

/// A marked value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

impl Axis {
    /// A linear axis from `low` to `high`, or to a little more if `high` is not above `low`.
    pub(super) fn linear(low: f64, high: f64, ticks: Vec<Tick>) -> Axis {
        Axis {
            low,
            high: if high > low {
                high
            } else {
                (low + 1.0).max(low.next_up())
            },
            logarithmic: false,
            name: String::new(),
            ticks,
        }
    }

    /// A logarithmic axis from `low`, above 0, to `high`.
    pub(super) fn logarithmic(low: f64, high: f64, ticks: Vec<Tick>) -> Axis {
        Axis {
            low,
            high: if high > low { high } else { low * 2.0 },
            logarithmic: true,
            name: String::new(),
            ticks,
        }
    }

    /// From 0 to a number or a little more, with ticks at multiples of a round step.
    fn from_zero(max: f64, step: f64, label: impl Fn(f64) -> String) -> Axis {
        let high = (max / step - 1e-9).ceil().max(1.0) * step;
        Axis::linear(0.0, high, multiples(0.0, high, step, label))
    }

    /// Counts from 0 to `max`, in about `ticks` steps.
    pub(super) fn counts(max: f64, ticks: u32) -> Axis {
        let step = decimal_step(max, ticks).max(1.0);
        Axis::from_zero(max, step, number::count)
    }

    /// Bytes from 0 to `max`, in about `ticks` steps that are powers of two.
    pub(super) fn bytes(max: f64, ticks: u32) -> Axis {
        let step = binary_step(max, ticks);
        Axis::from_zero(max, step, number::bytes)
    }

    /// Shares from 0 to `max`, in per cent, in about `ticks` steps.
    pub(super) fn shares(max: f64, ticks: u32) -> Axis {
        let step = decimal_step(max * 100.0, ticks) / 100.0;
        Axis::from_zero(max, step, number::percent)
    }

    /// Nanoseconds, in about `ticks` steps.
    pub(super) fn time(low: f64, high: f64, ticks: u32) -> Axis {
        let step = decimal_step(high - low, ticks).max(1.0);
        let (unit, name) = number::time_unit(high);
        let label = |value: f64| format!("{} {name}", plain(value / unit, 6));
        Axis::linear(low, high, multiples(low, high, step, label))
    }

    /// Numbers of events, in about `ticks` steps.
    pub(super) fn events(low: f64, high: f64, ticks: u32) -> Axis {
        let step = decimal_step(high - low, ticks).max(1.0);
        Axis::linear(low, high, multiples(low, high, step, number::count))
    }

    /// A logarithmic axis with ticks at powers of ten: each, or every second or third.
    pub(super) fn decades(low: f64, high: f64, ticks: u32, label: fn(f64) -> String) -> Axis {
        let first = libm::log10(low).floor();
        let last = libm::log10(high).ceil().max(first + 1.0);
        let apart = ((last - first) / f64::from(ticks)).ceil().max(1.0);
        let power = |power: f64| libm::pow(10.0, power);
        let mut marked = multiples(0.0, last - first, apart, |_| String::new());
        for tick in &mut marked {
            tick.value = power(first + tick.value);
            tick.label = label(tick.value);
        }
        Axis::logarithmic(power(first), power(last), marked)
    }

    /// A logarithmic axis of bytes, with ticks at powers of two. With `none`, its lowest place
    /// stands for 0 bytes.
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
            value: power_of_two(order),
            label: number::bytes(power_of_two(order)),
        });
        let mut marked: Vec<Tick> = marked.collect();
        let mut bottom = power_of_two(low);
        if none {
            bottom /= power_of_two(apart + 1);
            let label = "none".to_owned();
            let value = bottom;
            marked.insert(0, Tick { value, label });
        }
        Axis::logarithmic(bottom, power_of_two(high), marked)
    }

    /// Addresses in bytes, in about `ticks` steps that are powers of two.
    pub(super) fn addresses(low: f64, high: f64, ticks: u32) -> Axis {
        let step = binary_step(high - low, ticks);
        let label = |value: f64| format!("{:#x}", integer(value));
        Axis::linear(low, high, multiples(low, high, step, label))
    }

    #[must_use]
    pub(super) fn named(mut self, name: &str) -> Axis {
        name.clone_into(&mut self.name);
        self
    }

    /// The same axis, whose ticks have no labels.
    #[must_use]
    pub(super) fn without_labels(mut self) -> Axis {
        self.ticks.iter_mut().for_each(|tick| tick.label.clear());
        self
    }

    /// The place of a value from 0 to 1; values beyond the ends are at the ends.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            libm::log(value.max(self.low) / self.low) / libm::log(self.high / self.low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// The width of the last label if it is drawn, in pixels.
    pub(super) fn last_label_width(&self) -> f64 {
        match self.ticks.last() {
            Some(tick) if !self.name.is_empty() => font::width(&tick.label, TICK),
            _ => 0.0,
        }
    }

    /// The width of the widest label, in pixels.
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
fn integer(value: f64) -> u128 {
    value as u128
}

/// A round number, 1, 2 or 5 times a power of ten, of which about `count` make `span`.
fn decimal_step(span: f64, count: u32) -> f64 {
    let rough = span / f64::from(count);
    if rough.is_nan() || rough <= 0.0 {
        return 1.0;
    }
    let power = libm::pow(10.0, libm::log10(rough).floor());
    let fitting = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|step| step * power >= rough * 0.8);
    fitting.unwrap_or(10.0) * power
}

/// A power of two, of which about `count` make `span`.
fn binary_step(span: f64, count: u32) -> f64 {
    let rough = (span / f64::from(count)).max(1.0);
    // `rough` is a fraction from 0.5 to 1 of a power of two.
    let (fraction, order) = libm::frexp(rough);
    let exact = fraction <= 0.5;
    libm::ldexp(1.0, if exact { order - 1 } else { order })
}

pub(super) fn power_of_two(order: u32) -> f64 {
    libm::ldexp(1.0, order.try_into().unwrap_or(i32::MAX))
}

/// Ticks at the multiples of a step from `low` to `high`. There is an end to them also where the
/// step is too small to tell one multiple from the next.
fn multiples(low: f64, high: f64, step: f64, label: impl Fn(f64) -> String) -> Vec<Tick> {
    const MOST: f64 = 64.0;
    let first = (low / step - 1e-9).ceil();
    let last = (high / step + 1e-9).floor();
    let mut ticks = Vec::new();
    let mut index = 0.0;
    while index <= (last - first).min(MOST) {
        let value = (first + index) * step;
        let label = label(value);
        ticks.push(Tick { value, label });
        index += 1.0;
    }
    ticks.dedup_by(|next, tick| next.value <= tick.value);
    ticks
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
            Axis::addresses(1e23, 1e23, 5),
            Axis::addresses(2e19, 2e19 + 4096.0, 5),
            Axis::events(1e19, 1e19 + 4096.0, 5),
            Axis::shares(1e300, 4),
            Axis::shares(1e-320, 4),
            Axis::bytes(1e300, 4),
            Axis::decades(1e-300, 1.0, 9, number::count),
        ] {
            assert!(axis.high > axis.low, "{axis:?}");
            assert!(axis.place(6.0).is_finite(), "{axis:?}");
            assert!(axis.ticks.len() <= 65, "{axis:?}");
        }
    }
}
