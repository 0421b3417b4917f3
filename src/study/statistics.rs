//! How sure a failure rate is, and how sure a difference between two.
//!
//! The requests of one run hang together: one fragmented window fails many of them. What is
//! independent is the seeds. So the spread between the runs says how many independent requests
//! all requests are worth (the design effect), and the interval is Wilson's for that many, with
//! Student's quantile for few runs (Korn and Graubard, 1998). With one run alone nothing is
//! known of the spread, and the interval is Wilson's as if every request were independent.
//!
//! Only operations that IEEE 754 rounds correctly are used, so that the figures are the same
//! on every platform.

/// The normal distribution's quantile for 95 % on both sides.
const Z: f64 = 1.959_963_984_540_054;

/// Student's, for 1 to 30 degrees of freedom.
const T: [f64; 30] = [
    12.706_204_736,
    4.302_652_73,
    3.182_446_305,
    2.776_445_105,
    2.570_581_836,
    2.446_911_851,
    2.364_624_252,
    2.306_004_135,
    2.262_157_163,
    2.228_138_852,
    2.200_985_16,
    2.178_812_83,
    2.160_368_656,
    2.144_786_688,
    2.131_449_546,
    2.119_905_299,
    2.109_815_578,
    2.100_922_04,
    2.093_024_054,
    2.085_963_447,
    2.079_613_845,
    2.073_873_068,
    2.068_657_61,
    2.063_898_562,
    2.059_538_553,
    2.055_529_439,
    2.051_830_516,
    2.048_407_142,
    2.045_229_642,
    2.042_272_456,
];

/// What one run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub failures: u64,
    pub requests: u64,
}

/// A difference between two failure rates, the first taken from the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The difference of the rates of all runs together.
    pub value: f64,
    /// Its 95 % interval over the runs; none with one run alone.
    pub interval: Option<[f64; 2]>,
}

/// The share of requests that failed in all runs together; none without requests.
pub fn rate(samples: &[Sample]) -> Option<f64> {
    let (failures, requests) = totals(samples);
    (requests > 0.0).then(|| failures / requests)
}

/// The 95 % interval of [`rate`].
pub fn interval(samples: &[Sample]) -> Option<[f64; 2]> {
    let rate = rate(samples)?;
    let (_, requests) = totals(samples);
    Some(wilson(rate, worth(samples, rate, requests)))
}

/// How many independent requests all requests are worth: no more than there are.
fn worth(samples: &[Sample], rate: f64, requests: f64) -> f64 {
    let independent = rate * (1.0 - rate) / requests;
    if samples.len() < 2 || independent <= 0.0 {
        return requests;
    }
    let residuals = samples.iter().map(|it| residual(it, rate, requests));
    let design_effect = (variance(residuals) / independent).max(1.0);
    let few_runs = Z / student(samples.len() - 1);
    requests / design_effect * few_runs * few_runs
}

/// The difference between two allocators over the same runs, pair by pair.
pub fn difference(first: &[Sample], other: &[Sample]) -> Option<Difference> {
    let (one, two) = (rate(first)?, rate(other)?);
    let (requests_one, requests_two) = (totals(first).1, totals(other).1);
    let residuals = first.iter().zip(other).map(|(first, other)| {
        residual(other, two, requests_two) - residual(first, one, requests_one)
    });
    let value = two - one;
    let runs = first.len().min(other.len());
    let interval = (runs > 1).then(|| {
        let half = student(runs - 1) * variance(residuals).sqrt();
        [value - half, value + half]
    });
    Some(Difference { value, interval })
}

/// The mean of values of independent runs, and its 95 % interval, which is none of one value
/// alone; nothing of no values.
pub fn mean(values: &[f64]) -> Option<(f64, Option<[f64; 2]>)> {
    let runs = float(values.len() as u64);
    let mean = values.iter().sum::<f64>() / runs;
    let degrees = values.len().checked_sub(1)?;
    let interval = (degrees > 0).then(|| {
        let residuals = values.iter().map(|value| (value - mean) / runs);
        let half = student(degrees) * variance(residuals).sqrt();
        [mean - half, mean + half]
    });
    Some((mean, interval))
}

impl Difference {
    /// Whether the runs tell the two apart; unknown with one run alone.
    pub fn is_seen(&self) -> Option<bool> {
        self.interval.map(|[lo, hi]| lo > 0.0 || hi < 0.0)
    }
}

/// What a run adds to the rate beyond what the rate of all runs has it add.
fn residual(sample: &Sample, rate: f64, requests: f64) -> f64 {
    (float(sample.failures) - rate * float(sample.requests)) / requests
}

