//! Injected failures of the kernel's own memory allocations.

use super::config::Memory;

/// How many memory allocations of each kind are still to fail. They count for all domains.
#[derive(Clone, Debug, Default)]
pub struct Shortage {
    iova: u64,
    magazine: u64,
}

impl Shortage {
    /// Lets `count` more allocations of a kind fail.
    pub fn add(&mut self, what: Memory, count: u64) {
        let left = self.left(what);
        *left = left.saturating_add(count);
    }

    /// Whether an allocation of this kind fails now; takes one from the count if so.
    pub fn strikes(&mut self, what: Memory) -> bool {
        let left = self.left(what);
        let strikes = *left > 0;
        *left -= u64::from(strikes);
        strikes
    }

    fn left(&mut self, what: Memory) -> &mut u64 {
        match what {
            Memory::Iova => &mut self.iova,
            Memory::Magazine => &mut self.magazine,
        }
    }
}
