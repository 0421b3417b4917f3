//! Times during which no timer runs: neither the flush queue's nor the reclaim of the depots.
//!
//! A trace cannot say that a timer stalls, but its clock is the one that timers run by. During
//! a stall the clock stands still while requests go on: all of them carry the moment at which
//! it began, and whatever follows comes earlier by its length. Ends are not made up for: a
//! timer that had 4 ms to go still has. What this gives up: the two kinds of timer stall
//! together, and a trace with stalls ends so much earlier.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use crate::trace::event::Event;
use crate::workload::invalid::InvalidConfig;
use crate::workload::quantity::Time;
use iova::units::Nanos;

/// A time in which no timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// When, by the clock of the clients.
    pub at: Time,
    /// For how long.
    #[serde(rename = "for")]
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub lasts: Time,
    /// The time from one stall to the next: once if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub every: Option<Time>,
}

impl Stall {
    fn schedule(&self) -> Schedule {
        Schedule {
            at: self.at.into(),
            every: self.every.map(Nanos::from),
            lasts: Some(self.lasts.into()),
        }
    }
}

/// Refuses stalls that overlap.
pub(super) fn check(stalls: &[Stall]) -> Result<(), InvalidConfig> {
    for stall in stalls {
        stall.schedule().check()?;
    }
    // Repeated stalls with different periods would meet sooner or later.
    let alone = stalls.len() < 2 || stalls.iter().all(|stall| stall.every.is_none());
    let expected = "missing where there are several stalls";
    InvalidConfig::unless(alone, "every", "given", expected)?;
    let mut spans: Vec<_> = stalls
        .iter()
        .map(|stall| (Nanos::from(stall.at), stall.schedule().end(stall.at.into())))
        .collect();
    spans.sort_unstable();
    let meet = spans.windows(2).find(|pair| pair[0].1 > Some(pair[1].0));
    let at = meet.map_or(0, |pair| pair[1].0.0);
    let expected = "the end of the stall before it";
    InvalidConfig::unless(meet.is_none(), "at", format!("{at} ns"), expected)
}

/// Events on the clock that timers run by.
pub(super) struct Stalled<I> {
    source: I,
    /// The stalls, the last first, and how often each has struck.
    stalls: Vec<(Stall, u64)>,
    /// The stall that comes next or is under way: when it begins, and when it ends.
    next: Option<(Nanos, Nanos)>,
    /// How much time was lost so far.
    lost: u64,
}

impl<I: Iterator<Item = Event>> Stalled<I> {
    pub(super) fn new(source: I, stalls: &[Stall]) -> Stalled<I> {
        let mut stalls: Vec<_> = stalls.iter().map(|&stall| (stall, 0)).collect();
        stalls.sort_unstable_by_key(|(stall, _)| std::cmp::Reverse(stall.at));
        let mut stalled = Stalled {
            source,
            stalls,
            next: None,
            lost: 0,
        };
        stalled.find_next();
        stalled
    }

    fn find_next(&mut self) {
        self.next = None;
        while let (None, Some((stall, struck))) = (self.next, self.stalls.last_mut()) {
            let begins = stall.schedule().strike(*struck);
            *struck += 1;
            self.next = begins.and_then(|at| Some((at, stall.schedule().end(at)?)));
            if self.next.is_none() {
                self.stalls.pop();
            }
        }
    }

    /// A moment of the clients' clock on the timers' clock.
    fn moment(&mut self, at: Nanos) -> Nanos {
        while let Some((begins, ends)) = self.next.filter(|&(_, ends)| ends <= at) {
            self.lost += ends.0 - begins.0;
            self.find_next();
        }
        let stopped = self.next.map_or(at, |(begins, _)| at.min(begins));
        Nanos(stopped.0 - self.lost)
    }
}

impl<I: Iterator<Item = Event>> Iterator for Stalled<I> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = self.source.next()?;
        event.at = self.moment(event.at);
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::event::Op;
    use iova::units::Cpu;

    fn stall(at: u64, every: Option<u64>, lasts: u64) -> Stall {
        Stall {
            at: Time(at),
            every: every.map(Time),
            lasts: Time(lasts),
        }
    }

    fn times(times: &[u64], stalls: &[Stall]) -> Vec<u64> {
        let event = |&at: &u64| Event {
            at: Nanos(at),
            cpu: Cpu(0),
            dom: 0,
            op: Op::CpuUp,
        };
        let stalled = Stalled::new(times.iter().map(event), stalls);
        stalled.map(|event| event.at.0).collect()
    }

    #[test]
    fn the_clock_stands_still_and_then_goes_on() {
        let asked = [0, 10, 12, 20, 21, 35, 45, 70];
        let once = stall(10, None, 10);
        assert_eq!(times(&asked, &[once]), [0, 10, 10, 10, 11, 25, 35, 60]);
        let again = stall(30, None, 20);
        assert_eq!(
            times(&asked, &[again, once]),
            [0, 10, 10, 10, 11, 20, 20, 40]
        );
        let often = stall(10, Some(20), 10);
        assert_eq!(times(&asked, &[often]), [0, 10, 10, 10, 11, 20, 25, 40]);
    }

    #[test]
    fn stalls_end_and_do_not_meet() {
        let field = |stalls: &[Stall]| check(stalls).expect_err("impossible").field;
        let once = stall(10, None, 10);
        assert_eq!(check(&[stall(20, None, 10), once]), Ok(()));
        assert_eq!(field(&[stall(0, None, 0)]), "for");
        assert_eq!(field(&[once, stall(19, None, 10)]), "at");
        assert_eq!(field(&[once, stall(50, Some(20), 10)]), "every");
    }
}
