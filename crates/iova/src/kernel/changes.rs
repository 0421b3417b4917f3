//! The table of kernel changes: what altered the IOVA allocator's answers, and when.
//!
//! This is the one place that says which change came with which release. Every behaviour of
//! the models that differs between releases asks for its change by name. To add a change:
//! a variant, a row, and the behaviour that asks for it.

use std::fmt;

/// A release of Linus's tree, 4.15 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    major: u8,
    minor: u8,
}

/// For each major version, the minor versions that can be named.
const SERIES: [(u8, u8, u8); 4] = [(4, 15, 20), (5, 0, 19), (6, 0, 19), (7, 0, 2)];

impl Release {
    /// The release in which the tree got its anchor and its two cached positions.
    pub const OLDEST: Release = Release {
        major: 4,
        minor: 15,
    };
    /// The newest release that the models know.
    pub const NEWEST: Release = Release { major: 7, minor: 2 };

    const fn of(major: u8, minor: u8) -> Release {
        Release { major, minor }
    }

    /// The release written as `major.minor`; none if there was none of that number from
    /// [`OLDEST`](Self::OLDEST) to [`NEWEST`](Self::NEWEST).
    pub fn parse(text: &str) -> Option<Release> {
        let (major, minor) = text.split_once('.')?;
        let number = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let canonical = text == "0" || !text.starts_with('0');
            if plain && canonical {
                text.parse::<u8>().ok()
            } else {
                None
            }
        };
        let release = Release {
            major: number(major)?,
            minor: number(minor)?,
        };
        Release::all()
            .any(|known| known == release)
            .then_some(release)
    }

    /// All releases, the oldest first.
    pub fn all() -> impl Iterator<Item = Release> {
        SERIES.into_iter().flat_map(|(major, first, last)| {
            (first..=last).map(move |minor| Release { major, minor })
        })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A change of the allocator, in the order of their coming; proposals that no release has
/// come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table beneath says what each one is")]
pub enum Change {
    Max32,
    Max32Tracking,
    StaleCached32,
    Retry,
    FlushDepot,
    HotplugFlush,
    Forcedac,
    RestartAtLimit,
    RoundInFast,
    FreeSpaceEstimate,
    Magazine127,
    RetryOverflow,
    SacOnce,
    DepotList,
    DepotReclaim,
    SingleFlushQueue,
    ResetOnRetry,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub change: Change,
    /// Its name on the command line.
    pub slug: &'static str,
    /// Its commit in Linus's tree, 12 digits; none for a proposal.
    pub commit: Option<&'static str>,
    /// The first release that has it; none for a proposal.
    pub first: Option<Release>,
    /// A change that this one mends or builds on, and without which it makes no sense.
    pub needs: Option<Change>,
    /// What it does, in a line.
    pub summary: &'static str,
}

const fn merged(
    change: Change,
    slug: &'static str,
    commit: &'static str,
    first: Release,
    needs: Option<Change>,
    summary: &'static str,
) -> Row {
    Row {
        change,
        slug,
        commit: Some(commit),
        first: Some(first),
        needs,
        summary,
    }
}

/// Every change, in the order of [`Change`].
pub const TABLE: [Row; 17] = [
    merged(
        Change::Max32,
        "max32",
        "bee60e94a1e2",
        Release::of(4, 20),
        None,
        "a 32-bit request at least as large as one that failed is refused without a search",
    ),
    merged(
        Change::Max32Tracking,
        "max32-tracking",
        "80ef4464d5e2",
        Release::of(5, 1),
        Some(Change::Max32),
        "only a search that failed sets max32, not a request that it refused",
    ),
    merged(
        Change::StaleCached32,
        "stale-cached32",
        "9eed17d37c77",
        Release::of(5, 3),
        None,
        "cached32 moves whenever its own range is freed, also one that ends above 4 GiB",
    ),
    merged(
        Change::Retry,
        "retry",
        "4e89dce72521",
        Release::of(5, 11),
        None,
        "a search that fails looks once more above where it began; passes stop below start_pfn",
    ),
    merged(
        Change::FlushDepot,
        "flush-depot",
        "6fa3525b455a",
        Release::of(5, 11),
        None,
        "the flush after a failure returns the depots too",
    ),
    merged(
        Change::HotplugFlush,
        "hotplug-flush",
        "f598a497bc7d",
        Release::of(5, 13),
        None,
        "a CPU that goes offline returns its magazines",
    ),
    merged(
        Change::Forcedac,
        "forcedac",
        "3542dcb15cef",
        Release::of(5, 13),
        None,
        "an option lets PCI devices skip the 32-bit try",
    ),
    merged(
        Change::RestartAtLimit,
        "restart-at-limit",
        "371d7955e310",
        Release::of(5, 13),
        Some(Change::Retry),
        "the second pass of a 32-bit request begins at its limit, not at the anchor",
    ),
    merged(
        Change::RoundInFast,
        "round-in-fast",
        "972bf252f860",
        Release::of(5, 17),
        None,
        "alloc_iova_fast rounds small sizes up to a power of two, not the DMA layer",
    ),
    merged(
        Change::FreeSpaceEstimate,
        "free-space-estimate",
        "5b61343b5059",
        Release::of(5, 18),
        Some(Change::Max32),
        "any free below 4 GiB resets max32, not only one that moves cached32",
    ),
    merged(
        Change::Magazine127,
        "magazine-127",
        "b4c9bf178ace",
        Release::of(6, 0),
        None,
        "a magazine holds 127 pfns, not 128",
    ),
    merged(
        Change::RetryOverflow,
        "retry-overflow",
        "dcdb3ba7e2a8",
        Release::of(6, 2),
        Some(Change::Retry),
        "no second pass from pfn 0 after a search that began at the anchor",
    ),
    merged(
        Change::SacOnce,
        "sac-once",
        "791c2b17fb40",
        Release::of(6, 6),
        None,
        "a PCI device tries 32 bits first only until that has failed once",
    ),
    merged(
        Change::DepotList,
        "depot-list",
        "911aa1245da8",
        Release::of(6, 7),
        None,
        "a depot has no bound, where it held 32 magazines",
    ),
    merged(
        Change::DepotReclaim,
        "depot-reclaim",
        "233045378dbb",
        Release::of(6, 7),
        Some(Change::DepotList),
        "every 100 ms a depot returns a magazine while it holds more than CPUs are online",
    ),
    merged(
        Change::SingleFlushQueue,
        "single-flush-queue",
        "32d5bc8b09da",
        Release::of(6, 7),
        None,
        "a domain may have one flush queue for all CPUs, of 32,768 entries and 1 s",
    ),
    Row {
        change: Change::ResetOnRetry,
        slug: "reset-on-retry",
        commit: None,
        first: None,
        needs: Some(Change::Max32),
        summary: "alloc_iova_fast resets max32 between its flush and its second try (MediaTek, 2022)",
    },
];

impl Change {
    /// This change's row of the [`TABLE`].
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The change of that slug, or of the commit that `name` is or abbreviates to no less
    /// than seven digits.
    pub fn parse(name: &str) -> Option<Change> {
        let is_named = |row: &&Row| {
            row.slug == name || row.commit.is_some_and(|commit| is_commit(name, commit))
        };
        TABLE.iter().find(is_named).map(|row| row.change)
    }
}

fn is_commit(name: &str, commit: &str) -> bool {
    let hexadecimal = name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = name.to_ascii_lowercase();
    let sized = (7..=40).contains(&name.len());
    hexadecimal && sized && (commit.starts_with(&name) || name.starts_with(commit))
}

/// A set of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet(u32);

impl ChangeSet {
    /// What a release has.
    pub fn of(release: Release) -> ChangeSet {
        let mut set = ChangeSet::default();
        for row in &TABLE {
            if row.first.is_some_and(|first| first <= release) {
                set.insert(row.change);
            }
        }
        set
    }

    /// Whether a change is in the set.
    pub fn has(self, change: Change) -> bool {
        self.0 & (1 << change as u32) != 0
    }

    pub(super) fn insert(&mut self, change: Change) {
        self.0 |= 1 << change as u32;
    }

    pub(super) fn remove(&mut self, change: Change) {
        self.0 &= !(1 << change as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_their_changes() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.change as usize, index, "{}", row.slug);
            assert_eq!(row.change.row().slug, row.slug);
        }
    }

    #[test]
    fn a_needed_change_came_no_later() {
        for row in &TABLE {
            if let (Some(first), Some(needed)) = (row.first, row.needs) {
                assert!(
                    needed.row().first.is_some_and(|it| it <= first),
                    "{}",
                    row.slug
                );
            }
        }
    }

    #[test]
    fn changes_are_named_by_slug_and_by_commit() {
        assert_eq!(
            Change::parse("free-space-estimate"),
            Some(Change::FreeSpaceEstimate)
        );
        for commit in [
            "5b61343",
            "5b61343b5059",
            "5B61343b5059b4c5a8f5ba8d1e9d6a4e1f7a9ab1",
        ] {
            assert_eq!(
                Change::parse(commit),
                Some(Change::FreeSpaceEstimate),
                "{commit}"
            );
        }
        for unknown in ["", "5b6134", "5b61343c", "free", "5b61343b505a"] {
            assert_eq!(Change::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn releases_are_those_that_there_were() {
        for known in ["4.15", "4.20", "5.0", "5.19", "6.19", "7.0", "7.2"] {
            assert_eq!(
                Release::parse(known).map(|it| it.to_string()).as_deref(),
                Some(known)
            );
        }
        for unknown in [
            "4.14", "4.21", "5.20", "7.3", "8.0", "5", "5.", "5.018", "5.1.2", "v5.1",
        ] {
            assert_eq!(Release::parse(unknown), None, "{unknown}");
        }
    }
}
