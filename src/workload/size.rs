//! How large a client's buffers are, in bytes.

use std::num::NonZeroU64;

use super::distribution::{Distribution, Millionths};
use super::fixed;
use super::impossible::Impossible;
use super::random::Draws;

/// The largest buffer that a scenario may ask for: 2^48 bytes, what IOMMUs translate.
pub const BYTES_MAX: u64 = 1 << 48;

/// The sizes of buffers: at least 1 byte, at most [`BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes(Shape);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Drawn(Distribution),
    /// Sizes and the sum of the weights up to each of them.
    Weighted {
        up_to: Vec<(u64, u64)>,
        total: NonZeroU64,
    },
    /// Sizes and the number of buffers up to each of them.
    List {
        up_to: Vec<(u64, u64)>,
        total: NonZeroU64,
    },
    Scatter {
        entry: u64,
        entries_max: u64,
        log2_survival: NonZeroU64,
    },
}

impl Sizes {
    /// Always `size`.
    ///
    /// # Errors
    ///
    /// Where it is 0 or beyond [`BYTES_MAX`].
    pub fn fixed(size: u64) -> Result<Sizes, Impossible> {
        check_size(size)?;
        Ok(Sizes(Shape::Drawn(Distribution::fixed(size))))
    }

    /// Sizes drawn from a distribution; one that gives 0 is taken for 1.
    ///
    /// # Errors
    ///
    /// Where it has no bound, one of 0, or one beyond [`BYTES_MAX`].
    pub fn drawn(distribution: Distribution) -> Result<Sizes, Impossible> {
        let max = distribution.bounds().1.unwrap_or(u64::MAX);
        let possible = (1..=BYTES_MAX).contains(&max);
        Impossible::unless(possible, "max", max, "from 1 to 2^48 bytes")?;
        Ok(Sizes(Shape::Drawn(distribution)))
    }

    /// Sizes drawn with their weights: (size, weight).
    ///
    /// # Errors
    ///
    /// Where a size is 0 or beyond [`BYTES_MAX`], or there is no weight at all.
    pub fn weighted(sizes: &[(u64, u64)]) -> Result<Sizes, Impossible> {
        let (up_to, total) = sums(sizes, "weight")?;
        Ok(Sizes(Shape::Weighted { up_to, total }))
    }

    /// Sizes in turn, round and round: (size, how many in a row).
    ///
    /// # Errors
    ///
    /// Where a size is 0 or beyond [`BYTES_MAX`], or the list is empty.
    pub fn list(sizes: &[(u64, u64)]) -> Result<Sizes, Impossible> {
        let (up_to, total) = sums(sizes, "count")?;
        Ok(Sizes(Shape::List { up_to, total }))
    }

    /// Scatter lists: a geometric number of entries, `entries_mean` on average but for the cut
    /// at `entries_max`, of `entry` bytes each. A share of (1 − 1/mean)^n has more than n.
    ///
    /// # Errors
    ///
    /// Where an entry is empty, the mean below one or above the largest number, or the largest
    /// list beyond [`BYTES_MAX`].
    pub fn scatter(
        entry: u64,
        entries_mean: Millionths,
        entries_max: u64,
    ) -> Result<Sizes, Impossible> {
        Impossible::unless(entry > 0, "entry", entry, "at least 1 byte")?;
        let possible = entries_mean > Millionths::ONE
            && entries_mean.0 <= entries_max.saturating_mul(Millionths::ONE.0);
        let expected = "above 1 and at most `entries_max`";
        Impossible::unless(possible, "entries_mean", entries_mean, expected)?;
        let small = entry
            .checked_mul(entries_max)
            .is_some_and(|max| max <= BYTES_MAX);
        Impossible::unless(
            small,
            "entries_max",
            entries_max,
            "at most 2^48 bytes in all",
        )?;
        let log2 = |millionths| NonZeroU64::new(millionths).map_or(0, fixed::log2);
        let survival = log2(entries_mean.0) - log2(entries_mean.0 - Millionths::ONE.0);
        let log2_survival = NonZeroU64::new(survival).unwrap_or(NonZeroU64::MIN);
        Ok(Sizes(Shape::Scatter {
            entry,
            entries_max,
            log2_survival,
        }))
    }

