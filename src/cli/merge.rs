//! `merge`: merges the shards of a run.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use iovasim::report;
use iovasim::study::shards::{self, Part};

use super::files;
use super::results;
use super::status::{Failure, Verdict};

/// Merge the shards of a run
///
/// The result has the same bytes as a run without `--shard`. A missing or duplicate shard is an
/// error.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example, which runs in the repository
  iovasim run scenarios/founding-flush.json --shard 1/2 -o one.json
  iovasim run scenarios/founding-flush.json --shard 2/2 -o two.json
  iovasim merge one.json two.json -o result.json")]
pub(crate) struct Args {
    /// All results of `run --shard`, in any order
    #[arg(value_name = "SHARD", required = true)]
    shards: Vec<PathBuf>,
    /// Write the result to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let shards: Vec<&Path> = args.shards.iter().map(PathBuf::as_path).collect();
    files::check_distinct(&shards, &[("-o", args.output.as_deref())])?;
    let parts = args.shards.iter().map(|path| {
        Ok(Part {
            file: files::input_name(path),
            document: results::read(path)?,
        })
    });
    let parts: Vec<Part> = parts.collect::<Result<_, Failure>>()?;
    let merged = shards::merge(&parts).map_err(Failure::bad)?;
    files::write_text(args.output.as_deref(), &report::json(&merged))?;
    Ok(Verdict::Done)
}
