//! Numbers as axes and labels say them, with their units.

/// A count as a floating-point number, which is exact up to 2^53: finer than any picture.
#[expect(clippy::cast_precision_loss, reason = "no picture shows the 53rd bit")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

/// A number with at most so many decimals, digits in groups of three: `1,234.5`.
pub(super) fn plain(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{grouped}{point}{fraction}")
}

/// A number with three digits that count, or all of a whole number: `0.0123`, `12.3`, `1,234`.
pub(super) fn short(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        _ if magnitude >= 100.0 || magnitude == 0.0 => 0,
        _ if magnitude >= 10.0 => 1,
        _ if magnitude >= 1.0 => 2,
        _ if magnitude >= 0.1 => 3,
        _ if magnitude >= 0.01 => 4,
        _ => 6,
    };
    plain(value, decimals)
}

/// Steps between units of bytes.
const BYTE_UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes in the largest unit that leaves at least 1: `1.5 GiB`.
pub(super) fn bytes(bytes: f64) -> String {
    let mut value = bytes;
    let mut units = BYTE_UNITS.iter();
    let mut unit = units.next();
    while value >= 1024.0
        && let Some(next) = units.next()
    {
        value /= 1024.0;
        unit = Some(next);
    }
    format!("{} {}", short(value), unit.unwrap_or(&"B"))
}

/// Nanoseconds in the largest unit that leaves at least 1: `12.3 ms`.
pub(super) fn duration(nanos: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let fitting = UNITS.iter().find(|(unit, _)| nanos >= *unit);
    let &(unit, name) = fitting.unwrap_or(&(1.0, "ns"));
    format!("{} {name}", short(nanos / unit))
}

/// The same with two digits that count.
pub(super) fn rough_duration(nanos: f64) -> String {
    let digits = if nanos > 0.0 {
        nanos.log10().floor()
    } else {
        0.0
    };
    let unit = 10f64.powf(digits - 1.0);
    duration((nanos / unit).round() * unit)
}

/// A share in per cent; what is more than nothing never reads as 0, what is less than all
/// never as 100.
pub(super) fn percent(share: f64) -> String {
    let text = short(share * 100.0);
    match text.as_str() {
        "0" if share > 0.0 => "<0.000001 %".to_owned(),
        "100" if share < 1.0 => ">99.9 %".to_owned(),
        _ => format!("{text} %"),
    }
}

/// A count of thousands or millions in short: `20k`, `1.5M`.
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
    fn numbers_keep_the_digits_that_count() {
        let texts = [0.0, 0.000_5, 0.012_34, 1.5, 12.345, 123.4, 1_234_567.0].map(short);
        assert_eq!(
            texts,
            ["0", "0.0005", "0.0123", "1.5", "12.3", "123", "1,234,567"]
        );
        assert_eq!(plain(-1234.5, 2), "−1,234.5");
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
