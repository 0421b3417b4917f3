//! Calls that the allocator makes itself, told from requests by the probes around them.
//!
//! Where the outer function has a probe at its entry, its line comes first: a free of the same pfn
//! in the same context follows it ([`OuterFrees`]). Where it has one at its exit alone, the lines
//! come from the inside out, and the outer line decides about those before it ([`InnerExits`]). The
//! return address does not: `free_iova_fast` may end in a jump to `free_iova`, which then returns to
//! the caller of both.

use std::collections::{BTreeMap, VecDeque};

use super::call::{Answer, Call, CallKind, Function};
use super::order::Ticket;
use crate::import::read::record::Context;
use iova::units::{Cpu, Pfn};

/// How many frees of a CPU are remembered: more than an interrupt makes before the call that it
/// interrupted goes on.
const FREES_MAX: usize = 512;

/// How long an inner call's exit waits for the outer one, in ns of the recording's clock: longer
/// than interrupts take in between.
const EXIT_WAIT_NS: u64 = 10_000_000;

/// A free whose function may be about to call another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OuterFree {
    pub context: Context,
    pub function: Function,
    pub domain: u64,
    pub pfn: Pfn,
}

/// Frees seen at their entries, by CPU.
#[derive(Debug, Default)]
pub(super) struct OuterFrees {
    by_cpu: BTreeMap<Cpu, VecDeque<OuterFree>>,
}

impl OuterFrees {
    pub(super) fn remember(&mut self, cpu: Cpu, free: OuterFree) {
        let frees = self.by_cpu.entry(cpu).or_default();
        if frees.len() == FREES_MAX {
            frees.pop_front();
        }
        frees.push_back(free);
    }

    /// Whether such a free was remembered; it no longer is. A free of unknown pfn is inside the free
    /// before it.
    pub(super) fn take(
        &mut self,
        context: Context,
        function: Function,
        domain: u64,
        pfn: Option<Pfn>,
    ) -> bool {
        let wanted = |free: &OuterFree| {
            free.context == context
                && free.function == function
                && free.domain == domain
                && pfn.is_none_or(|pfn| free.pfn == pfn)
        };
        self.by_cpu.values_mut().any(|frees| {
            let found = match pfn {
                Some(_) => frees.iter().rposition(wanted),
                None => frees.back().is_some_and(wanted).then(|| frees.len() - 1),
            };
            found.is_some_and(|at| frees.remove(at).is_some())
        })
    }

    /// An allocation got a range: no earlier free is still about to free it.
    pub(super) fn forget(&mut self, domain: u64, pfn: Pfn) {
        for frees in self.by_cpu.values_mut() {
            frees.retain(|free| free.domain != domain || free.pfn != pfn);
        }
    }
}

/// A call seen at its exit, which an outer one may have made.
#[derive(Debug)]
pub(super) struct InnerExit {
    pub context: Context,
    pub ticket: Ticket,
    pub call: Call,
}

/// Calls seen at their exits, the oldest first.
#[derive(Debug, Default)]
pub(super) struct InnerExits {
    waiting: VecDeque<InnerExit>,
}

impl InnerExits {
    pub(super) fn push(&mut self, exit: InnerExit) {
        self.waiting.push_back(exit);
    }

    /// Removes the last call of a context that `outer` made.
    pub(super) fn take(&mut self, context: Context, outer: &Call) -> Option<InnerExit> {
        let made = |exit: &InnerExit| {
            exit.context == context
                && exit.call.domain == outer.domain
                && makes(&outer.kind, &exit.call.kind)
        };
        let at = self.waiting.iter().rposition(made)?;
        self.waiting.remove(at)
    }

    /// Removes a free of a range that its own context was given again since: a request.
    pub(super) fn take_reallocated(
        &mut self,
        context: Context,
        domain: u64,
        pfn: Pfn,
    ) -> Option<InnerExit> {
        let is_it = |exit: &InnerExit| {
            exit.context == context && exit.call.domain == domain && exit.call.frees(pfn)
        };
        let at = self.waiting.iter().rposition(is_it)?;
        self.waiting.remove(at)
    }

    /// Removes the oldest call, if no outer one can follow any more: a request.
    pub(super) fn take_settled(&mut self, now: u64) -> Option<InnerExit> {
        let late = |exit: &InnerExit| now.saturating_sub(exit.call.at) > EXIT_WAIT_NS;
        let settled = self.waiting.len() > FREES_MAX || self.waiting.front().is_some_and(late);
        settled.then(|| self.waiting.pop_front())?
    }

    /// Removes the oldest call, at the end of the recording.
    pub(super) fn take_last(&mut self) -> Option<InnerExit> {
        self.waiting.pop_front()
    }
}

/// Whether a call of `outer` makes one of `inner`.
fn makes(outer: &CallKind, inner: &CallKind) -> bool {
    match (outer, inner) {
        (CallKind::FreeFast { pfn, .. }, CallKind::FreePfn { pfn: inner }) => pfn == inner,
        (CallKind::FreePfn { pfn }, CallKind::FreeIova { pfn: inner, .. }) => {
            inner.is_none_or(|inner| inner == *pfn)
        }
        (
            CallKind::AllocFast {
                pages, limit, got, ..
            },
            CallKind::Alloc {
                pages: inner_pages,
                limit: inner_limit,
                got: inner_got,
                ..
            },
        ) => {
            let rounded = pages.0.checked_next_power_of_two();
            // A search that failed may be tried again after a flush of the caches.
            let answers = match inner_got {
                Answer::Failed => true,
                Answer::Pfn(_) => inner_got == got,
                Answer::Somewhere => *got != Answer::Failed,
            };
            limit == inner_limit
                && (pages == inner_pages || rounded == Some(inner_pages.0))
                && answers
        }
        _ => false,
    }
}
