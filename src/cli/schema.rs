//! `schema`: the JSON Schemas of the files that the program reads and writes.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use iovasim::{report, scenario, study, trace};

use super::files;
use super::status::{Failure, Verdict};

/// Print the JSON Schema of a kind of file
///
/// A file names its schema in `$schema`; editors then complete and check it as it is written.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example: the schema of scenarios, beside a scenario of yours
  iovasim schema scenario -o schema.json")]
pub(crate) struct Args {
    /// The kind of file
    #[arg(value_name = "KIND")]
    kind: Kind,
    /// Write to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A kind of file that has a schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// What `run` and `generate` read
    Scenario,
    /// What `compare --policy` reads
    Policy,
    /// What `run` and `replay` write as JSON, and `compare`, `merge` and `plot` read
    Result,
    /// A line of a trace: the header or an event
    Trace,
}

pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let schema = match args.kind {
        Kind::Scenario => scenario::schema(),
        Kind::Policy => report::compare::policy::schema(),
        Kind::Result => study::document::schema(),
        Kind::Trace => trace::schema(),
    };
    files::write_text(args.output.as_deref(), &schema)?;
    Ok(Verdict::Done)
}
