//! What differs between two results, figure by figure and seed by seed, and whether a policy
//! allows it.
//!
//! The simulator is deterministic, so that a difference is a fact about these requests. The
//! interval beside it says what other seeds would show: the same requests were replayed on
//! both sides, so that seeds are compared one by one.
//!
//! * [`policy`]: which metrics may change by how much.
//! * `words`, [`text`], [`markdown`], [`json`], [`junit`], [`github`]: how it is told.

mod comparison;
pub mod github;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod policy;
mod rows;
#[cfg(test)]
mod testing;
pub mod text;
mod words;

use std::fmt;

use crate::study::document::{Row, Run, StudyResult, Subject};
use comparison::Source;
pub use comparison::{Change, ChangedWorkload, Comparison, Most, Pair, Paired, Place, Verdict};
use iova::measure::METRICS;
use policy::Policy;
use rows::Rows;

/// A file's results, and what messages call the file.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The name of its file.
    pub file: &'a str,
    /// A result for each scenario.
    pub results: &'a [StudyResult],
}

/// Which allocators are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Same,
    /// One of the base with another of the new results.
    Between {
        /// The one of the base.
        base: String,
        new: String,
    },
}

/// Results that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomparable(String);

impl std::error::Error for Incomparable {}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether results of different requests are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workloads {
    /// Only results of the same requests: then a difference is one of the allocators.
    Same,
    /// Also those of different requests, such as a driver before and after a change.
    Any,
}

/// Compares the new results with the base. A scenario whose seeds or requests differ is reported as
/// changed.
///
/// # Errors
///
/// If nothing but such scenarios is left, if a result is only a shard, if no scenario has the
/// allocators that are to be compared, or if the policy names what neither side has.
pub fn compare(
    base: Side<'_>,
    new: Side<'_>,
    which: &Which,
    workloads: Workloads,
    policy: &Policy,
) -> Result<Comparison, Incomparable> {
    for side in [base, new] {
        are_whole(side)?;
    }
    policy
        .check_names(base.results, new.results)
        .map_err(Incomparable)?;
    let mut comparison = Comparison {
        base: base.file.to_owned(),
        new: new.file.to_owned(),
        pairs: Vec::new(),
        changed: Vec::new(),
        vanished: Vec::new(),
        added: Vec::new(),
        skipped: Vec::new(),
    };
    for before in base.results {
        let same = |it: &&StudyResult| it.name() == before.name();
        match new.results.iter().find(same) {
            None => comparison.vanished.push(Place::scenario(before)),
            Some(after) => match same_requests(base.file, before, new.file, after, workloads) {
                Ok(()) => comparison.add(before, after, which, policy),
                Err(why) => comparison.changed.push(ChangedWorkload {
                    scenario: before.name().to_owned(),
                    why,
                }),
            },
        }
    }
    for after in new.results {
        if !base.results.iter().any(|it| it.name() == after.name()) {
            comparison.added.push(Place::scenario(after));
        }
    }
    if let ([], [changed, ..]) = (comparison.pairs.as_slice(), comparison.changed.as_slice()) {
        let ChangedWorkload { scenario, why } = changed;
        return Err(Incomparable(format!(
            "scenario `{scenario}`: {why}; if that is meant, make a new baseline with `iovasim run \
             --update-baseline`, or compare with --across-workloads"
        )));
    }
    if let (Which::Between { base: a, new: b }, []) = (which, comparison.pairs.as_slice()) {
        return Err(Incomparable(format!(
            "no scenario has {a} in {} and {b} in {}: {}",
            base.file,
            new.file,
            known_allocators(new.results)
        )));
    }
    Ok(comparison)
}

fn known_allocators(results: &[StudyResult]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for row in results.iter().flat_map(|result| &result.rows) {
        if !names.contains(&row.allocator.as_str()) {
            names.push(&row.allocator);
        }
    }
    format!("there are {}", names.join(", "))
}

fn are_whole(side: Side<'_>) -> Result<(), Incomparable> {
    let shard = side.results.iter().find_map(|it| it.shard.as_ref());
    match shard {
        None => Ok(()),
        Some(shard) => Err(Incomparable(format!(
            "{}: only shard {} of {}; put the shards together with `iovasim merge`",
            side.file, shard.index, shard.of
        ))),
    }
}

