//! Random traces from a seed, each with its own mixture of what may happen in it.
//!
//! Of the kinds of request every trace leaves about half out (swarm testing), so that long runs
//! of the same few come about as well as a bit of everything. Sizes, limits, windows and times
//! are drawn around the edges at which the allocator decides something.

use std::sync::Arc;

use iova::kernel::{DomainOptions, FlushQueue, Memory, Snapshot};
use iova::op::{Op, Path};
use iova::replay::{Device, Dom, Request, Slot};
use iova::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

use crate::mixture::{Kind, Mixture, Place, Victim};
use crate::random::Random;
use crate::trace::Trace;

/// The random trace of a seed, of `length` requests or a few more.
pub(crate) fn random_trace(seed: u64, length: usize) -> Trace {
    let mut random = Random::new(seed);
    let place = Place::draw(&mut random);
    let mixture = Mixture::draw(&mut random, &place);
    Draft::new(random, place, mixture).finish(length)
}

/// A random trace of small ranges with room for all, of which there are up to `live_max`.
pub(crate) fn bulk_trace(seed: u64, live_max: usize, length: usize) -> Trace {
    let mut random = Random::new(seed);
    let place = Place::draw(&mut random);
    let mixture = Mixture::draw_any(&mut random, &place);
    let mixture = Mixture {
        live_max,
        ..mixture.in_bulk(&mut random, &place)
    };
    Draft::new(random, place, mixture).finish(length)
}

#[derive(Clone, Copy)]
struct Life {
    slot: Slot,
    dom: Dom,
    mapped: bool,
}

/// A trace in the making.
struct Draft {
    random: Random,
    place: Place,
    mixture: Mixture,
    trace: Trace,
    time: u64,
    online: Vec<bool>,
    cpu: usize,
    live: Vec<Life>,
    ended: Vec<Life>,
    slots: u32,
    /// How many domains were asked so far.
    doms: u64,
    /// The domain and name of each device so far.
    devices: Vec<(Dom, u64)>,
    filling: bool,
}

impl Draft {
    fn new(mut random: Random, place: Place, mixture: Mixture) -> Draft {
        let cpus = random.pick(&[1, 1, 2, 3, 8]);
        let trace = Trace {
            options: DomainOptions {
                granule: place.granule,
                start_pfn: Pfn(place.start),
                flush_queue: random.pick(&FlushQueue::ALL),
                forcedac: random.percent(20),
            },
            cpus,
            requests: Vec::new(),
        };
        Draft {
            random,
            place,
            mixture,
            trace,
            time: 0,
            online: vec![true; cpus as usize],
            cpu: 0,
            live: Vec::new(),
            ended: Vec::new(),
            slots: 0,
            doms: 0,
            devices: Vec::new(),
            filling: true,
        }
    }

    fn finish(mut self, length: usize) -> Trace {
        while self.trace.requests.len() < length {
            self.request();
        }
        self.trace
    }

    /// Adds one request, or none where the kind drawn is impossible now.
    fn request(&mut self) {
        let mut kind = self.random.pick(&self.mixture.kinds);
        if self.live.len() >= self.mixture.live_max {
            self.filling = false;
        } else if self.live.is_empty() {
            self.filling = true;
        }
        let full = self.live.len() >= self.mixture.live_max;
        let ebb = self.mixture.in_waves && !self.filling;
        match kind {
            Kind::Alloc | Kind::Map if full || ebb => kind = Kind::Free,
            Kind::Free if self.mixture.in_waves && self.filling => return,
            _ => {}
        }
        self.pass_time();
        match kind {
            Kind::Alloc => self.alloc(),
            Kind::Map => self.map(),
            Kind::Free => self.free(),
            Kind::Reserve => self.reserve(),
            Kind::FreePfn => {
                let pfn = Pfn(self.place.near(&mut self.random));
                self.push(Op::FreePfn { pfn });
            }
            Kind::CpuDead => self.cpu_dead(),
            Kind::CpuUp => self.cpu_up(),
            Kind::Restore => self.restore(),
            Kind::NoMem => {
                let what = self.random.pick(&[Memory::Iova, Memory::Magazine]);
                let count = self.random.within(1, 3);
                self.push(Op::NoMem { what, count });
            }
            Kind::DoubleFree => self.double_free(),
        }
    }

    fn pass_time(&mut self) {
        let gap = self.random.pick(&self.mixture.gaps);
        self.time = self.time.saturating_add(gap);
        if self.random.percent(self.mixture.move_percent) {
            let online = (0..self.online.len()).filter(|&cpu| self.online[cpu]);
            let online: Vec<usize> = online.collect();
            self.cpu = self.random.pick(&online);
        }
    }

    fn push(&mut self, op: Op<Slot>) {
        let dom = self.some_dom();
        self.push_to(dom, op);
    }

    fn push_to(&mut self, dom: Dom, op: Op<Slot>) {
        let cpu = self.cpu;
        self.push_on(cpu, dom, op);
    }

    fn push_on(&mut self, cpu: usize, dom: Dom, op: Op<Slot>) {
        let cpu = Cpu(u16::try_from(cpu).expect("there are few CPUs"));
        let at = Nanos(self.time);
        self.trace.requests.push(Request { at, cpu, dom, op });
    }

    /// One of the domains so far, or the next one; the caller asks it something.
    fn some_dom(&mut self) -> Dom {
        let known = self.mixture.doms.min(self.doms + 1);
        let dom = u32::try_from(self.random.below(known)).expect("there are few domains");
        self.doms = self.doms.max(u64::from(dom) + 1);
        Dom(dom)
    }

