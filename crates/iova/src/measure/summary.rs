//! Requests, failures, search cost and load of one allocator: counted as the replay goes,
//! read off it at the end.

use super::cause::Cause;
use super::decision::Decision;
use super::held::Held;
use super::steps::Steps;
use crate::kernel::Answer;
use crate::kernel::Counters;
use crate::op::Op;
use crate::replay::{Aborted, Replay, Request, Slot, Violations};
use crate::units::Nanos;

/// Counts while a replay runs. A few additions an event.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    causes: Causes,
    steps: Steps,
    load: Load,
    ranges_max: u64,
}

/// Failures by their cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes([u64; Cause::ALL.len()]);

impl Causes {
    pub fn add(&mut self, cause: Cause) {
        self.0[cause as usize] += 1;
    }

    /// How many failures had a cause.
    pub fn count(&self, cause: Cause) -> u64 {
        self.0[cause as usize]
    }

    /// How many failures there were.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many there were although there was room.
    pub fn spurious(&self) -> u64 {
        let spurious = Cause::ALL.into_iter().filter(|cause| cause.is_spurious());
        spurious.map(|cause| self.count(cause)).sum()
    }
}

/// The pages that callers hold, as time goes by.
#[derive(Clone, Debug)]
struct Load {
    pages: u128,
    pages_max: u128,
    /// Pages times nanoseconds since `since`; none once that is too much for 128 bits.
    area: Option<u128>,
    since: Option<Nanos>,
    now: Nanos,
}

/// What a replay adds up to; [`Metrics`](super::Metrics) are made of it.
#[derive(Clone, Debug)]
pub struct Totals {
    pub events: u64,
    /// Requests for addresses.
    pub allocs: u64,
    /// Requests that were refused.
    pub failures: u64,
    pub causes: Causes,
    /// Ids freed whose request had been refused.
    pub frees_of_failed: u64,
    /// Steps of each request; `None` where the design does not walk.
    pub steps: Option<Steps>,
    /// What the domains counted, all together.
    pub tally: Counters,
    /// What is held where at the end.
    pub held: Held,
    /// The most pages that callers held, as asked for.
    pub live_pages_max: u128,
    /// The pages that callers held, averaged over virtual time; none if no time passed.
    pub live_pages_mean: Option<TimeAverage>,
    /// The most ranges that a domain's tree held, those in caches and queues counted.
    pub ranges_max: u64,
    pub violations: Violations,
    /// Where the kernel would have crashed or hung, which ended the replay.
    pub aborted: Option<Aborted>,
}

/// An average over virtual time, as an exact ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeAverage {
    /// What was averaged, each value times the nanoseconds that it lasted.
    pub area: u128,
    /// The nanoseconds; at least 1.
    pub nanos: u64,
}

impl Summary {
    /// Counts a request that `replay` has just answered.
    pub fn observe(
        &mut self,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
        decision: Decision,
    ) {
        self.load.pass_to(request.at);
        match request.op {
            Op::Alloc { id: slot, .. } | Op::Map { id: slot, .. } => {
                self.steps.add(answer.map_or(0, |answer| answer.steps));
                match decision {
                    Decision::NotAsked => {}
                    Decision::Granted(_) => {
                        self.load.add(pages(replay, slot));
                        self.look_at_tree(replay, request);
                    }
                    Decision::Refused(refused) => self.causes.add(refused.cause),
                }
            }
            Op::Free { id: slot } | Op::Unmap { id: slot } => {
                self.load.remove(pages(replay, slot));
            }
            Op::Reserve { .. } | Op::Restore { .. } => self.look_at_tree(replay, request),
            _ => {}
        }
    }

    fn look_at_tree(&mut self, replay: &Replay, request: &Request) {
        let domain = &replay.domains()[request.dom.0 as usize];
        self.ranges_max = self.ranges_max.max(domain.space().ranges().len());
    }

