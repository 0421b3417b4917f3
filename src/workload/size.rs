//! How large a client's buffers are, in bytes.

use std::num::NonZeroU64;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::distribution::{LogNormal, PowerLaw, Uniform};
use super::fixed;
use super::invalid::InvalidConfig;
use super::quantity::{Bytes, InPlace, Millionths, Or};
use super::random::Draws;

/// The largest buffer that a scenario may ask for: 2^48 bytes, what IOMMUs translate.
pub const BYTES_MAX: u64 = 1 << 48;

/// The sizes of buffers: at least 1 byte, at most [`BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Or<Bytes, ManySizes>", into = "Or<Bytes, ManySizes>")]
#[schemars(extend("minimum" = 1, "maximum" = BYTES_MAX, "pattern" = "[1-9]"))]
pub struct Sizes {
    text: Or<Bytes, ManySizes>,
    /// Of weighted and listed sizes: each, and the sum of the numbers up to it.
    up_to: Vec<(u64, u64)>,
    /// The sum of all these numbers.
    total: NonZeroU64,
}

/// How sizes are found that are not all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManySizes {
    /// Every size from `min` to `max` equally often.
    Uniform(Uniform<Bytes>),
    /// Sizes whose logarithm is normal.
    LogNormal(LogNormal<Bytes>),
    /// Sizes with a heavy tail.
    PowerLaw(PowerLaw<Bytes>),
    /// Sizes drawn with their weights, as pairs.
    Weighted(#[schemars(schema_with = "pairs_schema")] Vec<(Bytes, u64)>),
    /// Sizes in turn, round and round, with how many of each in a row, as pairs.
    List(#[schemars(schema_with = "pairs_schema")] Vec<(Bytes, u64)>),
    /// Scatter lists: a geometric number of entries, all of one size.
    Scatter(Scatter),
}

/// At least one pair of a possible size and a number.
fn pairs_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut size = generator.subschema_for::<Bytes>();
    size.insert("minimum".to_owned(), 1.into());
    size.insert("maximum".to_owned(), BYTES_MAX.into());
    size.insert("pattern".to_owned(), "[1-9]".into());
    json_schema!({
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "array",
            "prefixItems": [size, generator.subschema_for::<u64>()],
            "minItems": 2,
            "maxItems": 2,
        },
    })
}

impl InPlace for ManySizes {
    const EXPECTED: &'static str = "an object that says how sizes are found";
}

/// Scatter lists: a geometric number of entries, `entries_mean` on average but for the cut at
/// `entries_max`, of `entry` bytes each. A share of (1 − 1/mean)^n has more than n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// How large an entry is.
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub entry: Bytes,
    /// How many entries there are on average: more than one.
    #[schemars(extend("exclusiveMinimum" = 1))]
    pub entries_mean: Millionths,
    /// How many entries there are at most.
    #[schemars(range(min = 2, max = 281_474_976_710_656_u64))]
    pub entries_max: u64,
}

impl Scatter {
    fn check(&self) -> Result<(), InvalidConfig> {
        let Scatter {
            entry,
            entries_mean,
            entries_max,
        } = *self;
        InvalidConfig::unless(entry.0 > 0, "entry", entry.0, "at least 1 byte")?;
        let possible = entries_mean > Millionths::ONE
            && entries_mean.0 <= entries_max.saturating_mul(Millionths::ONE.0);
        let expected = "above 1 and at most `entries_max`";
        InvalidConfig::unless(possible, "entries_mean", entries_mean, expected)?;
        let most = entry.0.checked_mul(entries_max);
        let small = most.is_some_and(|most| most <= BYTES_MAX);
        let expected = "at most 2^48 bytes in all";
        InvalidConfig::unless(small, "entries_max", entries_max, expected)
    }

    fn draw(&self, draws: &mut Draws) -> u64 {
        let log2 = |millionths| NonZeroU64::new(millionths).map_or(0, fixed::log2);
        let mean = self.entries_mean.0;
        let log2_survival = (log2(mean) - log2(mean - Millionths::ONE.0)).max(1);
        loop {
            let entries = 1 + fixed::neg_log2(draws.bits()) / log2_survival;
            if entries <= self.entries_max {
                return self.entry.0 * entries;
            }
        }
    }
}

impl TryFrom<Or<Bytes, ManySizes>> for Sizes {
    type Error = InvalidConfig;

