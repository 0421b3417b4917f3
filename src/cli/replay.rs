//! `replay`: traces against allocators.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use iova::kernel::{Allocator, DomainConfig, FlushQueue, Release};
use iovasim::report::result::Expected;
use iovasim::study::{
    self, Document, Observe, Observer, OutcomeWriter, RequestStream, Studied,
};
use iovasim::trace::compress::{Compression, Encoder};
use iovasim::trace::event::Header;
use iovasim::trace::read::Reader;

use super::common::{self, Allocators, Sampled, Terminal};
use super::files::{self, Output};
use super::kind;
use super::output::{self, Report, ResultForm, Tables};
use super::progress::Progress;
use super::status::{Failure, Verdict, say};
use super::traces::survey;

const EXAMPLE: &str = "\
Example, which runs in the repository: the effect of 5b61343b5059 (5.18) on a real bug report
  iovasim replay traces/mediatek-report.trace.jsonl.gz --allocator old,new";

/// Replay traces against one or more allocators
///
/// Every allocator serves the same requests and is compared with the first one. The report has the
/// answer and the failures. `--tables all` adds causes, search cost, rcaches, flush queues, and how
/// each allocator differs from the first.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLE, after_long_help = output::with_columns(EXAMPLE))]
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
    /// Compare with the answers of the recorded kernel (`got`), by domain; exit 1 if an address
    /// differs. Without --allocator, the release that the trace's `kernel` names is replayed
    #[arg(long)]
    check: bool,
    /// What `unmap` goes through, in place of what the trace says
    #[arg(long, value_name = "KIND", value_parser = common::flush_queue())]
    flush_queue: Option<FlushQueue>,
    /// PCI devices skip the 32-bit try, whatever the trace says
    #[arg(long)]
    forcedac: bool,
    #[command(flatten)]
    tables: Tables,
    #[command(flatten)]
    report: Report<ResultForm>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let traces: Vec<&Path> = args.traces.iter().map(PathBuf::as_path).collect();
    args.report.check(&traces)?;
    let named = args.allocators.named()?;
    if args.sampled.sampling().is_some() && !args.report.makes(ResultForm::Json)? {
        return Err(Failure::bad(
            "--sample records into the result: add -o FILE.json, or --format json",
        ));
    }
    if args.traces.len() > 1 {
        need_placeholder(args.outcomes.as_deref(), TRACE, "traces")?;
    }
    let mut done = Vec::new();
    let mut outputs = Vec::new();
    for trace in &args.traces {
        done.push(replay(
            args,
            trace,
            named.as_deref(),
            terminal,
            &mut outputs,
        )?);
    }
    for output in outputs {
        output.finish()?;
    }
    let results = done.iter().map(|it| it.result.clone()).collect();
    let document = Document::new(results);
    let none = vec![Expected::default(); done.len()];
    let to_stdout = !args.outcomes.as_deref().is_some_and(files::is_dash);
    args.report.write(terminal, to_stdout, |form, page| {
        output::set(form, page, args.tables, &document, &done, &none)
    })?;
    if args.check {
        verdict(&done)
    } else {
        Ok(Verdict::Done)
    }
}

/// Replays one trace. Files of outcomes are added to `outputs`, complete but for their names.
fn replay(
    args: &Args,
    trace: &Path,
    named: Option<&[Allocator]>,
    terminal: Terminal,
    outputs: &mut Vec<Output>,
) -> Result<Studied, Failure> {
    let file = files::input_name(trace);
    let input = files::open(trace)?;
    let mut progress = Progress::new(terminal.shows_progress(), input.size);
    let reader = Reader::new(&file, progress.count(input.bytes));
    let reader = reader.map_err(|error| kind::failure_unless(trace, "trace", error))?;
    let recorded = reader.header().clone();
    let header = replaced(&recorded, args);
    let allocators = match named {
        Some(named) => named.to_vec(),
        None => default_allocators(args.check, &file, &header)?,
    };
    for allocator in &allocators {
        DomainConfig::new(allocator, header.domain_options()).map_err(Failure::bad)?;
    }
    let before = outputs.len();
    begin_outcomes(args, trace, &allocators, outputs)?;
    let outputs = &outputs[before..];
    let mut writers = outcome_writers(outputs)?;
    let sampling = args.sampled.sampling();
    let observe = Observe {
        sampling: sampling.map(|it| survey(trace, &header, it)).transpose()?,
        agreement: args.check,
        observers: writers
            .iter_mut()
            .map(|it| it as &mut dyn Observer)
            .collect(),
    };
    let stream = RequestStream::new(&file, &recorded, reader).with_domains(&header);
    let stream = stream.inspect(|_| progress.event());
    let replayed = study::run(stream, &allocators, observe, terminal.jobs());
    let replayed = replayed.map_err(Failure::bad)?;
    for (output, writer) in outputs.iter().zip(writers) {
        let finished = writer.finish().and_then(Encoder::finish);
        finished.map_err(|error| output.failure(&error))?;
    }
    Ok(Studied::of_replay(&file, &header, replayed))
}

