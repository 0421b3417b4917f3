//! What the outcome stream says of one event.

use crate::trace::outcome::{self, Cached, Outcome};
use iova::kernel::domain::Answer;
use iova::replay::{Replay, Request};
use iova::units::Pfn;

/// The line of event number `number`, which `replay` has just answered.
pub(super) fn line(
    number: u64,
    replay: &Replay,
    request: &Request,
    answer: Option<Answer>,
) -> Outcome {
    let state = replay.domains()[request.dom.0 as usize].state();
    let steps = answer.map_or(0, |answer| answer.steps);
    Outcome {
        i: number,
        answer: match answer.map(|answer| answer.result) {
            None => outcome::Answer::None,
            Some(Ok(pfn)) => outcome::Answer::Pfn(pfn),
            Some(Err(_)) => outcome::Answer::Failed,
        },
        steps: replay.config().rules().walks().then_some(steps),
        max32: state.max32,
        c32: state.cached.map(|(cached32, _)| cached(cached32)),
        c64: state.cached.map(|(_, cached64)| cached(cached64)),
        n: state.ranges,
    }
}

fn cached(position: Option<Pfn>) -> Cached {
    position.map_or(Cached::Anchor, Cached::Node)
}
