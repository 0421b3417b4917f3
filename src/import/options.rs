//! The options of an import: what the recording does not show, and what to import.

use std::fmt;
use std::str::FromStr;

use super::error::Problem;
use super::number;
use iova::kernel::FlushQueue;
use iova::units::{Granule, Pages, Pfn, PfnRange};

/// How a recording is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The text of tracefs's `trace`, or what `trace-cmd report` prints.
    Ftrace,
    /// trace-cmd's binary file, `trace.dat`.
    TraceDat,
    /// What `perf script` prints.
    PerfScript,
    /// The kernel's log, in which a driver lists a domain's ranges after a failure.
    KernelLog,
}

/// Which records of a recording are read, the most exact first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordSource {
    /// Probes on the allocator's functions: every request, with limits, answers and domains.
    Probes,
    /// `dma:*` events: sizes as asked, failures and devices, no limits.
    Dma,
    /// `iommu:map` and `iommu:unmap`: sizes and addresses alone.
    Iommu,
    /// The lists of ranges in a kernel log.
    Ranges,
}

impl Form {
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Form::Ftrace | Form::TraceDat => {
                "task-pid [cpu] flags seconds.micros: event: arguments"
            }
            Form::PerfScript => "task pid [cpu] seconds.micros: group:event: arguments",
            Form::KernelLog => "index pointer lo size hi",
        }
    }

    /// A line that is none of this form's.
    pub(crate) fn not_a_record(self, text: String) -> Problem {
        Problem::NotARecord {
            form: self.name(),
            expected: self.expected(),
            text,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Ftrace => "ftrace text",
            Form::TraceDat => "trace.dat",
            Form::PerfScript => "perf script",
            Form::KernelLog => "a kernel log",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Form, String> {
        match text {
            "ftrace" | "tracefs" | "trace-cmd" => Ok(Form::Ftrace),
            "trace-dat" | "trace.dat" => Ok(Form::TraceDat),
            "perf" | "perf-script" => Ok(Form::PerfScript),
            "log" | "kernel-log" => Ok(Form::KernelLog),
            _ => Err(format!(
                "unknown form `{text}`; expected one of `ftrace`, `trace-cmd`, `trace-dat`, `perf`, `log`"
            )),
        }
    }
}

impl RecordSource {
    fn name(self) -> &'static str {
        match self {
            RecordSource::Probes => "probes on the allocator",
            RecordSource::Dma => "`dma` events",
            RecordSource::Iommu => "`iommu` events",
            RecordSource::Ranges => "lists of ranges",
        }
    }
}

impl fmt::Display for RecordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RecordSource {
    type Err = String;

    fn from_str(text: &str) -> Result<RecordSource, String> {
        match text {
            "probes" => Ok(RecordSource::Probes),
            "dma" => Ok(RecordSource::Dma),
            "iommu" => Ok(RecordSource::Iommu),
            "ranges" => Ok(RecordSource::Ranges),
            _ => Err(format!(
                "unknown records `{text}`; expected one of `probes`, `dma`, `iommu`, `ranges`"
            )),
        }
    }
}

/// Which domains of a recording are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainChoice {
    /// The one with this number, in the order of appearance from 0.
    Ordinal(u64),
    /// Those at this address, one after the other.
    Pointer(u64),
    /// The one of this device.
    Device(String),
    /// Records that name no domain are all of one.
    One,
}

impl std::str::FromStr for DomainChoice {
    type Err = String;

    /// Reads `one`, a number, a pointer (`0x…`) or a device's name.
    fn from_str(text: &str) -> Result<DomainChoice, String> {
        if text == "one" {
            return Ok(DomainChoice::One);
        }
        if let Some(digits) = text.strip_prefix("0x") {
            let pointer = number::hexadecimal(digits);
            return pointer
                .map(DomainChoice::Pointer)
                .ok_or_else(|| format!("`{text}` is not a pointer"));
        }
        if text.is_empty() {
            return Err("a domain is `one`, a number, a pointer or a device's name".to_owned());
        }
        match text.parse() {
            Ok(number) => Ok(DomainChoice::Ordinal(number)),
            Err(_) => Ok(DomainChoice::Device(text.to_owned())),
        }
    }
}

/// What the recording does not show, and what to import.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The form; recognised if none.
    pub form: Option<Form>,
    /// The records to read; the most exact there are if none.
    pub record_source: Option<RecordSource>,
    /// The domains to import; all if none.
    pub domain: Option<DomainChoice>,
    /// The highest pfn of every request, for events that carry none: they become `alloc` and
    /// `free`.
    pub limit: Option<Pfn>,
    /// The highest address of every device, for events that carry none: they become `map` and
    /// `unmap`.
    pub mask: Option<u64>,
    /// What unmapped ranges go through, for `mask`.
    pub flush_queue: Option<FlushQueue>,
    /// Whether devices that have no PCI address are PCI devices, for a `mask` above 32 bits.
    pub pci: Option<bool>,
    /// Bytes per pfn, where the making of the domains is not on record.
    pub granule: Option<Granule>,
    /// The lowest pfn that may be handed out, where the making of the domains is not on record.
    pub start_pfn: Option<Pfn>,
    /// Ranges out of use in every domain whose making is not on record, such as the window for
    /// message-signalled interrupts: the first events of each.
    pub reserved: Vec<PfnRange>,
    /// Reserve ranges that searches pass over and that are never used, in domains whose creation was
    /// not recorded. Of probes alone.
    pub infer_reserved: bool,
    /// The number of CPUs, where the highest that appears is not the highest that there is.
    pub cpus: Option<u32>,
    /// Import the rest although events were lost.
    pub allow_lost: bool,
    /// Skip and count lines that cannot be read.
    pub skip_bad_lines: bool,
    /// Begin domains that were in use before the recording with what was live and cached then, as
    /// far as the recording shows it: allocations whose limits are made up, so that each leaves a
    /// range no other place than it had, and frees into the caches. Of probes alone.
    pub state_before: bool,
    /// `max32_alloc_size` of a `restore`; the end of the 32-bit space if none.
    pub max32: Option<Pages>,
    /// The lowest pfn of the range at which 32-bit searches begin after a kernel log's `restore`;
    /// the anchor if none.
    pub cached32: Option<Pfn>,
    /// The same of other searches.
    pub cached: Option<Pfn>,
    /// What the trace is, for its header.
    pub name: Option<String>,
    /// Where it came from, for its header.
    pub source: Option<String>,
    /// Which kernel recorded it, for its header.
    pub kernel: Option<String>,
}
