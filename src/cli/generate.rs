//! `generate`: the trace that a scenario makes of one seed.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use iovasim::trace::compress::{Compression, Encoder};
use iovasim::trace::write::Writer;

use super::common::Terminal;
use super::files::Output;
use super::progress::Progress;
use super::scenario;
use super::status::{Failure, Verdict};

/// Write the trace that a scenario's workload makes of one seed
///
/// The faults are woven in, so that the trace replays anywhere as it does in `run`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example, which runs in the repository: one seed of a stress under one allocator
  iovasim generate scenarios/founding-stress.json --seed 3 | iovasim replay - --allocator new")]
pub(crate) struct Args {
    /// The scenario file; `-` is standard input
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// The seed [default: the scenario's first]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the trace goes, compressed if it ends in .gz or .zst; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let scenario = scenario::read(&args.scenario)?;
    let seed = args.seed.or(scenario.seeds.first().copied()).unwrap_or(0);
    let output = Output::begin(&args.output)?;
    let mut progress = Progress::new(terminal.shows_progress(), None);
    let unwritable = |error: std::io::Error| output.failure(&error);
    let compression = Compression::of_name(output.name());
    let encoder = Encoder::new(output.writer()?, compression).map_err(unwritable)?;
    let mut writer = Writer::new(encoder, &scenario.header(seed)).map_err(unwritable)?;
    for event in scenario.events(seed) {
        progress.event();
        writer.write(&event).map_err(unwritable)?;
    }
    let encoder = writer.finish().map_err(unwritable)?;
    encoder.finish().map_err(unwritable)?;
    output.finish()?;
    Ok(Verdict::Done)
}