/// The variance of a sum of terms, one a run, that add up to 0.
fn variance(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut runs, mut squares) = (0.0, 0.0);
    for term in terms {
        runs += 1.0;
        squares += term * term;
    }
    squares * runs / (runs - 1.0)
}

/// Wilson's interval of a rate that was seen in `n` independent requests.
fn wilson(rate: f64, n: f64) -> [f64; 2] {
    let scale = 1.0 + Z * Z / n;
    let middle = rate + Z * Z / (2.0 * n);
    let half = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    let lo = if rate > 0.0 {
        (middle - half) / scale
    } else {
        0.0
    };
    let hi = if rate < 1.0 {
        (middle + half) / scale
    } else {
        1.0
    };
    [lo.max(0.0), hi.min(1.0)]
}

/// Student's quantile for 95 % on both sides; beyond the table Cornish and Fisher's series,
/// which is right to five decimals there.
fn student(degrees: usize) -> f64 {
    if let Some(&quantile) = degrees.checked_sub(1).and_then(|index| T.get(index)) {
        return quantile;
    }
    let n = float(degrees as u64);
    let z3 = Z * Z * Z;
    let (z5, z7) = (z3 * Z * Z, z3 * z3 * Z);
    let first = (z3 + Z) / (4.0 * n);
    let second = (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / (96.0 * n * n);
    let third = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / (384.0 * n * n * n);
    Z + first + second + third
}

fn totals(samples: &[Sample]) -> (f64, f64) {
    let failures = samples.iter().map(|it| it.failures).sum();
    let requests = samples.iter().map(|it| it.requests).sum();
    (float(failures), float(requests))
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 digits")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(failures: &[u64], requests: u64) -> Vec<Sample> {
        let sample = |&failures| Sample { failures, requests };
        failures.iter().map(sample).collect()
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-6
    }

    #[test]
    fn one_run_has_wilson_s_interval() {
        let [lo, hi] = interval(&samples(&[10], 100)).expect("requests");
        assert!(near(lo, 0.055_229) && near(hi, 0.174_366), "{lo} {hi}");
        let [lo, hi] = interval(&samples(&[0], 100)).expect("requests");
        assert!(lo <= 0.0 && near(hi, 0.036_993), "{lo} {hi}");
        let [lo, hi] = interval(&samples(&[100], 100)).expect("requests");
        assert!(near(lo, 0.963_007) && hi >= 1.0, "{lo} {hi}");
    }

    #[test]
    fn runs_that_differ_widen_the_interval() {
        let even = interval(&samples(&[10; 10], 1000)).expect("requests");
        let uneven = interval(&samples(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 100], 1000));
        let uneven = uneven.expect("requests");
        assert!(
            uneven[0] < even[0] && uneven[1] > 2.0 * even[1],
            "{even:?} {uneven:?}"
        );
    }

    #[test]
    fn pairs_tell_apart_what_intervals_do_not() {
        let (first, other) = ([100, 200, 300, 400], [90, 191, 289, 392]);
        let (first, other) = (samples(&first, 1000), samples(&other, 1000));
        let found = difference(&first, &other).expect("requests");
        assert!(near(found.value, -0.0095));
        assert_eq!(found.is_seen(), Some(true));
        let [lo, hi] = found.interval.expect("several runs");
        assert!(near(lo, -0.011_554) && near(hi, -0.007_446), "{lo} {hi}");
    }

    #[test]
    fn what_does_not_differ_is_not_seen_to() {
        let runs = samples(&[1, 2, 3], 10);
        let same = difference(&runs, &runs).expect("requests");
        assert_eq!((same.value, same.is_seen()), (0.0, Some(false)));
        let shuffled = difference(&runs, &samples(&[3, 2, 1], 10)).expect("requests");
        assert_eq!(shuffled.is_seen(), Some(false));
        let alone = difference(&runs[..1], &runs[1..2]).expect("requests");
        assert_eq!(alone.is_seen(), None);
    }

    #[test]
    fn nothing_has_no_rate() {
        assert_eq!(rate(&[]), None);
        assert_eq!(interval(&samples(&[0], 0)), None);
        assert_eq!(difference(&[], &[]), None);
    }

    #[test]
    fn student_s_quantile_goes_on_where_the_table_ends() {
        let known = [
            (1, 12.706_205),
            (30, 2.042_272),
            (31, 2.039_513),
            (120, 1.979_930),
        ];
        for (degrees, expected) in known {
            assert!((student(degrees) - expected).abs() < 2e-5, "{degrees}");
        }
    }
}
