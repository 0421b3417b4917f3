//! The names of allocators: a release with changes reverted or applied.
//!
//! `linux-7.2~free-space-estimate` is 7.2 without that change, `linux-5.17+5b61343b5059` is
//! 5.17 with it; `old` is `linux-5.17` and `new` is `linux-5.18`, the two sides of the change
//! that this project was founded to measure.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::changes::{Change, ChangeSet, Release, TABLE};
use super::config::FlushQueue;
use super::ranges::Alignment;
use crate::units::Granule;

/// An allocator by name, and the rules that it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocator {
    name: String,
    rules: Rules,
}

/// Which changes an allocator has. Each behaviour of the models asks for its change here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    changes: ChangeSet,
    /// log2 of the largest alignment in pages of 4 KiB (`align-cap-N`).
    align_cap: Option<u32>,
    kind: Kind,
}

/// Which design looks for places; the rest is that of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The releases' own.
    Linux,
    /// [`best_fit`](super::best_fit).
    BestFit,
    /// [`maple`](super::maple).
    Maple,
}

/// The designs that no release has, on top of the newest release's caches and DMA layer.
pub const DESIGNS: [(&str, Kind, &str); 2] = [
    (
        "best-fit",
        Kind::BestFit,
        "the smallest gap that takes a request (Android vendors, 2020)",
    ),
    (
        "maple-2026",
        Kind::Maple,
        "a maple tree for the red-black tree (Meta, 2026, under discussion)",
    ),
];

/// Names that stand for others, and why they exist.
pub const ALIASES: [(&str, &str); 2] = [("old", "linux-5.17"), ("new", "linux-5.18")];

const ALIGN_CAP: &str = "align-cap-";
/// The largest N of `align-cap-N`: an alignment is less than 2^64 pages.
const ALIGN_CAP_MAX: u32 = 63;

/// Why a name names no allocator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("allocator `{name}`: {kind}")]
pub struct NameError {
    name: String,
    kind: NameErrorKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum NameErrorKind {
    #[error(
        "`{0}` is none that is known; expected old, new, linux-X.Y or a design, and `iovasim allocators` lists them"
    )]
    Base(String),
    #[error("there is no release {0}; expected one from {oldest} to {newest}", oldest = Release::OLDEST, newest = Release::NEWEST)]
    Release(String),
    #[error("there is no change `{found}`{}; `iovasim allocators` lists them", hint(*.nearest))]
    Change {
        found: String,
        nearest: Option<&'static str>,
    },
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

fn hint(nearest: Option<&'static str>) -> String {
    nearest.map_or(String::new(), |nearest| {
        format!(", did you mean `{nearest}`?")
    })
}

impl Allocator {
    /// The name as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Whether its domains can have that flush queue.
    pub fn supports(&self, queue: FlushQueue) -> bool {
        queue != FlushQueue::Single || self.rules.has(Change::SingleFlushQueue)
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
        match parse_rules(name) {
            Ok(rules) => Ok(Allocator {
                name: name.to_owned(),
                rules,
            }),
            Err(kind) => Err(NameError {
                name: name.to_owned(),
                kind,
            }),
        }
    }
}

impl Rules {
    /// The rules of a release as it was.
    pub fn of(release: Release) -> Rules {
        Rules {
            changes: ChangeSet::of(release),
            align_cap: None,
            kind: Kind::Linux,
        }
    }

    /// Which design looks for places.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Whether the design walks from range to range, so that there are steps to count.
    pub fn walks(self) -> bool {
        self.kind != Kind::Maple
    }

    /// Whether the allocator has a change.
    pub fn has(self, change: Change) -> bool {
        self.changes.has(change)
    }

    /// How it aligns aligned requests. Vendors count the cap in pages of 4 KiB; where that is
    /// less than a granule there is no cap, since the vendors' shift wraps.
    pub fn alignment(self, granule: Granule) -> Alignment {
        let cap = self
            .align_cap
            .and_then(|cap| (cap + 12).checked_sub(granule.shift()));
        match cap {
            Some(order) if order < 64 => Alignment::AtMost { order },
            _ => Alignment::Size,
        }
    }

    fn revert(&mut self, name: &str, of: &str) -> Result<(), NameErrorKind> {
        if name.starts_with(ALIGN_CAP) {
            return Err(NameErrorKind::RevertCap(name.to_owned()));
        }
        let change = parse_change(name)?;
        if !self.has(change) {
            return Err(NameErrorKind::NotThere(name.to_owned(), of.to_owned()));
        }
        self.changes.remove(change);
        Ok(())
    }

