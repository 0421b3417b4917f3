//! The address space at a refusal: whether there was room, and who held the rest.

use std::collections::BTreeMap;

use iova::kernel::rbtree::{NodeId, RangeTree};
use iova::kernel::{AddressSpace, Asked, Domain};
use iova::replay::{Replay, Request};
use iova::units::{Nanos, Pages, Pfn, PfnRange};
use serde::Serialize;

use super::history::History;
use crate::diagnose::requests::Requests;

/// The pfns that a request could get, from `start_pfn` to its limit, just after its refusal.
#[derive(Clone, Debug, Serialize)]
pub struct Space {
    pub start_pfn: u64,
    pub limit_pfn: u64,
    pub free_pages: u64,
    /// The longest gap, in pages.
    pub largest_gap: u64,
    /// The largest size-aligned request that would find a gap, in pages.
    pub largest_aligned: u64,
    /// The free pfns that the request would have fitted into; `None` if there were none.
    pub room: Option<Room>,
    pub held_back: HeldBack,
    /// The ranges in the window, those that hold the most pages first.
    pub groups: Vec<Group>,
    pub map: Map,
}

/// Free pfns that take a request, and the gap around them below its limit.
#[derive(Clone, Debug, Serialize)]
pub struct Room {
    pub pfn: u64,
    pub last_pfn: u64,
    pub gap_pfn: u64,
    pub gap_last_pfn: u64,
    /// The range below the gap; `None` if the gap begins at `start_pfn`.
    pub below: Option<Neighbour>,
    /// The range above the gap; `None` if the gap reaches the limit.
    pub above: Option<Neighbour>,
}

/// A range at the edge of a gap.
#[derive(Clone, Debug, Serialize)]
pub struct Neighbour {
    pub pfn: u64,
    pub pages: u64,
    pub holder: Holder,
}

/// Who holds a range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Holder {
    /// A caller, since that event.
    Caller {
        event: u64,
        nanos: u64,
        device: Option<String>,
    },
    Magazine,
    Depot,
    FlushQueue,
    Reserved,
    /// It came with the restored state of that event.
    Restored {
        event: u64,
    },
    Unknown,
}

/// Ranges that nobody uses and that are not free.
#[derive(Clone, Debug, Serialize)]
pub struct HeldBack {
    pub magazines: Held,
    pub depots: Held,
    pub flush_queues: Held,
    /// The largest size-aligned request that would find a gap if all of them were freed.
    pub largest_aligned_without: u64,
    /// The pfns that the request would fit into then.
    pub room_without: Option<Room>,
}

/// Ranges in one place, and their pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Held {
    pub ranges: u64,
    pub pages: u64,
}

/// Ranges of one size and holder.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    pub holder: &'static str,
    pub device: Option<String>,
    /// Of each range.
    pub pages: u64,
    pub ranges: u64,
    pub total_pages: u64,
    /// How long ago the oldest was allocated, in nanoseconds; `None` where that is not known.
    pub oldest_nanos: Option<u64>,
}

/// The window from its lowest pfn up, a character for each cell of equal size.
///
/// `.` free, `#` in ranges, `+` in ranges in part, `c` mostly in magazines, depots or flush
/// queues, `=` free pfns that would take the request.
#[derive(Clone, Debug, Serialize)]
pub struct Map {
    pub cell_pages: u64,
    pub rows: Vec<MapRow>,
}

#[derive(Clone, Debug, Serialize)]
pub struct MapRow {
    /// The lowest pfn of the row.
    pub pfn: u64,
    pub cells: String,
}

/// Cells of a row, and rows of a map.
const ROW_CELLS: u64 = 64;
const ROWS: u64 = 4;

/// The holders of a domain's ranges by their lowest pfn; what is in none of these was reserved,
/// restored, or given to a caller who takes pfn 0 for a failure.
struct Holders<'a> {
    known: BTreeMap<Pfn, Holder>,
    history: &'a History,
}

/// Looks at the domain of a request that `replay` has just refused.
pub(super) fn look(
    requests: &Requests,
    replay: &Replay,
    request: &Request,
    asked: Asked,
    history: &History,
) -> Space {
    let domain = &replay.domains()[request.dom.0 as usize];
    let space = domain.space();
    let start = replay.config().start_pfn();
    let limit = asked.limit.max(start);
    let holders = Holders::of(requests, replay, request, history);
    let window = PfnRange::new(start, limit).expect("a window has a page at least");
    let room = room(space, start, asked, &holders);
    let largest = space.largest(limit);
    let held_back = HeldBack::of(domain, start, asked, &holders);
    Space {
        start_pfn: start.0,
        limit_pfn: asked.limit.0,
        free_pages: free_pages(space.ranges(), window),
        largest_gap: largest.any.0,
        largest_aligned: largest.aligned.0,
        groups: groups(space.ranges(), window, &holders, request.at),
        map: Map::of(
            space.ranges(),
            drawn(space.ranges(), window, replay.config().granule().dma32()),
            &holders,
            room.as_ref(),
        ),
        room,
        held_back,
    }
}

