//! What a profile of a trace found: so many requests and frees in each slice of time.
//!
//! The counts of a slice are exact, so that what is live follows the trace from slice to
//! slice; drawn are the moments in it, the order of the sizes, how long a run of requests is, and which
//! buffer is freed: by its age among those that are live.

use std::num::NonZeroU64;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ages::Ages;
use super::client::{Client, ClientPlan, CpuChoice, EventSink, Held, Issuer, Place};
use super::invalid::{InvalidConfig, LIVE_MAX};
use super::quantity::{Millionths, Time, is_default};
use super::random::{Draws, Owner, Share};
use super::size::Sizes;
use iova::units::Nanos;

/// Into how many parts of equal size the live buffers are divided by age.
pub const AGE_PARTS: usize = 8;

/// A stretch of time, and what happens in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "(Time, u32, u32)", into = "(Time, u32, u32)")]
pub struct Slice {
    /// How long it is.
    pub lasts: Time,
    /// How many buffers are asked for.
    pub allocs: u32,
    /// How many are freed.
    pub frees: u32,
}

impl From<(Time, u32, u32)> for Slice {
    fn from((lasts, allocs, frees): (Time, u32, u32)) -> Slice {
        Slice {
            lasts,
            allocs,
            frees,
        }
    }
}

impl From<Slice> for (Time, u32, u32) {
    fn from(slice: Slice) -> Self {
        (slice.lasts, slice.allocs, slice.frees)
    }
}

/// How often which of the live buffers is freed, as weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreeOrder {
    /// The oldest buffer.
    #[serde(default)]
    pub oldest: u64,
    /// The newest.
    #[serde(default)]
    pub newest: u64,
    /// One of the oldest eighth of the buffers, of the next, and so on.
    #[serde(default)]
    pub between: [u64; AGE_PARTS],
}

impl Default for FreeOrder {
    /// Always the oldest.
    fn default() -> FreeOrder {
        FreeOrder {
            oldest: 1,
            ..FreeOrder::NONE
        }
    }
}

/// A client as a profile describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfiledPlan {
    /// The sizes of the buffers.
    pub sizes: Sizes,
    /// How many buffers are asked for in a row, on average, where some are freed as well.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("minimum" = 1))]
    pub burst: Millionths,
    /// Which of the live buffers are freed, as weights: the oldest if missing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: FreeOrder,
    /// How long each slice is, how many buffers it asks for, and how many it frees; nothing
    /// happens after the last.
    pub slices: Arc<[Slice]>,
}

impl FreeOrder {
    /// No weight at all.
    pub const NONE: FreeOrder = FreeOrder {
        oldest: 0,
        newest: 0,
        between: [0; AGE_PARTS],
    };

    fn total(&self) -> Option<NonZeroU64> {
        let weights = self.between.iter().chain([&self.oldest, &self.newest]);
        let total = weights.fold(0_u64, |sum, &weight| sum.saturating_add(weight));
        NonZeroU64::new(total)
    }

    /// How many of `live` buffers are older than the one that is freed next.
    fn draw(&self, live: usize, draws: &mut Draws) -> usize {
        let Some(total) = self.total() else {
            return 0;
        };
        let mut left = draws.below(total);
        for (weight, older) in [(self.oldest, 0), (self.newest, live.saturating_sub(1))] {
            if left < weight {
                return older;
            }
            left -= weight;
        }
        let part = self.between.iter().position(|&weight| {
            let found = left < weight;
            left -= if found { 0 } else { weight };
            found
        });
        let part = part.unwrap_or(0);
        let (from, to) = (live * part / AGE_PARTS, live * (part + 1) / AGE_PARTS);
        from + draws.index((to - from).max(1))
    }
}

impl ClientPlan for ProfiledPlan {
    fn check(&self) -> Result<(), InvalidConfig> {
        let burst = self.burst;
        InvalidConfig::unless(burst >= Millionths::ONE, "burst", burst, "at least 1")?;
        let mut live = 0_u64;
        for (number, slice) in self.slices.iter().enumerate() {
            let held = live + u64::from(slice.allocs);
            let frees = u64::from(slice.frees);
            let found = format!("{frees} frees in slice {number}");
            let expected = format!("at most the {held} buffers that are live");
            InvalidConfig::unless(frees <= held, "slices", found, expected)?;
            let found = format!("{held} live buffers in slice {number}");
            let expected = format!("at most {LIVE_MAX}");
            InvalidConfig::unless(held <= LIVE_MAX, "slices", found, expected)?;
            live = held - frees;
        }
        let ordered = self.order.total().is_some();
        let freed = self.slices.iter().any(|slice| slice.frees > 0);
        let expected = "a weight above 0 where something is freed";
        InvalidConfig::unless(ordered || !freed, "order", "no weight", expected)
    }

