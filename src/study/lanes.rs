//! Several allocators over one stream of requests, in step: every request is read once and
//! given to all of them, and what they make of it is compared while it is at hand.
//!
//! Requests go in batches. With one job the lanes take turns on each batch; with more they
//! run on threads, a few batches behind the reader. Either way the answers are compared in
//! the order of the requests, so that the result does not depend on the number of jobs.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use super::agreement::Agreement;
use super::feed::Step;
use super::outcomes;
use crate::trace::event::Header;
use crate::trace::outcome;
use iova::kernel::{Allocator, ConfigError, DomainConfig};
use iova::measure::record::{SampledRecord, TrafficRecord};
use iova::measure::traffic::Traffic;
use iova::measure::{Decision, Difference, Figures, Sampler, Sampling, Summary};
use iova::replay::{Replay, Undone};

/// Requests a batch: enough to make handing them over cheap, few enough to stay in a cache.
const BATCH: usize = 1024;

/// How many batches the reader may be ahead of the slowest lane.
const AHEAD: usize = 4;

/// An allocator on its way through a stream, and those who watch it. Its outcome stream goes
/// to a `W`.
pub struct Lane<W: Write> {
    allocator: Allocator,
    replay: Replay,
    summary: Summary,
    agreement: Option<Agreement>,
    sampler: Option<(Sampling, Sampler)>,
    outcomes: Option<outcome::Writer<W>>,
    undone: Option<Undone>,
}

/// What came of a stream.
#[derive(Debug)]
pub struct Replayed {
    /// Events read, all of which were checked.
    pub events: u64,
    /// An allocator each, in the order of the lanes.
    pub rows: Vec<Row>,
    /// How each allocator after the first differs from the first.
    pub differences: Vec<Difference>,
    /// What was asked for, where a lane was sampled.
    pub traffic: Option<TrafficRecord>,
}

/// What came of one allocator.
#[derive(Debug)]
pub struct Row {
    pub allocator: Allocator,
    pub figures: Figures,
    /// How its answers compare with recorded ones, where that was asked for.
    pub agreement: Option<Agreement>,
    /// What was seen as time went by, where that was asked for.
    pub sampled: Option<SampledRecord>,
}

/// Why a stream was not replayed to its end.
#[derive(Debug)]
pub enum Stop<E> {
    /// The stream has an error.
    Stream(E),
    /// An outcome stream could not be written.
    Outcomes(io::Error),
}

impl<W: Write> Lane<W> {
    /// An allocator at the start of a trace with that header.
    ///
    /// # Errors
    ///
    /// If the allocator cannot have such domains.
    pub fn new(allocator: Allocator, header: &Header) -> Result<Lane<W>, ConfigError> {
        let config = DomainConfig::new(&allocator, header.domain_options())?;
        Ok(Lane {
            replay: Replay::new(config, header.cpus),
            allocator,
            summary: Summary::default(),
            agreement: None,
            sampler: None,
            outcomes: None,
            undone: None,
        })
    }

    /// The same lane, which compares its answers with recorded ones. The steps must come with
    /// their events.
    #[must_use]
    pub fn with_agreement(self) -> Lane<W> {
        let agreement = Some(Agreement::default());
        Lane { agreement, ..self }
    }

    /// The same lane, which samples its replay.
    #[must_use]
    pub fn with_sampling(self, sampling: Sampling) -> Lane<W> {
        let sampler = Sampler::new(sampling, self.replay.config());
        Lane {
            sampler: Some((sampling, sampler)),
            ..self
        }
    }

    /// The same lane, which writes its outcome stream.
    #[must_use]
    pub fn with_outcomes(self, out: W) -> Lane<W> {
        let outcomes = Some(outcome::Writer::new(out));
        Lane { outcomes, ..self }
    }

    /// Replays a batch. Fewer decisions than requests come back where the lane ends in it.
    fn run(&mut self, batch: &[Step]) -> io::Result<Vec<Decision>> {
        let mut decisions = Vec::with_capacity(batch.len());
        for step in batch {
            if self.undone.is_some() {
                break;
            }
            decisions.extend(self.apply(step)?);
        }
        Ok(decisions)
    }

    fn apply(&mut self, step: &Step) -> io::Result<Option<Decision>> {
        let Step { request, event } = step;
        let number = self.replay.applied();
        let answer = match self.replay.apply(request) {
            Ok(answer) => answer,
            Err(undone) => {
                self.undone = Some(undone);
                if let Some(out) = &mut self.outcomes {
                    out.undone(undone.event, undone.finding.name())?;
                }
                return Ok(None);
            }
        };
        let decision = Decision::of(&self.replay, request, answer);
        self.summary
            .observe(&self.replay, request, answer, decision);
        if let Some((_, sampler)) = &mut self.sampler {
            sampler.observe(&self.replay, request, answer, decision);
        }
        if let (Some(agreement), Some(event)) = (&mut self.agreement, event) {
            agreement.observe(number, event, decision);
        }
        if let Some(out) = &mut self.outcomes {
            out.write(&outcomes::line(number, &self.replay, request, answer))?;
        }
        Ok(Some(decision))
    }

