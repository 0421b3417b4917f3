//! `run`: scenarios under all their allocators with all their seeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Args as ClapArgs;
use iovasim::report::compare::policy::Policy;
use iovasim::report::compare::{Comparison, Side, Which, Workloads};
use iovasim::report::junit::{self, Suite};
use iovasim::report::result::Expected;
use iovasim::report::{self, Page, block, shell};
use iovasim::scenario::{SEEDS_MAX, Scenario};
use iovasim::study::scenarios::{self, Named, Part};
use iovasim::study::{Document, Studied, StudyResult};

use super::common::{Allocators, Sampled, Terminal};
use super::compare;
use super::files;
use super::output::{self, Report, ResultForm, Tables};
use super::progress;
use super::results;
use super::scenario;
use super::status::{Failure, Verdict, say};

const EXAMPLES: &str = "\
Example, which runs in the repository: the bug report that 5.18 fixes
  iovasim run scenarios/mediatek-report.json
A gate: keep a result, and fail when a later one is worse
  iovasim run scenarios/founding-stress.json --update-baseline baseline.json
  iovasim run scenarios/founding-stress.json --baseline baseline.json";

/// Run scenarios: how often do allocations fail, and is the difference real?
///
/// Every allocator serves the same requests. Each scenario is printed when it is done: the answer,
/// then the failures of each allocator with 95 % intervals. `--tables all` adds causes, search cost,
/// rcaches, flush queues, and how each allocator differs from the first. Exit status 1 if an
/// expectation of a scenario does not hold.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES, after_long_help = output::with_columns(EXAMPLES))]
pub(crate) struct Args {
    /// Scenario files; `-` is standard input
    #[arg(value_name = "SCENARIO", required = true)]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    allocators: Allocators,
    #[command(flatten)]
    tables: Tables,
    #[command(flatten)]
    sampled: Sampled,
    /// Run seeds 1 to N in place of those of the scenario, whose expectations are then not
    /// checked
    #[arg(long, value_name = "N")]
    seeds: Option<u32>,
    #[command(flatten)]
    report: Report<ResultForm>,
    /// Compare with the result in FILE, of an earlier run of the same scenarios; exit 1 if
    /// something changed that the policy forbids
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Which figures may differ from the baseline by how much
    #[arg(long, value_name = "FILE", requires = "baseline")]
    policy: Option<PathBuf>,
    /// Write the result to FILE, as what `--baseline` compares with from then on
    #[arg(long, value_name = "FILE")]
    update_baseline: Option<PathBuf>,
    /// Write what came of each expectation to FILE, as JUnit's XML for CI systems
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Do every N-th unit of scenario, seed and allocator alone, from the K-th on, and print
    /// the documents that `iovasim merge` puts together. No expectations are checked
    #[arg(
        long,
        value_name = "K/N",
        value_parser = part,
        conflicts_with_all = ["baseline", "update_baseline", "format", "junit"]
    )]
    shard: Option<Part>,
}

