//! Whole numbers drawn from a distribution: delays in nanoseconds, sizes in bytes.
//!
//! Inverse distribution functions in fixed point (`fixed.rs`). The log-normal takes its
//! normal number as the sum of twelve uniform ones, which leaves nothing beyond six standard
//! deviations and thins the tail from three on. Distributions with a `max` draw again where a
//! number exceeds it.

use std::fmt;

use super::fixed;
use super::impossible::Impossible;
use super::random::Draws;

/// How numbers are distributed. Made by constructors that refuse what cannot be drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution(Shape);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Fixed(u64),
    Uniform {
        min: u64,
        max: u64,
    },
    Exponential {
        mean: u64,
    },
    LogNormal {
        median: u64,
        sigma: Millionths,
        max: u64,
    },
    PowerLaw {
        min: u64,
        alpha: Millionths,
        max: u64,
    },
}

/// A decimal number, exact to six places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millionths(pub u64);

impl fmt::Display for Millionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / Millionths::ONE.0, self.0 % Millionths::ONE.0);
        let text = format!("{whole}.{part:06}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Millionths {
    pub const ONE: Millionths = Millionths(1_000_000);
}

impl Distribution {
    /// Always `value`.
    pub const fn fixed(value: u64) -> Distribution {
        Distribution(Shape::Fixed(value))
    }

    /// Every number from `min` to `max` equally often.
    ///
    /// # Errors
    ///
    /// Where `max` is below `min`.
    pub fn uniform(min: u64, max: u64) -> Result<Distribution, Impossible> {
        Impossible::unless(max >= min, "max", max, format!("at least `min`, {min}"))?;
        Ok(Distribution(Shape::Uniform { min, max }))
    }

    /// The time between events that happen at random, `mean` on average.
    pub const fn exponential(mean: u64) -> Distribution {
        Distribution(Shape::Exponential { mean })
    }

    /// Numbers whose logarithm is normal: half of them below `median`, two thirds within a
    /// factor of e^`sigma`, none above `max`.
    ///
    /// # Errors
    ///
    /// Where `max` is below `median`, or `sigma` above 10.
    pub fn log_normal(
        median: u64,
        sigma: Millionths,
        max: u64,
    ) -> Result<Distribution, Impossible> {
        let expected = format!("at least `median`, {median}");
        Impossible::unless(max >= median, "max", max, expected)?;
        Impossible::unless(sigma.0 <= 10_000_000, "sigma", sigma, "at most 10")?;
        Ok(Distribution(Shape::LogNormal { median, sigma, max }))
    }

    /// Numbers of which a share of (`min` / x)^`alpha` exceeds x, none above `max`: a heavy
    /// tail, without a mean but for `max` where `alpha` ≤ 1.
    ///
    /// # Errors
    ///
    /// Where `min` is 0, `alpha` not from 0.1 to 100, or `max` less than twice `min`.
    pub fn power_law(
        min: u64,
        alpha: Millionths,
        max: u64,
    ) -> Result<Distribution, Impossible> {
        let sane = (100_000..=100_000_000).contains(&alpha.0);
        Impossible::unless(min > 0, "min", min, "at least 1")?;
        Impossible::unless(sane, "alpha", alpha, "from 0.1 to 100")?;
        let expected = format!("at least twice `min`, {min}");
        Impossible::unless(max / 2 >= min, "max", max, expected)?;
        Ok(Distribution(Shape::PowerLaw { min, alpha, max }))
    }

    pub fn draw(self, draws: &mut Draws) -> u64 {
        match self.0 {
            Shape::Fixed(value) => value,
            Shape::Uniform { min, max } => draws.between(min, max),
            Shape::Exponential { mean } => {
                let nats = fixed::times(fixed::neg_log2(draws.bits()), fixed::LN_2);
                fixed::times(mean, nats)
            }
            Shape::LogNormal { median, sigma, max } => {
                again_above(max, || fixed::scale(median, normal_log2(draws, sigma)))
            }
            Shape::PowerLaw { min, alpha, max } => again_above(max, || {
                let doublings = fixed::neg_log2(draws.bits()) * Millionths::ONE.0 / alpha.0;
                fixed::scale(min, doublings.cast_signed())
            }),
        }
    }

    /// Whether nothing but 0 is ever drawn.
    pub fn is_zero(self) -> bool {
        self.bounds() == (0, Some(0))
    }

    /// The smallest number that is drawn and the largest, none where there is no bound.
    pub fn bounds(self) -> (u64, Option<u64>) {
        match self.0 {
            Shape::Fixed(value) => (value, Some(value)),
            Shape::Uniform { min, max } | Shape::PowerLaw { min, max, .. } => (min, Some(max)),
            Shape::Exponential { mean } => (0, (mean == 0).then_some(0)),
            Shape::LogNormal { max, .. } => (0, Some(max)),
        }
    }
}

/// The first number of `draw` that is not above `max`. Each is with a chance of at least 6 %,
/// by what the constructors ask for.
fn again_above(max: u64, mut draw: impl FnMut() -> u64) -> u64 {
    loop {
        let number = draw();
        if number <= max {
            return number;
        }
    }
}

