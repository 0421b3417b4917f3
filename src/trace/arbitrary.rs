//! Random headers and events for the tests: everything that the format can say.

use std::convert::Infallible;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::event::{Event, Header, Op};
use super::fields::{self, Source};
use iova::kernel::{FlushQueue, Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Cpu, Granule, Nanos, Pages, Pfn, PfnRange};

/// A number, small, near a power of two or anything.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    let near_power = (0..64_u32, -2..3_i64)
        .prop_map(|(shift, offset)| (1_u64 << shift).wrapping_add_signed(offset));
    prop_oneof![3 => 0..100_u64, 1 => near_power, 1 => any::<u64>()]
}

/// A number that is not 0.
fn positive() -> impl Strategy<Value = u64> {
    number().prop_map(|number| number.max(1))
}

pub(crate) fn header() -> impl Strategy<Value = Header> {
    let text = || option::of(".{0,20}");
    let flush_queue = prop_oneof![
        Just(FlushQueue::None),
        Just(FlushQueue::PerCpu),
        Just(FlushQueue::Single)
    ];
    let numbers = (0..17_u32, number(), 1..=Cpu::COUNT_MAX);
    (numbers, flush_queue, any::<bool>(), text(), text(), text()).prop_map(
        |((shift, start_pfn, cpus), flush_queue, forcedac, name, source, kernel)| Header {
            granule: Granule::from_bytes(1 << shift).unwrap(),
            start_pfn: Pfn(start_pfn),
            cpus,
            flush_queue,
            forcedac,
            name,
            source,
            kernel,
        },
    )
}