fn part(text: &str) -> Result<Part, String> {
    let numbers = text.split_once('/');
    let numbers = numbers.and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    let part = numbers.and_then(|(index, of)| Part::new(index, of));
    part.ok_or_else(|| "expected K/N with K from 1 to N, such as 2/7".to_owned())
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    check_files(args)?;
    let paths = scenario::without_schema(&args.scenarios, terminal);
    let mut scenarios = Vec::new();
    for path in &paths {
        scenarios.push(Named {
            file: files::input_name(path),
            scenario: altered(scenario::read(path)?, args)?,
        });
    }
    check_names(&scenarios)?;
    if args.sampled.sampling().is_some() && !makes_document(args)? {
        let problem = "--sample records into the result: add -o FILE.json, or --format json";
        return Err(Failure::bad(problem));
    }
    let policy = results::policy(args.policy.as_deref())?;
    let baseline = args.baseline.as_deref().map(baseline).transpose()?;
    let part = args.shard.unwrap_or(Part::WHOLE);
    let counter = AtomicUsize::new(0);
    let units = scenarios::units(&scenarios, part);
    let done = || {
        let done = counter.fetch_add(1, Ordering::Relaxed) + 1;
        if terminal.shows_progress() {
            progress::runs(done, units);
        }
    };
    let prints_pages = args.shard.is_none() && args.report.on_stdout() == ResultForm::Text;
    let mut printed = Ok(());
    let mut each = |number: usize, studied: &Studied| {
        if prints_pages && printed.is_ok() {
            let expected = hold(args, &studied.result, &scenarios[number].scenario);
            printed = print_page(args, terminal, number, studied, &expected);
        }
    };
    let studied = scenarios::run(&scenarios, part, terminal.jobs(), &done, &mut each);
    let studied = studied.map_err(Failure::bad)?;
    printed?;
    let results: Vec<StudyResult> = studied.iter().map(|it| it.result.clone()).collect();
    let document = Document::new(results);
    if args.shard.is_some() {
        args.report.write_document(&report::json(&document))?;
        return Ok(Verdict::Done);
    }
    let expected: Vec<Expected> = studied
        .iter()
        .zip(&scenarios)
        .map(|(studied, scenario)| hold(args, &studied.result, &scenario.scenario))
        .collect();
    args.report.write(terminal, !prints_pages, |form, page| {
        output::set(form, page, args.tables, &document, &studied, &expected)
    })?;
    write_junit(args, &scenarios, &document.results)?;
    let compared = baseline.map(|baseline| compare(&baseline, &document.results, &policy));
    let compared = compared.transpose()?;
    if let Some(comparison) = &compared {
        print_comparison(args, terminal, comparison)?;
    }
    if let Some(path) = &args.update_baseline {
        files::write_text(Some(path), &report::json(&document))?;
    }
    let gate = compared.map_or(Verdict::Done, |it| compare::verdict(&it));
    Ok(verdict(&scenarios, &expected).and(gate))
}

/// Refuses files that are read and written; a baseline may be updated.
fn check_files(args: &Args) -> Result<(), Failure> {
    let scenarios = args.scenarios.iter().map(PathBuf::as_path);
    let inputs: Vec<&Path> = scenarios.chain(args.policy.as_deref()).collect();
    args.report.check(&inputs)?;
    let outputs = [
        args.report.option(),
        ("--junit", args.junit.as_deref()),
        ("--update-baseline", args.update_baseline.as_deref()),
    ];
    files::check_distinct(&inputs, &outputs)?;
    let baseline: Vec<&Path> = args.baseline.as_deref().into_iter().collect();
    files::check_distinct(&baseline, &outputs[..2])
}

/// Refuses scenarios of one name, whose results nothing could tell apart.
fn check_names(scenarios: &[Named]) -> Result<(), Failure> {
    let mut files = BTreeMap::new();
    for Named { file, scenario } in scenarios {
        if let Some(first) = files.insert(&scenario.name, file) {
            let name = &scenario.name;
            return Err(Failure::bad(format!(
                "{file}: the scenario is named `{name}`, as that of {first}; expected another name"
            )));
        }
    }
    Ok(())
}

/// Whether a document is written or printed.
fn makes_document(args: &Args) -> Result<bool, Failure> {
    Ok(args.shard.is_some() || args.report.makes(ResultForm::Json)?)
}

/// An earlier result, and what messages call it.
struct Baseline {
    file: String,
    results: Vec<StudyResult>,
}

fn baseline(path: &Path) -> Result<Baseline, Failure> {
    let file = files::input_name(path);
    if !files::is_dash(path) && !path.exists() {
        return Err(Failure::bad(format!(
            "{file}: no such file; `--update-baseline {file}` makes it"
        )));
    }
    let results = results::read(path)?.results;
    Ok(Baseline { file, results })
}

