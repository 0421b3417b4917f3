//! What each allocation of a trace got, and how it is to be freed.

use super::request::Dom;
use crate::op::Slot;
use crate::units::{Pages, Pfn};

/// The way that an allocation came by, by which it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `alloc_iova_fast`.
    Fast,
    /// `alloc_iova`.
    Direct,
    Mapped,
}

/// What a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The lowest pfn; meaningless if the request failed.
    pub pfn: Pfn,
    /// The size that the caller gives when it frees.
    pub pages: Pages,
    pub dom: Dom,
    /// The way that it came by.
    pub route: Route,
    /// Whether the request succeeded.
    pub succeeded: bool,
    /// Whether it has not been freed yet.
    pub live: bool,
}

const NEVER: Life = Life {
    pfn: Pfn(0),
    pages: Pages(0),
    dom: Dom(0),
    route: Route::Fast,
    succeeded: false,
    live: false,
};

/// The lives of a trace by slot. An ended life is remembered until its slot is used again.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    table: Vec<Life>,
}

impl Lives {
    pub fn begin(&mut self, slot: Slot, life: Life) {
        let index = slot.0 as usize;
        if self.table.len() <= index {
            self.table.resize(index + 1, NEVER);
        }
        self.table[index] = life;
    }

    /// Ends a life and gives what it was.
    pub fn end(&mut self, slot: Slot) -> Life {
        let life = &mut self.table[slot.0 as usize];
        let ended = *life;
        life.live = false;
        ended
    }

    /// A life, live or ended.
    pub fn get(&self, slot: Slot) -> Life {
        self.table.get(slot.0 as usize).copied().unwrap_or(NEVER)
    }

    /// The live allocations that succeeded.
    pub fn holding(&self) -> impl Iterator<Item = (Slot, Life)> + '_ {
        let lives = (0u32..).map(Slot).zip(self.table.iter().copied());
        lives.filter(|(_, life)| life.live && life.succeeded)
    }
}
