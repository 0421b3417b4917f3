//! `explain`: the facts behind one refusal.

use serde_json::{Value, json};

use crate::{json, run, trace};

const REPORT: &str = "traces/mediatek-report.trace.jsonl.gz";

/// A full window of 3 GiB: a search fails, a large range below `cached32_node` is freed, and the
/// same request is refused.
const FOUNDING: [&str; 9] = [
    r#"{"op":"alloc","id":1,"pages":524288,"limit":1048575}"#,
    r#"{"op":"alloc","id":2,"pages":262144,"limit":1048575}"#,
    r#"{"op":"alloc","id":3,"pages":131072,"limit":1048575}"#,
    r#"{"op":"alloc","id":4,"pages":65536,"limit":1048575}"#,
    r#"{"op":"free","id":1}"#,
    r#"{"op":"alloc","id":5,"pages":524288,"limit":1048575}"#,
    r#"{"op":"alloc","id":6,"pages":131072,"limit":1048575}"#,
    r#"{"op":"free","id":3,"t":5000}"#,
    r#"{"op":"alloc","id":7,"pages":131072,"limit":1048575}"#,
];

fn one(document: &Value) -> &Value {
    &document["explanations"][0]
}

fn granting(tried: &Value) -> Vec<&str> {
    let tried = tried.as_array().expect("a list").iter();
    tried
        .filter(|it| it["verdict"]["outcome"] == "granted")
        .map(|it| it["name"].as_str().expect("a name"))
        .collect()
}

#[test]
fn the_request_that_only_old_refuses_is_the_one_that_is_explained() {
    let document = json(&["explain", REPORT]);
    assert_eq!(document["refused"].as_array().map(Vec::len), Some(8));
    let one = one(&document);
    assert_eq!(one["asked"]["event"], 312);
    assert_eq!(one["cause"], "shortcut");
    assert_eq!(one["max32"]["set"]["event"], 11);
    let freed = one["max32"]["freed_since"].as_array().expect("frees");
    let pages: u64 = freed.iter().filter_map(|it| it["pages"].as_u64()).sum();
    assert_eq!((freed.len(), pages), (300, 4943));
    let changes = granting(&one["remedies"]["changes"]);
    let expected = ["max32", "free-space-estimate", "reset-on-retry"];
    assert_eq!(changes.len(), expected.len());
    for (change, slug) in changes.iter().zip(expected) {
        assert!(change.ends_with(slug), "{change}");
    }
}

#[test]
fn every_fact_of_a_case_by_hand_is_right() {
    let trace = trace("", &FOUNDING);
    let document = json(&["explain", trace.path().to_str().expect("UTF-8")]);
    let one = one(&document);
    assert_eq!(one["asked"]["event"], 8);
    assert_eq!(one["by"], "max32");
    let space = &one["space"];
    // The anchor of the window is pfn 1: 0x10000 is free below the lowest allocation.
    assert_eq!(space["free_pages"], 131_072 + 65_535);
    assert_eq!(space["largest_gap"], 131_072);
    let room = &space["room"];
    assert_eq!(room["pfn"], 131_072);
    assert_eq!(room["last_pfn"], 262_143);
    let holder = json!({"kind": "caller", "event": 1, "nanos": 0, "device": null});
    assert_eq!(room["above"]["holder"], holder);
    assert_eq!(room["below"]["pfn"], 65_536);
    let max32 = &one["max32"];
    assert_eq!(
        (&max32["pages"], &max32["set"]["event"]),
        (&json!(131_072), &json!(6))
    );
    assert_eq!(max32["set"]["by"], "search");
    assert_eq!(max32["freed_since"][0]["event"], 7);
    assert_eq!(max32["freed_since"][0]["pfn"], 131_072);
    let groups = space["groups"].as_array().expect("groups");
    let sizes: Vec<_> = groups.iter().map(|it| it["pages"].as_u64()).collect();
    assert_eq!(sizes, [Some(524_288), Some(262_144), Some(65_536)]);
}

#[test]
fn ranges_in_rcaches_are_counted_with_the_room_that_they_would_make() {
    // The tree is full but for what the rcache of CPU 0 holds; without a flush it stays there.
    let mut events: Vec<String> = (0..16)
        .map(|id| format!(r#"{{"op":"alloc","id":{id},"pages":16,"limit":255}}"#))
        .collect();
    events.extend([0, 1, 2, 3].map(|id| format!(r#"{{"op":"free","id":{id}}}"#)));
    events.push(
        r#"{"op":"alloc","id":20,"pages":32,"limit":255,"path":"fast","flush":false}"#
            .to_owned(),
    );
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let trace = trace("", &events);
    let path = trace.path().to_str().expect("UTF-8");
    let document = json(&["explain", path, "-a", "new", "-e", "20"]);
    let one = one(&document);
    assert_eq!(one["cause"], "cached");
    let held = &one["space"]["held_back"];
    assert_eq!(held["magazines"], json!({"ranges": 4, "pages": 64}));
    assert_eq!(held["largest_aligned_without"], 64);
    let machine = granting(&one["remedies"]["machine"]);
    assert!(
        machine.contains(&"alloc_iova_fast() with flush_rcache"),
        "{machine:?}"
    );
}

#[test]
fn text_keeps_to_80_columns_and_under_40_lines_and_knows_no_aliases() {
    let text = run(&["explain", REPORT]).stdout;
    assert!(text.lines().count() < 40, "{}", text.lines().count());
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let alias = text
        .split_whitespace()
        .find(|word| *word == "old" || *word == "new");
    assert_eq!(alias, None);
}

#[test]
fn a_scenario_is_explained_under_its_own_allocators() {
    let document = json(&["explain", "scenarios/qualcomm-retry.json"]);
    assert_eq!(document["allocators"][0]["allocator"], "linux-5.10");
    assert_eq!(one(&document)["cause"], "missed");
}

#[test]
fn a_choice_that_names_no_refusal_is_an_error() {
    let cases: [(&[&str], &str); 4] = [
        (
            &["--event", "952"],
            "event 952: the trace has 952 events, numbered from 0",
        ),
        (
            &["--event", "0"],
            "event 0: linux-5.17 refused no request there, expected a refused request",
        ),
        (
            &["--domain", "3"],
            "domain 3: the trace has no such domain; it has 0",
        ),
        (
            &["--seed", "3"],
            "--seed 3: traces/mediatek-report.trace.jsonl.gz is no scenario (.json), so it has no \
             seeds",
        ),
    ];
    for (arguments, expected) in cases {
        let run = run(&[&["explain", REPORT], arguments].concat());
        assert_eq!(run.status, Some(2), "{arguments:?}");
        assert!(run.stderr.trim_end().ends_with(expected), "{}", run.stderr);
    }
}
