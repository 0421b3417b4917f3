//! Writes the compact form.

use std::io::{self, Write};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::bytes::put_varint;
use super::frame::{self, FrameKind, MAGIC};
use super::{BLOCK_EVENTS, VERSION, column, flag, op};
use crate::trace::event::{Event, Header, Op};
use crate::trace::write::header_line;
use iova::kernel::{Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::Pfn;

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
        self.block.push(event, &mut self.names)?;
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
    fn push(&mut self, event: &Event, names: &mut Names) -> io::Result<()> {
        let Event { at, cpu, dom, op } = event;
        let tag = self.push_op(op, names)?;
        self.tag.push(tag.into());
        self.time.push(at.0.wrapping_sub(self.before.time));
        self.before.time = at.0;
        self.cpu.push(cpu.0.into());
        self.dom.push(*dom);
        Ok(())
    }

    /// Everything of an op but its tag, which is given back.
    fn push_op(&mut self, op: &Op, names: &mut Names) -> io::Result<u8> {
        Ok(match op {
            Op::Alloc {
                id,
                pages,
                limit,
                path,
                got,
            } => {
                self.begin(*id, pages.0, limit.0);
                op::ALLOC | path_flags(*path) | self.got(*got)
            }
            Op::Map {
                id,
                bytes,
                mask,
                pci,
                dev,
                got,
            } => {
                self.begin(*id, *bytes, *mask);
                self.dev
                    .push(dev.as_ref().map_or(0, |dev| names.number(dev)));
                op::MAP | flag_if(*pci, flag::PCI) | self.got(*got)
            }
            Op::Free { id } => self.end(*id, op::FREE),
            Op::Unmap { id } => self.end(*id, op::UNMAP),
            Op::DoubleFree { id } => self.end(*id, op::DOUBLE_FREE),
            Op::Reserve { range } => {
                put_varint(&mut self.rest, range.lo().0);
                put_varint(&mut self.rest, range.hi().0 - range.lo().0);
                op::RESERVE
            }
            Op::FreePfn { pfn } => {
                put_varint(&mut self.rest, pfn.0);
                op::FREE_PFN
            }
            Op::CpuDead => op::CPU_DEAD,
            Op::CpuUp => op::CPU_UP,
            Op::Restore(snapshot) => {
                put_snapshot(&mut self.rest, snapshot)?;
                op::RESTORE
            }
            Op::NoMem { what, count } => {
                put_varint(&mut self.rest, *count);
                op::NOMEM | flag_if(*what == Memory::Magazine, flag::MAGAZINE)
            }
        })
    }

    fn begin(&mut self, id: u64, size: u64, limit: u64) {
        self.id.push(zigzag(id.wrapping_sub(self.before.begun)));
        self.before.begun = id;
        self.size.push(size);
        self.limit.push(limit);
    }

    fn end(&mut self, id: u64, tag: u8) -> u8 {
        self.id.push(zigzag(id.wrapping_sub(self.before.ended)));
        self.before.ended = id;
        tag
    }

    fn got(&mut self, got: Got) -> u8 {
        match got {
            Got::Unrecorded => 0,
            Got::Failed => flag::GOT_NULL,
            Got::Pfn(pfn) => {
                self.got.push(pfn.0);
                flag::GOT_PFN
            }
        }
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

fn path_flags(path: Path) -> u8 {
    match path {
        Path::Fast { flush } => flag_if(!flush, flag::OFF),
        Path::Direct { align } => flag::DIRECT | flag_if(!align, flag::OFF),
    }
}

fn flag_if(condition: bool, flag: u8) -> u8 {
    if condition { flag } else { 0 }
}

/// A difference, small where it is near 0 on either side.
fn zigzag(difference: u64) -> u64 {
    let sign = difference.cast_signed() >> 63;
    (difference << 1) ^ sign.cast_unsigned()
}

fn put_snapshot(out: &mut Vec<u8>, snapshot: &Snapshot) -> io::Result<()> {
    let Snapshot {
        nodes,
        cached32,
        cached,
        max32,
    } = snapshot;
    let refuse = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
    put_varint(out, max32.0);
    put_varint(out, nodes.len() as u64);
    for position in [cached32, cached] {
        let index = position.map(|pfn| nodes.binary_search_by_key(&pfn, |node| node.lo()));
        match index {
            None => put_varint(out, 0),
            Some(Ok(index)) => put_varint(out, index as u64 + 1),
            Some(Err(_)) => return Err(refuse("a cached position is none of the nodes")),
        }
    }
    let mut free = Pfn(0);
    for node in nodes {
        if node.lo() < free || node.hi() == Pfn::ANCHOR {
            return Err(refuse(
                "the nodes of a snapshot do not ascend below the anchor",
            ));
        }
        put_varint(out, node.lo().0 - free.0);
        put_varint(out, node.hi().0 - node.lo().0);
        free = Pfn(node.hi().0 + 1);
    }
    Ok(())
}
