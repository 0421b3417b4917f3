//! The address space under the caches: that of the releases, or of a design.

use iova::kernel::{DomainConfig, Snapshot};
use iova::replay::ViolationKind;

use super::bug::Bug;
use super::maple::Maple;
use super::tree::{Tree, Tried};

#[derive(Clone, Debug)]
pub(crate) enum Space {
    Tree(Tree),
    Maple(Maple),
}

impl Space {
    pub(crate) fn new(config: &DomainConfig, bug: Option<Bug>) -> Space {
        let dma32 = (1 << 32) / config.granule().bytes();
        match config.rules().design() {
            "maple-2026" => Space::Maple(Maple::new(config.start_pfn().0, dma32, bug)),
            _ => Space::Tree(Tree::new(config.rules(), config.start_pfn().0, dma32, bug)),
        }
    }

    /// Allocates. `alignment` is a power of two.
    pub(crate) fn alloc(&mut self, size: u64, limit_pfn: u64, alignment: u64) -> Tried {
        match self {
            Space::Tree(tree) => tree.alloc(size, limit_pfn, alignment),
            Space::Maple(maple) => maple.alloc(size, limit_pfn, alignment),
        }
    }

    /// Frees the range that contains `pfn`.
    pub(crate) fn free(&mut self, pfn: u64) {
        match self {
            Space::Tree(tree) => tree.free(pfn),
            Space::Maple(maple) => maple.free(pfn),
        }
    }

    pub(crate) fn reset_max32(&mut self) {
        match self {
            Space::Tree(tree) => tree.reset_max32(),
            Space::Maple(maple) => maple.reset_max32(),
        }
    }

    /// The part of a reservation that needs no memory; gives what is left to be inserted.
    pub(crate) fn reserve_over(&mut self, lo: u64, hi: u64) -> Option<(u64, u64)> {
        match self {
            Space::Tree(tree) => tree.extend_over(lo, hi),
            Space::Maple(maple) => maple.merge_over(lo, hi),
        }
    }

    pub(crate) fn insert_reserved(&mut self, lo: u64, hi: u64) {
        match self {
            Space::Tree(tree) => tree.insert_reserved(lo, hi),
            Space::Maple(maple) => maple.insert_reserved(lo, hi),
        }
    }

    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        match self {
            Space::Tree(tree) => tree.restore(snapshot),
            Space::Maple(maple) => maple.restore(snapshot),
        }
    }

    fn tree(&self) -> Option<&Tree> {
        match self {
            Space::Tree(tree) => Some(tree),
            Space::Maple(_) => None,
        }
    }

    pub(crate) fn aborted(&self) -> Option<ViolationKind> {
        self.tree().and_then(Tree::aborted)
    }

    /// `max32`, where outcomes have it.
    pub(crate) fn max32(&self) -> Option<u64> {
        self.tree().and_then(Tree::max32)
    }

    /// The lowest pfn of the range at which 32-bit searches begin; none for the anchor.
    pub(crate) fn cached32(&self) -> Option<u64> {
        self.tree().and_then(Tree::cached32)
    }

    /// The lowest pfn of the range at which other searches begin; none for the anchor.
    pub(crate) fn cached(&self) -> Option<u64> {
        self.tree().and_then(Tree::cached)
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> u64 {
        let len = match self {
            Space::Tree(tree) => tree.ranges().len(),
            Space::Maple(maple) => maple.ranges().len(),
        };
        len as u64
    }

    /// The ranges ascending.
    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        match self {
            Space::Tree(tree) => tree.ranges().collect(),
            Space::Maple(maple) => maple.ranges().to_vec(),
        }
    }
}
