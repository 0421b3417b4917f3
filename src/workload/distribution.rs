//! Whole numbers drawn from a distribution: delays in nanoseconds, sizes in bytes.
//!
//! Exponential and power-law numbers come from inverse distribution functions in fixed point
//! (`fixed.rs`), log-normal ones from `libm`. Both give the same bits on every platform; std's
//! functions do not promise that, nor does `rand_distr`, which uses them. Distributions with a
//! `max` draw again where a number exceeds it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fixed;
use super::invalid::InvalidConfig;
use super::quantity::{InPlace, Millionths, Or, Quantity, Time, Written, quantity};
use super::random::Draws;

/// Every number from `min` to `max` equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Uniform_{T}")]
#[serde(deny_unknown_fields)]
pub struct Uniform<T> {
    /// The smallest number.
    pub min: T,
    /// The largest number.
    pub max: T,
}

/// Numbers whose logarithm is normal: half of them below `median`, two thirds within a factor
/// of e^`sigma`, none above `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LogNormal_{T}")]
#[serde(deny_unknown_fields)]
pub struct LogNormal<T> {
    /// Half of the numbers are below it.
    pub median: T,
    /// The standard deviation of the natural logarithm: at most 10.
    #[schemars(extend("maximum" = 10))]
    pub sigma: Millionths,
    /// The largest number.
    pub max: T,
}

/// Numbers of which a share of (`min` / x)^`alpha` exceeds x, none above `max`: a heavy tail,
/// without a mean but for `max` where `alpha` ≤ 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PowerLaw_{T}")]
#[serde(deny_unknown_fields)]
pub struct PowerLaw<T> {
    /// The smallest number, at least 1.
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub min: T,
    /// How fast the tail falls: from 0.1 to 100.
    #[schemars(extend("minimum" = 0.1, "maximum" = 100))]
    pub alpha: Millionths,
    /// The largest number, at least twice `min`.
    #[schemars(extend("minimum" = 2, "pattern" = "[1-9]"))]
    pub max: T,
}

impl<T: Copy + Into<u64>> Uniform<T> {
    /// Refuses a `max` below `min`.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let (min, max) = (self.min.into(), self.max.into());
        InvalidConfig::unless(max >= min, "max", max, format!("at least `min`, {min}"))
    }

    pub(super) fn draw(&self, draws: &mut Draws) -> u64 {
        draws.between(self.min.into(), self.max.into())
    }
}

impl<T: Copy + Into<u64>> LogNormal<T> {
    /// Refuses a `max` below `median`, and a `sigma` above 10.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let (median, max) = (self.median.into(), self.max.into());
        let expected = format!("at least `median`, {median}");
        InvalidConfig::unless(max >= median, "max", max, expected)?;
        let sane = self.sigma.0 <= 10 * Millionths::ONE.0;
        InvalidConfig::unless(sane, "sigma", self.sigma, "at most 10")
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size or a time needs no more than 53 bits; the cast saturates"
    )]
    pub(super) fn draw(&self, draws: &mut Draws) -> u64 {
        let median = self.median.into() as f64;
        let sigma = self.sigma.0 as f64 / Millionths::ONE.0 as f64;
        again_above(self.max.into(), || {
            (median * libm::exp(sigma * normal(draws))) as u64
        })
    }
}

impl<T: Copy + Into<u64>> PowerLaw<T> {
    /// Refuses a `min` of 0, an `alpha` not from 0.1 to 100, and a `max` less than twice `min`.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let (min, max) = (self.min.into(), self.max.into());
        let sane = (100_000..=100_000_000).contains(&self.alpha.0);
        InvalidConfig::unless(min > 0, "min", min, "at least 1")?;
        InvalidConfig::unless(sane, "alpha", self.alpha, "from 0.1 to 100")?;
        let expected = format!("at least twice `min`, {min}");
        InvalidConfig::unless(max / 2 >= min, "max", max, expected)
    }

    pub(super) fn draw(&self, draws: &mut Draws) -> u64 {
        again_above(self.max.into(), || {
            let log2 = fixed::neg_log2(draws.bits());
            let doublings = log2 * Millionths::ONE.0 / self.alpha.0;
            fixed::scale(self.min.into(), doublings.cast_signed())
        })
    }
}

/// How times are drawn anew each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrawnTime {
    /// Every time from `min` to `max` equally often.
    Uniform(Uniform<Time>),
    /// The time between events that happen at random, this long on average.
    Exponential(Time),
    /// Times whose logarithm is normal.
    LogNormal(LogNormal<Time>),
    /// Times with a heavy tail.
    PowerLaw(PowerLaw<Time>),
}

impl InPlace for DrawnTime {
    const EXPECTED: &'static str = "an object that says how times are drawn";
}

