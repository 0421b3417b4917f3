//! All sequences of a few requests over a few pages, under every allocator.

use std::sync::Arc;

use iova::kernel::{Allocator, DomainOptions, FlushQueue, Memory, Snapshot};
use iova::op::{Op, Path};
use iova::replay::{Device, Dom, Request, Slot};
use iova::units::{Cpu, Granule, Nanos, Pages, Pfn, PfnRange};

use crate::compare::{Difference, Lockstep, Seen, World};
use crate::random_traces::allocators;
use crate::shrink::shrink;
use crate::trace::{Trace, text};

const FAST: Path = Path::Fast { flush: true };
const FAST_NO_FLUSH: Path = Path::Fast { flush: false };
const ALIGNED: Path = Path::Direct { align: true };
const UNALIGNED: Path = Path::Direct { align: false };

/// The first pfn above the 32-bit space.
const DMA32: u64 = 1 << 20;

/// What may come next.
#[derive(Clone, Debug)]
enum Move {
    /// Allocate this many pages up to this limit.
    Alloc(u64, u64, Path),
    /// Map this many pages below this mask, for a PCI device.
    Map(u64, u64),
    /// Free any one of the live ranges.
    Free,
    /// Free the range that was freed last once more.
    DoubleFree,
    Reserve(u64, u64),
    FreePfn(u64),
    Dead,
    Up,
    Restore(Snapshot),
    NoMem(Memory),
    /// Let this many milliseconds pass.
    Wait(u64),
}

/// A world that is small enough to try everything in it.
struct SmallWorld {
    start: u64,
    cpus: u16,
    flush_queue: FlushQueue,
    moves: Vec<Move>,
    /// How many requests a sequence has.
    depth: usize,
}

/// A position in the tree of all sequences.
#[derive(Clone)]
struct Position {
    both: Lockstep,
    path: Vec<Request>,
    live: Vec<(Slot, bool)>,
    ended: Option<Slot>,
    slots: u32,
    online: Vec<bool>,
    time: u64,
}

impl SmallWorld {
    fn check(&self, allocator: &Allocator) -> Seen {
        let trace = Trace {
            options: DomainOptions {
                start_pfn: Pfn(self.start),
                flush_queue: self.flush_queue,
                ..DomainOptions::default()
            },
            cpus: u32::from(self.cpus),
            requests: Vec::new(),
        };
        let world = trace.world(allocator, None);
        let start = Position {
            both: Lockstep::new(&world),
            path: Vec::new(),
            live: Vec::new(),
            ended: None,
            slots: 0,
            online: vec![true; usize::from(self.cpus)],
            time: 0,
        };
        let mut seen = Seen::default();
        if let Err((path, difference)) = self.explore(&start, &mut seen) {
            report(&trace, &world, &path, difference, allocator);
        }
        seen
    }

