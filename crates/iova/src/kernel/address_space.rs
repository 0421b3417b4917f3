//! The interface between a domain and its address space, whatever the design.

use std::fmt::Debug;

use super::rbtree::{Maxima, RangeTree};
use crate::units::{Pages, Pfn, PfnRange};

/// A request to the address space, with its size as it was rounded on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub size: Pages,
    /// The highest pfn that may be handed out, inclusive.
    pub limit: Pfn,
    /// Whether the range must be aligned to its size.
    pub aligned: bool,
}

/// Why a request was refused, as its last try has it. As wide as a pfn, so that a result of either
/// goes through registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Refusal {
    /// `max32_alloc_size` refused it without a search.
    Shortcut,
    /// A search found no place.
    NoPlace,
    /// There was no memory for the range's `struct iova`.
    NoMemory,
    /// The place found was pfn 0, which the fast path takes for failure; the range stays.
    PfnZero,
    /// The kernel would search for ever, under its lock.
    Endless,
}

/// The answer of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// The lowest pfn of the new range.
    pub result: Result<Pfn, Refusal>,
    /// How often the loop that walks from range to range ran.
    pub steps: u64,
    pub second_pass: bool,
}

impl Search {
    /// An answer without a walk.
    pub(super) fn without_steps(result: Result<Pfn, Refusal>) -> Search {
        Search {
            result,
            steps: 0,
            second_pass: false,
        }
    }
}

/// A free after which the kernel crashes: its answers mean nothing from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// A cached node points at the range that was freed.
    DanglingNode,
    /// The anchor, which is part of `struct iova_domain`, was freed.
    AnchorFreed,
}

/// The part of an address space's state that outcome streams show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// `max32_alloc_size`; `None` where there is no such thing.
    pub max32: Option<Pages>,
    /// The lowest pfns of the ranges at which 32-bit searches and other searches begin, `None`
    /// for the anchor; `None` where there are no cached nodes.
    pub cached: Option<(Option<Pfn>, Option<Pfn>)>,
    /// Ranges in the tree, cached and queued ones included, the anchor not.
    pub ranges: u64,
}

/// A domain's tree and cached nodes, as a log of a real failure gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The ranges, ascending and disjoint; none reaches the anchor's pfn.
    pub nodes: Vec<PfnRange>,
    /// The lowest pfn of the range at which 32-bit searches begin; `None` for the anchor.
    pub cached32: Option<Pfn>,
    /// The lowest pfn of the range at which other searches begin; `None` for the anchor.
    pub cached: Option<Pfn>,
    /// `max32_alloc_size`.
    pub max32: Pages,
}

/// What the per-CPU caches and the DMA layer need of an address space.
pub trait AddressSpace: Debug + Send + Sync {
    /// `alloc_iova()` without its memory allocation: finds a place and takes it.
    fn alloc(&mut self, asked: Asked) -> Search;

    /// `free_iova()`: frees the range that contains `pfn`. False if there is none.
    ///
    /// # Errors
    ///
    /// If the kernel crashes.
    fn free(&mut self, pfn: Pfn) -> Result<bool, Crash>;

    /// Forgets that a 32-bit request failed.
    fn reset_max32(&mut self);

    /// `reserve_iova()`, the part that needs no memory: ranges that overlap the pfns are
    /// extended over them. Gives the rest, to be [inserted](Self::insert_reserved); a refused
    /// reservation has no rest.
    fn reserve_over(&mut self, range: PfnRange) -> Option<PfnRange>;

    /// `__insert_new_range()`: inserts the rest of a reservation.
    fn insert_reserved(&mut self, range: PfnRange);

    /// Replaces the ranges and everything that is remembered of searches.
    fn restore(&mut self, snapshot: &Snapshot);

    /// The highest place from `start_pfn` up for a request, whatever the allocator would
    /// answer: whether there is room.
    fn highest_place(&self, asked: Asked) -> Option<Pfn>;

    /// The largest requests that would find a place from `start_pfn` to `limit_pfn`, whatever
    /// the allocator would answer.
    fn largest(&self, limit_pfn: Pfn) -> Maxima;

    fn state(&self) -> State;

    /// Whether a reservation makes one range of all that it overlaps, which is then freed as
    /// one.
    fn merges_reservations(&self) -> bool {
        false
    }

    fn ranges(&self) -> &RangeTree;

    fn boxed(&self) -> Box<dyn AddressSpace>;
}

impl Clone for Box<dyn AddressSpace> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}