fn free_pages(ranges: &RangeTree, window: PfnRange) -> u64 {
    let end = Pfn(window.hi().0.saturating_add(1));
    let used = ranges.used_below(end).0 - ranges.used_below(window.lo()).0;
    end.0 - window.lo().0 - used
}

/// The highest pfns that would take a request, whatever the allocator answers.
fn room(
    space: &dyn AddressSpace,
    start: Pfn,
    asked: Asked,
    holders: &Holders<'_>,
) -> Option<Room> {
    let pfn = space.highest_place(asked)?;
    let ranges = space.ranges();
    let above = ranges.lowest_from(pfn);
    let reaches_limit = ranges.lo(above) > asked.limit;
    let below = ranges.previous(above);
    let neighbour = |id: NodeId| Neighbour {
        pfn: ranges.lo(id).0,
        pages: (ranges.hi(id).0 - ranges.lo(id).0).saturating_add(1),
        holder: holders.of_range(ranges, id),
    };
    let gap_pfn = below
        .map_or(Pfn(0), |id| Pfn(ranges.hi(id).0 + 1))
        .max(start);
    Some(Room {
        pfn: pfn.0,
        last_pfn: pfn.0 + (asked.size.0 - 1),
        gap_pfn: gap_pfn.0,
        gap_last_pfn: asked.limit.0.min(ranges.lo(above).0 - 1),
        below: below.map(neighbour),
        above: (!reaches_limit).then(|| neighbour(above)),
    })
}

impl<'a> Holders<'a> {
    fn of(
        requests: &Requests,
        replay: &Replay,
        request: &Request,
        history: &'a History,
    ) -> Holders<'a> {
        let domain = &replay.domains()[request.dom.0 as usize];
        let mut known = BTreeMap::new();
        let own = replay.allocations().held();
        for (slot, allocation) in own.filter(|(_, it)| it.dom == request.dom) {
            let begun = history.begun(slot);
            let name = begun.device.and_then(|device| requests.device(device));
            let holder = Holder::Caller {
                event: begun.event,
                nanos: begun.at.0,
                device: name.map(ToString::to_string),
            };
            known.insert(allocation.pfn, holder);
        }
        let rcache = domain.rcache();
        known.extend(
            rcache
                .in_magazines()
                .map(|(_, pfn)| (pfn, Holder::Magazine)),
        );
        known.extend(rcache.in_depots().map(|(_, pfn)| (pfn, Holder::Depot)));
        known.extend(domain.queued().map(|entry| (entry.pfn, Holder::FlushQueue)));
        Holders { known, history }
    }

    fn of_range(&self, ranges: &RangeTree, id: NodeId) -> Holder {
        if let Some(holder) = self.known.get(&ranges.lo(id)) {
            return holder.clone();
        }
        let range = PfnRange::new(ranges.lo(id), ranges.hi(id));
        let is_reserved =
            |range: PfnRange| self.history.reserved.iter().any(|it| it.overlaps(range));
        match self.history.restored {
            _ if range.is_some_and(is_reserved) => Holder::Reserved,
            Some(event) => Holder::Restored { event },
            None => Holder::Unknown,
        }
    }
}

impl Holder {
    /// Its name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Holder::Caller { .. } => "caller",
            Holder::Magazine => "magazine",
            Holder::Depot => "depot",
            Holder::FlushQueue => "flush queue",
            Holder::Reserved => "reserved",
            Holder::Restored { .. } => "restored state",
            Holder::Unknown => "unknown",
        }
    }

    fn is_held_back(&self) -> bool {
        matches!(self, Holder::Magazine | Holder::Depot | Holder::FlushQueue)
    }
}

impl HeldBack {
    fn of(domain: &Domain, start: Pfn, asked: Asked, holders: &Holders<'_>) -> HeldBack {
        let ranges = domain.space().ranges();
        let mut without = domain.space().boxed();
        let (mut magazines, mut depots, mut flush_queues) =
            (Held::default(), Held::default(), Held::default());
        for (&pfn, holder) in &holders.known {
            let held = match holder {
                Holder::Magazine => &mut magazines,
                Holder::Depot => &mut depots,
                Holder::FlushQueue => &mut flush_queues,
                _ => continue,
            };
            let Some(id) = ranges.find(pfn) else { continue };
            held.ranges += 1;
            held.pages += ranges.hi(id).0 - ranges.lo(id).0 + 1;
            // A range that two holders name is freed once.
            let _ = without.free(pfn);
        }
        HeldBack {
            magazines,
            depots,
            flush_queues,
            largest_aligned_without: without.largest(asked.limit).aligned.0,
            room_without: room(&*without, start, asked, holders),
        }
    }

