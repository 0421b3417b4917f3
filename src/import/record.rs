//! One event of a recording, and how its arguments are read.

use super::error::Problem;
use iova::units::Cpu;

/// One event of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// The task that was running, 0 for every CPU's idle task.
    pub pid: u32,
    pub cpu: Cpu,
    /// Nanoseconds of the recording's clock.
    pub at: u64,
    /// The event's name without its group.
    pub event: &'a str,
    /// What follows the name.
    pub arguments: &'a str,
}

/// Whose lines belong together: a task's, or those of a CPU's idle task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Context {
    Task(u32),
    Idle(Cpu),
}

impl Context {
    pub(super) fn of(record: &Record<'_>) -> Context {
        if record.pid == 0 {
            Context::Idle(record.cpu)
        } else {
            Context::Task(record.pid)
        }
    }
}

/// Where a probe hit: the parentheses that begin its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Entry(&'a str),
    /// The function that returned and where to.
    Return {
        function: &'a str,
        to: &'a str,
    },
}

impl<'a> Record<'a> {
    /// Where the probe hit; none where the line does not say.
    ///
    /// tracefs prints `(CALLER+0x… <- FUNCTION)`, perf and trace-cmd, which print addresses,
    /// `(FUNCTION <- CALLER)`.
    pub(super) fn place(&self) -> Option<Place<'a>> {
        let inside = self.arguments.strip_prefix('(')?;
        let (inside, _) = inside.split_once(')')?;
        let Some((left, right)) = inside.split_once(" <- ") else {
            return Some(Place::Entry(inside));
        };
        Some(if address(right).is_some() {
            Place::Return {
                function: left,
                to: right,
            }
        } else {
            Place::Return {
                function: right,
                to: left,
            }
        })
    }

    /// The text of an argument `name=…`.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.arguments
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The number of an argument `name=…`.
    pub(super) fn number(&self, name: &'static str) -> Result<u64, Problem> {
        self.optional(name)?.ok_or_else(|| Problem::Missing {
            event: self.event.to_owned(),
            field: name,
        })
    }

    /// The number of an argument `name=…` that may be absent.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        let Some(found) = self.text(name) else {
            return Ok(None);
        };
        match number(found) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(name, found, "a number, hexadecimal after 0x")),
        }
    }

    /// An argument that is not what it should be.
    pub(super) fn wrong(
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

/// A number as probes print it: hexadecimal after `0x`, else decimal.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => hexadecimal(digits),
        None if text.starts_with('+') => None,
        None => text.parse().ok(),
    }
}

/// A hexadecimal number without a prefix.
pub(super) fn hexadecimal(digits: &str) -> Option<u64> {
    let plain = !digits.starts_with('+');
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}

/// A kernel address, which perf and trace-cmd print without `0x`.
pub(super) fn address(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let long = digits.len() >= 8;
    long.then(|| hexadecimal(digits))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_whichever_way_round_they_are_printed() {
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
        let back = |function, to| Some(Place::Return { function, to });
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
            Some(Place::Entry("alloc_iova+0x4/0x280"))
        );
        assert_eq!(place("iova=0x0"), None);
    }

    #[test]
    fn numbers_have_their_base_in_front() {
        assert_eq!(number("0xfffff"), Some(0xf_ffff));
        assert_eq!(number("1048575"), Some(1_048_575));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "0x",
            "fffff",
            "-1",
            "+1",
            "0x+1",
            "18446744073709551616",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
