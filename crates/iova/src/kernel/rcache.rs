//! The per-CPU caches of small ranges (`struct iova_rcache`): two magazines a CPU and order, and a
//! depot of full magazines an order, which all CPUs share.
//!
//! The caches hold bare pfns of ranges that stay in the tree, and never touch the tree: the
//! [`Domain`](super::domain::Domain) frees the pfns that they give back.

use std::num::NonZeroU32;

use rustc_hash::FxHashMap;

use super::changes::Change;
use super::rules::Rules;
use crate::units::{Cpu, Pages, Pfn};

/// Ranges of order 0 to 5, thus of 1 to 32 pages, are cached (`IOVA_RANGE_CACHE_MAX_SIZE`).
pub const ORDERS: usize = 6;

/// The most magazines that a depot holds before `depot-list` (`MAX_GLOBAL_MAGS`).
const MAX_GLOBAL_MAGS: usize = 32;

/// A stack of pfns; the last is the top (`struct iova_magazine`).
#[derive(Clone, Debug, Default)]
pub struct Magazine {
    pfns: Vec<Pfn>,
}

/// All caches of a domain.
#[derive(Clone, Debug)]
pub struct Rcache {
    /// The CPUs that have kept a range since they were last emptied, in no order of theirs.
    cpus: Vec<CpuRcaches>,
    places: Places,
    depots: [Vec<Magazine>; ORDERS],
    magazine_size: usize,
    depot_bound: usize,
}

/// Where each CPU's magazines are among those of all CPUs: a table for low numbers, which grows as
/// far as they go, and a map for the rest.
#[derive(Clone, Debug, Default)]
struct Places {
    low: Vec<Option<NonZeroU32>>,
    high: FxHashMap<Cpu, usize>,
}

impl Places {
    /// How far the table goes, so that a domain with one busy CPU never costs much.
    const LOW: usize = 256;

    #[inline]
    fn get(&self, cpu: Cpu) -> Option<usize> {
        match self.low.get(cpu.index()) {
            Some(place) => place.map(|next| next.get() as usize - 1),
            None => self.high.get(&cpu).copied(),
        }
    }

    fn set(&mut self, cpu: Cpu, place: Option<usize>) {
        if cpu.index() >= Places::LOW {
            match place {
                Some(place) => self.high.insert(cpu, place),
                None => self.high.remove(&cpu),
            };
            return;
        }
        if self.low.len() <= cpu.index() {
            self.low.resize(cpu.index() + 1, None);
        }
        let next = place.and_then(|place| u32::try_from(place + 1).ok());
        self.low[cpu.index()] = next.and_then(NonZeroU32::new);
    }
}

/// The magazines of a CPU, for each order.
#[derive(Clone, Debug)]
struct CpuRcaches {
    cpu: Cpu,
    orders: [CpuRcache; ORDERS],
}

/// The magazines of a CPU and order (`struct iova_cpu_rcache`).
#[derive(Clone, Debug, Default)]
struct CpuRcache {
    loaded: Magazine,
    prev: Magazine,
}

/// The place that a freed pfn went to.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// A magazine that was there.
    Kept,
    /// A new magazine; a full one went to the depot.
    IntoDepot,
    /// A new magazine; the depot was full, and these pfns of a full magazine go to the tree.
    Overflow(Vec<Pfn>),
    /// None: there was no memory for a new magazine.
    NoMagazine,
}

/// A pfn from a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The range's lowest pfn.
    pub pfn: Pfn,
    /// Whether a magazine came from the depot for it.
    pub refilled: bool,
}

/// The order whose cache ranges of a size belong to; `None` for sizes that are not cached.
#[inline]
pub fn order_of(size: Pages) -> Option<usize> {
    let order = size.order() as usize;
    (order < ORDERS).then_some(order)
}

impl Magazine {
    /// `iova_magazine_empty()`.
    #[inline]
    fn is_empty(&self) -> bool {
        self.pfns.is_empty()
    }

    /// `iova_magazine_full()`.
    #[inline]
    fn is_full(&self, size: usize) -> bool {
        self.pfns.len() == size
    }

    /// `iova_magazine_pop()`: the topmost pfn not above `highest`; the top fills its slot.
    #[inline]
    fn pop(&mut self, highest: Pfn) -> Option<Pfn> {
        let topmost = self.pfns.iter().rposition(|&pfn| pfn <= highest)?;
        Some(self.pfns.swap_remove(topmost))
    }

    /// `iova_magazine_push()`.
    #[inline]
    fn push(&mut self, pfn: Pfn, size: usize) {
        assert!(
            self.pfns.len() < size,
            "a magazine holds more than {size} pfns"
        );
        // A few at first: most CPUs of a large machine keep next to nothing.
        if self.pfns.len() == self.pfns.capacity() {
            let more = if self.pfns.is_empty() {
                8.min(size)
            } else {
                size - self.pfns.len()
            };
            self.pfns.reserve_exact(more);
        }
        self.pfns.push(pfn);
    }
}

