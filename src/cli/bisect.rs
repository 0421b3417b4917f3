//! `bisect`: which change of the kernel makes a difference to a trace.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use iovasim::diagnose::bisect::{self, Question, Template};
use iovasim::report;

use super::common::{self, Terminal};
use super::loaded::{self, Loaded};
use super::output::{Report, TextForm};
use super::status::{Failure, Verdict};

/// Find the change of the kernel that makes a difference
///
/// Replays the trace under every release, then under the changes between two that differ: which one
/// is enough alone, which is needed, or which smallest set of up to three is enough.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Without --keep it looks for the first request that one of two neighbours refuses and the other grants.

Example, which runs in the repository: the changes that bring and mend the refusals of a bug report
  iovasim bisect traces/mediatek-report.trace.jsonl.gz")]
pub(crate) struct Args {
    /// The trace, in any form, or a scenario (.json); `-` is a trace on standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Bisect between this allocator and --bad, not over all releases
    #[arg(long, value_name = "A", requires = "bad")]
    good: Option<String>,
    /// The other allocator
    #[arg(long, value_name = "B", requires = "good")]
    bad: Option<String>,
    /// What to look for: a predicate as `shrink` has it, with `@` for the allocator, such as
    /// `cause:@,shortcut`
    #[arg(short, long, value_name = "PREDICATE", value_parser = Template::new)]
    keep: Option<Template>,
    /// The seed of a scenario [default: the scenario's first]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    report: Report<TextForm>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    args.report.check(&[&args.trace])?;
    let between = match (&args.good, &args.bad) {
        (Some(good), Some(bad)) => Some([common::allocator(good)?, common::allocator(bad)?]),
        _ => None,
    };
    let Loaded { name, requests, .. } = loaded::read(&args.trace, args.seed, terminal)?;
    let question = Question {
        between,
        keep: args.keep.clone(),
    };
    let bisected = bisect::bisect(&requests, &question);
    let bisected = bisected.map_err(|error| Failure::bad(format!("{name}: {error}")))?;
    args.report.write(terminal, true, |form, page| match form {
        TextForm::Text => report::bisect::text(&name, &bisected, page),
        TextForm::Markdown => report::bisect::markdown(&name, &bisected),
        TextForm::Json => report::bisect::json(&name, &bisected),
    })?;
    Ok(Verdict::Done)
}
