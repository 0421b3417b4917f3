//! Every mistake that the naive model can make is noticed: else the comparison is blind to it.

use crate::compare::compare;
use crate::generate::random_trace;
use crate::naive::bug::Bug;

/// A mistake, an allocator in which it shows, and how long traces have to be for it.
const CANARIES: [(Bug, &str, usize); 25] = [
    (Bug::ShortcutAboveMax32, "linux-7.2", 200),
    (Bug::BorderIs64Bit, "linux-7.2", 200),
    (Bug::BorderIs32Bit, "linux-7.2", 200),
    (Bug::CandidateMayTouch, "linux-7.2", 200),
    (Bug::ResumeOffByOne, "linux-7.2", 200),
    (Bug::SuccessorIsCached, "linux-7.2", 200),
    (Bug::FreeStrictlyAbove, "linux-5.1", 200),
    (Bug::Max32NeverReset, "linux-7.2", 200),
    (Bug::ReserveLosesRest, "linux-7.2", 200),
    (Bug::DepotFirstInFirstOut, "linux-7.2", 3000),
    (Bug::TakeShifts, "linux-7.2", 200),
    (Bug::MagazineOneMore, "linux-7.2", 1200),
    (Bug::DrainFromTheTop, "linux-4.20", 200),
    (Bug::FlushForgetsPrev, "linux-7.2", 1200),
    (Bug::FlushForgetsDepots, "linux-7.2", 1200),
    (Bug::ReclaimOneMore, "linux-7.2", 1200),
    (Bug::ReclaimFromEvent, "linux-7.2", 1200),
    (Bug::ReclaimNotPending, "linux-7.2", 1200),
    (Bug::RingOneMore, "linux-7.2", 1200),
    (Bug::TimerOnFirstCpu, "linux-7.2", 200),
    (Bug::FullRingKeeps, "linux-7.2", 1200),
    (Bug::DeviceForgets, "linux-7.2", 200),
    (Bug::LastOfEquals, "best-fit", 200),
    (Bug::MapleFitsTightly, "maple-2026", 200),
    (Bug::NoMemForEver, "linux-7.2", 200),
];

/// In how many seeds a mistake must show.
const SEEDS: u64 = 1000;

#[test]
fn every_mistake_is_noticed() {
    for (bug, allocator, length) in CANARIES {
        let allocator = allocator.parse().expect("the name of an allocator");
        let noticed = (0..SEEDS).any(|seed| {
            let trace = random_trace(seed, length);
            let world = trace.world(&allocator, Some(bug));
            let compared = compare(&world, &trace.requests);
            compared.is_err_and(|difference| !difference.is_panic())
        });
        assert!(noticed, "{bug:?} goes unnoticed");
    }
}