/// A time, fixed or drawn anew each time. Whatever made it can be drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Or<Time, DrawnTime>", into = "Or<Time, DrawnTime>")]
pub struct Delay(Or<Time, DrawnTime>);

impl TryFrom<Or<Time, DrawnTime>> for Delay {
    type Error = InvalidConfig;

    fn try_from(text: Or<Time, DrawnTime>) -> Result<Delay, InvalidConfig> {
        match &text {
            Or::Short(_) | Or::Long(DrawnTime::Exponential(_)) => {}
            Or::Long(DrawnTime::Uniform(uniform)) => uniform.check()?,
            Or::Long(DrawnTime::LogNormal(log_normal)) => log_normal.check()?,
            Or::Long(DrawnTime::PowerLaw(power_law)) => power_law.check()?,
        }
        Ok(Delay(text))
    }
}

impl From<Delay> for Or<Time, DrawnTime> {
    fn from(delay: Delay) -> Self {
        delay.0
    }
}

impl Default for Delay {
    fn default() -> Delay {
        Delay::fixed(0)
    }
}

impl Delay {
    /// Always `nanos`.
    pub const fn fixed(nanos: u64) -> Delay {
        Delay(Or::Short(Time(nanos)))
    }

    /// The time between events that happen at random, `mean` nanoseconds on average.
    pub const fn exponential(mean: u64) -> Delay {
        Delay(Or::Long(DrawnTime::Exponential(Time(mean))))
    }

    /// Draws a time in nanoseconds.
    pub fn draw(self, draws: &mut Draws) -> u64 {
        match self.0 {
            Or::Short(time) => time.0,
            Or::Long(DrawnTime::Uniform(uniform)) => uniform.draw(draws),
            Or::Long(DrawnTime::Exponential(mean)) => {
                let nats = fixed::times(fixed::neg_log2(draws.bits()), fixed::LN_2);
                fixed::times(mean.0, nats)
            }
            Or::Long(DrawnTime::LogNormal(log_normal)) => log_normal.draw(draws),
            Or::Long(DrawnTime::PowerLaw(power_law)) => power_law.draw(draws),
        }
    }

    /// Whether nothing but 0 is ever drawn.
    pub fn is_zero(self) -> bool {
        let largest = match self.0 {
            Or::Short(largest) | Or::Long(DrawnTime::Exponential(largest)) => largest,
            Or::Long(DrawnTime::Uniform(uniform)) => uniform.max,
            Or::Long(DrawnTime::LogNormal(log_normal)) => log_normal.max,
            Or::Long(DrawnTime::PowerLaw(power_law)) => power_law.max,
        };
        largest == Time(0)
    }
}

/// How long a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    try_from = "Or<FixedLifetime, DrawnTime>",
    into = "Or<FixedLifetime, DrawnTime>"
)]
pub enum Lifetime {
    /// Until its owner ends.
    Forever,
    /// For this long.
    For(Delay),
}

/// A lifetime that is not drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedLifetime {
    /// Until the owner ends.
    Forever,
    /// For this long.
    For(Time),
}

impl Quantity for FixedLifetime {
    const EXPECTED: &'static str = "\"forever\", or a time such as \"10ms\"";
    const PATTERN: &'static str = "^(forever|[0-9]+(ns|us|ms|s|min|h))$";

    fn from_integer(integer: u64) -> Option<FixedLifetime> {
        Time::from_integer(integer).map(FixedLifetime::For)
    }

    fn from_text(text: &str) -> Option<FixedLifetime> {
        match text {
            "forever" => Some(FixedLifetime::Forever),
            text => Time::from_text(text).map(FixedLifetime::For),
        }
    }

    fn written(&self) -> Written {
        match self {
            FixedLifetime::Forever => Written::Text("forever".to_owned()),
            FixedLifetime::For(time) => time.written(),
        }
    }
}

quantity!(FixedLifetime);

impl TryFrom<Or<FixedLifetime, DrawnTime>> for Lifetime {
    type Error = InvalidConfig;

    fn try_from(text: Or<FixedLifetime, DrawnTime>) -> Result<Lifetime, InvalidConfig> {
        let delay = match text {
            Or::Short(FixedLifetime::Forever) => return Ok(Lifetime::Forever),
            Or::Short(FixedLifetime::For(time)) => Or::Short(time),
            Or::Long(drawn) => Or::Long(drawn),
        };
        Delay::try_from(delay).map(Lifetime::For)
    }
}

