//! `replay`: traces against allocators.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use iova::kernel::{Allocator, FlushQueue, Release};
use iovasim::report::{self, Page, Subject};
use iovasim::study::{self, Feed, Lane, Replayed, Step, Stop};
use iovasim::trace::compress::{Compression, Encoder};
use iovasim::trace::event::Header;
use iovasim::trace::read::Reader;

use super::common::{self, Allocators, Format, Report, Sampled, Terminal};
use super::files::{self, Output};
use super::progress::Progress;
use super::status::{Failure, Verdict, say};

/// Replay traces against one or more allocators
///
/// Every allocator gets the same requests, and is compared with the first one named. The
/// report has the failures and their causes, the cost of the searches, what the caches and
/// flush queues did, what was found broken, and what differs.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example, which runs in the repository: what the change of 5.18 did for a real report
  iovasim replay traces/mediatek-report.trace.jsonl.gz --allocator old,new")]
pub(crate) struct Args {
    /// Traces, plain or compressed; `-` is standard input
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    #[command(flatten)]
    allocators: Allocators,
    #[command(flatten)]
    sampled: Sampled,
    /// Write each event's outcome to FILE as JSON lines; `-` is standard output, which then has
    /// no report. With several allocators or traces FILE must contain {allocator} or {trace}
    #[arg(long, value_name = "FILE")]
    outcomes: Option<PathBuf>,
    /// Compare with what the recorded kernel answered (`got`); exit 1 on a difference. Without
    /// --allocator the release that the trace's `kernel` names is replayed
    #[arg(long)]
    check: bool,
    /// What `unmap` goes through, in place of what the trace says
    #[arg(long, value_name = "KIND", value_parser = common::flush_queue())]
    flush_queue: Option<FlushQueue>,
    /// PCI devices skip the 32-bit try, whatever the trace says
    #[arg(long)]
    forcedac: bool,
    #[command(flatten)]
    report: Report,
}

/// What came of one trace.
struct Done {
    file: String,
    header: Header,
    digest: String,
    replayed: Replayed,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let named = args.allocators.named()?;
    if args.sampled.sampling().is_some() && args.report.format != Format::Json {
        return Err(Failure::bad(
            "--sample records into the document: add --format json",
        ));
    }
    if args.traces.len() > 1 {
        need_placeholder(args.outcomes.as_deref(), TRACE, "traces")?;
    }
    let mut done = Vec::new();
    let mut outputs = Vec::new();
    for trace in &args.traces {
        let (one, written) = replay(args, trace, named.as_deref(), terminal)?;
        done.push(one);
        outputs.extend(written);
    }
    for output in outputs {
        output.finish()?;
    }
    let to_stdout = args.report.output.as_deref().is_none_or(files::is_dash);
    if !(to_stdout && args.outcomes.as_deref().is_some_and(files::is_dash)) {
        let text = set(
            &done,
            args.report.format,
            terminal.page(args.report.output.as_deref()),
        );
        files::write_text(args.report.output.as_deref(), &text)?;
    }
    if args.check {
        verdict(&done)
    } else {
        Ok(Verdict::Done)
    }
}

/// Replays one trace; the outcome files that come back are complete but for their names.
fn replay(
    args: &Args,
    trace: &Path,
    named: Option<&[Allocator]>,
    terminal: Terminal,
) -> Result<(Done, Vec<Output>), Failure> {
    let file = files::input_name(trace);
    let input = files::open(trace)?;
    let mut progress = Progress::new(terminal.shows_progress(), input.size);
    let reader = Reader::new(&file, progress.count(input.bytes)).map_err(Failure::bad)?;
    let recorded = reader.header().clone();
    let header = replaced(&recorded, args);
    let allocators = match named {
        Some(named) => named.to_vec(),
        None => default_allocators(args.check, &header)?,
    };
    let lanes = lanes(allocators.clone(), &header, args)?;
    let mut outputs = begin_outcomes(args.outcomes.as_deref(), trace, &allocators)?;
    let lanes = with_outcomes(lanes, &outputs)?;
    let mut feed = Feed::new(&file, &recorded, reader);
    if args.check {
        feed = feed.with_events();
    }
    let read = |step: &mut Step| {
        progress.event();
        feed.read(step)
    };
    let replayed = study::replay(lanes, read, terminal.jobs());
    let (replayed, written) = replayed.map_err(|stop| match stop {
        Stop::Stream(error) => Failure::bad(error),
        Stop::Outcomes(error) => {
            Failure::write(outputs.first().map_or("", Output::name), &error)
        }
    })?;
    for (output, encoder) in outputs.iter_mut().zip(written.into_iter().flatten()) {
        encoder.finish().map_err(|error| output.failure(&error))?;
    }
    let done = Done {
        file,
        header,
        digest: feed.digest().to_string(),
        replayed,
    };
    Ok((done, outputs))
}

/// The header with what the command line says in its place.
fn replaced(header: &Header, args: &Args) -> Header {
    Header {
        flush_queue: args.flush_queue.unwrap_or(header.flush_queue),
        forcedac: header.forcedac || args.forcedac,
        ..header.clone()
    }
}

