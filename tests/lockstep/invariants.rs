//! Every range of a tree has one holder: a live allocation, a cache entry, a flush-queue entry,
//! or a reservation.
//!
//! This holds as long as nobody frees twice, frees by pfn, or restores another state over live
//! allocations, so these are left out of the random traces here; and not in the maple tree, where
//! a reservation merges what it overlaps.

use std::collections::BTreeSet;

use iova::kernel::Domain;
use iova::op::Op;
use iova::replay::{Dom, Replay, Request, Slot};
use iova::units::PfnRange;

use crate::compare::World;
use crate::generate::random_trace;
use crate::random_traces::allocators;
use crate::trace::valid;

fn keeps_holders(op: &Op<Slot>) -> bool {
    !matches!(
        op,
        Op::DoubleFree { .. } | Op::FreePfn { .. } | Op::Restore { .. }
    )
}

/// The pfns by which the ranges of a domain are held; twice the same is an error.
fn holders(replay: &Replay, dom: Dom, domain: &Domain) -> Result<BTreeSet<u64>, String> {
    let lives = replay.allocations().held().filter(|(_, it)| it.dom == dom);
    let live = lives.map(|(_, life)| life.pfn);
    let caches = domain.rcache();
    let spare = caches
        .in_magazines()
        .chain(caches.in_depots())
        .map(|(_, pfn)| pfn);
    let queued = domain.queued().map(|entry| entry.pfn);
    let mut holders = BTreeSet::new();
    for pfn in live.chain(spare).chain(queued) {
        if !holders.insert(pfn.0) {
            return Err(format!("{pfn} has two holders"));
        }
    }
    Ok(holders)
}

/// Checks one domain of a replay; `reserved` is what was reserved in it.
fn check(
    replay: &Replay,
    dom: Dom,
    domain: &Domain,
    reserved: &[PfnRange],
) -> Result<(), String> {
    let mut holders = holders(replay, dom, domain)?;
    let set = domain.space().ranges();
    for id in set
        .iter()
        .take(usize::try_from(set.len()).expect("there are few"))
    {
        let (lo, hi) = (set.lo(id), set.hi(id));
        let held_by: Vec<u64> = holders.range(lo.0..=hi.0).copied().collect();
        match held_by[..] {
            [holder] => {
                holders.remove(&holder);
            }
            // The fast path takes pfn 0 for failure, and nobody will free it.
            [] if lo.0 == 0 => {}
            [] if reserved.iter().any(|it| it.lo() <= hi && hi <= it.hi()) => {}
            [] => return Err(format!("nobody holds {lo}-{hi}")),
            _ => return Err(format!("several hold {lo}-{hi}: {held_by:?}")),
        }
    }
    if holders.is_empty() {
        Ok(())
    } else {
        Err(format!("in no range: {holders:?}"))
    }
}

/// Replays requests and checks all domains after each. Gives how many ranges were looked at.
fn check_replay(world: &World, requests: &[Request]) -> Result<u64, String> {
    let mut replay = Replay::new(world.config, world.cpus);
    let mut reserved: Vec<Vec<PfnRange>> = Vec::new();
    let mut checked = 0;
    for (event, request) in requests.iter().enumerate() {
        if replay.apply(request).is_err() {
            break;
        }
        reserved.resize(replay.domains().len(), Vec::new());
        if let Op::Reserve { range } = request.op {
            reserved[request.dom.0 as usize].push(range);
        }
        for (dom, domain) in (0..).map(Dom).zip(replay.domains()) {
            check(&replay, dom, domain, &reserved[dom.0 as usize])
                .map_err(|what| format!("event {event}, {dom:?}: {what}"))?;
            checked += domain.space().ranges().len();
        }
    }
    Ok(checked)
}

#[test]
fn every_range_has_one_holder() {
    let mut allocators = allocators();
    allocators.retain(|allocator| allocator.rules().design() != "maple-2026");
    let mut checked = 0;
    for seed in 0..60 {
        let trace = random_trace(seed, 300);
        let kept = trace.requests.iter().filter(|it| keeps_holders(&it.op));
        let requests = valid(&kept.cloned().collect::<Vec<_>>(), trace.cpus);
        for allocator in &allocators {
            match check_replay(&trace.world(allocator, None), &requests) {
                Ok(ranges) => checked += ranges,
                Err(what) => panic!("seed {seed}, {allocator}, {what}"),
            }
        }
    }
    assert!(checked > 1_000_000, "{checked}");
}
