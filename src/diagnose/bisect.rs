//! Which change makes a difference: over the releases, then over the changes between two of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use iova::kernel::changes::{Row, TABLE};
use iova::kernel::{Allocator, ConfigError, allocator_list};
use iova::measure::Decision;
use iova::measure::cause::Judge;
use serde::Serialize;

use super::names::plain_name;
use super::predicate::{self, Predicate};
use super::replaying;
use super::requests::Requests;

/// What is looked for in each allocator: a predicate in which `@` stands for the allocator.
#[derive(Clone, Debug)]
pub struct Template(String);

/// Between which allocators, and what is looked for.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// `None` for all releases.
    pub between: Option<[Allocator; 2]>,
    /// `None` for the first request that one of two neighbours refuses and the other grants.
    pub keep: Option<Template>,
}

/// What a bisection found.
#[derive(Clone, Debug, Serialize)]
pub struct Bisected {
    pub releases: Vec<Outcome>,
    /// Each pair of neighbours of which one shows it and the other does not.
    pub steps: Vec<Step>,
}

/// A release group, or an allocator that was named.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub allocator: String,
    pub refused: u64,
    /// Those of the refused for which there was room.
    pub spurious: u64,
    /// Whether it shows the predicate that was named, if one was.
    pub shows: Option<bool>,
}

/// Two allocators, of which one shows the predicate, and the changes between them.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub from: String,
    pub to: String,
    /// The predicate, with `@` for the allocator.
    pub predicate: String,
    /// Whether the second shows the predicate, and not the first.
    pub shown_after: bool,
    pub changes: Vec<Effect>,
    /// The smallest sets of changes, by their slugs, that make the first answer as the second.
    pub smallest: Vec<Vec<&'static str>>,
}

/// What one change does.
#[derive(Clone, Debug, Serialize)]
pub struct Effect {
    pub slug: &'static str,
    pub commit: Option<&'static str>,
    pub summary: &'static str,
    /// Whether the first allocator with this change alone is as the second; `None` if it cannot be
    /// applied alone.
    pub enough: Option<bool>,
    /// Whether the second without this change is as the first; `None` if it cannot be reverted
    /// alone.
    pub needed: Option<bool>,
}

/// How many changes the sets have at most.
const SET_MAX: usize = 3;

impl Template {
    /// A predicate in which `@` stands for an allocator.
    ///
    /// # Errors
    ///
    /// If it is no predicate with the name of an allocator in place of `@`, or has no `@`.
    pub fn new(text: &str) -> Result<Template, String> {
        let template = Template(text.to_owned());
        if !text.contains('@') {
            return Err(format!(
                "`{text}`: expected `@` where an allocator is tried"
            ));
        }
        template.with("old").map_err(|error| error.to_string())?;
        Ok(template)
    }

    fn with(&self, name: &str) -> Result<Predicate, predicate::Error> {
        self.0.replace('@', name).parse()
    }
}

/// Finds the changes that make the difference.
///
/// # Errors
///
/// If an allocator cannot have the trace's domains.
pub fn bisect(requests: &Requests, question: &Question) -> Result<Bisected, ConfigError> {
    let releases = allocator_list::parse(["all"]).unwrap_or_default();
    let compared = match &question.between {
        Some(both) => both.to_vec(),
        None => releases.clone(),
    };
    let case = Case {
        requests,
        keep: question.keep.as_ref(),
    };
    let outcomes = releases.iter().map(|it| case.outcome(it));
    let releases = outcomes.collect::<Result<_, _>>()?;
    let mut steps = Vec::new();
    for pair in compared.windows(2) {
        let own = match case.keep {
            Some(keep) => Some(keep.clone()),
            None => first_difference(requests, &pair[0], &pair[1])?,
        };
        steps.extend(own.and_then(|keep| {
            let case = Case {
                requests,
                keep: Some(&keep),
            };
            case.step(&pair[0], &pair[1])
        }));
    }
    Ok(Bisected { releases, steps })
}

