//! The sizes that a client uses now, and when it changes to the next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::distribution::Delay;
use super::invalid::InvalidConfig;
use super::quantity::{Time, is_default};
use super::random::{Draws, Owner};
use super::size::Sizes;
use iova::units::Nanos;

/// Sizes that a client goes through after its first, round and round, freeing all it holds at
/// each change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// How long each of the sizes is used.
    #[schemars(extend("minimum" = 1, "pattern" = "[1-9]"))]
    pub every: Delay,
    /// The time without buffers at each change.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pause: Time,
    /// The sizes after the first; none to use the first again and again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub to: Vec<Sizes>,
}

impl Changes {
    /// Refuses changes that would follow each other at one moment.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let expected = "a time above 0";
        InvalidConfig::unless(!self.every.is_zero(), "changes.every", 0, expected)
    }
}

/// A client's first sizes and the changes of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct SizePhases<'a> {
    pub(super) first: &'a Sizes,
    pub(super) changes: Option<&'a Changes>,
}

impl<'a> SizePhases<'a> {
    /// The largest buffer of any phase.
    pub(super) fn largest(self) -> u64 {
        self.iter().map(Sizes::max).max().unwrap_or(0)
    }

    /// The sizes of all phases.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a Sizes> {
        std::iter::once(self.first).chain(self.later())
    }

    /// The time between the end of a phase and the beginning of the next.
    pub(super) fn pause(self) -> Nanos {
        self.changes
            .map_or(Nanos(0), |changes| changes.pause.into())
    }

    fn later(self) -> &'a [Sizes] {
        self.changes.map_or(&[], |changes| &changes.to)
    }
}

/// Where a client stands in its phases.
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

    /// When the phase that begins at `now` ends, if it does.
    pub(super) fn next(&mut self, phases: SizePhases<'_>, now: Nanos) -> Option<Nanos> {
        let changes = phases.changes?;
        Some(now.after(changes.every.draw(&mut self.draws)))
    }

    /// Goes on to the next phase.
    pub(super) fn turn(&mut self) {
        self.turn += 1;
    }

    /// The sizes of the phase.
    pub(super) fn sizes<'a>(&self, phases: SizePhases<'a>) -> &'a Sizes {
        let later = phases.later();
        match self.turn % (later.len() + 1) {
            0 => phases.first,
            turn => &later[turn - 1],
        }
    }
}
