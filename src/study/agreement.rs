//! Whether a replay answers as the recorded kernel did.
//!
//! Two questions, as they have two answers: whether the same requests were granted, and whether the
//! same addresses were. After the first other address a domain's state differs, so that the
//! following addresses differ too; the grants may agree to the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::trace::event::{Event, Op};
use iova::measure::Decision;
use iova::op::Got;
use iova::units::Pfn;

/// How many events before and after the first disagreement are kept.
const AROUND: usize = 3;

/// How many addresses of a domain are remembered until its first disagreement.
const KNOWN_MAX: usize = 1 << 16;

/// Counts of recorded answers and of those that a replay gave too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests whose recorded answer was compared.
    pub compared: u64,
    /// Those with the same address, or refused by both.
    pub addresses: u64,
    /// Those granted by both, or refused by both.
    pub grants: u64,
}

impl Tally {
    /// Compares a recorded answer with that of a replay.
    pub fn observe(&mut self, recorded: Got, decision: Decision) {
        let replayed = replayed(decision);
        if recorded == Got::Unrecorded || replayed == Got::Unrecorded {
            return;
        }
        self.compared += 1;
        self.addresses += u64::from(recorded == replayed);
        let refused = (recorded == Got::Failed) == (replayed == Got::Failed);
        self.grants += u64::from(refused);
    }
}

/// Recorded answers beside those of a replay.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// All domains together.
    pub tally: Tally,
    /// The first request that the replay answered otherwise.
    pub first: Option<Disagreement>,
    /// The domains, by their numbers in the trace.
    pub domains: BTreeMap<u64, DomainAgreement>,
    before: VecDeque<Answered>,
}

/// One domain's part.
#[derive(Clone, Debug, Default)]
pub struct DomainAgreement {
    pub tally: Tally,
    /// The first event with another address, and the likely reason.
    pub first_address: Option<(u64, Reason)>,
    /// The first event that one granted and the other refused.
    pub first_grant: Option<u64>,
    /// The addresses that were handed out, until the first disagreement.
    known: BTreeSet<Pfn>,
}

/// The likely reason for the first disagreement of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The recorded kernel found less room: ranges that the trace does not have.
    Occupied,
    /// The recorded kernel found more room: frees that the trace does not have.
    MissedFrees,
    /// A range was used again: in another order, by several CPUs or a timer.
    Order,
}

impl Reason {
    fn of(recorded: Got, replayed: Got, known: impl Fn(Pfn) -> bool) -> Reason {
        match (recorded, replayed) {
            (Got::Pfn(there), Got::Pfn(here)) if known(there) || known(here) => Reason::Order,
            (Got::Pfn(there), Got::Pfn(here)) if there > here => Reason::MissedFrees,
            (_, Got::Failed) => Reason::MissedFrees,
            _ => Reason::Occupied,
        }
    }
}

/// A request that the replay answered otherwise than the recorded kernel.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The event's number, from 0.
    pub event: u64,
    /// The answer of the kernel.
    pub recorded: Got,
    /// The answer of the replay.
    pub replayed: Got,
    /// The event with those before and after it.
    pub around: Vec<Answered>,
}

/// An event and the replay's answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The event's number, from 0.
    pub number: u64,
    pub event: Arc<Event>,
    /// The answer of the replay.
    pub decision: Decision,
}

impl Agreement {
    /// Compares the recorded answer of an event with that of the replay.
    pub fn observe(&mut self, number: u64, event: &Arc<Event>, decision: Decision) {
        let recorded = recorded(event);
        let replayed = replayed(decision);
        if recorded != Got::Unrecorded && replayed != Got::Unrecorded {
            self.tally.observe(recorded, decision);
            let domain = self.domains.entry(event.dom).or_default();
            domain.observe(number, recorded, decision);
            if recorded != replayed && self.first.is_none() {
                self.first = Some(Disagreement {
                    event: number,
                    recorded,
                    replayed,
                    around: self.before.drain(..).collect(),
                });
            }
        }
        self.keep(number, event, decision);
    }

    fn keep(&mut self, number: u64, event: &Arc<Event>, decision: Decision) {
        let answered = || Answered {
            number,
            event: Arc::clone(event),
            decision,
        };
        match &mut self.first {
            Some(first) if number <= first.event + AROUND as u64 => {
                first.around.push(answered());
            }
            Some(_) => {}
            None => {
                if self.before.len() == AROUND {
                    self.before.pop_front();
                }
                self.before.push_back(answered());
            }
        }
    }
}