impl From<Lifetime> for Or<FixedLifetime, DrawnTime> {
    fn from(lifetime: Lifetime) -> Self {
        match lifetime {
            Lifetime::Forever => Or::Short(FixedLifetime::Forever),
            Lifetime::For(Delay(Or::Short(time))) => Or::Short(FixedLifetime::For(time)),
            Lifetime::For(Delay(Or::Long(drawn))) => Or::Long(drawn),
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

/// Draws from the standard normal distribution (Box and Muller 1958) with two uniform numbers of
/// 53 bits; the tail reaches 8.57 standard deviations.
#[expect(clippy::cast_precision_loss, reason = "53 bits")]
fn normal(draws: &mut Draws) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    // In (0, 1] and [0, 1).
    let radius = ((draws.bits() >> 11) + 1) as f64 * UNIT;
    let turn = (draws.bits() >> 11) as f64 * UNIT;
    libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(std::f64::consts::TAU * turn)
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    reason = "statistics are checked in floats"
)]
mod tests {
    use super::*;
    use crate::workload::random::Owner;

    fn delay(drawn: DrawnTime) -> Result<Delay, InvalidConfig> {
        Delay::try_from(Or::Long(drawn))
    }

    fn uniform(min: u64, max: u64) -> Result<Delay, InvalidConfig> {
        let [min, max] = [min, max].map(Time);
        delay(DrawnTime::Uniform(Uniform { min, max }))
    }

    fn log_normal(median: u64, sigma: u64, max: u64) -> Result<Delay, InvalidConfig> {
        let [median, max] = [median, max].map(Time);
        let sigma = Millionths(sigma);
        delay(DrawnTime::LogNormal(LogNormal { median, sigma, max }))
    }

    fn power_law(min: u64, alpha: u64, max: u64) -> Result<Delay, InvalidConfig> {
        let [min, max] = [min, max].map(Time);
        let alpha = Millionths(alpha);
        delay(DrawnTime::PowerLaw(PowerLaw { min, alpha, max }))
    }

    fn sample(distribution: Delay) -> Vec<u64> {
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
            Delay::fixed(5),
            uniform(1, 1000).expect("possible"),
            Delay::exponential(1_000_000),
            log_normal(65536, 1_500_000, 1 << 30).expect("possible"),
            power_law(4096, 1_100_000, 1 << 30).expect("possible"),
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
                [2409, 249_920, 20_512, 277_125, 54_573, 243_376],
                [22_522, 4412, 4538, 4655, 43_902, 10_452],
            ]
        );
    }

    #[test]
    fn exponential_numbers_have_their_mean_and_quantiles() {
        let numbers = sample(Delay::exponential(1_000_000));
        let mean = numbers.iter().sum::<u64>() as f64 / numbers.len() as f64;
        near(mean, 1e6, 2.0);
        near(quantile(&numbers, 50), 1e6 * std::f64::consts::LN_2, 3.0);
        near(quantile(&numbers, 99), 1e6 * 100_f64.ln(), 5.0);
    }

    #[test]
    fn power_laws_have_their_tail() {
        let alpha = 1_500_000;
        let numbers = sample(power_law(1000, alpha, 1 << 60).expect("possible"));
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
        let sigma = 1_500_000;
        let numbers = sample(log_normal(65536, sigma, 1 << 60).expect("possible"));
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

    /// Of a standard normal distribution 0.27 % lie beyond three deviations and 0.0063 % beyond
    /// four: of 2,000,000 numbers 5,400 (standard deviation 73) and 127 (11).
    #[test]
    fn normal_numbers_have_their_tail() {
        let mut draws = Owner::new(1, "test").draws("normal");
        let mut beyond = [0_u32; 2];
        for _ in 0..2_000_000 {
            let deviations = normal(&mut draws).abs();
            beyond[0] += u32::from(deviations > 3.0);
            beyond[1] += u32::from(deviations > 4.0);
        }
        assert!(beyond[0].abs_diff(5400) < 300, "{beyond:?}");
        assert!(beyond[1].abs_diff(127) < 50, "{beyond:?}");
    }

    #[test]
    fn nothing_is_drawn_beyond_the_bounds() {
        let shapes = [
            uniform(10, 20),
            power_law(10, 100_000, 20),
            log_normal(20, 10_000_000, 20),
        ];
        let shapes = shapes.map(|shape| shape.expect("possible"));
        for shape in shapes {
            let numbers = sample(shape);
            assert!(numbers[0] >= 10 || shape == shapes[2], "{shape:?}");
            assert_eq!(numbers.last(), Some(&20), "{shape:?}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_from_is_refused() {
        let refused = [
            uniform(2, 1),
            log_normal(2, 1_000_000, 1),
            log_normal(2, 10_000_001, 10),
            power_law(0, 1_000_000, 10),
            power_law(1, 99_999, 10),
            power_law(1, 1_000_000, 1),
        ];
        let fields = refused.map(|result| result.expect_err("impossible").field);
        assert_eq!(fields, ["max", "max", "sigma", "min", "alpha", "max"]);
    }
}
