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

/// Make a trace of a recording: ftrace, trace-cmd, perf script or a kernel log
///
/// Probes on the allocator's functions are exact, with limits, failures and answers; `dma`
/// and `iommu` events say less, and what they do not say is asked for. What was read, what
/// was left out and why is reported on standard error. Of trace-cmd, both the binary
/// trace.dat (versions 6 and 7) and what `trace-cmd report` prints of it are read; the first
/// is exact to the nanosecond, and held in memory.
#[derive(Debug, ClapArgs)]
#[command(after_help = format!("{FORMS}\n\n\
Numbers may be hexadecimal with 0x.\n\n\
Example, which runs in the repository:
  iovasim import tests/recordings/linux-6.12-fill32-strict-kprobe-iommu.ftrace.txt.gz -o /tmp/fill32.trace.jsonl.zst"))]
pub(crate) struct Args {
    /// The recording, plain, gzip or zstd; `-` is standard input
    recording: PathBuf,
    /// The trace to write; its name says the form
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// The form of the recording: ftrace, trace-cmd (what it reports), trace-dat, perf or log
    /// [default: by content]
    #[arg(long, value_name = "FORM")]
    from: Option<Form>,
    /// The records to read: probes, dma, iommu or ranges [default: the most exact]
    #[arg(long, value_name = "KIND")]
    records: Option<RecordSource>,
    /// One domain alone: a number in order of appearance, a pointer (0x...) or a device; `one`
    /// takes records that name none for one domain's
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<DomainChoice>,
    /// The highest pfn of every request, for events that say none
    #[arg(long, value_name = "PFN", value_parser = pfn)]
    limit: Option<Pfn>,
    /// The highest address of every device, for events that say none
    #[arg(long, value_name = "ADDRESS", value_parser = number, conflicts_with = "limit")]
    mask: Option<u64>,
    /// What unmapped ranges went through, with --mask
    #[arg(long, value_name = "KIND", value_parser = common::flush_queue())]
    flush_queue: Option<FlushQueue>,
    /// Whether devices without a PCI address are PCI devices, with --mask
    #[arg(long, value_name = "BOOL")]
    pci: Option<bool>,
    /// Bytes per pfn, where the recording does not say
    #[arg(long, value_name = "BYTES", value_parser = granule)]
    granule: Option<Granule>,
    /// The lowest pfn that may be handed out, where the recording does not say
    #[arg(long, value_name = "PFN", value_parser = pfn)]
    start_pfn: Option<Pfn>,
    /// Pfns out of use in domains whose making is not on record (repeatable)
    #[arg(long, value_name = "LO-HI", value_parser = range)]
    reserved: Vec<PfnRange>,
    /// The number of CPUs, where the recording does not show them all
    #[arg(long, value_name = "N")]
    cpus: Option<u32>,
    /// Import what is left although the tracer lost events
    #[arg(long)]
    allow_lost: bool,
    /// Begin domains that were in use before the recording with what it shows to have been live
    /// and cached then
    #[arg(long)]
    state_before: bool,
    /// `max32_alloc_size` of a `restore`, in pages
    #[arg(long, value_name = "PAGES", value_parser = number)]
    max32: Option<u64>,
    /// The pfn of the range at which 32-bit searches begin after a `restore`
    #[arg(long, value_name = "PFN", value_parser = pfn)]
    cached32: Option<Pfn>,
    /// The pfn of the range at which other searches begin after a `restore`
    #[arg(long, value_name = "PFN", value_parser = pfn)]
    cached: Option<Pfn>,
    /// What the trace is, for its header
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Where the recording came from, for the trace's header [default: the file's name]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Which kernel recorded it, for the trace's header
    #[arg(long, value_name = "TEXT")]
    kernel: Option<String>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
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
        cpus: args.cpus,
        allow_lost: args.allow_lost,
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
    let expected = || "expected LO-HI, two pfns of which the first is not above".to_owned();
    let (lo, hi) = text.split_once('-').ok_or_else(expected)?;
    PfnRange::new(pfn(lo)?, pfn(hi)?).ok_or_else(expected)
}
