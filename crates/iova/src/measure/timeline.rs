//! What a domain looks like as time goes by: fragmentation, what the allocator believes, where
//! the pages are, which requests failed, how far searches walked.
//!
//! Requests, failures and steps are counted at every event and lost by no merging. The shape of
//! the window is looked at when a sample begins and at its first failure; `max32` and the
//! largest request that would find a place are looked at after every failure besides. Merged
//! samples keep the extremes.

use super::cause::Cause;
use super::decision::Decision;
use super::fragmentation::{self, Shape};
use super::record::{Bounds, Column, Moments, StepColumns, TimelineRecord};

pub use super::record::Figure;
use super::sampling::{Allowance, Moment, Sampling};
use super::series::{Extremes, Merge, Series, Track};
use crate::kernel::{AddressSpace, Answer};
use crate::replay::{Dom, Replay, Request};
use crate::units::{Pages, Pfn};

/// The most samples that are kept.
const SAMPLES: usize = 384;

/// Samples a domain while a replay runs.
#[derive(Clone, Debug)]
pub struct Timeline {
    sampling: Sampling,
    dom: Dom,
    series: Series<Sample>,
    allowance: Allowance,
}

/// A stretch of a replay.
#[derive(Clone, Debug, Default)]
struct Sample {
    begun: Moment,
    /// Each figure of the window, in the order of [`Figure::ALL`].
    figures: [Track; Figure::ALL.len()],
    /// Requests for addresses.
    requests: u64,
    /// Those that were refused, by cause, in the order of [`Cause::ALL`].
    failures: [u64; Cause::ALL.len()],
    /// What was believed and what was true when they were furthest apart.
    max32_gap: Option<Max32Gap>,
    /// Sizes in pages that were refused though there was room.
    refused_with_room: Extremes,
    /// Sizes in pages that were refused for want of room or memory.
    refused_without: Extremes,
    /// Steps of all requests together.
    steps: u64,
    /// The most steps that a request took; none without requests.
    steps_max: Option<u64>,
}

/// A moment at which `max32` refuses what would find a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Max32Gap {
    max32: u64,
    largest: u64,
}

impl Max32Gap {
    fn of(max32: Option<u64>, largest: u64) -> Option<Max32Gap> {
        let max32 = max32.filter(|&max32| max32 <= largest)?;
        Some(Max32Gap { max32, largest })
    }

    /// The one whose two sides are further apart, the earlier one if both are alike.
    fn larger(one: Option<Max32Gap>, other: Option<Max32Gap>) -> Option<Max32Gap> {
        let apart = |it: &Max32Gap| it.largest - it.max32;
        match (one, other) {
            (Some(one), Some(other)) if apart(&other) > apart(&one) => Some(other),
            (one, other) => one.or(other),
        }
    }
}

impl Figure {
    /// All figures, in the order in which a sample holds them.
    pub const ALL: [Figure; 11] = [
        Figure::Used,
        Figure::Cached,
        Figure::Queued,
        Figure::Free,
        Figure::Outside,
        Figure::Gaps,
        Figure::LargestGap,
        Figure::LargestBlock,
        Figure::LargestRequest,
        Figure::Max32,
        Figure::FragmentationPpm,
    ];

    fn of(self, shape: &Shape) -> Option<u64> {
        match self {
            Figure::Used => Some(shape.used.0),
            Figure::Cached => Some(shape.cached.0),
            Figure::Queued => Some(shape.queued.0),
            Figure::Free => Some(shape.free.0),
            Figure::Outside => Some(shape.outside.0),
            Figure::Gaps => Some(shape.gaps),
            Figure::LargestGap => Some(shape.largest_gap.0),
            Figure::LargestBlock => Some(shape.largest_block.0),
            Figure::LargestRequest => Some(shape.largest_request.0),
            Figure::Max32 => shape.max32.map(|max32| max32.0),
            Figure::FragmentationPpm => shape.fragmentation_ppm().map(u64::from),
        }
    }
}

impl Timeline {
    /// An observer of a domain that nothing was asked of yet.
    pub fn new(sampling: Sampling, dom: Dom) -> Timeline {
        Timeline {
            series: Series::new(sampling.every.width(), SAMPLES),
            sampling,
            dom,
            allowance: Allowance::new(),
        }
    }