/// The first request that one of two allocators refuses and the other grants.
fn first_difference(
    requests: &Requests,
    one: &Allocator,
    other: &Allocator,
) -> Result<Option<Template>, ConfigError> {
    let (one, other) = (refusals(requests, one)?.0, refusals(requests, other)?.0);
    let first = one.symmetric_difference(&other).next();
    Ok(first.map(|event| Template(format!("refuses:@,{event}"))))
}

/// The events that an allocator refuses, and how many of them though there was room.
fn refusals(
    requests: &Requests,
    allocator: &Allocator,
) -> Result<(BTreeSet<u64>, u64), ConfigError> {
    let mut replay = replaying::fresh(&requests.header, allocator)?;
    let (mut refused, mut spurious) = (BTreeSet::new(), 0);
    let mut judge = Judge::default();
    replaying::replay(
        &mut replay,
        &requests.requests,
        |number, replay, request, answer| {
            if let Some(cause) = Decision::of(&mut judge, replay, request, answer).cause() {
                refused.insert(number);
                spurious += u64::from(cause.is_spurious());
            }
            ControlFlow::Continue(())
        },
    );
    Ok((refused, spurious))
}

struct Case<'a> {
    requests: &'a Requests,
    keep: Option<&'a Template>,
}

impl Case<'_> {
    fn outcome(&self, allocator: &Allocator) -> Result<Outcome, ConfigError> {
        let (refused, spurious) = refusals(self.requests, allocator)?;
        Ok(Outcome {
            allocator: plain_name(allocator),
            refused: refused.len() as u64,
            spurious,
            shows: self.shows(allocator.name()),
        })
    }

    /// Whether an allocator shows the predicate; `None` if there is no such allocator or domain.
    fn shows(&self, name: &str) -> Option<bool> {
        let predicate = self.keep?.with(name).ok()?;
        let first = predicate.first(&self.requests.header, &self.requests.requests);
        Some(first.ok()?.is_some())
    }

    fn step(&self, from: &Allocator, to: &Allocator) -> Option<Step> {
        let (before, after) = (self.shows(from.name())?, self.shows(to.name())?);
        if before == after {
            return None;
        }
        let differs = |row: &&Row| from.rules().has(row.change) != to.rules().has(row.change);
        let changes: Vec<&Row> = TABLE.iter().filter(differs).collect();
        let effects = changes.iter().map(|row| Effect {
            slug: row.slug,
            commit: row.commit,
            summary: row.summary,
            enough: self
                .shows(&switched(from, &[row]))
                .map(|shows| shows == after),
            needed: self
                .shows(&switched(to, &[row]))
                .map(|shows| shows == before),
        });
        Some(Step {
            from: plain_name(from),
            to: plain_name(to),
            predicate: self.keep?.0.clone(),
            shown_after: after,
            changes: effects.collect(),
            smallest: self.smallest(from, after, &changes),
        })
    }

    /// The smallest sets of changes that make `from` show what the other does.
    fn smallest(
        &self,
        from: &Allocator,
        after: bool,
        changes: &[&'static Row],
    ) -> Vec<Vec<&'static str>> {
        for size in 1..=SET_MAX {
            let sets = subsets(changes, size);
            let enough = sets
                .iter()
                .filter(|set| self.shows(&switched(from, set)) == Some(after));
            let enough: Vec<Vec<&str>> = enough
                .map(|set| set.iter().map(|row| row.slug).collect())
                .collect();
            if !enough.is_empty() {
                return enough;
            }
        }
        Vec::new()
    }
}

/// The name of an allocator with some changes applied or reverted.
fn switched(allocator: &Allocator, rows: &[&Row]) -> String {
    let mut name = allocator.name().to_owned();
    for row in rows {
        let has = allocator.rules().has(row.change);
        name.push(if has { '~' } else { '+' });
        name.push_str(row.slug);
    }
    name
}

/// All sets of that many of some rows.
fn subsets(rows: &[&'static Row], size: usize) -> Vec<Vec<&'static Row>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let mut sets = Vec::new();
    for (index, &row) in rows.iter().enumerate() {
        for mut set in subsets(&rows[index + 1..], size - 1) {
            set.insert(0, row);
            sets.push(set);
        }
    }
    sets
}
