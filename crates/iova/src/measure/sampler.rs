//! All that is sampled of one allocator in a replay.
//!
//! Which domain matters is known at the end alone: a recording begins with a dozen of which most
//! are never used. So the first few are all sampled, one that is never asked for addresses gives
//! way to one that is, and the one that was asked most often is what comes of it.

use super::address_map::AddressMap;
use super::decision::Decision;
use super::record::SampledRecord;
use super::sampling::{Moment, Sampling};
use super::timeline::Timeline;
use crate::kernel::Answer;
use crate::kernel::DomainConfig;
use crate::replay::{Dom, Replay, Request};

/// The most domains that are sampled where none was chosen.
const DOMAINS: usize = 16;

/// Samples a replay.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    config: DomainConfig,
    domains: Vec<Watched>,
    requests: u64,
    ended: Moment,
}

/// A domain that is sampled.
#[derive(Clone, Debug)]
struct Watched {
    dom: Dom,
    /// How often it was asked for addresses.
    requests: u64,
    timeline: Timeline,
    map: AddressMap,
}

impl Sampler {
    /// An observer of a replay of such domains, which has not begun.
    pub fn new(sampling: Sampling, config: &DomainConfig) -> Sampler {
        Sampler {
            sampling,
            config: *config,
            domains: Vec::new(),
            requests: 0,
            ended: Moment::default(),
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
        self.ended = Moment::of(replay, request);
        let asks = u64::from(answer.is_some());
        self.requests += asks;
        if let Some(watched) = self.watched(request.dom, asks > 0) {
            watched.requests += asks;
            watched.timeline.observe(replay, request, answer, decision);
            watched.map.observe(replay, request, answer, decision);
        }
    }

    /// What there is of a domain, which `asks` for addresses now or not; none of one that is not
    /// sampled.
    fn watched(&mut self, dom: Dom, asks: bool) -> Option<&mut Watched> {
        let domains = &self.domains;
        if let Some(place) = domains.iter().position(|it| it.dom == dom) {
            return self.domains.get_mut(place);
        }
        let free = match self.sampling.dom {
            Some(chosen) => (chosen == dom).then_some(0),
            None if domains.len() < DOMAINS => Some(domains.len()),
            None if asks => domains.iter().position(|it| it.requests == 0),
            None => None,
        };
        let place = free?;
        let watched = self.watch(dom);
        match self.domains.get_mut(place) {
            Some(idle) => *idle = watched,
            None => self.domains.push(watched),
        }
        self.domains.get_mut(place)
    }

    fn watch(&self, dom: Dom) -> Watched {
        Watched {
            dom,
            requests: 0,
            timeline: Timeline::new(self.sampling, dom),
            map: AddressMap::new(self.sampling, dom, &self.config),
        }
    }

    /// What came of it: `replay` is at its end.
    pub fn finish(mut self, replay: &Replay) -> SampledRecord {
        // Of several with as many requests the first.
        let most = |one: Watched, other: Watched| {
            if other.requests > one.requests {
                other
            } else {
                one
            }
        };
        let unasked = self.watch(self.sampling.dom.unwrap_or(Dom(0)));
        let watched = std::mem::take(&mut self.domains).into_iter().reduce(most);
        let watched = watched.unwrap_or(unasked);
        let elsewhere = self.requests - watched.requests;
        SampledRecord {
            timeline: watched.timeline.finish(replay, self.ended, elsewhere),
            map: watched.map.finish(&self.config, self.ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{Script, fresh};
    use crate::measure::timeline::Figure;
    use crate::op::Op;
    use crate::units::{Pfn, PfnRange};

    /// What is seen of a script whose requests go to these domains.
    fn sampled(sampling: Sampling, script: &Script, doms: &[u32]) -> SampledRecord {
        let mut replay = fresh("linux-7.2");
        let mut sampler = Sampler::new(sampling, replay.config());
        for (request, &dom) in script.requests().iter().zip(doms) {
            let request = Request {
                dom: Dom(dom),
                ..request.clone()
            };
            let answer = replay.apply(&request).expect("nothing undoes this");
            sampler.observe(&replay, &request, answer, Decision::NotAsked);
        }
        sampler.finish(&replay)
    }

    fn script(requests: u32) -> Script {
        let mut script = Script::default();
        for slot in 0..requests {
            script.alloc(slot, 64, 0xf_ffff);
        }
        script
    }

    #[test]
    fn the_domain_with_the_most_requests_is_sampled_and_the_others_are_counted() {
        let record = sampled(Sampling::default(), &script(5), &[0, 1, 1, 0, 1]);
        let timeline = &record.timeline;
        assert_eq!((timeline.window.domain, record.map.window.domain), (1, 1));
        assert_eq!(timeline.moments.event, [1, 2, 4]);
        assert_eq!(
            (timeline.requests.len(), timeline.requests_elsewhere),
            (3, 2)
        );
        let used = [64, 128, 192].map(Some);
        assert_eq!(timeline.figures[&Figure::Used].last, used);
    }

    #[test]
    fn of_domains_with_as_many_requests_the_first_is_sampled() {
        let record = sampled(Sampling::default(), &script(4), &[0, 1, 1, 0]);
        assert_eq!(record.timeline.window.domain, 0);
    }

    #[test]
    fn a_domain_can_be_chosen_also_one_that_is_never_asked() {
        for (chosen, requests) in [(0, 1), (1, 3), (7, 0)] {
            let sampling = Sampling {
                dom: Some(Dom(chosen)),
                ..Sampling::default()
            };
            let record = sampled(sampling, &script(4), &[1, 0, 1, 1]);
            assert_eq!(record.timeline.window.domain, chosen);
            assert_eq!(record.timeline.requests.len(), requests);
            assert_eq!(record.timeline.requests_elsewhere, 4 - requests as u64);
        }
    }

    #[test]
    fn a_domain_that_is_never_asked_gives_way() {
        let mut script = Script::default();
        for pfn in 0..20 {
            let range = PfnRange::new(Pfn(100 + pfn), Pfn(100 + pfn)).expect("a range");
            script.ask(Op::Reserve { range });
        }
        script.alloc(0, 1, 0xf_ffff).alloc(1, 1, 0xf_ffff);
        let doms: Vec<u32> = (0..20).chain([19, 19]).collect();
        let record = sampled(Sampling::default(), &script, &doms);
        assert_eq!(record.timeline.window.domain, 19);
        assert_eq!(record.timeline.requests, [1, 1]);
        let used = [2, 3].map(Some);
        assert_eq!(record.timeline.figures[&Figure::Used].last, used);
    }

    #[test]
    fn more_domains_than_there_is_room_for_are_counted_alone() {
        let doms: Vec<u32> = (0..20).chain([19, 19, 3]).collect();
        let record = sampled(Sampling::default(), &script(23), &doms);
        assert_eq!(record.timeline.window.domain, 3);
        assert_eq!(record.timeline.requests_elsewhere, 21);
    }
}
