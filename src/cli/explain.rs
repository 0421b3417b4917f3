//! `explain`: why requests of a trace were refused.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use iovasim::diagnose::explain::{self, Choice};
use iovasim::report;
use iovasim::report::explain::Subject;

use super::common::{Allocators, Terminal};
use super::loaded::{self, Loaded};
use super::output::{Report, TextForm};
use super::status::{Failure, Verdict};

/// Explain why requests were refused
///
/// Lists the kinds of requests that the first allocator refused, and explains one in full: the
/// request, the free pfns that would have taken it, `max32_alloc_size` and the event that set it,
/// ranges in rcaches and flush queues, who holds the rest, and every single change of the kernel,
/// the machine or the request that would have granted it. Without --event that is one which another
/// allocator grants, if possible one for which there was room.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example, which runs in the repository: the report that 5b61343b5059 (5.18) mends
  iovasim explain traces/mediatek-report.trace.jsonl.gz --allocator old,new")]
pub(crate) struct Args {
    /// The trace, in any form, or a scenario (.json); `-` is a trace on standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    #[command(flatten)]
    allocators: Allocators,
    /// Explain the refused request of event N, from 0 (repeatable)
    #[arg(short, long = "event", value_name = "N")]
    events: Vec<u64>,
    /// Only requests of the domain of this number
    #[arg(long, value_name = "N")]
    domain: Option<u64>,
    /// List every refused request, not only one of each kind
    #[arg(long)]
    list: bool,
    /// The seed of a scenario [default: the scenario's first]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    report: Report<TextForm>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    args.report.check(&[&args.trace])?;
    let named = args.allocators.named()?;
    let loaded = loaded::read(&args.trace, args.seed, terminal)?;
    let allocators = loaded.allocators(named)?;
    let Loaded { name, requests, .. } = loaded;
    let choice = Choice {
        events: args.events.clone(),
        domain: args.domain,
    };
    let explained = explain::explain(&requests, &allocators, &choice);
    let explained = explained.map_err(|error| Failure::bad(format!("{name}: {error}")))?;
    args.report.write(terminal, true, |form, page| {
        let subject = Subject {
            source: &name,
            explained: &explained,
            lists_all: args.list,
        };
        match form {
            TextForm::Text => report::explain::text(subject, page),
            TextForm::Markdown => report::explain::markdown(subject),
            TextForm::Json => report::explain::json(subject),
        }
    })?;
    Ok(Verdict::Done)
}
