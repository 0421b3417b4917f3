//! `run`: scenarios under all their allocators with all their seeds.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Args as ClapArgs;
use iovasim::report::studied::{Expected, Subject};
use iovasim::report::{self, Page};
use iovasim::scenario::Scenario;
use iovasim::study::scenarios;
use iovasim::study::{ScenarioResult, Studied};

use super::common::{Allocators, Format, Terminal};
use super::files;
use super::progress;
use super::scenario;
use super::status::{Failure, Verdict, say};

/// Run scenarios: how often do allocations fail, and is the difference real?
///
/// Every allocator gets the same requests. The table has the failure rates with their 95 %
/// intervals, the causes, the cost of the searches and what differs from the first allocator.
/// What a scenario expects is checked: exit status 1 if something does not hold.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example, which runs in the repository: the report that the change of 5.18 mends
  iovasim run scenarios/mediatek-report.json")]
pub(crate) struct Args {
    /// Scenario files; `-` is standard input
    #[arg(value_name = "SCENARIO", required = true)]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    allocators: Allocators,
    /// Run seeds 1 to N in place of those of the scenario, whose expectations are then not
    /// checked
    #[arg(long, value_name = "N")]
    seeds: Option<u32>,
    /// The form of what is printed
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Format,
    /// Write the result to FILE as well, as JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let mut scenarios = Vec::new();
    for path in &args.scenarios {
        scenarios.push(altered(scenario::read(path)?, args)?);
    }
    let counter = AtomicUsize::new(0);
    let units = scenarios::units(&scenarios);
    let done = || {
        let done = counter.fetch_add(1, Ordering::Relaxed) + 1;
        if terminal.shows_progress() {
            progress::runs(done, units);
        }
    };
    let studied = scenarios::run(&scenarios, terminal.jobs(), &done);
    let studied = studied.map_err(Failure::bad)?;
    let expected: Vec<Expected> = studied
        .iter()
        .zip(&scenarios)
        .map(|(studied, scenario)| hold(&studied.result, scenario, args.seeds.is_none()))
        .collect();
    print(args, terminal, &studied, &expected)?;
    Ok(verdict(args, &scenarios, &expected))
}

/// The scenario with what the command line says in its place.
fn altered(mut scenario: Scenario, args: &Args) -> Result<Scenario, Failure> {
    if let Some(allocators) = args.allocators.named()? {
        scenario.allocators = allocators;
    }
    match args.seeds {
        None => {}
        Some(0) => return Err(Failure::bad("--seeds: found 0, expected at least 1")),
        Some(seeds) if scenario.seeds != [0] => scenario.seeds = (1..=seeds.into()).collect(),
        Some(_) => {
            let name = &scenario.name;
            let message = format!("--seeds: `{name}` is of a recorded trace, which has none");
            return Err(Failure::bad(message));
        }
    }
    Ok(scenario)
}

/// Holds a result to what its scenario expects.
fn hold(result: &ScenarioResult, scenario: &Scenario, check: bool) -> Expected {
    let all = &scenario.expectations;
    if !check {
        return Expected {
            unchecked: all.len(),
            ..Expected::default()
        };
    }
    let checked = all.iter().filter(|it| result.can_hold(it)).count();
    Expected {
        checked,
        unchecked: all.len() - checked,
        misses: result.misses(all),
    }
}

fn print(
    args: &Args,
    terminal: Terminal,
    studied: &[Studied],
    expected: &[Expected],
) -> Result<(), Failure> {
    let results: Vec<&ScenarioResult> = studied.iter().map(|it| &it.result).collect();
    let document = || report::json::results(&results);
    if let Some(path) = &args.output {
        files::write_text(Some(path), &document())?;
    }
    if args.output.as_deref().is_some_and(files::is_dash) {
        return Ok(());
    }
    let text = match args.format {
        Format::Json => document(),
        Format::Text => pages(args, terminal.page(None), studied, expected),
    };
    files::write_text(None, &text)
}

fn pages(args: &Args, page: Page, studied: &[Studied], expected: &[Expected]) -> String {
    let pages = studied.iter().zip(expected).zip(&args.scenarios);
    let pages = pages.map(|((studied, expected), path)| {
        let subject = Subject {
            file: &files::input_name(path),
            result: &studied.result,
            differences: &studied.differences,
            expected,
        };
        report::studied::text(&subject, page)
    });
    pages.collect::<Vec<_>>().join("\n\n")
}

/// Says which expectations do not hold, and how to look closer.
fn verdict(args: &Args, scenarios: &[Scenario], expected: &[Expected]) -> Verdict {
    let mut verdict = Verdict::Done;
    for ((path, scenario), expected) in args.scenarios.iter().zip(scenarios).zip(expected) {
        let file = path.display();
        let seed = scenario.seeds.first().copied().unwrap_or(0);
        for miss in &expected.misses {
            say(&format!(
                "{file}: {miss}; look closer: iovasim generate {file} --seed {seed} | iovasim \
                 replay - --allocator {}",
                miss.allocator
            ));
            verdict = Verdict::Failed;
        }
    }
    verdict
}
