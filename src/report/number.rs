//! Numbers for people: grouped digits, exact ratios rounded once, times with a unit.

/// Digits in groups of three: `1,234,567`.
pub fn grouped(number: impl Into<u128>) -> String {
    in_threes(&number.into().to_string())
}

fn in_threes(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part / whole` with so many decimals, rounded to nearest, a half away from 0; none of a
/// whole of 0 or where the numbers are too large to divide exactly.
pub fn ratio(part: u128, whole: u128, decimals: u32) -> Option<String> {
    let scale = 10_u128.checked_pow(decimals)?;
    let doubled = part.checked_mul(scale)?.checked_mul(2)?;
    let scaled = doubled
        .checked_add(whole)?
        .checked_div(whole.checked_mul(2)?)?;
    let text = grouped(scaled / scale);
    if decimals == 0 {
        return Some(text);
    }
    let fraction = scaled % scale;
    Some(format!(
        "{text}.{fraction:0width$}",
        width = decimals as usize
    ))
}

/// A number with so many decimals, its whole part grouped.
pub fn decimal(number: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", number.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if number < 0.0 && !is_zero { "-" } else { "" };
    format!("{sign}{}{fraction}", in_threes(whole))
}

/// Decimals of a percentage, and the most that a small one gets.
const DECIMALS: u32 = 2;
const DECIMALS_MAX: u32 = 12;

/// `part / whole` in per cent: with two decimals, and with more where the share, or what it lacks
/// to 100 %, would otherwise have fewer than two significant digits. `None` of a whole of 0.
pub fn percent(part: u64, whole: u64) -> Option<String> {
    let rest = part.abs_diff(whole);
    let has_two_digits = |part: u64, decimals: u32| {
        let scaled = u128::from(part) * 100 * 10_u128.pow(decimals);
        part == 0 || scaled >= 10 * u128::from(whole)
    };
    let decimals = (DECIMALS..DECIMALS_MAX)
        .find(|&it| has_two_digits(part, it) && has_two_digits(rest, it))
        .unwrap_or(DECIMALS_MAX);
    let text = ratio(u128::from(part) * 100, whole.into(), decimals)?;
    Some(format!("{text} %"))
}

/// A share, or a difference of two, in per cent, with digits as [`percent`] has them.
pub fn percentage_points(share: f64) -> String {
    let percent = share * 100.0;
    let has_two_digits = |decimals: &u32| {
        let scale = (0..*decimals).fold(1.0, |scale, _| scale * 10.0);
        percent == 0.0 || percent.abs() * scale >= 9.95
    };
    let decimals = (DECIMALS..DECIMALS_MAX).find(has_two_digits);
    decimal(percent, decimals.unwrap_or(DECIMALS_MAX) as usize)
}

/// Nanoseconds in the largest unit that leaves at least 1: `12.3 ms`.
pub fn duration(nanos: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let fitting = UNITS.iter().find(|(unit, _)| nanos >= *unit);
    match fitting {
        Some(&(unit, name)) if nanos.is_multiple_of(unit) => format!("{} {name}", nanos / unit),
        Some(&(unit, name)) => {
            let text = ratio(nanos.into(), unit.into(), 1);
            format!("{} {name}", text.unwrap_or_default())
        }
        None => format!("{nanos} ns"),
    }
}

/// `one page`, `2 pages`: a count and the word for what is counted.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    let word = if count == 1 { one } else { many };
    format!("{} {word}", grouped(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_threes() {
        let texts = [0_u64, 999, 1000, 123_456, u64::MAX].map(grouped);
        let expected = ["0", "999", "1,000", "123,456", "18,446,744,073,709,551,615"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn ratios_are_rounded_once() {
        let texts = [
            (1, 3, 2),
            (2, 3, 2),
            (1, 8, 2),
            (5, 2, 0),
            (9999, 10_000, 2),
        ]
        .map(|(part, whole, decimals)| ratio(part, whole, decimals));
        let expected = ["0.33", "0.67", "0.13", "3", "1.00"];
        assert_eq!(texts, expected.map(|it| Some(it.to_owned())));
        assert_eq!(ratio(1, 0, 2), None);
        assert_eq!(ratio(u128::MAX, 3, 2), None);
    }

    #[test]
    fn decimals_keep_their_sign_unless_they_are_nothing() {
        let texts = [
            (1234.56, 1),
            (-1234.5, 0),
            (-0.004, 2),
            (-0.005_1, 2),
            (0.0, 0),
        ]
        .map(|(number, decimals)| decimal(number, decimals));
        assert_eq!(texts, ["1,234.6", "-1,234", "0.00", "-0.01", "0"]);
    }

    #[test]
    fn shares_keep_two_significant_digits() {
        let texts = [
            (0, 9),
            (24, 1_000_000),
            (999_976, 1_000_000),
            (9, 9),
            (8, 22),
            (1, u64::MAX),
        ]
        .map(|(part, whole)| percent(part, whole).expect("of something"));
        let expected = [
            "0.00 %",
            "0.0024 %",
            "99.9976 %",
            "100.00 %",
            "36.36 %",
            "0.000000000000 %",
        ];
        assert_eq!(texts, expected);
        assert_eq!(percent(0, 0), None);
    }

    #[test]
    fn percentage_points_keep_two_significant_digits() {
        let texts = [0.0, 0.031_8, -0.000_024, 0.000_95].map(percentage_points);
        assert_eq!(texts, ["0.00", "3.18", "-0.0024", "0.095"]);
    }

    #[test]
    fn durations_keep_a_unit_that_fits() {
        let texts = [0, 999, 1000, 1_500_000, 10_000_000, 3_210_000_000].map(duration);
        assert_eq!(
            texts,
            ["0 ns", "999 ns", "1 us", "1.5 ms", "10 ms", "3.2 s"]
        );
    }
}
