//! `stats`: what is in a trace.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use iovasim::trace::check::Checker;
use iovasim::trace::read::Reader;
use iovasim::trace::stats::Stats;

use super::common::Terminal;
use super::files;
use super::progress::Progress;
use super::status::{Failure, Verdict};

/// Say what is in a trace
///
/// Counts, sizes, limits, lifetimes, CPUs, what is live as time goes by, and what is never
/// freed, by size and device. Nothing is replayed.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example, which runs in the repository: what a media SoC asked for
  iovasim stats traces/mediatek-report.trace.jsonl.gz")]
pub(crate) struct Args {
    /// The trace, in any form; `-` is standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Write the page to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let name = files::input_name(&args.trace);
    let input = files::open(&args.trace)?;
    let mut progress = Progress::new(terminal.shows_progress(), input.size);
    let mut reader = Reader::new(&name, progress.count(input.bytes)).map_err(Failure::bad)?;
    let mut checker = Checker::new(reader.header());
    let mut stats = Stats::new(reader.header());
    for next in &mut reader {
        let (place, event) = next.map_err(Failure::bad)?;
        let admitted = checker.admit(place, &event);
        admitted.map_err(|error| Failure::bad(error.in_file(&name)))?;
        stats.observe(&event);
        progress.event();
    }
    drop(progress);
    files::write_text(args.output.as_deref(), &stats.to_string())?;
    Ok(Verdict::Done)
}
