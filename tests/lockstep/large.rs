//! Many ranges: gaps by the ten thousand that are long enough for a request but misaligned.
//!
//! The naive model takes a time proportional to the ranges for each request, so these traces
//! have few requests that count; what comes before them is one `restore`, or frees and
//! allocations of which only the end is compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use iova::kernel::{Allocator, DomainOptions, Snapshot};
use iova::op::{Op, Path};
use iova::replay::{Dom, Request, Slot};
use iova::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

use crate::compare::Seen;
use crate::random::Random;
use crate::random_traces::check;
use crate::trace::Trace;

/// Allocators whose searches differ: one pass to the end, two passes, two bounded ones, a
/// capped alignment.
const ALLOCATORS: [&str; 4] = [
    "linux-5.3",
    "linux-5.11",
    "linux-7.2",
    "linux-7.2+align-cap-4",
];

fn check_all(name: &str, trace: &Trace) -> Seen {
    let mut seen = Seen::default();
    for allocator in ALLOCATORS {
        let allocator: Allocator = allocator.parse().expect("the name of an allocator");
        match check(trace, &allocator) {
            Ok(more) => seen.add(more),
            Err(difference) => panic!("{name}: {difference}"),
        }
    }
    seen
}

fn trace_of(start_pfn: u64, asks: Vec<Op<Slot>>) -> Trace {
    let requests = asks.into_iter().map(|op| Request {
        at: Nanos(0),
        cpu: Cpu(0),
        dom: Dom(0),
        op,
    });
    Trace {
        options: DomainOptions {
            start_pfn: Pfn(start_pfn),
            ..DomainOptions::default()
        },
        cpus: 1,
        requests: requests.collect(),
    }
}

fn alloc(slot: u32, pages: u64, limit: u64, align: bool) -> Op<Slot> {
    Op::Alloc {
        id: Slot(slot),
        pages: Pages(pages),
        limit: Pfn(limit),
        path: Path::Direct { align },
        got: (),
    }
}

/// A power of two up to 2^`order`, or one page less or more.
fn size_around_a_power(random: &mut Random, order: u64) -> u64 {
    let power = 1 << random.within(0, order);
    (power + random.below(3)).saturating_sub(1).max(1)
}

/// Used pages at a stride that leaves gaps in which no aligned request of about their length
/// fits, but for a few.
fn comb(random: &mut Random, ranges: usize) -> Vec<PfnRange> {
    let mut nodes = Vec::new();
    let order = random.within(1, 3);
    let stride = 1 << order;
    let mut next = random.below(64);
    for _ in 0..ranges {
        let used = if random.percent(90) {
            1
        } else {
            random.within(1, 5)
        };
        let range = PfnRange::new(Pfn(next), Pfn(next + used - 1));
        nodes.push(range.expect("used is at least 1"));
        let wide = if random.below(5000) == 0 {
            4 * stride
        } else {
            0
        };
        let jitter = if random.percent(5) {
            random.below(stride)
        } else {
            0
        };
        next = (next + used).next_multiple_of(stride) + jitter + wide;
    }
    nodes
}

/// Requests and frees over a comb of many ranges.
fn comb_trace(seed: u64, ranges: usize, requests: u32) -> Trace {
    let mut random = Random::new(seed);
    let nodes = comb(&mut random, ranges);
    let top = nodes.last().map_or(0, |range| range.hi().0);
    let some_node = |random: &mut Random| {
        let cached = random.percent(70).then(|| random.pick(&nodes));
        cached.map(PfnRange::lo)
    };
    let snapshot = Snapshot {
        cached32: some_node(&mut random),
        cached: some_node(&mut random),
        max32: Pages(1 << 20),
        nodes: nodes.clone(),
    };
    let mut asks = vec![Op::Restore {
        snapshot: Arc::new(snapshot),
    }];
    for slot in 0..requests {
        let somewhere = random.below(top);
        asks.push(match random.below(10) {
            0 => Op::FreePfn {
                pfn: Pfn(somewhere),
            },
            1 => Op::FreePfn {
                pfn: random.pick(&nodes).lo(),
            },
            2 => Op::Reserve {
                range: PfnRange::new(Pfn(somewhere), Pfn(somewhere + random.below(40)))
                    .expect("it goes upwards"),
            },
            _ => {
                let size = size_around_a_power(&mut random, 5);
                let limit = random.pick(&[top, somewhere, somewhere, (1 << 20) - 1, 1 << 30]);
                alloc(slot, size, limit, random.percent(70))
            }
        });
    }
    trace_of(random.below(64), asks)
}

/// Ranges of odd sizes side by side, of which every second is freed, and requests of sizes
/// around powers of two, over and over.
fn checkerboard_trace(seed: u64, ranges: u32, requests: u32) -> Trace {
    let mut random = Random::new(seed);
    let order = random.within(2, 4);
    let odd = |random: &mut Random| 2 * random.below(1 << order) + 1;
    let mut asks = Vec::new();
    let limit = (1 << 20) - 1;
    let mut filled = 0;
    for slot in 0..ranges {
        let size = odd(&mut random);
        filled += size;
        asks.push(alloc(slot, size, limit, false));
    }
    for slot in (0..ranges).step_by(2) {
        asks.push(Op::Free { id: Slot(slot) });
    }
    let mut live: BTreeMap<u64, Slot> = BTreeMap::new();
    for slot in ranges..ranges + requests {
        if random.percent(30)
            && let Some((_, slot)) = live.pop_first()
        {
            asks.push(Op::Free { id: slot });
        }
        let size = size_around_a_power(&mut random, order + 1);
        let lower = random.below(1 << 12);
        let limit = random.pick(&[limit, limit, limit - lower]);
        asks.push(alloc(slot, size, limit, random.percent(70)));
        live.insert(random.bits(), Slot(slot));
    }
    trace_of(limit + 1 - filled, asks)
}

#[test]
fn combs_of_many_ranges_agree() {
    let mut seen = Seen::default();
    for seed in 0..20 {
        seen.add(check_all(
            &format!("seed {seed}"),
            &comb_trace(seed, 3000, 300),
        ));
    }
    for seed in 20..22 {
        seen.add(check_all(
            &format!("seed {seed}"),
            &comb_trace(seed, 100_000, 100),
        ));
    }
    println!("{seen:?}");
}

#[test]
fn checkerboards_agree() {
    let mut seen = Seen::default();
    for seed in 0..10 {
        let trace = checkerboard_trace(seed, 3000, 1000);
        seen.add(check_all(&format!("seed {seed}"), &trace));
    }
    println!("{seen:?}");
}
