//! Which figures may change by how much, in which direction.
//!
//! A policy is a list of rules; the last one that is about a figure of an allocator decides.
//! The rules of a file come after the default ones, so that it says only what is otherwise:
//! no file turns the default off by forgetting it.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::comparison::Paired;
use crate::strict_json::{self, Error, JsonPath};
use crate::study::StudyResult;
use iova::measure::{METRICS, Metric, MetricId, Value};
use iova::words::nearest;

/// The version of the format that this program reads.
const VERSION: u64 = 1;

/// The metrics that must not rise unless a policy file says otherwise, and whether a rise counts
/// only if the seeds show it. A violation is one in any seed.
const DEFAULT: [(MetricId, bool); 5] = [
    (MetricId::Failures, true),
    (MetricId::Spurious, true),
    (MetricId::StepsP999, true),
    (MetricId::Violations, false),
    (MetricId::RunsAborted, false),
];

/// What a comparison is held to.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// What a figure is held to.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its place in the file; none for the default.
    place: Option<String>,
    metric: MetricId,
    scenario: Option<String>,
    allocator: Option<String>,
    rise: Allowed,
    fall: Allowed,
    /// Whether only what the seeds show counts.
    apart: bool,
}

/// How far a figure may go one way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Allowed {
    Any,
    By(f64),
    ByPercent(f64),
}

/// A policy of `iovasim compare`: which figures may change by how much. Its rules come after
/// the default ones, which forbid `failures`, `spurious`, `violations.total`, `runs_aborted` and
/// `steps.p999` to rise; the last rule about a figure decides.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Policy")]
#[serde(deny_unknown_fields)]
struct WirePolicy {
    /// The schema, for editors.
    #[serde(rename = "$schema", default)]
    #[expect(dead_code, reason = "for editors alone")]
    schema: Option<String>,
    /// What this file is.
    #[expect(dead_code, reason = "has one value")]
    iovasim: WireTag,
    /// The version of this format.
    #[schemars(extend("const" = VERSION))]
    version: u64,
    /// What figures are held to.
    rules: Vec<WireRule>,
}

/// Says that a file is a policy.
#[derive(Debug, Deserialize, JsonSchema)]
enum WireTag {
    #[serde(rename = "policy")]
    Policy,
}

/// What a figure is held to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireRule {
    /// The figure by its path in a row of the result, such as `failures` or `steps.p999`.
    figure: String,
    /// The scenario by its name; all if it is not given.
    scenario: Option<String>,
    /// The allocator by its name; all if it is not given.
    allocator: Option<String>,
    /// How far it may rise: `"any"`, a number, or per cent of what it was, as in `"5 %"`. Any
    /// if it is not given.
    rise: Option<WireAllowed>,
    /// How far it may fall, likewise.
    fall: Option<WireAllowed>,
    /// Whether a change counts only if the seeds show it: it is in no seed the other way, or the
    /// 95 % interval of the mean does not reach 0.
    #[serde(default)]
    apart: bool,
}

/// A number, or text such as `"any"` and `"5 %"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a number, \"any\" or per cent such as \"5 %\""
)]
enum WireAllowed {
    Number(f64),
    Text(String),
}

/// The JSON Schema of policy files, as text that ends with a newline.
pub fn schema() -> String {
    strict_json::schema::<WirePolicy>()
}

impl Default for Policy {
    fn default() -> Policy {
        let rule = |(metric, apart)| Rule {
            place: None,
            metric,
            scenario: None,
            allocator: None,
            rise: Allowed::By(0.0),
            fall: Allowed::Any,
            apart,
        };
        Policy {
            rules: DEFAULT.map(rule).into(),
        }
    }
}

impl Policy {
    /// Reads a policy. `path` is what errors call it.
    ///
    /// # Errors
    ///
    /// Where the text is no policy.
    pub fn parse(text: &str, path: &Path) -> Result<Policy, Error> {
        let wire: WirePolicy = strict_json::read(text, path)?;
        let here = JsonPath::root(path);
        if wire.version != VERSION {
            let problem = format!("found {}, expected {VERSION}", wire.version);
            return Err(here.field("version").error(problem));
        }
        let mut policy = Policy::default();
        for (index, rule) in wire.rules.iter().enumerate() {
            let here = here.field("rules").index(index);
            policy.rules.push(rule.check(&here, path, index)?);
        }
        Ok(policy)
    }

