//! A hash of what a trace asks, by which results name the trace that they are of.
//!
//! It covers the events and what the header says of the domains, whatever form they are
//! stored in: JSON or binary, compressed or not, generated or recorded. It leaves out free
//! text and what a recorded kernel answered, since neither changes a replay. It tells traces
//! apart and is no defence against anybody who wants two to look alike.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::event::{Event, Header};
use super::fields::{self, Sink};
use iova::kernel::{FlushQueue, Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Pages, Pfn, PfnRange};

/// The hash of a trace, as far as it was added.
#[derive(Clone)]
pub struct Digest {
    hash: Box<Xxh3>,
    /// What is not hashed yet: many small updates cost more than the hash itself.
    pending: Vec<u8>,
}

/// How many bytes are hashed at once.
const PENDING: usize = 4096;

impl Digest {
    /// The hash of a trace without events.
    pub fn new(header: &Header) -> Digest {
        let mut digest = Digest {
            hash: Box::default(),
            pending: Vec::with_capacity(PENDING),
        };
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
        let mut asked = Asked::default();
        fields::put(op, &mut asked);
        // An `alloc` has the codes 1 to 4, each other operation one of those from 5 on.
        let code = asked.path.unwrap_or(4) + u64::from(fields::number(op));
        let [one, two, three, _] = asked.words;
        let tag = code | asked.tag;
        self.words(&[tag, at.0, cpu.0.into(), *dom, one, two, three]);
        if let Some(dev) = asked.dev {
            self.bytes(dev.as_bytes());
        }
        if let Some(snapshot) = asked.snapshot {
            for node in &snapshot.nodes {
                self.words(&[node.lo().0, node.hi().0]);
            }
            for position in [snapshot.cached32, snapshot.cached] {
                self.words(&[position.is_some().into(), position.map_or(0, |it| it.0)]);
            }
        }
    }

    fn words<const N: usize>(&mut self, words: &[u64; N]) {
        self.bytes(words.map(u64::to_le_bytes).as_flattened());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.pending.len() + bytes.len() > PENDING {
            self.hash.update(&self.pending);
            self.pending.clear();
        }
        self.pending.extend_from_slice(bytes);
    }
}

/// The fields of an operation, as they are hashed.
#[derive(Default)]
struct Asked<'a> {
    path: Option<u64>,
    /// Flags and lengths, above the code.
    tag: u64,
    words: [u64; 4],
    count: usize,
    dev: Option<&'a str>,
    snapshot: Option<&'a Snapshot>,
}

impl Asked<'_> {
    fn word(&mut self, word: u64) {
        self.words[self.count & 3] = word;
        self.count += 1;
    }
}

