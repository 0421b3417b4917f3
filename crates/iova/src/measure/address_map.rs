//! Who has which part of the address space, as time goes by: a grid of occupancy.
//!
//! Addresses are cut into cells of a power of two of pages, 64 to 128 of them in the window. What
//! callers hold is followed at every event; at the samples the tree says how much of a cell is
//! used, and the caches and flush queues say what they hold back. The rest has no holder that
//! is known: it was reserved, restored, or given to a caller who takes pfn 0 for a failure.

use rustc_hash::FxHashMap;

use super::decision::Decision;
use super::held_back;
use super::record::{self, MapRecord, Moments};

pub use super::record::Holder;
use super::sampling::{Allowance, Moment, Sampling};
use super::series::{Merge, Series};
use crate::kernel::Answer;
use crate::kernel::DomainConfig;
use crate::op::Op;
use crate::replay::{Dom, Replay, Request, Slot};
use crate::units::{Pages, Pfn, PfnRange};

/// The most columns that are kept.
const COLUMNS: usize = 128;
/// log2 of the most cells that the window is cut into.
const CELLS_ORDER: u32 = 7;

/// Maps a domain while a replay runs.
#[derive(Clone, Debug)]
pub struct AddressMap {
    sampling: Sampling,
    dom: Dom,
    grid: Grid,
    /// What callers hold now. Never iterated over, as its order is not the trace's.
    held: FxHashMap<Slot, (Pfn, Pages)>,
    /// The pages of each cell that callers hold now.
    live: Vec<u64>,
    series: Series<Column>,
    allowance: Allowance,
}

/// How addresses are cut into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    /// The lowest pfn of the lowest cell, a multiple of a cell's size.
    base: Pfn,
    /// log2 of the pages of a cell.
    cell_order: u32,
    /// How many cells there are.
    cells: usize,
}

impl Holder {
    /// All of them, in the order in which a column counts them.
    pub const ALL: [Holder; 4] = [Holder::Live, Holder::Cached, Holder::Queued, Holder::Other];
}

/// A stretch of time in all cells.
#[derive(Clone, Debug, Default)]
struct Column {
    begun: Moment,
    /// How often the cells were looked at.
    looks: u64,
    /// For each cell, the lowest first: the pages of each holder, summed over the looks.
    /// Empty where there was no look.
    pages: Vec<[u64; Holder::ALL.len()]>,
    /// Requests that were refused though there was room.
    refused_with_room: u64,
    /// Requests that were refused for want of room or memory.
    refused_without: u64,
}

impl Grid {
    /// The cells from `start` to `limit` (inclusive).
    fn new(start: Pfn, limit: Pfn) -> Grid {
        let last = limit.max(start).0;
        let mut cell_order = (last - start.0)
            .checked_ilog2()
            .map_or(0, |order| (order + 1).saturating_sub(CELLS_ORDER));
        // A window that is not aligned to its cells may touch one more than it has room for.
        while (last >> cell_order) - (start.0 >> cell_order) >= 1 << CELLS_ORDER {
            cell_order += 1;
        }
        let first = start.0 >> cell_order;
        let cells = usize::try_from((last >> cell_order) - first + 1).unwrap_or(usize::MAX);
        Grid {
            base: Pfn(first << cell_order),
            cell_order,
            cells,
        }
    }

    /// The cells that a range touches, and how many of its pages lie in each.
    fn parts(self, range: PfnRange) -> impl Iterator<Item = (usize, u64)> {
        let lo = range.lo().0.max(self.base.0) - self.base.0;
        let hi = range.hi().0.checked_sub(self.base.0);
        let cells = self.cells as u64;
        let touched =
            hi.map(|hi| (lo >> self.cell_order)..=(hi >> self.cell_order).min(cells - 1));
        touched.into_iter().flatten().map(move |cell| {
            let start = cell << self.cell_order;
            let last = start + ((1 << self.cell_order) - 1);
            let pages = hi.unwrap_or(0).min(last) - lo.max(start) + 1;
            (usize::try_from(cell).unwrap_or(0), pages)
        })
    }

    /// The first pfn of a cell, or of what lies above the last.
    fn start(self, cell: usize) -> Pfn {
        let offset = (cell as u64)
            .checked_mul(1 << self.cell_order)
            .and_then(|offset| self.base.0.checked_add(offset));
        offset.map_or(Pfn::ANCHOR, Pfn)
    }
}

impl AddressMap {
    /// An observer of a domain that nothing was asked of yet.
    pub fn new(sampling: Sampling, dom: Dom, config: &DomainConfig) -> AddressMap {
        let grid = Grid::new(config.start_pfn(), sampling.limit(config));
        AddressMap {
            series: Series::new(sampling.every.width(), COLUMNS),
            sampling,
            dom,
            grid,
            held: FxHashMap::default(),
            live: vec![0; grid.cells],
            allowance: Allowance::new(),
        }
    }

