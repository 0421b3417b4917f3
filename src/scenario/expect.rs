//! What a scenario holds its result to.

use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::strict_json::{Error, JsonPath};
use crate::workload::quantity::is_default;
use iova::kernel::Allocator;
use iova::measure::{METRICS, Metric, MetricId};

/// What a figure of the result is held to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Expectation", transform = needs_a_condition)]
#[serde(deny_unknown_fields)]
pub struct ExpectationEntry {
    /// Whose figure.
    allocator: String,
    /// Which figure of its row, such as `failure_rate` or `causes.shortcut`.
    #[schemars(extend("enum" = metric_paths()))]
    figure: String,
    /// It is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    /// It is at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    /// It is exactly this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<f64>,
    /// It is above this allocator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    above: Option<String>,
    /// It is below this allocator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    below: Option<String>,
    /// It is exactly this allocator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same_as: Option<String>,
    /// With `above` or `below`: so far that the 95 % intervals do not touch.
    #[serde(default, skip_serializing_if = "is_default")]
    apart: bool,
}

/// The paths of all metrics, those of earlier programs too.
fn metric_paths() -> Vec<String> {
    let today = METRICS.iter().map(|metric| metric.path.to_owned());
    today.chain(Metric::former_paths()).collect()
}

/// At least one condition; `apart` beside `above` or `below` alone.
fn needs_a_condition(schema: &mut Schema) {
    let given = |field: &str| json!({ "required": [field], "properties": { field: { "not": { "type": "null" } } } });
    let any = |fields: &[&str]| -> Vec<Value> { fields.iter().map(|it| given(it)).collect() };
    let conditions = any(&["min", "max", "equals", "above", "below", "same_as"]);
    let compared = any(&["above", "below"]);
    schema.insert("anyOf".to_owned(), conditions.into());
    schema.insert(
        "if".to_owned(),
        json!({ "required": ["apart"], "properties": { "apart": { "const": true } } }),
    );
    schema.insert("then".to_owned(), json!({ "anyOf": compared }));
}

/// What one figure of one allocator is held to.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    allocator: String,
    metric: MetricId,
    conditions: Vec<Condition>,
}

/// A condition on a figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Exactly this.
    Equals(f64),
    /// Above another allocator's, so that the intervals do not touch if `apart`.
    Above {
        other: String,
        /// Whether the intervals count.
        apart: bool,
    },
    /// Below another allocator's, so that the intervals do not touch if `apart`.
    Below {
        other: String,
        /// Whether the intervals count.
        apart: bool,
    },
    /// Exactly another allocator's.
    SameAs(String),
}

/// A figure as it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub value: f64,
    /// Its 95 % interval, where it has one.
    pub interval: Option<[f64; 2]>,
}

/// An expectation that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    pub allocator: String,
    pub figure: &'static str,
    /// What was measured; none where this allocator has no such figure.
    pub found: Option<Measured>,
    /// What was expected of it.
    pub expected: Condition,
    /// What was measured of the allocator to compare with.
    pub other: Option<Measured>,
}

impl ExpectationEntry {
    /// Checks an expectation of a scenario that runs `allocators`.
    pub(super) fn check(
        &self,
        allocators: &[Allocator],
        here: &JsonPath<'_>,
    ) -> Result<Expectation, Error> {
        let known = |field: &str, name: &String| {
            let names = allocators.iter().map(Allocator::name);
            let meant = name.parse::<Allocator>().ok();
            let listed = allocators
                .iter()
                .find(|it| meant.as_ref().is_some_and(|meant| it.is_same(meant)));
            let listed = listed.map(|it| it.name().to_owned());
            listed.ok_or_else(|| here.field(field).unknown("allocator", name, names))
        };
        let Some(metric) = Metric::find(&self.figure) else {
            let here = here.field("figure");
            let paths = METRICS.iter().map(|it| it.path);
            return Err(here.unknown("figure", &self.figure, paths));
        };
        let apart = self.apart;
        let mut conditions = Vec::new();
        conditions.extend(self.min.map(Condition::AtLeast));
        conditions.extend(self.max.map(Condition::AtMost));
        conditions.extend(self.equals.map(Condition::Equals));
        if let Some(other) = &self.above {
            let other = known("above", other)?;
            conditions.push(Condition::Above { other, apart });
        }
        if let Some(other) = &self.below {
            let other = known("below", other)?;
            conditions.push(Condition::Below { other, apart });
        }
        if let Some(other) = &self.same_as {
            conditions.push(Condition::SameAs(known("same_as", other)?));
        }
        if conditions.is_empty() {
            let fields = "`min`, `max`, `equals`, `above`, `below` or `same_as`";
            return Err(here.error(format!("expects nothing, expected one of {fields}")));
        }
        if apart && self.above.is_none() && self.below.is_none() {
            return Err(here.error("`apart` goes with `above` or `below`"));
        }
        Ok(Expectation {
            allocator: known("allocator", &self.allocator)?,
            metric: metric.id,
            conditions,
        })
    }
}

impl Expectation {
    /// Whose figure it holds to something.
    pub fn allocator(&self) -> &str {
        &self.allocator
    }

