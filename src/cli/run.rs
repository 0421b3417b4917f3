//! `run`: scenarios, the main job.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use iovasim::report::result::{ScenarioResult, text};
use iovasim::scenario::{Miss, Scenario};
use iovasim::study::seeds::{self, Done, Unit};

use super::common::{Allocators, Format, Report, Terminal};
use super::files;
use super::progress::Runs;
use super::scenarios;
use super::status::{Failure, Verdict, say};

/// Run scenarios: every allocator over every seed.
///
/// Prints how often requests fail under each allocator, with intervals and causes, and holds
/// the result to what the scenario expects.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  iovasim run scenarios/founding-state.json")]
pub(crate) struct Args {
    /// The scenario files
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    allocators: Allocators,
    #[command(flatten)]
    report: Report,
}

/// A scenario with what came of it.
struct Finished<'a> {
    path: &'a Path,
    scenario: &'a Scenario,
    units: Vec<(&'a Unit<'a>, &'a Done)>,
    result: ScenarioResult,
    misses: Vec<Miss>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let named = args.allocators.named()?;
    let mut read = Vec::new();
    for path in &args.scenarios {
        let mut scenario = scenarios::read(path)?;
        if let Some(allocators) = &named {
            scenario.allocators.clone_from(allocators);
            scenario.expectations.clear();
        }
        read.push((path.as_path(), scenario));
    }
    let units = units(&read);
    let runs = Runs::new(terminal.shows_progress(), units.len());
    let done = seeds::run(&units, terminal.jobs(), &|| runs.done());
    drop(runs);
    let done = done.map_err(Failure::bad)?;
    let finished = finish(&read, &units, &done);
    let set = set(&finished, args, terminal);
    files::write_text(args.report.output.as_deref(), &set)?;
    Ok(verdict(&finished))
}

/// Scenario by scenario, seed by seed.
fn units<'a>(read: &'a [(&Path, Scenario)]) -> Vec<Unit<'a>> {
    let mut units = Vec::new();
    for (_, scenario) in read {
        let unit = |&seed| Unit {
            scenario,
            seed,
            allocators: scenario.allocators.clone(),
        };
        units.extend(scenario.seeds.iter().map(unit));
    }
    units
}

fn finish<'a>(
    read: &'a [(&'a Path, Scenario)],
    units: &'a [Unit<'a>],
    done: &'a [Done],
) -> Vec<Finished<'a>> {
    let mut all = units.iter().zip(done);
    let finished = read.iter().map(|(path, scenario)| {
        let units: Vec<_> = all.by_ref().take(scenario.seeds.len()).collect();
        let result = ScenarioResult::of(scenario, &units);
        let misses = result.misses(&scenario.expectations);
        Finished {
            path,
            scenario,
            units,
            result,
            misses,
        }
    });
    finished.collect()
}

fn set(finished: &[Finished<'_>], args: &Args, terminal: Terminal) -> String {
    match args.report.format {
        Format::Json => finished.iter().map(|it| it.result.to_json()).collect(),
        Format::Text => {
            let page = terminal.page(&args.report);
            let pages = finished
                .iter()
                .map(|it| text::page(it.scenario, &it.result, &it.units, &it.misses, page));
            pages.collect::<Vec<_>>().join("\n\n")
        }
    }
}

fn verdict(finished: &[Finished<'_>]) -> Verdict {
    let mut verdict = Verdict::Done;
    for one in finished.iter().filter(|it| !it.misses.is_empty()) {
        verdict = Verdict::Failed;
        let path = one.path.display();
        for miss in &one.misses {
            say(&format!("{path}: {miss}"));
        }
        say(&format!(
            "{path}: look closer with `iovasim generate {path} | iovasim replay -a {} -`",
            one.scenario
                .allocators
                .iter()
                .map(iovasim::model::Allocator::name)
                .collect::<Vec<_>>()
                .join(",")
        ));
    }
    verdict
}
