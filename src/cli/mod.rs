//! The command line: one file a subcommand. Only here is anything printed, opened or timed.
//!
//! Exit status: 0 done; 1 a gate or an expectation failed, or `--check` found a difference; 2 bad usage
//! or bad input, said in one line on standard error.

mod allocators;
mod bisect;
mod common;
mod compare;
mod convert;
mod explain;
mod files;
mod generate;
mod history;
mod import;
mod kind;
mod loaded;
mod memory;
mod merge;
mod output;
mod plot;
mod profile;
mod progress;
mod record;
mod replay;
mod results;
mod run;
mod scenario;
mod schema;
mod shrink;
mod stats;
mod status;
mod traces;
mod unnamed;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use common::Terminal;
use status::{Failure, Verdict};

/// Replays DMA-address traces against the Linux kernel's IOVA allocator of any release.
#[derive(Debug, Parser)]
#[command(
    name = "iovasim",
    version,
    max_term_width = 100,
    propagate_version = false
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    terminal: Terminal,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Replay(replay::Args),
    Explain(explain::Args),
    Bisect(bisect::Args),
    Shrink(shrink::Args),
    Compare(compare::Args),
    Plot(plot::Args),
    Merge(merge::Args),
    Generate(generate::Args),
    Import(import::Args),
    Convert(convert::Args),
    Record(record::Args),
    Profile(profile::Args),
    Stats(stats::Args),
    History(history::Args),
    Allocators(allocators::Args),
    Schema(schema::Args),
}

pub(crate) fn main() -> ExitCode {
    let verdict = match Cli::try_parse() {
        Ok(cli) => run_command(cli),
        Err(answer) => {
            let first = std::env::args_os().nth(1);
            let first = first.and_then(|it| it.into_string().ok());
            let command = first.filter(|it| Cli::command().find_subcommand(it).is_some());
            status::clap_answer(&answer, command.as_deref())
        }
    };
    status::exit(verdict)
}

fn run_command(cli: Cli) -> Result<Verdict, Failure> {
    let terminal = cli.terminal;
    terminal.limit_memory()?;
    match cli.command {
        Command::Run(args) => run::run(&args, terminal),
        Command::Replay(args) => replay::run(&args, terminal),
        Command::Explain(args) => explain::run(&args, terminal),
        Command::Bisect(args) => bisect::run(&args, terminal),
        Command::Shrink(args) => shrink::run(&args, terminal),
        Command::Compare(args) => compare::run(&args, terminal),
        Command::Plot(args) => plot::run(&args, terminal),
        Command::Merge(args) => merge::run(&args),
        Command::Generate(args) => generate::run(&args, terminal),
        Command::Import(args) => import::run(&args, terminal),
        Command::Convert(args) => convert::run(&args, terminal),
        Command::Record(args) => record::run(&args, terminal),
        Command::Profile(args) => profile::run(&args, terminal),
        Command::Stats(args) => stats::run(&args, terminal),
        Command::History(args) => history::run(&args, terminal),
        Command::Allocators(args) => allocators::run(&args, terminal),
        Command::Schema(args) => schema::run(&args),
    }
}
