//! The allocations of a trace: the range that each got, and how it is to be freed.

use super::request::Dom;
use crate::op::Slot;
use crate::units::{Pages, Pfn};

/// The functions that an allocation goes through: it is freed on the level that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `alloc_iova_fast()` and `free_iova_fast()`.
    Fast,
    /// `alloc_iova()` and `__free_iova()`.
    Direct,
    /// The DMA layer.
    Mapped,
}

/// A request for addresses and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The lowest pfn; meaningless if the request failed.
    pub pfn: Pfn,
    /// The size that the caller gives when it frees.
    pub pages: Pages,
    pub dom: Dom,
    pub route: Route,
    /// Whether the request succeeded.
    pub succeeded: bool,
    /// Whether it has not been freed yet.
    pub live: bool,
}

const NEVER: Allocation = Allocation {
    pfn: Pfn(0),
    pages: Pages(0),
    dom: Dom(0),
    route: Route::Fast,
    succeeded: false,
    live: false,
};

/// The allocations of a trace by slot. A freed one is remembered until its slot is used again.
#[derive(Clone, Debug, Default)]
pub struct AllocationTable {
    table: Vec<Allocation>,
}

impl AllocationTable {
    pub fn alloc(&mut self, slot: Slot, allocation: Allocation) {
        let index = slot.0 as usize;
        if self.table.len() <= index {
            if self.table.capacity() <= index {
                // By a quarter, so that an allocation costs 30 bytes at the most.
                let more = index + 1 - self.table.len() + self.table.len() / 4;
                self.table.reserve_exact(more);
            }
            self.table.resize(index + 1, NEVER);
        }
        self.table[index] = allocation;
    }

    /// Frees an allocation and gives it as it was.
    pub fn free(&mut self, slot: Slot) -> Allocation {
        let allocation = &mut self.table[slot.0 as usize];
        let freed = *allocation;
        allocation.live = false;
        freed
    }

    /// An allocation, live or freed.
    pub fn get(&self, slot: Slot) -> Allocation {
        self.table.get(slot.0 as usize).copied().unwrap_or(NEVER)
    }

    /// The live allocations that succeeded.
    pub fn held(&self) -> impl Iterator<Item = (Slot, Allocation)> + '_ {
        let allocations = (0u32..).map(Slot).zip(self.table.iter().copied());
        allocations.filter(|(_, allocation)| allocation.live && allocation.succeeded)
    }
}
