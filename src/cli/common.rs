//! Options that several commands have.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use iova::kernel::{Allocator, FlushQueue, allocator_list};
use iova::measure::Sampling;
use iova::measure::sampling::Every;
use iova::replay::Dom;
use iova::units::Pfn;
use iovasim::report::Page;
use iovasim::workload::quantity::{Bytes, Quantity};

use super::files;
use super::memory;
use super::status::Failure;

/// Where help lists the options that every command has: after those of the command.
const LAST: usize = 900;

/// Terminal output and parallelism.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Terminal {
    /// Show no progress
    #[arg(short, long, global = true, display_order = LAST)]
    pub(crate) quiet: bool,
    /// When to use colours
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        global = true,
        display_order = LAST + 1
    )]
    color: Color,
    /// Worker threads [default: number of cores]
    #[arg(short, long, value_name = "N", global = true, display_order = LAST + 2)]
    jobs: Option<NonZeroUsize>,
    /// End with an error where more memory than SIZE is needed, such as 500MiB
    #[arg(
        long,
        value_name = "SIZE",
        global = true,
        value_parser = size,
        display_order = LAST + 3
    )]
    memory_limit: Option<u64>,
}

fn size(text: &str) -> Result<u64, String> {
    let bytes = Bytes::from_text(text).ok_or("expected a size such as 500MiB")?;
    Ok(bytes.0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// Sampling of the state over time.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Sampled {
    /// Sample the address space for `plot`, every INTERVAL events or a time such as 10ms
    /// [default INTERVAL: 1 event]; long replays are sampled less often
    #[arg(
        long = "sample",
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1"
    )]
    every: Option<Every>,
    /// Sample the window up to PFN [default: the limit of most requests; of a trace in
    /// a pipe, the highest 32-bit pfn]
    #[arg(long = "sample-limit", value_name = "PFN", requires = "every", value_parser = pfn)]
    limit: Option<Pfn>,
    /// Sample the N-th domain in order of first use, from 0 [default: the busiest domain]
    #[arg(long = "sample-domain", value_name = "N", requires = "every")]
    domain: Option<u32>,
}

impl Sampled {
    /// How to sample; none if nothing is to be sampled.
    pub(crate) fn sampling(self) -> Option<Sampling> {
        self.every.map(|every| Sampling {
            every,
            limit: self.limit,
            dom: self.domain.map(Dom),
        })
    }
}

/// Parses a number, decimal or hexadecimal with 0x.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "expected a number below 2^64, decimal or with 0x".to_owned())
}

/// Parses a pfn.
pub(crate) fn pfn(text: &str) -> Result<Pfn, String> {
    number(text).map(Pfn)
}

/// The parser of a flush queue's name.
pub(crate) fn flush_queue() -> impl TypedValueParser<Value = FlushQueue> {
    PossibleValuesParser::new(FlushQueue::NAMES).try_map(|name| name.parse::<FlushQueue>())
}

/// Which allocators.
#[derive(Clone, Debug, Args)]
pub(crate) struct Allocators {
    /// The allocators, separated by commas, such as `new,linux-5.10..linux-7.2` or `all`;
    /// `iovasim allocators` lists the names
    #[arg(
        short = 'a',
        long = "allocator",
        value_name = "A,B,...",
        value_delimiter = ',',
        action = clap::ArgAction::Append
    )]
    names: Vec<String>,
}

impl Allocators {
    /// The allocators that were named; none if none were.
    pub(crate) fn named(&self) -> Result<Option<Vec<Allocator>>, Failure> {
        let names = self.names.iter().map(String::as_str);
        let allocators = allocator_list::parse(names)
            .map_err(|(_, error)| Failure::bad(format!("--allocator: {error}")))?;
        Ok(Some(allocators).filter(|allocators| !allocators.is_empty()))
    }
}

/// The first picture: before and after the change of 5.18.
pub(crate) fn old_and_new() -> Result<Vec<Allocator>, Failure> {
    ["old", "new"].into_iter().map(allocator).collect()
}

/// The allocator of a name.
pub(crate) fn allocator(name: &str) -> Result<Allocator, Failure> {
    name.parse().map_err(Failure::bad)
}

impl Terminal {
    /// Applies `--memory-limit`.
    pub(crate) fn limit_memory(self) -> Result<(), Failure> {
        self.memory_limit.map_or(Ok(()), memory::limit)
    }

    /// How many threads may work.
    pub(crate) fn jobs(self) -> NonZeroUsize {
        let all = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.jobs.unwrap_or_else(all)
    }

    /// The page that is set for a file, or for standard output if there is none.
    pub(crate) fn page(self, output: Option<&Path>) -> Page {
        let to_stdout = output.is_none_or(files::is_dash);
        let on_terminal = to_stdout && std::io::stdout().is_terminal();
        let width = if on_terminal { width() } else { None };
        Page {
            width: width.unwrap_or(Page::FILE.width),
            colour: match self.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => on_terminal && wants_colour(),
            },
        }
    }

    /// Whether nothing is to be said but what was asked for.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Whether progress is shown.
    pub(crate) fn shows_progress(self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }
}

fn width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
    Some(usize::from(width.0))
}

/// Whether the environment allows colours on a terminal (<https://no-color.org>).
fn wants_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|it| it == "dumb");
    !refused && !dumb
}