    /// All of them together.
    pub fn total(&self) -> Held {
        let all = [self.magazines, self.depots, self.flush_queues];
        Held {
            ranges: all.iter().map(|it| it.ranges).sum(),
            pages: all.iter().map(|it| it.pages).sum(),
        }
    }
}

/// The ranges that reach into a window, by holder and size.
fn groups(
    ranges: &RangeTree,
    window: PfnRange,
    holders: &Holders<'_>,
    now: Nanos,
) -> Vec<Group> {
    type Key = (&'static str, Option<String>, Pages);
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    for (id, range) in within(ranges, window) {
        let holder = holders.of_range(ranges, id);
        let (device, since) = match &holder {
            Holder::Caller { device, nanos, .. } => (device.clone(), Some(*nanos)),
            _ => (None, None),
        };
        let pages = Pages(range.hi().0 - range.lo().0 + 1);
        let key = (holder.name(), device.clone(), pages);
        let group = groups.entry(key).or_insert(Group {
            holder: holder.name(),
            device,
            pages: pages.0,
            ranges: 0,
            total_pages: 0,
            oldest_nanos: None,
        });
        group.ranges += 1;
        group.total_pages += pages.0;
        group.oldest_nanos = group.oldest_nanos.max(since.map(|it| now.0 - it));
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.total_pages));
    groups
}

/// The ranges that reach into a window, the lowest first.
fn within(
    ranges: &RangeTree,
    window: PfnRange,
) -> impl Iterator<Item = (NodeId, PfnRange)> + '_ {
    let first = ranges.lowest_reaching(window.lo());
    let ids = std::iter::successors(Some(first), |&id| ranges.next(id));
    ids.take_while(move |&id| id != NodeId::ANCHOR && ranges.lo(id) <= window.hi())
        .filter_map(|id| Some((id, PfnRange::new(ranges.lo(id), ranges.hi(id))?)))
}

/// The part of a window that a map shows: up to 4 GiB, or to the last range above that.
fn drawn(ranges: &RangeTree, window: PfnRange, dma32: Pfn) -> PfnRange {
    let highest = within(ranges, window).last().map(|(_, range)| range.hi());
    let highest = highest.max(Some(Pfn(dma32.0 - 1)));
    let last = highest.map_or(window.hi(), |highest| highest.min(window.hi()));
    PfnRange::new(window.lo(), last.max(window.lo())).unwrap_or(window)
}

impl Map {
    fn of(
        ranges: &RangeTree,
        window: PfnRange,
        holders: &Holders<'_>,
        room: Option<&Room>,
    ) -> Map {
        let last = window.hi();
        let pages = (last.0 - window.lo().0).saturating_add(1);
        let cell_pages = pages.div_ceil(ROW_CELLS * ROWS).max(1);
        let cells = pages.div_ceil(cell_pages);
        let index = |pfn: Pfn| pfn.0.saturating_sub(window.lo().0) / cell_pages;
        let mut held_back = vec![0; usize::try_from(cells).unwrap_or(0)];
        for (id, range) in within(ranges, window) {
            if holders.of_range(ranges, id).is_held_back() {
                let cell = usize::try_from(index(range.lo())).unwrap_or(0);
                if let Some(pages) = held_back.get_mut(cell) {
                    *pages += range.hi().0 - range.lo().0 + 1;
                }
            }
        }
        let character = |cell: u64| {
            let lo = Pfn(window.lo().0 + cell * cell_pages);
            let end = Pfn(lo
                .0
                .saturating_add(cell_pages)
                .min(last.0.saturating_add(1)));
            let used = ranges.used_below(end).0 - ranges.used_below(lo).0;
            let cached = held_back[usize::try_from(cell).unwrap_or(0)];
            let takes = room.is_some_and(|it| it.pfn <= lo.0 && end.0 <= it.last_pfn + 1);
            match used {
                0 if takes => '=',
                0 => '.',
                _ if cached > used / 2 => 'c',
                used if used == end.0 - lo.0 => '#',
                _ => '+',
            }
        };
        let rows = (0..cells.div_ceil(ROW_CELLS)).map(|row| MapRow {
            pfn: window.lo().0 + row * ROW_CELLS * cell_pages,
            cells: (row * ROW_CELLS..cells.min((row + 1) * ROW_CELLS))
                .map(character)
                .collect(),
        });
        Map {
            cell_pages,
            rows: rows.collect(),
        }
    }
}