/// The header with what the command line says in its place.
fn replaced(header: &Header, args: &Args) -> Header {
    let queue = args.flush_queue;
    Header {
        flush_queue: queue.unwrap_or(header.flush_queue),
        forcedac: header.forcedac || args.forcedac,
        ..header.clone()
    }
}

/// `old` and `new`; with `--check` the release that recorded the trace, if its header names one.
fn default_allocators(
    check: bool,
    file: &str,
    header: &Header,
) -> Result<Vec<Allocator>, Failure> {
    let release = header.kernel.as_deref().and_then(release_in);
    match release.filter(|_| check) {
        Some(release) => Ok(vec![common::allocator(&format!("linux-{release}"))?]),
        None if check => {
            say(&format!(
                "{file}: the header names no kernel, so old and new are checked; --allocator \
                 checks the recorded release"
            ));
            common::old_and_new()
        }
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
    args: &Args,
    trace: &Path,
    allocators: &[Allocator],
    outputs: &mut Vec<Output>,
) -> Result<(), Failure> {
    let pattern = args.outcomes.as_deref();
    if allocators.len() > 1 {
        need_placeholder(pattern, ALLOCATOR, "allocators")?;
    }
    let Some(pattern) = pattern else {
        return Ok(());
    };
    let Some(pattern) = pattern.to_str() else {
        return Err(Failure::bad(format!(
            "--outcomes {}: not UTF-8",
            pattern.display()
        )));
    };
    let stem = stem(trace);
    let inputs: Vec<&Path> = args.traces.iter().map(PathBuf::as_path).collect();
    for allocator in allocators {
        let name = pattern
            .replace(ALLOCATOR, allocator.name())
            .replace(TRACE, &stem);
        let begun = outputs.iter().map(|output| Path::new(output.name()));
        let files = begun.chain([Path::new(&name)]);
        let mut options: Vec<_> = files.map(|file| ("--outcomes", Some(file))).collect();
        options.push(args.report.option());
        files::check_distinct(&inputs, &options)?;
        outputs.push(Output::begin(Path::new(&name))?);
    }
    Ok(())
}

/// A trace's file name without its folder and all that follows the first dot.
fn stem(trace: &Path) -> String {
    let name = trace.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

type Encoded = Encoder<Box<dyn Write + Send>>;

/// A writer for each allocator's outcomes, if any are wanted.
fn outcome_writers(outputs: &[Output]) -> Result<Vec<OutcomeWriter<Encoded>>, Failure> {
    let writer = |output: &Output| {
        let compression = Compression::of_name(output.name());
        let encoder = Encoder::new(output.writer()?, compression);
        let encoder = encoder.map_err(|error| output.failure(&error))?;
        Ok(OutcomeWriter::new(encoder))
    };
    outputs.iter().map(writer).collect()
}

/// The verdict of `--check`.
fn verdict(done: &[Studied]) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::Done;
    for one in done {
        let file = one.result.file.as_deref().unwrap_or_default();
        let runs = &one.result.runs;
        let checks = || {
            runs.iter()
                .filter_map(|run| Some((run, run.check.as_ref()?)))
        };
        if checks().all(|(run, it)| it.compared == 0 && run.aborted.is_none()) {
            return Err(Failure::bad(format!(
                "{file}: --check: no event has the recorded kernel's answer (`got`)"
            )));
        }
        for (run, check) in checks() {
            if let Some(first) = &check.first_disagreement {
                say(&format!(
                    "{file}: the answer of {} to event {} is not the recorded one",
                    run.allocator, first.event
                ));
                verdict = Verdict::Failed;
            }
        }
    }
    Ok(verdict)
}
