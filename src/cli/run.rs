//! `run`: scenarios, the main job.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args as ClapArgs;
use iovasim::model::Allocator;
use iovasim::report::compare::text as compare_text;
use iovasim::report::compare::{Comparison, Side, Which, compare as compare_results};
use iovasim::report::result::{ScenarioResult, text};
use iovasim::scenario::{Miss, Scenario};
use iovasim::study::seeds::{self, Done, Unit};

use super::common::{Allocators, Format, Report, Terminal};
use super::compare;
use super::files;
use super::progress::Runs;
use super::results;
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
    /// Compare with the results of FILE, an earlier run of the same scenarios; exit 1 if
    /// something changed that the policy forbids
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the results to FILE, as what `--baseline` compares with from then on
    #[arg(long, value_name = "FILE")]
    update_baseline: Option<PathBuf>,
    /// Which figures may differ from the baseline by how much
    #[arg(long, value_name = "FILE", requires = "baseline")]
    policy: Option<PathBuf>,
    /// Do only every N-th unit of scenario, seed and allocator, from the K-th on, and write
    /// documents for `iovasim merge`, whatever the format
    #[arg(
        long,
        value_name = "K/N",
        conflicts_with_all = ["baseline", "update_baseline"]
    )]
    shard: Option<Part>,
    #[command(flatten)]
    report: Report,
}

/// Part `index`, from 1, of `of`.
#[derive(Clone, Copy, Debug)]
struct Part {
    index: u64,
    of: u64,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Part { index, of }),
            _ => Err("expected K/N with K from 1 to N, such as 2/7".to_owned()),
        }
    }
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
    let policy = results::policy(args.policy.as_deref())?;
    let baseline = args.baseline.as_deref().map(baseline).transpose()?;
    let units = units(&read, args.shard);
    let runs = Runs::new(terminal.shows_progress(), units.len());
    let done = seeds::run(&units, terminal.jobs(), &|| runs.done());
    drop(runs);
    let done = done.map_err(Failure::bad)?;
    let finished = finish(&read, &units, &done);
    if let Some(part) = args.shard {
        let results = finished.iter().map(|it| {
            let result = it.result.clone();
            result.of_shard(it.scenario, part.index, part.of).to_json()
        });
        let text: String = results.collect();
        files::write_text(args.report.output.as_deref(), &text)?;
        return Ok(Verdict::Done);
    }
    let results: Vec<ScenarioResult> = finished.iter().map(|it| it.result.clone()).collect();
    let compared = baseline.map(|(file, base)| {
        let sides = [(file.as_str(), &base), (THIS_RUN, &results)];
        let [base, new] = sides.map(|(file, results)| Side { file, results });
        compare_results(base, new, &Which::Same, &policy)
    });
    let compared = compared.transpose().map_err(Failure::bad)?;
    let set = set(&finished, compared.as_ref(), args, terminal);
    files::write_text(args.report.output.as_deref(), &set)?;
    if let Some(path) = &args.update_baseline {
        let text: String = results.iter().map(ScenarioResult::to_json).collect();
        files::write_text(Some(path), &text)?;
    }
    let met = verdict(&finished);
    Ok(compared.map_or(met, |it| met.and(compare::verdict(&it))))
}

/// What a comparison calls the results that have just come.
const THIS_RUN: &str = "this run";

/// The results to compare with, and what messages call them.
fn baseline(path: &Path) -> Result<(String, Vec<ScenarioResult>), Failure> {
    let name = files::input_name(path);
    if !files::is_dash(path) && !path.exists() {
        return Err(Failure::bad(format!(
            "{name}: no such file; `iovasim run … --update-baseline {name}` makes it"
        )));
    }
    Ok((name, results::read(path)?))
}

/// Scenario by scenario, seed by seed; of a part, only those allocators whose turn it is. A
/// seed without any is left out.
fn units<'a>(read: &'a [(&Path, Scenario)], part: Option<Part>) -> Vec<Unit<'a>> {
    let Part { index, of } = part.unwrap_or(Part { index: 1, of: 1 });
    let mut turns = (1..=of).cycle();
    let mut units = Vec::new();
    for (_, scenario) in read {
        for &seed in &scenario.seeds {
            let allocators = scenario.allocators.iter();
            let allocators: Vec<Allocator> = allocators
                .filter(|_| turns.next() == Some(index))
                .cloned()
                .collect();
            if !allocators.is_empty() {
                units.push(Unit {
                    scenario,
                    seed,
                    allocators,
                });
            }
        }
    }
    units
}

fn finish<'a>(
    read: &'a [(&'a Path, Scenario)],
    units: &'a [Unit<'a>],
    done: &'a [Done],
) -> Vec<Finished<'a>> {
    let finished = read.iter().map(|(path, scenario)| {
        let all = units.iter().zip(done);
        let units: Vec<_> = all
            .filter(|(unit, _)| std::ptr::eq(unit.scenario, scenario))
            .collect();
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

/// The report. Beside JSON, which is for programs, the comparison goes to standard error.
fn set(
    finished: &[Finished<'_>],
    compared: Option<&Comparison>,
    args: &Args,
    terminal: Terminal,
) -> String {
    let page = terminal.page(&args.report);
    let compared = compared.map(|it| compare_text::page(it, page));
    match args.report.format {
        Format::Json => {
            for line in compared.iter().flat_map(|it| it.lines()) {
                say(line);
            }
            finished.iter().map(|it| it.result.to_json()).collect()
        }
        Format::Text => {
            let pages = finished
                .iter()
                .map(|it| text::page(it.scenario, &it.result, &it.units, &it.misses, page));
            let pages: Vec<String> = pages.chain(compared).collect();
            pages.join("\n\n")
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
                .map(Allocator::name)
                .collect::<Vec<_>>()
                .join(",")
        ));
    }
    verdict
}