    fn finish(self) -> io::Result<(Row, Option<W>)> {
        let row = Row {
            figures: self.summary.finish(&self.replay, self.undone),
            allocator: self.allocator,
            agreement: self.agreement,
            sampled: self
                .sampler
                .map(|(_, sampler)| sampler.finish(&self.replay)),
        };
        let out = self.outcomes.map(outcome::Writer::finish).transpose()?;
        Ok((row, out))
    }
}

/// Replays a stream in all lanes, on up to `jobs` threads beside the one that reads.
///
/// `read` puts the next step in the place of what it is given, and gives false after the last.
///
/// Beside the result the lanes' outcome streams come back, complete.
///
/// # Errors
///
/// If the stream has an error, or an outcome stream cannot be written. What was written until
/// then is incomplete.
pub fn replay<W: Write + Send, E>(
    mut lanes: Vec<Lane<W>>,
    read: impl FnMut(&mut Step) -> Result<bool, E>,
    jobs: NonZeroUsize,
) -> Result<(Replayed, Vec<Option<W>>), Stop<E>> {
    let mut comparison = Comparison::new(&lanes);
    if jobs.get() == 1 {
        for_each_batch(read, |batch| {
            let decisions: io::Result<Vec<_>> =
                lanes.iter_mut().map(|lane| lane.run(&batch)).collect();
            comparison.add(&batch, &decisions?);
            Ok(Some(batch))
        })?;
    } else {
        lanes = on_threads(lanes, read, jobs, &mut comparison)?;
    }
    let finished: io::Result<Vec<_>> = lanes.into_iter().map(Lane::finish).collect();
    let (rows, outcomes) = finished.map_err(Stop::Outcomes)?.into_iter().unzip();
    let replayed = Replayed {
        events: comparison.events,
        rows,
        differences: comparison.differences,
        traffic: comparison.traffic.map(Traffic::finish),
    };
    Ok((replayed, outcomes))
}

/// Reads all steps, in batches; `take` gives back what may be used again.
fn for_each_batch<E>(
    mut read: impl FnMut(&mut Step) -> Result<bool, E>,
    mut take: impl FnMut(Vec<Step>) -> io::Result<Option<Vec<Step>>>,
) -> Result<(), Stop<E>> {
    let mut spare = None;
    loop {
        let mut batch: Vec<Step> = spare.take().unwrap_or_default();
        batch.resize_with(BATCH, Step::default);
        let mut count = 0;
        while count < BATCH && read(&mut batch[count]).map_err(Stop::Stream)? {
            count += 1;
        }
        batch.truncate(count);
        if batch.is_empty() {
            return Ok(());
        }
        spare = take(batch).map_err(Stop::Outcomes)?;
    }
}

/// Answers of all lanes side by side, and what they answer.
struct Comparison {
    events: u64,
    differences: Vec<Difference>,
    traffic: Option<Traffic>,
}

impl Comparison {
    fn new<W: Write>(lanes: &[Lane<W>]) -> Comparison {
        let traffic = lanes.iter().find_map(|lane| {
            let (sampling, _) = lane.sampler.as_ref()?;
            Some(Traffic::new(lane.replay.config().granule(), sampling.every))
        });
        Comparison {
            events: 0,
            differences: vec![Difference::default(); lanes.len().saturating_sub(1)],
            traffic,
        }
    }

    /// Adds a batch and what each lane made of it.
    fn add(&mut self, batch: &[Step], decisions: &[Vec<Decision>]) {
        if let Some((first, others)) = decisions.split_first() {
            for (difference, other) in self.differences.iter_mut().zip(others) {
                let pairs = first.iter().zip(other).zip(batch);
                for (number, ((&first, &other), step)) in (self.events..).zip(pairs) {
                    difference.observe(number, &step.request, first, other);
                }
            }
        }
        if let Some(traffic) = &mut self.traffic {
            for step in batch {
                traffic.observe(&step.request);
            }
        }
        self.events += batch.len() as u64;
    }
}

type Batch = Arc<Vec<Step>>;
/// What each lane of a worker made of a batch.
type Made = io::Result<Vec<Vec<Decision>>>;

/// A thread with some of the lanes.
struct Worker<'scope, W: Write> {
    batches: SyncSender<Batch>,
    made: Receiver<Made>,
    thread: thread::ScopedJoinHandle<'scope, Vec<Lane<W>>>,
}

