//! Recordings into traces: small cases as text, excerpts of real recordings, and hostile input.

mod cases;
mod dat;
mod events;
mod hostile;
mod log;
mod missed_frees;
mod order;
mod recordings;

use iova::op::Got;
use iova::units::{Cpu, Pfn, PfnRange};
use iovasim::import::{Options, Report, import};
use iovasim::trace::Place;
use iovasim::trace::check::Checker;
use iovasim::trace::event::{Event, Header, Op};

/// A recording's header, events and report.
struct Imported {
    header: Header,
    events: Vec<Event>,
    report: Report,
}

/// Imports a text; what comes out is a valid trace, or it panics.
fn read(text: impl AsRef<[u8]>, options: &Options) -> Result<Imported, String> {
    let text = text.as_ref();
    let mut imported =
        import("recording", || Ok(text), options).map_err(|error| error.to_string())?;
    let mut events = Vec::new();
    for event in &mut imported {
        events.push(event.map_err(|error| error.to_string())?);
    }
    let header = imported.header().clone();
    assert_valid(&header, &events);
    let report = imported.report().clone();
    assert_eq!(report.events, events.len() as u64);
    Ok(Imported {
        header,
        events,
        report,
    })
}

/// What must be recorded well, with no options.
fn plain(text: impl AsRef<[u8]>) -> Imported {
    read(text, &Options::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// What must be refused, with no options.
fn refused(text: impl AsRef<[u8]>) -> String {
    read(text, &Options::default()).map_or_else(|error| error, |_| panic!("not refused"))
}

/// Ids are live, times in order, CPUs online.
fn assert_valid(header: &Header, events: &[Event]) {
    let mut checker = Checker::new(header);
    for (number, event) in (0..).zip(events) {
        let admitted = checker.admit(Place::Event(number), event);
        admitted.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// One event in a line: `1.000002 cpu 0 dom 0 alloc 7: 4 pages up to 0xfffff fast, flush -> 0x10`.
fn line(event: &Event) -> String {
    let got = |got: &Got| match got {
        Got::Unrecorded => String::new(),
        Got::Failed => " -> failed".to_owned(),
        Got::Pfn(pfn) => format!(" -> {pfn}"),
    };
    let op = match &event.op {
        Op::Alloc {
            id,
            pages,
            limit,
            path,
            got: answer,
        } => format!(
            "alloc {id}: {} up to {limit} {path:?}{}",
            pages.0,
            got(answer)
        ),
        Op::Map {
            id,
            bytes,
            mask,
            pci,
            dev,
            got: answer,
        } => {
            let dev = dev.as_deref().unwrap_or("no device");
            let pci = if *pci { " pci" } else { "" };
            format!(
                "map {id}: {bytes} bytes up to {mask:#x} for {dev}{pci}{}",
                got(answer)
            )
        }
        Op::Free { id } => format!("free {id}"),
        Op::Unmap { id } => format!("unmap {id}"),
        Op::Reserve { range } => format!("reserve {range}"),
        Op::FreePfn { pfn } => format!("free_pfn {pfn}"),
        Op::Restore { snapshot } => {
            let nodes: Vec<String> = snapshot.nodes.iter().map(PfnRange::to_string).collect();
            let cached =
                |pfn: Option<Pfn>| pfn.map_or("anchor".to_owned(), |pfn| pfn.to_string());
            format!(
                "restore {} cached32 {} cached {} max32 {:#x}",
                nodes.join(" "),
                cached(snapshot.cached32),
                cached(snapshot.cached),
                snapshot.max32.0
            )
        }
        other => format!("{other:?}"),
    };
    let (Cpu(cpu), dom, at) = (event.cpu, event.dom, event.at.0);
    format!("{at} cpu {cpu} dom {dom} {op}")
}

/// The events, without their times.
fn told(imported: &Imported) -> Vec<String> {
    let untimed = |event: &Event| line(event).split_once(' ').map(|(_, rest)| rest.to_owned());
    imported.events.iter().filter_map(untimed).collect()
}

/// Lines of ftrace text, a microsecond apart, from `pid cpu event: arguments`.
fn ftrace(lines: &[&str]) -> String {
    let line = |(number, line): (usize, &&str)| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().expect("pid, cpu and event");
        let (pid, cpu, rest) = (word(), word(), word());
        format!("  task-{pid} [{cpu:0>3}] ..... 1.{number:06}: {rest}\n")
    };
    lines.iter().enumerate().map(line).collect()
}
