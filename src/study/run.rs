//! The one function that replays a stream of requests against allocators, in step: every request
//! is read once and given to all of them, and their answers are compared while they are at hand.
//!
//! Requests go in batches. With one job the allocators take turns on each batch; with more they
//! run on threads, a few batches behind the reader. Either way the answers are compared in the
//! order of the requests, so the result does not depend on the number of jobs.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use super::Error;
use super::agreement::{Agreement, Tally};
use super::stream::{Events, RequestStream, Step};
use crate::trace::event::Header;
use iova::kernel::Answer;
use iova::kernel::{Allocator, ConfigError, DomainConfig};
use iova::measure::cause::Judge;
use iova::measure::record::{SampledRecord, TrafficRecord};
use iova::measure::traffic::Traffic;
use iova::measure::{Decision, Difference, Sampler, Sampling, Summary, Survey, Totals};
use iova::replay::{Aborted, Replay, Request};

/// Requests a batch: enough to make handing them over cheap, few enough to stay in a cache.
const BATCH: usize = 1024;

/// How many batches the reader may be ahead of the slowest allocator.
const AHEAD: usize = 4;

/// Watches the answers of one allocator. `Break` ends the replay of all.
pub trait Observer: Send {
    /// `replay` has answered event `number`, counted from 0.
    fn answered(
        &mut self,
        number: u64,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
    ) -> ControlFlow<()>;

    /// The kernel would have crashed or hung: this replay has ended.
    fn aborted(&mut self, aborted: Aborted) -> ControlFlow<()>;
}

/// What is observed beside the totals.
#[derive(Default)]
pub struct Observe<'a> {
    /// Samples the address space of each allocator, and the requests.
    pub sampling: Option<Sampling>,
    /// Compares the answers with those that the events carry.
    pub agreement: bool,
    /// An observer for each allocator, in their order; those that are missing are not watched.
    pub observers: Vec<&'a mut dyn Observer>,
}

/// The result of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// Events read, all of which were checked.
    pub events: u64,
    /// The hash of the trace.
    pub hash: String,
    /// The run of each allocator, in their order.
    pub runs: Vec<FinishedRun>,
    /// How each allocator after the first differs from the first.
    pub differences: Vec<Difference>,
    /// What the callers asked for, if the replay was sampled.
    pub traffic: Option<TrafficRecord>,
}

/// The result of one allocator.
#[derive(Debug)]
pub struct FinishedRun {
    /// The allocator.
    pub allocator: Allocator,
    /// What its replay adds up to.
    pub totals: Totals,
    /// How many recorded answers there are, and how many it gave too.
    pub tally: Tally,
    /// The comparison with recorded answers, by domain, if it was asked for.
    pub agreement: Option<Agreement>,
    /// What was sampled, if it was asked for.
    pub sampled: Option<SampledRecord>,
}

/// Replays a stream against allocators, on up to `jobs` threads beside the one that reads.
///
/// If an observer ends the replay, the result is that of the events until then.
///
/// # Errors
///
/// If an allocator cannot have the domains of the stream, or the stream has an error.
pub fn run<I: Events>(
    stream: RequestStream<I>,
    allocators: &[Allocator],
    observe: Observe<'_>,
    jobs: NonZeroUsize,
) -> Result<Replayed, Error> {
    let Observe {
        sampling,
        agreement,
        observers,
    } = observe;
    let mut stream = stream.keeping_events(agreement);
    let mut observers = observers.into_iter();
    let runs = allocators.iter().map(|allocator| {
        Ok(AllocatorRun {
            agreement: agreement.then(Agreement::default),
            observer: observers.next(),
            ..AllocatorRun::new(allocator, stream.domains(), sampling)?
        })
    });
    let runs = runs.collect::<Result<Vec<AllocatorRun<'_>>, ConfigError>>()?;
    let mut comparison = Comparison::new(&runs, stream.domains(), sampling);
    let runs = on_threads(runs, &mut stream, jobs, &mut comparison)?;
    Ok(Replayed {
        events: comparison.events,
        hash: stream.digest().to_string(),
        runs: runs.into_iter().map(AllocatorRun::finish).collect(),
        differences: comparison.differences,
        traffic: comparison.traffic.map(Traffic::finish),
    })
}