impl DomainAgreement {
    fn observe(&mut self, number: u64, recorded: Got, decision: Decision) {
        self.tally.observe(recorded, decision);
        let replayed = replayed(decision);
        if (recorded == Got::Failed) != (replayed == Got::Failed) {
            self.first_grant.get_or_insert(number);
        }
        if self.first_address.is_some() {
            return;
        }
        if recorded != replayed {
            let known = std::mem::take(&mut self.known);
            let reason = Reason::of(recorded, replayed, |pfn| known.contains(&pfn));
            self.first_address = Some((number, reason));
        } else if let Got::Pfn(pfn) = recorded
            && self.known.len() < KNOWN_MAX
        {
            self.known.insert(pfn);
        }
    }
}

/// The answer that an event carries.
pub(super) fn recorded(event: &Event) -> Got {
    match event.op {
        Op::Alloc { got, .. } | Op::Map { got, .. } => got,
        _ => Got::Unrecorded,
    }
}

/// The answer of a replay, in the words of a recording.
fn replayed(decision: Decision) -> Got {
    match decision {
        Decision::NotAsked => Got::Unrecorded,
        Decision::Granted(pfn) => Got::Pfn(pfn),
        Decision::Refused(_) => Got::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iova::op::Path;
    use iova::units::{Cpu, Nanos, Pages, Pfn};

    fn event(got: Got) -> Arc<Event> {
        Arc::new(Event {
            at: Nanos(0),
            cpu: Cpu(0),
            dom: 0,
            op: Op::Alloc {
                id: 1,
                pages: Pages(1),
                limit: Pfn(9),
                path: Path::Direct { align: true },
                got,
            },
        })
    }

    fn observed(gots: &[Got]) -> Agreement {
        let mut agreement = Agreement::default();
        for (number, got) in (0..).zip(gots) {
            agreement.observe(number, &event(*got), Decision::Granted(Pfn(9)));
        }
        agreement
    }

    #[test]
    fn only_recorded_answers_are_compared() {
        let agreement = observed(&[Got::Unrecorded, Got::Pfn(Pfn(9)), Got::Unrecorded]);
        assert_eq!(
            (agreement.tally.compared, agreement.tally.addresses),
            (1, 1)
        );
        assert!(agreement.first.is_none());
    }

    #[test]
    fn the_first_disagreement_comes_with_the_events_around_it() {
        let mut gots = [Got::Pfn(Pfn(9)); 20];
        gots[10] = Got::Failed;
        gots[12] = Got::Pfn(Pfn(8));
        let agreement = observed(&gots);
        assert_eq!(
            (agreement.tally.compared, agreement.tally.addresses),
            (20, 18)
        );
        assert_eq!(agreement.tally.grants, 19);
        let domain = &agreement.domains[&0];
        assert_eq!(domain.tally, agreement.tally);
        assert_eq!(domain.first_address, Some((10, Reason::Occupied)));
        assert_eq!(domain.first_grant, Some(10));
        let first = agreement.first.expect("a disagreement");
        assert_eq!((first.event, first.recorded), (10, Got::Failed));
        assert_eq!(first.replayed, Got::Pfn(Pfn(9)));
        let around: Vec<u64> = first.around.iter().map(|it| it.number).collect();
        assert_eq!(around, [7, 8, 9, 10, 11, 12, 13]);
    }

    #[test]
    fn each_first_disagreement_has_a_likely_reason() {
        let known = |pfn: Pfn| pfn == Pfn(7);
        let pfn = |pfn| Got::Pfn(Pfn(pfn));
        let cases = [
            (pfn(5), pfn(9), Reason::Occupied),
            (pfn(9), pfn(5), Reason::MissedFrees),
            (pfn(7), pfn(9), Reason::Order),
            (pfn(9), pfn(7), Reason::Order),
            (Got::Failed, pfn(9), Reason::Occupied),
            (pfn(9), Got::Failed, Reason::MissedFrees),
        ];
        for (recorded, replayed, reason) in cases {
            assert_eq!(Reason::of(recorded, replayed, known), reason);
        }
    }
}