/// `old` and `new`; with `--check` the release that recorded the trace, where it says so.
fn default_allocators(check: bool, header: &Header) -> Result<Vec<Allocator>, Failure> {
    let release = header.kernel.as_deref().and_then(release_in);
    match release.filter(|_| check) {
        Some(release) => Ok(vec![common::allocator(&format!("linux-{release}"))?]),
        None => common::old_and_new(),
    }
}

/// The release that a kernel's version names: 6.1 in `Linux version 6.1.0-49-amd64`.
fn release_in(kernel: &str) -> Option<Release> {
    let words = kernel.split(|c: char| !c.is_ascii_digit() && c != '.');
    let mut versions = words.filter_map(|word| {
        let mut numbers = word.split('.');
        Release::parse(&format!("{}.{}", numbers.next()?, numbers.next()?))
    });
    versions.next()
}

const ALLOCATOR: &str = "{allocator}";
const TRACE: &str = "{trace}";

/// That a pattern names a file each for several things.
fn need_placeholder(
    pattern: Option<&Path>,
    placeholder: &str,
    what: &str,
) -> Result<(), Failure> {
    match pattern {
        Some(pattern) if !pattern.to_string_lossy().contains(placeholder) => {
            Err(Failure::bad(format!(
                "--outcomes {}: several {what} cannot share a file; expected {placeholder} in its \
                 name",
                pattern.display(),
            )))
        }
        _ => Ok(()),
    }
}

/// Begins a file for each allocator's outcomes, if any are wanted.
fn begin_outcomes(
    pattern: Option<&Path>,
    trace: &Path,
    allocators: &[Allocator],
) -> Result<Vec<Output>, Failure> {
    if allocators.len() > 1 {
        need_placeholder(pattern, ALLOCATOR, "allocators")?;
    }
    let Some(pattern) = pattern else {
        return Ok(Vec::new());
    };
    let Some(pattern) = pattern.to_str() else {
        return Err(Failure::bad(format!(
            "--outcomes {}: not UTF-8",
            pattern.display()
        )));
    };
    let stem = stem(trace);
    let begin = |allocator: &Allocator| {
        let name = pattern
            .replace(ALLOCATOR, allocator.name())
            .replace(TRACE, &stem);
        Output::begin(Path::new(&name))
    };
    allocators.iter().map(begin).collect()
}

/// A trace's file name without its folder and all that follows the first dot.
fn stem(trace: &Path) -> String {
    let name = trace.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

type Encoded = Encoder<Box<dyn Write + Send>>;

fn lanes(
    allocators: Vec<Allocator>,
    header: &Header,
    args: &Args,
) -> Result<Vec<Lane<Encoded>>, Failure> {
    let lane = |allocator| {
        let mut lane = Lane::new(allocator, header).map_err(Failure::bad)?;
        if args.check {
            lane = lane.with_agreement();
        }
        if let Some(sampling) = args.sampled.sampling() {
            lane = lane.with_sampling(sampling);
        }
        Ok(lane)
    };
    allocators.into_iter().map(lane).collect()
}

/// Adds an outcome file to each lane, if there are such files.
fn with_outcomes(
    lanes: Vec<Lane<Encoded>>,
    outputs: &[Output],
) -> Result<Vec<Lane<Encoded>>, Failure> {
    if outputs.is_empty() {
        return Ok(lanes);
    }
    let lane = |(lane, output): (Lane<Encoded>, &Output)| {
        let compression = Compression::of_name(output.name());
        let encoder = Encoder::new(output.writer()?, compression);
        Ok(lane.with_outcomes(encoder.map_err(|error| output.failure(&error))?))
    };
    lanes.into_iter().zip(outputs).map(lane).collect()
}

fn set(done: &[Done], format: Format, page: Page) -> String {
    let subjects: Vec<Subject<'_>> = done
        .iter()
        .map(|one| Subject {
            file: &one.file,
            header: &one.header,
            digest: &one.digest,
            events: one.replayed.events,
            rows: &one.replayed.rows,
            differences: &one.replayed.differences,
            traffic: one.replayed.traffic.as_ref(),
        })
        .collect();
    match format {
        Format::Json => report::json::text(&subjects),
        Format::Text => {
            let pages = subjects.iter().map(|it| report::replayed::text(it, page));
            pages.collect::<Vec<_>>().join("\n\n")
        }
    }
}

/// What `--check` found.
fn verdict(done: &[Done]) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::Done;
    for one in done {
        let rows = &one.replayed.rows;
        let agreements = || {
            rows.iter()
                .filter_map(|row| Some((row, row.agreement.as_ref()?)))
        };
        if agreements().all(|(row, it)| it.compared == 0 && row.figures.undone.is_none()) {
            return Err(Failure::bad(format!(
                "{}: --check: no event says what the recorded kernel answered (`got`)",
                one.file
            )));
        }
        for (row, agreement) in agreements() {
            if let Some(first) = &agreement.first {
                say(&format!(
                    "{}: {} answers event {} otherwise than the recorded kernel",
                    one.file, row.allocator, first.event
                ));
                verdict = Verdict::Failed;
            }
        }
    }
    Ok(verdict)
}
