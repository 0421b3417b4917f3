//! `allocators`: lists the names of allocators.

use clap::Args as ClapArgs;
use iovasim::report;

use super::common::Terminal;
use super::output::{Format, Report};
use super::status::{Failure, Verdict};

/// List the allocators that can be named
///
/// A name is a release, a design or an alias, followed by changes that are reverted (~) or
/// applied (+), each by its slug or commit: linux-7.2~free-space-estimate,
/// linux-5.17+5b61343b5059. Releases may be written 5.10 or v5.10, slugs and commits by any
/// unique prefix.
///
/// Lists of names may have ranges: 5.10..7.2 is both releases and every one between them that
/// changed the allocator, all is every release that did, from the oldest on.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example: the changes of every release, for a program
  iovasim allocators --format json")]
pub(crate) struct Args {
    #[command(flatten)]
    report: Report<Format>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    args.report.write(terminal, true, |form, page| match form {
        Format::Text => report::allocators::text(page),
        Format::Json => report::allocators::json(),
    })?;
    Ok(Verdict::Done)
}
