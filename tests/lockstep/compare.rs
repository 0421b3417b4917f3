//! Runs the model and the naive one side by side and finds the first thing in which they differ.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use iova::kernel::DomainConfig;
use iova::replay::{Replay, Request, ViolationKind};
use iova::units::Pfn;

use crate::naive::Naive;
use crate::naive::bug::Bug;

/// What a trace's header says, of the naive model whether it is to make a mistake.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) config: DomainConfig,
    pub(crate) cpus: u32,
    pub(crate) bug: Option<Bug>,
}

/// The first event after which the two are not the same.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    pub(crate) event: usize,
    pub(crate) what: String,
}

const PANIC: &str = "a panic";

impl Difference {
    /// Whether one of the two gave up, so that there was nothing to compare.
    pub(crate) fn is_panic(&self) -> bool {
        self.what == PANIC
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.event, self.what)
    }
}

/// What was seen on the way, to show that a comparison compared something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: u64,
    pub(crate) answers: u64,
    pub(crate) refusals: u64,
    pub(crate) steps: u64,
    /// Answers of which the naive model allows two numbers of steps.
    pub(crate) shape_shows: u64,
    /// Traces that a violation ended.
    pub(crate) aborted: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Seen) {
        self.events += other.events;
        self.answers += other.answers;
        self.refusals += other.refusals;
        self.steps += other.steps;
        self.shape_shows += other.shape_shows;
        self.aborted += other.aborted;
    }
}

/// What of a domain every outcome line shows.
#[derive(Debug, PartialEq, Eq)]
struct State {
    max32: Option<u64>,
    cached32: Option<u64>,
    cached: Option<u64>,
    ranges: u64,
}

/// Everything that a domain holds, sorted.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    ranges: Vec<(u64, u64)>,
    in_magazines: Vec<(usize, u64)>,
    in_depots: Vec<(usize, u64)>,
    queued: Vec<(u64, u64)>,
}

/// The model and the naive one after the same requests.
#[derive(Clone)]
pub(crate) struct Lockstep {
    model: Replay,
    naive: Naive,
    pub(crate) seen: Seen,
}

impl Lockstep {
    pub(crate) fn new(world: &World) -> Lockstep {
        Lockstep {
            model: Replay::new(world.config, world.cpus),
            naive: Naive::new(world.config, world.cpus, world.bug),
            seen: Seen::default(),
        }
    }

    pub(crate) fn model(&self) -> &Replay {
        &self.model
    }

    /// One request; says whether the trace goes on.
    pub(crate) fn apply(&mut self, request: &Request) -> Result<bool, String> {
        let naive = self.naive.apply(request);
        let model = self.model.apply(request);
        self.seen.events += 1;
        let (model, naive) = match (model, naive) {
            (Ok(model), Ok(naive)) => (model, naive),
            (Err(model), Err(naive)) if model.kind == naive => {
                self.seen.aborted += 1;
                return Ok(false);
            }
            (model, naive) => return Err(format!("model {model:?}, naive {naive:?}")),
        };
        let same = match (model, naive) {
            (None, None) => true,
            (Some(model), Some(naive)) => {
                let allowed = naive.steps;
                self.seen.answers += 1;
                self.seen.refusals += u64::from(model.result.is_err());
                self.seen.steps += model.steps;
                self.seen.shape_shows += u64::from(allowed.least != allowed.most);
                model.result.map(|pfn| pfn.0) == naive.result
                    && (allowed.least..=allowed.most).contains(&model.steps)
            }
            _ => false,
        };
        if !same {
            return Err(format!("model {model:?}, naive {naive:?}"));
        }
        self.compare_states()?;
        self.compare_violations()?;
        Ok(true)
    }

    fn compare_states(&self) -> Result<(), String> {
        let domains = self.model.domains().iter().zip(self.naive.domains());
        for (number, (model, naive)) in domains.enumerate() {
            let (state, space) = (model.state(), naive.space());
            let (cached32, cached) = state.cached.unwrap_or_default();
            let model = State {
                max32: state.max32.map(|pages| pages.0),
                cached32: cached32.map(|pfn| pfn.0),
                cached: cached.map(|pfn| pfn.0),
                ranges: state.ranges,
            };
            let naive = State {
                max32: space.max32(),
                cached32: space.cached32(),
                cached: space.cached(),
                ranges: space.len(),
            };
            if model != naive {
                return Err(format!("domain {number}: model {model:?}, naive {naive:?}"));
            }
        }
        Ok(())
    }

    fn compare_violations(&self) -> Result<(), String> {
        for kind in ViolationKind::ALL {
            let model = self.model.violations().count(kind);
            let naive = self.naive.found(kind);
            if model != naive {
                let name = kind.name();
                return Err(format!("found {name}: model {model}, naive {naive}"));
            }
        }
        Ok(())
    }

    /// Compares what the domains hold, range by range.
    pub(crate) fn compare_contents(&self) -> Result<(), String> {
        let domains = self.model.domains().iter().zip(self.naive.domains());
        for (number, (model, naive)) in domains.enumerate() {
            let set = model.space().ranges();
            let spans = set.iter().map(|id| (set.lo(id).0, set.hi(id).0));
            // The set has no name for a range that ends at the anchor's pfn, which only
            // `maple-2026` hands out; that there is one shows in the state.
            let below_anchor = |&(_, hi): &(u64, u64)| hi != Pfn::ANCHOR.0;
            let raw = |(order, pfn): (usize, Pfn)| (order, pfn.0);
            let model = Contents {
                ranges: spans.filter(below_anchor).collect(),
                in_magazines: sorted(model.rcache().in_magazines().map(raw)),
                in_depots: sorted(model.rcache().in_depots().map(raw)),
                queued: sorted(model.queued().map(|it| (it.pfn.0, it.pages.0))),
            };
            let naive = Contents {
                ranges: naive
                    .space()
                    .ranges()
                    .into_iter()
                    .filter(below_anchor)
                    .collect(),
                in_magazines: sorted(naive.in_magazines()),
                in_depots: sorted(naive.in_depots()),
                queued: sorted(naive.queued()),
            };
            if model != naive {
                return Err(format!("domain {number}: model {model:?}, naive {naive:?}"));
            }
        }
        Ok(())
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items
}

/// How many events apart the contents are compared, which costs much more than the rest.
const CONTENTS_EVERY: usize = 64;

/// Applies all requests to both.
pub(crate) fn compare(world: &World, requests: &[Request]) -> Result<Seen, Difference> {
    let mut both = Lockstep::new(world);
    for (event, request) in requests.iter().enumerate() {
        let contents_too = (event + 1) % CONTENTS_EVERY == 0 || event + 1 == requests.len();
        let step = catch_unwind(AssertUnwindSafe(|| {
            let goes_on = both.apply(request)?;
            if goes_on && contents_too {
                both.compare_contents()?;
            }
            Ok(goes_on)
        }));
        match step.unwrap_or_else(|_| Err(PANIC.to_owned())) {
            Ok(true) => {}
            Ok(false) => break,
            Err(what) => return Err(Difference { event, what }),
        }
    }
    Ok(both.seen)
}
