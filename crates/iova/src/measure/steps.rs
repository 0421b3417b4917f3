//! How far searches walked: the exact distribution of steps a request.
//!
//! Most requests take few steps, so small counts have a bucket each; the few large ones are
//! kept in a map. Nothing is rounded: every percentile is one that a request really took.

use std::collections::BTreeMap;

/// Steps from 0 up to this have a bucket each. The buckets in use take up to 8 MiB.
const DENSE_MAX: u64 = 1 << 20;

/// How many requests took how many steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Requests by steps, as far as steps have been seen.
    dense: Vec<u64>,
    /// Requests by steps, from [`DENSE_MAX`] on.
    sparse: BTreeMap<u64, u64>,
    requests: u64,
    total: u64,
}

impl Steps {
    /// Counts a request that took so many steps.
    pub fn add(&mut self, steps: u64) {
        self.requests += 1;
        self.total += steps;
        if let Some(bucket) = bucket(steps).and_then(|index| self.dense.get_mut(index)) {
            *bucket += 1;
        } else {
            *self.new_bucket(steps) += 1;
        }
    }

    /// Counts several requests that took so many steps each.
    pub fn add_many(&mut self, steps: u64, requests: u64) {
        *self.new_bucket(steps) += requests;
        self.requests += requests;
        self.total += steps * requests;
    }

    /// Counts all requests of another distribution.
    pub fn merge(&mut self, other: &Steps) {
        for (steps, requests) in other.counts() {
            self.add_many(steps, requests);
        }
    }

    fn new_bucket(&mut self, steps: u64) -> &mut u64 {
        let Some(index) = bucket(steps) else {
            return self.sparse.entry(steps).or_insert(0);
        };
        if self.dense.len() <= index {
            self.dense.resize((index + 1).next_power_of_two(), 0);
        }
        &mut self.dense[index]
    }

    /// How many requests were counted.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The steps of all requests together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The most steps that a request took; none without requests.
    pub fn max(&self) -> Option<u64> {
        self.counts().last().map(|(steps, _)| steps)
    }

    /// The fewest steps that suffice for `per_mille` thousandths of the requests (the nearest
    /// rank); none without requests.
    pub fn quantile(&self, per_mille: u16) -> Option<u64> {
        let rank = (u128::from(self.requests) * u128::from(per_mille)).div_ceil(1000);
        let mut covered = 0;
        self.counts().find_map(|(steps, requests)| {
            covered += u128::from(requests);
            (covered >= rank).then_some(steps)
        })
    }

    /// Steps that requests took, ascending, and how many requests took them.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let dense = (0..).zip(self.dense.iter().copied());
        let sparse = self
            .sparse
            .iter()
            .map(|(&steps, &requests)| (steps, requests));
        dense.filter(|&(_, requests)| requests > 0).chain(sparse)
    }
}

fn bucket(steps: u64) -> Option<usize> {
    usize::try_from(steps).ok().filter(|_| steps < DENSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(steps: impl IntoIterator<Item = u64>) -> Steps {
        let mut counted = Steps::default();
        steps.into_iter().for_each(|it| counted.add(it));
        counted
    }

    #[test]
    fn quantiles_are_steps_that_a_request_took() {
        let steps = of((1..=1000).rev());
        let quantiles = [0, 1, 500, 990, 999, 1000].map(|it| steps.quantile(it));
        assert_eq!(quantiles, [1, 1, 500, 990, 999, 1000].map(Some));
        assert_eq!((steps.total(), steps.max()), (500_500, Some(1000)));
        let two = of([0, 7]);
        assert_eq!([500, 501].map(|it| two.quantile(it)), [Some(0), Some(7)]);
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Steps::default().quantile(500), None);
        assert_eq!(Steps::default().max(), None);
    }

    #[test]
    fn large_counts_are_as_exact_as_small_ones() {
        let large = [DENSE_MAX - 1, DENSE_MAX, DENSE_MAX + 1, u64::MAX / 8];
        let steps = of(large);
        let counts: Vec<_> = steps.counts().collect();
        assert_eq!(counts, large.map(|it| (it, 1)));
        assert_eq!(steps.quantile(750), Some(DENSE_MAX + 1));
    }

    #[test]
    fn merging_is_counting_both() {
        let (few, many) = ([3, 5_000_000], [0, 3, 900]);
        let mut merged = of(few);
        merged.merge(&of(many));
        let counts: Vec<_> = merged.counts().collect();
        assert_eq!(counts, [(0, 1), (3, 2), (900, 1), (5_000_000, 1)]);
        assert_eq!((merged.requests(), merged.total()), (5, 5_000_906));
    }
}
