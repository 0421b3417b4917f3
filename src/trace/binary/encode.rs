//! Writes the compact form.

use std::io::{self, Write};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::bytes::put_varint;
use super::frame::{self, FrameKind, MAGIC};
use super::{BLOCK_EVENTS, VERSION, column, flag};
use crate::trace::event::{Event, Header, Op};
use crate::trace::fields::{self, Sink};
use crate::trace::write::header_line;
use iova::kernel::{Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Pages, Pfn, PfnRange};

/// Writes the header and the events of a trace in the compact form.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    block: Block,
    names: Names,
    /// How many events the blocks have that were written.
    count: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(mut out: W, header: &Header) -> io::Result<Writer<W>> {
        let mut content = Vec::new();
        put_varint(&mut content, VERSION);
        content.extend(header_line(header));
        out.write_all(&MAGIC)?;
        frame::write(&mut out, FrameKind::Header, &content)?;
        Ok(Writer {
            out,
            block: Block::default(),
            names: Names::default(),
            count: 0,
        })
    }

    /// Writes one event.
    ///
    /// # Errors
    ///
    /// Those of `out`, and for a `restore` whose ranges do not ascend, whose cached positions
    /// are none of them, or which is too large for a block.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        if let Op::Restore { snapshot } = &event.op {
            check(snapshot)?;
        }
        self.block.push(event, &mut self.names);
        if self.block.tag.len() == BLOCK_EVENTS {
            self.write_block()?;
        }
        Ok(())
    }

    /// Writes what is left, and the end; without it the file is incomplete.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_block()?;
        let mut content = Vec::new();
        put_varint(&mut content, self.count);
        frame::write(&mut self.out, FrameKind::End, &content)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write_block(&mut self) -> io::Result<()> {
        let count = self.block.tag.len();
        if count > 0 {
            let content = self.block.content(self.count, &self.names.new);
            frame::write(&mut self.out, FrameKind::Block, &content)?;
            self.block.clear();
            self.names.new.clear();
            self.count += count as u64;
        }
        Ok(())
    }
}

/// What differences are taken from.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    time: u64,
    begun: u64,
    ended: u64,
}

/// The events of a block, as columns.
#[derive(Debug, Default)]
struct Block {
    /// As it was before the first event.
    start: Before,
    before: Before,
    tag: Vec<u64>,
    time: Vec<u64>,
    cpu: Vec<u64>,
    dom: Vec<u64>,
    id: Vec<u64>,
    size: Vec<u64>,
    limit: Vec<u64>,
    dev: Vec<u64>,
    got: Vec<u64>,
    rest: Vec<u8>,
}

impl Block {
    fn push(&mut self, event: &Event, names: &mut Names) {
        let Event { at, cpu, dom, op } = event;
        let mut encoder = OpEncoder {
            block: self,
            names,
            flags: 0,
        };
        fields::put(op, &mut encoder);
        let tag = fields::number(op) | encoder.flags;
        self.tag.push(tag.into());
        self.time.push(at.0.wrapping_sub(self.before.time));
        self.before.time = at.0;
        self.cpu.push(cpu.0.into());
        self.dom.push(*dom);
    }

    fn columns(&mut self) -> [&mut Vec<u64>; 9] {
        [
            &mut self.tag,
            &mut self.time,
            &mut self.cpu,
            &mut self.dom,
            &mut self.id,
            &mut self.size,
            &mut self.limit,
            &mut self.dev,
            &mut self.got,
        ]
    }

    /// The block as a frame's content; `first` is the number of its first event.
    fn content(&mut self, first: u64, names: &[Arc<str>]) -> Vec<u8> {
        let Before { time, begun, ended } = self.start;
        let mut out = Vec::new();
        out.extend(
            [first, time, begun, ended]
                .into_iter()
                .flat_map(u64::to_le_bytes),
        );
        put_varint(&mut out, names.len() as u64);
        for name in names {
            put_varint(&mut out, name.len() as u64);
            out.extend_from_slice(name.as_bytes());
        }
        for column in self.columns() {
            column::put(&mut out, column);
        }
        out.extend_from_slice(&self.rest);
        out
    }

    fn clear(&mut self) {
        self.start = self.before;
        self.rest.clear();
        for column in self.columns() {
            column.clear();
        }
    }
}

/// The names of devices and their numbers, from 1 on.
#[derive(Debug, Default)]
struct Names {
    /// Looked up by name and never iterated over.
    numbers: FxHashMap<Arc<str>, u64>,
    /// Those that no block has named.
    new: Vec<Arc<str>>,
}

impl Names {
    fn number(&mut self, name: &Arc<str>) -> u64 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.numbers.len() as u64 + 1;
        self.numbers.insert(Arc::clone(name), number);
        self.new.push(Arc::clone(name));
        number
    }
}

