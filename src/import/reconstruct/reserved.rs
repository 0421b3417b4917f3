//! Ranges that a recording shows to be occupied though it does not show how.
//!
//! A domain made before the recording has reservations that were not recorded: the windows of PCI
//! bridges, and of message-signalled interrupts. The kernel searches downwards, so an answer below
//! the lowest one so far means that nothing in between fitted. A gap there with room for the
//! request, of which nothing is handed out or freed to the end of the recording, is taken to be
//! reserved. Ranges that were live before the recording and were never freed look the same, and
//! have the same effect.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::pair::call::{Answer, Call, CallKind, ServedFrom};
use iova::units::{Pages, Pfn, PfnRange};

/// The gaps of a domain.
#[derive(Debug, Default)]
struct Gaps {
    /// The lowest pfn that a search handed out, by whether its limit is below 4 GiB.
    lowest: BTreeMap<bool, Pfn>,
    passed: Vec<Passed>,
    /// All ranges that were handed out or freed.
    used: BTreeSet<PfnRange>,
}

/// A gap that a search passed over, though its request had fitted there.
#[derive(Clone, Copy, Debug)]
struct Passed {
    gap: PfnRange,
    pages: Pages,
}

/// The longest range that is looked for below a gap, in pages: 4 GiB of 4 KiB pages.
const LENGTH_MAX: u64 = 1 << 20;

/// Finds occupied ranges, by domain.
#[derive(Debug, Default)]
pub(crate) struct ReservedFinder {
    domains: BTreeMap<u64, Gaps>,
}

impl ReservedFinder {
    /// Takes the next call on the domain with this ordinal, whose creation was not recorded.
    pub(crate) fn take(&mut self, call: &Call, ordinal: u64, dma32: Pfn) {
        let gaps = self.domains.entry(ordinal).or_default();
        match call.kind {
            CallKind::AllocFast {
                pages,
                limit,
                got: Answer::Pfn(pfn),
                from,
                ..
            } => {
                let searched = from != ServedFrom::Caches;
                gaps.granted(pfn, pages, Some(limit).filter(|_| searched), dma32);
            }
            CallKind::Alloc {
                pages,
                limit,
                align,
                got: Answer::Pfn(pfn),
                ..
            } => gaps.granted(pfn, pages, Some(limit).filter(|_| align), dma32),
            CallKind::FreeFast { pfn, pages } => gaps.uses(pfn, pages),
            CallKind::Reserve { range } => {
                gaps.used.insert(range);
            }
            _ => {}
        }
    }

    /// The occupied ranges by the domains' ordinals, ascending.
    pub(crate) fn finish(self) -> BTreeMap<u64, Vec<PfnRange>> {
        let domains = self.domains.into_iter();
        let found = domains.map(|(ordinal, gaps)| (ordinal, gaps.occupied()));
        found.filter(|(_, ranges)| !ranges.is_empty()).collect()
    }
}

impl Gaps {
    fn uses(&mut self, pfn: Pfn, pages: Pages) {
        let hi = Pfn(pfn.0.saturating_add(rounded(pages) - 1));
        self.used.extend(PfnRange::new(pfn, hi));
    }

    /// An answer; `limit` is that of a search for an aligned range, `None` of the caches.
    fn granted(&mut self, pfn: Pfn, pages: Pages, limit: Option<Pfn>, dma32: Pfn) {
        self.uses(pfn, pages);
        let Some(limit) = limit else {
            return;
        };
        let below = limit < dma32;
        // Where a search began is not known before the first answer.
        let Some(lowest) = self.lowest.insert(below, pfn) else {
            return;
        };
        if pfn >= lowest {
            self.lowest.insert(below, lowest);
            return;
        }
        let end = pfn.0.saturating_add(rounded(pages));
        let order = pages.order().min(63);
        let place = lowest.0.checked_sub(rounded(pages));
        let place = place.map(|place| place >> order << order);
        if place.is_some_and(|place| place >= end)
            && let Some(gap) = PfnRange::new(Pfn(end), Pfn(lowest.0 - 1))
        {
            self.passed.push(Passed { gap, pages });
        }
    }

    /// The parts of the gaps that were never used, and kept a request from its place.
    fn occupied(self) -> Vec<PfnRange> {
        let Gaps { passed, used, .. } = self;
        let mut found = BTreeSet::new();
        for one in &passed {
            let mut unused = Vec::new();
            let mut lo = one.gap.lo().0;
            // Used ranges may overlap, as addresses are used again in other sizes; none that begins
            // so far below the gap reaches it.
            let first = Pfn(lo.saturating_sub(LENGTH_MAX));
            let from = PfnRange::new(first, first).unwrap_or(one.gap);
            for range in used
                .range(from..)
                .take_while(|range| range.lo() <= one.gap.hi())
            {
                if let Some(below) = range.lo().0.checked_sub(1).filter(|below| lo <= *below) {
                    unused.extend(PfnRange::new(Pfn(lo), Pfn(below)));
                }
                lo = lo.max(range.hi().0.saturating_add(1));
            }
            if lo <= one.gap.hi().0 {
                unused.extend(PfnRange::new(Pfn(lo), one.gap.hi()));
            }
            let kept = |range: &&PfnRange| one.is_kept_out_by(**range, &unused);
            found.extend(unused.iter().filter(kept));
        }
        found.into_iter().collect()
    }
}

impl Passed {
    /// Whether the request lacked a place because of one range alone: one inside it, or one where
    /// every other page was used.
    fn is_kept_out_by(&self, range: PfnRange, unused: &[PfnRange]) -> bool {
        let order = self.pages.order().min(63);
        let aligned = |pfn: u64| pfn >> order << order;
        let at =
            |lo: u64| PfnRange::new(Pfn(lo), Pfn(lo.saturating_add(rounded(self.pages) - 1)));
        let inside = aligned(range.hi().0.saturating_sub(rounded(self.pages) - 1));
        if inside >= range.lo().0 {
            return true;
        }
        at(aligned(range.lo().0)).is_some_and(|place| {
            let fits = place.lo() >= self.gap.lo() && place.hi() <= self.gap.hi();
            let others = unused.iter().filter(|other| **other != range);
            fits && !others.into_iter().any(|other| other.overlaps(place))
        })
    }
}

/// The pages that a request takes: the caches hold powers of two.
fn rounded(pages: Pages) -> u64 {
    if pages.0 < 32 {
        pages.0.next_power_of_two()
    } else {
        pages.0
    }
}
