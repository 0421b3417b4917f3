//! `generate`: the trace that a scenario's workload makes.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args as ClapArgs;
use iovasim::scenario::Scenario;
use iovasim::trace::compress::{Compression, Encoder};
use iovasim::trace::write::Writer;

use super::common::Terminal;
use super::files::Output;
use super::progress::Progress;
use super::scenarios;
use super::status::{Failure, Verdict};

/// Write the trace that a scenario makes for one seed.
///
/// It is what `run` replays for that seed, faults included.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  iovasim generate scenarios/founding-stress.json | \
                        iovasim replay -"
)]
pub(crate) struct Args {
    /// The scenario file
    scenario: PathBuf,
    /// The seed [default: the scenario's first]
    #[arg(long)]
    seed: Option<u64>,
    /// Write to FILE; `.gz` and `.zst` compress
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let scenario = scenarios::read(&args.scenario)?;
    let seed = args.seed.or(scenario.seeds.first().copied()).unwrap_or(0);
    let output = Output::begin(&args.output)?;
    let compression = Compression::of_name(&args.output.to_string_lossy());
    let out = BufWriter::new(output.writer()?);
    let progress = Progress::new(terminal.shows_progress(), None);
    write(&scenario, seed, out, compression, progress)
        .map_err(|error| output.failure(&error))?;
    output.finish()?;
    Ok(Verdict::Done)
}

fn write(
    scenario: &Scenario,
    seed: u64,
    out: impl Write,
    compression: Compression,
    mut progress: Progress,
) -> io::Result<()> {
    let mut writer = Writer::new(Encoder::new(out, compression)?, &scenario.header(seed))?;
    for event in scenario.events(seed) {
        writer.write(&event)?;
        progress.event();
    }
    writer.finish()?.finish()?.flush()
}
