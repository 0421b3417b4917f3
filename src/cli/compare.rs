//! `compare`: two results, or two allocators of one.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use iovasim::report::Page;
use iovasim::report::compare::{self, Comparison, Side, Which, Workloads};

use super::common::Terminal;
use super::files;
use super::output::{self, Report};
use super::results;
use super::status::{Failure, Verdict};

/// Compare two results of `run`, or two allocators of one; a gate for CI
///
/// Prints each figure that differs: its value before and after, the difference seed by seed, and
/// whether that is worse. Exit status 1 if something changed that the policy forbids, or if a
/// scenario or an allocator is missing. A scenario whose requests or seeds differ is not compared,
/// which is forbidden unless --across-workloads is given.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The default policy forbids more failures (requests granted outside of the domain count as
failures), more spurious failures, more violations, and a higher p99.9 of steps. The rules of a
policy file come after these.

Example, which runs in the repository: has the newest release got worse than 5.18?
  iovasim run scenarios/founding-stress.json -o result.json
  iovasim compare result.json --allocators new,old")]
pub(crate) struct Args {
    /// The result to compare with
    base: PathBuf,
    /// The new result [default: BASE]
    #[arg(required_unless_present = "allocators")]
    new: Option<PathBuf>,
    /// Which figures may change by how much
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Compare allocator B of NEW with allocator A of BASE
    #[arg(long, value_name = "A,B")]
    allocators: Option<String>,
    /// Also compare results of different requests, such as a driver before and after a change
    #[arg(long)]
    across_workloads: bool,
    #[command(flatten)]
    report: Report<Form>,
}

/// The forms of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a terminal
    Text,
    /// For a pull request
    Markdown,
    /// For programs
    Json,
    /// JUnit's XML, for CI systems
    Junit,
    /// Annotations of a GitHub workflow
    Github,
}

impl output::Form for Form {
    const TEXT: Form = Form::Text;
    const ENDINGS: &'static [(&'static str, Form)] = &[
        (".txt", Form::Text),
        (".md", Form::Markdown),
        (".json", Form::Json),
        (".xml", Form::Junit),
    ];
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let which = match &args.allocators {
        None => Which::Same,
        Some(names) => between(names)?,
    };
    let new = args.new.as_deref().unwrap_or(&args.base);
    let policy = args.policy.as_deref().unwrap_or(&args.base);
    args.report.check(&[&args.base, new, policy])?;
    let policy = results::policy(args.policy.as_deref())?;
    let base = results::read(&args.base)?;
    let new = args.new.as_deref().map(results::read).transpose()?;
    let base_name = files::input_name(&args.base);
    let new_name = args.new.as_deref().map(files::input_name);
    let base = Side {
        file: &base_name,
        results: &base.results,
    };
    let new = new_name.as_deref().zip(new.as_ref());
    let new = new.map_or(base, |(file, new)| Side {
        file,
        results: &new.results,
    });
    let workloads = if args.across_workloads {
        Workloads::Any
    } else {
        Workloads::Same
    };
    let comparison = compare::compare(base, new, &which, workloads, &policy);
    let comparison = comparison.map_err(Failure::bad)?;
    args.report
        .write(terminal, true, |form, page| set(&comparison, form, page))?;
    Ok(verdict(&comparison))
}

/// Whether the gate is passed.
pub(crate) fn verdict(comparison: &Comparison) -> Verdict {
    if comparison.passes() {
        Verdict::Done
    } else {
        Verdict::Failed
    }
}

fn set(comparison: &Comparison, form: Form, page: Page) -> String {
    match form {
        Form::Text => compare::text::page(comparison, page),
        Form::Markdown => compare::markdown::text(comparison),
        Form::Json => compare::json::text(comparison),
        Form::Junit => compare::junit::text(comparison),
        Form::Github => compare::github::text(comparison),
    }
}

/// The two allocators that are named.
fn between(names: &str) -> Result<Which, Failure> {
    let both = names.split(',').collect::<Vec<_>>();
    match both[..] {
        [base, new] if !base.is_empty() && !new.is_empty() && base != new => {
            Ok(Which::Between {
                base: base.to_owned(),
                new: new.to_owned(),
            })
        }
        _ => Err(Failure::bad(format!(
            "--allocators: found `{names}`, expected two names such as `old,new`"
        ))),
    }
}
