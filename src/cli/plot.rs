//! `plot`: charts of results and of traces.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use iova::kernel::{Allocator, FlushQueue};
use iova::measure::Sampling;
use iova::replay::Dom;
use iova::units::Pfn;
use iovasim::plot::{self, Chart, ChartOptions, Dataset, Scene};
use iovasim::study::{self, Observe, RequestStream, StudyResult, load};
use iovasim::trace::compress;
use iovasim::trace::read::Reader;

use super::common::{self, Allocators, Terminal};
use super::files::{self, Input, Output};
use super::progress::Progress;
use super::results;
use super::status::{Failure, Verdict, say};
use super::traces::survey;

/// Draw charts of results, of replays' documents, or of traces
///
/// Draws every chart that the input has the data for, a file each. A trace is replayed on the
/// spot, by default under old and new; for `--chart releases` alone under every release that
/// came with a change.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The charts: failure-rate, fragmentation, max32 (beside the largest request that would fit),
address-map, search-cost, releases, workload. plots/README.md says how to read them.

Example, which runs in the repository: what the change of 5.18 mends, in pictures
  iovasim plot traces/mediatek-report.trace.jsonl.gz -o plots-of-the-report")]
pub(crate) struct Args {
    /// Results of `run`, JSON of `replay`, or traces; `-` is standard input
    #[arg(value_name = "RESULT", required = true)]
    inputs: Vec<PathBuf>,
    /// The folder for the charts, made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Draw this chart alone; repeat it for more
    #[arg(long = "chart", value_name = "NAME", value_parser = chart)]
    charts: Vec<Chart>,
    /// The form of the files
    #[arg(long, value_name = "FORM", default_value = "svg")]
    format: Form,
    /// Width and height in pixels; in a small picture all is smaller [default: what suits the
    /// chart]
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(u32, u32)>,
    /// The title in place of a chart's own
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Dark on light, or light on dark
    #[arg(long, value_name = "TONE", default_value = "light")]
    theme: Theme,
    /// Show a trace's window up to PFN [default: the limit of most requests]
    #[arg(long = "sample-limit", value_name = "PFN", value_parser = common::pfn)]
    limit: Option<Pfn>,
    /// Show a trace's N-th domain in order of first use, from 0 [default: the busiest domain]
    #[arg(long = "sample-domain", value_name = "N")]
    domain: Option<u32>,
    #[command(flatten)]
    allocators: Allocators,
}

impl Args {
    /// How a trace is sampled.
    fn window(&self) -> Sampling {
        Sampling {
            limit: self.limit,
            dom: self.domain.map(Dom),
            ..Sampling::default()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Svg,
    Png,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Theme {
    Light,
    Dark,
}

fn chart(name: &str) -> Result<Chart, String> {
    Chart::named(name).ok_or_else(|| {
        let names = Chart::ALL.map(Chart::name);
        format!("expected one of {}", names.join(", "))
    })
}

/// The smallest and the largest side of a picture.
const SIDES: std::ops::RangeInclusive<u32> = 400..=4096;

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x');
    let sides =
        sides.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let fits = |(width, height): &(u32, u32)| SIDES.contains(width) && SIDES.contains(height);
    let (least, most) = (SIDES.start(), SIDES.end());
    sides
        .filter(fits)
        .ok_or_else(|| format!("expected WxH such as 1200x800, each from {least} to {most}"))
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    let mut datasets = Vec::new();
    for path in &args.inputs {
        datasets.extend(read(path, args, terminal)?);
    }
    let places = places(&datasets);
    let options = ChartOptions {
        size: args.size,
        theme: match args.theme {
            Theme::Light => plot::Theme::Light,
            Theme::Dark => plot::Theme::Dark,
        },
        title: args.title.clone(),
    };
    let mut pictures: Vec<(String, Scene)> = Vec::new();
    let mut names = BTreeSet::new();
    for dataset in &datasets {
        for (chart, scene) in draw(dataset, &places, args, &options, terminal)? {
            let name = format!("{}-{}", file_name(&dataset.name), chart.name());
            if !names.insert(name.clone()) {
                let problem = "several inputs of one name: plot them into different folders";
                return Err(Failure::bad(format!("{name}: {problem}")));
            }
            pictures.push((name, scene));
        }
    }
    std::fs::create_dir_all(&args.output)
        .map_err(|error| Failure::write(args.output.display(), &error))?;
    let write = |(name, scene): &(String, Scene)| write(&args.output, name, scene, args.format);
    let written: Result<Vec<Output>, Failure> = pictures.iter().map(write).collect();
    for output in written? {
        output.finish()?;
    }
    Ok(Verdict::Done)
}

/// The charts of a dataset: those that were asked for, or all for which it has the data.
fn draw(
    dataset: &Dataset,
    places: &BTreeMap<String, usize>,
    args: &Args,
    options: &ChartOptions,
    terminal: Terminal,
) -> Result<Vec<(Chart, Scene)>, Failure> {
    let mut drawn = Vec::new();
    let all = args.charts.is_empty();
    let charts = if all { &Chart::ALL[..] } else { &args.charts };
    for &chart in charts {
        if all && chart == Chart::Releases && !plot::releases::are_all(&dataset.allocators) {
            // Of one or two allocators nobody expects it.
            if !terminal.is_quiet() && dataset.allocators.len() > 2 {
                let name = &dataset.name;
                say(&format!(
                    "{name}: no releases: needs every release: --allocator all"
                ));
            }
            continue;
        }
        match chart.draw(dataset, places, options) {
            Ok(scene) => drawn.push((chart, scene)),
            Err(lacking) => {
                let message = format!("{}: no {}: needs {lacking}", dataset.name, chart.name());
                if !all {
                    return Err(Failure::bad(message));
                }
                if !terminal.is_quiet() {
                    say(&message);
                }
            }
        }
    }
    Ok(drawn)
}

/// Each allocator's place among all, in the order in which they come.
fn places(datasets: &[Dataset]) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for allocator in datasets.iter().flat_map(|dataset| &dataset.allocators) {
        let next = places.len();
        places.entry(allocator.allocator.clone()).or_insert(next);
    }
    places
}

/// A name that is one on any system.
fn file_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(plain).collect();
    if name.is_empty() {
        "trace".to_owned()
    } else {
        name
    }
}