    fn try_from(text: Or<Bytes, ManySizes>) -> Result<Sizes, InvalidConfig> {
        let (mut up_to, mut total) = (Vec::new(), NonZeroU64::MIN);
        match &text {
            Or::Short(size) => check_size(size.0)?,
            Or::Long(ManySizes::Uniform(uniform)) => {
                uniform.check()?;
                check_max(uniform.max)?;
            }
            Or::Long(ManySizes::LogNormal(log_normal)) => {
                log_normal.check()?;
                check_max(log_normal.max)?;
            }
            Or::Long(ManySizes::PowerLaw(power_law)) => {
                power_law.check()?;
                check_max(power_law.max)?;
            }
            Or::Long(ManySizes::Weighted(sizes)) => (up_to, total) = sums(sizes, "weight")?,
            Or::Long(ManySizes::List(sizes)) => (up_to, total) = sums(sizes, "count")?,
            Or::Long(ManySizes::Scatter(scatter)) => scatter.check()?,
        }
        Ok(Sizes { text, up_to, total })
    }
}

impl From<Sizes> for Or<Bytes, ManySizes> {
    fn from(sizes: Sizes) -> Self {
        sizes.text
    }
}

impl Sizes {
    /// Always `size`.
    ///
    /// # Errors
    ///
    /// Where it is 0 or beyond [`BYTES_MAX`].
    pub fn fixed(size: u64) -> Result<Sizes, InvalidConfig> {
        Sizes::try_from(Or::Short(Bytes(size)))
    }

    /// Sizes drawn with their weights: (size, weight).
    ///
    /// # Errors
    ///
    /// Where a size is 0 or beyond [`BYTES_MAX`], or there is no weight at all.
    pub fn weighted(sizes: &[(u64, u64)]) -> Result<Sizes, InvalidConfig> {
        let sizes = sizes.iter().map(|&(size, weight)| (Bytes(size), weight));
        Sizes::try_from(Or::Long(ManySizes::Weighted(sizes.collect())))
    }

    /// The size of the next buffer. `turn` counts the buffers, or the places that buffers
    /// take in turn: a list gives a place the same size again and again.
    pub fn draw(&self, draws: &mut Draws, turn: u64) -> u64 {
        let size = match &self.text {
            Or::Short(size) => size.0,
            Or::Long(ManySizes::Uniform(uniform)) => uniform.draw(draws),
            Or::Long(ManySizes::LogNormal(log_normal)) => log_normal.draw(draws),
            Or::Long(ManySizes::PowerLaw(power_law)) => power_law.draw(draws),
            Or::Long(ManySizes::Weighted(_)) => pick(&self.up_to, draws.below(self.total)),
            Or::Long(ManySizes::List(_)) => pick(&self.up_to, turn % self.total),
            Or::Long(ManySizes::Scatter(scatter)) => scatter.draw(draws),
        };
        size.max(1)
    }

    /// Weighted sizes as a deck of cards, each size as often as it weighs; none for other sizes
    /// and for decks of more than 2^16 cards.
    pub(super) fn deck(&self) -> Option<Vec<u64>> {
        let Or::Long(ManySizes::Weighted(_)) = &self.text else {
            return None;
        };
        let mut deck = Vec::new();
        for &(size, end) in self.up_to.iter().filter(|_| self.total.get() <= 1 << 16) {
            deck.resize(usize::try_from(end).ok()?, size);
        }
        (!deck.is_empty()).then_some(deck)
    }

    /// The largest size.
    pub fn max(&self) -> u64 {
        match &self.text {
            Or::Short(size) => size.0,
            Or::Long(ManySizes::Uniform(uniform)) => uniform.max.0,
            Or::Long(ManySizes::LogNormal(log_normal)) => log_normal.max.0,
            Or::Long(ManySizes::PowerLaw(power_law)) => power_law.max.0,
            Or::Long(ManySizes::Weighted(_) | ManySizes::List(_)) => {
                self.up_to.iter().map(|&(size, _)| size).max().unwrap_or(0)
            }
            Or::Long(ManySizes::Scatter(scatter)) => scatter.entry.0 * scatter.entries_max,
        }
    }

    /// How many buffers a list names; none for other sizes.
    pub fn listed(&self) -> Option<NonZeroU64> {
        matches!(self.text, Or::Long(ManySizes::List(_))).then_some(self.total)
    }
}

fn check_size(size: u64) -> Result<(), InvalidConfig> {
    let possible = (1..=BYTES_MAX).contains(&size);
    InvalidConfig::unless(possible, "size", size, "from 1 to 2^48 bytes")
}

fn check_max(max: Bytes) -> Result<(), InvalidConfig> {
    let possible = (1..=BYTES_MAX).contains(&max.0);
    InvalidConfig::unless(possible, "max", max.0, "from 1 to 2^48 bytes")
}