    fn start(&self, place: Place, owner: &Owner, start: Nanos) -> Box<dyn Client> {
        Box::new(Profiled::new(self.clone(), place, owner, start))
    }
}

/// A running client of a profile.
pub struct Profiled {
    plan: ProfiledPlan,
    port: Issuer,
    /// The slice after the one that runs, and when it begins.
    next_slice: usize,
    next_start: Nanos,
    /// The moments of the running slice that are to come, the next at the end.
    moments: Vec<Nanos>,
    allocs_left: u32,
    frees_left: u32,
    /// How many frees there are in a row, on average.
    free_burst: Millionths,
    /// Whether the run that goes on is one of frees.
    freeing: bool,
    live: Ages<Held>,
    allocated: u64,
    /// Weighted sizes, each as often as it weighs; dealt from the end, and dealt again.
    deck: Option<Vec<u64>>,
    dealt: usize,
    /// When it frees everything that it holds.
    stopped: Option<Nanos>,
    draws: ProfiledDraws,
}

struct ProfiledDraws {
    sizes: Draws,
    moments: Draws,
    runs: Draws,
    ages: Draws,
}

impl Profiled {
    /// The client of `plan`, from `start` on.
    pub fn new(plan: ProfiledPlan, place: Place, owner: &Owner, start: Nanos) -> Profiled {
        let mut client = Profiled {
            port: Issuer::new(place, owner),
            next_slice: 0,
            next_start: start,
            moments: Vec::new(),
            allocs_left: 0,
            frees_left: 0,
            free_burst: Millionths::ONE,
            freeing: false,
            live: Ages::new(),
            allocated: 0,
            deck: plan.sizes.deck(),
            dealt: 0,
            stopped: None,
            draws: ProfiledDraws {
                sizes: owner.draws("sizes"),
                moments: owner.draws("moments"),
                runs: owner.draws("runs"),
                ages: owner.draws("ages"),
            },
            plan,
        };
        client.open_slice();
        client
    }

    /// Goes to the next slice in which something happens, if there is one.
    fn open_slice(&mut self) {
        while self.moments.is_empty()
            && let Some(&slice) = self.plan.slices.get(self.next_slice)
        {
            let start = self.next_start;
            self.next_slice += 1;
            self.next_start = start.after(slice.lasts.0);
            (self.allocs_left, self.frees_left) = (slice.allocs, slice.frees);
            let share = u128::from(slice.frees) * u128::from(self.plan.burst.0);
            let free_burst = share / u128::from(slice.allocs.max(1));
            let free_burst = Millionths(u64::try_from(free_burst).unwrap_or(u64::MAX));
            self.free_burst = free_burst.max(Millionths::ONE);
            // One in each of as many equal parts: what is live strays less than at random.
            let count = u64::from(slice.allocs) + u64::from(slice.frees);
            let moments = &mut self.draws.moments;
            let part = |part: u64| {
                let from = u128::from(slice.lasts.0) * u128::from(part) / u128::from(count);
                u64::try_from(from).unwrap_or(u64::MAX)
            };
            let moment = |number| start.after(moments.between(part(number), part(number + 1)));
            self.moments = (0..count).rev().map(moment).collect();
        }
    }

    /// Whether the next is a free: runs of requests and of frees take turns.
    fn frees_next(&mut self) -> bool {
        let possible = self.frees_left > 0 && self.live.len() > 0;
        let freeing = possible && (self.freeing || self.allocs_left == 0);
        let burst = if freeing {
            self.free_burst
        } else {
            self.plan.burst
        };
        let one = Millionths::ONE.0;
        let goes_on = Share::from_millionths(one - one * one / burst.0);
        let goes_on = goes_on.is_some_and(|share| self.draws.runs.happens(share));
        self.freeing = if goes_on { freeing } else { !freeing };
        freeing
    }

    /// The size of the next buffer. Where sizes are weighted their shares are exact.
    fn size(&mut self) -> u64 {
        let draws = &mut self.draws.sizes;
        let Some(deck) = &mut self.deck else {
            self.allocated += 1;
            return self.plan.sizes.draw(draws, self.allocated - 1);
        };
        if self.dealt == 0 {
            draws.shuffle(deck);
            self.dealt = deck.len();
        }
        self.dealt -= 1;
        deck[self.dealt]
    }

    fn free(&mut self, sink: &mut EventSink<'_>, older: usize) {
        if let Some(held) = self.live.take(older) {
            self.port.put(sink, CpuChoice::Any, held);
        }
    }
}

impl Client for Profiled {
    fn due(&self) -> Option<Nanos> {
        match self.stopped {
            Some(at) => (self.live.len() > 0).then_some(at),
            None => self.moments.last().copied(),
        }
    }

