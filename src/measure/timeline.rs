//! What a domain looks like as time goes by: fragmentation, what the allocator believes, where
//! the pages are, which requests failed, how far searches walked.
//!
//! Requests, failures and steps are counted at every event and lost by no merging. The shape of
//! the window is looked at when a sample begins and at its first failure; `max32` and the
//! largest request that would find a place are looked at after every failure besides. Merged
//! samples keep the extremes.

use super::cause::{Asked, Cause};
use super::fragmentation::{self, Shape};
use super::sampling::{Allowance, Every, Moment, Sampling};
use super::series::{Extremes, Merge, Series};
use crate::model::domain::{Answer, DomainConfig};
use crate::replay::{Replay, Request};

/// The most samples that are kept.
const SAMPLES: usize = 512;

/// Samples a domain while a replay runs.
#[derive(Clone, Debug)]
pub struct Timeline {
    sampling: Sampling,
    series: Series<Sample>,
    allowance: Allowance,
    begun: Option<Moment>,
    ended: Moment,
    elsewhere: u64,
}

/// The samples of a replay.
#[derive(Clone, Debug)]
pub struct Samples {
    /// How it was sampled, with the distance of the samples at the end.
    pub sampling: Sampling,
    /// The domain's granule and lowest pfn.
    pub config: DomainConfig,
    /// The samples, in the order of time; moments at which nothing happened have none.
    pub samples: Vec<Sample>,
    /// The first event and the last; none without events.
    pub span: Option<(Moment, Moment)>,
    /// Requests for addresses in other domains, which are not sampled.
    pub elsewhere: u64,
}

/// A stretch of a replay.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Its first event.
    pub begun: Moment,
    /// Each figure of the window, in the order of [`Figure::ALL`].
    pub figures: [Track; Figure::ALL.len()],
    /// Requests for addresses.
    pub requests: u64,
    /// Those that were refused, by cause, in the order of [`Cause::ALL`].
    pub failures: [u64; Cause::ALL.len()],
    /// Sizes in pages that were refused though there was room.
    pub refused_with_room: Extremes,
    /// Sizes in pages that were refused for want of room or memory.
    pub refused_without: Extremes,
    /// Steps of all requests together.
    pub steps: u64,
    /// The most steps that a request took; none without requests.
    pub steps_max: Option<u64>,
}

/// A figure within a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// The newest value; none where it was not looked at or there is no such thing.
    pub last: Option<u64>,
    /// The smallest and the largest value.
    pub extremes: Extremes,
}

/// What is seen of a window at a moment; see [`Shape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the fields of a shape")]
pub enum Figure {
    Used,
    Cached,
    Queued,
    Free,
    Outside,
    Gaps,
    LargestGap,
    LargestBlock,
    LargestRequest,
    Max32,
    FragmentationPpm,
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
    /// An observer of a replay that has not begun.
    pub fn new(sampling: Sampling) -> Timeline {
        Timeline {
            series: Series::new(sampling.every.width(), SAMPLES),
            sampling,
            allowance: Allowance::new(),
            begun: None,
            ended: Moment::default(),
            elsewhere: 0,
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
        let moment = Moment::of(replay, request);
        self.begun.get_or_insert(moment);
        self.ended = moment;
        if request.dom != self.sampling.dom {
            self.elsewhere += u64::from(answer.is_some());
            return;
        }
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
            let Sampling { dom, limit, .. } = self.sampling;
            let (shape, ranges) = fragmentation::look_quickly(replay, dom, limit);
            self.allowance.pay(ranges);
            sample.see(&shape);
        }
        if let Some(cause) = cause {
            sample.fail(replay, request, self.sampling, cause);
        }
    }

    /// What came of it: `replay` is at its end.
    pub fn finish(mut self, replay: &Replay) -> Samples {
        if self.allowance.allows(self.ended.event)
            && let Some(sample) = self.series.newest()
        {
            let Sampling { dom, limit, .. } = self.sampling;
            let (shape, _) = fragmentation::look_quickly(replay, dom, limit);
            sample.see(&shape);
        }
        let every: Every = self.sampling.every.with_width(self.series.width());
        let samples = self.series.into_samples().into_iter();
        Samples {
            sampling: Sampling {
                every,
                ..self.sampling
            },
            config: *replay.config(),
            samples: samples.map(|(_, sample)| sample).collect(),
            span: self.begun.map(|begun| (begun, self.ended)),
            elsewhere: self.elsewhere,
        }
    }
}

impl Sample {
    /// What was seen of a figure.
    pub fn figure(&self, figure: Figure) -> Track {
        self.figures[figure as usize]
    }

    fn count(&mut self, answer: Answer) {
        self.requests += 1;
        self.steps += answer.steps;
        self.steps_max = self.steps_max.max(Some(answer.steps));
    }

    fn see(&mut self, shape: &Shape) {
        for (track, figure) in self.figures.iter_mut().zip(Figure::ALL) {
            track.see(figure.of(shape));
        }
    }

    /// Counts a failure, and looks at what decides it.
    fn fail(&mut self, replay: &Replay, request: &Request, sampling: Sampling, cause: Cause) {
        self.failures[cause as usize] += 1;
        let space = replay.domains()[request.dom.0 as usize].space();
        let max32 = space.state().max32.map(|max32| max32.0);
        let largest = space.largest(sampling.limit).aligned.0;
        self.figures[Figure::Max32 as usize].see(max32);
        self.figures[Figure::LargestRequest as usize].see(Some(largest));
        if let Some(asked) = Asked::of(replay.config(), request) {
            let refused = if cause.is_spurious() {
                &mut self.refused_with_room
            } else {
                &mut self.refused_without
            };
            refused.add(asked.size.0);
        }
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
        self.refused_with_room.merge(later.refused_with_room);
        self.refused_without.merge(later.refused_without);
        self.steps += later.steps;
        self.steps_max = self.steps_max.max(later.steps_max);
    }
}

impl Track {
    fn see(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            self.last = Some(value);
            self.extremes.add(value);
        }
    }
}

impl Merge for Track {
    fn merge(&mut self, later: Track) {
        self.last = later.last.or(self.last);
        self.extremes.merge(later.extremes);
    }
}
