//! `shrink`: the smallest trace that still shows something.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::Args as ClapArgs;
use iovasim::diagnose::predicate::{self, Predicate};
use iovasim::diagnose::shrink::{self, Workers};
use iovasim::report::number::{counted, grouped};

use super::common::Terminal;
use super::status::{Failure, Verdict};
use super::traces::{FORMS, TraceWriter};
use super::{files, loaded};

/// Shrink a trace to the fewest events that still show something
///
/// Removes domains, devices, CPUs, then allocations with their frees, until no removal of one keeps
/// the predicate; then makes CPUs, times, sizes, limits and restored states simple. The result is
/// the same for any number of threads.
#[derive(Debug, ClapArgs)]
#[command(after_help = format!("Predicates:\n{}\n\n{FORMS}\n\n\
Example, which runs in the repository: the smallest trace that 5.17 refuses and 5.18 grants
  iovasim shrink scenarios/founding-stress.json --keep 'fails:old,!new'",
  predicate::FORMS.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")))]
pub(crate) struct Args {
    /// The trace, in any form, or a scenario (.json); `-` is a trace on standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// What the trace must show
    #[arg(short, long, value_name = "PREDICATE", value_parser = parse)]
    keep: Predicate,
    /// The most candidates to replay
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    budget: u64,
    /// The seed of a scenario [default: the scenario's first]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Output file; its name selects the format
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

fn parse(text: &str) -> Result<Predicate, String> {
    text.parse()
        .map_err(|error: predicate::Error| error.to_string())
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    files::check_distinct(&[&args.trace], &[("-o", Some(&args.output))])?;
    let loaded = loaded::read(&args.trace, args.seed, terminal)?;
    let name = loaded.name;
    let threads = Threads {
        jobs: terminal.jobs(),
        shows: terminal.shows_progress(),
    };
    let shrunk = shrink::shrink(&loaded.requests, &args.keep, args.budget, &threads);
    threads.wipe();
    let shrunk = shrunk.map_err(|error| Failure::bad(format!("{name}: {error}")))?;
    let mut header = shrunk.requests.header.clone();
    header.source = Some(format!("shrunk from {name}: {}", args.keep));
    let mut writer = TraceWriter::begin(&args.output, &header)?;
    for event in shrunk.requests.events() {
        writer.write(&event)?;
    }
    writer.finish()?;
    if !terminal.is_quiet() {
        let events = shrunk.requests.requests.len() as u64;
        files::write_to_stderr(&format!(
            "{} of {} still show {}, found in {}{}\n",
            grouped(events),
            counted(loaded.requests.requests.len() as u64, "event", "events"),
            args.keep,
            counted(shrunk.replays, "replay", "replays"),
            if shrunk.minimal {
                "; no single one of them can be left out"
            } else {
                "; the budget ended the search, so fewer may do (--budget)"
            }
        ));
    }
    Ok(Verdict::Done)
}

/// Tests candidates on threads, as many at a time as there are jobs.
struct Threads {
    jobs: NonZeroUsize,
    shows: bool,
}

impl Threads {
    fn wipe(&self) {
        if self.shows {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

impl Workers for Threads {
    fn first(&self, count: usize, holds: &(dyn Fn(usize) -> bool + Sync)) -> Option<usize> {
        let jobs = self.jobs.get();
        if jobs == 1 {
            return (0..count).find(|&number| holds(number));
        }
        for batch in (0..count).step_by(jobs) {
            let found: Vec<AtomicBool> = (0..jobs).map(|_| AtomicBool::new(false)).collect();
            thread::scope(|scope| {
                for (number, found) in (batch..count).zip(&found) {
                    scope.spawn(move || found.store(holds(number), Ordering::Relaxed));
                }
            });
            let first = found.iter().position(|it| it.load(Ordering::Relaxed));
            if let Some(index) = first {
                return Some(batch + index);
            }
        }
        None
    }

    fn progress(&self, replays: u64, events: usize) {
        if self.shows {
            let events = grouped(events as u64);
            let replays = grouped(replays);
            let _ = write!(
                io::stderr().lock(),
                "\r\x1b[K{events} events left, {replays} replays"
            );
        }
    }
}