    fn act(&mut self, sink: &mut EventSink<'_>) {
        if self.stopped.is_some() {
            return self.free(sink, 0);
        }
        self.moments.pop();
        if self.frees_next() {
            self.frees_left -= 1;
            let older = self.plan.order.draw(self.live.len(), &mut self.draws.ages);
            self.free(sink, older);
        } else {
            self.allocs_left -= 1;
            let bytes = self.size();
            self.live.push(self.port.get(sink, CpuChoice::Any, bytes));
        }
        self.open_slice();
    }

    /// The oldest goes first.
    fn stop(&mut self, at: Nanos) {
        self.stopped = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::run::Plan;
    use crate::workload::testing::{events, list, live, read, run};

    fn plan(slices: &[(u64, u32, u32)]) -> ProfiledPlan {
        let slice = |&(lasts, allocs, frees): &(u64, u32, u32)| Slice {
            lasts: Time(lasts),
            allocs,
            frees,
        };
        ProfiledPlan {
            sizes: list(&[(1, 1), (2, 1)]),
            slices: slices.iter().map(slice).collect(),
            burst: Millionths::ONE,
            order: FreeOrder::default(),
        }
    }

    fn story(plan: ProfiledPlan, stop: Option<u64>) -> String {
        let mut run = run("profiled", Plan::Profiled(plan));
        run.stop = stop.map(Nanos);
        read(&events(vec![run], u64::MAX))
    }

    #[test]
    fn slices_have_their_counts_and_runs_take_turns() {
        let plan = plan(&[(0, 2, 0), (5, 0, 0), (0, 2, 2), (5, 0, 0), (0, 0, 2)]);
        assert_eq!(
            story(plan, None),
            "0+1:1 0+2:2 5-1 5+3:1 5-2 5+4:2 10-3 10-4"
        );
    }

    #[test]
    fn the_newest_goes_where_the_order_says_so() {
        let order = FreeOrder {
            newest: 1,
            ..FreeOrder::NONE
        };
        let plan = ProfiledPlan {
            order,
            ..plan(&[(0, 3, 0), (0, 0, 2)])
        };
        assert_eq!(story(plan, Some(7)), "0+1:1 0+2:2 0+3:1 0-3 0-2 7-1");
    }

    /// 300 of 3,000 buffers go, each of the third eighth of those that are left: ranks from
    /// 2/8 · 2,701 to 3/8 · 3,000, and numbers above those by what went before.
    #[test]
    fn ages_are_drawn_from_their_part() {
        let mut order = FreeOrder::NONE;
        order.between[2] = 1;
        let plan = ProfiledPlan {
            order,
            ..plan(&[(0, 3000, 0), (1000, 0, 300)])
        };
        let story = story(plan, None);
        let freed = story.split(' ').filter_map(|word| word.split_once('-'));
        let freed: Vec<u32> = freed.map(|(_, id)| id.parse().expect("an id")).collect();
        assert_eq!(freed.len(), 300);
        assert!(freed.iter().all(|id| (675..1325).contains(id)), "{freed:?}");
    }

    #[test]
    fn weighted_sizes_have_their_shares_exactly() {
        let plan = ProfiledPlan {
            sizes: Sizes::weighted(&[(7, 3), (9, 1)]).expect("possible"),
            ..plan(&[(0, 8, 0)])
        };
        let story = story(plan, None);
        let count = |size: &str| story.split(' ').filter(|it| it.ends_with(size)).count();
        assert_eq!((count(":7"), count(":9")), (6, 2), "{story}");
    }

    /// Runs of 20 on average: 1,000 requests and frees make about 50 runs of each.
    #[test]
    fn bursts_are_as_long_as_they_are_told_on_average() {
        let plan = ProfiledPlan {
            burst: Millionths(20_000_000),
            ..plan(&[(0, 1000, 0), (1000, 1000, 1000)])
        };
        let events = events(vec![run("bursts", Plan::Profiled(plan))], u64::MAX);
        let counts = live(&events);
        let turns = counts[1000..].windows(3).filter(|near| {
            let rises = |at: usize| near[at + 1].0 > near[at].0;
            rises(0) != rises(1)
        });
        let turns = turns.count();
        assert!((60..140).contains(&turns), "{turns}");
    }

    #[test]
    fn profiles_that_cannot_be_are_refused() {
        let field = |plan: ProfiledPlan| plan.check().expect_err("impossible").field;
        assert_eq!(field(plan(&[(0, 2, 1), (0, 1, 3)])), "slices");
        assert_eq!(field(plan(&[(0, u32::MAX, 0)])), "slices");
        let burst = Millionths(999_999);
        assert_eq!(field(ProfiledPlan { burst, ..plan(&[]) }), "burst");
        let order = FreeOrder::NONE;
        let freed = plan(&[(0, 1, 1)]);
        assert_eq!(field(ProfiledPlan { order, ..freed }), "order");
        assert_eq!(plan(&[(9, 1, 0), (0, 0, 1)]).check(), Ok(()));
    }
}