/// A normal number around 0 with standard deviation `sigma` natural logarithms, as a binary
/// logarithm in Q32.
fn normal_log2(draws: &mut Draws, sigma: Millionths) -> i64 {
    let sum: u64 = (0..6)
        .map(|_| draws.bits())
        .map(|bits| (bits >> 32) + (bits & (fixed::ONE - 1)))
        .sum();
    let deviations = i128::from(sum) - i128::from(6 * fixed::ONE);
    let nats = deviations * i128::from(sigma.0) / i128::from(Millionths::ONE.0);
    let doublings = (nats * i128::from(fixed::LOG2_E)) >> 32;
    i64::try_from(doublings).expect("six times ten, doubled, in Q32")
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    reason = "statistics are checked in floats"
)]
mod tests {
    use super::*;
    use crate::workload::random::Owner;

    fn sample(distribution: Distribution) -> Vec<u64> {
        let mut draws = Owner::new(1, "test").draws("numbers");
        let mut numbers: Vec<_> = (0..40_000).map(|_| distribution.draw(&mut draws)).collect();
        numbers.sort_unstable();
        numbers
    }

    fn quantile(sorted: &[u64], percent: usize) -> f64 {
        sorted[sorted.len() * percent / 100] as f64
    }

    fn near(found: f64, expected: f64, percent: f64) {
        let off = (found / expected - 1.0).abs() * 100.0;
        assert!(
            off < percent,
            "{found}, expected {expected}, off by {off} %"
        );
    }

    #[test]
    fn draws_are_pinned() {
        let mut draws = Owner::new(7, "pinned").draws("numbers");
        let shapes = [
            Distribution::fixed(5),
            Distribution::uniform(1, 1000).expect("possible"),
            Distribution::exponential(1_000_000),
            Distribution::log_normal(65536, Millionths(1_500_000), 1 << 30).expect("possible"),
            Distribution::power_law(4096, Millionths(1_100_000), 1 << 30).expect("possible"),
        ];
        let numbers: Vec<Vec<_>> = shapes
            .iter()
            .map(|shape| (0..6).map(|_| shape.draw(&mut draws)).collect())
            .collect();
        assert_eq!(
            numbers,
            [
                [5, 5, 5, 5, 5, 5],
                [771, 927, 945, 221, 968, 439],
                [1_954_896, 671_370, 2_575_673, 998_162, 756_144, 1_142_705],
                [24_879, 175_068, 151_500, 1_611_260, 163_814, 20_826],
                [17_973, 7952, 20_871, 4781, 7645, 5340],
            ]
        );
    }

    #[test]
    fn exponential_numbers_have_their_mean_and_quantiles() {
        let numbers = sample(Distribution::exponential(1_000_000));
        let mean = numbers.iter().sum::<u64>() as f64 / numbers.len() as f64;
        near(mean, 1e6, 2.0);
        near(quantile(&numbers, 50), 1e6 * std::f64::consts::LN_2, 3.0);
        near(quantile(&numbers, 99), 1e6 * 100_f64.ln(), 5.0);
    }

    #[test]
    fn power_laws_have_their_tail() {
        let alpha = Millionths(1_500_000);
        let numbers = sample(Distribution::power_law(1000, alpha, 1 << 60).expect("possible"));
        assert!(numbers[0] >= 1000);
        near(quantile(&numbers, 50), 1000.0 * 2_f64.powf(1.0 / 1.5), 2.0);
        near(
            quantile(&numbers, 99),
            1000.0 * 100_f64.powf(1.0 / 1.5),
            8.0,
        );
    }

    #[test]
    fn log_normal_numbers_have_their_median_and_spread() {
        let sigma = Millionths(1_500_000);
        let numbers =
            sample(Distribution::log_normal(65536, sigma, 1 << 60).expect("possible"));
        near(quantile(&numbers, 50), 65536.0, 3.0);
        near(
            quantile(&numbers, 84),
            65536.0 * (0.994_458 * 1.5_f64).exp(),
            5.0,
        );
        near(
            quantile(&numbers, 16),
            65536.0 * (-0.994_458 * 1.5_f64).exp(),
            5.0,
        );
    }

    #[test]
    fn nothing_is_drawn_beyond_the_bounds() {
        let shapes = [
            Distribution::uniform(10, 20),
            Distribution::power_law(10, Millionths(100_000), 20),
            Distribution::log_normal(20, Millionths(10_000_000), 20),
        ];
        for shape in shapes.map(|shape| shape.expect("possible")) {
            let numbers = sample(shape);
            let (min, max) = shape.bounds();
            assert!(numbers[0] >= min, "{shape:?}");
            assert_eq!(numbers.last().copied(), max, "{shape:?}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_from_is_refused() {
        let refused = [
            Distribution::uniform(2, 1),
            Distribution::log_normal(2, Millionths::ONE, 1),
            Distribution::log_normal(2, Millionths(10_000_001), 10),
            Distribution::power_law(0, Millionths::ONE, 10),
            Distribution::power_law(1, Millionths(99_999), 10),
            Distribution::power_law(1, Millionths::ONE, 1),
        ];
        let fields = refused.map(|result| result.expect_err("impossible").field);
        assert_eq!(fields, ["max", "max", "sigma", "min", "alpha", "max"]);
    }
}
