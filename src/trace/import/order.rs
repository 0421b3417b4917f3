//! The order of calls that overlapped.
//!
//! A call takes effect somewhere between its entry and its return. Where nothing else happened in
//! between, that is all there is to it; where another CPU was at work on the domain, the answers
//! tell more:
//!
//! * A range is handed out after it was freed.
//! * Searches hand out downwards, so of two that overlapped the one with the lower answer came
//!   later.
//! * A search means that the caches were empty at the entry: it comes as early as these allow, before
//!   another CPU has filled the depot.
//! * An answer from the caches is the last range that was put there: it comes as late as possible,
//!   but before this CPU's frees of other ranges.
//!
//! A free takes effect at its entry. Calls that overlapped so that no order fits (a search that
//! found the caches empty before, and the tree as it was after another CPU's calls) stay as these
//! rules put them; a replay may part there from what the kernel answered.

use std::collections::VecDeque;

use super::call::Call;

/// How long a call may be open, by the recording's clock, before others no longer wait for it.
/// None takes a millisecond, unless its CPU was taken away.
const WAIT_MAX_NS: u64 = 1_000_000_000;

/// How many calls may wait for one that is open.
const WAITING_MAX: usize = 1 << 16;

/// A call's name from its entry to its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(pub u64);

#[derive(Debug)]
enum Slot {
    Open { ticket: Ticket, since: u64 },
    Done(Call),
}

/// Calls that wait for one that began before them.
#[derive(Debug, Default)]
pub(super) struct Order {
    slots: VecDeque<Slot>,
}

impl Order {
    /// A call begins.
    pub(super) fn open(&mut self, ticket: Ticket, since: u64) {
        self.slots.push_back(Slot::Open { ticket, since });
    }

    /// A call that takes effect at once.
    pub(super) fn push(&mut self, call: Call) {
        self.slots.push_back(Slot::Done(call));
    }

    /// A call returns. One that nobody waits for any more counts from now.
    pub(super) fn close(&mut self, ticket: Ticket, call: Call) {
        let is_it =
            |slot: &Slot| matches!(slot, Slot::Open { ticket: open, .. } if *open == ticket);
        let Some(at) = self.slots.iter().rposition(is_it) else {
            self.push(call);
            return;
        };
        let to = self.place(at, &call);
        self.slots.remove(at);
        self.slots.insert(to, Slot::Done(call));
    }

    /// A call will not return.
    pub(super) fn abandon(&mut self, ticket: Ticket) {
        self.slots
            .retain(|slot| !matches!(slot, Slot::Open { ticket: open, .. } if *open == ticket));
    }

    /// The next call, if all that began before it have returned.
    pub(super) fn pop(&mut self, now: u64) -> Option<Call> {
        loop {
            match self.slots.front()? {
                Slot::Done(_) => {}
                Slot::Open { since, .. } => {
                    let waits = now.saturating_sub(*since) <= WAIT_MAX_NS;
                    if waits && self.slots.len() <= WAITING_MAX {
                        return None;
                    }
                }
            }
            if let Some(Slot::Done(call)) = self.slots.pop_front() {
                return Some(call);
            }
        }
    }

    /// The next call at the end of the recording.
    pub(super) fn pop_last(&mut self) -> Option<Call> {
        self.pop(u64::MAX)
    }

    /// Where a call goes that was open at `at`: an index once that slot is gone.
    fn place(&self, at: usize, call: &Call) -> usize {
        let (Some(got), what) = (call.got(), &call.what) else {
            return at;
        };
        let Some(searched) = what.searched() else {
            return at;
        };
        let later = |from: usize| {
            let done = self.slots.iter().enumerate().skip(from + 1);
            done.filter_map(|(index, slot)| match slot {
                Slot::Done(other) if other.domain == call.domain => Some((index, other)),
                _ => None,
            })
        };
        let mut after = later(at).filter(|(_, other)| {
            other.frees(got)
                || searched
                    && other.what.searched() == Some(true)
                    && other.got().is_some_and(|other| other > got)
        });
        let earliest = after.next_back().map_or(at, |(index, _)| index);
        if searched {
            return earliest;
        }
        let mut own_frees = later(earliest).filter(|(_, other)| {
            other.cpu == call.cpu
                && other.freed_order() == what.order()
                && what.order().is_some()
        });
        match own_frees.next() {
            Some((index, _)) => index - 1,
            None => self.slots.len() - 1,
        }
    }
}
