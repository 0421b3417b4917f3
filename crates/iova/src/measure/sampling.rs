//! How a replay is sampled: how often, in which domain and window, and at what price.

use std::num::NonZeroU64;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::DomainConfig;
use crate::replay::{Dom, Replay, Request};
use crate::units::{Nanos, Pfn};

/// How a replay is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How often at first; a long replay is sampled less often, so that the samples stay few.
    pub every: Every,
    /// The domain that is looked at; `None` for the one with the most requests for addresses.
    pub dom: Option<Dom>,
    /// The highest pfn of the window that is looked at (inclusive); `None` for the highest 32-bit
    /// pfn. A [`Survey`](super::Survey) finds the limit of most requests.
    pub limit: Option<Pfn>,
}

/// What lies between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    Events(NonZeroU64),
    /// So many nanoseconds of virtual time.
    Nanos(NonZeroU64),
}

impl Default for Sampling {
    /// Every event at first, of the domain with the most requests, up to the highest 32-bit
    /// pfn.
    fn default() -> Sampling {
        Sampling {
            every: Every::Events(NonZeroU64::MIN),
            dom: None,
            limit: None,
        }
    }
}

impl Sampling {
    /// The highest pfn of the window that is looked at.
    pub fn limit(&self, config: &DomainConfig) -> Pfn {
        self.limit.unwrap_or(Pfn(config.granule().dma32().0 - 1))
    }

    /// The window of a domain that is looked at.
    pub(super) fn window(&self, dom: Dom, config: &DomainConfig) -> Window {
        Window {
            domain: dom.0,
            granule: config.granule().bytes(),
            start_pfn: config.start_pfn().0,
            limit_pfn: self.limit(config).0,
        }
    }
}

impl Every {
    /// How many events or nanoseconds.
    pub fn width(self) -> NonZeroU64 {
        match self {
            Every::Events(width) | Every::Nanos(width) => width,
        }
    }

    /// The same, `width` apart.
    #[must_use]
    pub fn with_width(self, width: NonZeroU64) -> Every {
        match self {
            Every::Events(_) => Every::Events(width),
            Every::Nanos(_) => Every::Nanos(width),
        }
    }

    /// The position of event number `event`, which happens at `at`.
    pub fn position(self, event: u64, at: Nanos) -> u64 {
        match self {
            Every::Events(_) => event,
            Every::Nanos(_) => at.0,
        }
    }
}

impl FromStr for Every {
    type Err = String;

    /// A number of events, or a time with its unit.
    fn from_str(text: &str) -> Result<Every, String> {
        const UNITS: [(&str, u64); 4] = [
            ("ns", 1),
            ("us", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
        ];
        let end = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(end);
        let number = number.parse::<u64>().ok();
        let factor = UNITS.iter().find(|(name, _)| *name == unit);
        let every = match factor {
            None if unit.is_empty() => number.and_then(NonZeroU64::new).map(Every::Events),
            None => None,
            Some((_, factor)) => {
                let nanos = number.and_then(|number| number.checked_mul(*factor));
                nanos.and_then(NonZeroU64::new).map(Every::Nanos)
            }
        };
        every.ok_or_else(|| {
            "expected a number of events, or a time such as 10ms (ns, us, ms, s)".to_owned()
        })
    }
}

/// A window of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The domain, counted in the order of first mention from 0.
    pub domain: u32,
    /// Bytes per page.
    pub granule: u64,
    pub start_pfn: u64,
    /// Its highest pfn (inclusive).
    pub limit_pfn: u64,
}

/// Where and when a sample was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The event's number, from 0.
    pub event: u64,
    pub at: Nanos,
}

impl Moment {
    /// The moment of the request that `replay` has just answered.
    pub fn of(replay: &Replay, request: &Request) -> Moment {
        Moment {
            event: replay.applied().saturating_sub(1),
            at: request.at,
        }
    }
}

/// What looking may cost: a fixed share of the work of a replay, counted in ranges that were
/// looked at. A look that would cost more is not taken, and what it would have shown is
/// unknown.
///
/// A replay of an event costs as much as looking at ten ranges or more, where every range has
/// one holder. So a share of 1/4 of a range an event is 2 to 3 per cent at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    spent: u64,
}

/// Ranges that may be looked at in any replay, however short: some milliseconds.
const AT_ONCE: u64 = 2_000_000;
const EVENTS_A_RANGE: u64 = 4;

impl Allowance {
    pub(super) fn new() -> Allowance {
        Allowance { spent: 0 }
    }

    /// Whether there may be another look at event number `event`.
    pub(super) fn allows(self, event: u64) -> bool {
        self.spent <= AT_ONCE + event / EVENTS_A_RANGE
    }

    /// Pays for a look at so many ranges.
    pub(super) fn pay(&mut self, ranges: u64) {
        self.spent = self.spent.saturating_add(ranges);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_a_number_of_events_or_a_time() {
        let events = |number| NonZeroU64::new(number).map(Every::Events);
        let nanos = |number| NonZeroU64::new(number).map(Every::Nanos);
        let cases = [
            ("1", events(1)),
            ("1000", events(1000)),
            ("10ms", nanos(10_000_000)),
            ("3s", nanos(3_000_000_000)),
        ];
        for (text, every) in cases {
            assert_eq!(text.parse().ok(), every, "{text}");
        }
        for text in [
            "",
            "0",
            "0ms",
            "ms",
            "1h",
            "-1",
            "1.5s",
            "99999999999999999999",
            "9999999999999s",
        ] {
            assert!(text.parse::<Every>().is_err(), "{text}");
        }
    }
}
