//! Frees that the probes missed, shown by the `iommu:unmap` that came before each.
//!
//! A probe misses a call where an interrupt comes inside another probe's handler; events such as
//! `iommu:unmap` are never missed. Without a flush queue (strict) the DMA layer frees a range as
//! soon as it has unmapped it, in the same context: an unmap that no free of its place followed is
//! one whose free was missed, there and then. Interrupts may come between the two, with unmaps and
//! frees of their own, but end before; so a free belongs to the last unmap of its place in its
//! context that waits for one.
//!
//! With a flush queue (lazy) frees come later and in other contexts, and nothing of this holds. A
//! recording is taken to be strict where nearly all unmaps were followed by their free, with no
//! other unmap waiting since, and sooner than a flush queue's timer fires.
//!
//! # The owner of a missed free
//!
//! An `iommu:unmap` names no domain, and domains hand out the same places. What comes later tells:
//!
//! * A range that was freed on record afterwards was not the one.
//! * One whose place its domain handed out again was freed unseen: by one of the unmaps of that
//!   place and size in between.
//! * Each unmap ended one range.
//!
//! So an unmap ended a range if it can have ended no other, or if that was freed unseen and no
//! other unmap can have done it. Where neither is so, nobody knows. Ranges that were live before
//! the recording are not known here, and so are not considered.

use std::collections::{BTreeMap, VecDeque};

use super::iommu;
use crate::import::error::Problem;
use crate::import::pair::call::{Answer, Call, CallKind};
use crate::import::read::record::{Context, Record};
use iova::units::{Granule, Pages, Pfn};

/// A flush queue's timer fires this long after the first range was put into an empty one
/// (`IOVA_FQ_TIMEOUT`, 10 ms).
const FLUSH_NS: u64 = 10_000_000;

/// Of this many unmaps of a strict recording, one may lack its free.
const SHARE: u64 = 10;

/// The number of unmaps without a free that is tolerated while the recording is read.
const APART_MIN: u64 = 1000;

/// An unmap that waits for its free, or will never have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unmap {
    /// Its number among the unmaps.
    number: u64,
    /// The address, in bytes.
    start: u64,
    at: u64,
}

/// Finds the unmaps whose free was missed.
#[derive(Debug, Default)]
pub(crate) struct UnmapMatcher {
    count: u64,
    followed: u64,
    waiting: BTreeMap<Context, Vec<Unmap>>,
    /// So many lacked their free that the rest is not looked at.
    lazy: bool,
}

impl UnmapMatcher {
    /// Takes an `iommu` event.
    pub(crate) fn take(&mut self, record: &Record<'_>) -> Result<(), Problem> {
        let Some(part) = iommu::unmapped(record)? else {
            return Ok(());
        };
        let unmap = Unmap {
            number: self.count,
            start: part.start,
            at: record.at,
        };
        self.count += 1;
        let apart = self.count - self.followed;
        self.lazy |= apart > APART_MIN && !self.is_strict();
        if self.lazy {
            self.waiting.clear();
        } else {
            let waiting = self.waiting.entry(Context::of(record)).or_default();
            waiting.push(unmap);
        }
        Ok(())
    }

    /// Takes a record of `free_iova_fast`.
    pub(crate) fn free(&mut self, record: &Record<'_>, pfn: Pfn, granule: Granule) {
        let Some(waiting) = self.waiting.get_mut(&Context::of(record)) else {
            return;
        };
        let is_its = |unmap: &Unmap| unmap.start >> granule.shift() == pfn.0;
        let Some(at) = waiting.iter().rposition(is_its) else {
            return;
        };
        let last = at + 1 == waiting.len();
        let unmap = waiting.remove(at);
        let soon = record.at.saturating_sub(unmap.at) < FLUSH_NS;
        self.followed += u64::from(last && soon);
    }

    fn is_strict(&self) -> bool {
        (self.count - self.followed) * SHARE <= self.count
    }

    /// The addresses of the unmaps whose free was missed, by their numbers; none of a recording
    /// that is not strict.
    pub(crate) fn finish(self) -> Vec<(u64, u64)> {
        if self.lazy || !self.is_strict() {
            return Vec::new();
        }
        let waiting = self.waiting.into_values().flatten();
        let mut missed: Vec<(u64, u64)> =
            waiting.map(|unmap| (unmap.number, unmap.start)).collect();
        missed.sort_unstable();
        missed
    }
}

/// The unmaps whose free was missed, met again while the recording is read once more.
#[derive(Debug)]
pub(crate) struct MissedFrees {
    granule: Granule,
    /// How many unmaps went by.
    count: u64,
    /// By ascending number, with the domain's pointer where it is known.
    marks: VecDeque<(u64, Option<u64>)>,
}

impl MissedFrees {
    pub(crate) fn new(
        granule: Granule,
        marks: impl IntoIterator<Item = (u64, Option<u64>)>,
    ) -> MissedFrees {
        MissedFrees {
            granule,
            count: 0,
            marks: marks.into_iter().collect(),
        }
    }

    /// Takes any record. If it is one of these unmaps, returns the call that was missed, or
    /// `Unmapped` if its domain is not known.
    pub(crate) fn take(&mut self, record: &Record<'_>) -> Result<Option<Call>, Problem> {
        let Some(&(next, domain)) = self.marks.front() else {
            return Ok(None);
        };
        let Some(part) = iommu::unmapped(record)? else {
            return Ok(None);
        };
        let number = self.count;
        self.count += 1;
        if number != next {
            return Ok(None);
        }
        self.marks.pop_front();
        let pfn = Pfn(part.start >> self.granule.shift());
        let pages = self.granule.pages(part.end - part.start);
        Ok(Some(Call {
            at: record.at,
            cpu: record.cpu,
            domain: domain.unwrap_or(0),
            kind: match domain {
                Some(_) => CallKind::FreeFast { pfn, pages },
                None => CallKind::Unmapped { number, pfn, pages },
            },
        }))
    }
}