    fn begin(&mut self, mapped: bool) -> Life {
        let reuse = self.random.percent(self.mixture.reuse_percent);
        let slot = if reuse && !self.ended.is_empty() {
            let at = self.random.index(self.ended.len());
            self.ended.swap_remove(at).slot
        } else {
            self.slots += 1;
            Slot(self.slots - 1)
        };
        let dom = self.some_dom();
        let life = Life { slot, dom, mapped };
        self.live.push(life);
        life
    }

    fn size(&mut self) -> u64 {
        let kind = self.random.pick(&self.mixture.size_kinds);
        self.place.size(&mut self.random, kind)
    }

    fn limit(&mut self) -> u64 {
        if self.random.percent(4) {
            let kind = self.random.below(15);
            self.place.limit(&mut self.random, kind)
        } else {
            self.random.pick(&self.mixture.limits)
        }
    }

    fn alloc(&mut self) {
        let Life { slot, dom, .. } = self.begin(false);
        let pages = Pages(self.size());
        let limit = Pfn(self.limit());
        let path = if self.random.percent(self.mixture.fast_percent) {
            let flush = self.random.percent(self.mixture.flush_percent);
            Path::Fast { flush }
        } else {
            let align = self.random.percent(self.mixture.align_percent);
            Path::Direct { align }
        };
        let op = Op::Alloc {
            id: slot,
            pages,
            limit,
            path,
            got: (),
        };
        self.push_to(dom, op);
    }

    fn map(&mut self) {
        let Life { slot, dom, .. } = self.begin(true);
        let granule = self.place.granule.bytes();
        let bytes = self.size().saturating_mul(granule);
        let bytes = bytes - self.random.below(bytes.min(granule));
        let mask = match self.random.below(4) {
            0 => u64::from(u32::MAX),
            1 => u64::MAX >> self.random.below(33),
            _ => self
                .limit()
                .saturating_mul(granule)
                .saturating_add(granule - 1),
        };
        let named = (dom, self.random.below(2));
        let known = self.devices.iter().position(|&device| device == named);
        let device = known.unwrap_or_else(|| {
            self.devices.push(named);
            self.devices.len() - 1
        });
        let op = Op::Map {
            id: slot,
            bytes,
            mask,
            dev: Device(u32::try_from(device).expect("there are few devices")),
            pci: self.random.percent(60),
            got: (),
        };
        self.push_to(dom, op);
    }

    fn free(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let last = self.live.len() - 1;
        let at = match self.mixture.victim {
            Victim::Any => self.random.index(self.live.len()),
            Victim::Oldest => 0,
            Victim::Newest => last,
            Victim::Alternate => last / 2,
        };
        let life = self.live.remove(at);
        self.ended.push(life);
        let slot = life.slot;
        let op = if life.mapped {
            Op::Unmap { id: slot }
        } else {
            Op::Free { id: slot }
        };
        self.push_to(life.dom, op);
    }

    fn double_free(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let at = self.random.index(self.ended.len());
        let Life { slot, dom, .. } = self.ended[at];
        // Now and then so often that magazines, depots and rings run over.
        let times = if self.random.percent(5) {
            self.random.within(100, 600)
        } else {
            1
        };
        for _ in 0..times {
            self.push_to(dom, Op::DoubleFree { id: slot });
        }
    }

    fn reserve(&mut self) {
        // With a granule of one byte the anchor's pfn could be reserved; how the kernel would
        // fare then is nobody's concern.
        let highest = u64::MAX / 2;
        let lo = self.place.near(&mut self.random).min(highest);
        let pages = match self.random.below(4) {
            0 => 0,
            1 => self.random.below(8),
            2 => self.random.below(self.place.window),
            _ => self.random.below(4 * self.place.window),
        };
        let hi = (lo + pages).min(highest);
        let range = PfnRange::new(Pfn(lo), Pfn(hi)).expect("hi is not below lo");
        self.push(Op::Reserve { range });
    }

    fn cpu_dead(&mut self) {
        if self.online.iter().filter(|&&online| online).count() < 2 {
            return;
        }
        let cpu = self.random.index(self.online.len());
        if std::mem::replace(&mut self.online[cpu], false) {
            self.push_on(cpu, Dom(0), Op::CpuDead);
        }
        while !self.online[self.cpu] {
            self.cpu = self.random.index(self.online.len());
        }
    }

    fn cpu_up(&mut self) {
        let cpu = self.random.index(self.online.len());
        if !std::mem::replace(&mut self.online[cpu], true) {
            self.push_on(cpu, Dom(0), Op::CpuUp);
        }
    }

    fn restore(&mut self) {
        let mut nodes = Vec::new();
        let mut next = match self.random.below(4) {
            0 => self.place.start.saturating_sub(self.random.within(1, 4)),
            1 => self.place.dma32 - self.random.below(self.place.window),
            _ => self.place.near(&mut self.random),
        };
        for _ in 0..self.random.below(12) {
            let hi = next.saturating_add(self.random.below(5));
            if hi == u64::MAX {
                break;
            }
            nodes.push(PfnRange::new(Pfn(next), Pfn(hi)).expect("hi is not below next"));
            let gap = self.random.pick(&[1, 1, 2, 3, self.place.window]);
            next = hi.saturating_add(gap);
        }
        let mut node = || {
            let at = self.random.index(nodes.len() + 1);
            nodes.get(at).map(|range| range.lo())
        };
        let (cached32, cached) = (node(), node());
        let max32 = Pages(self.random.pick(&[self.place.dma32, self.place.window, 1]));
        self.push(Op::Restore {
            snapshot: Arc::new(Snapshot {
                nodes,
                cached32,
                cached,
                max32,
            }),
        });
    }
}
