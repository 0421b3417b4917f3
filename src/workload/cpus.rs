//! The CPUs on which a client asks or frees.

use std::str::FromStr;

use super::invalid::InvalidConfig;
use super::quantity::{Quantity, Written, quantity};
use super::random::Draws;
use iova::units::Cpu;

/// At least one CPU, in the order given. Parses from the kernel's list format: `0-3,8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpus(Vec<Cpu>);

impl Cpus {
    /// The single CPU `cpu`.
    pub fn one(cpu: Cpu) -> Cpus {
        Cpus(vec![cpu])
    }

    /// All CPUs of a machine with `count` of them; CPU 0 where that is 0.
    pub fn all(count: u32) -> Cpus {
        let last = u16::try_from(count.saturating_sub(1)).unwrap_or(u16::MAX);
        Cpus((0..=last).map(Cpu).collect())
    }

    /// Any of them, each equally often.
    pub(super) fn any(&self, draws: &mut Draws) -> Cpu {
        self.0[draws.index(self.0.len())]
    }

    /// The CPU of a lane (a queue, a job): lanes take the CPUs in turn.
    pub(super) fn of_lane(&self, lane: usize) -> Cpu {
        self.0[lane % self.0.len()]
    }

    /// The CPUs, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Cpu> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Cpu> for Cpus {
    /// The CPUs in this order; CPU 0 where there are none.
    fn from_iter<T: IntoIterator<Item = Cpu>>(cpus: T) -> Cpus {
        let mut cpus: Vec<Cpu> = cpus.into_iter().collect();
        if cpus.is_empty() {
            cpus.push(Cpu(0));
        }
        Cpus(cpus)
    }
}

impl FromStr for Cpus {
    type Err = InvalidConfig;

    fn from_str(text: &str) -> Result<Cpus, InvalidConfig> {
        Cpus::from_text(text).ok_or_else(|| InvalidConfig {
            field: "cpus",
            found: format!("{text:?}"),
            expected: "a list of CPUs such as \"0-3,8\"".to_owned(),
        })
    }
}

impl Quantity for Cpus {
    const EXPECTED: &'static str = "a list of CPUs such as \"0-3,8\", or one CPU";
    const PATTERN: &'static str = "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$";
    const INTEGER_MAX: u64 = u16::MAX as u64;

    fn from_integer(integer: u64) -> Option<Cpus> {
        u16::try_from(integer).ok().map(|cpu| Cpus::one(Cpu(cpu)))
    }

    fn from_text(text: &str) -> Option<Cpus> {
        let number = |digits: &str| -> Option<u16> {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain)
        };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            cpus.extend((first..=last).map(Cpu));
        }
        Some(Cpus(cpus))
    }

    fn written(&self) -> Written {
        let ranges = self.0.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0));
        let written = ranges.map(|range| match range {
            [first, .., last] => format!("{}-{}", first.0, last.0),
            _ => range[0].0.to_string(),
        });
        Written::Text(written.collect::<Vec<_>>().join(","))
    }
}

quantity!(Cpus);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        let read = |list: &str| -> Option<Vec<u16>> {
            let cpus: Cpus = list.parse().ok()?;
            Some(cpus.iter().map(|cpu| cpu.0).collect())
        };
        assert_eq!(read("0"), Some(vec![0]));
        assert_eq!(read("0-2,8"), Some(vec![0, 1, 2, 8]));
        for wrong in ["", "a", "2-1", "1,", "-3", "1-2-3", "65536", " 1", "+1"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn lanes_take_the_cpus_in_turn() {
        let cpus: Cpus = "4-5".parse().expect("a list");
        assert_eq!(
            [0, 1, 2].map(|lane| cpus.of_lane(lane)),
            [Cpu(4), Cpu(5), Cpu(4)]
        );
        assert_eq!(Cpus::all(2), "0-1".parse().expect("a list"));
    }
}
