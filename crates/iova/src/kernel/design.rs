//! The address spaces that can lie under the caches: the releases', and designs that were
//! proposed in their place.
//!
//! To add a design: a file that implements [`AddressSpace`], a variant of [`Design`] and of
//! [`Kind`], and its row among the names.

use super::allocator::Kind;
use super::best_fit::BestFit;
use super::config::{DomainConfig, Snapshot};
use super::maple::Maple;
use super::ranges::{Maxima, Ranges};
use super::space::Space;
use crate::units::{Pages, Pfn, PfnRange};

/// What the caches and the DMA layer need of an address space.
pub trait AddressSpace {
    /// `alloc_iova`: finds a place for `size` pages at or below `limit_pfn` and takes it.
    fn alloc(&mut self, size: Pages, limit_pfn: Pfn, aligned: bool) -> Search;

    /// `free_iova`: frees the range that contains `pfn`. False where there is none.
    fn free(&mut self, pfn: Pfn) -> bool;

    /// Forgets that a 32-bit request failed.
    fn reset_max32(&mut self);

    /// The part of `reserve_iova` that needs no memory: ranges that overlap the pfns are
    /// extended over them. What is left comes back, to be
    /// [inserted](Self::insert_reserved); nothing is left of a reservation that is refused.
    fn reserve_over(&mut self, range: PfnRange) -> Option<PfnRange>;

    /// Inserts what is left of a reservation.
    fn insert_reserved(&mut self, range: PfnRange);

    /// Replaces the ranges and all that is remembered of searches.
    fn restore(&mut self, snapshot: &Snapshot);

    /// The highest place from `start_pfn` to `limit_pfn` for a request, whatever the
    /// allocator would answer: whether there is room.
    fn highest_place(&self, size: Pages, limit_pfn: Pfn, aligned: bool) -> Option<Pfn>;

    /// The largest requests that would find a place from `start_pfn` to `limit_pfn`, whatever
    /// the allocator would answer.
    fn largest(&self, limit_pfn: Pfn) -> Maxima;

    /// What an outcome tells of the state.
    fn state(&self) -> State;

    /// Whether a cached position points at a range that was freed (before
    /// `stale-cached32`): the answers mean nothing from then on.
    fn dangling(&self) -> bool;

    fn ranges(&self) -> &Ranges;
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The range was put here.
    At(Pfn),
    /// Refused by the short cut, without a search.
    Shortcut,
    /// The search found no place.
    NoPlace,
    /// The kernel would search for ever, under its lock.
    Endless,
}

/// What a request to the tree came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    pub verdict: Verdict,
    /// How often the loop that walks from range to range ran.
    pub steps: u64,
    /// Whether there was a second pass.
    pub second_pass: bool,
}

/// What an outcome tells of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// `max32_alloc_size`; none where there is no such thing.
    pub max32: Option<Pages>,
    /// The lowest pfns of the ranges at which 32-bit searches and other searches begin, none
    /// for the anchor; none where there are no cached positions.
    pub cached: Option<(Option<Pfn>, Option<Pfn>)>,
    /// Ranges in the tree, those in caches and queues counted, the anchor not.
    pub ranges: u64,
}

/// An address space of one of the designs.
#[derive(Clone, Debug)]
pub enum Design {
    /// As released.
    Linux(Space),
    BestFit(BestFit),
    /// The maple tree proposed in 2026.
    Maple(Maple),
}

impl Design {
    /// An empty address space.
    pub fn new(config: &DomainConfig) -> Design {
        let (rules, granule, start_pfn) =
            (config.rules(), config.granule(), config.start_pfn());
        match rules.kind() {
            Kind::Linux => Design::Linux(Space::new(rules, granule, start_pfn)),
            Kind::BestFit => Design::BestFit(BestFit::new(rules, granule, start_pfn)),
            Kind::Maple => Design::Maple(Maple::new(rules, granule, start_pfn)),
        }
    }

    /// The address space, to be asked.
    pub fn space(&self) -> &dyn AddressSpace {
        match self {
            Design::Linux(space) => space,
            Design::BestFit(space) => space,
            Design::Maple(space) => space,
        }
    }

    /// The address space, to be changed.
    pub fn space_mut(&mut self) -> &mut dyn AddressSpace {
        match self {
            Design::Linux(space) => space,
            Design::BestFit(space) => space,
            Design::Maple(space) => space,
        }
    }
}
