//! Writes a trace as JSON lines.
//!
//! One event has one form: the op first, then `t`, `cpu`, `dom` and the op's own fields in the
//! order of the format's table, without spaces, and without what is the default. So reading and
//! writing such a file gives the same bytes.

use std::io::{self, Write};

use super::event::{Event, Header, Op, VERSION};
use super::json::Text;
use iova::kernel::{Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Cpu, Nanos};

/// Writes the header and the events of a trace.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    text: Text,
    before: Nanos,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(mut out: W, header: &Header) -> io::Result<Writer<W>> {
        let mut text = Text::default();
        write_header(&mut text, header);
        text.write(&mut out)?;
        Ok(Writer {
            out,
            text,
            before: Nanos(0),
        })
    }

    /// Writes one event.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        write_event(&mut self.text, event, self.before);
        self.before = event.at;
        self.text.write_if_many(&mut self.out)
    }

    /// Writes what is left, and gives the output back.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        self.text.write(&mut self.out)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A header as the first line of a trace, without its line end.
pub(super) fn header_line(header: &Header) -> Vec<u8> {
    let mut text = Text::default();
    write_header(&mut text, header);
    let mut line = text.into_bytes();
    line.pop();
    line
}

fn write_header(text: &mut Text, header: &Header) {
    let Header {
        granule,
        start_pfn,
        cpus,
        flush_queue,
        forcedac,
        name,
        source,
        kernel,
    } = header;
    let default = Header::default();
    text.open();
    text.string("iovasim", "trace");
    text.number("version", VERSION);
    text.number_unless("granule", granule.bytes(), default.granule.bytes());
    text.number_unless("start_pfn", start_pfn.0, default.start_pfn.0);
    text.number_unless("cpus", (*cpus).into(), default.cpus.into());
    if *flush_queue != default.flush_queue {
        text.string("flush_queue", flush_queue.name());
    }
    if *forcedac {
        text.flag("forcedac", true);
    }
    for (field, free) in [("name", name), ("source", source), ("kernel", kernel)] {
        if let Some(free) = free {
            text.string(field, free);
        }
    }
    text.close();
}

fn write_event(text: &mut Text, event: &Event, before: Nanos) {
    let Event { at, cpu, dom, op } = event;
    text.open();
    text.name("op");
    text.raw("\"");
    text.raw(op.name());
    text.raw("\"");
    text.number_unless("t", at.0, before.0);
    if *cpu != Cpu(0) || matches!(op, Op::CpuDead | Op::CpuUp) {
        text.number("cpu", cpu.0.into());
    }
    text.number_unless("dom", *dom, 0);
    write_op(text, op);
    text.close();
}

fn write_op(text: &mut Text, op: &Op) {
    match op {
        Op::Alloc {
            id,
            pages,
            limit,
            path,
            got,
        } => {
            text.number("id", *id);
            text.number("pages", pages.0);
            text.number("limit", limit.0);
            write_path(text, *path);
            write_got(text, *got);
        }
        Op::Map {
            id,
            bytes,
            mask,
            pci,
            dev,
            got,
        } => {
            text.number("id", *id);
            text.number("bytes", *bytes);
            text.number("mask", *mask);
            if *pci {
                text.flag("pci", true);
            }
            if let Some(dev) = dev {
                text.string("dev", dev);
            }
            write_got(text, *got);
        }
        Op::Free { id } | Op::Unmap { id } | Op::DoubleFree { id } => text.number("id", *id),
        Op::Reserve { range } => {
            text.number("lo", range.lo().0);
            text.number("hi", range.hi().0);
        }
        Op::FreePfn { pfn } => text.number("pfn", pfn.0),
        Op::CpuDead | Op::CpuUp => {}
        Op::Restore(snapshot) => write_snapshot(text, snapshot),
        Op::NoMem { what, count } => {
            let what = match what {
                Memory::Iova => "iova",
                Memory::Magazine => "magazine",
            };
            text.string("what", what);
            text.number_unless("count", *count, 1);
        }
    }
}

fn write_path(text: &mut Text, path: Path) {
    match path {
        Path::Fast { flush: true } => {}
        Path::Fast { flush: false } => text.flag("flush", false),
        Path::Direct { align } => {
            text.string("path", "direct");
            if !align {
                text.flag("align", false);
            }
        }
    }
}

fn write_got(text: &mut Text, got: Got) {
    match got {
        Got::Unrecorded => {}
        Got::Failed => text.nullable("got", None),
        Got::Pfn(pfn) => text.nullable("got", Some(pfn)),
    }
}

fn write_snapshot(text: &mut Text, snapshot: &Snapshot) {
    text.name("nodes");
    text.raw("[");
    for (index, node) in snapshot.nodes.iter().enumerate() {
        text.raw(if index == 0 { "[" } else { ",[" });
        text.integer(node.lo().0);
        text.raw(",");
        text.integer(node.hi().0);
        text.raw("]");
    }
    text.raw("]");
    text.nullable("cached32", snapshot.cached32);
    text.nullable("cached", snapshot.cached);
    text.number("max32", snapshot.max32.0);
}