impl Rcache {
    /// `iova_domain_init_rcaches()` (once `init_iova_rcaches()`): empty caches.
    pub fn new(rules: Rules) -> Rcache {
        Rcache {
            cpus: Vec::new(),
            places: Places::default(),
            depots: Default::default(),
            magazine_size: if rules.has(Change::Magazine127) {
                127
            } else {
                128
            },
            depot_bound: if rules.has(Change::DepotList) {
                usize::MAX
            } else {
                MAX_GLOBAL_MAGS
            },
        }
    }

    /// `__iova_rcache_get()`: a pfn not above `highest` from this CPU's loaded magazine. An
    /// empty one is first replaced, by `prev` or from the depot.
    #[inline]
    pub fn get(&mut self, cpu: Cpu, order: usize, highest: Pfn) -> Option<Taken> {
        let place = match self.places.get(cpu) {
            Some(place) => place,
            None if self.depots[order].is_empty() => return None,
            None => self.new_place(cpu),
        };
        let depot = &mut self.depots[order];
        let cache = &mut self.cpus[place].orders[order];
        let mut refilled = false;
        if cache.loaded.is_empty() {
            if cache.prev.is_empty() {
                cache.loaded = iova_depot_pop(depot)?;
                refilled = true;
            } else {
                std::mem::swap(&mut cache.loaded, &mut cache.prev);
            }
        }
        let pfn = cache.loaded.pop(highest)?;
        Some(Taken { pfn, refilled })
    }

    /// `__iova_rcache_insert()`: keeps a freed pfn. `magazine_fails` is asked only where a new
    /// magazine is needed.
    pub fn insert(
        &mut self,
        cpu: Cpu,
        order: usize,
        pfn: Pfn,
        magazine_fails: impl FnOnce() -> bool,
    ) -> Put {
        let size = self.magazine_size;
        let place = self.places.get(cpu).unwrap_or_else(|| self.new_place(cpu));
        let cache = &mut self.cpus[place].orders[order];
        let mut put = Put::Kept;
        if cache.loaded.is_full(size) {
            if !cache.prev.is_full(size) {
                std::mem::swap(&mut cache.loaded, &mut cache.prev);
            } else if magazine_fails() {
                return Put::NoMagazine;
            } else {
                let full = std::mem::take(&mut cache.loaded);
                let depot = &mut self.depots[order];
                put = match iova_depot_push(depot, full, self.depot_bound) {
                    Ok(()) => Put::IntoDepot,
                    Err(full) => Put::Overflow(full.pfns),
                };
            }
        }
        cache.loaded.push(pfn, size);
        put
    }

    /// A place for the magazines of a CPU that has none.
    #[cold]
    fn new_place(&mut self, cpu: Cpu) -> usize {
        let place = self.cpus.len();
        let orders = Default::default();
        self.cpus.push(CpuRcaches { cpu, orders });
        self.places.set(cpu, Some(place));
        place
    }

    /// The CPUs that may hold something, ascending.
    pub fn cpus(&self) -> Vec<Cpu> {
        let mut cpus: Vec<Cpu> = self.cpus.iter().map(|it| it.cpu).collect();
        cpus.sort_unstable();
        cpus
    }

    /// `free_cpu_cached_iovas()`: empties one CPU's magazines, orders ascending, `loaded` then
    /// `prev`, bottom to top.
    pub fn free_cpu_cached_iovas(&mut self, cpu: Cpu) -> Vec<Pfn> {
        let Some(place) = self.places.get(cpu) else {
            return Vec::new();
        };
        self.places.set(cpu, None);
        let emptied = self.cpus.swap_remove(place);
        if let Some(moved) = self.cpus.get(place) {
            self.places.set(moved.cpu, Some(place));
        }
        let magazines = emptied
            .orders
            .into_iter()
            .flat_map(|it| [it.loaded, it.prev]);
        magazines.flat_map(|magazine| magazine.pfns).collect()
    }

    /// `free_global_cached_iovas()`: empties the depots, orders ascending, the newest magazine
    /// first from `depot-list` on, before that the oldest.
    pub fn free_global_cached_iovas(&mut self) -> Vec<Pfn> {
        let newest_first = self.depot_bound == usize::MAX;
        let mut drained = Vec::new();
        for depot in &mut self.depots {
            if newest_first {
                depot.reverse();
            }
            drained.extend(depot.drain(..).flat_map(|magazine| magazine.pfns));
        }
        drained
    }

    /// The newest magazine of a depot that holds more than `keep`.
    pub fn take_surplus(&mut self, order: usize, keep: usize) -> Option<Vec<Pfn>> {
        let depot = &mut self.depots[order];
        let surplus = if depot.len() > keep {
            iova_depot_pop(depot)
        } else {
            None
        };
        surplus.map(|magazine| magazine.pfns)
    }

    /// `free_iova_rcaches()`: forgets everything.
    pub fn clear(&mut self) {
        self.cpus.clear();
        self.places = Places::default();
        self.depots = Default::default();
    }