    /// The rule about a figure, unless none is or it allows everything.
    pub fn rule(&self, scenario: &str, allocator: &str, metric: MetricId) -> Option<&Rule> {
        let about =
            |name: &Option<String>, it: &str| name.as_ref().is_none_or(|name| name == it);
        let mut rules = self.rules.iter().rev();
        let decides = rules.find(|rule| {
            rule.metric == metric
                && about(&rule.scenario, scenario)
                && about(&rule.allocator, allocator)
        });
        decides.filter(|rule| (rule.rise, rule.fall) != (Allowed::Any, Allowed::Any))
    }

    /// That every scenario and allocator that a rule names is on one side at least.
    pub(super) fn check_names(
        &self,
        base: &[StudyResult],
        new: &[StudyResult],
    ) -> Result<(), String> {
        let results = || base.iter().chain(new);
        for rule in &self.rules {
            let place = rule.place.as_deref().unwrap_or_default();
            let scenarios = || results().map(StudyResult::name);
            let rows = || results().flat_map(|it| &it.rows);
            let allocators = || rows().map(|row| row.allocator.as_str());
            if let Some(name) = &rule.scenario
                && !scenarios().any(|it| it == name)
            {
                let hint = hint(name, scenarios());
                return Err(format!(
                    "{place}.scenario: neither side has a scenario `{name}`{hint}"
                ));
            }
            if let Some(name) = &rule.allocator
                && !allocators().any(|it| it == name)
            {
                let hint = hint(name, allocators());
                return Err(format!(
                    "{place}.allocator: neither side has an allocator `{name}`{hint}"
                ));
            }
        }
        Ok(())
    }
}

fn hint<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let meant = nearest(name, names);
    meant.map_or(String::new(), |it| format!("; did you mean `{it}`?"))
}

impl WireRule {
    fn check(&self, here: &JsonPath<'_>, path: &Path, index: usize) -> Result<Rule, Error> {
        let Some(metric) = Metric::find(&self.figure) else {
            let names = METRICS.iter().map(|it| it.path);
            return Err(here.field("figure").unknown("figure", &self.figure, names));
        };
        if self.rise.is_none() && self.fall.is_none() {
            return Err(here.error("says nothing, expected `rise` or `fall`"));
        }
        let allowed = |field: &str, wire: &Option<WireAllowed>| match wire {
            None => Ok(Allowed::Any),
            Some(wire) => wire.check(&here.field(field)),
        };
        Ok(Rule {
            place: Some(format!("{}: rules[{index}]", path.display())),
            metric: metric.id,
            scenario: self.scenario.clone(),
            allocator: self.allocator.clone(),
            rise: allowed("rise", &self.rise)?,
            fall: allowed("fall", &self.fall)?,
            apart: self.apart,
        })
    }
}

impl WireAllowed {
    fn check(&self, here: &JsonPath<'_>) -> Result<Allowed, Error> {
        let expected = "expected a number from 0 on, `any`, or per cent such as `5 %`";
        let possible = |number: &f64| number.is_finite() && *number >= 0.0;
        let (found, allowed) = match self {
            WireAllowed::Number(number) => {
                let allowed = Some(*number).filter(possible).map(Allowed::By);
                (number.to_string(), allowed)
            }
            WireAllowed::Text(text) if text == "any" => return Ok(Allowed::Any),
            WireAllowed::Text(text) => {
                let number = text.strip_suffix('%').map(str::trim_end);
                let number = number.and_then(|it| it.parse().ok()).filter(possible);
                (format!("`{text}`"), number.map(Allowed::ByPercent))
            }
        };
        allowed.ok_or_else(|| here.error(format!("found {found}, {expected}")))
    }
}

impl Rule {
    /// Whether requests that are granted outside of the domain count as failures, as they do by
    /// default: an allocator that refuses them instead is not worse.
    pub(super) fn counts_outside(&self) -> bool {
        self.metric == MetricId::Failures && self.place.is_none()
    }

    /// What is allowed, in words, if the change from `before` to `after` is not. `paired` is the
    /// same seed by seed.
    pub(super) fn forbids(
        &self,
        before: Value,
        after: Value,
        paired: Option<&Paired>,
    ) -> Option<String> {
        let rise = Value::rise(before, after);
        let (allowed, way) = if rise > 0.0 {
            (self.rise, "rise")
        } else {
            (self.fall, "fall")
        };
        let most = match allowed {
            Allowed::Any => return None,
            Allowed::By(most) => most,
            Allowed::ByPercent(percent) => before.to_f64() * percent / 100.0,
        };
        let counts = !self.apart || paired.is_none_or(|it| it.shows(rise));
        (rise.abs() > most && counts).then(|| allowed.in_words(way))
    }
}

