//! The rules of an allocator: the changes that it has, and its design.

use super::changes::{Change, ChangeSet, Release};
use super::rbtree::Alignment;
use crate::units::Granule;

/// The changes and the design of an allocator. Behaviour that a change altered asks for it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub(super) changes: ChangeSet,
    /// log2 of the largest alignment in pages of 4 KiB (`align-cap-N`).
    pub(super) align_cap: Option<u32>,
    pub(super) design: &'static str,
}

impl Rules {
    /// The name of the releases' own design.
    pub const LINUX: &'static str = "linux";

    /// The rules of a release as it was.
    pub fn of(release: Release) -> Rules {
        Rules {
            changes: ChangeSet::of(release),
            align_cap: None,
            design: Rules::LINUX,
        }
    }

    /// The name of the design that searches for places: [`LINUX`](Self::LINUX) or one of the
    /// [`DESIGNS`](super::design::DESIGNS).
    pub fn design(self) -> &'static str {
        self.design
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
}
