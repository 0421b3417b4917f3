//! Buffer pools: cameras, video, displays, GPUs.
//!
//! A pool keeps a number of buffers or of bytes live, or lets buffers arrive at a rate; each
//! lives for a time and is replaced after a rest. A change (another resolution) frees the
//! whole pool and fills it again with other sizes. A burst takes no virtual time, but for a
//! `fill` that is spread out.

use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{Change, Changes, SizePhases};
use super::client::{Client, ClientPlan, CpuChoice, EventSink, Held, Issuer, Place};
use super::distribution::{Delay, Lifetime};
use super::event_queue::EventQueue;
use super::invalid::{InvalidConfig, LIVE_MAX};
use super::quantity::{Bytes, Time, is_default};
use super::random::{Draws, Owner};
use super::size::Sizes;
use iova::units::Nanos;

/// The amount that a pool keeps live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This many buffers; each has a place of its own, which takes the sizes of a list in turn.
    Count(#[schemars(range(min = 1, max = LIVE_MAX))] u32),
    /// As many buffers as fit into this many bytes: the next waits until there is room for it.
    Bytes(#[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))] Bytes),
    /// Buffers that arrive at these intervals: rate × mean lifetime of them.
    Arrivals(#[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))] Delay),
}

/// The order in which a whole pool is freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The oldest buffer first.
    #[default]
    OldestFirst,
    /// The newest buffer first.
    NewestFirst,
    Random,
}

/// A pool as a scenario describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolPlan {
    /// The sizes of the buffers.
    pub sizes: Sizes,
    /// What is kept live; missing where a list of sizes says it: the buffers of the list, each
    /// in a place of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<Target>,
    /// How long a buffer lives.
    pub lifetime: Lifetime,
    /// How long after a buffer's end its successor is asked for; no matter to arrivals.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rest: Delay,
    /// The time between two buffers while the pool is filled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fill: Time,
    /// The order in which the whole pool is freed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: Order,
    /// Changes of the sizes, each of which frees the whole pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
}

impl ClientPlan for PoolPlan {
    fn check(&self) -> Result<(), InvalidConfig> {
        self.changes.as_ref().map_or(Ok(()), Changes::check)?;
        match self.keeps {
            Some(Target::Bytes(Bytes(bytes))) => {
                let largest = self.phases().largest();
                let expected = format!("at least the largest size, {largest} bytes");
                InvalidConfig::unless(bytes >= largest, "bytes", bytes, expected)?;
            }
            Some(Target::Arrivals(interval)) => {
                let expected = "an interval above 0";
                InvalidConfig::unless(!interval.is_zero(), "arrivals", 0, expected)?;
            }
            Some(Target::Count(count)) => {
                InvalidConfig::unless_live("count", u64::from(count))?;
            }
            None => {
                for sizes in self.phases().iter() {
                    let listed = sizes.listed();
                    let expected = "it where sizes are not a list";
                    InvalidConfig::unless(listed.is_some(), "keeps", "missing", expected)?;
                    InvalidConfig::unless_live("list", listed.map_or(1, NonZeroU64::get))?;
                }
            }
        }
        let brief = matches!(self.lifetime, Lifetime::For(delay) if delay.is_zero());
        let at_once = brief && self.rest.is_zero();
        let closed = !matches!(self.keeps, Some(Target::Arrivals(_)));
        let expected = "above 0, or a `rest`";
        InvalidConfig::unless(!(at_once && closed), "lifetime", 0, expected)
    }

    fn start(&self, place: Place, owner: &Owner, start: Nanos) -> Box<dyn Client> {
        Box::new(Pool::new(self.clone(), place, owner, start))
    }
}

impl PoolPlan {
    fn phases(&self) -> SizePhases<'_> {
        SizePhases {
            first: &self.sizes,
            changes: self.changes.as_ref(),
        }
    }
}

/// A running pool.
pub struct Pool {
    plan: PoolPlan,
    port: Issuer,
    queue: EventQueue<Step>,
    /// The buffers, each in its place.
    places: Vec<Option<Held>>,
    /// Vacant places, if the pool has no fixed number of them.
    vacant: Vec<u32>,
    /// The places still to be freed while the whole pool is freed, last to first.
    draining: Vec<u32>,
    stopping: bool,
    change: Change,
    allocated: u64,
    bytes_live: u128,
    /// A size already drawn that does not fit yet.
    waiting: Option<u64>,
    draws: PoolDraws,
}