impl Allowed {
    fn in_words(self, way: &str) -> String {
        match self {
            Allowed::Any => format!("any {way}"),
            Allowed::By(0.0) => format!("no {way}"),
            Allowed::By(most) => format!("a {way} of {most} at most"),
            Allowed::ByPercent(most) => format!("a {way} of {most} % at most"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::compare::testing;

    fn policy(rules: &str) -> Result<Policy, String> {
        let text = format!(r#"{{"iovasim":"policy","version":1,"rules":[{rules}]}}"#);
        Policy::parse(&text, Path::new("p.json")).map_err(|error| error.to_string())
    }

    fn forbids(policy: &Policy, figure: &str, before: f64, after: f64) -> Option<String> {
        let metric = Metric::find(figure).expect("a metric").id;
        let [before, after] = [before, after].map(Value::real);
        let rule = policy.rule("a", "old", metric)?;
        rule.forbids(before, after, None)
    }

    #[test]
    fn the_default_lets_nothing_that_matters_rise() {
        let policy = Policy::default();
        for (metric, _) in DEFAULT {
            let figure = metric.metric().path;
            let no_rise = Some("no rise".to_owned());
            assert_eq!(forbids(&policy, figure, 3.0, 4.0), no_rise, "{figure}");
            assert_eq!(forbids(&policy, figure, 4.0, 3.0), None, "{figure}");
        }
        assert_eq!(forbids(&policy, "searches", 3.0, 4.0), None);
    }

    #[test]
    fn the_last_rule_about_a_figure_decides() {
        let policy = policy(
            r#"{"figure":"failures","rise":"any"},
               {"figure":"failures","scenario":"b","rise":0},
               {"figure":"steps.mean","allocator":"old","rise":"5 %","fall":1.5}"#,
        )
        .expect("a policy");
        assert_eq!(forbids(&policy, "failures", 3.0, 4.0), None);
        assert!(policy.rule("b", "old", MetricId::Failures).is_some());
        assert_eq!(forbids(&policy, "steps.mean", 100.0, 105.0), None);
        assert_eq!(
            forbids(&policy, "steps.mean", 100.0, 105.5).as_deref(),
            Some("a rise of 5 % at most")
        );
        assert_eq!(
            forbids(&policy, "steps.mean", 100.0, 98.0).as_deref(),
            Some("a fall of 1.5 at most")
        );
        assert!(policy.rule("a", "new", MetricId::StepsMean).is_none());
        assert!(forbids(&policy, "spurious", 0.0, 1.0).is_some());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let wrong = |rules: &str| policy(rules).expect_err("wrong");
        let figure = wrong(r#"{"figure":"failure","rise":0}"#);
        assert!(figure.starts_with("p.json: rules[0].figure: unknown figure `failure`"));
        assert!(figure.ends_with("did you mean `failures`?"), "{figure}");
        let field = wrong(r#"{"figure":"failures","rises":0}"#);
        assert!(field.contains("rules[0]: unknown field `rises`"), "{field}");
        assert!(field.ends_with("did you mean `rise`?"), "{field}");
        assert_eq!(
            wrong(r#"{"figure":"failures"}"#),
            "p.json: rules[0]: says nothing, expected `rise` or `fall`"
        );
        for bad in ["-1", r#""much""#, r#""-1 %""#, r#""NaN %""#] {
            let rule = format!(r#"{{"figure":"failures","fall":{bad}}}"#);
            let problem = wrong(&rule);
            assert!(
                problem.starts_with("p.json: rules[0].fall: found"),
                "{problem}"
            );
        }
        let version = Policy::parse(
            r#"{"iovasim":"policy","version":2,"rules":[]}"#,
            Path::new("p.json"),
        );
        assert_eq!(
            version.expect_err("newer").to_string(),
            "p.json: version: found 2, expected 1"
        );
    }

    #[test]
    fn names_that_neither_side_has_are_refused() {
        let results = [testing::result("stress", &[("old", &[1])])];
        let check = |rules| policy(rules).expect("a policy").check_names(&results, &[]);
        let known = r#"{"figure":"failures","rise":1,"scenario":"stress","allocator":"old"}"#;
        assert_eq!(check(known), Ok(()));
        assert_eq!(
            check(r#"{"figure":"failures","rise":1,"scenario":"stres"}"#),
            Err(
                "p.json: rules[0].scenario: neither side has a scenario `stres`; did you mean \
                 `stress`?"
                    .to_owned()
            )
        );
        assert!(check(r#"{"figure":"failures","rise":1,"allocator":"newer"}"#).is_err());
    }
}