/// Reads a whole stream to complete `sampling`: the window of most requests.
///
/// # Errors
///
/// If the stream has an error.
pub fn survey<I: Events>(
    mut stream: RequestStream<I>,
    sampling: Sampling,
) -> Result<Sampling, Error> {
    let header = stream.domains();
    let mut survey = Survey::new(header.granule, header.forcedac);
    let mut step = Step::default();
    while stream.read(&mut step)? {
        survey.observe(&step.request);
    }
    Ok(survey.complete(sampling))
}

/// An allocator on its way through a stream, and what watches it.
struct AllocatorRun<'a> {
    allocator: Allocator,
    replay: Replay,
    summary: Summary,
    tally: Tally,
    agreement: Option<Agreement>,
    sampler: Option<Sampler>,
    observer: Option<&'a mut dyn Observer>,
    judge: Judge,
    aborted: Option<Aborted>,
}

impl AllocatorRun<'_> {
    fn new(
        allocator: &Allocator,
        header: &Header,
        sampling: Option<Sampling>,
    ) -> Result<AllocatorRun<'static>, ConfigError> {
        let config = DomainConfig::new(allocator, header.domain_options())?;
        let replay = Replay::new(config, header.cpus);
        Ok(AllocatorRun {
            allocator: allocator.clone(),
            summary: Summary::default(),
            tally: Tally::default(),
            agreement: None,
            sampler: sampling.map(|sampling| Sampler::new(sampling, replay.config())),
            replay,
            observer: None,
            judge: Judge::default(),
            aborted: None,
        })
    }

    /// Replays a batch. Fewer decisions than requests come back if the run ends in it; none if
    /// the observer ends the replay.
    fn replay(&mut self, batch: &[Step]) -> Option<Vec<Decision>> {
        let mut decisions = Vec::with_capacity(batch.len());
        for step in batch {
            if self.aborted.is_some() {
                break;
            }
            match self.apply(step) {
                ControlFlow::Continue(decision) => decisions.extend(decision),
                ControlFlow::Break(()) => return None,
            }
        }
        Some(decisions)
    }

    fn apply(&mut self, step: &Step) -> ControlFlow<(), Option<Decision>> {
        let Step {
            request,
            recorded,
            event,
        } = step;
        let number = self.replay.applied();
        let answer = match self.replay.apply(request) {
            Ok(answer) => answer,
            Err(aborted) => {
                self.aborted = Some(aborted);
                if let Some(observer) = &mut self.observer {
                    observer.aborted(aborted)?;
                }
                return ControlFlow::Continue(None);
            }
        };
        let decision = Decision::of(&mut self.judge, &self.replay, request, answer);
        self.summary
            .observe(&self.replay, request, answer, decision);
        if let Some(sampler) = &mut self.sampler {
            sampler.observe(&self.replay, request, answer, decision);
        }
        self.tally.observe(*recorded, decision);
        if let (Some(agreement), Some(event)) = (&mut self.agreement, event) {
            agreement.observe(number, event, decision);
        }
        if let Some(observer) = &mut self.observer {
            observer.answered(number, &self.replay, request, answer)?;
        }
        ControlFlow::Continue(Some(decision))
    }

    fn finish(self) -> FinishedRun {
        FinishedRun {
            totals: self.summary.finish(&self.replay, self.aborted),
            allocator: self.allocator,
            tally: self.tally,
            agreement: self.agreement,
            sampled: self.sampler.map(|sampler| sampler.finish(&self.replay)),
        }
    }
}

/// Reads all steps, in batches. `take` gives back what may be used again, or, where it gives
/// `None`, ends the reading.
fn for_each_batch<I: Events>(
    stream: &mut RequestStream<I>,
    mut take: impl FnMut(Vec<Step>) -> Option<Vec<Step>>,
) -> Result<(), Error> {
    let mut spare = Vec::new();
    loop {
        let mut batch: Vec<Step> = spare;
        batch.resize_with(BATCH, Step::default);
        let mut count = 0;
        while count < BATCH && stream.read(&mut batch[count])? {
            count += 1;
        }
        batch.truncate(count);
        if batch.is_empty() {
            return Ok(());
        }
        spare = match take(batch) {
            Some(spare) => spare,
            None => return Ok(()),
        };
    }
}

