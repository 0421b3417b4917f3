//! Requests like those of the traces on which the kernel's own allocator was timed.

use iova::op::{Op, Path};
use iova::replay::{Dom, Request, Slot};
use iova::units::{Cpu, Nanos, Pages, Pfn};

const CPUS: u64 = 4;

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Buffers of 1 to 32 pages come and go in bursts of 1024: the per-CPU caches serve.
    Ring,
    /// About 2,000 live ranges of up to 16 MiB, beyond the caches, below 2^24 pages.
    Large,
    /// The same with up to 400 pages in the 32-bit space.
    Large32,
    /// Single pages fill a window; then one is freed and one or two pages are asked for.
    Worst,
    /// Any number of ranges of 1 to 8 pages in a 64-bit space, past the caches.
    Spread,
}

/// Where the window begins: so high that `live` single pages fill it, or at the bottom.
pub(crate) fn start_pfn(kind: Kind, live: u64) -> Pfn {
    match kind {
        Kind::Worst => Pfn((1 << 20) - live.min((1 << 20) - 1)),
        _ => Pfn(1),
    }
}

/// A small generator of pseudo-random numbers (splitmix64), the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

struct Traffic {
    random: Random,
    requests: Vec<Request>,
    live: Vec<Slot>,
    vacant: Vec<Slot>,
    slots: u32,
    at: u64,
}

impl Traffic {
    fn ask(&mut self, op: Op<Slot>) {
        let cpu = Cpu(u16::try_from(self.random.below(CPUS)).expect("few CPUs"));
        let (at, dom) = (Nanos(self.at), Dom(0));
        self.requests.push(Request { at, cpu, dom, op });
    }

    fn alloc(&mut self, pages: u64, limit: u64, path: Path) {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots += 1;
            Slot(self.slots - 1)
        });
        self.live.push(slot);
        self.ask(Op::Alloc {
            id: slot,
            pages: Pages(pages),
            limit: Pfn(limit),
            path,
            got: (),
        });
    }

    fn free_any(&mut self) {
        let index = self.random.below(self.live.len() as u64);
        let slot = self
            .live
            .swap_remove(usize::try_from(index).expect("an index"));
        self.vacant.push(slot);
        self.ask(Op::Free { id: slot });
    }
}

/// The requests that bring `live` ranges into being, and `events` more.
pub(crate) fn requests(kind: Kind, live: usize, events: usize) -> (Vec<Request>, Vec<Request>) {
    let mut traffic = Traffic {
        random: Random(kind as u64),
        requests: Vec::new(),
        live: Vec::new(),
        vacant: Vec::new(),
        slots: 0,
        at: 0,
    };
    let fast = Path::Fast { flush: true };
    let direct = Path::Direct { align: true };
    let alloc = |traffic: &mut Traffic| match kind {
        Kind::Ring => {
            let pages = 1 + traffic.random.below(32);
            traffic.alloc(pages, (1 << 52) - 1, fast);
        }
        Kind::Large => {
            let pages = 1 + traffic.random.below(4096);
            traffic.alloc(pages, (1 << 24) - 1, fast);
        }
        Kind::Large32 => {
            let pages = 1 + traffic.random.below(400);
            traffic.alloc(pages, (1 << 20) - 1, fast);
        }
        Kind::Worst => traffic.alloc(1, (1 << 20) - 1, direct),
        Kind::Spread => {
            let pages = 1 + traffic.random.below(8);
            traffic.alloc(pages, (1 << 52) - 1, direct);
        }
    };
    while traffic.requests.len() < live {
        traffic.at += 1000;
        alloc(&mut traffic);
    }
    let fill = std::mem::take(&mut traffic.requests);
    while traffic.requests.len() < events {
        traffic.at += 1000;
        let frees = match kind {
            Kind::Ring => (traffic.requests.len() / 1024).is_multiple_of(2),
            Kind::Large | Kind::Large32 | Kind::Spread => traffic.random.below(2) == 0,
            Kind::Worst => traffic.requests.len().is_multiple_of(2),
        };
        if frees && !traffic.live.is_empty() {
            traffic.free_any();
        } else {
            alloc(&mut traffic);
        }
    }
    (fill, traffic.requests)
}