    /// The size of the next buffer. `turn` counts the buffers, or the places that buffers
    /// take in turn: a list gives a place the same size again and again.
    pub fn draw(&self, draws: &mut Draws, turn: u64) -> u64 {
        match &self.0 {
            Shape::Drawn(distribution) => distribution.draw(draws).max(1),
            Shape::Weighted { up_to, total } => pick(up_to, draws.below(*total)),
            Shape::List { up_to, total } => pick(up_to, turn % *total),
            Shape::Scatter {
                entry,
                entries_max,
                log2_survival,
            } => loop {
                let entries = 1 + fixed::neg_log2(draws.bits()) / *log2_survival;
                if entries <= *entries_max {
                    break entry * entries;
                }
            },
        }
    }

    /// Weighted sizes as a deck of cards, each size as often as it weighs; none for other sizes
    /// and for decks of more than 2^16 cards.
    pub(super) fn deck(&self) -> Option<Vec<u64>> {
        let Shape::Weighted { up_to, total } = &self.0 else {
            return None;
        };
        let mut deck = Vec::new();
        for &(size, end) in up_to.iter().filter(|_| total.get() <= 1 << 16) {
            deck.resize(usize::try_from(end).ok()?, size);
        }
        (!deck.is_empty()).then_some(deck)
    }

    pub fn max(&self) -> u64 {
        match &self.0 {
            Shape::Drawn(distribution) => distribution.bounds().1.unwrap_or(BYTES_MAX),
            Shape::Weighted { up_to, .. } | Shape::List { up_to, .. } => {
                up_to.iter().map(|&(size, _)| size).max().unwrap_or(0)
            }
            Shape::Scatter {
                entry, entries_max, ..
            } => entry * entries_max,
        }
    }

    /// How many buffers a list names; none for other sizes.
    pub fn listed(&self) -> Option<NonZeroU64> {
        match &self.0 {
            Shape::List { total, .. } => Some(*total),
            _ => None,
        }
    }
}

fn check_size(size: u64) -> Result<(), Impossible> {
    let possible = (1..=BYTES_MAX).contains(&size);
    Impossible::unless(possible, "size", size, "from 1 to 2^48 bytes")
}

/// Sums up the numbers beside the sizes, without those of 0.
fn sums(
    sizes: &[(u64, u64)],
    what: &'static str,
) -> Result<(Vec<(u64, u64)>, NonZeroU64), Impossible> {
    let mut total = 0_u64;
    let mut up_to = Vec::with_capacity(sizes.len());
    for &(size, number) in sizes {
        check_size(size)?;
        let sum = total.checked_add(number);
        Impossible::unless(sum.is_some(), what, number, "a sum below 2^64")?;
        total = sum.unwrap_or(total);
        if number > 0 {
            up_to.push((size, total));
        }
    }
    match NonZeroU64::new(total) {
        Some(total) => Ok((up_to, total)),
        None => Err(Impossible {
            field: what,
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
        let sizes = Sizes::list(&[(1, 2), (5, 1)]).expect("possible");
        assert_eq!(sample(&sizes, 7), [1, 1, 5, 1, 1, 5, 1]);
        assert_eq!(sizes.listed(), NonZeroU64::new(3));
    }

    /// With 7.457 entries on average, (1 − 1/7.457)^32 = 1 % of the lists have more than 32.
    #[test]
    fn scatter_lists_have_the_tail_of_a_geometric_distribution() {
        let sizes = Sizes::scatter(4096, Millionths(7_457_000), 124).expect("possible");
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
        let scatter = Sizes::scatter(4096, Millionths(7_457_000), 124).expect("possible");
        assert_eq!(
            sample(&scatter, 6),
            [49152, 57344, 8192, 65536, 24576, 8192]
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let field = |result: Result<Sizes, Impossible>| result.expect_err("impossible").field;
        assert_eq!(field(Sizes::fixed(0)), "size");
        assert_eq!(field(Sizes::drawn(Distribution::fixed(0))), "max");
        assert_eq!(field(Sizes::drawn(Distribution::exponential(4096))), "max");
        assert_eq!(field(Sizes::weighted(&[])), "weight");
        assert_eq!(field(Sizes::weighted(&[(1, u64::MAX), (1, 1)])), "weight");
        assert_eq!(field(Sizes::list(&[(0, 1)])), "size");
        let scatter = |entry, mean, max| field(Sizes::scatter(entry, Millionths(mean), max));
        assert_eq!(scatter(0, 2_000_000, 8), "entry");
        assert_eq!(scatter(1, 1_000_000, 8), "entries_mean");
        assert_eq!(scatter(1, 9_000_000, 8), "entries_mean");
        assert_eq!(scatter(1 << 47, 2_000_000, 8), "entries_max");
    }
}
