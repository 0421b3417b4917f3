//! The names of allocators: a release with changes reverted or applied.
//!
//! `linux-7.2~free-space-estimate` is 7.2 without that change, `linux-5.17+5b61343b5059` is
//! 5.17 with it; `old` is `linux-5.17` and `new` is `linux-5.18`, the two sides of the change
//! that this project was founded to measure.
//!
//! Names may be abbreviated: `5.10` and `v5.10` are `linux-5.10`, and a change may be named by
//! any unique prefix of its slug or commit. [`allocator_list`](super::allocator_list) reads
//! lists of names, with ranges of releases.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::changes::{Change, Release, Row, TABLE};
use super::design::DESIGNS;
use super::flush_queue::FlushQueue;
use super::rules::Rules;

/// An allocator by name, and the rules that it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocator {
    name: String,
    /// The release that the name starts from; that of a design is the newest.
    base: Release,
    rules: Rules,
}

/// Names that stand for others, and why they exist.
pub const ALIASES: [(&str, &str); 2] = [("old", "linux-5.17"), ("new", "linux-5.18")];

const ALIGN_CAP: &str = "align-cap-";
/// The largest N of `align-cap-N`: an alignment is less than 2^64 pages.
const ALIGN_CAP_MAX: u32 = 63;

/// Why a name names no allocator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The part before the changes names no release, alias or design.
    #[error(
        "unknown allocator `{found}`; expected old, new, linux-X.Y or a design (`iovasim allocators` lists them){}",
        hint(nearest.as_deref())
    )]
    Unknown {
        found: String,
        nearest: Option<String>,
    },
    #[error("allocator `{name}`: {problem}")]
    Invalid { name: String, problem: Problem },
}

/// What is wrong with a name whose form is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    #[error("there is no release {0}; expected one from {oldest} to {newest}", oldest = Release::OLDEST, newest = Release::NEWEST)]
    Release(String),
    #[error("there is no change `{found}` (`iovasim allocators` lists them){}", hint(*.nearest))]
    Change {
        found: String,
        nearest: Option<&'static str>,
    },
    #[error("`{0}` may be any of {1}")]
    Ambiguous(String, String),
    #[error("cannot revert `{0}`, which {1} does not have")]
    NotThere(String, String),
    #[error("cannot apply `{0}`, which {1} already has")]
    AlreadyThere(String, String),
    #[error("`{0}` makes no sense without `{1}`; {2}")]
    Needs(&'static str, &'static str, String),
    #[error("`{0}` caps the alignment a second time")]
    CapTwice(String),
    #[error("`{0}`: expected align-cap-N with N from 0 to {ALIGN_CAP_MAX}")]
    Cap(String),
    #[error("`{0}` is in no release and cannot be reverted")]
    RevertCap(String),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}

impl Allocator {
    /// The name as it was given, with abbreviations of releases and slugs written out.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether both names mean the same changes of the same release or design, as `old` and
    /// `linux-5.17` do. Two releases between which nothing changed are not the same.
    pub fn is_same(&self, other: &Allocator) -> bool {
        (self.base, self.rules) == (other.base, other.rules)
    }

    /// A release as it was.
    pub fn of(release: Release) -> Allocator {
        Allocator {
            name: format!("linux-{release}"),
            base: release,
            rules: Rules::of(release),
        }
    }

    /// The release that the name starts from; a design starts from the newest.
    pub fn base(&self) -> Release {
        self.base
    }

    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Whether its domains can have that flush queue.
    pub fn supports(&self, queue: FlushQueue) -> bool {
        queue != FlushQueue::Single || self.rules.has(Change::SingleFlushQueue)
    }
}

