//! `stats`: prints statistics of a trace.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use iovasim::report::escape;
use iovasim::trace::stats::Stats;

use super::common::Terminal;
use super::output::{Format, Report};
use super::status::{Failure, Verdict};
use super::traces::CheckedTrace;

/// Print trace statistics
///
/// Operations, sizes, limits, lifetimes, CPUs, live pages over time, and leaks by size and device.
/// The trace is not replayed.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example, which runs in the repository: what a media SoC asked for
  iovasim stats traces/mediatek-report.trace.jsonl.gz")]
pub(crate) struct Args {
    /// The trace, in any form; `-` is standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    #[command(flatten)]
    report: Report<Format>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    args.report.check(&[&args.trace])?;
    let mut trace = CheckedTrace::open(&args.trace, terminal)?;
    let mut stats = Stats::new(trace.header());
    while let Some(event) = trace.next()? {
        stats.observe(event);
    }
    drop(trace);
    args.report.write(terminal, true, |form, _| match form {
        Format::Text => escape::terminal_lines(&stats.to_string()),
        Format::Json => stats.json(),
    })?;
    Ok(Verdict::Done)
}