/// Whether two results are of the same requests; else what differs.
fn same_requests(
    base: &str,
    before: &StudyResult,
    new: &str,
    after: &StudyResult,
    workloads: Workloads,
) -> Result<(), String> {
    let seeds = |result: &StudyResult| {
        let seeds = result.traces.iter().map(|trace| trace.seed);
        seeds.collect::<Vec<_>>()
    };
    if seeds(before) != seeds(after) {
        let (one, other) = (words::seeds(&seeds(before)), words::seeds(&seeds(after)));
        return Err(format!("{base} has {one}, {new} has {other}"));
    }
    let mut pairs = before.traces.iter().zip(&after.traces);
    let differing = pairs.find(|(one, other)| one.hash != other.hash);
    if let Some((one, other)) = differing.filter(|_| workloads == Workloads::Same) {
        let (one_hash, other_hash) = (&one.hash, &other.hash);
        let of = one
            .seed
            .map_or(String::new(), |seed| format!(" in seed {seed}"));
        let (one, other) = (one_hash, other_hash);
        return Err(format!(
            "other requests{of} (trace {one} in {base}, {other} in {new}): the workload has \
             changed, so a difference is not one of the allocators"
        ));
    }
    for result in [before, after] {
        let whole = result.traces.len() as u64;
        if let Some(row) = result.rows.iter().find(|row| row.runs != whole) {
            let (name, count) = (&row.allocator, row.runs);
            return Err(format!("{name} has {count} of {whole} seeds"));
        }
    }
    Ok(())
}

impl Comparison {
    fn add(
        &mut self,
        before: &StudyResult,
        after: &StudyResult,
        which: &Which,
        policy: &Policy,
    ) {
        match which {
            Which::Same => {
                for row in &before.rows {
                    match after.row(&row.allocator) {
                        None => {
                            let place = Place::allocator(before, &row.allocator);
                            self.vanished.push(place);
                        }
                        Some(other) => {
                            let pair = Pair::of((before, row), (after, other), policy);
                            self.pairs.push(pair);
                        }
                    }
                }
                let added = after.rows.iter();
                let added = added.filter(|row| before.row(&row.allocator).is_none());
                let places = added.map(|row| Place::allocator(after, &row.allocator));
                self.added.extend(places);
            }
            Which::Between { base, new } => match (before.row(base), after.row(new)) {
                (Some(row), Some(other)) => {
                    let pair = Pair::of((before, row), (after, other), policy);
                    self.pairs.push(pair);
                }
                _ => self.skipped.push(before.name().to_owned()),
            },
        }
    }
}

