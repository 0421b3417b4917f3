//! Intervals for rates and differences.
//!
//! Requests of one run are not independent: a full space refuses many in a row. Seeds are. So
//! an interval comes from the spread between seeds (Student's t); only where there is no
//! spread to go by (one seed, or the same rate in all) from the number of requests (Wilson).
//! Nothing but the four operations and square roots, which are the same on every platform.

/// The 97.5 % points of Student's t with 1, 2, … 30 degrees of freedom.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// The same with more degrees of freedom, each from here on; between two the wider counts.
const T_BEYOND: [(usize, f64); 4] = [(31, 2.042), (40, 2.021), (60, 2.000), (120, 1.980)];

/// The 97.5 % point of the normal distribution.
const NORMAL: f64 = 1.959_964;

/// A mean and the 95 % interval around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The interval; none of a single value.
    pub interval: Option<[f64; 2]>,
}

/// The mean of independent values and its 95 % interval by Student's t; none of no values.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let count = to_f64(values.len());
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    let freedom = values.len().checked_sub(1)?;
    let interval = (freedom > 0).then(|| {
        let half = t(freedom) * (squares / to_f64(freedom) / count).sqrt();
        [mean - half, mean + half]
    });
    Some(Estimate { mean, interval })
}

/// The 95 % interval of a rate of `part` in `whole` by Wilson's score; none of nothing.
pub fn wilson(part: u64, whole: u64) -> Option<[f64; 2]> {
    if whole == 0 {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double is near enough"
    )]
    let (part, whole) = (part as f64, whole as f64);
    let (rate, square) = (part / whole, NORMAL * NORMAL);
    let scale = 1.0 + square / whole;
    let middle = (rate + square / (2.0 * whole)) / scale;
    let spread = (rate * (1.0 - rate) + square / (4.0 * whole)) / whole;
    let half = NORMAL * spread.sqrt() / scale;
    let low = if part > 0.0 {
        (middle - half).max(0.0)
    } else {
        0.0
    };
    let high = if part < whole {
        (middle + half).min(1.0)
    } else {
        1.0
    };
    Some([low, high])
}

fn t(freedom: usize) -> f64 {
    let beyond = || T_BEYOND.iter().rev().find(|(from, _)| freedom >= *from);
    T.get(freedom - 1)
        .copied()
        .unwrap_or_else(|| beyond().map_or(T[29], |&(_, point)| point))
}

#[expect(clippy::cast_precision_loss, reason = "counts of seeds are small")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: [f64; 2], expected: [f64; 2]) {
        let near = |a: f64, b: f64| (a - b).abs() < 5e-4;
        let both = near(found[0], expected[0]) && near(found[1], expected[1]);
        assert!(both, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn wilson_is_as_in_the_textbooks() {
        close(wilson(0, 20).expect("some"), [0.0, 0.1611]);
        close(wilson(10, 20).expect("some"), [0.2993, 0.7007]);
        close(wilson(20, 20).expect("some"), [0.8389, 1.0]);
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn students_t_is_as_in_the_textbooks() {
        let five = estimate(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("some");
        close(
            five.interval.expect("a spread"),
            [3.0 - 1.9632, 3.0 + 1.9632],
        );
        let one = Estimate {
            mean: 7.0,
            interval: None,
        };
        assert_eq!((estimate(&[7.0]), estimate(&[])), (Some(one), None));
        assert!(t(1000) < t(60) && t(60) < t(31) && t(31) <= t(30));
    }
}
