//! What a replayed event costs, reading apart: requests are made ahead, and each run begins
//! with a domain in which the live ranges are already there.
//!
//! `cargo test` runs every bench once, a hundredth of the size: with its assertions on.

mod traffic;

use divan::Bencher;
use divan::counter::ItemsCount;
use iova::kernel::{Allocator, DomainConfig, DomainOptions};
use iova::replay::{Replay, Request};
use iova::units::Pfn;
use traffic::Kind;

fn main() {
    divan::main();
}

/// How many live ranges and events, at full size.
const fn size(full: usize) -> usize {
    if cfg!(debug_assertions) {
        full / 100
    } else {
        full
    }
}

fn fresh(start_pfn: Pfn) -> Replay {
    let allocator: Allocator = "linux-7.2".parse().expect("a release");
    let config = DomainConfig::new(
        &allocator,
        DomainOptions {
            start_pfn,
            ..DomainOptions::default()
        },
    )
    .expect("a domain");
    Replay::new(config, 4)
}

/// Applies all requests; gives the steps, so that a run can be checked and is not idle.
fn run(replay: &mut Replay, requests: &[Request]) -> u64 {
    let answers = requests.iter().map(|request| replay.apply(request));
    answers
        .map(|answer| answer.expect("nothing aborted").map_or(0, |it| it.steps))
        .sum()
}

fn bench(bencher: Bencher<'_, '_>, kind: Kind, live: usize, events: usize) {
    let (fill, requests) = traffic::requests(kind, live, events);
    let mut filled = fresh(traffic::start_pfn(kind, live as u64));
    run(&mut filled, &fill);
    let steps = run(&mut filled.clone(), &requests);
    bencher
        .counter(ItemsCount::new(requests.len()))
        .with_inputs(|| filled.clone())
        .bench_refs(|replay| assert_eq!(run(replay, &requests), steps));
}

#[divan::bench]
fn ring(bencher: Bencher<'_, '_>) {
    bench(bencher, Kind::Ring, 4096, size(400_000));
}

#[divan::bench]
fn large(bencher: Bencher<'_, '_>) {
    bench(bencher, Kind::Large, 2000, size(300_000));
}

#[divan::bench]
fn large32(bencher: Bencher<'_, '_>) {
    bench(bencher, Kind::Large32, 2000, size(300_000));
}

#[divan::bench]
fn worst(bencher: Bencher<'_, '_>) {
    bench(bencher, Kind::Worst, size(200_000), size(100_000));
}

/// A space that fills up from the top, one step an insertion.
#[divan::bench(args = [1_000, 100_000, 1_000_000], sample_count = 10)]
fn filling(bencher: Bencher<'_, '_>, live: usize) {
    let live = size(live);
    let (fill, _) = traffic::requests(Kind::Spread, live, 0);
    let start_pfn = traffic::start_pfn(Kind::Spread, live as u64);
    bencher
        .counter(ItemsCount::new(fill.len()))
        .with_inputs(|| fresh(start_pfn))
        .bench_refs(|replay| run(replay, &fill));
}

/// How the cost of an event grows with the number of live ranges.
#[divan::bench(args = [1_000, 10_000, 100_000, 1_000_000, 10_000_000], sample_count = 10)]
fn growth(bencher: Bencher<'_, '_>, live: usize) {
    bench(bencher, Kind::Spread, size(live), size(100_000));
}