    /// The pfns in magazines of CPUs, orders ascending for each CPU, with their order.
    pub fn in_magazines(&self) -> impl Iterator<Item = (usize, Pfn)> + '_ {
        let caches = self
            .cpus
            .iter()
            .flat_map(|cpu| cpu.orders.iter().enumerate());
        caches.flat_map(|(order, cache)| {
            let pfns = cache.loaded.pfns.iter().chain(&cache.prev.pfns);
            pfns.map(move |&pfn| (order, pfn))
        })
    }

    /// The pfns in the depots, orders ascending, with their order.
    pub fn in_depots(&self) -> impl Iterator<Item = (usize, Pfn)> + '_ {
        let depots = self.depots.iter().enumerate();
        depots.flat_map(|(order, depot)| {
            let pfns = depot.iter().flat_map(|magazine| &magazine.pfns);
            pfns.map(move |&pfn| (order, pfn))
        })
    }
}

/// `iova_depot_pop()`: the newest full magazine.
fn iova_depot_pop(depot: &mut Vec<Magazine>) -> Option<Magazine> {
    depot.pop()
}

/// `iova_depot_push()`: adds a full magazine; gives it back if the depot has no room.
fn iova_depot_push(
    depot: &mut Vec<Magazine>,
    full: Magazine,
    bound: usize,
) -> Result<(), Magazine> {
    if depot.len() >= bound {
        return Err(full);
    }
    depot.push(full);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Cpu = Cpu(3);
    const ANY: Pfn = Pfn(u64::MAX);

    fn caches(release: &str) -> Rcache {
        let allocator: super::super::Allocator = release.parse().expect("a release");
        Rcache::new(allocator.rules())
    }

    fn put(caches: &mut Rcache, pfn: u64) -> Put {
        caches.insert(CPU, 0, Pfn(pfn), || false)
    }

    fn taken(caches: &mut Rcache, highest: Pfn) -> Option<u64> {
        caches.get(CPU, 0, highest).map(|taken| taken.pfn.0)
    }

    #[test]
    fn the_topmost_pfn_below_the_limit_is_taken_and_the_top_fills_its_slot() {
        let mut caches = caches("linux-7.2");
        for pfn in [10, 50, 20, 60] {
            assert_eq!(put(&mut caches, pfn), Put::Kept);
        }
        assert_eq!(taken(&mut caches, Pfn(30)), Some(20));
        assert_eq!(taken(&mut caches, Pfn(9)), None);
        assert_eq!(
            [(); 4].map(|()| taken(&mut caches, ANY)),
            [Some(60), Some(50), Some(10), None]
        );
    }

    #[test]
    fn the_third_magazine_sends_a_full_one_to_the_depot() {
        let mut caches = caches("linux-7.2");
        let puts: Vec<Put> = (0..255).map(|pfn| put(&mut caches, pfn)).collect();
        assert!(puts[..254].iter().all(|it| *it == Put::Kept));
        assert_eq!(puts[254], Put::IntoDepot);
        assert_eq!(caches.in_depots().count(), 127);
        let order: Vec<u64> = (0..255).map_while(|_| taken(&mut caches, ANY)).collect();
        let expected: Vec<u64> = [254]
            .into_iter()
            .chain((0..127).rev())
            .chain((127..254).rev())
            .collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn a_bounded_depot_hands_out_the_magazine_that_it_has_no_room_for() {
        let mut caches = caches("linux-6.6");
        let overflow = (0..(2 + 32 + 1) * 127)
            .map(|pfn| put(&mut caches, pfn))
            .last();
        assert_eq!(overflow, Some(Put::Kept));
        let Put::Overflow(magazine) = put(&mut caches, 0) else {
            panic!("the depot has room for more than 32 magazines");
        };
        assert_eq!(magazine.len(), 127);
    }

    #[test]
    fn only_cpus_that_hold_something_take_room() {
        let mut caches = caches("linux-7.2");
        for (cpu, pfn) in [(65_535, 10), (3, 20), (65_535, 30), (7, 40)] {
            let _ = caches.insert(Cpu(cpu), 0, Pfn(pfn), || false);
        }
        assert_eq!(caches.cpus(), [3, 7, 65_535].map(Cpu));
        let drained = caches.free_cpu_cached_iovas(Cpu(65_535));
        assert_eq!(drained, [10, 30].map(Pfn));
        assert_eq!(caches.cpus(), [3, 7].map(Cpu));
        assert_eq!(caches.get(Cpu(7), 0, ANY).map(|it| it.pfn), Some(Pfn(40)));
        assert_eq!(caches.free_cpu_cached_iovas(Cpu(3)), [Pfn(20)]);
        assert_eq!(caches.free_cpu_cached_iovas(Cpu(7)), []);
        assert_eq!(caches.cpus(), []);
        assert_eq!(
            caches.get(Cpu(65_535), 0, ANY),
            None,
            "a request keeps nothing"
        );
        assert_eq!(caches.cpus(), []);
    }

    #[test]
    fn without_memory_for_a_magazine_nothing_is_kept() {
        let mut caches = caches("linux-5.10");
        (0..256).for_each(|pfn| assert_eq!(put(&mut caches, pfn), Put::Kept));
        assert_eq!(caches.insert(CPU, 0, Pfn(256), || true), Put::NoMagazine);
        assert_eq!(caches.in_magazines().count(), 256);
    }
}
