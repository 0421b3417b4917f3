//! All that is sampled of one allocator in a replay.

use super::address_map::AddressMap;
use super::cause::Cause;
use super::record::SampledRecord;
use super::sampling::Sampling;
use super::timeline::Timeline;
use crate::model::domain::Answer;
use crate::replay::{Replay, Request};

/// Samples a replay.
#[derive(Clone, Debug)]
pub struct Sampler {
    timeline: Timeline,
    map: AddressMap,
}

impl Sampler {
    /// An observer of `replay`, which has not begun.
    pub fn new(sampling: Sampling, replay: &Replay) -> Sampler {
        Sampler {
            timeline: Timeline::new(sampling),
            map: AddressMap::new(sampling, replay),
        }
    }

    /// Takes in a request that `replay` has just answered, with the cause if it was refused.
    pub fn observe(
        &mut self,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
        cause: Option<Cause>,
    ) {
        self.timeline.observe(replay, request, answer, cause);
        self.map.observe(replay, request, answer, cause);
    }

    /// What came of it: `replay` is at its end.
    pub fn finish(self, replay: &Replay) -> SampledRecord {
        SampledRecord {
            timeline: self.timeline.finish(replay),
            map: self.map.finish(replay.config()),
        }
    }
}
