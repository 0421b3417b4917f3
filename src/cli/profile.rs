//! `profile`: turns a trace into an anonymous scenario that behaves like it.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use iova::kernel::DomainConfig;
use iovasim::profile::{Naming, Profile, Profiler};
use iovasim::report;
use iovasim::scenario::Scenario;
use iovasim::study::fidelity::{self, ProfileCheck};
use iovasim::trace::event::Header;
use iovasim::trace::read::Reader;

use super::common::{self, Allocators, Terminal};
use super::files;
use super::output::Format;
use super::status::{Failure, Verdict, say};
use super::traces::CheckedTrace;

/// Generate an anonymous scenario that behaves like a trace
///
/// The scenario keeps how many buffers of each size are allocated and freed in each slice of
/// time, at which level and limit, on which CPUs, and their age when they are freed. It contains
/// no addresses, names or times of day, and no single request of the trace.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
With --check the trace and the scenario's requests are replayed, and a table shows how close each
figure is. If failure rates differ by more than --tolerance percentage points, the scenario is not
written and the exit status is 1.

Example, which runs in the repository: a recording that may be published, and what it is worth
  iovasim profile traces/linux-6.12-fill32.trace.jsonl.zst -o fill.json --check -a linux-6.12")]
pub(crate) struct Args {
    /// The trace, in any form; `-` is standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The scenario file to write
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// The scenario's name
    #[arg(long, value_name = "NAME", default_value = "profile")]
    name: String,
    /// Number of seeds of the scenario
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    #[command(flatten)]
    allocators: Allocators,
    /// Replay the trace and the scenario and report how faithful the scenario is
    #[arg(long)]
    check: bool,
    /// Largest difference of the failure rates that passes, in percentage points
    #[arg(long, value_name = "PERCENTAGE_POINTS", default_value = "2", requires = "check", value_parser = points)]
    tolerance: f64,
    /// Write the scenario even if it misses the tolerance; the exit status is 1 nevertheless
    #[arg(long, requires = "check")]
    force: bool,
    /// Output format of --check
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        requires = "check"
    )]
    format: Format,
}

fn points(text: &str) -> Result<f64, String> {
    let points = text.parse::<f64>().ok();
    points
        .filter(|points| (0.0..=100.0).contains(points))
        .ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let (reads_stdin, writes_stdout) =
        (files::is_dash(&args.trace), files::is_dash(&args.output));
    if args.check && reads_stdin {
        let problem = "reads the trace twice, expected a file in place of standard input";
        return Err(Failure::bad(format!("--check: {problem}")));
    }
    if args.check && writes_stdout {
        let problem = "prints a table, expected -o FILE for the scenario";
        return Err(Failure::bad(format!("--check: {problem}")));
    }
    files::check_distinct(&[&args.trace], &[("-o", Some(&args.output))])?;
    let allocators = match args.allocators.named()? {
        Some(named) => named,
        None => common::old_and_new()?,
    };
    let (header, profile) = read(&args.trace, terminal)?;
    for allocator in &allocators {
        DomainConfig::new(allocator, header.domain_options()).map_err(Failure::bad)?;
    }
    let file = profile.scenario(&Naming {
        name: &args.name,
        allocators: &allocators,
        seeds: args.seeds,
    });
    let text = file.to_text();
    for (op, count) in profile.left_out() {
        if !terminal.is_quiet() {
            say(&format!("the profile leaves out {count} × {op}"));
        }
    }
    let scenario = parse(&text)?;
    if !args.check {
        files::write_text(Some(&args.output), &text)?;
        return Ok(Verdict::Done);
    }
    let checks = compare(args, &scenario, terminal)?;
    let verdict = verdict(&checks, args.tolerance);
    if matches!(verdict, Verdict::Done) || args.force {
        files::write_text(Some(&args.output), &text)?;
    } else {
        say(&format!(
            "{} is not written; --force writes it, a higher --tolerance accepts it",
            args.output.display()
        ));
    }
    let page = match args.format {
        Format::Text => report::fidelity::text(&checks, terminal.page(None)),
        Format::Json => report::fidelity::json(&checks),
    };
    files::write_text(None, &page)?;
    Ok(verdict)
}

fn read(path: &Path, terminal: Terminal) -> Result<(Header, Profile), Failure> {
    let mut trace = CheckedTrace::open(path, terminal)?;
    let header = trace.header().clone();
    let mut profiler = Profiler::new(&header);
    while let Some(event) = trace.next()? {
        profiler.observe(event);
    }
    match profiler.finish() {
        Some(profile) => Ok((header, profile)),
        None => Err(Failure::bad(format!(
            "{}: asks for no address, expected requests to profile",
            trace.name()
        ))),
    }
}

/// The scenario that was written, read as any other.
fn parse(text: &str) -> Result<Scenario, Failure> {
    let mut no_trace = |_: &Path| Err("a profile names no trace".into());
    Scenario::parse(text, Path::new("the profile"), &mut no_trace).map_err(Failure::bad)
}

fn compare(
    args: &Args,
    scenario: &Scenario,
    terminal: Terminal,
) -> Result<Vec<ProfileCheck>, Failure> {
    let name = files::input_name(&args.trace);
    let input = files::open(&args.trace)?;
    let reader = Reader::new(&name, input.bytes).map_err(Failure::bad)?;
    let header = reader.header().clone();
    let checks = fidelity::compare(&name, &header, reader, scenario, terminal.jobs());
    checks.map_err(Failure::bad)
}

fn verdict(checks: &[ProfileCheck], tolerance: f64) -> Verdict {
    let mut verdict = Verdict::Done;
    for check in checks {
        let points = check.failure_points().unwrap_or(0.0);
        if points > tolerance {
            say(&format!(
                "{}: the failure rates differ by {points:.2} percentage points, expected at most \
                 {tolerance}",
                check.allocator
            ));
            verdict = Verdict::Failed;
        }
    }
    verdict
}
