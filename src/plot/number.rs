//! Numbers on axes and labels, with their units: those of the reports, in as few digits as a picture
//! needs.

use crate::report::number::decimal;

pub(super) use crate::report::number::grouped;

/// A count as a floating-point number, which is exact up to 2^53: finer than any picture.
#[expect(clippy::cast_precision_loss, reason = "no picture shows the 53rd bit")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

/// A number with at most that many decimals: `1,234.5`.
pub(super) fn plain(value: f64, decimals: usize) -> String {
    let text = decimal(value, decimals);
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

/// A number with three significant digits, or all of a whole number: `0.0123`, `12.3`, `1,234`.
pub(super) fn short(value: f64) -> String {
    plain(value, decimals(value))
}

/// How many decimals a number needs for three significant digits, at most 6.
pub(super) fn decimals(value: f64) -> usize {
    if value == 0.0 {
        return 0;
    }
    let magnitude = libm::log10(value.abs()).floor();
    let decimals = (0_u8..6).find(|&decimals| f64::from(decimals) >= 2.0 - magnitude);
    decimals.unwrap_or(6).into()
}

/// Bytes in the largest unit that leaves at least 1: `1.5 GiB`.
pub(super) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(value), UNITS[unit])
}

/// The nanoseconds and the name of the largest unit of time that leaves at least 1.
pub(super) fn time_unit(nanos: f64) -> (f64, &'static str) {
    const UNITS: [(f64, &str); 3] = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let mut units = UNITS.into_iter();
    units
        .find(|(unit, _)| nanos >= *unit)
        .unwrap_or((1.0, "ns"))
}

/// Nanoseconds in the largest unit that leaves at least 1: `12.3 ms`.
pub(super) fn duration(nanos: f64) -> String {
    let (unit, name) = time_unit(nanos);
    format!("{} {name}", short(nanos / unit))
}

/// Nanoseconds with two significant digits: `8.4 ms`.
pub(super) fn rough_duration(nanos: f64) -> String {
    let digits = if nanos > 0.0 {
        libm::log10(nanos).floor()
    } else {
        0.0
    };
    let unit = libm::pow(10.0, digits - 1.0);
    duration((nanos / unit).round() * unit)
}

/// A share in per cent. A share above 0 never reads as 0, one below 1 never as 100.
pub(super) fn percent(share: f64) -> String {
    let text = short(share * 100.0);
    match text.as_str() {
        "0" if share > 0.0 => "<0.000001 %".to_owned(),
        "100" if share < 1.0 => ">99.9 %".to_owned(),
        _ => format!("{text} %"),
    }
}

/// A share in per cent with that many decimals, to be aligned with others; 0 and extremes as in
/// [`percent`].
pub(super) fn percent_with(share: f64, decimals: usize) -> String {
    let short = percent(share);
    if share == 0.0 || short.starts_with(['<', '>']) {
        return short;
    }
    format!("{} %", decimal(share * 100.0, decimals))
}

/// A count, of many thousands or millions in short: `9,999`, `20k`, `1.5M`.
pub(super) fn count(value: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e9, "G"), (1e6, "M"), (1e4, "k")];
    match UNITS.iter().find(|(unit, _)| value >= *unit) {
        Some(&(_, "k")) => format!("{}k", short(value / 1e3)),
        Some(&(unit, name)) => format!("{}{name}", short(value / unit)),
        None => short(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_significant_digits() {
        let texts = [
            0.0,
            0.000_5,
            0.008_432,
            0.012_34,
            1.5,
            12.345,
            123.4,
            1_234_567.0,
        ];
        let texts = texts.map(short);
        assert_eq!(
            texts,
            [
                "0",
                "0.0005",
                "0.00843",
                "0.0123",
                "1.5",
                "12.3",
                "123",
                "1,234,567"
            ]
        );
        assert_eq!(
            [1234.5, 1200.0].map(|it| plain(it, 2)),
            ["1,234.5", "1,200"]
        );
        assert_eq!(plain(1200.0, 0), "1,200");
    }

    #[test]
    fn units_are_the_largest_that_leave_one() {
        assert_eq!([0.0, 4096.0, 1.5e9].map(bytes), ["0 B", "4 KiB", "1.4 GiB"]);
        assert_eq!(bytes(2f64.powi(72)), "4,096 EiB");
        let texts = [0.0, 999.0, 1500.0, 12_300_000.0, 3e9].map(duration);
        assert_eq!(
            [1.0, 524_288.0, 8_388_608.0].map(rough_duration),
            ["1 ns", "520 µs", "8.4 ms"]
        );
        assert_eq!(texts, ["0 ns", "999 ns", "1.5 µs", "12.3 ms", "3 s"]);
        assert_eq!(
            [5.0, 9_999.0, 20_000.0, 1.5e6].map(count),
            ["5", "9,999", "20k", "1.5M"]
        );
    }

    #[test]
    fn a_small_share_is_not_nothing_and_a_large_one_not_all() {
        let texts = [0.0, 1e-9, 0.012_3, 0.999_99, 1.0].map(percent);
        assert_eq!(texts, ["0 %", "<0.000001 %", "1.23 %", ">99.9 %", "100 %"]);
    }
}