/// The answers of all allocators side by side, and the requests.
struct Comparison {
    events: u64,
    differences: Vec<Difference>,
    traffic: Option<Traffic>,
}

impl Comparison {
    fn new(
        runs: &[AllocatorRun<'_>],
        header: &Header,
        sampling: Option<Sampling>,
    ) -> Comparison {
        Comparison {
            events: 0,
            differences: vec![Difference::default(); runs.len().saturating_sub(1)],
            traffic: sampling.map(|it| Traffic::new(header.granule, it.every)),
        }
    }

    /// Adds a batch and what each allocator decided.
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
/// The decisions of each run of a worker on a batch; none if an observer ends the replay.
type Decisions = Option<Vec<Vec<Decision>>>;

/// A thread that replays the runs it is given.
struct Worker<'scope, 'a> {
    runs: SyncSender<Vec<AllocatorRun<'a>>>,
    batches: SyncSender<Batch>,
    decided: Receiver<Decisions>,
    thread: thread::ScopedJoinHandle<'scope, Vec<AllocatorRun<'a>>>,
}

/// Replays on up to `jobs` threads, or on this one if the system has no other.
fn on_threads<'a, I: Events>(
    runs: Vec<AllocatorRun<'a>>,
    stream: &mut RequestStream<I>,
    jobs: NonZeroUsize,
    comparison: &mut Comparison,
) -> Result<Vec<AllocatorRun<'a>>, Error> {
    if jobs.get() == 1 {
        return on_this_thread(runs, stream, comparison);
    }
    thread::scope(|scope| {
        let workers = 0..jobs.get().min(runs.len());
        let workers: Vec<Worker<'_, '_>> = workers.map_while(|_| spawn(scope).ok()).collect();
        if workers.is_empty() {
            return on_this_thread(runs, stream, comparison);
        }
        let share = runs.len().div_ceil(workers.len());
        let mut runs = runs.into_iter();
        for worker in &workers {
            // A worker that is gone has panicked, which `join` passes on.
            let _ = worker.runs.send(runs.by_ref().take(share).collect());
        }
        let mut pending = VecDeque::new();
        for_each_batch(stream, |batch| {
            let batch = Arc::new(batch);
            for worker in &workers {
                // The last answer of a worker that is gone ends the replay.
                let _ = worker.batches.send(Arc::clone(&batch));
            }
            pending.push_back(batch);
            if pending.len() > AHEAD {
                return collect(&workers, &mut pending, comparison);
            }
            Some(Vec::new())
        })?;
        while !pending.is_empty() && collect(&workers, &mut pending, comparison).is_some() {}
        let runs = workers.into_iter().flat_map(|worker| {
            drop(worker.batches);
            join(worker.thread)
        });
        Ok(runs.collect())
    })
}

fn on_this_thread<'a, I: Events>(
    mut runs: Vec<AllocatorRun<'a>>,
    stream: &mut RequestStream<I>,
    comparison: &mut Comparison,
) -> Result<Vec<AllocatorRun<'a>>, Error> {
    for_each_batch(stream, |batch| {
        let decisions: Decisions = runs.iter_mut().map(|run| run.replay(&batch)).collect();
        comparison.add(&batch, &decisions?);
        Some(batch)
    })?;
    Ok(runs)
}

fn spawn<'scope, 'a: 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
) -> io::Result<Worker<'scope, 'a>> {
    let (give, given) = sync_channel::<Vec<AllocatorRun<'a>>>(1);
    let (batches, to_do) = sync_channel::<Batch>(AHEAD);
    let (done, decided) = channel();
    let thread = thread::Builder::new().spawn_scoped(scope, move || {
        let mut runs = given.recv().unwrap_or_default();
        for batch in to_do {
            let decisions: Decisions = runs.iter_mut().map(|run| run.replay(&batch)).collect();
            let ended = decisions.is_none();
            if done.send(decisions).is_err() || ended {
                break;
            }
        }
        runs
    })?;
    Ok(Worker {
        runs: give,
        batches,
        decided,
        thread,
    })
}

