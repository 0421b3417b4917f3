//! The past of one domain, as an explanation needs it: when each allocation was made, and what
//! became of `max32_alloc_size`.
//!
//! An observer sees a domain between requests only. Frees that reach the tree show in its number
//! of ranges and in the pages below 4 GiB, whoever made them: a caller, a magazine, a timer.

use iova::kernel::{Answer, Domain, Refusal};
use iova::op::Op;
use iova::replay::{Device, Dom, Replay, Request, Slot};
use iova::units::{Nanos, Pages, Pfn, PfnRange};
use serde::Serialize;

/// Follows a domain through a replay.
#[derive(Debug)]
pub(super) struct History {
    dom: Dom,
    dma32: Pfn,
    begun: Vec<Begun>,
    pub(super) restored: Option<u64>,
    pub(super) reserved: Vec<PfnRange>,
    seen: Seen,
    failed: Option<Failed>,
}

/// When an allocation was made, and for which device.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun {
    pub(super) event: u64,
    pub(super) at: Nanos,
    pub(super) device: Option<Device>,
}

/// The domain after the last request.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    ranges: u64,
    /// Pages of ranges below 4 GiB.
    low_pages: u64,
    cache_hits: u64,
    max32: Option<Pages>,
    cached32: Option<Pfn>,
}

/// `max32_alloc_size` since it was last set by a failure.
#[derive(Clone, Debug)]
struct Failed {
    set: SetAt,
    freed: Vec<Freed>,
}

#[derive(Clone, Copy, Debug)]
struct SetAt {
    event: u64,
    at: Nanos,
    by: SetBy,
    largest_aligned: Pages,
}

/// How `max32_alloc_size` got its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetBy {
    /// A search that failed.
    Search,
    /// A request that it refused without a search, before 5.1.
    Refusal,
    /// It came with the restored state.
    Restore,
}

/// Ranges below 4 GiB that were freed during one event.
#[derive(Clone, Debug, Serialize)]
pub struct Freed {
    pub event: u64,
    pub nanos: u64,
    pub ranges: u64,
    pub pages: u64,
    /// The lowest pfn of the range, where a caller freed it straight to the tree.
    pub pfn: Option<u64>,
    /// The lowest pfn of `cached32_node` at that time; `None` for the anchor.
    pub cached32: Option<u64>,
}

/// `max32_alloc_size` at the refusal, and how it came to its value.
#[derive(Clone, Debug, Serialize)]
pub struct Max32 {
    pub pages: u64,
    /// The value that means that no request has failed: the first pfn above 4 GiB.
    pub unset: u64,
    /// The lowest pfn of `cached32_node`; `None` for the anchor.
    pub cached32: Option<u64>,
    /// `None` where it was never set.
    pub set: Option<Set>,
    /// Frees below 4 GiB since then. From 5.18 on (5b61343b5059) there are none, since any of them
    /// resets it.
    pub freed_since: Vec<Freed>,
}

/// When `max32_alloc_size` was set.
#[derive(Clone, Debug, Serialize)]
pub struct Set {
    pub event: u64,
    pub nanos: u64,
    pub by: SetBy,
    /// The largest size-aligned request that would have found a gap below 4 GiB then, in pages.
    pub largest_aligned: u64,
}

impl History {
    /// The history of a domain in a replay that has not begun.
    pub(super) fn new(replay: &Replay, dom: Dom) -> History {
        let dma32 = replay.config().granule().dma32();
        History {
            dom,
            dma32,
            begun: Vec::new(),
            restored: None,
            reserved: Vec::new(),
            seen: Seen::default(),
            failed: None,
        }
    }

    /// When a live allocation was made.
    pub(super) fn begun(&self, slot: Slot) -> Begun {
        self.begun.get(slot.0 as usize).copied().unwrap_or_default()
    }

