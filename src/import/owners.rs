//! Whose ranges the unmaps ended whose frees the probes missed.
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

use std::collections::BTreeMap;

use super::call::{Answer, Call, What};
use iova::units::{Pages, Pfn};

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
struct Life {
    domain: u64,
    end: End,
}

/// A range that is live now.
#[derive(Clone, Copy, Debug)]
struct Live {
    pages: Pages,
    /// Its index among the lives, once an unmap may have ended it.
    life: Option<usize>,
}

/// What happened at one place, in all domains.
#[derive(Debug, Default)]
struct Place {
    live: BTreeMap<u64, Live>,
    lives: Vec<Life>,
    /// Unmaps whose free was missed, and the lives that each can have ended.
    unmaps: Vec<(u64, Vec<usize>)>,
}

/// Finds out of which domains unmaps were.
#[derive(Debug)]
pub(super) struct Owners {
    places: BTreeMap<Pfn, Place>,
}

impl Owners {
    /// Of unmaps of some places.
    pub(super) fn new(places: impl IntoIterator<Item = Pfn>) -> Owners {
        let places = places.into_iter().map(|pfn| (pfn, Place::default()));
        Owners {
            places: places.collect(),
        }
    }

    /// Takes the next call.
    pub(super) fn take(&mut self, call: &Call) {
        match call.what {
            What::AllocFast { pages, got, .. } | What::Alloc { pages, got, .. } => {
                if let Answer::Pfn(pfn) = got
                    && let Some(place) = self.places.get_mut(&pfn)
                {
                    place.end(call.domain, End::Unseen);
                    place.live.insert(call.domain, Live { pages, life: None });
                }
            }
            What::FreeFast { pfn, .. }
            | What::FreePfn { pfn }
            | What::FreeIova { pfn: Some(pfn), .. } => {
                if let Some(place) = self.places.get_mut(&pfn) {
                    place.end(call.domain, End::Freed);
                }
            }
            What::Unmapped { number, pfn, pages } => {
                if let Some(place) = self.places.get_mut(&pfn) {
                    place.unmap(number, pages);
                }
            }
            What::FreeIova { pfn: None, .. } | What::Reserve { .. } | What::CpuDead { .. } => {}
        }
    }

    /// A domain was made or put away: what was live at this pointer is so no more.
    pub(super) fn forget(&mut self, domain: u64) {
        for place in self.places.values_mut() {
            place.live.remove(&domain);
        }
    }

    /// The domains' pointers, by the numbers of the unmaps, as far as they can be told.
    pub(super) fn finish(self) -> BTreeMap<u64, u64> {
        let places = self.places.into_values();
        places.flat_map(Place::resolve).collect()
    }
}

impl Place {
    fn end(&mut self, domain: u64, end: End) {
        if let Some(life) = self.live.remove(&domain).and_then(|live| live.life) {
            self.lives[life].end = end;
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
            let life = *live.life.get_or_insert_with(|| {
                let end = End::Open;
                self.lives.push(Life { domain, end });
                self.lives.len() - 1
            });
            can_be.push(life);
        }
        self.unmaps.push((number, can_be));
    }

    /// Settles what is certain, again as long as that leaves others no choice.
    fn resolve(self) -> Vec<(u64, u64)> {
        let Place {
            lives, mut unmaps, ..
        } = self;
        let mut found = Vec::new();
        let mut taken: Vec<bool> = lives.iter().map(|life| life.end == End::Freed).collect();
        loop {
            let mut claims = vec![0_u32; lives.len()];
            for life in unmaps.iter().flat_map(|(_, can_be)| can_be) {
                claims[*life] += 1;
            }
            let before = found.len();
            unmaps.retain(|(number, can_be)| {
                let mut left = can_be.iter().filter(|life| !taken[**life]);
                let first = left.next();
                let only = first.filter(|_| left.next().is_none());
                let owed = |life: &&usize| {
                    !taken[**life] && lives[**life].end == End::Unseen && claims[**life] == 1
                };
                let Some(&life) = only.or_else(|| can_be.iter().find(owed)) else {
                    return true;
                };
                taken[life] = true;
                found.push((*number, lives[life].domain));
                false
            });
            if found.len() == before {
                return found;
            }
        }
    }
}
