//! What domains were like before the recording, as far as it shows.
//!
//! A range that is freed on record and was never seen before was live. One that the caches hand
//! out and that was never seen before was in them; the order in which they hand out is the order
//! in which they lay on the CPU's stack. What was live and is not freed on record, or cached and not
//! handed out, nobody knows.

use std::collections::{BTreeMap, BTreeSet};

use super::call::{Answer, Call, From, What};
use super::domains::Domain;
use iova::units::{Cpu, Pages, Pfn, PfnRange};

/// One domain before the recording.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// Ranges that were live or cached, from the top down; no two overlap.
    pub ranges: Vec<PfnRange>,
    /// Those of them that lay in a CPU's caches, the first to be handed out last.
    pub cached: Vec<(Cpu, PfnRange)>,
}

/// Gathers what calls show of the time before, by the domains' ordinals.
#[derive(Debug, Default)]
pub(super) struct Gatherer {
    domains: BTreeMap<u64, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The lowest pfns of all ranges that were handed out or freed.
    known: BTreeSet<Pfn>,
    live: Vec<PfnRange>,
    cached: Vec<(Cpu, PfnRange)>,
}

impl Gatherer {
    /// Takes a call on a domain.
    pub(super) fn take(&mut self, call: &Call, domain: &Domain) {
        let seen = self.domains.entry(domain.report.ordinal).or_default();
        match call.what {
            What::AllocFast {
                pages,
                got: Answer::Pfn(pfn),
                from,
                ..
            } => {
                let first = seen.known.insert(pfn);
                let range = range(pfn, pages).filter(|_| first && from == From::Caches);
                seen.cached.extend(range.map(|range| (call.cpu, range)));
            }
            What::Alloc {
                got: Answer::Pfn(pfn),
                ..
            } => {
                seen.known.insert(pfn);
            }
            What::FreeFast { pfn, pages } => {
                // A domain that was made on record, and not used before that was noticed, has
                // nothing before: the allocation was missed.
                let whole = domain.made.is_some() && seen.cached.is_empty();
                if seen.known.insert(pfn) && !whole {
                    seen.live.extend(range(pfn, pages));
                }
            }
            _ => {}
        }
    }

    pub(super) fn finish(self) -> BTreeMap<u64, Before> {
        let before = self
            .domains
            .into_iter()
            .map(|(ordinal, seen)| (ordinal, seen.before()));
        before
            .filter(|(_, before)| !before.ranges.is_empty())
            .collect()
    }
}

impl Seen {
    fn before(self) -> Before {
        let Seen {
            live, mut cached, ..
        } = self;
        let mut ranges: Vec<PfnRange> = cached.iter().map(|(_, range)| *range).collect();
        ranges.extend(live);
        ranges.sort_unstable();
        // Of two that overlap, one was handed out on record unseen.
        ranges.dedup_by(|later, earlier| later.overlaps(*earlier));
        ranges.reverse();
        let kept: BTreeSet<PfnRange> = ranges.iter().copied().collect();
        cached.retain(|(_, range)| kept.contains(range));
        cached.reverse();
        Before { ranges, cached }
    }
}

fn range(pfn: Pfn, pages: Pages) -> Option<PfnRange> {
    PfnRange::new(pfn, Pfn(pfn.0.checked_add(pages.0 - 1)?))
}
