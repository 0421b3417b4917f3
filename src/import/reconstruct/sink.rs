//! How events come out: their times, the level of their requests, and where they go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::import::error::Problem;
use crate::import::options::Options;
use crate::import::read::record::Record;
use crate::import::report::Report;
use crate::trace::event::{Event, Header, Op};
use iova::op::{Got, Path};
use iova::units::{Cpu, Granule, Nanos, Pfn};

/// How far the clocks of two CPUs may be apart; the kernel's worst clock stays within a few
/// milliseconds.
const SKEW_MAX_NS: u64 = 100_000_000;

/// Watches the times of records, and gives those of events.
///
/// The order of the lines is kept, since that is the order in which the tracer merged the CPUs. An
/// event that comes after one with a later time gets that time.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    seen: u64,
    by_cpu: BTreeMap<Cpu, u64>,
    start: Option<u64>,
    event: u64,
}

impl Clock {
    /// Takes the time of the next record.
    pub(crate) fn see(
        &mut self,
        record: &Record<'_>,
        report: &mut Report,
    ) -> Result<(), Problem> {
        let own = self.by_cpu.insert(record.cpu, record.at).unwrap_or(0);
        if record.at < own {
            return Err(Problem::TimeGoesBack {
                back_ns: own - record.at,
                whose: "on one CPU",
            });
        }
        let back_ns = self.seen.saturating_sub(record.at);
        if back_ns > SKEW_MAX_NS {
            return Err(Problem::TimeGoesBack {
                back_ns,
                whose: "between CPUs",
            });
        }
        if back_ns > 0 {
            report.times_back += 1;
            report.time_back_max_ns = report.time_back_max_ns.max(back_ns);
        }
        self.seen = self.seen.max(record.at);
        Ok(())
    }

    /// Sets the time of the events that follow.
    pub(crate) fn set(&mut self, at: u64) {
        self.event = self.event.max(at);
    }

    /// The trace's time of an event; the first is the start.
    pub(crate) fn event(&mut self) -> Nanos {
        let start = *self.start.get_or_insert(self.event);
        Nanos(self.event - start)
    }
}

/// Appends events to the queue, and counts them.
pub(crate) struct EventSink<'a> {
    pub clock: &'a mut Clock,
    pub events: &'a mut VecDeque<Event>,
    pub report: &'a mut Report,
}

impl EventSink<'_> {
    pub(crate) fn push(&mut self, cpu: Cpu, dom: u64, op: Op) {
        self.report.events += 1;
        let at = self.clock.event();
        self.events.push_back(Event { at, cpu, dom, op });
    }
}

/// The level of requests for which a recording shows addresses and sizes, but not the call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ApiLevel {
    /// `alloc` and `free`, as the DMA layer asks the allocator, all with one limit.
    Allocator { limit: Pfn },
    /// `map` and `unmap`, as drivers ask the DMA layer, all with one mask.
    Api { mask: u64, pci: Option<bool> },
}

impl ApiLevel {
    /// The level that the options give; the flush queue goes into the header.
    pub(crate) fn of(options: &Options, header: &mut Header) -> Result<ApiLevel, String> {
        match (options.limit, options.mask) {
            (Some(limit), None) => Ok(ApiLevel::Allocator { limit }),
            (None, Some(mask)) => {
                let ask = "--mask turns the events into `map` and `unmap`, which use a flush queue in \
                           lazy mode; the recording does not show the mode: give --flush-queue \
                           none, per-cpu or single";
                header.flush_queue = options.flush_queue.ok_or(ask)?;
                let pci = options.pci;
                Ok(ApiLevel::Api { mask, pci })
            }
            (None, None) => Err(
                "the events have no limit: give --limit PFN for requests to the allocator, or \
                 --mask ADDRESS for requests to the DMA API"
                    .to_owned(),
            ),
            (Some(_), Some(_)) => Err("give --limit or --mask, not both".to_owned()),
        }
    }

    /// A request for `bytes` bytes.
    pub(crate) fn alloc(
        self,
        id: u64,
        bytes: u64,
        granule: Granule,
        device: Option<&Arc<str>>,
        got: Got,
    ) -> Result<Op, String> {
        match self {
            ApiLevel::Allocator { limit } => Ok(Op::Alloc {
                id,
                pages: granule.pages(bytes),
                limit,
                path: Path::Fast { flush: true },
                got,
            }),
            ApiLevel::Api { mask, pci } => Ok(Op::Map {
                id,
                bytes,
                mask,
                pci: is_pci(mask, pci, device.map(|name| &**name))?,
                dev: device.cloned(),
                got,
            }),
        }
    }

    /// The end of a request.
    pub(crate) fn free(self, id: u64) -> Op {
        match self {
            ApiLevel::Allocator { .. } => Op::Free { id },
            ApiLevel::Api { .. } => Op::Unmap { id },
        }
    }
}

/// Whether a device is a PCI device, where that makes a difference.
fn is_pci(mask: u64, stated: Option<bool>, device: Option<&str>) -> Result<bool, String> {
    if let Some(true) = device.map(is_pci_address) {
        return Ok(true);
    }
    match stated {
        Some(pci) => Ok(pci),
        None if u32::try_from(mask).is_ok() => Ok(false),
        None => Err(format!(
            "PCI devices try the 32-bit space first, and {} may be one: give --pci true or false",
            device.unwrap_or("the device, which the recording does not name,")
        )),
    }
}

/// `0000:00:1f.2`.
fn is_pci_address(name: &str) -> bool {
    let mut parts = name.split([':', '.']);
    let mut hexadecimal = |digits: usize| {
        parts.next().is_some_and(|part| {
            part.len() >= digits && part.bytes().all(|b| b.is_ascii_hexdigit())
        })
    };
    hexadecimal(4)
        && hexadecimal(2)
        && hexadecimal(2)
        && hexadecimal(1)
        && parts.next().is_none()
}