    /// The path of the metric.
    pub fn figure(&self) -> &'static str {
        self.metric.metric().path
    }

    /// What the figure is held to.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Holds the measured figures (of an allocator, by name) to this.
    ///
    /// # Errors
    ///
    /// The conditions that do not hold.
    pub fn check(
        &self,
        measured: impl Fn(&str, &'static Metric) -> Option<Measured>,
    ) -> Result<(), Vec<Miss>> {
        let metric = self.metric.metric();
        let found = measured(&self.allocator, metric);
        let mut misses = Vec::new();
        for condition in &self.conditions {
            let other = condition.other().and_then(|other| measured(other, metric));
            if !found.is_some_and(|found| condition.holds(found, other)) {
                misses.push(Miss {
                    allocator: self.allocator.clone(),
                    figure: metric.path,
                    found,
                    expected: condition.clone(),
                    other,
                });
            }
        }
        if misses.is_empty() {
            Ok(())
        } else {
            Err(misses)
        }
    }
}

impl Condition {
    /// The allocator to compare with, if any.
    pub fn other(&self) -> Option<&str> {
        match self {
            Condition::Above { other, .. }
            | Condition::Below { other, .. }
            | Condition::SameAs(other) => Some(other),
            _ => None,
        }
    }

    #[expect(clippy::float_cmp, reason = "equal means equal")]
    fn holds(&self, found: Measured, other: Option<Measured>) -> bool {
        match (self, other) {
            (Condition::AtLeast(min), _) => found.value >= *min,
            (Condition::AtMost(max), _) => found.value <= *max,
            (Condition::Equals(value), _) => found.value == *value,
            (Condition::Above { apart, .. }, Some(other)) => above(found, other, *apart),
            (Condition::Below { apart, .. }, Some(other)) => above(other, found, *apart),
            (Condition::SameAs(_), Some(other)) => found.value == other.value,
            (_, None) => false,
        }
    }
}

/// Whether one figure is above another; apart if not even their intervals touch.
fn above(high: Measured, low: Measured, apart: bool) -> bool {
    match (apart, high.interval, low.interval) {
        (false, ..) => high.value > low.value,
        (true, Some([low_of_high, _]), Some([_, high_of_low])) => low_of_high > high_of_low,
        (true, ..) => false,
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value)?;
        match self.interval {
            Some([lo, hi]) => write!(f, " (95 %: {lo} to {hi})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} ", self.figure, self.allocator)?;
        let Some(found) = self.found else {
            return f.write_str("is not known, which the scenario expects something of");
        };
        write!(f, "is {found}, expected ")?;
        let (word, other, apart) = match &self.expected {
            Condition::AtLeast(min) => {
                return write!(f, "at least {min}: {} too little", min - found.value);
            }
            Condition::AtMost(max) => {
                return write!(f, "at most {max}: {} too much", found.value - max);
            }
            Condition::Equals(value) => {
                return write!(f, "exactly {value}: off by {}", found.value - value);
            }
            Condition::Above { other, apart } => ("above", other, *apart),
            Condition::Below { other, apart } => ("below", other, *apart),
            Condition::SameAs(other) => ("the same as", other, false),
        };
        write!(f, "{word} that of {other}, ")?;
        match self.other {
            Some(measured) => write!(f, "{measured}")?,
            None => f.write_str("which is not known")?,
        }
        f.write_str(if apart { ", intervals apart" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(conditions: Vec<Condition>) -> Expectation {
        Expectation {
            allocator: "old".to_owned(),
            metric: MetricId::FailureRate,
            conditions,
        }
    }

    /// What comes of expecting `condition` of `old`, the misses as they read.
    fn check(condition: Condition) -> String {
        let measured = |allocator: &str, _: &'static Metric| match allocator {
            "old" => Some(Measured {
                value: 0.5,
                interval: Some([0.4, 0.6]),
            }),
            "new" => Some(Measured {
                value: 0.25,
                interval: Some([0.1, 0.45]),
            }),
            _ => None,
        };
        match expectation(vec![condition]).check(measured) {
            Ok(()) => "holds".to_owned(),
            Err(misses) => misses[0].to_string(),
        }
    }

    #[test]
    fn bounds_are_inclusive() {
        assert_eq!(check(Condition::AtLeast(0.5)), "holds");
        assert_eq!(check(Condition::AtMost(0.5)), "holds");
        assert_eq!(check(Condition::Equals(0.5)), "holds");
        let start = "failure_rate of old is 0.5 (95 %: 0.4 to 0.6), expected";
        assert_eq!(
            check(Condition::AtLeast(0.75)),
            format!("{start} at least 0.75: 0.25 too little")
        );
        assert_eq!(
            check(Condition::AtMost(0.25)),
            format!("{start} at most 0.25: 0.25 too much")
        );
        assert_eq!(
            check(Condition::Equals(0.25)),
            format!("{start} exactly 0.25: off by 0.25")
        );
    }

    #[test]
    fn allocators_are_compared_by_value_or_by_interval() {
        let above = |other: &str, apart| {
            let other = other.to_owned();
            check(Condition::Above { other, apart })
        };
        let below = |other: &str, apart| {
            let other = other.to_owned();
            check(Condition::Below { other, apart })
        };
        assert_eq!(above("new", false), "holds");
        assert_eq!(
            above("new", true),
            "failure_rate of old is 0.5 (95 %: 0.4 to 0.6), expected above that of new, \
             0.25 (95 %: 0.1 to 0.45), intervals apart"
        );
        assert!(below("new", false).contains("below that of new"));
        assert!(above("other", false).ends_with("which is not known"));
        assert_eq!(check(Condition::SameAs("old".to_owned())), "holds");
    }

    #[test]
    fn what_is_not_known_is_a_miss() {
        let misses = expectation(vec![Condition::AtMost(1.0)])
            .check(|_, _| None)
            .expect_err("not known");
        assert!(misses[0].to_string().contains("is not known"));
    }
}
