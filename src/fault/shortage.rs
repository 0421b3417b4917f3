//! Bursts in which the kernel has no memory.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use crate::trace::event::Op;
use crate::workload::ScheduledClient;
use crate::workload::client::{Client, EventSink};
use crate::workload::invalid::InvalidConfig;
use crate::workload::quantity::Time;
use iova::kernel::Memory;
use iova::units::{Cpu, Nanos};

/// A number of memory allocations that fail in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shortage {
    /// Which allocations fail: those of a range's own record (`iova`), or of a magazine.
    #[schemars(schema_with = "memory_schema")]
    pub what: Memory,
    /// How many, each time.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub count: u64,
    /// From when on; how long it takes until they have failed is up to the allocator.
    pub at: Time,
    /// The time from one burst to the next: once if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub every: Option<Time>,
}

fn one() -> u64 {
    1
}

fn memory_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": Memory::NAMES })
}

impl Shortage {
    /// Refuses what could not be generated.
    ///
    /// # Errors
    ///
    /// Where nothing fails, or all at one moment for ever.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::unless(self.count > 0, "count", 0, "at least 1")?;
        let every = self.every.unwrap_or(Time(1));
        InvalidConfig::unless(every.0 > 0, "every", 0, "a time above 0")
    }

    pub(super) fn client(&self) -> ScheduledClient {
        ScheduledClient {
            client: Box::new(Striker {
                what: self.what,
                count: self.count,
                schedule: Schedule {
                    at: self.at.into(),
                    every: self.every.map(Nanos::from),
                    lasts: None,
                },
                strikes: 0,
            }),
            stop: None,
        }
    }
}

/// What announces the bursts.
struct Striker {
    what: Memory,
    count: u64,
    schedule: Schedule,
    strikes: u64,
}

impl Client for Striker {
    fn due(&self) -> Option<Nanos> {
        self.schedule.strike(self.strikes)
    }

    fn act(&mut self, sink: &mut EventSink<'_>) {
        let Striker { what, count, .. } = *self;
        sink.ask(Cpu(0), 0, Op::NoMem { what, count });
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
        Shortage {
            what: Memory::Magazine,
            count,
            at: Time(7),
            every: every.map(Time),
        }
    }

    #[test]
    fn bursts_come_on_schedule() {
        let strikes = |shortage: Shortage| -> Vec<_> {
            let events = Merge::new(vec![shortage.client()]).take(3);
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
                .map(|tagged| (tagged.event.at.0, read(tagged.event.op)))
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
