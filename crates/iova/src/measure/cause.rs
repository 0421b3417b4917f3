//! Why a request failed, judged at the moment of its failure.
//!
//! The question behind each cause is whether there was room: in the tree as it stands, or in
//! the tree with everything returned to it that caches, depots and flush queues hold back.
//! [`Cause::Shortcut`] and [`Cause::Missed`] are the spurious failures: there was room.

use std::collections::BTreeMap;

use crate::kernel::rbtree::{NodeId, RangeTree};
use crate::kernel::{AddressSpace, Asked, Domain, DomainConfig, Refusal};
use crate::names::named_enum;
use crate::replay::Dom;
use crate::units::{Pages, Pfn, PfnRange};

named_enum! {
    /// The one cause of a failure, in the order in which causes are judged.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Cause {
        /// Refused by `max32`, though an aligned gap was free in the tree.
        Shortcut = "shortcut",
        /// The search ran and ended, though an aligned gap was free below the limit.
        Missed = "missed",
        /// No gap in the tree, but there would be one if all cached and queued ranges were freed.
        Cached = "cached",
        /// Not even then, though that many pages are free in all.
        Fragmented = "fragmented",
        /// Fewer pages are free than asked for.
        Exhausted = "exhausted",
        /// An injected failure of a memory allocation.
        NoMem = "nomem",
    }
}

impl Cause {
    /// Whether there was room.
    pub fn is_spurious(self) -> bool {
        matches!(self, Cause::Shortcut | Cause::Missed)
    }
}

/// Judges one failure after the other, and keeps what it needs for the next.
///
/// A failure costs O(log n) where there was room in the tree. Else the `c` ranges that are held
/// back are looked at, in O(c log n); but while failures follow each other without a change between
/// them, the looks add up to no more than the domain's ranges, and then cost O(log n) each.
#[derive(Debug, Default)]
pub struct Judge {
    domains: BTreeMap<Dom, Unchanged>,
    looks: u64,
}

/// A domain since its last change.
#[derive(Debug)]
struct Unchanged {
    changes: u64,
    looks: u64,
    /// Its ranges without those that are held back.
    in_use: Option<RangeTree>,
}

impl Judge {
    /// Why a domain that is still as the failure left it refused what was asked.
    pub fn judge(
        &mut self,
        config: &DomainConfig,
        (dom, domain): (Dom, &Domain),
        asked: Asked,
        refusal: Refusal,
    ) -> Cause {
        // A maple tree has a range that its set of ranges does not.
        if had_room(domain, asked, refusal).is_some() || !config.rules().walks() {
            return judge(config, domain, asked, refusal);
        }
        let changes = domain.changes();
        let unchanged = self.domains.entry(dom).or_insert(Unchanged {
            changes,
            looks: 0,
            in_use: None,
        });
        if unchanged.changes != changes {
            *unchanged = Unchanged {
                changes,
                looks: 0,
                in_use: None,
            };
        }
        let ranges = domain.space().ranges();
        if unchanged.in_use.is_none() && unchanged.looks < ranges.len() {
            let held_back = held_back(domain);
            unchanged.looks += 1 + held_back.len() as u64;
            self.looks += 1 + held_back.len() as u64;
            return judge_held_back(config, domain, &held_back, asked);
        }
        if unchanged.in_use.is_none() {
            self.looks += ranges.len();
        }
        let in_use = unchanged
            .in_use
            .get_or_insert_with(|| without(ranges, &held_back(domain)));
        let window = Window::new(config.start_pfn(), asked.limit);
        let need = in_use.need(asked.size, asked.aligned);
        if in_use
            .highest_place(need, window.end, window.start)
            .is_some()
        {
            Cause::Cached
        } else if window.pages().0 - window.used(in_use).0 >= asked.size.0 {
            Cause::Fragmented
        } else {
            Cause::Exhausted
        }
    }

    /// How many ranges were looked at so far, one by one.
    pub fn looks(&self) -> u64 {
        self.looks
    }
}

/// Some ranges of a tree, all but those `left_out`, which ascend.
fn without(ranges: &RangeTree, left_out: &[NodeId]) -> RangeTree {
    let mut kept = RangeTree::new(ranges.alignment());
    kept.extend_down(NodeId::ANCHOR, ranges.lo(NodeId::ANCHOR));
    let mut left_out = left_out.iter().peekable();
    for id in ranges.iter().filter(|&id| id != NodeId::ANCHOR) {
        if left_out.next_if_eq(&&id).is_none() {
            let range = PfnRange::new(ranges.lo(id), ranges.hi(id));
            kept.insert_below(NodeId::ANCHOR, range.expect("a range of a tree"));
        }
    }
    kept
}

/// The cause of a failure that had nothing to do with ranges held back.
fn had_room(domain: &Domain, asked: Asked, refusal: Refusal) -> Option<Cause> {
    if refusal == Refusal::NoMemory {
        return Some(Cause::NoMem);
    }
    domain.space().highest_place(asked)?;
    Some(if refusal == Refusal::Shortcut {
        Cause::Shortcut
    } else {
        Cause::Missed
    })
}