struct PoolDraws {
    sizes: Draws,
    lifetimes: Draws,
    rests: Draws,
    arrivals: Draws,
    order: Draws,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Allocates a place's next buffer.
    Allocate(u32),
    /// Allocates the next buffer if it fits into the bytes to keep.
    Fill,
    Arrive,
    Free(u32),
    Change,
    Drain,
}

impl Pool {
    /// The pool of `plan`, from `start` on.
    pub fn new(plan: PoolPlan, place: Place, owner: &Owner, start: Nanos) -> Pool {
        let mut pool = Pool {
            port: Issuer::new(place, owner),
            queue: EventQueue::new(),
            places: Vec::new(),
            vacant: Vec::new(),
            draining: Vec::new(),
            stopping: false,
            change: Change::new(owner),
            allocated: 0,
            bytes_live: 0,
            waiting: None,
            draws: PoolDraws {
                sizes: owner.draws("sizes"),
                lifetimes: owner.draws("lifetimes"),
                rests: owner.draws("rests"),
                arrivals: owner.draws("arrivals"),
                order: owner.draws("order"),
            },
            plan,
        };
        pool.open(start);
        pool
    }

    /// Starts to fill the pool and schedules the next change.
    fn open(&mut self, now: Nanos) {
        match self.plan.keeps {
            Some(Target::Count(count)) => self.open_places(now, count),
            None => {
                let listed = self.change.sizes(self.plan.phases()).listed();
                let count = listed.and_then(|count| u32::try_from(count.get()).ok());
                self.open_places(now, count.unwrap_or(0));
            }
            Some(Target::Bytes(_)) => self.queue.push(now, Step::Fill),
            Some(Target::Arrivals(_)) => self.await_arrival(now),
        }
        if let Some(at) = self.change.next(self.plan.phases(), now) {
            self.queue.push(at, Step::Change);
        }
    }

    fn open_places(&mut self, now: Nanos, count: u32) {
        self.places.resize(count as usize, None);
        for place in 0..count {
            let gap = self.plan.fill.0.saturating_mul(u64::from(place));
            self.queue.push(now.after(gap), Step::Allocate(place));
        }
    }

    fn await_arrival(&mut self, now: Nanos) {
        if let Some(Target::Arrivals(interval)) = self.plan.keeps {
            let at = now.after(interval.draw(&mut self.draws.arrivals));
            self.queue.push(at, Step::Arrive);
        }
    }

    /// Draws the size of the next buffer; `turn` is the position in a list of sizes.
    fn draw_size(&mut self, turn: u64) -> u64 {
        let sizes = self.change.sizes(self.plan.phases());
        sizes.draw(&mut self.draws.sizes, turn)
    }

