//! All that is sampled of one allocator in a replay.

use super::address_map::AddressMap;
use super::decision::Decision;
use super::record::SampledRecord;
use super::sampling::Sampling;
use super::timeline::Timeline;
use crate::model::domain::{Answer, DomainConfig};
use crate::replay::{Replay, Request};

/// Samples a replay.
#[derive(Clone, Debug)]
pub struct Sampler {
    timeline: Timeline,
    map: AddressMap,
}

impl Sampler {
    /// An observer of a replay of such domains, which has not begun.
    pub fn new(sampling: Sampling, config: &DomainConfig) -> Sampler {
        Sampler {
            timeline: Timeline::new(sampling),
            map: AddressMap::new(sampling, config),
        }
    }

    /// Takes in a request that `replay` has just answered.
    pub fn observe(
        &mut self,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
        decision: Decision,
    ) {
        self.timeline.observe(replay, request, answer, decision);
        self.map.observe(replay, request, answer, decision);
    }

    /// What came of it: `replay` is at its end.
    pub fn finish(self, replay: &Replay) -> SampledRecord {
        SampledRecord {
            timeline: self.timeline.finish(replay),
            map: self.map.finish(replay.config()),
        }
    }
}