    /// What `replay` came to, of which this observed every answer.
    pub fn finish(self, replay: &Replay, aborted: Option<Aborted>) -> Totals {
        let mut tally = Counters::default();
        for domain in replay.domains() {
            tally.add(domain.counters());
        }
        Totals {
            events: replay.applied(),
            allocs: self.steps.requests(),
            failures: self.causes.total(),
            causes: self.causes,
            frees_of_failed: replay.frees_of_failed(),
            steps: replay.config().rules().walks().then_some(self.steps),
            tally,
            held: Held::of(replay),
            live_pages_max: self.load.pages_max,
            live_pages_mean: self.load.mean(),
            ranges_max: self.ranges_max,
            violations: replay.violations().clone(),
            aborted,
        }
    }
}

/// The pages of an allocation, live or ended; 0 if it was refused.
fn pages(replay: &Replay, slot: Slot) -> u128 {
    let life = replay.allocations().get(slot);
    if life.succeeded {
        u128::from(life.pages.0)
    } else {
        0
    }
}

impl Default for Load {
    fn default() -> Load {
        Load {
            pages: 0,
            pages_max: 0,
            area: Some(0),
            since: None,
            now: Nanos(0),
        }
    }
}

impl Load {
    fn pass_to(&mut self, at: Nanos) {
        if self.since.is_none() {
            self.since = Some(at);
            self.now = at;
        }
        let nanos = u128::from(at.0 - self.now.0);
        if nanos > 0 {
            let more = self.pages.checked_mul(nanos);
            self.area = self
                .area
                .and_then(|area| more.and_then(|it| area.checked_add(it)));
            self.now = at;
        }
    }

    fn add(&mut self, pages: u128) {
        self.pages += pages;
        self.pages_max = self.pages_max.max(self.pages);
    }

    fn remove(&mut self, pages: u128) {
        self.pages -= pages;
    }

    fn mean(&self) -> Option<TimeAverage> {
        let nanos = self.now.0 - self.since?.0;
        let area = self.area?;
        (nanos > 0).then_some(TimeAverage { area, nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::cause::Judge;
    use crate::measure::testing::{Script, fresh};

    fn figures(script: &Script) -> Totals {
        let mut replay = fresh("linux-7.2");
        let mut summary = Summary::default();
        for request in script.requests() {
            let answer = replay.apply(request).expect("nothing undoes this");
            let decision = Decision::of(&mut Judge::default(), &replay, request, answer);
            summary.observe(&replay, request, answer, decision);
        }
        summary.finish(&replay, None)
    }

    #[test]
    fn requests_failures_and_load_are_counted() {
        let mut script = Script::default();
        script.alloc(0, 1 << 19, 0xf_ffff);
        script.alloc(1, 1 << 20, 0xf_ffff);
        script.at(1000).alloc(2, 3, 0xf_ffff);
        script.at(3000).free(0).free(1);
        script.at(4000).free(2);
        let figures = figures(&script);
        assert_eq!(
            (figures.events, figures.allocs, figures.failures),
            (6, 3, 1)
        );
        assert_eq!(figures.causes.count(Cause::Fragmented), 0);
        assert_eq!(figures.causes.count(Cause::Exhausted), 1);
        assert_eq!(figures.frees_of_failed, 1);
        assert_eq!(figures.live_pages_max, (1 << 19) + 3);
        let area = (1 << 19) * 3000 + 3 * 3000;
        let mean = TimeAverage { area, nanos: 4000 };
        assert_eq!(figures.ranges_max, 2);
        assert_eq!(figures.live_pages_mean, Some(mean));
    }

    #[test]
    fn without_time_there_is_no_average() {
        let mut script = Script::default();
        script.at(7).alloc(0, 1, 0xf_ffff).free(0);
        assert_eq!(figures(&script).live_pages_mean, None);
    }

    #[test]
    fn what_was_freed_is_in_the_magazines_and_in_the_tree() {
        let mut script = Script::default();
        for slot in 0..5 {
            script.alloc(slot, 4, 0xf_ffff);
        }
        script.free(3).free(1);
        let held = figures(&script).held;
        let expected = Held {
            by_callers: 3,
            pages_by_callers: 12,
            in_magazines: 2,
            in_tree: 5,
            ..Held::default()
        };
        assert_eq!(held, expected);
    }
}
