//! Reads a line of a trace.
//!
//! [`scan`] reads the common form of a line, an object with few spaces whose strings have no
//! escapes, and gives up at anything else, right or wrong. [`explain`] reads every form and makes
//! all messages about a wrong line.
//!
//! `scan` was weighed against `serde_json` with a derived struct of these fields and against
//! `jiter`: for a line of 51 bytes they take 1.8 and 1.6 times as long (195 and 178 ns against 109),
//! although `scan`'s time alone includes making the event.

mod explain;
mod field;
mod header;
mod line;
mod object;
mod scan;
mod schema;
mod swar;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;

pub(super) use header::header;
pub(super) use object::{Object, Value, integer};
pub use schema::schema;
pub(super) use text::Text;

use self::line::{Defaults, Line};
use super::error::Error;
use super::event::{Event, Op};
use super::names::Names;
use iova::units::{Cpu, Nanos};

/// Reads the lines of one trace, in order.
#[derive(Debug)]
pub(super) struct Parser {
    names: Names,
    line: Line,
    defaults: Defaults,
    offline: BTreeSet<Cpu>,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser {
            names: Names::default(),
            line: Line::default(),
            defaults: Defaults {
                at: Nanos(0),
                cpu: Cpu(0),
            },
            offline: BTreeSet::new(),
        }
    }
}

impl Parser {
    /// Reads a line in the place of `event`.
    pub(super) fn read(&mut self, line: &[u8], event: &mut Event) -> Result<(), Error> {
        if scan::read(line, &mut self.line, &mut self.names).is_none() {
            explain::read(line, &mut self.line, &mut self.names)?;
        }
        self.line.event(self.defaults, event)?;
        self.defaults.at = event.at;
        match event.op {
            Op::CpuDead => self.set_online(event.cpu, false),
            Op::CpuUp => self.set_online(event.cpu, true),
            _ => {}
        }
        Ok(())
    }

    /// An event without `cpu` runs on the lowest CPU that is online.
    fn set_online(&mut self, cpu: Cpu, online: bool) {
        if online {
            self.offline.remove(&cpu);
        } else {
            self.offline.insert(cpu);
        }
        let mut cpus = (0..=u16::MAX).map(Cpu);
        let lowest = cpus.find(|cpu| !self.offline.contains(cpu));
        self.defaults.cpu = lowest.unwrap_or(Cpu(0));
    }
}
