//! `convert`: converts a trace to another format.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::common::Terminal;
use super::files;
use super::status::{Failure, Verdict};
use super::traces::{CheckedTrace, FORMS, TraceWriter};

/// Convert a trace: compressed or not, JSON lines or compact binary
///
/// The conversion is lossless, and checks the trace as `replay` does.
#[derive(Debug, ClapArgs)]
#[command(after_help = format!("{FORMS}\n\n\
Example, which runs in the repository:
  iovasim convert traces/mediatek-report.trace.jsonl.gz -o - | head -n 1"))]
pub(crate) struct Args {
    /// The trace, in any form; `-` is standard input
    trace: PathBuf,
    /// Output file; its name selects the format
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    files::check_distinct(&[&args.trace], &[("-o", Some(&args.output))])?;
    let mut trace = CheckedTrace::open(&args.trace, terminal)?;
    let mut writer = TraceWriter::begin(&args.output, trace.header())?;
    while let Some(event) = trace.next()? {
        writer.write(event)?;
    }
    drop(trace);
    writer.finish()?;
    Ok(Verdict::Done)
}
