//! `bisect`: the change that makes the difference, and the smallest traces that show each.

use serde_json::json;

use crate::{json, run};

const REPORT: &str = "traces/mediatek-report.trace.jsonl.gz";

#[test]
fn the_founding_change_alone_is_enough_and_needed() {
    let document = json(&["bisect", REPORT]);
    let steps = document["steps"].as_array().expect("steps");
    let found: Vec<_> = steps
        .iter()
        .map(|step| (&step["to"], &step["smallest"]))
        .collect();
    assert_eq!(
        found,
        [
            (&json!("linux-4.20"), &json!([["max32"]])),
            (&json!("linux-5.18"), &json!([["free-space-estimate"]])),
        ]
    );
    let change = &steps[1]["changes"][0];
    assert_eq!(
        (&change["enough"], &change["needed"]),
        (&json!(true), &json!(true))
    );
}

#[test]
fn between_two_allocators_the_smallest_sets_are_found() {
    let arguments = [
        "bisect",
        "scenarios/camera.json",
        "--good",
        "linux-7.2",
        "--bad",
        "linux-5.10",
    ];
    let document = json(&[&arguments[..], &["--keep", "cause:@,shortcut"]].concat());
    let step = &document["steps"][0];
    assert_eq!(step["shown_after"], true);
    assert!(
        step["smallest"]
            .as_array()
            .is_some_and(|sets| !sets.is_empty())
    );
}

#[test]
fn a_predicate_without_a_place_for_the_allocator_is_an_error() {
    let run = run(&["bisect", REPORT, "--keep", "fails:old"]);
    assert_eq!(run.status, Some(2));
    let expected = "expected `@` where an allocator is tried";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}