fn compare(
    baseline: &Baseline,
    results: &[StudyResult],
    policy: &Policy,
) -> Result<Comparison, Failure> {
    let base = Side {
        file: &baseline.file,
        results: &baseline.results,
    };
    let new = Side {
        file: "this run",
        results,
    };
    let compared = report::compare::compare(base, new, &Which::Same, Workloads::Same, policy);
    compared.map_err(Failure::bad)
}

/// Prints the comparison after the pages; if standard output has data, on standard error.
fn print_comparison(
    args: &Args,
    terminal: Terminal,
    comparison: &Comparison,
) -> Result<(), Failure> {
    if args.report.on_stdout() != ResultForm::Text {
        files::write_to_stderr(&report::compare::text::page(comparison, Page::FILE));
        return Ok(());
    }
    let page = report::compare::text::page(comparison, terminal.page(None));
    files::write_text(None, &format!("\n{page}"))
}

fn write_junit(
    args: &Args,
    scenarios: &[Named],
    results: &[StudyResult],
) -> Result<(), Failure> {
    let Some(path) = &args.junit else {
        return Ok(());
    };
    let suites = results.iter().zip(scenarios).map(|(result, named)| {
        let expectations = named.scenario.expectations.iter();
        let held = expectations.filter(|it| args.seeds.is_none() && result.can_hold(it));
        Suite::of(result, held)
    });
    let suites: Vec<Suite> = suites.collect();
    files::write_text(Some(path), &junit::document("iovasim run", &suites))
}

/// The scenario with what the command line says in its place.
fn altered(mut scenario: Scenario, args: &Args) -> Result<Scenario, Failure> {
    if let Some(allocators) = args.allocators.named()? {
        scenario.allocators = allocators;
    }
    scenario.sampling = args.sampled.sampling().or(scenario.sampling);
    match args.seeds {
        None => {}
        Some(0) => return Err(Failure::bad("--seeds: found 0, expected at least 1")),
        Some(seeds) if u64::from(seeds) > SEEDS_MAX => {
            let problem = format!("--seeds: found {seeds}, expected at most {SEEDS_MAX}");
            return Err(Failure::bad(problem));
        }
        Some(seeds) if scenario.in_results(1).is_some() => {
            scenario.seeds = (1..=seeds.into()).collect();
        }
        Some(_) => {
            let name = &scenario.name;
            let message = format!("--seeds: `{name}` is of a recorded trace, which has none");
            return Err(Failure::bad(message));
        }
    }
    Ok(scenario)
}

/// Holds a result to what its scenario expects.
fn hold(args: &Args, result: &StudyResult, scenario: &Scenario) -> Expected {
    let all = &scenario.expectations;
    if args.seeds.is_some() {
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

/// Prints the page of a scenario, apart from the one before.
fn print_page(
    args: &Args,
    terminal: Terminal,
    number: usize,
    studied: &Studied,
    expected: &Expected,
) -> Result<(), Failure> {
    let sections = report::result::sections(studied, expected, args.tables.detail());
    if terminal.shows_progress() {
        progress::wipe();
    }
    let between = if number > 0 { "\n\n" } else { "" };
    let text = block::text(&sections, terminal.page(None));
    files::write_text(None, &format!("{between}{text}"))
}

/// Says which expectations do not hold, and how to look closer.
fn verdict(scenarios: &[Named], expected: &[Expected]) -> Verdict {
    let mut verdict = Verdict::Done;
    for (Named { file, scenario }, expected) in scenarios.iter().zip(expected) {
        let seed = scenario.seeds.first();
        let seed = seed.and_then(|&seed| scenario.in_results(seed));
        let generate = shell::generate(file, seed);
        for miss in &expected.misses {
            let closer = generate.as_ref().map_or(String::new(), |generate| {
                let allocator = &miss.allocator;
                format!("; look closer: {generate} | iovasim replay - --allocator {allocator}")
            });
            say(&format!("{file}: {miss}{closer}"));
            verdict = Verdict::Failed;
        }
    }
    verdict
}