    /// Takes in a request of the domain that `replay` has just answered.
    pub fn observe(
        &mut self,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
        decision: Decision,
    ) {
        let moment = Moment::of(replay, request);
        let cause = decision.cause();
        let position = self.sampling.every.position(moment.event, moment.at);
        let (sample, begins) = self.series.at(position);
        if begins {
            sample.begun = moment;
        }
        let first_failure = cause.is_some() && sample.failures.iter().all(|&count| count == 0);
        if let Some(answer) = answer {
            sample.count(answer);
        }
        if (begins || first_failure) && self.allowance.allows(moment.event) {
            let limit = self.sampling.limit(replay.config());
            let (shape, ranges) = fragmentation::look_quickly(replay, self.dom, limit);
            self.allowance.pay(ranges);
            sample.see(&shape);
        }
        if let (Some(cause), Some(answer)) = (cause, answer) {
            let limit = self.sampling.limit(replay.config());
            let space = replay.domains()[request.dom.0 as usize].space();
            sample.fail(space, limit, answer.asked.size, cause);
        }
    }

    /// What came of it: `replay` is at its end, and `elsewhere` requests for addresses were of
    /// other domains.
    pub fn finish(mut self, replay: &Replay, ended: Moment, elsewhere: u64) -> TimelineRecord {
        if self.allowance.allows(ended.event)
            && let Some(sample) = self.series.newest()
        {
            let limit = self.sampling.limit(replay.config());
            let (shape, _) = fragmentation::look_quickly(replay, self.dom, limit);
            sample.see(&shape);
        }
        let every = self.sampling.every.with_width(self.series.width());
        let samples = self.series.into_samples();
        let of = |cause: Cause| samples.iter().map(move |it| it.failures[cause as usize]);
        let causes = Cause::ALL
            .into_iter()
            .filter(|&cause| of(cause).any(|count| count > 0));
        let column = |figure: Figure| {
            let tracks = samples.iter().map(|it| it.figures[figure as usize]);
            (figure, Column::of(tracks))
        };
        TimelineRecord {
            window: self.sampling.window(self.dom, replay.config()),
            every,
            moments: Moments::of(samples.iter().map(|it| it.begun), ended),
            figures: Figure::ALL.into_iter().map(column).collect(),
            max32_gap: Bounds {
                min: samples
                    .iter()
                    .map(|it| it.max32_gap.map(|it| it.max32))
                    .collect(),
                max: samples
                    .iter()
                    .map(|it| it.max32_gap.map(|it| it.largest))
                    .collect(),
            },
            requests: samples.iter().map(|it| it.requests).collect(),
            steps: replay.config().rules().walks().then(|| StepColumns {
                total: samples.iter().map(|it| it.steps).collect(),
                max: samples.iter().map(|it| it.steps_max).collect(),
            }),
            failures: causes.map(|cause| (cause, of(cause).collect())).collect(),
            refused_with_room: Bounds::of(samples.iter().map(|it| it.refused_with_room)),
            refused_without: Bounds::of(samples.iter().map(|it| it.refused_without)),
            requests_elsewhere: elsewhere,
        }
    }
}

impl Sample {
    fn count(&mut self, answer: Answer) {
        self.requests += 1;
        self.steps += answer.steps;
        self.steps_max = self.steps_max.max(Some(answer.steps));
    }

    fn see(&mut self, shape: &Shape) {
        for (track, figure) in self.figures.iter_mut().zip(Figure::ALL) {
            track.see(figure.of(shape));
        }
        let max32 = shape.max32.map(|max32| max32.0);
        self.believe(max32, shape.largest_request.0);
    }

    fn believe(&mut self, max32: Option<u64>, largest: u64) {
        self.max32_gap = Max32Gap::larger(self.max32_gap, Max32Gap::of(max32, largest));
    }

    /// Counts a failure, and looks at what decides it.
    fn fail(&mut self, space: &dyn AddressSpace, limit: Pfn, size: Pages, cause: Cause) {
        self.failures[cause as usize] += 1;
        let max32 = space.state().max32.map(|max32| max32.0);
        let largest = space.largest(limit).aligned.0;
        self.figures[Figure::Max32 as usize].see(max32);
        self.figures[Figure::LargestRequest as usize].see(Some(largest));
        self.believe(max32, largest);
        let refused = if cause.is_spurious() {
            &mut self.refused_with_room
        } else {
            &mut self.refused_without
        };
        refused.add(size.0);
    }
}

