//! The options of a file: the machine, the clock, and the statistics of the buffers.

use std::collections::BTreeMap;

use crate::bytes::Bytes;
use crate::error::Error;

/// The options of either version; others locate sections or are not read.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The clock that was chosen: the one in brackets.
    pub(crate) clock: Option<String>,
    /// The kernel's release.
    pub(crate) kernel: Option<String>,
    pub(crate) cpus: Option<u64>,
    /// How counts of the CPU's time-stamp counter become nanoseconds.
    pub(crate) tsc: Option<Tsc>,
    /// The number of events that the tracer's statistics count as lost, by CPU.
    pub(crate) lost: BTreeMap<u16, u64>,
}

/// Converts counts of the CPU's time-stamp counter into nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tsc {
    multiplier: u64,
    shift: u32,
    offset: u64,
}

/// Their ids.
const CPUSTAT: u64 = 2;
const TRACECLOCK: u64 = 4;
const UNAME: u64 = 5;
const CPUCOUNT: u64 = 8;
const TSC2NSEC: u64 = 14;

/// Clocks that count nanoseconds.
const NANOSECONDS: [&str; 8] = [
    "local", "global", "perf", "mono", "mono_raw", "boot", "tai", "uptime",
];

impl Options {
    /// Takes an option.
    pub(crate) fn take(&mut self, id: u64, mut data: Bytes<'_>) -> Result<(), Error> {
        match id {
            CPUSTAT => self.take_lost(&data.all_text()),
            TRACECLOCK => {
                let text = data.all_text();
                let chosen = text.split_once('[').and_then(|(_, it)| it.split_once(']'));
                let chosen = chosen.map(|(chosen, _)| chosen.to_owned());
                self.clock = chosen.or(self.clock.take());
            }
            UNAME => {
                // System, node, release, machine; only the node may have spaces.
                let text = data.all_text();
                let release = text.rsplit(' ').nth(1);
                self.kernel = release.map(str::to_owned).filter(|it| !it.is_empty());
            }
            CPUCOUNT => self.cpus = Some(data.u32("number of CPUs")?),
            TSC2NSEC => {
                let before = data;
                let multiplier = data.u32("multiplier of the time-stamp counter")?;
                let shift = data.u32("shift of the time-stamp counter")?;
                let offset = data.u64("offset of the time-stamp counter")?;
                let narrow = u32::try_from(shift).ok().filter(|shift| *shift < 64);
                let field = "shift of the time-stamp counter";
                let shift = narrow.ok_or_else(|| before.wrong(field, shift, "below 64"))?;
                self.tsc = Some(Tsc {
                    multiplier,
                    shift,
                    offset,
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the text of a CPU's `stats` file.
    fn take_lost(&mut self, stats: &str) {
        let figure = |name: &str| {
            let figures = stats.lines().filter_map(|line| line.split_once(": "));
            let mut named = figures.filter(|(found, _)| *found == name);
            named.next()?.1.trim().parse::<u64>().ok()
        };
        if let Some(cpu) = figure("CPU").and_then(|cpu| u16::try_from(cpu).ok()) {
            let lost = ["overrun", "commit overrun", "dropped events"]
                .map(|name| figure(name).unwrap_or(0))
                .into_iter()
                .fold(0, u64::saturating_add);
            let known = self.lost.entry(cpu).or_default();
            *known = (*known).max(lost);
        }
    }

    /// How times become nanoseconds; `None` where they are nanoseconds.
    pub(crate) fn scale(&self, place: Bytes<'_>) -> Result<Option<Tsc>, Error> {
        match self.clock.as_deref() {
            Some(clock) if !NANOSECONDS.contains(&clock) => {
                let expected = || {
                    let known = NANOSECONDS.join(", ");
                    format!("one that counts nanoseconds: {known}; record with `-C mono`")
                };
                let scale = self.tsc.map(Some);
                scale.ok_or_else(|| place.wrong("clock", clock, expected()))
            }
            _ => Ok(None),
        }
    }
}

impl Tsc {
    /// The nanoseconds of a count; `None` beyond 2^64.
    pub(crate) fn nanoseconds(self, count: u64) -> Option<u64> {
        let scaled = (u128::from(count) * u128::from(self.multiplier)) >> self.shift;
        u64::try_from(scaled).ok()?.checked_add(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Order, Origin};

    fn options(all: &[(u64, &[u8])]) -> Options {
        let mut found = Options::default();
        for (id, data) in all {
            let data = Bytes::new(data, Origin::File(0), Order::Little);
            found.take(*id, data).expect("an option");
        }
        found
    }

    fn scale(options: &Options) -> Result<Option<Tsc>, String> {
        let nowhere = Bytes::new(b"", Origin::File(0), Order::Little);
        let scale = options.scale(nowhere);
        scale.map_err(|error| error.problem.to_string())
    }

    #[test]
    fn options_are_read() {
        let stats = b"CPU: 3\nentries: 9\noverrun: 1\ncommit overrun: 20\nbytes: 5\n\
            dropped events: 300\nread events: 7\n";
        let found = options(&[
            (TRACECLOCK, b"local [mono] boot\n\0"),
            (UNAME, b"Linux my own machine 6.12.117+deb12-amd64 x86_64\0"),
            (CPUCOUNT, &[4, 0, 0, 0]),
            (CPUSTAT, stats),
            (99, b"whatever"),
        ]);
        assert_eq!(found.clock.as_deref(), Some("mono"));
        assert_eq!(found.kernel.as_deref(), Some("6.12.117+deb12-amd64"));
        assert_eq!(found.cpus, Some(4));
        assert_eq!(found.lost, BTreeMap::from([(3, 321)]));
        assert_eq!(scale(&found), Ok(None));
    }

    #[test]
    fn counts_need_a_scale() {
        let counts = options(&[(TRACECLOCK, b"local [x86-tsc]\0")]);
        let message = scale(&counts).expect_err("refused");
        assert!(
            message.starts_with("`clock`: found x86-tsc, expected one that"),
            "{message}"
        );
        let option = [
            [3_u32, 2].map(u32::to_le_bytes).concat(),
            vec![5, 0, 0, 0, 0, 0, 0, 0],
        ];
        let found = options(&[(TRACECLOCK, b"[x86-tsc]\0"), (TSC2NSEC, &option.concat())]);
        let scale = scale(&found).expect("a clock").expect("a scale");
        assert_eq!(scale.nanoseconds(8), Some(11));
        assert_eq!(
            scale.nanoseconds(u64::MAX / 2),
            Some(0x5fff_ffff_ffff_ffff + 5)
        );
        let data = Bytes::new(
            &[0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            Origin::File(0),
            Order::Little,
        );
        assert!(Options::default().take(TSC2NSEC, data).is_err());
    }
}
