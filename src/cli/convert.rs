//! `convert`: a trace from one form into another.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use iovasim::trace::check::Checker;
use iovasim::trace::read::Reader;

use super::common::Terminal;
use super::files;
use super::progress::Progress;
use super::status::{Failure, Verdict};
use super::traces::{FORMS, TraceWriter};

/// Write a trace in another form: compressed or not, JSON lines or compact binary
///
/// Nothing is lost on the way, and the trace is checked as `replay` checks it.
#[derive(Debug, ClapArgs)]
#[command(after_help = format!("{FORMS}\n\n\
Example, which runs in the repository:
  iovasim convert traces/mediatek-report.trace.jsonl.gz -o - | head -n 1"))]
pub(crate) struct Args {
    /// The trace, in any form; `-` is standard input
    trace: PathBuf,
    /// The file to write; its name says the form
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let input = files::open(&args.trace)?;
    let mut progress = Progress::new(terminal.shows_progress(), input.size);
    let name = files::input_name(&args.trace);
    let reader = Reader::new(&name, progress.count(input.bytes)).map_err(Failure::bad)?;
    let mut checker = Checker::new(reader.header());
    let mut writer = TraceWriter::begin(&args.output, reader.header())?;
    for next in reader {
        let (place, event) = next.map_err(Failure::bad)?;
        writer.write(&event)?;
        let admitted = checker.admit(place, &event);
        admitted.map_err(|error| Failure::bad(error.in_file(&name)))?;
        progress.event();
    }
    drop(progress);
    writer.finish()?;
    Ok(Verdict::Done)
}
