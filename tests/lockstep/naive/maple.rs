//! The design of 2026: no red-black tree, hence no anchor, no walk, and no cached positions.

use iova::kernel::Refusal;
use iova::kernel::Snapshot;

use super::bug::Bug;
use super::tree::Tried;

#[derive(Clone, Debug)]
pub(crate) struct Maple {
    bug: Option<Bug>,
    start_pfn: u64,
    dma32: u64,
    max32: u64,
    /// Ascending and disjoint; both ends included.
    ranges: Vec<(u64, u64)>,
}

impl Maple {
    pub(crate) fn new(start_pfn: u64, dma32: u64, bug: Option<Bug>) -> Maple {
        Maple {
            bug,
            start_pfn,
            dma32,
            max32: dma32,
            ranges: Vec::new(),
        }
    }

    pub(crate) fn alloc(&mut self, size: u64, limit_pfn: u64, alignment: u64) -> Tried {
        let limit = limit_pfn.wrapping_add(1);
        let is_32bit = limit <= self.dma32;
        if is_32bit && size >= self.max32 {
            return Tried::without_search(Err(Refusal::Shortcut));
        }
        let Some(lo) = self.place(size, limit, alignment) else {
            if is_32bit {
                self.max32 = size;
            }
            return Tried::without_search(Err(Refusal::NoPlace));
        };
        self.insert_reserved(lo, lo + (size - 1));
        Tried::without_search(Ok(lo))
    }

    /// A place in the topmost gap that is long enough wherever the alignment falls. More than 64
    /// bits hold every number here, also the limit that wrapped to 0 and stands for no limit.
    fn place(&self, size: u64, limit: u64, alignment: u64) -> Option<u64> {
        const ALL: u128 = 1 << 64;
        let no_limit = limit == 0;
        let limit = if no_limit { ALL } else { u128::from(limit) };
        let (size, alignment) = (u128::from(size), u128::from(alignment));

        let ends = self
            .ranges
            .iter()
            .map(|&(lo, _)| u128::from(lo))
            .chain([ALL]);
        let begins = self.ranges.iter().map(|&(_, hi)| u128::from(hi) + 1);
        let begins = [0].into_iter().chain(begins);
        let gaps: Vec<(u128, u128)> = begins.zip(ends).collect();
        for &(begin, end) in gaps.iter().rev() {
            let passed_over = no_limit && begin == 0 && !self.ranges.is_empty();
            let begin = begin.max(u128::from(self.start_pfn));
            let end = end.min(limit);
            let width = match self.bug {
                Some(Bug::MapleFitsTightly) => size,
                _ => size + alignment - 1,
            };
            if begin + width <= end && !passed_over {
                let place = (end - size) / alignment * alignment;
                return Some(u64::try_from(place).expect("it is below 2^64"));
            }
        }
        None
    }

    pub(crate) fn free(&mut self, pfn: u64) {
        let contains = |&(lo, hi): &(u64, u64)| lo <= pfn && pfn <= hi;
        if let Some(at) = self.ranges.iter().position(contains) {
            let (lo, _) = self.ranges.remove(at);
            if lo < self.dma32 {
                self.reset_max32();
            }
        }
    }

    pub(crate) fn reset_max32(&mut self) {
        self.max32 = self.dma32;
    }

    /// Merges the ranges that `[lo, hi]` overlaps with it; where there are none, it is left to be
    /// inserted.
    pub(crate) fn merge_over(&mut self, lo: u64, hi: u64) -> Option<(u64, u64)> {
        let overlaps = |range: &mut (u64, u64)| range.0 <= hi && lo <= range.1;
        let overlapped: Vec<(u64, u64)> = self.ranges.extract_if(.., overlaps).collect();
        let (Some(&(lowest, _)), Some(&(_, highest))) = (overlapped.first(), overlapped.last())
        else {
            return Some((lo, hi));
        };
        self.insert_reserved(lo.min(lowest), hi.max(highest));
        None
    }

    pub(crate) fn insert_reserved(&mut self, lo: u64, hi: u64) {
        self.ranges.push((lo, hi));
        self.ranges.sort_unstable();
    }

    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        let nodes = snapshot.nodes.iter();
        self.ranges = nodes.map(|node| (node.lo().0, node.hi().0)).collect();
        self.max32 = snapshot.max32.0;
    }

    pub(crate) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }
}
