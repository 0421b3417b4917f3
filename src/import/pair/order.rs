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

use std::collections::{BTreeMap, VecDeque};

use super::call::Call;

/// How long a call may be open, by the recording's clock, before others no longer wait for it.
/// None takes a millisecond, unless its CPU was taken away.
const WAIT_MAX_NS: u64 = 1_000_000_000;

/// How many calls may wait.
const WAITING_MAX: usize = 1 << 13;

/// A call's place among the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

#[derive(Debug)]
struct Slot {
    ticket: Ticket,
    /// None while the call is open.
    done: Option<Done>,
}

#[derive(Debug)]
struct Done {
    call: Call,
    /// The last call that began before this one returned.
    until: Ticket,
}

/// Calls that wait for others that they overlapped.
#[derive(Debug)]
pub(crate) struct CallOrder {
    slots: VecDeque<Slot>,
    /// When open calls began.
    open: BTreeMap<Ticket, u64>,
    last: Ticket,
}

impl CallOrder {
    pub(crate) fn new() -> CallOrder {
        CallOrder {
            slots: VecDeque::new(),
            open: BTreeMap::new(),
            last: Ticket(0),
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.last = Ticket(self.last.0 + 1);
        self.last
    }

    pub(crate) fn open(&mut self, since: u64) -> Ticket {
        let ticket = self.ticket();
        self.open.insert(ticket, since);
        self.slots.push_back(Slot { ticket, done: None });
        ticket
    }

    /// A call that takes effect at once.
    pub(crate) fn push(&mut self, call: Call) {
        let ticket = self.ticket();
        let until = ticket;
        let done = Some(Done { call, until });
        self.slots.push_back(Slot { ticket, done });
    }

    /// A call returns. One that nobody waits for any more counts from now.
    pub(crate) fn close(&mut self, ticket: Ticket, call: Call) {
        self.open.remove(&ticket);
        let found = self.slots.iter().rposition(|slot| slot.ticket == ticket);
        let Some(mut slot) = found.and_then(|at| self.slots.remove(at)) else {
            self.push(call);
            return;
        };
        let at = found.unwrap_or(0);
        let place = self.place(at, &call);
        let until = self.last;
        slot.done = Some(Done { call, until });
        self.slots.insert(place, slot);
        self.move_later(place);
    }

    /// A call will not return.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        if self.open.remove(&ticket).is_some()
            && let Some(at) = self.slots.iter().position(|slot| slot.ticket == ticket)
        {
            self.slots.remove(at);
        }
    }

    /// The next call that is sure to be next, at a moment of the recording's clock.
    pub(crate) fn pop(&mut self, now: u64) -> Option<Call> {
        while let Some((&ticket, &since)) = self.open.first_key_value() {
            let done = self.slots.front()?.done.as_ref();
            if done.is_some_and(|done| done.until < ticket) {
                break;
            }
            if now.saturating_sub(since) <= WAIT_MAX_NS && self.slots.len() <= WAITING_MAX {
                return None;
            }
            self.abandon(ticket);
        }
        self.slots.pop_front()?.done.map(|done| done.call)
    }

    /// The next call at the end of the recording.
    pub(crate) fn pop_last(&mut self) -> Option<Call> {
        while let Some((&ticket, _)) = self.open.first_key_value() {
            self.abandon(ticket);
        }
        self.pop(u64::MAX)
    }

    /// Where a call goes whose slot was at an index.
    fn place(&self, at: usize, call: &Call) -> usize {
        let (Some(got), Some(searched)) = (call.got(), call.kind.searched()) else {
            return at;
        };
        let later = |from: usize| {
            let slots = self.slots.iter().enumerate().skip(from);
            slots.filter_map(|(index, slot)| {
                let other = &slot.done.as_ref()?.call;
                other.is_about(call.domain).then_some((index, other))
            })
        };
        let mut after = later(at)
            .filter(|(_, other)| other.frees(got) || searched && other.found_above(got));
        let earliest = after.next_back().map_or(at, |(index, _)| index + 1);
        if searched {
            return earliest;
        }
        let mut own_frees = later(earliest).filter(|(_, other)| {
            let order = other.freed_order();
            other.cpu == call.cpu && order.is_some() && order == call.kind.order()
        });
        own_frees
            .next()
            .map_or(self.slots.len(), |(index, _)| index)
    }

    /// Moves searches with lower answers that overlapped the one at an index, and were put before it,
    /// behind it: as far as that is before they returned.
    fn move_later(&mut self, mut at: usize) {
        let Some(Slot {
            ticket,
            done: Some(Done { call, .. }),
        }) = self.slots.get(at)
        else {
            return;
        };
        let (Some(got), Some(true)) = (call.got(), call.kind.searched()) else {
            return;
        };
        let (ticket, domain) = (*ticket, call.domain);
        let mut behind = at;
        for index in (0..at).rev() {
            let Some(done) = &self.slots[index].done else {
                continue;
            };
            let until = done.until;
            let overlapped = done.call.domain == domain && until >= ticket;
            let lower = overlapped && done.call.found_below(got);
            let between = self.slots.range(index + 1..=at);
            if lower
                && between.into_iter().all(|slot| slot.ticket <= until)
                && let Some(slot) = self.slots.remove(index)
            {
                // The removal has moved everything behind it down by one.
                self.slots.insert(behind, slot);
                behind -= 1;
                at -= 1;
            }
        }
    }
}