/// Puts the fields of an operation into a block, except for the flags, which belong to the tag.
struct OpEncoder<'b> {
    block: &'b mut Block,
    names: &'b mut Names,
    flags: u8,
}

impl OpEncoder<'_> {
    fn flag_if(&mut self, condition: bool, flag: u8) {
        if condition {
            self.flags |= flag;
        }
    }
}

impl Sink<'_> for OpEncoder<'_> {
    #[inline]
    fn new_id(&mut self, id: u64) {
        let before = &mut self.block.before.begun;
        self.block.id.push(zigzag(id.wrapping_sub(*before)));
        *before = id;
    }

    #[inline]
    fn old_id(&mut self, id: u64) {
        let before = &mut self.block.before.ended;
        self.block.id.push(zigzag(id.wrapping_sub(*before)));
        *before = id;
    }

    #[inline]
    fn pages(&mut self, pages: Pages) {
        self.block.size.push(pages.0);
    }

    #[inline]
    fn limit(&mut self, limit: Pfn) {
        self.block.limit.push(limit.0);
    }

    #[inline]
    fn path(&mut self, path: Path) {
        let (direct, on) = match path {
            Path::Fast { flush } => (false, flush),
            Path::Direct { align } => (true, align),
        };
        self.flag_if(direct, flag::DIRECT);
        self.flag_if(!on, flag::OFF);
    }

    #[inline]
    fn bytes(&mut self, bytes: u64) {
        self.block.size.push(bytes);
    }

    #[inline]
    fn mask(&mut self, mask: u64) {
        self.block.limit.push(mask);
    }

    #[inline]
    fn pci(&mut self, pci: bool) {
        self.flag_if(pci, flag::PCI);
    }

    #[inline]
    fn dev(&mut self, dev: Option<&Arc<str>>) {
        let number = dev.map_or(0, |dev| self.names.number(dev));
        self.block.dev.push(number);
    }

    #[inline]
    fn got(&mut self, got: Got) {
        self.flag_if(got == Got::Failed, flag::GOT_NULL);
        if let Got::Pfn(pfn) = got {
            self.flags |= flag::GOT_PFN;
            self.block.got.push(pfn.0);
        }
    }

    #[inline]
    fn range(&mut self, range: PfnRange) {
        put_varint(&mut self.block.rest, range.lo().0);
        put_varint(&mut self.block.rest, range.hi().0 - range.lo().0);
    }

    #[inline]
    fn pfn(&mut self, pfn: Pfn) {
        put_varint(&mut self.block.rest, pfn.0);
    }

    #[inline]
    fn snapshot(&mut self, snapshot: &Snapshot) {
        put_snapshot(&mut self.block.rest, snapshot);
    }

    #[inline]
    fn what(&mut self, what: Memory) {
        self.flag_if(what == Memory::Magazine, flag::MAGAZINE);
    }

    #[inline]
    fn count(&mut self, count: u64) {
        put_varint(&mut self.block.rest, count);
    }
}

/// A difference, small where it is near 0 on either side.
fn zigzag(difference: u64) -> u64 {
    let sign = difference.cast_signed() >> 63;
    (difference << 1) ^ sign.cast_unsigned()
}

/// Refuses a snapshot that a reader would refuse.
fn check(snapshot: &Snapshot) -> io::Result<()> {
    let refuse = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    let Snapshot {
        nodes,
        cached32,
        cached,
        max32: _,
    } = snapshot;
    let mut positions = [cached32, cached].into_iter().flatten();
    if !positions.all(|&pfn| node_number(nodes, Some(pfn)).is_some()) {
        return refuse("a cached position is none of the nodes");
    }
    let ascend = nodes.is_sorted_by(|low, high| low.hi() < high.lo());
    if !ascend || nodes.last().is_some_and(|last| last.hi() == Pfn::ANCHOR) {
        return refuse("the nodes of a snapshot do not ascend below the anchor");
    }
    Ok(())
}

/// The number of a cached node, from 1; 0 for the anchor.
fn node_number(nodes: &[PfnRange], cached: Option<Pfn>) -> Option<u64> {
    let Some(pfn) = cached else {
        return Some(0);
    };
    let index = nodes.binary_search_by_key(&pfn, |node| node.lo()).ok()?;
    Some(index as u64 + 1)
}

fn put_snapshot(out: &mut Vec<u8>, snapshot: &Snapshot) {
    let Snapshot {
        nodes,
        cached32,
        cached,
        max32,
    } = snapshot;
    put_varint(out, max32.0);
    put_varint(out, nodes.len() as u64);
    for &position in [cached32, cached] {
        let number = node_number(nodes, position);
        put_varint(out, number.expect("the snapshot was checked"));
    }
    let mut free = 0;
    for node in nodes {
        put_varint(out, node.lo().0 - free);
        put_varint(out, node.hi().0 - node.lo().0);
        free = node.hi().0 + 1;
    }
}
