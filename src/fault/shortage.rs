//! Bursts in which the kernel has no memory.

use super::schedule::Schedule;
use crate::trace::event::Op;
use crate::workload::Stint;
use crate::workload::client::{Asks, Client};
use crate::workload::impossible::Impossible;
use iova::kernel::Memory;
use iova::units::{Cpu, Nanos};

/// A number of memory allocations in a row fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub what: Memory,
    /// How many, each time.
    pub count: u64,
    /// From when on; how long it takes until they have is up to the allocator.
    pub schedule: Schedule,
}

impl Shortage {
    /// Refuses what could not be generated.
    ///
    /// # Errors
    ///
    /// Where nothing fails, or all at one moment for ever.
    pub fn check(&self) -> Result<(), Impossible> {
        Impossible::unless(self.count > 0, "count", 0, "at least 1")?;
        let every = self.schedule.every.unwrap_or(Nanos(1));
        Impossible::unless(every.0 > 0, "every", 0, "a time above 0")
    }

    pub(super) fn stint(&self) -> Stint {
        Stint {
            client: Box::new(Striker {
                shortage: self.clone(),
                strikes: 0,
            }),
            stop: None,
        }
    }
}

/// What announces the bursts.
struct Striker {
    shortage: Shortage,
    strikes: u64,
}

impl Client for Striker {
    fn due(&self) -> Option<Nanos> {
        self.shortage.schedule.strike(self.strikes)
    }

    fn act(&mut self, asks: &mut Asks<'_>) {
        let Shortage { what, count, .. } = self.shortage;
        asks.ask(Cpu(0), 0, Op::NoMem { what, count });
        self.strikes += 1;
    }

    fn stop(&mut self, _at: Nanos) {
        self.strikes = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Merge;

    fn shortage(count: u64, every: Option<u64>) -> Shortage {
        let schedule = Schedule {
            at: Nanos(7),
            every: every.map(Nanos),
            lasts: None,
        };
        Shortage {
            what: Memory::Magazine,
            count,
            schedule,
        }
    }

    #[test]
    fn bursts_come_on_schedule() {
        let strikes = |shortage: Shortage| -> Vec<_> {
            let events = Merge::new(vec![shortage.stint()]).take(3);
            let read = |op| {
                matches!(
                    op,
                    Op::NoMem {
                        what: Memory::Magazine,
                        count: 5
                    }
                )
            };
            events
                .map(|sourced| (sourced.event.at.0, read(sourced.event.op)))
                .collect()
        };
        assert_eq!(strikes(shortage(5, None)), [(7, true)]);
        let often = shortage(5, Some(10));
        assert_eq!(strikes(often), [(7, true), (17, true), (27, true)]);
    }

    #[test]
    fn bursts_of_nothing_are_refused() {
        let field = |shortage: Shortage| shortage.check().expect_err("impossible").field;
        assert_eq!(field(shortage(0, None)), "count");
        assert_eq!(field(shortage(1, Some(0))), "every");
    }
}
