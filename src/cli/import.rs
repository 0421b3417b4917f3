//! `import`: a recording of a running kernel into a trace.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use iova::kernel::FlushQueue;
use iova::units::{Granule, Pages, Pfn, PfnRange};
use iovasim::import::{self, DomainChoice, Form, Options, RecordSource};

use super::common::{self, Terminal, number, pfn};
use super::files;
use super::progress::Progress;
use super::status::{Failure, Verdict};
use super::traces::{FORMS, TraceWriter};

/// Turn a recording into a trace: ftrace, trace-cmd, perf script or a kernel log
///
/// Probes on the allocator's functions are exact, with limits, failures and results; `dma`
/// and `iommu` events have less, and options give the rest. A report on standard error lists
/// what was imported, what was not, and why. Both trace-cmd's binary trace.dat (versions 6
/// and 7) and the text of `trace-cmd report` can be imported; the binary file is exact to the
/// nanosecond, and is held in memory.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
#[derive(Debug, ClapArgs)]
#[command(after_help = format!("{FORMS}\n\n\
Numbers may be hexadecimal with 0x.\n\n\
Example, which runs in the repository:
  iovasim import tests/recordings/linux-6.12-fill32-strict-kprobe-iommu.ftrace.txt.gz -o /tmp/fill32.trace.jsonl.zst"))]
pub(crate) struct Args {
    /// The recording, plain, gzip or zstd; `-` is standard input
    recording: PathBuf,
    /// The trace to write; the format follows the name
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// The format of the recording: ftrace, trace-cmd (the text of its report), trace-dat, perf
    /// or log [default: by content]
    #[arg(long, value_name = "FORMAT")]
    from: Option<Form>,
    /// The records to use: probes, dma, iommu or ranges [default: the most exact]
    #[arg(long, value_name = "KIND")]
    records: Option<RecordSource>,
    /// Import one domain: a number in order of appearance, a pointer (0x...) or a device; `one`
    /// treats records without a domain as one domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<DomainChoice>,
    /// The limit of every request, for events without one
    #[arg(long, value_name = "PFN", value_parser = pfn)]
    limit: Option<Pfn>,
    /// The DMA mask of every device, for events without one
    #[arg(long, value_name = "ADDRESS", value_parser = number, conflicts_with = "limit")]
    mask: Option<u64>,
    /// The flush queue of unmapped ranges, with --mask
    #[arg(long, value_name = "KIND", value_parser = common::flush_queue())]
    flush_queue: Option<FlushQueue>,
    /// Treat devices without a PCI address as PCI, with --mask
    #[arg(long, value_name = "BOOL")]
    pci: Option<bool>,
    /// Bytes per pfn, if the recording does not show it
    #[arg(long, value_name = "BYTES", value_parser = granule)]
    granule: Option<Granule>,
    /// The lowest pfn to allocate, if the recording does not show it
    #[arg(long, value_name = "PFN", value_parser = pfn)]
    start_pfn: Option<Pfn>,
    /// Reserved pfns of domains created before recording started (repeatable)
    #[arg(long, value_name = "LO-HI", value_parser = range)]
    reserved: Vec<PfnRange>,
    /// Reserve pfns that the recorded kernel never used though requests fitted there, in domains
    /// created before recording started
    #[arg(long)]
    infer_reserved: bool,
    /// The number of CPUs, if the recording does not show all
    #[arg(long, value_name = "N")]
    cpus: Option<u32>,
    /// Import even if events were lost
    #[arg(long)]
    allow_lost: bool,
    /// Skip lines that cannot be read; the report counts them and lists the first
    #[arg(long)]
    skip_bad_lines: bool,
    /// Restore the live and cached ranges of domains in use before recording started, as far as
    /// the recording shows them
    #[arg(long)]
    state_before: bool,
    /// `max32_alloc_size` of a `restore`, in pages
    #[arg(long, value_name = "PAGES", value_parser = number)]
    max32: Option<u64>,
    /// `cached32_node` of a `restore`: the lowest pfn of that range
    #[arg(long, value_name = "PFN", value_parser = pfn)]
    cached32: Option<Pfn>,
    /// `cached_node` of a `restore`: the lowest pfn of that range
    #[arg(long, value_name = "PFN", value_parser = pfn)]
    cached: Option<Pfn>,
    /// A name for the trace's header
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The origin of the recording, for the trace's header [default: the file's name]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// The kernel's version, for the trace's header
    #[arg(long, value_name = "TEXT")]
    kernel: Option<String>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    files::check_distinct(&[&args.recording], &[("-o", Some(&args.output))])?;
    let recording = Recording::open(&args.recording)?;
    let name = files::input_name(&args.recording);
    let open = || recording.reader().and_then(import::text);
    let mut import = import::import(&name, open, &options(args)).map_err(Failure::bad)?;
    let mut writer = TraceWriter::begin(&args.output, import.header())?;
    let mut progress = Progress::new(terminal.shows_progress(), None);
    for event in &mut import {
        writer.write(&event.map_err(Failure::bad)?)?;
        progress.event();
    }
    drop(progress);
    writer.finish()?;
    if !terminal.is_quiet() {
        files::write_to_stderr(&import.report().to_string());
    }
    Ok(Verdict::Done)
}

fn options(args: &Args) -> Options {
    let file = args
        .recording
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    Options {
        form: args.from,
        record_source: args.records,
        domain: args.domain.clone(),
        limit: args.limit,
        mask: args.mask,
        flush_queue: args.flush_queue,
        pci: args.pci,
        granule: args.granule,
        start_pfn: args.start_pfn,
        reserved: args.reserved.clone(),
        infer_reserved: args.infer_reserved,
        cpus: args.cpus,
        allow_lost: args.allow_lost,
        skip_bad_lines: args.skip_bad_lines,
        state_before: args.state_before,
        max32: args.max32.map(Pages),
        cached32: args.cached32,
        cached: args.cached,
        name: args.name.clone(),
        source: args
            .source
            .clone()
            .or(file.map(|file| format!("imported from {file}"))),
        kernel: args.kernel.clone(),
    }
}

/// A recording that can be read several times over: standard input is copied to a file first.
struct Recording {
    file: File,
}

impl Recording {
    fn open(path: &Path) -> Result<Recording, Failure> {
        let name = files::input_name(path);
        let unreadable =
            |error: io::Error| Failure::bad(format!("{name}: cannot read: {error}"));
        if !files::is_dash(path) && path.is_file() {
            return Ok(Recording {
                file: File::open(path).map_err(unreadable)?,
            });
        }
        let mut file = tempfile::tempfile().map_err(unreadable)?;
        io::copy(&mut files::open(path)?.bytes, &mut file).map_err(unreadable)?;
        Ok(Recording { file })
    }

    /// A reader from the start. All readers share a position, so one is read at a time.
    fn reader(&self) -> io::Result<impl Read + Send + use<>> {
        use std::io::Seek;
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

fn granule(text: &str) -> Result<Granule, String> {
    let granule = Granule::from_bytes(number(text)?);
    granule.ok_or_else(|| "expected a power of two up to 65536".to_owned())
}

fn range(text: &str) -> Result<PfnRange, String> {
    let expected = || "expected LO-HI, two pfns with LO <= HI".to_owned();
    let (lo, hi) = text.split_once('-').ok_or_else(expected)?;
    PfnRange::new(pfn(lo)?, pfn(hi)?).ok_or_else(expected)
}