impl Allocator {
    /// Reverts and applies changes, such as `~retry+magazine-127`.
    fn change(&mut self, mut changes: &str) -> Result<(), Problem> {
        let mut applied = Vec::new();
        while let Some(sign) = changes.chars().next() {
            let end = changes[1..].find(['~', '+']);
            let end = end.map_or(changes.len(), |at| at + 1);
            let (text, rest) = (&changes[1..end], &changes[end..]);
            let spelled = if text.starts_with(ALIGN_CAP) {
                self.cap_alignment(sign, text)?;
                text
            } else {
                let change = parse_change(text)?;
                self.switch(sign, change, text)?;
                applied.extend((sign == '+').then_some(change));
                let slug = change.row().slug;
                if slug.starts_with(text) { slug } else { text }
            };
            self.name.push(sign);
            self.name.push_str(spelled);
            changes = rest;
        }
        check_needs(self.rules, &applied)
    }

    fn switch(&mut self, sign: char, change: Change, text: &str) -> Result<(), Problem> {
        let (changes, name) = (&mut self.rules.changes, &self.name);
        match (sign, changes.has(change)) {
            ('+', true) => Err(Problem::AlreadyThere(text.to_owned(), name.clone())),
            ('+', false) => {
                changes.insert(change);
                Ok(())
            }
            (_, true) => {
                changes.remove(change);
                Ok(())
            }
            (_, false) => Err(Problem::NotThere(text.to_owned(), name.clone())),
        }
    }

    fn cap_alignment(&mut self, sign: char, text: &str) -> Result<(), Problem> {
        if sign == '~' {
            return Err(Problem::RevertCap(text.to_owned()));
        }
        let digits = &text[ALIGN_CAP.len()..];
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let order = digits
            .parse()
            .ok()
            .filter(|&order| plain && order <= ALIGN_CAP_MAX)
            .ok_or_else(|| Problem::Cap(text.to_owned()))?;
        if self.rules.align_cap.replace(order).is_some() {
            return Err(Problem::CapTwice(text.to_owned()));
        }
        Ok(())
    }
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Allocator {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Allocator, NameError> {
        let end_of_base = name.find(['~', '+']).unwrap_or(name.len());
        let (base, changes) = name.split_at(end_of_base);
        let mut allocator = parse_base(base)?;
        match allocator.change(changes) {
            Ok(()) => Ok(allocator),
            Err(problem) => Err(NameError::Invalid {
                name: name.to_owned(),
                problem,
            }),
        }
    }
}

/// A change cannot be applied without what it builds on. One that is left behind when its
/// ground is reverted usually has nothing to act on any more and does no harm;
/// `depot-reclaim` alone would act on depots that it was not made for.
fn check_needs(rules: Rules, applied: &[Change]) -> Result<(), Problem> {
    for row in TABLE.iter().filter(|row| rules.has(row.change)) {
        let Some(needed) = row.needs.filter(|&needed| !rules.has(needed)) else {
            continue;
        };
        let needed = needed.row().slug;
        if applied.contains(&row.change) {
            let way_out = format!("apply that as well: +{needed}");
            return Err(Problem::Needs(row.slug, needed, way_out));
        }
        if row.change == Change::DepotReclaim {
            let way_out = format!("revert it as well: ~{}", row.slug);
            return Err(Problem::Needs(row.slug, needed, way_out));
        }
    }
    Ok(())
}

/// The allocator that a name without changes stands for.
fn parse_base(base: &str) -> Result<Allocator, NameError> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == base);
    let meaning = alias.map_or(base, |(_, meaning)| meaning);
    if let Some(design) = DESIGNS.iter().find(|design| design.name == meaning) {
        return Ok(Allocator {
            name: design.name.to_owned(),
            base: Release::NEWEST,
            rules: Rules {
                design: design.name,
                ..Rules::of(Release::NEWEST)
            },
        });
    }
    let release = parse_release(meaning)?;
    Ok(Allocator {
        name: alias.map_or(format!("linux-{release}"), |(alias, _)| (*alias).to_owned()),
        base: release,
        rules: Rules::of(release),
    })
}

