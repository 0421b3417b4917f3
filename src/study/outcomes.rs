//! What the outcome stream says of one event.

use crate::model::Change;
use crate::model::domain::Answer;
use crate::replay::{Replay, Request};
use crate::trace::outcome::{self, Cached, Outcome};
use crate::units::Pfn;

/// The line of event number `number`, which `replay` has just answered.
pub(super) fn line(
    number: u64,
    replay: &Replay,
    request: &Request,
    answer: Option<Answer>,
) -> Outcome {
    let space = replay.domains()[request.dom.0 as usize].space();
    let has_max32 = replay.config().rules.has(Change::Max32);
    Outcome {
        i: number,
        answer: match answer.map(|answer| answer.result) {
            None => outcome::Answer::None,
            Some(Ok(pfn)) => outcome::Answer::Pfn(pfn),
            Some(Err(_)) => outcome::Answer::Failed,
        },
        steps: Some(answer.map_or(0, |answer| answer.steps)),
        max32: has_max32.then(|| space.max32()),
        c32: Some(cached(space.cached32())),
        c64: Some(cached(space.cached())),
        n: space.ranges().len(),
    }
}

fn cached(position: Option<Pfn>) -> Cached {
    position.map_or(Cached::Anchor, Cached::Node)
}
