//! Logarithm and power of two in fixed point, for exponential and power-law numbers and for
//! scatter lists.
//!
//! Numbers are Q32: 32 bits after the point. Both functions interpolate tables of 256 steps
//! that are computed with integers alone when the program is compiled, so that a draw is the
//! same on every platform; their relative errors are below 3 × 10⁻⁶. `libm` would do as well,
//! but its last bits differ: nearly every scenario would issue other requests, and earlier results
//! could not be compared any more.

use std::num::NonZeroU64;

/// One, in Q32.
pub(super) const ONE: u64 = 1 << 32;

/// The natural logarithm of two, in Q32.
pub(super) const LN_2: u64 = 2_977_044_472;

/// −log2 of the number in (0, 1] that `bits` stands for, (`bits` + 1) / 2^64: from 0 to 64.
pub(super) fn neg_log2(bits: u64) -> u64 {
    let Some(number) = bits.checked_add(1) else {
        return 0;
    };
    let shift = number.leading_zeros();
    (u64::from(shift) + 1) * ONE - fraction_log2(number << shift)
}

/// log2 of a positive whole number.
pub(super) fn log2(number: NonZeroU64) -> u64 {
    let shift = number.leading_zeros();
    u64::from(63 - shift) * ONE + fraction_log2(number.get() << shift)
}

/// `factor` × 2^`exponent`, the exponent in Q32; the largest number where that overflows.
pub(super) fn scale(factor: u64, exponent: i64) -> u64 {
    let whole = exponent >> 32;
    let fraction = exponent.cast_unsigned() & (ONE - 1);
    let step = usize::try_from(fraction >> 24).expect("eight bits");
    let power = interpolate(POWERS[step], POWERS[step + 1], fraction & 0xff_ffff, 24);
    // At most 64 and 63 bits, 62 of them after the point.
    let product = u128::from(factor) * u128::from(power);
    let scaled = match whole {
        64.. if factor > 0 => u128::MAX,
        63 => product << 1,
        _ => {
            let down = u32::try_from(62 - whole).unwrap_or(u32::MAX);
            product.checked_shr(down).unwrap_or(0)
        }
    };
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// `number` × `factor`, the factor in Q32; the largest number where that overflows.
pub(super) fn times(number: u64, factor: u64) -> u64 {
    let product = (u128::from(number) * u128::from(factor)) >> 32;
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// log2 of a number in [1, 2) in Q63, from its table.
fn fraction_log2(number: u64) -> u64 {
    let step = usize::try_from((number >> 55) & 0xff).expect("eight bits");
    interpolate(LOGS[step], LOGS[step + 1], number & ((1 << 55) - 1), 55)
}

/// The value that lies `part` / 2^`bits` of the way from `from` to `to`.
fn interpolate(from: u64, to: u64, part: u64, bits: u32) -> u64 {
    let rise = (u128::from(to - from) * u128::from(part)) >> bits;
    from + u64::try_from(rise).expect("less than the rise of one step")
}

/// log2(1 + i / 256) in Q32.
static LOGS: [u64; 257] = logs();

/// 2^(i / 256) in Q62.
static POWERS: [u64; 257] = powers();

const fn logs() -> [u64; 257] {
    let mut table = [0; 257];
    let mut i = 0;
    while i < 256 {
        // Squaring doubles a logarithm: each square that reaches 2 is a one bit.
        let mut number: u128 = (256 + i as u128) << 55;
        let mut bit = 32;
        while bit > 0 {
            bit -= 1;
            number = (number * number) >> 63;
            if number >> 64 != 0 {
                number >>= 1;
                table[i] |= 1 << bit;
            }
        }
        i += 1;
    }
    table[256] = ONE;
    table
}

const fn powers() -> [u64; 257] {
    // 2^(1/2), 2^(1/4), … 2^(1/256) by square roots, in Q62; their products give the rest.
    let mut roots = [0_u128; 8];
    let mut root: u128 = 2 << 62;
    let mut i = 0;
    while i < 8 {
        root = (root << 62).isqrt();
        roots[i] = root;
        i += 1;
    }
    let mut table = [0; 257];
    let mut i = 0;
    while i < 256 {
        let mut power: u128 = 1 << 62;
        let mut bit = 0;
        while bit < 8 {
            if i & (0x80 >> bit) != 0 {
                power = (power * roots[bit]) >> 62;
            }
            bit += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 2 in Q62")]
        {
            table[i] = power as u64;
        }
        i += 1;
    }
    table[256] = 2 << 62;
    table
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the floats are what the integers are checked against"
)]
mod tests {
    use super::*;

    fn float(q32: u64) -> f64 {
        q32 as f64 / ONE as f64
    }

    #[test]
    fn constants_are_rounded_to_the_last_bit() {
        assert!((float(LN_2) - std::f64::consts::LN_2).abs() * 2.0 < float(1));
    }

    #[test]
    fn logarithms_are_close_to_the_real_ones() {
        for bits in (0..64).map(|shift| 0xdead_beef_1234_5678_u64 >> shift) {
            let real = 64.0 - (bits as f64 + 1.0).log2();
            let ours = float(neg_log2(bits));
            assert!((real - ours).abs() < 3e-6, "of {bits}: {real}, {ours}");
            let number = NonZeroU64::new(bits).expect("not zero");
            let (real, ours) = ((bits as f64).log2(), float(log2(number)));
            assert!((real - ours).abs() < 3e-6, "of {bits}: {real}, {ours}");
        }
        assert_eq!(neg_log2(u64::MAX), 0);
        assert_eq!(neg_log2(0), 64 * ONE);
    }

    #[test]
    fn logarithms_never_grow_with_their_number() {
        let bits = (0..100_000).map(|i: u64| i * (u64::MAX / 100_000));
        let logs: Vec<_> = bits.map(neg_log2).collect();
        assert!(logs.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn powers_are_close_to_the_real_ones() {
        for exponent in -40_i32..40 {
            let exponent = f64::from(exponent) / 3.7;
            let real = exponent.exp2() * 1e12;
            let ours = scale(1_000_000_000_000, (exponent * ONE as f64) as i64) as f64;
            assert!(
                (ours / real - 1.0).abs() < 3e-6,
                "{exponent}: {real}, {ours}"
            );
        }
    }

    #[test]
    fn powers_saturate() {
        assert_eq!(scale(3, 1 << 32), 6);
        assert_eq!(scale(0, i64::MAX), 0);
        assert_eq!(scale(1, i64::MAX), u64::MAX);
        assert_eq!(scale(u64::MAX, i64::MIN), 0);
        assert_eq!(scale(1, 64 << 32), u64::MAX);
        assert_eq!(scale(1, 63 << 32), 1 << 63);
        assert_eq!(times(u64::MAX, 2 * ONE), u64::MAX);
        assert_eq!(times(10, ONE / 2), 5);
    }
}