/// Adds what all workers decided on the oldest batch, and gives its memory back; `None` if one
/// of them has ended.
fn collect(
    workers: &[Worker<'_, '_>],
    pending: &mut VecDeque<Batch>,
    comparison: &mut Comparison,
) -> Option<Vec<Step>> {
    let batch = pending.pop_front()?;
    let mut decisions = Vec::new();
    for worker in workers {
        // A worker without an answer has panicked, which `join` passes on.
        decisions.extend(worker.decided.recv().ok().flatten()?);
    }
    comparison.add(&batch, &decisions);
    Some(Arc::into_inner(batch).unwrap_or_default())
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(runs) => runs,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::OutcomeWriter;
    use crate::study::stream::GeneratedEvents;
    use crate::trace::event::{Event, Op};
    use iova::op::{Got, Path};
    use iova::units::{Cpu, Nanos, Pages, Pfn};
    use std::io::Write;

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
    const ALLOCATORS: [&str; 3] = ["old", "new", "maple-2026"];

    /// Many more requests than batches may wait; the last is of an id that is live, if `bad`.
    fn stream(bad: bool) -> RequestStream<impl Events> {
        let alloc = move |number: u64| Event {
            at: Nanos(0),
            cpu: Cpu(0),
            dom: 0,
            op: Op::Alloc {
                id: if bad && number == 9_999 { 0 } else { number },
                pages: Pages(number % 40 + 1),
                limit: Pfn(0xf_ffff),
                path: Path::Fast { flush: true },
                got: Got::Unrecorded,
            },
        };
        let events = GeneratedEvents::new((0..10_000).map(alloc));
        RequestStream::new("a trace", &Header::default(), events)
    }

    /// Replays the stream with outcomes written to what `out` makes.
    fn outcomes<W: Write + Send>(
        bad: bool,
        jobs: usize,
        out: impl Fn() -> W,
    ) -> (Result<Replayed, Error>, Vec<io::Result<W>>) {
        let allocators = ALLOCATORS.map(|name| name.parse().expect("an allocator"));
        let mut writers = ALLOCATORS.map(|_| OutcomeWriter::new(out()));
        let observe = Observe {
            observers: writers
                .iter_mut()
                .map(|it| it as &mut dyn Observer)
                .collect(),
            ..Observe::default()
        };
        let jobs = NonZeroUsize::new(jobs).expect("at least one");
        let replayed = run(stream(bad), &allocators, observe, jobs);
        (
            replayed,
            writers.into_iter().map(OutcomeWriter::finish).collect(),
        )
    }

    #[test]
    fn every_allocator_sees_every_request_in_order() {
        let run = |jobs| -> Vec<Vec<u8>> {
            let (replayed, outcomes) = outcomes(false, jobs, Vec::new);
            let replayed = replayed.expect("runs");
            let allocs: Vec<u64> = replayed.runs.iter().map(|run| run.totals.allocs).collect();
            assert_eq!((replayed.events, allocs), (10_000, vec![10_000; 3]));
            let compared = replayed.differences.iter().map(|it| it.compared);
            assert_eq!(compared.collect::<Vec<_>>(), [10_000; 2]);
            outcomes.into_iter().map(|it| it.expect("memory")).collect()
        };
        let alone = run(1);
        assert!(JOBS.iter().all(|&jobs| run(jobs) == alone));
        let lines = |out: &Vec<u8>| out.split(|&byte| byte == b'\n').count();
        assert!(alone.iter().all(|out| lines(out) == 10_001));
    }

    #[test]
    fn an_error_in_the_stream_ends_all_runs() {
        for jobs in JOBS {
            let (replayed, _) = outcomes(true, jobs, Vec::new);
            let error = replayed.expect_err("an error").to_string();
            assert!(error.starts_with("a trace"), "{error}");
        }
    }

    #[test]
    fn a_full_disk_ends_all_runs() {
        for jobs in JOBS {
            let (replayed, outcomes) = outcomes(false, jobs, || Disk(300_000));
            assert!(replayed.expect("no error of the stream").events < 10_000);
            let error = outcomes
                .into_iter()
                .find_map(Result::err)
                .expect("an error");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}
