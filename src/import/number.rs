//! Numbers as recordings print them.

/// A number as probes print it: hexadecimal after `0x`, else decimal.
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => hexadecimal(digits),
        None if text.starts_with('+') => None,
        None => text.parse().ok(),
    }
}

/// A hexadecimal number without a prefix.
pub(crate) fn hexadecimal(digits: &str) -> Option<u64> {
    let plain = !digits.starts_with('+');
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}

/// A kernel address, which perf and trace-cmd print without `0x`.
pub(crate) fn address(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let long = digits.len() >= 8;
    long.then(|| hexadecimal(digits))?
}

/// Seconds with a fraction of up to nine digits.
pub(crate) fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let digits = u32::try_from(fraction.len()).ok()?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !plain(seconds) || !plain(fraction) || digits > 9 {
        return None;
    }
    let fraction = fraction.parse::<u64>().ok()? * 10_u64.pow(9 - digits);
    let seconds = seconds.parse::<u64>().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_base_in_front() {
        assert_eq!(number("0xfffff"), Some(0xf_ffff));
        assert_eq!(number("1048575"), Some(1_048_575));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "0x",
            "fffff",
            "-1",
            "+1",
            "0x+1",
            "18446744073709551616",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
