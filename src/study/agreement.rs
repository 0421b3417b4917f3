//! Whether a replay answers as the kernel did that was recorded.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::trace::event::{Event, Op};
use iova::measure::Decision;
use iova::op::Got;

/// How many events before and after the first disagreement are kept.
const AROUND: usize = 3;

/// Recorded answers beside those of a replay.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// Requests whose recorded answer was compared.
    pub compared: u64,
    /// Those of them that the replay answered alike.
    pub agreeing: u64,
    /// The first that it answered otherwise.
    pub first: Option<Disagreement>,
    before: VecDeque<Answered>,
}

/// A request that the replay answered otherwise than the recorded kernel.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The event's number, from 0.
    pub event: u64,
    /// What the kernel answered.
    pub recorded: Got,
    /// What the replay answered.
    pub replayed: Got,
    /// The event with those before and after it.
    pub around: Vec<Answered>,
}

/// An event and what the replay made of it.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The event's number, from 0.
    pub number: u64,
    pub event: Arc<Event>,
    /// What the replay made of it.
    pub decision: Decision,
}

impl Agreement {
    /// Compares what an event says of its answer with what the replay made of it.
    pub fn observe(&mut self, number: u64, event: &Arc<Event>, decision: Decision) {
        let recorded = recorded(event);
        let replayed = replayed(decision);
        if recorded != Got::Unrecorded && replayed != Got::Unrecorded {
            self.compared += 1;
            self.agreeing += u64::from(recorded == replayed);
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

/// The answer that an event carries.
fn recorded(event: &Event) -> Got {
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
        assert_eq!((agreement.compared, agreement.agreeing), (1, 1));
        assert!(agreement.first.is_none());
    }

    #[test]
    fn the_first_disagreement_comes_with_the_events_around_it() {
        let mut gots = [Got::Pfn(Pfn(9)); 20];
        gots[10] = Got::Failed;
        gots[12] = Got::Pfn(Pfn(8));
        let agreement = observed(&gots);
        assert_eq!((agreement.compared, agreement.agreeing), (20, 18));
        let first = agreement.first.expect("a disagreement");
        assert_eq!((first.event, first.recorded), (10, Got::Failed));
        assert_eq!(first.replayed, Got::Pfn(Pfn(9)));
        let around: Vec<u64> = first.around.iter().map(|it| it.number).collect();
        assert_eq!(around, [7, 8, 9, 10, 11, 12, 13]);
    }
}
