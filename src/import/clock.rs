//! The recording's clock into the trace's: from 0 at the first event, never back.

use std::collections::BTreeMap;

use super::error::Problem;
use super::record::Record;
use super::report::Report;
use iova::units::{Cpu, Nanos};

/// How far the clocks of two CPUs may be apart; the kernel's worst clock stays within a few
/// milliseconds.
const SKEW_MAX_NS: u64 = 100_000_000;

/// Watches the times of records, and gives those of events.
///
/// The order of the lines is kept, since that is the order in which the tracer merged the CPUs. An
/// event that comes after one with a later time gets that time.
#[derive(Debug, Default)]
pub(super) struct Clock {
    seen: u64,
    by_cpu: BTreeMap<Cpu, u64>,
    start: Option<u64>,
    event: u64,
}

impl Clock {
    /// Takes the time of the next record.
    pub(super) fn see(
        &mut self,
        record: &Record<'_>,
        report: &mut Report,
    ) -> Result<(), Problem> {
        let own = self.by_cpu.insert(record.cpu, record.at).unwrap_or(0);
        if record.at < own {
            return Err(Problem::TimeGoesBack {
                back_ns: own - record.at,
                whose: "on one CPU",
            });
        }
        let back_ns = self.seen.saturating_sub(record.at);
        if back_ns > SKEW_MAX_NS {
            return Err(Problem::TimeGoesBack {
                back_ns,
                whose: "between CPUs",
            });
        }
        if back_ns > 0 {
            report.times_back += 1;
            report.time_back_max_ns = report.time_back_max_ns.max(back_ns);
        }
        self.seen = self.seen.max(record.at);
        Ok(())
    }

    /// Sets the time of the events that follow.
    pub(super) fn set(&mut self, at: u64) {
        self.event = self.event.max(at);
    }

    /// The trace's time of an event; the first is the start.
    pub(super) fn event(&mut self) -> Nanos {
        let start = *self.start.get_or_insert(self.event);
        Nanos(self.event - start)
    }
}
