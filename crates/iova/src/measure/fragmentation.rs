//! What the address space of a domain looks like at a moment.

use super::cause::{self, Window};
use super::held_back;
use crate::kernel::Domain;
use crate::kernel::DomainConfig;
use crate::replay::{Dom, Replay};
use crate::units::{Pages, Pfn};

/// The window of a domain up to a limit, at a moment. All sizes count what lies from
/// `start_pfn` to the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pages in ranges that somebody holds: live, reserved or restored.
    pub used: Pages,
    /// Pages in magazines and depots.
    pub cached: Pages,
    /// Pages in flush queues.
    pub queued: Pages,
    /// Pages in no range.
    pub free: Pages,
    /// Pages in ranges outside of the window.
    pub outside: Pages,
    /// Gaps of the whole space, also outside of the window.
    pub gaps: u64,
    pub largest_gap: Pages,
    /// The largest power of two that would find an aligned place.
    pub largest_block: Pages,
    /// The largest aligned request that would find a place.
    pub largest_request: Pages,
    /// What the allocator believes: no 32-bit request of this size or more can succeed.
    pub max32: Option<Pages>,
}

impl Shape {
    /// External fragmentation, 1 − largest gap / free pages, in parts per million; none where
    /// nothing is free.
    pub fn fragmentation_ppm(&self) -> Option<u32> {
        let free = u128::from(self.free.0);
        let scattered = u128::from(self.free.0 - self.largest_gap.0.min(self.free.0));
        let ppm = (scattered * 1_000_000).checked_div(free)?;
        u32::try_from(ppm).ok()
    }
}

/// Looks at a domain's window from `start_pfn` to `limit` (inclusive).
///
/// Costs O(log n), and O(log n) for each range that is held back.
pub fn look(config: &DomainConfig, domain: &Domain, limit: Pfn) -> Shape {
    let ranges = domain.space().ranges();
    let window = Window::new(config.start_pfn(), limit);
    let cached = window.pages_of(ranges, &cause::cached(domain));
    let queued = window.pages_of(ranges, &cause::queued(domain));
    shape(config, domain, limit, [cached, queued])
}

/// The same of a domain of a replay, and how many ranges' worth of looking it took. Where every
/// range has one holder, a range that is held back costs little more than its place in memory.
pub(super) fn look_quickly(replay: &Replay, dom: Dom, limit: Pfn) -> (Shape, u64) {
    let config = replay.config();
    let window = Window::new(config.start_pfn(), limit);
    let mut pages = [Pages(0); 2];
    let work = held_back::visit(replay, dom, |holder, range| {
        let held = &mut pages[holder as usize];
        *held = Pages(held.0 + window.part_of(range).0);
    });
    let domain = &replay.domains()[dom.0 as usize];
    (shape(config, domain, limit, pages), LOOK_RANGES + work)
}

/// What a look costs where nothing is held back, in ranges looked at.
const LOOK_RANGES: u64 = 250;

fn shape(config: &DomainConfig, domain: &Domain, limit: Pfn, held: [Pages; 2]) -> Shape {
    let [cached, queued] = held;
    let space = domain.space();
    let ranges = space.ranges();
    let window = Window::new(config.start_pfn(), limit);
    let used = window.used(ranges);
    let largest = space.largest(limit);
    let order = largest.aligned.0.checked_ilog2();
    Shape {
        used: Pages(used.0.saturating_sub(cached.0).saturating_sub(queued.0)),
        cached,
        queued,
        free: Pages(window.pages().0 - used.0),
        outside: Pages(ranges.used_below(Pfn::ANCHOR).0 - used.0),
        gaps: ranges.gaps(),
        largest_gap: largest.any,
        largest_block: Pages(order.map_or(0, |order| 1 << order)),
        largest_request: largest.aligned,
        max32: space.state().max32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::machine::Machine;
    use crate::kernel::{Allocator, DomainOptions};
    use crate::units::Cpu;

    #[test]
    fn a_window_of_16_pages_is_measured_by_hand() {
        let allocator: Allocator = "linux-7.2".parse().expect("a release");
        let config = DomainConfig::new(
            &allocator,
            DomainOptions {
                start_pfn: Pfn(16),
                ..DomainOptions::default()
            },
        )
        .expect("a domain");
        let (mut machine, mut domain) = (Machine::new(1), Domain::new(0, &config));
        let limit = Pfn(31);
        let mut alloc =
            |pages| domain.alloc_iova_fast(&mut machine, Cpu(0), Pages(pages), limit, true);
        let placed = [1, 4, 2].map(|pages| alloc(pages).result.expect("room").0);
        assert_eq!(placed, [31, 24, 22]);
        domain.free_iova_fast(&mut machine, Cpu(0), Pfn(22), Pages(2));
        let shape = look(&config, &domain, limit);
        let expected = Shape {
            used: Pages(5),
            cached: Pages(2),
            queued: Pages(0),
            free: Pages(9),
            outside: Pages(0),
            gaps: 3,
            largest_gap: Pages(6),
            largest_block: Pages(4),
            largest_request: Pages(6),
            max32: Some(Pages(1 << 20)),
        };
        assert_eq!(shape, expected);
        assert_eq!(shape.fragmentation_ppm(), Some(333_333));
    }
}