    /// Takes in a request of the domain that `replay` has just answered.
    pub fn observe(
        &mut self,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
        decision: Decision,
    ) {
        let moment = Moment::of(replay, request);
        self.follow(request, answer);
        let position = self.sampling.every.position(moment.event, moment.at);
        let (column, begins) = self.series.at(position);
        if begins {
            column.begun = moment;
        }
        if let Some(cause) = decision.cause() {
            column.refused_with_room += u64::from(cause.is_spurious());
            column.refused_without += u64::from(!cause.is_spurious());
        }
        if begins && self.allowance.allows(moment.event) {
            self.look(replay);
        }
    }

    fn follow(&mut self, request: &Request, answer: Option<Answer>) {
        match request.op {
            Op::Alloc { id: slot, .. } | Op::Map { id: slot, .. } => {
                if let Some((Ok(pfn), asked)) = answer.map(|it| (it.result, it.asked)) {
                    self.begin(slot, pfn, asked.size);
                }
            }
            Op::Free { id: slot } | Op::Unmap { id: slot } => self.end(slot),
            Op::Restore { .. } => {
                self.held.clear();
                self.live.fill(0);
            }
            _ => {}
        }
    }

    fn begin(&mut self, slot: Slot, pfn: Pfn, pages: Pages) {
        self.held.insert(slot, (pfn, pages));
        for (cell, pages) in parts(self.grid, pfn, pages) {
            self.live[cell] += pages;
        }
    }

    fn end(&mut self, slot: Slot) {
        let Some((pfn, pages)) = self.held.remove(&slot) else {
            return;
        };
        for (cell, pages) in parts(self.grid, pfn, pages) {
            self.live[cell] -= pages;
        }
    }

    fn look(&mut self, replay: &Replay) {
        let (dom, grid) = (self.dom, self.grid);
        let mut pages = vec![[0; Holder::ALL.len()]; grid.cells];
        let work = held_back::visit(replay, dom, |holder, range| {
            let holder = match holder {
                held_back::Holder::Cache => Holder::Cached,
                held_back::Holder::Queue => Holder::Queued,
            };
            for (cell, part) in grid.parts(range) {
                pages[cell][holder as usize] += part;
            }
        });
        let ranges = replay.domains()[dom.0 as usize].space().ranges();
        let mut below = ranges.used_below(grid.base);
        for (cell, (pages, &live)) in pages.iter_mut().zip(&self.live).enumerate() {
            let up_to = ranges.used_below(grid.start(cell + 1));
            share_out(pages, live, up_to.0 - below.0);
            below = up_to;
        }
        self.allowance.pay(work + LOOK_RANGES);
        if let Some(column) = self.series.newest() {
            column.merge(Column {
                looks: 1,
                pages,
                ..Column::default()
            });
        }
    }

    /// What came of it. `config` is that of the replay.
    pub fn finish(self, config: &DomainConfig, ended: Moment) -> MapRecord {
        let every = self.sampling.every.with_width(self.series.width());
        let columns = self.series.into_samples();
        let held = Holder::ALL.map(|holder| (holder, rows(self.grid, &columns, holder)));
        let somewhere = |rows: &Vec<String>| rows.iter().any(|row| row.contains(is_share));
        MapRecord {
            window: self.sampling.window(self.dom, config),
            every,
            moments: Moments::of(columns.iter().map(|it| it.begun), ended),
            base_pfn: self.grid.base.0,
            row_pages: 1 << self.grid.cell_order,
            held: held
                .into_iter()
                .filter(|(_, rows)| somewhere(rows))
                .collect(),
            refused_with_room: columns.iter().map(|it| it.refused_with_room).collect(),
            refused_without: columns.iter().map(|it| it.refused_without).collect(),
        }
    }
}

/// A holder's share of every cell, a string for each row of cells, the highest first.
fn rows(grid: Grid, columns: &[Column], holder: Holder) -> Vec<String> {
    let share_in = |cell: usize| {
        columns.iter().map(move |column| {
            let pages = column
                .pages
                .get(cell)
                .map_or(0, |pages| pages[holder as usize]);
            record::share(pages, column.looks.saturating_mul(1 << grid.cell_order))
        })
    };
    (0..grid.cells)
        .rev()
        .map(|cell| share_in(cell).collect())
        .collect()
}

fn is_share(character: char) -> bool {
    !matches!(character, '0' | '?')
}

/// What a look costs where nothing is held back, in ranges looked at.
const LOOK_RANGES: u64 = 2000;

fn parts(grid: Grid, pfn: Pfn, pages: Pages) -> impl Iterator<Item = (usize, u64)> {
    let last = pages
        .0
        .checked_sub(1)
        .map(|more| Pfn(pfn.0.saturating_add(more)));
    let range = last.and_then(|last| PfnRange::new(pfn, last));
    range.into_iter().flat_map(move |range| grid.parts(range))
}

/// Completes a cell in which what is held back is known. Where holders share pages, as after a
/// double free, no more is counted than the tree has.
fn share_out(pages: &mut [u64; Holder::ALL.len()], live: u64, used: u64) {
    let mut rest = used;
    pages[Holder::Live as usize] = live;
    for holder in [Holder::Cached, Holder::Queued, Holder::Live] {
        let held = &mut pages[holder as usize];
        *held = rest.min(*held);
        rest -= *held;
    }
    pages[Holder::Other as usize] = rest;
}