impl Pair {
    fn of<'a>(
        (before, row): (&'a StudyResult, &'a Row),
        (after, other): (&'a StudyResult, &'a Row),
        policy: &Policy,
    ) -> Pair {
        let seeds = |result: &'a StudyResult, name: &str| -> Vec<&'a Run> {
            let runs = result.runs.iter();
            runs.filter(|it| it.allocator == name).collect()
        };
        let ours = seeds(before, &row.allocator);
        let mut theirs = seeds(after, &other.allocator);
        let place = |seed| ours.iter().position(|it| it.seed == seed);
        theirs.sort_by_key(|it| place(it.seed));
        let rows = Rows::of(row, &ours, other, &theirs);
        let same_name = row.allocator == other.allocator;
        let rule = |metric| policy.rule(before.name(), &other.allocator, metric);
        let changes = METRICS.iter();
        let changes = changes.filter_map(|it| rows.change(it, rule(it.id), same_name));
        let changes: Vec<Change> = changes.collect();
        let held = METRICS.iter().map(|it| it.id);
        let file = after.file.clone().or_else(|| before.file.clone());
        let alike = ours.iter().zip(&theirs).all(|(ours, theirs)| {
            ours.step_counts == theirs.step_counts && ours.aborted == theirs.aborted
        });
        Pair {
            scenario: before.name().to_owned(),
            base: row.allocator.clone(),
            new: other.allocator.clone(),
            seeds: row.runs,
            other_requests: before.traces != after.traces,
            differs_otherwise: changes.is_empty() && !alike,
            changes,
            held: held.filter(|&it| rule(it).is_some()).collect(),
            source: match after.subject {
                Subject::Scenario { .. } => Source::Scenario(file),
                Subject::Trace { .. } => Source::Trace(file),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iova::measure::MetricId;
    use testing::{comparison, result};

    fn refused(base: &StudyResult, new: &StudyResult) -> String {
        let [base, new] = [base, new].map(std::slice::from_ref);
        let side = |file, results| Side { file, results };
        let (base, new) = (side("base.json", base), side("new.json", new));
        let policy = Policy::default();
        let compared = compare(base, new, &Which::Same, Workloads::Same, &policy);
        compared.expect_err("not to be compared").to_string()
    }

    fn between(base: &[StudyResult], which: [&str; 2]) -> Result<Comparison, Incomparable> {
        let side = Side {
            file: "r.json",
            results: base,
        };
        let [base, new] = which.map(str::to_owned);
        compare(
            side,
            side,
            &Which::Between { base, new },
            Workloads::Same,
            &Policy::default(),
        )
    }

    #[test]
    fn equal_is_said_as_equal() {
        let equal = comparison("a", &[1, 2, 3], &[1, 2, 3]);
        assert!(equal.is_equal() && equal.passes());
        assert!(words::verdict(&equal).starts_with("equal: nothing differs in 1 comparison"));
    }

    #[test]
    fn seeds_that_cancel_each_other_out_differ_but_are_no_rise() {
        let swapped = comparison("a", &[1, 2], &[2, 1]);
        assert!(!swapped.is_equal() && swapped.passes());
        let change = &swapped.pairs[0].changes[0];
        assert_eq!(
            (change.metric, change.verdict),
            (MetricId::Failures, Verdict::Neither)
        );
        let paired = change.paired.as_ref().expect("known");
        assert_eq!(
            (paired.mean, paired.seeds_up, paired.seeds_down),
            (0.0, 1, 1)
        );
    }

    #[test]
    fn differences_are_paired_by_seed_and_have_an_interval() {
        let worse = comparison("a", &[10, 20, 30], &[11, 22, 33]);
        let [change] = &worse.pairs[0].changes[..] else {
            panic!("{worse:?}");
        };
        let paired = change.paired.as_ref().expect("known");
        assert_eq!((paired.mean, paired.most.seed), (2.0, Some(3)));
        let [lo, hi] = paired.ci95.expect("three seeds");
        let half = 4.302_652_73 / 3.0_f64.sqrt();
        assert!((lo - 2.0 + half).abs() < 1e-9 && (hi - 2.0 - half).abs() < 1e-9);
        assert_eq!(change.forbidden.as_deref(), Some("no rise"));
        assert_eq!((worse.forbidden(), worse.passes()), (1, false));
        let better = comparison("a", &[11, 22, 33], &[10, 20, 30]);
        assert_eq!(better.pairs[0].changes[0].verdict, Verdict::Better);
        assert!(better.passes());
    }

    #[test]
    fn one_more_is_never_lost() {
        let before = u64::MAX - 1;
        let worse = comparison("a", &[before], &[u64::MAX]);
        assert!(!worse.passes());
        let change = &worse.pairs[0].changes[0];
        assert_eq!(words::difference(change).as_deref(), Some("+1"));
    }

    #[test]
    fn what_vanished_is_forbidden_and_what_is_new_is_told() {
        let base = [
            result("a", &[("old", &[1]), ("new", &[1])]),
            result("b", &[("old", &[1])]),
        ];
        let new = [
            result("a", &[("old", &[1]), ("maple", &[1])]),
            result("c", &[("old", &[1])]),
        ];
        let side = |file, results| Side { file, results };
        let policy = Policy::default();
        let found = compare(
            side("base.json", &base),
            side("new.json", &new),
            &Which::Same,
            Workloads::Same,
            &policy,
        );
        let found = found.expect("they can be compared");
        let place = |scenario: &str, allocator: Option<&str>| Place {
            scenario: scenario.to_owned(),
            allocator: allocator.map(str::to_owned),
        };
        assert_eq!(found.vanished, [place("a", Some("new")), place("b", None)]);
        assert_eq!(found.added, [place("a", Some("maple")), place("c", None)]);
        assert_eq!((found.forbidden(), found.is_equal()), (2, false));
    }

    #[test]
    fn other_requests_other_seeds_and_shards_are_refused() {
        let base = result("a", &[("old", &[1, 2])]);
        let mut other = base.clone();
        other.traces[1].hash = "else".to_owned();
        let said = refused(&base, &other);
        assert!(
            said.starts_with("scenario `a`: other requests in seed 2"),
            "{said}"
        );
        assert!(
            said.contains("trace hash-2 in base.json, else in new.json"),
            "{said}"
        );
        let said = refused(&base, &result("a", &[("old", &[1])]));
        assert!(
            said.contains("base.json has 2 seeds (1 to 2), new.json has 1 seed (1)"),
            "{said}"
        );
        let mut shard = base.clone();
        let (allocators, seeds) = (vec!["old".to_owned()], vec![Some(1), Some(2)]);
        shard.shard = Some(crate::study::document::Shard {
            index: 2,
            of: 7,
            allocators,
            seeds,
        });
        let said = refused(&base, &shard);
        assert_eq!(
            said,
            "new.json: only shard 2 of 7; put the shards together with `iovasim merge`"
        );
    }

    #[test]
    fn allocators_of_one_result_are_compared() {
        let results = [
            result("a", &[("new", &[1, 1]), ("old", &[3, 4])]),
            result("b", &[("new", &[1])]),
        ];
        let found = between(&results, ["new", "old"]).expect("they can be compared");
        assert_eq!(found.skipped, ["b"]);
        let pair = &found.pairs[0];
        assert_eq!((pair.base.as_str(), pair.new.as_str()), ("new", "old"));
        assert_eq!(found.forbidden(), 1);
        assert!(
            between(&results, ["old", "new"])
                .expect("comparable")
                .passes()
        );
        let said = between(&results, ["new", "odl"])
            .expect_err("unknown")
            .to_string();
        assert!(said.ends_with("there are new, old"), "{said}");
    }

    #[test]
    fn a_changed_workload_hides_no_other_verdict() {
        let base = [result("a", &[("old", &[1])]), result("b", &[("old", &[1])])];
        let mut new = [result("a", &[("old", &[1])]), result("b", &[("old", &[2])])];
        new[0].traces[0].hash = "else".to_owned();
        let compared = |workloads| {
            let side = |file, results| Side { file, results };
            let (base, new) = (side("base.json", &base[..]), side("new.json", &new[..]));
            let policy = Policy::default();
            compare(base, new, &Which::Same, workloads, &policy).expect("b can be compared")
        };
        let found = compared(Workloads::Same);
        assert_eq!(
            (found.changed[0].scenario.as_str(), found.forbidden()),
            ("a", 2)
        );
        assert_eq!(found.pairs[0].scenario, "b");
        for text in [
            text::page(&found, crate::report::Page::FILE),
            markdown::text(&found),
        ] {
            assert!(text.contains("other requests in seed 1"), "{text}");
        }
        let found = compared(Workloads::Any);
        assert_eq!((found.changed.len(), found.pairs.len()), (0, 2));
        let [a, b] = [0, 1].map(|it| found.pairs[it].other_requests);
        assert_eq!((a, b), (true, false));
    }

    /// Grants below `start_pfn` that a later release refuses instead are no more failures.
    #[test]
    fn requests_granted_outside_count_as_failures() {
        let of = |failures, outside| {
            let mut result = result("a", &[("new", &[failures])]);
            for metrics in result
                .runs
                .iter_mut()
                .map(|it| &mut it.metrics)
                .chain(result.rows.iter_mut().map(|it| &mut it.metrics))
            {
                *metrics = metrics.clone().with(MetricId::ViolationBelowStart, outside);
            }
            [result]
        };
        let (base, new) = (of(592, 220), of(804, 0));
        let side = |file, results| Side { file, results };
        let (base, new) = (side("base.json", &base[..]), side("new.json", &new[..]));
        let policy = Policy::default();
        let found = compare(base, new, &Which::Same, Workloads::Same, &policy);
        assert!(found.expect("comparable").passes());
        let found = compare(new, base, &Which::Same, Workloads::Same, &policy);
        assert!(!found.expect("comparable").passes());
    }
}
