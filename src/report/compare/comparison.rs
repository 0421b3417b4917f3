//! A comparison as plain data: what the forms of the report are made of.

use serde::{Serialize, Serializer};

use crate::study::StudyResult;
use iova::measure::{MetricId, Value};

/// What differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub base: String,
    /// The new results' file.
    pub new: String,
    /// An allocator of a scenario each, in the order of the base.
    pub pairs: Vec<Pair>,
    /// Scenarios whose requests differ between the two, which is forbidden unless it is meant.
    pub changed: Vec<ChangedWorkload>,
    /// What the base has and the new results lack, which is forbidden.
    pub vanished: Vec<Place>,
    /// What the new results have and the base lacks.
    pub added: Vec<Place>,
    /// Scenarios that lack one of the two allocators that are to be compared.
    pub skipped: Vec<String>,
}

/// A scenario whose results cannot be compared, since their requests differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedWorkload {
    pub scenario: String,
    /// What differs.
    pub why: String,
}

/// A scenario, or an allocator of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub scenario: String,
    /// The allocator; none for all of the scenario.
    pub allocator: Option<String>,
}

/// An allocator before and after, or one allocator and another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    pub scenario: String,
    /// The allocator of the base.
    pub base: String,
    /// The allocator of the new results.
    pub new: String,
    pub seeds: u64,
    /// Whether the two sides served different requests.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub other_requests: bool,
    /// The figures that differ.
    pub changes: Vec<Change>,
    /// Whether the distribution of steps differs, or the place where a replay came to its end,
    /// with all figures alike.
    pub differs_otherwise: bool,
    /// The metrics that the policy limits.
    #[serde(serialize_with = "paths")]
    pub held: Vec<MetricId>,
    /// Where to look closer.
    #[serde(skip)]
    pub(super) source: Source,
}

/// What made the requests of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The file of a scenario, if it is known.
    Scenario(Option<String>),
    /// The file of a trace, if it is known.
    Trace(Option<String>),
}

fn paths<S: Serializer>(metrics: &[MetricId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(metrics.iter().map(|it| it.metric().path))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is called by serde")]
fn path<S: Serializer>(metric: &MetricId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(metric.metric().path)
}

/// A figure that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The metric; its path in documents.
    #[serde(rename = "figure", serialize_with = "path")]
    pub metric: MetricId,
    /// Over all seeds of the base; null where it is unknown.
    pub before: Option<Value>,
    /// Over all seeds of the new results.
    pub after: Option<Value>,
    pub verdict: Verdict,
    /// Seed by seed; null where the figure of a seed is unknown.
    pub paired: Option<Paired>,
    /// What the policy allows, where that is less than this.
    pub forbidden: Option<String>,
}

/// Whether a change is for the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Better,
    /// It is for the worse.
    Worse,
    /// Neither.
    Neither,
}

/// A difference over the seeds: new less base.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    pub mean: f64,
    /// Its 95 % interval; null with a single seed.
    pub ci95: Option<[f64; 2]>,
    /// In how many seeds the figure rose.
    pub seeds_up: u64,
    /// In how many it fell.
    pub seeds_down: u64,
    /// The seed in which it changed the most.
    pub most: Most,
}

/// The seed with the largest change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Most {
    /// Null for a recorded trace.
    pub seed: Option<u64>,
    /// The figure of the base.
    pub before: Value,
    /// The figure of the new results.
    pub after: Value,
}

impl Comparison {
    /// Whether nothing is forbidden.
    pub fn passes(&self) -> bool {
        self.forbidden() == 0
    }

    /// How many things are forbidden.
    pub fn forbidden(&self) -> usize {
        let changes = self.pairs.iter().map(|pair| pair.forbidden().count());
        changes.sum::<usize>() + self.vanished.len() + self.changed.len()
    }

    /// Whether nothing differs at all.
    pub fn is_equal(&self) -> bool {
        let nothing =
            self.vanished.is_empty() && self.added.is_empty() && self.changed.is_empty();
        nothing && self.pairs.iter().all(Pair::is_equal)
    }
}

impl Pair {
    /// The changes that the policy forbids.
    pub fn forbidden(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|it| it.forbidden.is_some())
    }

    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.changes.is_empty() && !self.differs_otherwise
    }
}

impl Place {
    pub(super) fn scenario(result: &StudyResult) -> Place {
        Place {
            scenario: result.name().to_owned(),
            allocator: None,
        }
    }

    pub(super) fn allocator(result: &StudyResult, name: &str) -> Place {
        Place {
            scenario: result.name().to_owned(),
            allocator: Some(name.to_owned()),
        }
    }
}

impl Paired {
    /// Whether the seeds show that the metric rose (or fell, if `rise` is negative): it moved in
    /// no seed the other way, or the interval of the mean is on that side of 0. A single seed
    /// shows what it shows.
    pub(super) fn shows(&self, rise: f64) -> bool {
        let (that_way, other_way) = if rise > 0.0 {
            (self.seeds_up, self.seeds_down)
        } else {
            (self.seeds_down, self.seeds_up)
        };
        let apart = self
            .ci95
            .is_some_and(|[lo, hi]| if rise > 0.0 { lo > 0.0 } else { hi < 0.0 });
        that_way > 0 && (other_way == 0 || apart)
    }
}
