//! A range of the tree, with the summaries of the subtree under it.

use super::gap::Gap;
use crate::units::{Pages, Pfn, PfnRange};

/// A range's name while it is in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(pub(super) u32);

/// The textbook's sentinel: a black leaf that holds nothing and stands for "no node".
pub(super) const NIL: NodeId = NodeId(0);

impl NodeId {
    /// The sentinel above everything, in the tree from the start.
    pub const ANCHOR: NodeId = NodeId(1);

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) fn some(self) -> Option<NodeId> {
        (self != NIL).then_some(self)
    }
}

/// A range and the summaries of the subtree under it: a cache line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) lo: Pfn,
    pub(super) hi: Pfn,
    /// The first pfn of the gap below, which ends at `lo`: the range before's `hi + 1`, or 0.
    pub(super) gap_lo: Pfn,
    /// The largest requests that a gap of this subtree takes.
    pub(super) maxima: Maxima,
    /// The pages of this subtree's ranges; wraps where they are all that there are.
    pub(super) used: u64,
    pub(super) parent: NodeId,
    pub(super) left: NodeId,
    pub(super) right: NodeId,
    /// Ranges in this subtree, and the colour in the highest bit.
    pub(super) count_and_red: u32,
}

pub(super) const RED: u32 = 1 << 31;

impl Node {
    pub(super) const EMPTY: Node = Node {
        lo: Pfn(0),
        hi: Pfn(0),
        gap_lo: Pfn(0),
        maxima: Maxima::NONE,
        used: 0,
        parent: NIL,
        left: NIL,
        right: NIL,
        count_and_red: 0,
    };

    pub(super) fn gap(&self) -> Gap {
        Gap::new(self.gap_lo, self.lo)
    }

    /// The gap as the summaries count it: empty below the lowest range.
    pub(super) fn summarised_gap(&self) -> Gap {
        if self.gap_lo == Pfn(0) {
            Gap::new(self.lo, self.lo)
        } else {
            self.gap()
        }
    }

    pub(super) fn pages(&self) -> u64 {
        (self.hi.0 - self.lo.0).wrapping_add(1)
    }

    pub(super) fn count(&self) -> u32 {
        self.count_and_red & !RED
    }

    pub(super) fn red(&self) -> bool {
        self.count_and_red & RED != 0
    }

    pub(super) fn paint(&mut self, red: bool) {
        self.count_and_red = self.count() | if red { RED } else { 0 };
    }
}

/// The largest requests that any of some gaps takes; every smaller one is taken as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maxima {
    /// Aligned to their size.
    pub aligned: Pages,
    /// Not aligned: the longest gap.
    pub any: Pages,
}

impl Maxima {
    pub(super) const NONE: Maxima = Maxima {
        aligned: Pages(0),
        any: Pages(0),
    };

    pub(super) fn max(self, other: Maxima) -> Maxima {
        let Maxima { aligned, any } = other;
        Maxima {
            aligned: self.aligned.max(aligned),
            any: self.any.max(any),
        }
    }
}

/// A subtree's maxima before and after a change within it.
#[derive(Clone, Copy)]
pub(super) struct Growth {
    pub(super) before: Maxima,
    pub(super) after: Maxima,
}

impl Growth {
    /// The maxima of the parent whose maxima were `parent`, if they follow without a look at
    /// its other parts.
    pub(super) fn carry(self, parent: Maxima) -> Option<Maxima> {
        let carry = |before: Pages, after: Pages, parent: Pages| {
            (after >= before || before < parent).then(|| parent.max(after))
        };
        Some(Maxima {
            aligned: carry(self.before.aligned, self.after.aligned, parent.aligned)?,
            any: carry(self.before.any, self.after.any, parent.any)?,
        })
    }
}

/// What a subtree gained or, modulo 2^n, lost.
#[derive(Clone, Copy)]
pub(super) struct Delta {
    pub(super) ranges: u32,
    pub(super) pages: u64,
}

impl Delta {
    pub(super) fn added(range: PfnRange) -> Delta {
        let pages = (range.hi().0 - range.lo().0).wrapping_add(1);
        Delta { ranges: 1, pages }
    }

    pub(super) fn removed(node: &Node) -> Delta {
        Delta {
            ranges: 1u32.wrapping_neg(),
            pages: node.pages().wrapping_neg(),
        }
    }
}
