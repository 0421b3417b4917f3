//! `history`: every event of a trace that touched an address.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use iova::kernel::Allocator;
use iova::units::{Granule, Pfn};
use iovasim::study::history::{History, Touch};
use serde::Serialize;

use super::common::{self, Terminal};
use super::output::{Format, Report};
use super::status::{Failure, Verdict};
use super::traces::CheckedTrace;

/// Print every event that touched an address
///
/// The trace is replayed against one allocator. An event touches the address if it hands out,
/// frees, reserves or restores the range that contains it, or if that range leaves the tree with
/// it: after a flush of the caches, by a timer, with a CPU that goes offline.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example, which runs in the repository: who held the page at 1.5 GiB
  iovasim history traces/qualcomm-retry.trace.jsonl --pfn 0x60000 -a new")]
pub(crate) struct Args {
    /// The trace, in any form; `-` is standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The page frame number, decimal or with 0x: the address divided by the granule
    #[arg(long, value_name = "PFN", value_parser = common::pfn)]
    pfn: Pfn,
    /// The allocator; `iovasim allocators` lists the names
    #[arg(short, long, value_name = "A", default_value = "new")]
    allocator: String,
    #[command(flatten)]
    report: Report<Format>,
}

#[derive(Serialize)]
struct Document<'a> {
    iovasim: &'static str,
    version: u64,
    trace: &'a str,
    allocator: String,
    pfn: u64,
    address: Option<u64>,
    events: Vec<Row>,
    in_use: Vec<InUse>,
}

#[derive(Serialize)]
struct Row {
    /// The line of a JSON trace, from 1, or the event of a binary one, from 0.
    place: u64,
    nanos: u64,
    cpu: u16,
    domain: u64,
    op: &'static str,
    id: Option<u64>,
    effect: String,
}

#[derive(Serialize)]
struct InUse {
    domain: u64,
    lo: u64,
    hi: u64,
    id: Option<u64>,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<Verdict, Failure> {
    args.report.check(&[&args.trace])?;
    let allocator = common::allocator(&args.allocator)?;
    let mut trace = CheckedTrace::open(&args.trace, terminal)?;
    let header = trace.header();
    let (options, granule) = (header.domain_options(), header.granule);
    let history = History::new(&allocator, options, header.cpus, args.pfn);
    let mut history = history.map_err(Failure::bad)?;
    let mut touches = Vec::new();
    while let Some((place, event, request)) = trace.next_request()? {
        if history.apply(place, event, request, &mut touches).is_err() {
            break;
        }
    }
    let name = trace.name().to_owned();
    drop(trace);
    args.report.write(terminal, true, |form, _| match form {
        Format::Text => text(args.pfn, granule, &allocator, &touches, &history),
        Format::Json => json(&name, args.pfn, granule, &allocator, &touches, &history),
    })?;
    Ok(Verdict::Done)
}

fn address(pfn: Pfn, granule: Granule) -> Option<u64> {
    pfn.0.checked_mul(granule.bytes())
}

fn text(
    pfn: Pfn,
    granule: Granule,
    allocator: &Allocator,
    touches: &[Touch],
    history: &History,
) -> String {
    let mut text = format!("pfn {pfn}");
    if let Some(address) = address(pfn, granule) {
        let _ = write!(text, " (address {address:#x})");
    }
    let _ = writeln!(text, " under {}", allocator.name());
    if touches.is_empty() {
        text.push_str("no event touched it\n");
    }
    for touch in touches {
        let op = match touch.id {
            Some(id) => format!("{} {id}", touch.op),
            None => touch.op.to_owned(),
        };
        let _ = writeln!(
            text,
            "{}, {} ns, cpu {}, domain {}: {op}: {}",
            touch.place, touch.at.0, touch.cpu.0, touch.dom, touch.effect
        );
    }
    for (dom, range, holder) in history.in_use() {
        let _ = match holder {
            Some(id) => writeln!(text, "at the end id {id} holds {range} in domain {dom}"),
            None => writeln!(text, "at the end {range} is in the tree of domain {dom}"),
        };
    }
    text
}

fn json(
    trace: &str,
    pfn: Pfn,
    granule: Granule,
    allocator: &Allocator,
    touches: &[Touch],
    history: &History,
) -> String {
    let row = |touch: &Touch| Row {
        place: touch.place.number(),
        nanos: touch.at.0,
        cpu: touch.cpu.0,
        domain: touch.dom,
        op: touch.op,
        id: touch.id,
        effect: touch.effect.to_string(),
    };
    let in_use = |(domain, range, id): (u64, iova::units::PfnRange, Option<u64>)| InUse {
        domain,
        lo: range.lo().0,
        hi: range.hi().0,
        id,
    };
    let document = Document {
        iovasim: "history",
        version: 1,
        trace,
        allocator: allocator.name().to_owned(),
        pfn: pfn.0,
        address: address(pfn, granule),
        events: touches.iter().map(row).collect(),
        in_use: history.in_use().map(in_use).collect(),
    };
    let text = serde_json::to_string_pretty(&document).expect("plain data");
    format!("{text}\n")
}