    /// A place for one more buffer.
    fn any_place(&mut self) -> u32 {
        self.vacant.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn allocate(&mut self, sink: &mut EventSink<'_>, place: u32, bytes: u64) {
        self.allocated += 1;
        self.bytes_live += u128::from(bytes);
        self.places[place as usize] = Some(self.port.get(sink, CpuChoice::Any, bytes));
        if let Lifetime::For(lifetime) = self.plan.lifetime {
            let at = sink.now().after(lifetime.draw(&mut self.draws.lifetimes));
            self.queue.push(at, Step::Free(place));
        }
    }

    fn fill(&mut self, sink: &mut EventSink<'_>, bytes_max: u64) {
        let bytes = self
            .waiting
            .take()
            .unwrap_or_else(|| self.draw_size(self.allocated));
        if self.bytes_live + u128::from(bytes) > u128::from(bytes_max) {
            self.waiting = Some(bytes);
            return;
        }
        let place = self.any_place();
        self.allocate(sink, place, bytes);
        self.queue
            .push(sink.now().after(self.plan.fill.0), Step::Fill);
    }

    fn free(&mut self, sink: &mut EventSink<'_>, place: u32) {
        if let Some(held) = self.places[place as usize].take() {
            self.bytes_live -= u128::from(held.bytes);
            self.port.put(sink, CpuChoice::Any, held);
        }
    }

    /// Frees a buffer whose lifetime is over and schedules its successor.
    fn expire(&mut self, sink: &mut EventSink<'_>, place: u32) {
        self.free(sink, place);
        let successor = match self.plan.keeps {
            Some(Target::Count(_)) | None => Step::Allocate(place),
            Some(Target::Bytes(_)) => Step::Fill,
            Some(Target::Arrivals(_)) => return self.vacant.push(place),
        };
        if let Some(Target::Bytes(_)) = self.plan.keeps {
            self.vacant.push(place);
        }
        let rest = self.plan.rest.draw(&mut self.draws.rests);
        self.queue.push(sink.now().after(rest), successor);
    }

    /// Cancels everything that is scheduled and starts to free the whole pool.
    fn drain(&mut self, now: Nanos) {
        let mut live: Vec<(u64, u32)> = (0..)
            .zip(&self.places)
            .filter_map(|(place, held)| held.map(|held| (held.id, place)))
            .collect();
        match self.plan.order {
            Order::OldestFirst => live.sort_unstable_by(|a, b| b.cmp(a)),
            Order::NewestFirst => live.sort_unstable(),
            Order::Random => {
                live.sort_unstable();
                self.draws.order.shuffle(&mut live);
            }
        }
        self.draining = live.into_iter().map(|(_, place)| place).collect();
        self.waiting = None;
        self.queue.clear();
        self.queue.push(now, Step::Drain);
    }

    /// Frees the next buffer while the whole pool is freed.
    fn drain_next(&mut self, sink: &mut EventSink<'_>) {
        if let Some(place) = self.draining.pop() {
            self.free(sink, place);
            self.queue.push(sink.now(), Step::Drain);
        } else {
            self.places.clear();
            self.vacant.clear();
            if !self.stopping {
                self.open(sink.now().after(self.plan.phases().pause().0));
            }
        }
    }
}

impl Client for Pool {
    fn due(&self) -> Option<Nanos> {
        self.queue.due()
    }

    fn act(&mut self, sink: &mut EventSink<'_>) {
        let Some((_, step)) = self.queue.pop() else {
            return;
        };
        match (step, self.plan.keeps) {
            (Step::Allocate(place), _) => {
                let bytes = self.draw_size(u64::from(place));
                self.allocate(sink, place, bytes);
            }
            (Step::Fill, Some(Target::Bytes(bytes_max))) => self.fill(sink, bytes_max.0),
            (Step::Arrive | Step::Fill, _) => {
                let bytes = self.draw_size(self.allocated);
                let place = self.any_place();
                self.allocate(sink, place, bytes);
                self.await_arrival(sink.now());
            }
            (Step::Free(place), _) => self.expire(sink, place),
            (Step::Change, _) => {
                self.change.turn();
                self.drain(sink.now());
            }
            (Step::Drain, _) => self.drain_next(sink),
        }
    }