pub(crate) fn events(
    count: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Event>> {
    vec(event(), count)
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let cpu = prop_oneof![Just(0), 0..8_u16, any::<u16>()];
    let dom = prop_oneof![Just(0), number()];
    (number(), cpu, dom, op()).prop_map(|(at, cpu, dom, op)| Event {
        at: Nanos(at),
        cpu: Cpu(cpu),
        dom,
        op,
    })
}

/// An operation of any kind, whose fields are drawn before it asks for them.
fn op() -> impl Strategy<Value = Op> {
    // As in a real trace, most operations allocate or free.
    let kind = prop_oneof![2 => 0..4_u8, 1 => 0..u8::try_from(fields::COUNT).unwrap()];
    let path = (any::<bool>(), any::<bool>()).prop_map(|(direct, on)| {
        if direct {
            Path::Direct { align: on }
        } else {
            Path::Fast { flush: on }
        }
    });
    let dev = option::of("[a-c]{0,2}|.{0,9}").prop_map(|dev| dev.map(Arc::from));
    let what = prop_oneof![Just(Memory::Iova), Just(Memory::Magazine)];
    let drawn = (
        (number(), number(), number()),
        positive(),
        path,
        any::<bool>(),
        dev,
        got(),
        range(),
        snapshot().prop_map(Arc::new),
        what,
    );
    (kind, drawn).prop_map(|(kind, drawn)| {
        let (numbers, positive, path, flag, dev, got, range, snapshot, what) = drawn;
        let mut drawn = Drawn {
            numbers,
            positive,
            path,
            flag,
            dev,
            got,
            range,
            snapshot,
            what,
        };
        let mut op = Op::CpuUp;
        let Ok(known) = fields::take(kind, &mut drawn, &mut op);
        assert!(known);
        op
    })
}

/// A value for each field.
struct Drawn {
    numbers: (u64, u64, u64),
    positive: u64,
    path: Path,
    flag: bool,
    dev: Option<Arc<str>>,
    got: Got,
    range: PfnRange,
    snapshot: Arc<Snapshot>,
    what: Memory,
}

impl Source for Drawn {
    type Error = Infallible;

    fn new_id(&mut self) -> Result<u64, Infallible> {
        Ok(self.numbers.0)
    }

    fn old_id(&mut self) -> Result<u64, Infallible> {
        Ok(self.numbers.0)
    }

    fn pages(&mut self) -> Result<Pages, Infallible> {
        Ok(Pages(self.positive))
    }

    fn limit(&mut self) -> Result<Pfn, Infallible> {
        Ok(Pfn(self.numbers.1))
    }

    fn path(&mut self) -> Result<Path, Infallible> {
        Ok(self.path)
    }

    fn bytes(&mut self) -> Result<u64, Infallible> {
        Ok(self.positive)
    }

    fn mask(&mut self) -> Result<u64, Infallible> {
        Ok(self.numbers.1)
    }

    fn pci(&mut self) -> Result<bool, Infallible> {
        Ok(self.flag)
    }

    fn dev(&mut self) -> Result<Option<Arc<str>>, Infallible> {
        Ok(self.dev.clone())
    }

    fn got(&mut self) -> Result<Got, Infallible> {
        Ok(self.got)
    }

    fn range(&mut self) -> Result<PfnRange, Infallible> {
        Ok(self.range)
    }

    fn pfn(&mut self) -> Result<Pfn, Infallible> {
        Ok(Pfn(self.numbers.2.min(Pfn::ANCHOR.0 - 1)))
    }

    fn snapshot(&mut self) -> Result<Arc<Snapshot>, Infallible> {
        Ok(Arc::clone(&self.snapshot))
    }

    fn what(&mut self) -> Result<Memory, Infallible> {
        Ok(self.what)
    }

    fn count(&mut self) -> Result<u64, Infallible> {
        Ok(self.numbers.1)
    }
}

fn got() -> impl Strategy<Value = Got> {
    prop_oneof![
        2 => Just(Got::Unrecorded),
        1 => Just(Got::Failed),
        1 => number().prop_map(|pfn| Got::Pfn(Pfn(pfn))),
    ]
}

fn range() -> impl Strategy<Value = PfnRange> {
    (number(), number()).prop_map(|(a, b)| PfnRange::new(Pfn(a.min(b)), Pfn(a.max(b))).unwrap())
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let bounds = proptest::collection::btree_set(0..u64::MAX, 0..12);
    let nodes = bounds.prop_map(|bounds| {
        let bounds: Vec<_> = bounds.into_iter().map(Pfn).collect();
        let pairs = bounds.chunks_exact(2);
        pairs
            .map(|pair| PfnRange::new(pair[0], pair[1]).unwrap())
            .collect::<Vec<_>>()
    });
    (nodes, any::<[u8; 2]>(), number()).prop_map(|(nodes, [a, b], max32)| {
        let position = |pick: u8| nodes.get(usize::from(pick) % 8).map(|node| node.lo());
        Snapshot {
            cached32: position(a),
            cached: position(b),
            max32: Pages(max32),
            nodes,
        }
    })
}

/// A small change of some bytes.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Put(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Repeat(Index, Index),
}

pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    vec(edit(), 1..4)
}

pub(crate) fn apply(edits: Vec<Edit>, bytes: &mut Vec<u8>) {
    for edit in edits {
        edit.apply(bytes);
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<Index>;
    let byte = || {
        let telling = select(&b"{}[]\",:\\ \0\r\x0c0919-e.ntf"[..]);
        prop_oneof![telling, any::<u8>()]
    };
    prop_oneof![
        (place(), byte()).prop_map(|(at, byte)| Edit::Put(at, byte)),
        (place(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        place().prop_map(Edit::Remove),
        place().prop_map(Edit::Cut),
        (place(), place()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

impl Edit {
    fn apply(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let size = bytes.len();
        match self {
            Edit::Put(at, byte) => bytes[at.index(size)] = byte,
            Edit::Insert(at, byte) => bytes.insert(at.index(size), byte),
            Edit::Remove(at) => {
                bytes.remove(at.index(size));
            }
            Edit::Cut(at) => bytes.truncate(at.index(size)),
            Edit::Repeat(from, to) => {
                let (from, to) = (from.index(size), to.index(size));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend_from_slice(&piece);
            }
        }
    }
}