/// Why a domain that is still as the failure left it refused what was asked, looking at all that
/// is held back.
pub fn judge(config: &DomainConfig, domain: &Domain, asked: Asked, refusal: Refusal) -> Cause {
    let had_room = had_room(domain, asked, refusal);
    had_room.unwrap_or_else(|| judge_held_back(config, domain, &held_back(domain), asked))
}

/// The cause of a failure that found no room, from the ranges that are held back.
fn judge_held_back(
    config: &DomainConfig,
    domain: &Domain,
    held_back: &[NodeId],
    asked: Asked,
) -> Cause {
    let space = domain.space();
    let window = Window::new(config.start_pfn(), asked.limit);
    if window.any_run_takes(space, held_back, asked) {
        return Cause::Cached;
    }
    let ranges = space.ranges();
    let free = window.pages().0 - window.used(ranges).0;
    if free + window.pages_of(ranges, held_back).0 >= asked.size.0 {
        Cause::Fragmented
    } else {
        Cause::Exhausted
    }
}

/// The ranges in caches and flush queues, ascending, each once.
fn held_back(domain: &Domain) -> Vec<NodeId> {
    let mut held_back = cached(domain);
    held_back.extend(queued(domain));
    in_order(domain, &mut held_back);
    held_back
}

/// The ranges in magazines and depots, ascending, each once.
pub(super) fn cached(domain: &Domain) -> Vec<NodeId> {
    let magazines = domain.rcache();
    let pfns = magazines.in_magazines().chain(magazines.in_depots());
    of_pfns(domain, pfns.map(|(_, pfn)| pfn))
}

/// The ranges in flush queues, ascending, each once.
pub(super) fn queued(domain: &Domain) -> Vec<NodeId> {
    of_pfns(domain, domain.queued().map(|entry| entry.pfn))
}

fn of_pfns(domain: &Domain, pfns: impl Iterator<Item = Pfn>) -> Vec<NodeId> {
    let ranges = domain.space().ranges();
    let mut found: Vec<NodeId> = pfns.filter_map(|pfn| ranges.find(pfn)).collect();
    in_order(domain, &mut found);
    found
}

fn in_order(domain: &Domain, held: &mut Vec<NodeId>) {
    let ranges = domain.space().ranges();
    held.sort_unstable_by_key(|&id| ranges.lo(id));
    held.dedup();
}

/// The pfns that a request may get: from `start` up to, not including, `end`.
#[derive(Clone, Copy)]
pub(super) struct Window {
    start: Pfn,
    end: Pfn,
}

impl Window {
    /// The pfns from `start` to `limit` (inclusive); none if `limit` is below `start`.
    pub(super) fn new(start: Pfn, limit: Pfn) -> Window {
        Window {
            start,
            end: Pfn(limit.0.saturating_add(1)).max(start),
        }
    }

    /// How many there are.
    pub(super) fn pages(self) -> Pages {
        Pages(self.end.0 - self.start.0)
    }

    /// How many of them belong to ranges.
    pub(super) fn used(self, ranges: &RangeTree) -> Pages {
        Pages(ranges.used_below(self.end).0 - ranges.used_below(self.start).0)
    }

    /// How many of them belong to these ranges.
    pub(super) fn pages_of(self, ranges: &RangeTree, held: &[NodeId]) -> Pages {
        let range = |&id: &NodeId| PfnRange::new(ranges.lo(id), ranges.hi(id));
        let parts = held.iter().filter_map(range).map(|it| self.part_of(it).0);
        Pages(parts.sum())
    }

    /// How many of them belong to a range.
    pub(super) fn part_of(self, range: PfnRange) -> Pages {
        let end = Pfn(range.hi().0.saturating_add(1)).min(self.end);
        Pages(end.0.saturating_sub(range.lo().max(self.start).0))
    }

    /// Whether the gap that opens where neighbouring ranges are returned together takes what
    /// is asked, for any such run of neighbours.
    fn any_run_takes(self, space: &dyn AddressSpace, held: &[NodeId], asked: Asked) -> bool {
        let ranges = space.ranges();
        let mut rest = held;
        while let Some((&first, _)) = rest.split_first() {
            let mut last = first;
            rest = &rest[1..];
            while let Some((&neighbour, behind)) = rest.split_first()
                && ranges.next(last) == Some(neighbour)
            {
                last = neighbour;
                rest = behind;
            }
            let below = ranges.previous(first);
            let lo = below.map_or(Pfn(0), |below| Pfn(ranges.hi(below).0 + 1));
            let above = ranges.next(last).unwrap_or(NodeId::ANCHOR);
            if self.takes(space, lo, ranges.lo(above), asked) {
                return true;
            }
        }
        false
    }

    /// Whether free pfns from `lo` up to `end` take what is asked.
    fn takes(self, space: &dyn AddressSpace, lo: Pfn, end: Pfn, asked: Asked) -> bool {
        let need = space.ranges().need(asked.size, asked.aligned);
        let end = end.min(self.end);
        end.0 >= asked.size.0 && need.place_below(end) >= lo.max(self.start)
    }
}