    fn apply(&mut self, name: &str, to: &str) -> Result<(), NameErrorKind> {
        if let Some(cap) = name.strip_prefix(ALIGN_CAP) {
            return self.cap_alignment(cap, name);
        }
        let change = parse_change(name)?;
        if self.has(change) {
            return Err(NameErrorKind::AlreadyThere(name.to_owned(), to.to_owned()));
        }
        self.changes.insert(change);
        Ok(())
    }

    fn cap_alignment(&mut self, cap: &str, name: &str) -> Result<(), NameErrorKind> {
        let plain = cap.bytes().all(|byte| byte.is_ascii_digit());
        let order = cap
            .parse()
            .ok()
            .filter(|&order| plain && order <= ALIGN_CAP_MAX);
        let Some(order) = order else {
            return Err(NameErrorKind::Cap(name.to_owned()));
        };
        if self.align_cap.replace(order).is_some() {
            return Err(NameErrorKind::CapTwice(name.to_owned()));
        }
        Ok(())
    }

    /// A change cannot be applied without what it builds on. One that is left behind when its
    /// ground is reverted usually has nothing to act on any more and does no harm;
    /// `depot-reclaim` alone would act on depots that it was not made for.
    fn check_needs(self, applied: &[Change]) -> Result<(), NameErrorKind> {
        for row in TABLE.iter().filter(|row| self.has(row.change)) {
            let Some(needed) = row.needs.filter(|&needed| !self.has(needed)) else {
                continue;
            };
            let needed = needed.row().slug;
            if applied.contains(&row.change) {
                let way_out = format!("apply that as well: +{needed}");
                return Err(NameErrorKind::Needs(row.slug, needed, way_out));
            }
            if row.change == Change::DepotReclaim {
                let way_out = format!("revert it as well: ~{}", row.slug);
                return Err(NameErrorKind::Needs(row.slug, needed, way_out));
            }
        }
        Ok(())
    }
}

fn parse_rules(name: &str) -> Result<Rules, NameErrorKind> {
    let end_of_base = name.find(['~', '+']).unwrap_or(name.len());
    let (base, mut rest) = name.split_at(end_of_base);
    let mut rules = parse_base(base)?;
    let mut applied = Vec::new();
    while let Some(sign) = rest.chars().next() {
        let end = rest[1..].find(['~', '+']).map_or(rest.len(), |at| at + 1);
        let (change, before) = (&rest[1..end], &name[..name.len() - rest.len()]);
        if sign == '+' {
            rules.apply(change, before)?;
            applied.extend(Change::parse(change));
        } else {
            rules.revert(change, before)?;
        }
        rest = &rest[end..];
    }
    rules.check_needs(&applied)?;
    Ok(rules)
}

fn parse_base(base: &str) -> Result<Rules, NameErrorKind> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == base);
    let base = alias.map_or(base, |(_, meaning)| meaning);
    if let Some((_, kind, _)) = DESIGNS.iter().find(|(name, ..)| *name == base) {
        return Ok(Rules {
            kind: *kind,
            ..Rules::of(Release::NEWEST)
        });
    }
    let Some(release) = base.strip_prefix("linux-") else {
        return Err(NameErrorKind::Base(base.to_owned()));
    };
    match Release::parse(release) {
        Some(release) => Ok(Rules::of(release)),
        None => Err(NameErrorKind::Release(release.to_owned())),
    }
}

fn parse_change(name: &str) -> Result<Change, NameErrorKind> {
    Change::parse(name).ok_or_else(|| {
        let slugs = TABLE.iter().map(|row| row.slug);
        let nearest = crate::words::nearest(name, slugs);
        NameErrorKind::Change {
            found: name.to_owned(),
            nearest,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn names_that_make_no_sense_are_refused_with_the_reason() {
        let cases = [
            (
                "",
                "allocator ``: `` is none that is known; expected old, new, linux-X.Y or a design, and `iovasim allocators` lists them",
            ),
            (
                "linux-5.20",
                "allocator `linux-5.20`: there is no release 5.20; expected one from 4.15 to 7.2",
            ),
            (
                "linux-7.2~retri",
                "allocator `linux-7.2~retri`: there is no change `retri`, did you mean `retry`?; `iovasim allocators` lists them",
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