impl Merge for Column {
    fn merge(&mut self, later: Column) {
        self.looks += later.looks;
        self.refused_with_room += later.refused_with_room;
        self.refused_without += later.refused_without;
        if self.pages.is_empty() {
            self.pages = later.pages;
            return;
        }
        for (cell, later) in self.pages.iter_mut().zip(later.pages) {
            for (pages, later) in cell.iter_mut().zip(later) {
                *pages = pages.saturating_add(later);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Snapshot;
    use crate::measure::cause::Judge;
    use crate::measure::testing::{Script, fresh};
    use proptest::prelude::*;
    use std::sync::Arc;

    const LIMIT: u64 = 0xf_ffff;

    fn mapped(allocator: &str, script: &Script) -> MapRecord {
        let mut replay = fresh(allocator);
        let mut map = AddressMap::new(Sampling::default(), Dom(0), replay.config());
        for request in script.requests() {
            let answer = replay.apply(request).expect("nothing undoes this");
            let decision = Decision::of(&mut Judge::default(), &replay, request, answer);
            map.observe(&replay, request, answer, decision);
        }
        map.finish(replay.config(), script.ended())
    }

    /// The rows of a holder in which it has anything, counted from the top.
    fn taken(record: &MapRecord, holder: Holder) -> Vec<(usize, &str)> {
        let rows = record.held.get(&holder).into_iter().flatten().enumerate();
        rows.filter(|(_, row)| row.contains(is_share))
            .map(|(row, it)| (row, &**it))
            .collect()
    }

    #[test]
    fn the_holder_of_each_cell_is_told() {
        let mut script = Script::default();
        script
            .alloc(0, 0x2000, LIMIT)
            .alloc(1, 0x1000, LIMIT)
            .free(0)
            .alloc(2, 32, LIMIT);
        script.free(2);
        let record = mapped("linux-7.2", &script);
        assert_eq!((record.base_pfn, record.row_pages), (0, 0x2000));
        assert_eq!(taken(&record, Holder::Live), [(0, "ff010"), (1, "08888")]);
        assert_eq!(taken(&record, Holder::Cached), [(0, "00001")]);
        assert!(!record.held.contains_key(&Holder::Other));
    }

    #[test]
    fn what_was_restored_has_no_known_holder_and_what_lived_before_is_forgotten() {
        let range = PfnRange::new(Pfn(0xf_e000), Pfn(0xf_ffff)).expect("a range");
        let mut script = Script::default();
        script.alloc(0, 0x4000, LIMIT);
        script.ask(Op::Restore {
            snapshot: Arc::new(Snapshot {
                nodes: vec![range],
                cached32: None,
                cached: None,
                max32: Pages(1 << 20),
            }),
        });
        script.free(0).alloc(1, 0x1_0000, LIMIT).free(1);
        let record = mapped("linux-7.2", &script);
        assert_eq!(
            taken(&record, Holder::Live)[..2],
            [(0, "f0000"), (1, "f0000")]
        );
        assert_eq!(taken(&record, Holder::Other), [(0, "0ffff")]);
    }

    #[test]
    fn a_window_of_any_size_is_cut_into_as_many_cells_as_there_is_room_for() {
        let cells = |start, limit| {
            let grid = Grid::new(Pfn(start), Pfn(limit));
            (grid.base.0, 1_u64 << grid.cell_order, grid.cells)
        };
        assert_eq!(cells(1, 0xf_ffff), (0, 0x2000, 128));
        assert_eq!(cells(0x4_0000, 0xf_ffff), (0x4_0000, 0x2000, 96));
        assert_eq!(cells(7, 7), (7, 1, 1));
        assert_eq!(cells(0, u64::MAX).2, 128);
        assert_eq!(cells(9, 3), (9, 1, 1));
    }

    proptest! {
        #[test]
        fn cells_cover_the_window_and_parts_the_range(
            start in 0u64..1000,
            length in 0u64..100_000,
            lo in 0u64..100_000,
            pages in 1u64..50_000,
        ) {
            let limit = start + length;
            let grid = Grid::new(Pfn(start), Pfn(limit));
            prop_assert!(grid.cells <= 128 && (grid.cells > 63 || grid.cell_order == 0));
            prop_assert!(grid.base.0 <= start && grid.start(grid.cells).0 > limit);
            let range = PfnRange::new(Pfn(lo), Pfn(lo + pages - 1)).expect("a range");
            let mut by_page = vec![0; grid.cells];
            for pfn in lo..lo + pages {
                let cell = pfn.checked_sub(grid.base.0).map(|offset| offset >> grid.cell_order);
                if let Some(cell) = cell.and_then(|cell| by_page.get_mut(usize::try_from(cell).ok()?)) {
                    *cell += 1;
                }
            }
            let mut by_part = vec![0; grid.cells];
            grid.parts(range).for_each(|(cell, pages)| by_part[cell] += pages);
            prop_assert_eq!(by_part, by_page);
        }
    }
}
