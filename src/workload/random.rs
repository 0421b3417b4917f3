//! Randomness: one stream of draws for each owner and purpose, derived from the seed.
//!
//! A stream is `ChaCha8` with the key `seed` (8 bytes, little-endian, then 24 zero bytes) and
//! the stream number FNV-1a-64 of `owner/purpose`, for instance `client:preview/sizes`. What one
//! owner draws thus depends on the seed and on its own name alone: adding a client or a fault
//! shifts nobody else's draws. Integers are drawn by `rand::distr::Uniform<u64>`, whose values are
//! the same on every platform.

use std::num::NonZeroU64;

use rand::distr::{Distribution as _, Uniform};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::invalid::InvalidConfig;
use super::quantity::Millionths;

/// Who draws: the seed of the run and the owner's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    seed: u64,
    name: String,
}

impl Owner {
    /// The owner called `name` in the run of `seed`. Names of one run differ.
    pub fn new(seed: u64, name: impl Into<String>) -> Owner {
        Owner {
            seed,
            name: name.into(),
        }
    }

    /// The stream of draws for one purpose.
    pub fn draws(&self, purpose: &str) -> Draws {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_stream(fnv1a(
            [self.name.as_bytes(), b"/", purpose.as_bytes()].concat(),
        ));
        Draws(stream)
    }
}

/// One stream of draws.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, each equally likely.
    ///
    /// Built anew for each draw on purpose: `Uniform<u64>` promises the same values on every
    /// platform, which `random_range` and anything of `usize` do not.
    pub fn below(&mut self, bound: NonZeroU64) -> u64 {
        let uniform = Uniform::new(0, bound.get()).expect("the bound is above 0");
        uniform.sample(&mut self.0)
    }

    /// An index into `0..len`; 0 where there is at most one, which takes no draw.
    pub fn index(&mut self, len: usize) -> usize {
        match NonZeroU64::new(len as u64) {
            Some(bound) if len > 1 => usize::try_from(self.below(bound)).unwrap_or(len - 1),
            _ => 0,
        }
    }

    /// A number from `lo` to `hi`, both included; `lo` where `hi` is not above it.
    pub fn between(&mut self, lo: u64, hi: u64) -> u64 {
        match hi.saturating_sub(lo).checked_add(1) {
            None => self.bits(),
            Some(width) => NonZeroU64::new(width).map_or(lo, |width| lo + self.below(width)),
        }
    }

    /// Whether something happens that happens in `share` of all cases.
    pub fn happens(&mut self, share: Share) -> bool {
        self.below(MILLION) < u64::from(share.millionths)
    }

    /// Puts `items` into a random order (Fisher-Yates, from the end).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

const MILLION: NonZeroU64 = NonZeroU64::new(1_000_000).expect("not zero");

/// A share from 0 to 1, exact to a millionth.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "Millionths", into = "Millionths")]
pub struct Share {
    millionths: u32,
}

impl Share {
    /// Always.
    pub const ALL: Share = Share {
        millionths: 1_000_000,
    };

    /// The share of `millionths` in a million; none if that is above one.
    pub fn from_millionths(millionths: u64) -> Option<Share> {
        let millionths = u32::try_from(millionths).ok()?;
        (millionths <= Share::ALL.millionths).then_some(Share { millionths })
    }
}

impl TryFrom<Millionths> for Share {
    type Error = InvalidConfig;

    fn try_from(share: Millionths) -> Result<Share, InvalidConfig> {
        Share::from_millionths(share.0).ok_or_else(|| InvalidConfig {
            field: "share",
            found: share.to_string(),
            expected: "from 0 to 1".to_owned(),
        })
    }
}

impl From<Share> for Millionths {
    fn from(share: Share) -> Millionths {
        Millionths(u64::from(share.millionths))
    }
}

/// The FNV-1a hash, 64 bits wide.
fn fnv1a(bytes: Vec<u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, name: &str, purpose: &str) -> Draws {
        Owner::new(seed, name).draws(purpose)
    }

    #[test]
    fn the_hash_is_fnv1a_as_published() {
        let published = [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ];
        for (text, hash) in published {
            assert_eq!(fnv1a(text.into()), hash, "of {text:?}");
        }
    }

    /// The key stream of `ChaCha8` with a zero key and stream 0 is a published vector; the
    /// others hold the derivation. A dependency that changes any of them changes every
    /// scenario's requests.
    #[test]
    fn streams_are_pinned() {
        let mut zero = Draws(ChaCha8Rng::from_seed([0; 32]));
        assert_eq!(
            zero.bits().to_le_bytes(),
            [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6]
        );

        let streams = [
            (0, "client:preview", "sizes"),
            (1, "client:preview", "sizes"),
            (1, "client:preview", "lifetimes"),
            (1, "client:video", "sizes"),
        ];
        let first = streams.map(|(seed, name, purpose)| draws(seed, name, purpose).bits());
        assert_eq!(
            first,
            [
                9_707_773_706_787_567_534,
                18_338_017_226_566_535_484,
                1_571_230_978_645_605_012,
                9_573_616_670_695_428_488,
            ]
        );
    }

    #[test]
    fn derived_draws_are_pinned() {
        let mut draws = draws(7, "pinned", "draws");
        let dice: Vec<_> = (0..12).map(|_| draws.between(1, 6)).collect();
        assert_eq!(dice, [1, 5, 2, 6, 1, 3, 5, 4, 1, 6, 5, 5]);
        let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
        draws.shuffle(&mut order);
        assert_eq!(order, [6, 0, 2, 4, 7, 1, 5, 3]);
    }

    #[test]
    fn numbers_below_a_bound_are_all_drawn_about_equally_often() {
        let mut draws = draws(1, "dice", "uniform");
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[draws.index(6)] += 1;
        }
        // Standard deviation of each count: √(60,000 · 1/6 · 5/6) = 91.
        assert!(seen.iter().all(|&n| n.abs_diff(10_000) < 400), "{seen:?}");
    }

    #[test]
    fn a_share_happens_that_often() {
        let share = Share::from_millionths(250_000).expect("a quarter");
        let mut draws = draws(1, "coin", "share");
        let hits = (0..40_000).filter(|_| draws.happens(share)).count();
        // Standard deviation: √(40,000 · 1/4 · 3/4) = 87.
        assert!(hits.abs_diff(10_000) < 400, "{hits}");
        assert!((0..100).all(|_| draws.happens(Share::ALL)));
        assert_eq!(Share::from_millionths(1_000_001), None);
    }

    #[test]
    fn whole_words_and_single_values_are_ranges_too() {
        let mut draws = draws(1, "edges", "between");
        assert_eq!(draws.between(5, 5), 5);
        assert_eq!(draws.between(5, 3), 5);
        assert_ne!(draws.between(0, u64::MAX), draws.between(0, u64::MAX));
    }
}
