//! The per-CPU caches of small ranges: magazines, two a CPU and order, and the depots of full
//! magazines that all CPUs share.
//!
//! Caches hold bare pfns of ranges that stay in the tree. They never touch the tree: what has
//! to go back to it is handed to the [`Domain`](super::domain::Domain).

use super::allocator::Rules;
use super::changes::Change;
use crate::units::{Cpu, Pages, Pfn};

/// Ranges of order 0 to 5, thus of 1 to 32 pages, are cached.
pub const ORDERS: usize = 6;

/// The most magazines that a depot holds before `depot-list`.
const DEPOT_BOUND: usize = 32;

/// A stack of pfns; the last is the top.
pub type Magazine = Vec<Pfn>;

/// All caches of a domain.
#[derive(Clone, Debug)]
pub struct Caches {
    cpus: Vec<[CpuCache; ORDERS]>,
    depots: [Vec<Magazine>; ORDERS],
    magazine_size: usize,
    depot_bound: usize,
}

#[derive(Clone, Debug, Default)]
struct CpuCache {
    loaded: Magazine,
    prev: Magazine,
}

/// Where a freed pfn went.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// Into a magazine that was there.
    Kept,
    /// Into a new magazine; a full one went to the depot.
    IntoDepot,
    /// Into a new magazine; the depot was full, and this magazine goes to the tree.
    Overflow(Magazine),
    /// Nowhere: there was no memory for a new magazine.
    NoMagazine,
}

/// Where a pfn was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The range's lowest pfn.
    pub pfn: Pfn,
    /// Whether a magazine came from the depot for it.
    pub refilled: bool,
}

/// The cache that ranges of a size belong to; none for sizes that are not cached.
pub fn order_of(size: Pages) -> Option<usize> {
    let order = size.order() as usize;
    (order < ORDERS).then_some(order)
}

impl Caches {
    /// Empty caches.
    pub fn new(rules: Rules) -> Caches {
        Caches {
            cpus: Vec::new(),
            depots: Default::default(),
            magazine_size: if rules.has(Change::Magazine127) {
                127
            } else {
                128
            },
            depot_bound: if rules.has(Change::DepotList) {
                usize::MAX
            } else {
                DEPOT_BOUND
            },
        }
    }

    /// The topmost pfn of this CPU's loaded magazine that is not above `highest`. Empty
    /// magazines are first replaced, by `prev` or from the depot.
    pub fn take(&mut self, cpu: Cpu, order: usize, highest: Pfn) -> Option<Taken> {
        let depot = &mut self.depots[order];
        if self.cpus.len() <= cpu.index() {
            if depot.is_empty() {
                return None;
            }
            self.cpus.resize_with(cpu.index() + 1, Default::default);
        }
        let cache = &mut self.cpus[cpu.index()][order];
        let mut refilled = false;
        if cache.loaded.is_empty() {
            if cache.prev.is_empty() {
                cache.loaded = depot.pop()?;
                refilled = true;
            } else {
                std::mem::swap(&mut cache.loaded, &mut cache.prev);
            }
        }
        let topmost = cache.loaded.iter().rposition(|&pfn| pfn <= highest)?;
        Some(Taken {
            pfn: cache.loaded.swap_remove(topmost),
            refilled,
        })
    }

    /// Keeps a freed pfn. `magazine_fails` is asked only where a new magazine is needed.
    pub fn put(
        &mut self,
        cpu: Cpu,
        order: usize,
        pfn: Pfn,
        magazine_fails: impl FnOnce() -> bool,
    ) -> Put {
        if self.cpus.len() <= cpu.index() {
            self.cpus.resize_with(cpu.index() + 1, Default::default);
        }
        let size = self.magazine_size;
        let cache = &mut self.cpus[cpu.index()][order];
        if cache.loaded.len() == size {
            if cache.prev.len() < size {
                std::mem::swap(&mut cache.loaded, &mut cache.prev);
            } else if magazine_fails() {
                return Put::NoMagazine;
            } else {
                let mut fresh = Magazine::with_capacity(size);
                fresh.push(pfn);
                let full = std::mem::replace(&mut cache.loaded, fresh);
                let depot = &mut self.depots[order];
                if depot.len() >= self.depot_bound {
                    return Put::Overflow(full);
                }
                depot.push(full);
                return Put::IntoDepot;
            }
        }
        if cache.loaded.capacity() == 0 {
            cache.loaded.reserve_exact(size);
        }
        cache.loaded.push(pfn);
        Put::Kept
    }

    /// Empties one CPU's magazines: orders ascending, `loaded` then `prev`, bottom to top.
    pub fn drain_cpu(&mut self, cpu: Cpu) -> Vec<Pfn> {
        let mut drained = Vec::new();
        for cache in self.cpus.get_mut(cpu.index()).into_iter().flatten() {
            drained.append(&mut cache.loaded);
            drained.append(&mut cache.prev);
        }
        drained
    }

    /// Empties the depots: orders ascending, the newest magazine first from `depot-list` on,
    /// before that the oldest.
    pub fn drain_depots(&mut self) -> Vec<Pfn> {
        let newest_first = self.depot_bound == usize::MAX;
        let mut drained = Vec::new();
        for depot in &mut self.depots {
            if newest_first {
                depot.reverse();
            }
            drained.extend(depot.drain(..).flatten());
        }
        drained
    }

    /// The newest magazine of a depot that holds more than `keep`.
    pub fn take_surplus(&mut self, order: usize, keep: usize) -> Option<Magazine> {
        let depot = &mut self.depots[order];
        if depot.len() > keep {
            depot.pop()
        } else {
            None
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.cpus.clear();
        self.depots = Default::default();
    }

    /// The pfns in magazines of CPUs, orders ascending for each CPU, with their order.
    pub fn in_magazines(&self) -> impl Iterator<Item = (usize, Pfn)> + '_ {
        let caches = self
            .cpus
            .iter()
            .flat_map(|caches| caches.iter().enumerate());
        caches.flat_map(|(order, cache)| {
            cache
                .loaded
                .iter()
                .chain(&cache.prev)
                .map(move |&pfn| (order, pfn))
        })
    }

    /// The pfns in the depots, orders ascending, with their order.
    pub fn in_depots(&self) -> impl Iterator<Item = (usize, Pfn)> + '_ {
        let depots = self.depots.iter().enumerate();
        depots.flat_map(|(order, depot)| depot.iter().flatten().map(move |&pfn| (order, pfn)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Cpu = Cpu(3);
    const ANY: Pfn = Pfn(u64::MAX);

    fn caches(release: &str) -> Caches {
        let allocator: super::super::Allocator = release.parse().expect("a release");
        Caches::new(allocator.rules())
    }

    fn put(caches: &mut Caches, pfn: u64) -> Put {
        caches.put(CPU, 0, Pfn(pfn), || false)
    }

    fn taken(caches: &mut Caches, highest: Pfn) -> Option<u64> {
        caches.take(CPU, 0, highest).map(|taken| taken.pfn.0)
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
    fn without_memory_for_a_magazine_nothing_is_kept() {
        let mut caches = caches("linux-5.10");
        (0..256).for_each(|pfn| assert_eq!(put(&mut caches, pfn), Put::Kept));
        assert_eq!(caches.put(CPU, 0, Pfn(256), || true), Put::NoMagazine);
        assert_eq!(caches.in_magazines().count(), 256);
    }
}