    /// Takes in a request that `replay` has just answered.
    pub(super) fn observe(
        &mut self,
        number: u64,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
    ) {
        let Some(domain) = replay.domains().get(self.dom.0 as usize) else {
            return;
        };
        let is_own = request.dom == self.dom;
        if is_own {
            self.follow(number, request);
        }
        let now = self.look(domain);
        let inserted = inserted(now, self.seen, answer.filter(|_| is_own), self.dma32);
        let freed = self.freed(number, request, replay, now, inserted);
        let restores = is_own && matches!(request.op, Op::Restore { .. });
        let unset = now.max32 == Some(Pages(self.dma32.0));
        let failed = answer.and_then(|it| it.result.err()).filter(|_| is_own);
        let searched =
            failed == Some(Refusal::NoPlace) && now.max32 == answer.map(|it| it.asked.size);
        let changed = now.max32 != self.seen.max32;
        if now.max32.is_none() || unset {
            self.failed = None;
        } else if restores || changed || searched {
            let by = if restores {
                SetBy::Restore
            } else if self.refuses_and_sets(failed, now) {
                SetBy::Refusal
            } else {
                SetBy::Search
            };
            // A search that failed last saw what the flush of the rcaches had freed before it.
            let after = !searched && !restores;
            self.failed = Some(Failed {
                set: SetAt {
                    event: number,
                    at: request.at,
                    by,
                    largest_aligned: domain.space().largest(Pfn(self.dma32.0 - 1)).aligned,
                },
                freed: freed.filter(|_| after).into_iter().collect(),
            });
        } else if let Some(failed) = &mut self.failed {
            failed.freed.extend(freed);
        }
        self.seen = now;
    }

    /// Whether a refusal without a search raised `max32`, as it did before 5.1.
    fn refuses_and_sets(&self, failed: Option<Refusal>, now: Seen) -> bool {
        failed == Some(Refusal::Shortcut) && now.max32 >= self.seen.max32
    }

    fn follow(&mut self, number: u64, request: &Request) {
        match &request.op {
            Op::Alloc { id, .. } | Op::Map { id, .. } => {
                let index = id.0 as usize;
                if self.begun.len() <= index {
                    self.begun.resize(index + 1, Begun::default());
                }
                self.begun[index] = Begun {
                    event: number,
                    at: request.at,
                    device: match request.op {
                        Op::Map { dev, .. } => Some(dev),
                        _ => None,
                    },
                };
            }
            Op::Restore { .. } => {
                self.restored = Some(number);
                self.reserved.clear();
            }
            Op::Reserve { range } => self.reserved.push(*range),
            _ => {}
        }
    }

    fn look(&self, domain: &Domain) -> Seen {
        let state = domain.state();
        Seen {
            ranges: state.ranges,
            low_pages: domain.space().ranges().used_below(self.dma32).0,
            cache_hits: domain.counters().cache_hits,
            max32: state.max32,
            cached32: state.cached.and_then(|(cached32, _)| cached32),
        }
    }

    /// What left the tree below 4 GiB during a request.
    fn freed(
        &self,
        number: u64,
        request: &Request,
        replay: &Replay,
        now: Seen,
        inserted: (u64, u64),
    ) -> Option<Freed> {
        if matches!(request.op, Op::Restore { .. } | Op::Reserve { .. }) {
            return None;
        }
        let ranges = (self.seen.ranges + inserted.0).saturating_sub(now.ranges);
        let pages = (self.seen.low_pages + inserted.1).saturating_sub(now.low_pages);
        let by_caller = match request.op {
            Op::Free { id } | Op::Unmap { id } if ranges == 1 => {
                Some(replay.allocations().get(id).pfn.0)
            }
            Op::FreePfn { pfn } => Some(pfn.0),
            _ => None,
        };
        (pages > 0).then_some(Freed {
            event: number,
            nanos: request.at.0,
            ranges,
            pages,
            pfn: by_caller,
            cached32: self.seen.cached32.map(|pfn| pfn.0),
        })
    }

    /// `max32_alloc_size` of the domain as it is now.
    pub(super) fn max32(self, domain: &Domain) -> Option<Max32> {
        let state = domain.state();
        let (set, freed_since) = match self.failed {
            None => (None, Vec::new()),
            Some(Failed { set, freed }) => {
                let set = Set {
                    event: set.event,
                    nanos: set.at.0,
                    by: set.by,
                    largest_aligned: set.largest_aligned.0,
                };
                (Some(set), freed)
            }
        };
        Some(Max32 {
            pages: state.max32?.0,
            unset: self.dma32.0,
            cached32: state.cached.and_then(|(it, _)| it).map(|it| it.0),
            set,
            freed_since,
        })
    }
}

/// The ranges that a request inserted into the tree, and their pages below 4 GiB.
fn inserted(now: Seen, before: Seen, answer: Option<Answer>, dma32: Pfn) -> (u64, u64) {
    let Some(answer) = answer.filter(|_| now.cache_hits == before.cache_hits) else {
        return (0, 0);
    };
    let pfn = match answer.result {
        Ok(pfn) => pfn,
        Err(Refusal::PfnZero) => Pfn(0),
        Err(_) => return (0, 0),
    };
    let low = dma32.0.saturating_sub(pfn.0).min(answer.asked.size.0);
    (1, low)
}