/// How a range ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not at all, as far as the recording shows.
    Open,
    /// By a free on record.
    Freed,
    /// Unseen: its place was handed out again.
    Unseen,
}

/// A range that was live at an unmap whose free was missed.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    domain: u64,
    end: End,
}

/// A range that is live now.
#[derive(Clone, Copy, Debug)]
struct Live {
    pages: Pages,
    /// Its index among the candidates, once an unmap may have ended it.
    candidate: Option<usize>,
}

/// The history of one place, in all domains.
#[derive(Debug, Default)]
struct PlaceHistory {
    live: BTreeMap<u64, Live>,
    candidates: Vec<Candidate>,
    /// The unmaps whose free was missed, each with the candidates that it can have ended.
    unmaps: Vec<(u64, Vec<usize>)>,
}

/// Finds the domains of unmaps.
#[derive(Debug)]
pub(crate) struct FreeOwners {
    places: BTreeMap<Pfn, PlaceHistory>,
}

impl FreeOwners {
    /// Of unmaps of some places.
    pub(crate) fn new(places: impl IntoIterator<Item = Pfn>) -> FreeOwners {
        let places = places.into_iter().map(|pfn| (pfn, PlaceHistory::default()));
        FreeOwners {
            places: places.collect(),
        }
    }

    /// Takes the next call.
    pub(crate) fn take(&mut self, call: &Call) {
        match call.kind {
            CallKind::AllocFast { pages, got, .. } | CallKind::Alloc { pages, got, .. } => {
                if let Answer::Pfn(pfn) = got
                    && let Some(place) = self.places.get_mut(&pfn)
                {
                    place.end(call.domain, End::Unseen);
                    place.live.insert(
                        call.domain,
                        Live {
                            pages,
                            candidate: None,
                        },
                    );
                }
            }
            CallKind::FreeFast { pfn, .. }
            | CallKind::FreePfn { pfn }
            | CallKind::FreeIova { pfn: Some(pfn), .. } => {
                if let Some(place) = self.places.get_mut(&pfn) {
                    place.end(call.domain, End::Freed);
                }
            }
            CallKind::Unmapped { number, pfn, pages } => {
                if let Some(place) = self.places.get_mut(&pfn) {
                    place.unmap(number, pages);
                }
            }
            CallKind::FreeIova { pfn: None, .. }
            | CallKind::Reserve { .. }
            | CallKind::CpuDead { .. } => {}
        }
    }

    /// Forgets the allocations of a domain that was created or destroyed.
    pub(crate) fn forget(&mut self, domain: u64) {
        for place in self.places.values_mut() {
            place.live.remove(&domain);
        }
    }

    /// The domains' pointers by the numbers of the unmaps, as far as they are certain.
    pub(crate) fn finish(self) -> BTreeMap<u64, u64> {
        let places = self.places.into_values();
        places.flat_map(PlaceHistory::resolve).collect()
    }
}

impl PlaceHistory {
    fn end(&mut self, domain: u64, end: End) {
        if let Some(candidate) = self.live.remove(&domain).and_then(|live| live.candidate) {
            self.candidates[candidate].end = end;
        }
    }

    fn unmap(&mut self, number: u64, pages: Pages) {
        let mut can_be = Vec::new();
        for (&domain, live) in &mut self.live {
            // Up to 5.14 the DMA layer asks for the power of two that the caches hold.
            let rounded = pages.0.checked_next_power_of_two();
            if live.pages != pages && Some(live.pages.0) != rounded {
                continue;
            }
            let candidate = *live.candidate.get_or_insert_with(|| {
                let end = End::Open;
                self.candidates.push(Candidate { domain, end });
                self.candidates.len() - 1
            });
            can_be.push(candidate);
        }
        self.unmaps.push((number, can_be));
    }

    /// Resolves the certain ones, repeatedly, as each leaves the others fewer candidates.
    fn resolve(self) -> Vec<(u64, u64)> {
        let PlaceHistory {
            candidates,
            mut unmaps,
            ..
        } = self;
        let mut found = Vec::new();
        let mut taken: Vec<bool> = candidates
            .iter()
            .map(|candidate| candidate.end == End::Freed)
            .collect();
        loop {
            let mut claims = vec![0_u32; candidates.len()];
            for candidate in unmaps.iter().flat_map(|(_, can_be)| can_be) {
                claims[*candidate] += 1;
            }
            let before = found.len();
            unmaps.retain(|(number, can_be)| {
                let mut left = can_be.iter().filter(|candidate| !taken[**candidate]);
                let first = left.next();
                let only = first.filter(|_| left.next().is_none());
                let owed = |candidate: &&usize| {
                    !taken[**candidate]
                        && candidates[**candidate].end == End::Unseen
                        && claims[**candidate] == 1
                };
                let Some(&candidate) = only.or_else(|| can_be.iter().find(owed)) else {
                    return true;
                };
                taken[candidate] = true;
                found.push((*number, candidates[candidate].domain));
                false
            });
            if found.len() == before {
                return found;
            }
        }
    }
}
