//! Writes a trace as JSON lines.
//!
//! One event has one form: the op first, then `t`, `cpu`, `dom` and the op's own fields in the
//! order of the format's table, without spaces, and without what is the default. So reading and
//! writing such a file gives the same bytes.

use std::io::{self, Write};
use std::sync::Arc;

use super::event::{Event, Header, Op, VERSION};
use super::fields::{self, Sink};
use super::json::Text;
use iova::kernel::{Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

/// Writes the header and the events of a trace.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    text: Text,
    defaults: Defaults,
}

/// The values that an event may omit.
#[derive(Clone, Copy, Debug)]
struct Defaults {
    at: Nanos,
    /// An omitted `cpu` is 0 only as long as CPU 0 is online.
    cpu0_online: bool,
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
            defaults: Defaults {
                at: Nanos(0),
                cpu0_online: true,
            },
        })
    }

    /// Writes one event.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        write_event(&mut self.text, event, self.defaults);
        self.defaults.at = event.at;
        if event.cpu == Cpu(0) && matches!(event.op, Op::CpuDead | Op::CpuUp) {
            self.defaults.cpu0_online = event.op == Op::CpuUp;
        }
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

fn write_event(text: &mut Text, event: &Event, defaults: Defaults) {
    let Event { at, cpu, dom, op } = event;
    text.open();
    text.name("op");
    text.raw("\"");
    text.raw(fields::name(op));
    text.raw("\"");
    text.number_unless("t", at.0, defaults.at.0);
    let changes_cpu = matches!(op, Op::CpuDead | Op::CpuUp);
    if *cpu != Cpu(0) || changes_cpu || !defaults.cpu0_online {
        text.number("cpu", cpu.0.into());
    }
    text.number_unless("dom", *dom, 0);
    fields::put(op, text);
    text.close();
}

impl Sink<'_> for Text {
    #[inline]
    fn new_id(&mut self, id: u64) {
        self.number("id", id);
    }

    #[inline]
    fn old_id(&mut self, id: u64) {
        self.number("id", id);
    }

    #[inline]
    fn pages(&mut self, pages: Pages) {
        self.number("pages", pages.0);
    }

    #[inline]
    fn limit(&mut self, limit: Pfn) {
        self.number("limit", limit.0);
    }

    #[inline]
    fn path(&mut self, path: Path) {
        match path {
            Path::Fast { flush: true } => {}
            Path::Fast { flush: false } => self.flag("flush", false),
            Path::Direct { align } => {
                self.string("path", "direct");
                if !align {
                    self.flag("align", false);
                }
            }
        }
    }

    #[inline]
    fn bytes(&mut self, bytes: u64) {
        self.number("bytes", bytes);
    }

    #[inline]
    fn mask(&mut self, mask: u64) {
        self.number("mask", mask);
    }

    #[inline]
    fn pci(&mut self, pci: bool) {
        if pci {
            self.flag("pci", true);
        }
    }

    #[inline]
    fn dev(&mut self, dev: Option<&Arc<str>>) {
        if let Some(dev) = dev {
            self.string("dev", dev);
        }
    }

    #[inline]
    fn got(&mut self, got: Got) {
        match got {
            Got::Unrecorded => {}
            Got::Failed => self.nullable("got", None),
            Got::Pfn(pfn) => self.nullable("got", Some(pfn)),
        }
    }

    #[inline]
    fn range(&mut self, range: PfnRange) {
        self.number("lo", range.lo().0);
        self.number("hi", range.hi().0);
    }

    #[inline]
    fn pfn(&mut self, pfn: Pfn) {
        self.number("pfn", pfn.0);
    }

    #[inline]
    fn snapshot(&mut self, snapshot: &Snapshot) {
        write_snapshot(self, snapshot);
    }

    #[inline]
    fn what(&mut self, what: Memory) {
        let what = match what {
            Memory::Iova => "iova",
            Memory::Magazine => "magazine",
        };
        self.string("what", what);
    }

    #[inline]
    fn count(&mut self, count: u64) {
        self.number_unless("count", count, 1);
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
