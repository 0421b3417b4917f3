//! The benches' traffic at a small size: what it comes to is known, so that a bench cannot
//! time something else than it says.

#[path = "../benches/traffic/mod.rs"]
mod traffic;

use iova::kernel::{Allocator, DomainConfig, DomainOptions};
use iova::replay::Replay;
use traffic::Kind;

#[test]
fn each_kind_of_traffic_costs_the_steps_that_it_is_made_for() {
    let allocator: Allocator = "linux-7.2".parse().expect("a release");
    let mut lines = Vec::new();
    for kind in [
        Kind::Ring,
        Kind::Large,
        Kind::Large32,
        Kind::Worst,
        Kind::Spread,
    ] {
        let live = 2000;
        let config = DomainConfig::new(
            &allocator,
            DomainOptions {
                start_pfn: traffic::start_pfn(kind, live as u64),
                ..DomainOptions::default()
            },
        )
        .expect("a domain");
        let (fill, requests) = traffic::requests(kind, live, 10_000);
        let mut replay = Replay::new(config, 4);
        for request in &fill {
            replay.apply(request).expect("nothing aborted");
        }
        let (mut steps, mut failures) = (0, 0);
        for request in &requests {
            if let Some(answer) = replay.apply(request).expect("nothing aborted") {
                steps += answer.steps;
                failures += u64::from(answer.result.is_err());
            }
        }
        let ranges = replay.domains()[0].state().ranges;
        lines.push(format!(
            "{kind:?}: {steps} steps, {failures} failures, {ranges} ranges"
        ));
    }
    let expected = [
        "Ring: 161 steps, 0 failures, 2161 ranges",
        "Large: 1070790 steps, 0 failures, 2025 ranges",
        "Large32: 999888 steps, 0 failures, 2121 ranges",
        "Worst: 1648414 steps, 0 failures, 2000 ranges",
        "Spread: 1111444 steps, 0 failures, 2170 ranges",
    ];
    assert_eq!(lines, expected);
}
