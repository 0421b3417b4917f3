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

use std::collections::{BTreeMap, VecDeque};

use super::call::{Call, What};
use super::error::Problem;
use super::iommu;
use super::record::{Context, Record};
use iova::units::{Granule, Pfn};

/// A flush queue's timer fires this long after the first range was put into an empty one
/// (`IOVA_FQ_TIMEOUT`, 10 ms).
const FLUSH_NS: u64 = 10_000_000;

/// Of this many unmaps of a strict recording, one may lack its free.
const SHARE: u64 = 10;

/// Unmaps without their free that are never too many yet, while the recording is read.
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
pub(super) struct Unmaps {
    count: u64,
    followed: u64,
    waiting: BTreeMap<Context, Vec<Unmap>>,
    /// So many lacked their free that the rest is not looked at.
    lazy: bool,
}

impl Unmaps {
    /// Takes an `iommu` event.
    pub(super) fn take(&mut self, record: &Record<'_>) -> Result<(), Problem> {
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
    pub(super) fn free(&mut self, record: &Record<'_>, pfn: Pfn, granule: Granule) {
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
    pub(super) fn finish(self) -> Vec<(u64, u64)> {
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
pub(super) struct Missed {
    granule: Granule,
    /// How many unmaps went by.
    count: u64,
    /// By ascending number, with the domain's pointer where it is known.
    marks: VecDeque<(u64, Option<u64>)>,
}

impl Missed {
    pub(super) fn new(
        granule: Granule,
        marks: impl IntoIterator<Item = (u64, Option<u64>)>,
    ) -> Missed {
        Missed {
            granule,
            count: 0,
            marks: marks.into_iter().collect(),
        }
    }

    /// Takes any record; if it is one of these unmaps, gives the call that was missed, or what is
    /// known of it.
    pub(super) fn take(&mut self, record: &Record<'_>) -> Result<Option<Call>, Problem> {
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
            what: match domain {
                Some(_) => What::FreeFast { pfn, pages },
                None => What::Unmapped { number, pfn, pages },
            },
        }))
    }
}