/// A release written as `linux-5.10`, `5.10` or `v5.10`.
fn parse_release(text: &str) -> Result<Release, NameError> {
    let release = text.strip_prefix("linux-").unwrap_or(text);
    let number = release.strip_prefix('v').unwrap_or(release);
    Release::parse(number).ok_or_else(|| {
        if number.starts_with(|it: char| it.is_ascii_digit()) {
            return NameError::Invalid {
                name: text.to_owned(),
                problem: Problem::Release(number.to_owned()),
            };
        }
        let releases = Release::all().map(|it| format!("linux-{it}"));
        let names = (ALIASES.iter().map(|it| it.0)).chain(DESIGNS.iter().map(|it| it.name));
        let names: Vec<String> = names.map(str::to_owned).chain(releases).collect();
        NameError::Unknown {
            found: text.to_owned(),
            nearest: crate::words::nearest(text, names.iter().map(String::as_str))
                .map(str::to_owned),
        }
    })
}

/// The change whose slug or commit `name` is, or is the prefix of as of no other change.
fn parse_change(name: &str) -> Result<Change, Problem> {
    if let Some(change) = Change::parse(name) {
        return Ok(change);
    }
    let lower = name.to_ascii_lowercase();
    let is_prefix = |row: &&Row| {
        let of_commit = row.commit.is_some_and(|it| it.starts_with(&lower));
        !name.is_empty() && (row.slug.starts_with(name) || of_commit)
    };
    let found: Vec<&Row> = TABLE.iter().filter(is_prefix).collect();
    match found[..] {
        [row] => Ok(row.change),
        [] => Err(Problem::Change {
            found: name.to_owned(),
            nearest: crate::words::nearest(name, TABLE.iter().map(|row| row.slug)),
        }),
        _ => {
            let slugs: Vec<&str> = found.iter().map(|row| row.slug).collect();
            Err(Problem::Ambiguous(name.to_owned(), slugs.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::rbtree::Alignment;
    use crate::units::Granule;

    fn rules(name: &str) -> Rules {
        name.parse::<Allocator>()
            .unwrap_or_else(|error| panic!("{error}"))
            .rules()
    }

    fn error(name: &str) -> String {
        name.parse::<Allocator>().expect_err(name).to_string()
    }

    #[test]
    fn old_and_new_differ_in_the_founding_change_alone() {
        assert_eq!(rules("old+free-space-estimate"), rules("new"));
        assert_eq!(rules("new~5b61343b5059"), rules("old"));
        assert!(rules("new").has(Change::FreeSpaceEstimate));
        assert!(!rules("old").has(Change::FreeSpaceEstimate));
    }

    #[test]
    fn a_release_without_changes_is_the_one_before() {
        assert_eq!(rules("linux-7.2"), rules("linux-6.7"));
        assert_ne!(rules("linux-6.7"), rules("linux-6.6"));
    }

    #[test]
    fn several_changes_are_reverted_and_applied_in_turn() {
        let both = rules("linux-7.2~free-space-estimate+reset-on-retry");
        assert!(!both.has(Change::FreeSpaceEstimate) && both.has(Change::ResetOnRetry));
        assert_eq!(
            rules("linux-7.2~depot-reclaim~depot-list"),
            rules("linux-6.6+single-flush-queue")
        );
        assert_eq!(
            rules("linux-6.6+depot-reclaim+depot-list+single-flush-queue"),
            rules("linux-7.2")
        );
    }

    #[test]
    fn a_cap_counts_pages_of_4_kib() {
        let capped = rules("linux-7.2+align-cap-4");
        let kib_64 = Granule::from_bytes(65536).expect("a power of two");
        assert_eq!(
            capped.alignment(Granule::KIB_4),
            Alignment::AtMost { order: 4 }
        );
        assert_eq!(capped.alignment(kib_64), Alignment::AtMost { order: 0 });
        assert_eq!(
            rules("linux-7.2+align-cap-3").alignment(kib_64),
            Alignment::Size
        );
    }

    #[test]
    fn abbreviations_are_written_out() {
        for (short, long) in [
            ("5.10", "linux-5.10"),
            ("v5.10", "linux-5.10"),
            ("linux-v5.10", "linux-5.10"),
            ("old", "old"),
            ("5.17+free", "linux-5.17+free-space-estimate"),
            ("7.2~flush+align-cap-4", "linux-7.2~flush-depot+align-cap-4"),
            ("7.2~retry", "linux-7.2~retry"),
            ("7.2~5b613", "linux-7.2~5b613"),
        ] {
            let allocator: Allocator = short.parse().expect(short);
            assert_eq!(allocator.name(), long);
            assert_eq!(rules(long), allocator.rules(), "{short}");
        }
    }

    #[test]
    fn two_spellings_are_the_same_and_two_releases_are_not() {
        let same = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|name| name.parse::<Allocator>().expect(name));
            a.is_same(&b)
        };
        assert!(same("old", "linux-5.17"));
        assert!(same("7.2~retry", "linux-7.2~4e89dce72521"));
        assert!(same("7.2~retry~flush-depot", "7.2~flush-depot~retry"));
        assert!(!same("linux-6.7", "linux-7.2"));
        assert!(!same("old+free-space-estimate", "new"));
        assert!(!same("linux-7.2", "best-fit"));
    }

    #[test]
    fn names_that_make_no_sense_are_refused_with_the_reason() {
        let cases = [
            (
                "",
                "unknown allocator ``; expected old, new, linux-X.Y or a design (`iovasim allocators` lists them)",
            ),
            (
                "nwe~retry",
                "unknown allocator `nwe`; expected old, new, linux-X.Y or a design (`iovasim allocators` lists them); did you mean `new`?",
            ),
            (
                "linux-7.2~dep",
                "allocator `linux-7.2~dep`: `dep` may be any of depot-list, depot-reclaim",
            ),
            (
                "v5.10.1",
                "allocator `v5.10.1`: there is no release 5.10.1; expected one from 4.15 to 7.2",
            ),
            (
                "linux-5.20",
                "allocator `linux-5.20`: there is no release 5.20; expected one from 4.15 to 7.2",
            ),
            (
                "linux-7.2~retri",
                "allocator `linux-7.2~retri`: there is no change `retri` (`iovasim allocators` lists them); did you mean `retry`?",
            ),
            (
                "linux-5.10~retry",
                "allocator `linux-5.10~retry`: cannot revert `retry`, which linux-5.10 does not have",
            ),
            (
                "new+retry",
                "allocator `new+retry`: cannot apply `retry`, which new already has",
            ),
            (
                "new~retry~retry",
                "allocator `new~retry~retry`: cannot revert `retry`, which new~retry does not have",
            ),
            (
                "linux-4.15+free-space-estimate",
                "allocator `linux-4.15+free-space-estimate`: `free-space-estimate` makes no sense without `max32`; apply that as well: +max32",
            ),
            (
                "linux-7.2~depot-list",
                "allocator `linux-7.2~depot-list`: `depot-reclaim` makes no sense without `depot-list`; revert it as well: ~depot-reclaim",
            ),
            (
                "new+align-cap-64",
                "allocator `new+align-cap-64`: `align-cap-64`: expected align-cap-N with N from 0 to 63",
            ),
            (
                "new+align-cap-9+align-cap-4",
                "allocator `new+align-cap-9+align-cap-4`: `align-cap-4` caps the alignment a second time",
            ),
            (
                "new~align-cap-9",
                "allocator `new~align-cap-9`: `align-cap-9` is in no release and cannot be reverted",
            ),
        ];
        for (name, message) in cases {
            assert_eq!(error(name), message);
        }
        for name in [
            "linux-5.18~",
            "linux-5.18+",
            "~",
            "linux-",
            "linux-5.18~+retry",
            "é~é",
        ] {
            error(name);
        }
    }
}
