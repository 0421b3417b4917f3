//! A hash of what a trace asks, by which results name the trace that they are of.
//!
//! It covers the events and what the header says of the domains, whatever form they are
//! stored in: JSON or binary, compressed or not, generated or recorded. It leaves out free
//! text and what a recorded kernel answered, since neither changes a replay. It tells traces
//! apart and is no defence against anybody who wants two to look alike.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use super::event::{Event, Header, Op};
use crate::model::{FlushQueue, Memory};
use crate::replay::Path;

/// The hash of a trace, as far as it was added.
#[derive(Clone)]
pub struct Digest(Box<Xxh3>);

impl Digest {
    /// The hash of a trace without events.
    pub fn new(header: &Header) -> Digest {
        let mut digest = Digest(Box::default());
        let flush_queue = match header.flush_queue {
            FlushQueue::None => 0,
            FlushQueue::PerCpu => 1,
            FlushQueue::Single => 2,
        };
        digest.words(&[
            header.granule.bytes(),
            header.start_pfn.0,
            header.cpus.into(),
            flush_queue,
            header.forcedac.into(),
        ]);
        digest
    }

    /// Adds the next event.
    pub fn add(&mut self, event: &Event) {
        let Event { at, cpu, dom, op } = event;
        let (tag, [one, two, three]) = code(op);
        self.words(&[tag, at.0, cpu.0.into(), *dom, one, two, three]);
        match op {
            Op::Map { dev: Some(dev), .. } => self.0.update(dev.as_bytes()),
            Op::Restore(snapshot) => {
                for node in &snapshot.nodes {
                    self.words(&[node.lo().0, node.hi().0]);
                }
                for position in [snapshot.cached32, snapshot.cached] {
                    self.words(&[position.is_some().into(), position.map_or(0, |it| it.0)]);
                }
            }
            _ => {}
        }
    }

    fn words<const N: usize>(&mut self, words: &[u64; N]) {
        let bytes = words.map(u64::to_le_bytes);
        self.0.update(bytes.as_flattened());
    }
}

/// An op's kind and its plain fields; of what follows them, the length.
fn code(op: &Op) -> (u64, [u64; 3]) {
    match op {
        Op::Alloc {
            id,
            pages,
            limit,
            path,
            got: _,
        } => {
            let tag = match path {
                Path::Fast { flush: true } => 1,
                Path::Fast { flush: false } => 2,
                Path::Direct { align: true } => 3,
                Path::Direct { align: false } => 4,
            };
            (tag, [*id, pages.0, limit.0])
        }
        Op::Free { id } => (5, [*id, 0, 0]),
        Op::Map {
            id,
            bytes,
            mask,
            pci,
            dev,
            got: _,
        } => {
            let dev_length = dev.as_ref().map_or(0, |dev| dev.len() as u64);
            let tag = 6 | u64::from(*pci) << 8 | dev_length << 9;
            (tag, [*id, *bytes, *mask])
        }
        Op::Unmap { id } => (7, [*id, 0, 0]),
        Op::Reserve { range } => (8, [range.lo().0, range.hi().0, 0]),
        Op::FreePfn { pfn } => (9, [pfn.0, 0, 0]),
        Op::CpuDead => (10, [0; 3]),
        Op::CpuUp => (11, [0; 3]),
        Op::Restore(snapshot) => (12, [snapshot.nodes.len() as u64, snapshot.max32.0, 0]),
        Op::NoMem { what, count } => {
            let what = match what {
                Memory::Iova => 0,
                Memory::Magazine => 1,
            };
            (13, [what, *count, 0])
        }
        Op::DoubleFree { id } => (14, [*id, 0, 0]),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xxh3:{:032x}", self.0.digest128())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
