//! `generate`: writes the trace of one seed of a scenario.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::common::Terminal;
use super::files;
use super::progress::Progress;
use super::scenario;
use super::status::{Failure, Verdict};
use super::traces::{FORMS, TraceWriter};

/// Generate the trace of one seed of a scenario
///
/// The trace includes the injected faults, so that it replays anywhere as it does in `run`.
#[derive(Debug, ClapArgs)]
#[command(after_help = format!("{FORMS}\n\n\
Example, which runs in the repository: one seed of a stress under one allocator
  iovasim generate scenarios/founding-stress.json --seed 3 | iovasim replay - --allocator new"))]
pub(crate) struct Args {
    /// The scenario file; `-` is standard input
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// The seed [default: the scenario's first]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Output file; its name selects the format
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    files::check_distinct(&[&args.scenario], &[("-o", Some(&args.output))])?;
    let scenario = scenario::read(&args.scenario)?;
    let seed = args.seed.or(scenario.seeds.first().copied()).unwrap_or(0);
    let mut writer = TraceWriter::begin(&args.output, &scenario.header(seed))?;
    let mut progress = Progress::new(terminal.shows_progress(), None);
    for event in scenario.events(seed) {
        progress.event();
        writer.write(&event)?;
    }
    drop(progress);
    writer.finish()?;
    Ok(Verdict::Done)
}
