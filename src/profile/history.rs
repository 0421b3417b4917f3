//! The requests of a trace: their sizes, levels and CPUs, and when each was freed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::scenario::AllocPath;
use crate::trace::event::{Event, Op};
use crate::trace::fields;
use crate::workload::size::BYTES_MAX;
use iova::op::Got;
use iova::units::{Cpu, Granule, Nanos, Pages, Pfn, PfnRange};

/// The requests of a trace and the order of what was done.
#[derive(Clone, Debug)]
pub(super) struct History {
    granule: Granule,
    pub(super) keys: Vec<Key>,
    key_of: BTreeMap<Key, u32>,
    pub(super) lives: Vec<Life>,
    /// Looked up by id alone.
    live: FxHashMap<u64, u32>,
    pub(super) acts: Vec<Act>,
    reserved: BTreeMap<u64, Vec<PfnRange>>,
    /// What a `restore` put into a domain, by the lowest pfn: the highest, and the life.
    restored: BTreeMap<u64, BTreeMap<Pfn, (Pfn, u32)>>,
    /// When the trace began.
    pub(super) begun: Option<Nanos>,
    pub(super) left_out: BTreeMap<&'static str, u64>,
}

/// What requests of one client have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) dom: u64,
    pub(super) level: Level,
}

/// The level at which a request is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Alloc {
        limit: Pfn,
        path: AllocPath,
    },
    Map {
        mask: u64,
        pci: bool,
        dev: Option<Arc<str>>,
    },
}

/// A request, and how long what it got was held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// Its [`Key`], by index.
    pub(super) key: u32,
    /// What it asked for in bytes; whole pages where it asked for pages.
    pub(super) bytes: u64,
    pub(super) cpu: Cpu,
    pub(super) since: Nanos,
    pub(super) freed: Option<Freed>,
    /// The recorded kernel refused it: how long it would have been held is not on record.
    refused: bool,
}

/// When a request was freed, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freed {
    pub(super) at: Nanos,
    pub(super) cpu: Cpu,
}

/// A request or a free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act {
    pub(super) at: Nanos,
    pub(super) life: u32,
    pub(super) frees: bool,
}

/// What an event asks for.
struct Request {
    id: u64,
    bytes: u64,
    level: Level,
    got: Got,
}

impl History {
    pub(super) fn new(granule: Granule) -> History {
        History {
            granule,
            keys: Vec::new(),
            key_of: BTreeMap::new(),
            lives: Vec::new(),
            live: FxHashMap::default(),
            acts: Vec::new(),
            reserved: BTreeMap::new(),
            restored: BTreeMap::new(),
            begun: None,
            left_out: BTreeMap::new(),
        }
    }

    pub(super) fn observe(&mut self, event: &Event) {
        self.begun.get_or_insert(event.at);
        match &event.op {
            Op::Alloc {
                id,
                pages,
                limit,
                path,
                got,
            } => {
                let level = Level::Alloc {
                    limit: *limit,
                    path: (*path).into(),
                };
                let request = Request {
                    id: *id,
                    bytes: pages.0.saturating_mul(self.granule.bytes()),
                    level,
                    got: *got,
                };
                self.request(event, request);
            }
            Op::Map {
                id,
                bytes,
                mask,
                pci,
                dev,
                got,
            } => {
                let level = Level::Map {
                    mask: *mask,
                    pci: *pci,
                    dev: dev.clone(),
                };
                let request = Request {
                    id: *id,
                    bytes: *bytes,
                    level,
                    got: *got,
                };
                self.request(event, request);
            }
            Op::Free { id } | Op::Unmap { id } => {
                if let Some(life) = self.live.remove(id) {
                    self.free(life, event);
                }
            }
            Op::Reserve { range } => {
                self.reserved.entry(event.dom).or_default().push(*range);
            }
            Op::Restore { snapshot } => self.restore(event, &snapshot.nodes),
            Op::FreePfn { pfn } if self.free_restored(event, *pfn) => {}
            op => *self.left_out.entry(fields::name(op)).or_default() += 1,
        }
    }

    /// Takes each range for a request of its own, which ends those restored before.
    fn restore(&mut self, event: &Event, nodes: &[PfnRange]) {
        for (_, life) in self
            .restored
            .remove(&event.dom)
            .unwrap_or_default()
            .into_values()
        {
            self.free(life, event);
        }
        for node in nodes {
            let pages = Pages((node.hi().0 - node.lo().0).saturating_add(1));
            let level = Level::Alloc {
                limit: Pfn(self.granule.dma32().0 - 1).max(node.hi()),
                path: AllocPath::DirectUnaligned,
            };
            let bytes = pages.0.saturating_mul(self.granule.bytes()).min(BYTES_MAX);
            let life = self.add(event, bytes, level, false);
            let restored = self.restored.entry(event.dom).or_default();
            restored.insert(node.lo(), (node.hi(), life));
        }
    }

    /// Frees the restored range that contains a pfn, if there is one.
    fn free_restored(&mut self, event: &Event, pfn: Pfn) -> bool {
        let Some(restored) = self.restored.get_mut(&event.dom) else {
            return false;
        };
        match restored.range(..=pfn).next_back() {
            Some((&lo, &(hi, life))) if pfn <= hi => {
                restored.remove(&lo);
                self.free(life, event);
                true
            }
            _ => false,
        }
    }

    fn request(&mut self, event: &Event, request: Request) {
        if request.bytes > BYTES_MAX {
            *self
                .left_out
                .entry("request beyond 2^48 bytes")
                .or_default() += 1;
            return;
        }
        let refused = request.got == Got::Failed;
        let life = self.add(event, request.bytes, request.level, refused);
        if !refused {
            self.live.insert(request.id, life);
        }
    }

