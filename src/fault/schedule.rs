//! When a fault strikes: once, or again and again.

use crate::workload::invalid::InvalidConfig;
use iova::units::Nanos;

/// The moments at which a fault strikes, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) at: Nanos,
    /// The time from one to the next; none where it strikes once.
    pub(super) every: Option<Nanos>,
    /// How long it lasts; none where it never ends.
    pub(super) lasts: Option<Nanos>,
}

impl Schedule {
    /// Refuses a fault that would strike again before it has ended.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let lasts = self.lasts.unwrap_or(Nanos(u64::MAX));
        InvalidConfig::unless(lasts.0 > 0, "for", 0, "a time above 0")?;
        let Some(every) = self.every else {
            return Ok(());
        };
        let found = format!("{} ns", every.0);
        let expected = "longer than the fault lasts (`for`)";
        InvalidConfig::unless(every > lasts, "every", found, expected)
    }

    /// The moment of the strike `number`, counted from 0, if there is one.
    pub(super) fn strike(&self, number: u64) -> Option<Nanos> {
        if number == 0 {
            return Some(self.at);
        }
        let later = self.every?.0.checked_mul(number)?;
        self.at.0.checked_add(later).map(Nanos)
    }

    /// When the strike at `at` ends, if it does.
    pub(super) fn end(&self, at: Nanos) -> Option<Nanos> {
        at.0.checked_add(self.lasts?.0).map(Nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_come_at_even_distances() {
        let once = Schedule {
            at: Nanos(5),
            every: None,
            lasts: None,
        };
        assert_eq!([once.strike(0), once.strike(1)], [Some(Nanos(5)), None]);
        let often = Schedule {
            every: Some(Nanos(10)),
            lasts: Some(Nanos(9)),
            ..once
        };
        assert_eq!(often.strike(3), Some(Nanos(35)));
        assert_eq!(often.end(Nanos(35)), Some(Nanos(44)));
        assert_eq!(often.strike(u64::MAX), None);
        assert_eq!((once.check(), often.check()), (Ok(()), Ok(())));
    }

    #[test]
    fn a_strike_ends_before_the_next() {
        let schedule = |every, lasts| Schedule {
            at: Nanos(0),
            every,
            lasts,
        };
        let field = |schedule: Schedule| schedule.check().expect_err("impossible").field;
        let ten = Some(Nanos(10));
        assert_eq!(field(schedule(ten, ten)), "every");
        assert_eq!(field(schedule(ten, None)), "every");
        assert_eq!(field(schedule(None, Some(Nanos(0)))), "for");
    }
}
