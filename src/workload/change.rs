//! A client's modes: the sizes it uses now, and when it changes to the next.

use super::distribution::Distribution;
use super::impossible::Impossible;
use super::random::{Draws, Owner};
use super::size::Sizes;
use iova::units::Nanos;

/// Sizes that a client goes through in turn, freeing all it holds at each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modes {
    first: Sizes,
    then: Option<Changes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Changes {
    every: Distribution,
    pause: Nanos,
    to: Vec<Sizes>,
}

impl Modes {
    /// One mode for ever.
    pub fn one(sizes: Sizes) -> Modes {
        Modes {
            first: sizes,
            then: None,
        }
    }

    /// From `first` on through `to` and round again, after `every` of each mode and a pause
    /// without buffers in between.
    ///
    /// # Errors
    ///
    /// Where a mode would last no time.
    pub fn changing(
        first: Sizes,
        to: Vec<Sizes>,
        every: Distribution,
        pause: Nanos,
    ) -> Result<Modes, Impossible> {
        Impossible::unless(!every.is_zero(), "every", 0, "a time above 0")?;
        let then = Some(Changes { every, pause, to });
        Ok(Modes { first, then })
    }

    /// The largest buffer of any mode.
    pub(super) fn largest(&self) -> u64 {
        self.iter().map(Sizes::max).max().unwrap_or(0)
    }

    /// The sizes of all modes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Sizes> {
        let later = self.then.iter().flat_map(|changes| &changes.to);
        std::iter::once(&self.first).chain(later)
    }

    /// The time between the end of a mode and the beginning of the next.
    pub(super) fn pause(&self) -> Nanos {
        self.then.as_ref().map_or(Nanos(0), |changes| changes.pause)
    }
}

/// Where a client stands in its modes.
#[derive(Debug)]
pub(super) struct Change {
    turn: usize,
    draws: Draws,
}

impl Change {
    pub(super) fn new(owner: &Owner) -> Change {
        Change {
            turn: 0,
            draws: owner.draws("changes"),
        }
    }

    /// When the mode that begins at `now` ends, if it does.
    pub(super) fn next(&mut self, modes: &Modes, now: Nanos) -> Option<Nanos> {
        let changes = modes.then.as_ref()?;
        Some(now.after(changes.every.draw(&mut self.draws)))
    }

    /// Goes on to the next mode.
    pub(super) fn turn(&mut self) {
        self.turn += 1;
    }

    /// The sizes of the mode.
    pub(super) fn sizes<'a>(&self, modes: &'a Modes) -> &'a Sizes {
        let later = modes.then.as_ref().map_or(&[][..], |changes| &changes.to);
        match self.turn % (later.len() + 1) {
            0 => &modes.first,
            turn => &later[turn - 1],
        }
    }
}