    fn add(&mut self, event: &Event, bytes: u64, level: Level, refused: bool) -> u32 {
        let key = Key {
            dom: event.dom,
            level,
        };
        let next = index(self.keys.len());
        let key = *self.key_of.entry(key).or_insert_with_key(|key| {
            self.keys.push(key.clone());
            next
        });
        let life = index(self.lives.len());
        self.lives.push(Life {
            key,
            bytes,
            cpu: event.cpu,
            since: event.at,
            freed: None,
            refused,
        });
        self.act(event.at, life, false);
        life
    }

    fn free(&mut self, life: u32, event: &Event) {
        let (at, cpu) = (event.at, event.cpu);
        self.lives[life as usize].freed = Some(Freed { at, cpu });
        self.act(at, life, true);
    }

    fn act(&mut self, at: Nanos, life: u32, frees: bool) {
        self.acts.push(Act { at, life, frees });
    }

    /// Frees what was refused as late as the request before it of that kind and size that was
    /// granted, counted in acts; at once where there was none.
    ///
    /// What a scenario generates must load the space as much as what was asked for, not as
    /// what was granted: whether a request is refused is for the allocator to say, and one
    /// that is refused in the place of another is held for as long as that one was.
    pub(super) fn free_refused(&mut self) {
        let mut allocated = vec![0; self.lives.len()];
        let mut held: Vec<Option<usize>> = vec![None; self.lives.len()];
        for (number, act) in self.acts.iter().enumerate() {
            let life = act.life as usize;
            if act.frees {
                held[life] = Some(number - allocated[life]);
            } else {
                allocated[life] = number;
            }
        }
        let mut before: BTreeMap<(u32, u32), Option<usize>> = BTreeMap::new();
        let mut frees = Vec::new();
        for (number, act) in self.acts.iter().enumerate().filter(|(_, act)| !act.frees) {
            let life = &self.lives[act.life as usize];
            let kind = (life.key, self.order(life));
            if !life.refused {
                before.insert(kind, held[act.life as usize]);
            } else if let Some(held) = before.get(&kind).copied().unwrap_or(Some(0)) {
                frees.push((number + held, act.life));
            }
        }
        frees.sort_unstable();
        self.insert_frees(&frees);
    }

    /// Inserts each free after the act of its number; drops those after the last act.
    fn insert_frees(&mut self, frees: &[(usize, u32)]) {
        let acts = std::mem::take(&mut self.acts);
        let mut frees = frees.iter().peekable();
        for (number, act) in acts.into_iter().enumerate() {
            let at = act.at;
            self.acts.push(act);
            while let Some(&(_, life)) = frees.next_if(|&&(behind, _)| behind <= number) {
                let cpu = self.lives[life as usize].cpu;
                self.lives[life as usize].freed = Some(Freed { at, cpu });
                self.act(at, life, true);
            }
        }
    }

    /// How many pages a request asked for, as a power of two that holds them.
    pub(super) fn order(&self, life: &Life) -> u32 {
        self.granule.pages(life.bytes).order()
    }

    /// The domain with the most requests; the one with the smallest number of several.
    pub(super) fn busiest(&self) -> u64 {
        let mut requests: BTreeMap<u64, u64> = BTreeMap::new();
        for life in &self.lives {
            *requests
                .entry(self.keys[life.key as usize].dom)
                .or_default() += 1;
        }
        let most = requests.values().max().copied();
        let first = requests.into_iter().find(|&(_, count)| Some(count) == most);
        first.map_or(0, |(dom, _)| dom)
    }

    /// The reserved ranges of a domain up to the highest limit of its requests. They keep their
    /// sizes, their side of 4 GiB and their place among the limits in use; between two of these
    /// bounds they lie packed from the bottom, so that no address of the trace is kept.
    pub(super) fn reserved_packed(&self, dom: u64, start: Pfn) -> Vec<PfnRange> {
        let of_dom = self.keys.iter().filter(|key| key.dom == dom);
        let limits = of_dom.map(|key| match &key.level {
            Level::Alloc { limit, .. } => *limit,
            Level::Map { mask, .. } => self.granule.limit(*mask),
        });
        let mut limits: BTreeSet<Pfn> = limits.collect();
        let (Some(highest), Some(ranges)) = (limits.last(), self.reserved.get(&dom)) else {
            return Vec::new();
        };
        let highest = *highest.min(&Pfn(u64::MAX >> self.granule.shift()));
        limits.insert(Pfn(self.granule.dma32().0 - 1));
        let mut ranges = ranges.clone();
        ranges.sort_unstable_by_key(|range| range.lo());
        let mut packed = Vec::new();
        let mut bottom = start;
        for &limit in limits.iter().filter(|&&limit| limit >= start) {
            let top = limit.min(highest);
            let (mut to, mut taken) = (bottom, bottom);
            for range in &ranges {
                let (lo, hi) = (range.lo().max(taken), range.hi().min(top));
                if lo > hi {
                    continue;
                }
                let end = Pfn(to.0 + (hi.0 - lo.0));
                packed.extend(PfnRange::new(to, end));
                (to, taken) = (Pfn(end.0 + 1), Pfn(hi.0 + 1));
            }
            bottom = Pfn(top.0 + 1);
            if top == highest {
                break;
            }
        }
        packed
    }
}

/// An index of 32 bits: the checker gives out no more slots than that.
fn index(count: usize) -> u32 {
    u32::try_from(count).expect("fewer requests than 2^32")
}
