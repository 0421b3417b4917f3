//! Eight bytes at a time: words, and what is asked of them in a few steps without a branch.
//!
//! A word holds its first byte in its lowest eight bits.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * ONES;

/// The word of up to eight bytes; what is missing is zero.
pub(super) const fn word(bytes: &[u8]) -> u64 {
    let mut word = 0;
    let mut index = 0;
    while index < bytes.len() && index < 8 {
        word |= (bytes[index] as u64) << (8 * index);
        index += 1;
    }
    word
}

/// How many bytes come before the first that equals `byte`; 8 if none does.
pub(super) const fn until(word: u64, byte: u8) -> usize {
    // A byte that is zero borrows. What a borrow sets above it does not matter: only the first
    // counts.
    let zero_at = word ^ (byte as u64 * ONES);
    first(zero_at.wrapping_sub(ONES) & !zero_at & HIGH_BITS)
}

/// How many bytes come before the first that ends a string or is not itself in it: a quote, a
/// backslash or a control character; 8 if none does.
pub(super) const fn plain(word: u64) -> usize {
    let quote = word ^ (b'"' as u64 * ONES);
    let backslash = word ^ (b'\\' as u64 * ONES);
    let zero =
        (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash);
    let below_space = word.wrapping_sub(b' ' as u64 * ONES) & !word;
    first((zero | below_space) & HIGH_BITS)
}

/// How many bytes come before the first that is not a digit; 8 if all are.
pub(super) const fn digits(word: u64) -> usize {
    // 0x76 more than a digit's value stays below 0x80, more than any other ASCII byte's does not.
    // What a carry sets above it does not matter: only the first counts.
    let values = word ^ (b'0' as u64 * ONES);
    first((values.wrapping_add(0x76 * ONES) | values) & HIGH_BITS)
}

/// The first `length` bytes of a word; at most 8.
pub(super) const fn head(word: u64, length: usize) -> u64 {
    match length {
        8.. => word,
        _ => word & ((1 << (8 * length)) - 1),
    }
}

/// The value of the `count` digits, from 1 to 8, that a word begins with.
pub(super) const fn decimal(word: u64, count: usize) -> u64 {
    // Aligned to the word's end, so that zeros come before them. Then neighbours are made one
    // number, three times: two digits, four, eight.
    let ones = (word ^ (b'0' as u64 * ONES)) << (64 - 8 * count);
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

/// The index of the first byte whose high bit is set; 8 if none is.
const fn first(high_bits: u64) -> usize {
    high_bits.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agree_with_a_loop_over_bytes(bytes: [u8; 8], byte: u8, length in 0..9_usize) {
            let all = word(&bytes);
            let position = |found: &dyn Fn(&u8) -> bool| bytes.iter().position(found).unwrap_or(8);
            prop_assert_eq!(all, u64::from_le_bytes(bytes));
            prop_assert_eq!(until(all, byte), position(&|&b| b == byte));
            prop_assert_eq!(plain(all), position(&|&b| b == b'"' || b == b'\\' || b < b' '));
            prop_assert_eq!(digits(all), position(&|b| !b.is_ascii_digit()));
            prop_assert_eq!(head(all, length), word(&bytes[..length]));
        }

        #[test]
        fn reads_the_digits_that_it_counts(number in 0..100_000_000_u64, rest in "[^0-9]*") {
            let text = format!("{number}{rest}        ");
            let all = word(text.as_bytes());
            prop_assert_eq!(decimal(all, digits(all)), number);
        }
    }
}
