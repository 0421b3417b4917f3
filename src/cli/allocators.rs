//! `allocators`: lists the names of allocators.

use clap::Args as ClapArgs;
use iovasim::report;

use super::common::{Format, Report, Terminal};
use super::files;
use super::status::{Failure, Verdict};

/// List the allocators that can be named
///
/// A name is a release, a design or an alias, followed by changes that are reverted (~) or
/// applied (+), each by its slug or commit: linux-7.2~free-space-estimate,
/// linux-5.17+5b61343b5059.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example: the changes of every release, for a program
  iovasim allocators --format json")]
pub(crate) struct Args {
    #[command(flatten)]
    report: Report,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let text = match args.report.format {
        Format::Text => report::allocators::text(terminal.page(args.report.output.as_deref())),
        Format::Json => report::allocators::json(),
    };
    files::write_text(args.report.output.as_deref(), &text)?;
    Ok(Verdict::Done)
}