    /// Tries everything from a position on; a difference comes with the path to it.
    fn explore(
        &self,
        position: &Position,
        seen: &mut Seen,
    ) -> Result<(), (Vec<Request>, Difference)> {
        for request in self.requests(position) {
            let mut next = position.clone();
            let event = next.path.len();
            next.both.seen = Seen::default();
            next.path.push(request.clone());
            let goes_on = next.both.apply(&request);
            seen.add(next.both.seen);
            match goes_on {
                Err(what) => return Err((next.path, Difference { event, what })),
                Ok(true) if next.path.len() < self.depth => {
                    next.follow(&request);
                    self.explore(&next, seen)?;
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// All requests that may come next, on each CPU.
    fn requests(&self, position: &Position) -> Vec<Request> {
        let mut requests = Vec::new();
        for cpu in 0..self.cpus {
            for step in &self.moves {
                let waited = if let Move::Wait(millis) = step {
                    *millis
                } else {
                    0
                };
                let at = Nanos(position.time + waited * 1_000_000);
                let asks = position.asks(step, cpu);
                requests.extend(asks.into_iter().map(|op| Request {
                    at,
                    cpu: Cpu(cpu),
                    dom: Dom(0),
                    op,
                }));
            }
        }
        requests
    }
}

impl Position {
    /// What a move can ask here on a CPU; nothing where it is impossible.
    fn asks(&self, step: &Move, cpu: u16) -> Vec<Op<Slot>> {
        let online = self.online[usize::from(cpu)];
        let slot = Slot(self.slots);
        let op = match *step {
            Move::Up if !online => Op::CpuUp,
            Move::Dead if self.online.iter().all(|&online| online) => Op::CpuDead,
            Move::Up | Move::Dead => return Vec::new(),
            _ if !online => return Vec::new(),
            Move::Alloc(pages, limit, path) => Op::Alloc {
                id: slot,
                pages: Pages(pages),
                limit: Pfn(limit),
                path,
                got: (),
            },
            Move::Map(pages, mask) => Op::Map {
                id: slot,
                bytes: pages * Granule::KIB_4.bytes(),
                mask,
                dev: Device(0),
                pci: true,
                got: (),
            },
            Move::Free => {
                let frees = self.live.iter().map(|&(slot, mapped)| {
                    if mapped {
                        Op::Unmap { id: slot }
                    } else {
                        Op::Free { id: slot }
                    }
                });
                return frees.collect();
            }
            Move::DoubleFree => {
                return self
                    .ended
                    .map(|slot| Op::DoubleFree { id: slot })
                    .into_iter()
                    .collect();
            }
            Move::Reserve(lo, hi) => Op::Reserve {
                range: range(lo, hi),
            },
            Move::FreePfn(pfn) => Op::FreePfn { pfn: Pfn(pfn) },
            Move::Restore(ref snapshot) => Op::Restore {
                snapshot: Arc::new(snapshot.clone()),
            },
            Move::NoMem(what) => Op::NoMem { what, count: 1 },
            Move::Wait(_) => Op::FreePfn { pfn: Pfn(1 << 50) },
        };
        vec![op]
    }

    /// Takes note of what a request did. Failed requests are not freed: that does nothing.
    fn follow(&mut self, request: &Request) {
        self.time = request.at.0;
        let cpu = request.cpu.index();
        match request.op {
            Op::Alloc { id: slot, .. } | Op::Map { id: slot, .. } => {
                self.slots += 1;
                let mapped = matches!(request.op, Op::Map { .. });
                if self.both.model().allocations().get(slot).succeeded {
                    self.live.push((slot, mapped));
                }
            }
            Op::Free { id: slot } | Op::Unmap { id: slot } => {
                self.live.retain(|&(live, _)| live != slot);
                self.ended = Some(slot);
            }
            Op::CpuDead => self.online[cpu] = false,
            Op::CpuUp => self.online[cpu] = true,
            _ => {}
        }
    }
}

fn report(
    trace: &Trace,
    world: &World,
    path: &[Request],
    difference: Difference,
    allocator: &Allocator,
) -> ! {
    let (requests, shown) = shrink(world, path, difference);
    panic!("{allocator}, {shown}\n{}", text(trace, &requests));
}

fn range(lo: u64, hi: u64) -> PfnRange {
    PfnRange::new(Pfn(lo), Pfn(hi)).expect("lo is not above hi")
}

/// Tries everything under every allocator, with sequences of `longer` more requests.
fn check_all(world: &SmallWorld, longer: usize) -> Seen {
    let world = SmallWorld {
        depth: world.depth + longer,
        moves: world.moves.clone(),
        ..*world
    };
    let mut seen = Seen::default();
    for allocator in &allocators() {
        seen.add(world.check(allocator));
    }
    println!("{seen:?}");
    seen
}

/// A strict domain of one CPU.
const PLAIN: SmallWorld = SmallWorld {
    start: 1,
    cpus: 1,
    flush_queue: FlushQueue::None,
    moves: Vec::new(),
    depth: 5,
};

fn the_tree_alone() -> SmallWorld {
    let limit = DMA32 - 1;
    SmallWorld {
        start: DMA32 - 5,
        moves: vec![
            Move::Alloc(1, limit, UNALIGNED),
            Move::Alloc(2, limit, ALIGNED),
            Move::Alloc(3, limit, UNALIGNED),
            Move::Alloc(1, limit - 2, UNALIGNED),
            Move::Free,
        ],
        depth: 6,
        ..PLAIN
    }
}

fn both_sides_of_the_border() -> SmallWorld {
    SmallWorld {
        start: DMA32 - 3,
        moves: vec![
            Move::Alloc(1, DMA32 - 1, UNALIGNED),
            Move::Alloc(2, DMA32 - 1, ALIGNED),
            Move::Alloc(1, DMA32, UNALIGNED),
            Move::Alloc(2, DMA32 + 1, UNALIGNED),
            Move::Alloc(3, DMA32 + 2, UNALIGNED),
            Move::Free,
        ],
        ..PLAIN
    }
}

fn caches_of_two_cpus() -> SmallWorld {
    let limit = DMA32 - 1;
    SmallWorld {
        start: DMA32 - 5,
        cpus: 2,
        moves: vec![
            Move::Alloc(1, limit, FAST),
            Move::Alloc(3, limit, FAST),
            Move::Alloc(2, limit - 2, FAST_NO_FLUSH),
            Move::Free,
            Move::Dead,
            Move::Up,
        ],
        depth: 4,
        ..PLAIN
    }
}

fn pfn_zero() -> SmallWorld {
    SmallWorld {
        start: 0,
        moves: vec![
            Move::Alloc(1, 2, FAST),
            Move::Alloc(2, 3, FAST_NO_FLUSH),
            Move::Alloc(1, 0, ALIGNED),
            Move::Alloc(2, 2, UNALIGNED),
            Move::Alloc(3, DMA32, ALIGNED),
            Move::Free,
        ],
        ..PLAIN
    }
}

fn lowest_pfns() -> SmallWorld {
    SmallWorld {
        start: 2,
        ..pfn_zero()
    }
}

fn reservations() -> SmallWorld {
    SmallWorld {
        start: DMA32 - 6,
        moves: vec![
            Move::Alloc(1, DMA32 - 1, UNALIGNED),
            Move::Alloc(2, DMA32 - 3, FAST),
            Move::Reserve(DMA32 - 5, DMA32 - 3),
            Move::Reserve(DMA32 - 4, DMA32),
            Move::Reserve(DMA32 - 7, DMA32 - 7),
            Move::FreePfn(DMA32 - 3),
            Move::Free,
        ],
        ..PLAIN
    }
}

fn restored_states() -> SmallWorld {
    let start = DMA32 - 4;
    let snapshot = |nodes: &[(u64, u64)], cached32, cached| Snapshot {
        nodes: nodes.iter().map(|&(lo, hi)| range(lo, hi)).collect(),
        cached32,
        cached,
        max32: Pages(2),
    };
    let low = Some(Pfn(start - 2));
    SmallWorld {
        start,
        moves: vec![
            Move::Restore(snapshot(&[(start - 2, start - 1)], low, low)),
            Move::Restore(snapshot(
                &[
                    (start - 2, start - 2),
                    (start + 1, start + 1),
                    (DMA32 - 1, DMA32),
                ],
                Some(Pfn(DMA32 - 1)),
                low,
            )),
            Move::Alloc(1, DMA32 - 1, UNALIGNED),
            Move::Alloc(2, DMA32 - 2, FAST),
            Move::Alloc(2, DMA32 + 1, UNALIGNED),
            Move::FreePfn(DMA32),
            Move::Free,
        ],
        ..PLAIN
    }
}

fn faults() -> SmallWorld {
    SmallWorld {
        start: DMA32 - 3,
        moves: vec![
            Move::Alloc(1, DMA32 - 1, FAST),
            Move::Alloc(2, DMA32 - 1, ALIGNED),
            Move::Reserve(DMA32 - 3, DMA32 - 3),
            Move::NoMem(Memory::Iova),
            Move::DoubleFree,
            Move::Free,
        ],
        ..PLAIN
    }
}

fn devices_and_queues() -> SmallWorld {
    SmallWorld {
        start: DMA32 - 2,
        cpus: 2,
        flush_queue: FlushQueue::PerCpu,
        moves: vec![
            Move::Map(1, u64::MAX),
            Move::Map(2, u64::from(u32::MAX)),
            Move::Free,
            Move::Wait(5),
            Move::Dead,
        ],
        depth: 4,
    }
}

fn limits_that_wrap() -> SmallWorld {
    SmallWorld {
        moves: vec![
            Move::Alloc(1, u64::MAX - 1, UNALIGNED),
            Move::Alloc(2, u64::MAX, FAST),
            Move::Alloc(4, u64::MAX, ALIGNED),
            Move::Alloc(1, 0, FAST),
            Move::Alloc(1 << 63, u64::MAX - 1, ALIGNED),
            Move::Alloc((1 << 63) + 1, u64::MAX - 1, ALIGNED),
            Move::Free,
        ],
        ..PLAIN
    }
}

/// One test for each world, and one that goes further in all of them.
macro_rules! worlds {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let seen = check_all(&super::$name(), 0);
                assert!(seen.answers > 10_000 && seen.refusals > 1000, "{seen:?}");
            }
        )*

        #[test]
        #[ignore = "takes a minute"]
        fn all_with_longer_sequences() {
            $(check_all(&super::$name(), 1);)*
        }
    };
}

mod tests {
    use super::check_all;

    worlds! {
        the_tree_alone
        both_sides_of_the_border
        caches_of_two_cpus
        pfn_zero
        lowest_pfns
        reservations
        restored_states
        faults
        devices_and_queues
        limits_that_wrap
    }
}