    fn stop(&mut self, at: Nanos) {
        self.stopping = true;
        self.drain(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::distribution::Uniform;
    use crate::workload::quantity::Or;
    use crate::workload::run::Plan;
    use crate::workload::size::ManySizes;
    use crate::workload::testing::{events, list, live, mean_live, read, run};

    const MS: u64 = 1_000_000;

    fn sizes(bytes: u64) -> Sizes {
        Sizes::fixed(bytes).expect("possible")
    }

    fn plan(keeps: impl Into<Option<Target>>, lifetime: Lifetime) -> PoolPlan {
        PoolPlan {
            sizes: sizes(4096),
            keeps: keeps.into(),
            lifetime,
            rest: Delay::fixed(0),
            fill: Time(0),
            order: Order::OldestFirst,
            changes: None,
        }
    }

    fn exponential(mean: u64) -> Lifetime {
        Lifetime::For(Delay::exponential(mean))
    }

    fn generate(plan: PoolPlan, until: u64) -> Vec<crate::trace::event::Event> {
        events(vec![run("pool", Plan::Pool(plan))], until)
    }

    #[test]
    fn a_count_is_kept_by_replacing_what_dies() {
        let mut plan = plan(Target::Count(2), Lifetime::For(Delay::fixed(5)));
        plan.fill = Time(1);
        plan.rest = Delay::fixed(2);
        let story = read(&generate(plan, 10));
        assert_eq!(story, "0+1:4096 1+2:4096 5-1 6-2 7+3:4096 8+4:4096");
    }

    #[test]
    fn the_places_of_a_list_keep_their_sizes() {
        let mut plan = plan(None, exponential(10));
        plan.sizes = list(&[(1, 1), (2, 1), (3, 1)]);
        let events = generate(plan, 1000);
        let after_births = live(&events).into_iter().filter(|&(count, _)| count == 3);
        let bytes: Vec<_> = after_births.map(|(_, bytes)| bytes).collect();
        assert!(
            bytes.len() > 100 && bytes.iter().all(|&bytes| bytes == 6),
            "{bytes:?}"
        );
    }

    #[test]
    fn a_target_in_bytes_is_met_and_never_exceeded() {
        let target = Target::Bytes(Bytes(1 << 20));
        let mut plan = plan(target, exponential(MS));
        let [min, max] = [4096, 65536].map(Bytes);
        let uniform = ManySizes::Uniform(Uniform { min, max });
        plan.sizes = Sizes::try_from(Or::Long(uniform)).expect("possible");
        let live = live(&generate(plan, 20 * MS));
        let full = live
            .iter()
            .skip_while(|&&(_, bytes)| bytes + 65536 < 1 << 20);
        let least = full.map(|&(_, bytes)| bytes).min();
        assert!(live.len() > 1000 && live.iter().all(|&(_, bytes)| bytes <= 1 << 20));
        assert!(least > Some((1 << 20) - 3 * 65536), "{least:?}");
    }

    /// An M/M/∞ queue: 100,000 arrivals a second that live 1 ms keep 100 live on average. The
    /// average over 4 s has a standard deviation of √(2 · 100 · 1 ms / 4 s) = 0.22.
    #[test]
    fn arrivals_keep_rate_times_lifetime_live() {
        let interval = Delay::exponential(10_000);
        let keeps = Target::Arrivals(interval);
        let events = generate(plan(keeps, exponential(MS)), 4_010 * MS);
        let mean = mean_live(&events, 10 * MS, 4_010 * MS);
        assert!((mean - 100.0).abs() < 0.9, "{mean}");
    }

    #[test]
    fn a_change_frees_all_and_fills_again_with_other_sizes() {
        let mut plan = plan(Target::Count(2), Lifetime::Forever);
        plan.sizes = sizes(1);
        plan.changes = Some(Changes {
            every: Delay::fixed(10),
            pause: Time(3),
            to: vec![sizes(2)],
        });
        let story = |order| {
            let plan = PoolPlan {
                order,
                ..plan.clone()
            };
            read(&generate(plan, 27))
        };
        assert_eq!(
            story(Order::OldestFirst),
            "0+1:1 0+2:1 10-1 10-2 13+3:2 13+4:2 23-3 23-4 26+5:1 26+6:1"
        );
        assert_eq!(
            story(Order::NewestFirst),
            "0+1:1 0+2:1 10-2 10-1 13+3:2 13+4:2 23-4 23-3 26+5:1 26+6:1"
        );
    }

    #[test]
    fn pools_are_pinned() {
        let mut plan = plan(Target::Count(3), exponential(1000));
        plan.rest = Delay::exponential(100);
        plan.order = Order::Random;
        let mut run = run("pinned", Plan::Pool(plan));
        run.stop = Some(Nanos(1500));
        run.place.cpus = "0-3".parse().expect("a list");
        run.place.free_cpus = Some("4-5".parse().expect("a list"));
        assert_eq!(
            read(&events(vec![run], u64::MAX)),
            "0+1:4096 0+2:4096@1 0+3:4096@2 215-1@5 269+4:4096@2 1098-3@4 1186+5:4096@1 \
             1389-2@4 1427-5@4 1500-4@4"
        );
    }

    #[test]
    fn pools_that_cannot_be_are_refused() {
        let zero = Delay::fixed(0);
        let field = |plan: PoolPlan| plan.check().expect_err("impossible").field;
        let forever = |target: Target| plan(target, Lifetime::Forever);
        assert_eq!(field(forever(Target::Count(0))), "count");
        assert_eq!(field(plan(None, Lifetime::Forever)), "keeps");
        assert_eq!(field(forever(Target::Bytes(Bytes(4095)))), "bytes");
        assert_eq!(field(forever(Target::Arrivals(zero))), "arrivals");
        assert_eq!(
            field(plan(Target::Count(1), Lifetime::For(zero))),
            "lifetime"
        );
        let changes = Some(Changes {
            every: zero,
            pause: Time(0),
            to: Vec::new(),
        });
        let changing = PoolPlan {
            changes,
            ..forever(Target::Count(1))
        };
        assert_eq!(field(changing), "changes.every");
    }
}
