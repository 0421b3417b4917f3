//! The value of a metric, and the arithmetic that makes one.

/// A number: an integer, or the nearest double where it is none. Whole numbers below 2^64 are
/// always integers, so that equal numbers are equal values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// An exact integer.
    Count(u64),
    /// The nearest double to a ratio or a mean.
    Real(f64),
}

/// The quotient of the nearest doubles; `None` of a whole of 0.
pub(super) fn quotient(part: u128, whole: u128) -> Option<Value> {
    (whole > 0).then(|| Value::real(to_f64(part) / to_f64(whole)))
}

#[expect(clippy::unnecessary_wraps, reason = "what `Pool::Mean` takes")]
pub(super) fn double(number: impl Into<u128>) -> Option<f64> {
    Some(to_f64(number.into()))
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
pub(super) fn to_f64(number: u128) -> f64 {
    number as f64
}

impl Value {
    /// A number; an integer where it is whole.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number below 2^64 that is not negative"
    )]
    pub fn real(number: f64) -> Value {
        const END: f64 = 18_446_744_073_709_551_616.0;
        if (0.0..END).contains(&number) && number.fract() == 0.0 {
            Value::Count(number as u64)
        } else {
            Value::Real(number)
        }
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            Value::Count(count) => to_f64(count.into()),
            Value::Real(number) => number,
        }
    }

    /// By how much a value rose. Between integers it is exact before it is made a double, so that
    /// a rise of 1 is never lost.
    pub fn rise(before: Value, after: Value) -> f64 {
        match (before, after) {
            (Value::Count(before), Value::Count(after)) if after >= before => {
                to_f64((after - before).into())
            }
            (Value::Count(before), Value::Count(after)) => -to_f64((before - after).into()),
            _ => after.to_f64() - before.to_f64(),
        }
    }
}