impl Merge for Sample {
    fn merge(&mut self, later: Sample) {
        for (track, later) in self.figures.iter_mut().zip(later.figures) {
            track.merge(later);
        }
        for (count, later) in self.failures.iter_mut().zip(later.failures) {
            *count += later;
        }
        self.requests += later.requests;
        self.max32_gap = Max32Gap::larger(self.max32_gap, later.max32_gap);
        self.refused_with_room.merge(later.refused_with_room);
        self.refused_without.merge(later.refused_without);
        self.steps += later.steps;
        self.steps_max = self.steps_max.max(later.steps_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::cause::Judge;
    use crate::measure::testing::{Script, fresh};

    const LIMIT: u64 = 0xf_ffff;

    fn watched(allocator: &str, script: &Script) -> TimelineRecord {
        let mut replay = fresh(allocator);
        let mut timeline = Timeline::new(Sampling::default(), Dom(0));
        for request in script.requests() {
            let answer = replay.apply(request).expect("nothing undoes this");
            let decision = Decision::of(&mut Judge::default(), &replay, request, answer);
            timeline.observe(&replay, request, answer, decision);
        }
        timeline.finish(&replay, script.ended(), 0)
    }

    /// The window is full but for the lowest hole, and searches begin above all ranges, when a
    /// request fails at event 5.
    fn founding() -> Script {
        let mut script = Script::default();
        script
            .alloc(0, 0x8_0000, LIMIT)
            .alloc(1, 0x4_0000, LIMIT)
            .alloc(2, 0x2_0000, LIMIT);
        script
            .free(0)
            .alloc(3, 0x8_0000, LIMIT)
            .alloc(4, 0x2_0000, LIMIT);
        script
    }

    #[test]
    fn every_event_of_a_short_replay_is_a_sample() {
        let mut script = Script::default();
        script
            .at(5)
            .alloc(0, 1 << 19, LIMIT)
            .at(9)
            .alloc(1, 1 << 18, LIMIT)
            .free(0);
        let record = watched("linux-7.2", &script);
        assert_eq!(record.moments.event, [0, 1, 2]);
        assert_eq!(record.moments.nanos, [5, 9, 9]);
        assert_eq!(
            (record.moments.last_event, record.moments.last_nanos),
            (2, 9)
        );
        let used = &record.figures[&Figure::Used];
        assert_eq!(used.last, [1 << 19, 3 << 18, 1 << 18].map(Some));
        assert_eq!((&used.min, &used.max), (&None, &None));
        let request = &record.figures[&Figure::LargestRequest];
        assert_eq!(request.last, [1 << 18, 1 << 17, 1 << 19].map(Some));
        assert!(record.failures.is_empty());
    }

    #[test]
    fn no_failure_is_lost_in_the_longest_replay() {
        let mut script = founding();
        let rounds = 20 * SAMPLES as u64;
        for _ in 0..rounds {
            script.alloc(9, 0x4_0000, LIMIT).free(9);
        }
        let record = watched("linux-7.2", &script);
        assert!(record.moments.event.len() <= SAMPLES);
        let failures: u64 = record.failures[&Cause::Exhausted].iter().sum();
        assert_eq!((record.failures.len(), failures), (1, 1 + rounds));
        assert_eq!(record.requests.iter().sum::<u64>(), 5 + rounds);
        let sizes = record.refused_without.max.iter().flatten();
        assert_eq!(sizes.max(), Some(&0x4_0000));
        assert_eq!(record.refused_with_room.max.iter().flatten().next(), None);
    }

    #[test]
    fn what_the_allocator_believes_stands_beside_what_is_true() {
        let mut script = founding();
        script.free(1).alloc(5, 0x4_0000, LIMIT);
        let [old, new] = ["old", "new"].map(|name| watched(name, &script));
        let max32 = |record: &TimelineRecord| record.figures[&Figure::Max32].last[5..].to_vec();
        assert_eq!(max32(&old), [Some(0x2_0000); 3]);
        assert_eq!(max32(&new), [Some(0x2_0000), Some(1 << 20), Some(1 << 20)]);
        for record in [&old, &new] {
            let largest = &record.figures[&Figure::LargestRequest].last;
            assert_eq!(largest[5..7], [0x1_0000, 0x4_0000].map(Some));
        }
        assert_eq!(
            old.max32_gap.min,
            [
                None,
                None,
                None,
                None,
                None,
                None,
                Some(0x2_0000),
                Some(0x2_0000)
            ]
        );
        assert_eq!(old.max32_gap.max[6], Some(0x4_0000));
        assert_eq!(new.max32_gap.min, [None; 8]);
        assert_eq!(old.failures[&Cause::Shortcut], [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(old.refused_with_room.min[7], Some(0x4_0000));
        assert!(!new.failures.contains_key(&Cause::Shortcut));
    }

    #[test]
    fn a_window_that_cannot_be_looked_at_any_more_is_unknown_and_not_empty() {
        let mut replay = fresh("linux-7.2");
        let mut timeline = Timeline::new(Sampling::default(), Dom(0));
        timeline.allowance.pay(u64::MAX);
        let mut script = Script::default();
        script.alloc(0, 1, LIMIT);
        for request in script.requests() {
            let answer = replay.apply(request).expect("nothing undoes this");
            timeline.observe(&replay, request, answer, Decision::NotAsked);
        }
        let record = timeline.finish(&replay, script.ended(), 0);
        assert_eq!(record.figures[&Figure::Used].last, [None]);
        assert_eq!(record.requests, [1]);
    }
}