/// Sums up the numbers beside the sizes, without those of 0.
fn sums(
    sizes: &[(Bytes, u64)],
    field: &'static str,
) -> Result<(Vec<(u64, u64)>, NonZeroU64), InvalidConfig> {
    let mut total = 0_u64;
    let mut up_to = Vec::with_capacity(sizes.len());
    for &(Bytes(size), number) in sizes {
        check_size(size)?;
        let sum = total.checked_add(number);
        InvalidConfig::unless(sum.is_some(), field, number, "a sum below 2^64")?;
        total = sum.unwrap_or(total);
        if number > 0 {
            up_to.push((size, total));
        }
    }
    match NonZeroU64::new(total) {
        Some(total) => Ok((up_to, total)),
        None => Err(InvalidConfig {
            field,
            found: "0 in all".to_owned(),
            expected: "at least 1".to_owned(),
        }),
    }
}

/// The size under whose share of the sums `number` falls.
fn pick(up_to: &[(u64, u64)], number: u64) -> u64 {
    up_to[up_to.partition_point(|&(_, sum)| sum <= number)].0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::random::Owner;

    fn list(sizes: &[(u64, u64)]) -> Result<Sizes, InvalidConfig> {
        let sizes = sizes.iter().map(|&(size, count)| (Bytes(size), count));
        Sizes::try_from(Or::Long(ManySizes::List(sizes.collect())))
    }

    fn scatter(entry: u64, mean: u64, entries_max: u64) -> Result<Sizes, InvalidConfig> {
        Sizes::try_from(Or::Long(ManySizes::Scatter(Scatter {
            entry: Bytes(entry),
            entries_mean: Millionths(mean),
            entries_max,
        })))
    }

    fn sample(sizes: &Sizes, count: u64) -> Vec<u64> {
        let mut draws = Owner::new(3, "test").draws("sizes");
        (0..count)
            .map(|turn| sizes.draw(&mut draws, turn))
            .collect()
    }

    #[test]
    fn weights_are_shares() {
        let sizes = Sizes::weighted(&[(4096, 3), (9, 0), (65536, 1)]).expect("possible");
        let large = sample(&sizes, 10_000)
            .iter()
            .filter(|&&size| size == 65536)
            .count();
        // Standard deviation: √(10,000 · 1/4 · 3/4) = 43.
        assert!(large.abs_diff(2500) < 200, "{large}");
        assert_eq!(sizes.max(), 65536);
    }

    #[test]
    fn lists_come_in_turn() {
        let sizes = list(&[(1, 2), (5, 1)]).expect("possible");
        assert_eq!(sample(&sizes, 7), [1, 1, 5, 1, 1, 5, 1]);
        assert_eq!(sizes.listed(), NonZeroU64::new(3));
    }

    /// With 7.457 entries on average, (1 − 1/7.457)^32 = 1 % of the lists have more than 32.
    #[test]
    fn scatter_lists_have_the_tail_of_a_geometric_distribution() {
        let sizes = scatter(4096, 7_457_000, 124).expect("possible");
        let drawn = sample(&sizes, 40_000);
        let beyond = drawn.iter().filter(|&&size| size > 32 * 4096).count();
        // Standard deviation: √(40,000 · 0.01 · 0.99) = 20.
        assert!(beyond.abs_diff(400) < 100, "{beyond}");
        let pages: u64 = drawn.iter().map(|size| size / 4096).sum();
        assert!(pages.abs_diff(40_000 * 7457 / 1000) < 5_000, "{pages}");
        assert!(drawn.iter().all(|&size| size <= 124 * 4096));
    }

    #[test]
    fn draws_are_pinned() {
        let scatter = scatter(4096, 7_457_000, 124).expect("possible");
        assert_eq!(
            sample(&scatter, 6),
            [49152, 57344, 8192, 65536, 24576, 8192]
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let field =
            |result: Result<Sizes, InvalidConfig>| result.expect_err("impossible").field;
        assert_eq!(field(Sizes::fixed(0)), "size");
        let [min, max] = [0, 0].map(Bytes);
        let zero = ManySizes::Uniform(Uniform { min, max });
        assert_eq!(field(Sizes::try_from(Or::Long(zero))), "max");
        assert_eq!(field(Sizes::weighted(&[])), "weight");
        assert_eq!(field(Sizes::weighted(&[(1, u64::MAX), (1, 1)])), "weight");
        assert_eq!(field(list(&[(0, 1)])), "size");
        let scatter = |entry, mean, max| field(scatter(entry, mean, max));
        assert_eq!(scatter(0, 2_000_000, 8), "entry");
        assert_eq!(scatter(1, 1_000_000, 8), "entries_mean");
        assert_eq!(scatter(1, 9_000_000, 8), "entries_mean");
        assert_eq!(scatter(1 << 47, 2_000_000, 8), "entries_max");
    }
}