impl<'a> Sink<'a> for Asked<'a> {
    #[inline]
    fn new_id(&mut self, id: u64) {
        self.word(id);
    }

    #[inline]
    fn old_id(&mut self, id: u64) {
        self.word(id);
    }

    #[inline]
    fn pages(&mut self, pages: Pages) {
        self.word(pages.0);
    }

    #[inline]
    fn limit(&mut self, limit: Pfn) {
        self.word(limit.0);
    }

    #[inline]
    fn path(&mut self, path: Path) {
        self.path = Some(match path {
            Path::Fast { flush: true } => 1,
            Path::Fast { flush: false } => 2,
            Path::Direct { align: true } => 3,
            Path::Direct { align: false } => 4,
        });
    }

    #[inline]
    fn bytes(&mut self, bytes: u64) {
        self.word(bytes);
    }

    #[inline]
    fn mask(&mut self, mask: u64) {
        self.word(mask);
    }

    #[inline]
    fn pci(&mut self, pci: bool) {
        self.tag |= u64::from(pci) << 8;
    }

    #[inline]
    fn dev(&mut self, dev: Option<&'a Arc<str>>) {
        self.dev = dev.map(|dev| &**dev);
        self.tag |= dev.map_or(0, |dev| dev.len() as u64) << 9;
    }

    #[inline]
    fn got(&mut self, _: Got) {}

    #[inline]
    fn range(&mut self, range: PfnRange) {
        self.word(range.lo().0);
        self.word(range.hi().0);
    }

    #[inline]
    fn pfn(&mut self, pfn: Pfn) {
        self.word(pfn.0);
    }

    #[inline]
    fn snapshot(&mut self, snapshot: &'a Snapshot) {
        self.word(snapshot.nodes.len() as u64);
        self.word(snapshot.max32.0);
        self.snapshot = Some(snapshot);
    }

    #[inline]
    fn what(&mut self, what: Memory) {
        self.word(match what {
            Memory::Iova => 0,
            Memory::Magazine => 1,
        });
    }

    #[inline]
    fn count(&mut self, count: u64) {
        self.word(count);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hash = self.hash.clone();
        hash.update(&self.pending);
        write!(f, "xxh3:{:032x}", hash.digest128())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::trace::event::Op;
    use iova::units::{Cpu, Nanos};

    fn alloc() -> Event {
        Event {
            at: Nanos(1),
            cpu: Cpu(2),
            dom: 3,
            op: Op::Alloc {
                id: 4,
                pages: Pages(5),
                limit: Pfn(6),
                path: Path::Fast { flush: true },
                got: Got::Unrecorded,
            },
        }
    }

    fn digest(events: &[Event]) -> String {
        let mut digest = Digest::new(&Header::default());
        for event in events {
            digest.add(event);
        }
        digest.to_string()
    }

    #[test]
    fn whatever_is_asked_otherwise_hashes_otherwise() {
        let change = |change: fn(&mut Event)| {
            let mut event = alloc();
            change(&mut event);
            event
        };
        let with_op = |op| Event { op, ..alloc() };
        let mut events = vec![
            alloc(),
            change(|event| event.at = Nanos(0)),
            change(|event| event.cpu = Cpu(0)),
            change(|event| event.dom = 0),
            with_op(Op::Free { id: 4 }),
            with_op(Op::Unmap { id: 4 }),
            with_op(Op::DoubleFree { id: 4 }),
            with_op(Op::FreePfn { pfn: Pfn(4) }),
        ];
        for (id, pages, limit, align) in [
            (9, 5, 6, None),
            (4, 9, 6, None),
            (4, 5, 9, None),
            (4, 5, 6, Some(true)),
            (4, 5, 6, Some(false)),
        ] {
            let path = align.map_or(Path::Fast { flush: true }, |align| Path::Direct { align });
            let (pages, limit, got) = (Pages(pages), Pfn(limit), Got::Unrecorded);
            if (id, pages, limit, align) != (4, Pages(5), Pfn(6), None) {
                events.push(with_op(Op::Alloc {
                    id,
                    pages,
                    limit,
                    path,
                    got,
                }));
            }
        }
        for (pci, dev) in [
            (false, None),
            (true, None),
            (false, Some("a")),
            (false, Some("b")),
        ] {
            let dev = dev.map(Into::into);
            events.push(with_op(Op::Map {
                id: 4,
                bytes: 5,
                mask: 6,
                pci,
                dev,
                got: Got::Failed,
            }));
        }
        let digests: std::collections::BTreeSet<String> = events
            .iter()
            .map(|event| digest(std::slice::from_ref(event)))
            .collect();
        assert_eq!(digests.len(), events.len());
    }

    #[test]
    fn what_the_kernel_answered_and_free_text_do_not_count() {
        let mut answered = alloc();
        if let Op::Alloc { got, .. } = &mut answered.op {
            *got = Got::Pfn(Pfn(1));
        }
        assert_eq!(digest(&[answered]), digest(&[alloc()]));
        let header = Header {
            name: Some("another".to_owned()),
            ..Header::default()
        };
        assert_eq!(Digest::new(&header).to_string(), digest(&[]));
    }

    #[test]
    fn order_counts_and_the_hash_stays_what_it_was() {
        let free = Event {
            op: Op::Free { id: 4 },
            ..alloc()
        };
        let there = digest(&[alloc(), free.clone()]);
        assert_ne!(there, digest(&[free, alloc()]));
        assert_eq!(there, "xxh3:b6255696a55266d7b0bb763158fa138b");
    }
}
