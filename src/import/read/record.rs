//! One line of a recording, one event, and how its arguments are read.

use crate::import::error::Problem;
use crate::import::number::{address, number};
use iova::units::Cpu;

/// One event of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The task that was running: 0 for every CPU's idle task, -1 where perf has no number, as for
    /// the idle task of a CPU that goes down and for a task that exits.
    pub pid: i32,
    pub cpu: Cpu,
    /// Nanoseconds of the recording's clock.
    pub at: u64,
    /// The event's name without its group.
    pub event: &'a str,
    /// What follows the name.
    pub arguments: &'a str,
}

/// The contents of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Record(Record<'a>),
    /// The tracer's marker of lost events, with their number where it knows.
    Lost {
        cpu: Option<u64>,
        count: Option<u64>,
    },
    /// A header's number of CPUs.
    Cpus(u64),
    /// tracefs's header: the number of events that were overwritten, and the number of CPUs.
    Buffer {
        overwritten: u64,
        cpus: u64,
    },
    /// The recorded kernel's version.
    Kernel(&'a str),
    /// A remark of the script that recorded.
    Note(&'a str),
    /// Blank, a comment, or a line of a stack.
    Nothing,
    /// A line of no known kind.
    Other,
}

/// Whose lines belong together: a task's, or those of a CPU where the number stands for a task on
/// each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    Task(i32),
    OnCpu { pid: i32, cpu: Cpu },
}

impl Context {
    pub(crate) fn of(record: &Record<'_>) -> Context {
        let Record { pid, cpu, .. } = *record;
        if pid > 0 {
            Context::Task(pid)
        } else {
            Context::OnCpu { pid, cpu }
        }
    }
}

/// Where a probe hit: the parentheses that begin its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbePlace<'a> {
    Entry(&'a str),
    /// The function that returned and where to.
    Return {
        function: &'a str,
        to: &'a str,
    },
}

impl<'a> Record<'a> {
    /// Where the probe hit; `None` where the line does not show it.
    ///
    /// tracefs prints `(CALLER+0x… <- FUNCTION)`, perf and trace-cmd, which print addresses,
    /// `(FUNCTION <- CALLER)`.
    pub(crate) fn place(&self) -> Option<ProbePlace<'a>> {
        let inside = self.arguments.strip_prefix('(')?;
        let (inside, _) = inside.split_once(')')?;
        let Some((left, right)) = inside.split_once(" <- ") else {
            return Some(ProbePlace::Entry(inside));
        };
        Some(if address(right).is_some() {
            ProbePlace::Return {
                function: left,
                to: right,
            }
        } else {
            ProbePlace::Return {
                function: right,
                to: left,
            }
        })
    }

    /// The text of an argument `name=…`.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.arguments
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The number of an argument `name=…`.
    pub(crate) fn number(&self, name: &'static str) -> Result<u64, Problem> {
        self.optional(name)?.ok_or_else(|| Problem::Missing {
            event: self.event.to_owned(),
            field: name,
        })
    }

    /// The number of an argument `name=…` that may be absent.
    pub(crate) fn optional(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        let Some(found) = self.text(name) else {
            return Ok(None);
        };
        match number(found) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(name, found, "a number, hexadecimal after 0x")),
        }
    }

    /// An argument that is not what it should be.
    pub(crate) fn wrong(
        &self,
        field: &'static str,
        found: &str,
        expected: &'static str,
    ) -> Problem {
        Problem::Field {
            event: self.event.to_owned(),
            field,
            found: found.chars().take(80).collect(),
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_whichever_way_round_they_are_printed() {
        let place = |arguments| {
            Record {
                pid: 1,
                cpu: Cpu(0),
                at: 0,
                event: "alloc_iova_ret",
                arguments,
            }
            .place()
        };
        let back = |function, to| Some(ProbePlace::Return { function, to });
        assert_eq!(
            place("(alloc_iova_fast+0xf0/0x2b0 <- alloc_iova) iova=0x0"),
            back("alloc_iova", "alloc_iova_fast+0xf0/0x2b0")
        );
        assert_eq!(
            place("(0xffffffffc039f06e <- alloc_iova) iova=0x0"),
            back("alloc_iova", "0xffffffffc039f06e")
        );
        assert_eq!(
            place("(ffffffff8933a9a4 <- ffffffff8933b6a0) iova=0x0"),
            back("ffffffff8933a9a4", "ffffffff8933b6a0")
        );
        assert_eq!(
            place("(alloc_iova+0x4/0x280)"),
            Some(ProbePlace::Entry("alloc_iova+0x4/0x280"))
        );
        assert_eq!(place("iova=0x0"), None);
    }
}
