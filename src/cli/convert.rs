//! `convert`: a trace from one form into another.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::common::Terminal;
use super::status::{Failure, Verdict};
use super::traces::{CheckedTrace, FORMS, TraceWriter};

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

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let mut trace = CheckedTrace::open(&args.trace, terminal)?;
    let mut writer = TraceWriter::begin(&args.output, trace.header())?;
    while let Some(event) = trace.next()? {
        writer.write(event)?;
    }
    drop(trace);
    writer.finish()?;
    Ok(Verdict::Done)
}
