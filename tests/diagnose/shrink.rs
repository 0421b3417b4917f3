//! `shrink`: small, minimal, and the same bytes however it is run.

use iovasim::diagnose::Requests;
use iovasim::diagnose::predicate::Predicate;
use iovasim::diagnose::requests::Loader;
use iovasim::trace::read::Reader;

use crate::{run, trace};

const STRESS: &str = "scenarios/founding-stress.json";

fn loaded(text: String) -> Requests {
    let reader = Reader::new("shrunk", std::io::Cursor::new(text)).expect("a trace");
    let mut loader = Loader::new(reader.header());
    for event in reader {
        let (place, event) = event.expect("an event");
        loader.add(place, &event).expect("a valid event");
    }
    loader.finish()
}

/// The trace without a request and, if it is an allocation, without what frees it.
fn without(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let id = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        (value["op"].clone(), value["id"].clone())
    };
    let (op, own) = id(lines[line]);
    let begins = op == "alloc" || op == "map";
    let kept = lines.iter().enumerate().filter(|&(index, other)| {
        index == 0 || (index != line && !(begins && id(other).1 == own))
    });
    let kept: Vec<&str> = kept.map(|(_, line)| *line).collect();
    (kept.len() > 1).then(|| kept.join("\n") + "\n")
}

/// That the trace shows a predicate, and no longer does without any one of its events.
fn assert_minimal(text: &str, predicate: &str) {
    let predicate: Predicate = predicate.parse().expect("a predicate");
    let shows = |text: String| {
        let requests = loaded(text);
        let first = predicate.first(&requests.header, &requests.requests);
        first.expect("domains").is_some()
    };
    assert!(shows(text.to_owned()), "{text}");
    for line in 1..text.lines().count() {
        if let Some(smaller) = without(text, line) {
            assert!(!shows(smaller), "line {} of\n{text}", line + 1);
        }
    }
}

#[test]
fn the_founding_stress_shrinks_to_eight_events_and_the_same_bytes() {
    for seed in ["1", "7"] {
        let arguments = ["shrink", STRESS, "--seed", seed, "--keep", "fails:old,!new"];
        let one = run(&[&arguments[..], &["--jobs", "1"]].concat());
        let two = run(&[&arguments[..], &["--jobs", "2"]].concat());
        assert_eq!((one.status, &one.stdout), (Some(0), &two.stdout));
        assert_eq!(one.stderr, two.stderr);
        let events = one.stdout.lines().count() - 1;
        assert!(events <= 8, "{events} events:\n{}", one.stdout);
        assert!(one.stderr.contains("no single one of them can be left out"));
        assert_minimal(&one.stdout, "fails:old,!new");
    }
}

#[test]
fn every_predicate_keeps_what_it_names() {
    let report = "traces/mediatek-report.trace.jsonl.gz";
    for predicate in [
        "differs:old,new",
        "steps:new,20",
        "cause:new,fragmented",
        "rate:old,0.3",
    ] {
        let shrunk = run(&["shrink", report, "--keep", predicate]);
        assert_eq!(shrunk.status, Some(0), "{}", shrunk.stderr);
        assert_minimal(&shrunk.stdout, predicate);
    }
}

#[test]
fn a_budget_ends_the_search_and_is_admitted() {
    let run = run(&["shrink", STRESS, "-k", "fails:old,!new", "--budget", "3"]);
    assert_eq!(run.status, Some(0));
    assert!(
        run.stderr.contains("so fewer may do (--budget)"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_trace_that_does_not_show_it_and_a_text_that_is_no_predicate_are_errors() {
    let trace = trace("", &[r#"{"op":"alloc","id":1,"pages":1,"limit":1048575}"#]);
    let path = trace.path().to_str().expect("UTF-8");
    let cases = [
        ("fails:old", "the trace does not show `fails:old`"),
        ("fails:!old", "found no allocator that refuses"),
        ("fail:old,new", "found the unknown kind `fail`"),
        ("steps:old,many", "invalid digit"),
        ("rate:old,2", "found the share 2, expected one below 1"),
        ("cause:old,tired", "unknown name `tired`"),
    ];
    for (predicate, expected) in cases {
        let run = run(&["shrink", path, "--keep", predicate]);
        assert_eq!(run.status, Some(2), "{predicate}");
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
}
