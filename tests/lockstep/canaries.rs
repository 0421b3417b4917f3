//! Every mistake that the naive model can make is noticed: else the comparison is blind to it.

use crate::compare::compare;
use crate::generate::random_trace;
use crate::naive::bug::Bug;
use crate::shrink::shrink;
use crate::trace::valid;

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

#[test]
fn what_is_noticed_shrinks_to_a_few_requests() {
    let allocator = "linux-7.2".parse().expect("the name of an allocator");
    for bug in [Bug::Max32NeverReset, Bug::TakeShifts, Bug::DeviceForgets] {
        let shrunk = (0..SEEDS).find_map(|seed| {
            let trace = random_trace(seed, 200);
            let world = trace.world(&allocator, Some(bug));
            let difference = compare(&world, &trace.requests).err()?;
            let (requests, _) = shrink(&world, &trace.requests, difference);
            assert!(compare(&world, &requests).is_err(), "{bug:?} still shows");
            assert_eq!(
                valid(&requests, trace.cpus),
                requests,
                "{bug:?}: a valid trace"
            );
            Some(requests.len())
        });
        assert!(
            shrunk.is_some_and(|requests| requests <= 12),
            "{bug:?}: {shrunk:?}"
        );
    }
}