/// Writes a picture; it has its name once the output is finished.
fn write(folder: &Path, name: &str, scene: &Scene, form: Form) -> Result<Output, Failure> {
    let (bytes, ending) = match form {
        Form::Svg => (plot::svg(scene).into_bytes(), "svg"),
        Form::Png => (plot::png(scene), "png"),
    };
    let output = Output::begin(&folder.join(format!("{name}.{ending}")))?;
    output
        .writer()?
        .write_all(&bytes)
        .map_err(|error| output.failure(&error))?;
    Ok(output)
}

/// How much of an input tells what it is.
const HEAD: u64 = 4096;

/// Reads an input, whatever it is.
fn read(path: &Path, args: &Args, terminal: Terminal) -> Result<Vec<Dataset>, Failure> {
    let file = files::input_name(path);
    let unreadable = |error| Failure::bad(format!("{file}: cannot read: {error}"));
    let input = files::open(path)?;
    let progress = Progress::new(terminal.shows_progress(), input.size);
    let bytes = compress::decoded(progress.count(input.bytes)).map_err(unreadable)?;
    let mut bytes: Box<dyn Read + Send> = Box::new(bytes);
    let mut head = Vec::new();
    let begun = bytes.by_ref().take(HEAD).read_to_end(&mut head);
    begun.map_err(unreadable)?;
    let is_trace = is_trace(&head);
    let bytes = Box::new(Cursor::new(head).chain(bytes));
    if is_trace {
        return Ok(vec![replay(path, bytes, progress, args, terminal)?]);
    }
    drop(progress);
    let input = Input { bytes, size: None };
    let text = results::text_of(&file, input)?;
    let document = load::document(&file, &text).map_err(Failure::bad)?;
    let results = document.results.into_iter();
    let mut datasets: Vec<Dataset> = results.map(Dataset::of_result).collect();
    if let Some(named) = args.allocators.named()? {
        for dataset in &mut datasets {
            let missing = named.iter().find(|allocator| {
                let name = allocator.name();
                dataset.allocators.iter().all(|it| it.allocator != name)
            });
            if let Some(missing) = missing {
                let name = &dataset.name;
                return Err(Failure::bad(format!("{file}: `{name}` has no {missing}")));
            }
            let is_named = |name: &str| named.iter().any(|it| it.name() == name);
            dataset.allocators.retain(|it| is_named(&it.allocator));
        }
    }
    Ok(datasets)
}

/// Whether an input begins as a trace does; what is no text is binary.
fn is_trace(head: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(head.get(..16).unwrap_or(head)) else {
        return true;
    };
    if !text.trim_start().starts_with('{') {
        return !text.trim().is_empty()
            && text.contains(|c: char| c.is_control() && !c.is_whitespace());
    }
    let text = String::from_utf8_lossy(head);
    let said = text.split_once("\"iovasim\"").map(|(_, said)| said);
    let said =
        said.map(|said| said.trim_start_matches(|c: char| c.is_whitespace() || c == ':'));
    said.is_some_and(|said| said.starts_with("\"trace\""))
}

/// `old` and `new`; for the chart of releases alone, every release that came with a change.
fn by_default(charts: &[Chart], queue: FlushQueue) -> Result<Vec<Allocator>, Failure> {
    if charts != [Chart::Releases] {
        return common::old_and_new();
    }
    let names = plot::releases::one_of_each();
    let allocators: Result<Vec<_>, _> =
        names.iter().map(|name| common::allocator(name)).collect();
    let mut allocators = allocators?;
    // Those that could have made the trace.
    allocators.retain(|it| it.supports(queue));
    Ok(allocators)
}

/// Replays a trace, and samples it.
fn replay(
    path: &Path,
    bytes: Box<dyn Read + Send>,
    mut progress: Progress,
    args: &Args,
    terminal: Terminal,
) -> Result<Dataset, Failure> {
    let file = &files::input_name(path);
    let reader = Reader::new(file, bytes).map_err(Failure::bad)?;
    let header = reader.header().clone();
    let allocators = match args.allocators.named()? {
        Some(named) => named,
        None => by_default(&args.charts, header.flush_queue)?,
    };
    let observe = Observe {
        sampling: Some(survey(path, &header, args.window())?),
        ..Observe::default()
    };
    let stream = RequestStream::new(file, &header, reader).inspect(|_| progress.event());
    let replayed = study::run(stream, &allocators, observe, terminal.jobs());
    let result = StudyResult::of_replay(file, &header, &replayed.map_err(Failure::bad)?);
    Ok(Dataset::of_result(result))
}