fn on_threads<W: Write + Send, E>(
    lanes: Vec<Lane<W>>,
    read: impl FnMut(&mut Step) -> Result<bool, E>,
    jobs: NonZeroUsize,
    comparison: &mut Comparison,
) -> Result<Vec<Lane<W>>, Stop<E>> {
    let share = lanes.len().div_ceil(jobs.get()).max(1);
    thread::scope(|scope| {
        let mut lanes = lanes.into_iter();
        let mut workers = Vec::new();
        loop {
            let some: Vec<Lane<W>> = lanes.by_ref().take(share).collect();
            if some.is_empty() {
                break;
            }
            workers.push(spawn(scope, some));
        }
        let mut pending = VecDeque::new();
        for_each_batch(read, |batch| {
            let batch = Arc::new(batch);
            for worker in &workers {
                // A worker that is gone has said why in its last answer.
                let _ = worker.batches.send(Arc::clone(&batch));
            }
            pending.push_back(batch);
            if pending.len() > AHEAD {
                return collect(&workers, &mut pending, comparison);
            }
            Ok(None)
        })?;
        while !pending.is_empty() {
            collect(&workers, &mut pending, comparison).map_err(Stop::Outcomes)?;
        }
        let lanes = workers.into_iter().flat_map(|worker| {
            drop(worker.batches);
            join(worker.thread)
        });
        Ok(lanes.collect())
    })
}

fn spawn<'scope, W: Write + Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    mut lanes: Vec<Lane<W>>,
) -> Worker<'scope, W> {
    let (batches, to_do) = sync_channel::<Batch>(AHEAD);
    let (done, made) = channel();
    let thread = scope.spawn(move || {
        for batch in to_do {
            let result: Made = lanes.iter_mut().map(|lane| lane.run(&batch)).collect();
            let failed = result.is_err();
            if done.send(result).is_err() || failed {
                break;
            }
        }
        lanes
    });
    Worker {
        batches,
        made,
        thread,
    }
}

/// Takes what all workers made of the oldest batch; gives the batch if nobody holds it.
fn collect<W: Write>(
    workers: &[Worker<'_, W>],
    pending: &mut VecDeque<Batch>,
    comparison: &mut Comparison,
) -> io::Result<Option<Vec<Step>>> {
    let Some(batch) = pending.pop_front() else {
        return Ok(None);
    };
    let mut decisions = Vec::new();
    for worker in workers {
        // A worker without an answer has panicked, which the end of the scope passes on.
        let made = worker.made.recv().map_err(io::Error::other)?;
        decisions.extend(made?);
    }
    comparison.add(&batch, &decisions);
    Ok(Arc::into_inner(batch))
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(lanes) => lanes,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iova::measure::testing::Script;

    /// A disk that is full after so many bytes.
    #[derive(Debug)]
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const JOBS: [usize; 3] = [1, 2, 9];

    fn lanes<W: Write>(out: impl Fn() -> W) -> Vec<Lane<W>> {
        let lane = |name: &str| {
            let allocator = name.parse().expect("an allocator");
            let lane = Lane::new(allocator, &Header::default());
            lane.expect("a domain").with_outcomes(out())
        };
        ["old", "new", "maple-2026"].map(lane).into()
    }

    fn jobs(jobs: usize) -> NonZeroUsize {
        NonZeroUsize::new(jobs).expect("at least one")
    }

    /// Many more requests than batches may wait.
    fn steps() -> Vec<Step> {
        let mut script = Script::default();
        for slot in 0..10_000 {
            script.alloc(slot, u64::from(slot % 40) + 1, 0xf_ffff);
        }
        let step = |request: &iova::replay::Request| Step {
            request: request.clone(),
            event: None,
        };
        script.requests().iter().map(step).collect()
    }

    /// Reads the steps, and then what `end` says.
    fn reading<E: Copy>(end: Result<bool, E>) -> impl FnMut(&mut Step) -> Result<bool, E> {
        let mut steps = steps().into_iter();
        move |step| match steps.next() {
            Some(next) => {
                *step = next;
                Ok(true)
            }
            None => end,
        }
    }

    #[test]
    fn every_lane_sees_every_request_in_order() {
        let run = |count| {
            let read = reading::<()>(Ok(false));
            let (replayed, outcomes) =
                replay(lanes(Vec::new), read, jobs(count)).expect("runs");
            let allocs: Vec<u64> = replayed.rows.iter().map(|row| row.figures.allocs).collect();
            assert_eq!((replayed.events, allocs), (10_000, vec![10_000; 3]));
            let compared = replayed.differences.iter().map(|it| it.compared);
            assert_eq!(compared.collect::<Vec<_>>(), [10_000; 2]);
            outcomes
        };
        let alone = run(1);
        assert!(JOBS.iter().all(|&count| run(count) == alone));
        assert!(
            alone
                .iter()
                .flatten()
                .all(|out| out.split(|&byte| byte == b'\n').count() == 10_001)
        );
    }

    #[test]
    fn an_error_in_the_stream_ends_all_lanes() {
        for count in JOBS {
            let read = reading(Err("cut short"));
            let stop = replay(lanes(Vec::new), read, jobs(count)).expect_err("an error");
            assert!(matches!(stop, Stop::Stream("cut short")));
        }
    }

    #[test]
    fn a_full_disk_ends_all_lanes() {
        for count in JOBS {
            let read = reading::<()>(Ok(false));
            let stop =
                replay(lanes(|| Disk(300_000)), read, jobs(count)).expect_err("an error");
            let Stop::Outcomes(error) = stop else {
                panic!("{stop:?}");
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}
