//! The window that samples and charts show: of the domain and the limits that requests have.

use std::fmt::Write;

use serde_json::Value;

use crate::support::{Folder, run};

/// A device with a 1 GiB window, and one with 39 bits under `forcedac`.
const GIB_1: (&str, &str, u64) = ("", r#""op":"alloc","pages":16,"limit":262143"#, 262_143);
const DAC_39: (&str, &str, u64) = (
    r#","forcedac":true"#,
    r#""op":"map","bytes":65536,"mask":549755813887,"pci":true"#,
    (1 << 27) - 1,
);

fn trace((header, request, _): (&str, &str, u64)) -> String {
    let mut text = format!("{{\"iovasim\":\"trace\",\"version\":1{header}}}\n");
    for id in 0..100 {
        let _ = writeln!(text, "{{\"id\":{id},{request}}}");
    }
    text
}

#[test]
fn samples_show_the_limit_of_most_requests() {
    let folder = Folder::new();
    for window in [GIB_1, DAC_39] {
        let file = folder.file("a.trace.jsonl", trace(window));
        for (option, limit) in [(None, window.2), (Some("--sample-limit=5000"), 5000)] {
            let mut arguments = vec!["replay", &file, "-a", "linux-7.2", "--sample"];
            arguments.extend(option);
            arguments.extend(["--format", "json"]);
            let run = run(&arguments);
            assert_eq!(run.status, 0, "{}", run.stderr);
            let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
            let sampled = &document["results"][0]["runs"][0]["sampled"];
            assert_eq!(sampled["timeline"]["window"]["limit_pfn"], limit);
            assert_eq!(sampled["map"]["window"]["limit_pfn"], limit);
        }
    }
}

#[test]
fn charts_name_their_window() {
    let folder = Folder::new();
    let file = folder.file("a.trace.jsonl", trace(GIB_1));
    let charts = folder.path("charts");
    let charts = charts.to_str().expect("UTF-8");
    for (limit, named) in [
        (None, "addresses below 1 GiB"),
        (Some("0xffff"), "addresses below 256 MiB"),
    ] {
        let mut arguments = vec!["plot", &file, "-o", charts, "--chart", "fragmentation"];
        arguments.extend(limit.map(|_| "--sample-limit"));
        arguments.extend(limit);
        let run = run(&arguments);
        assert_eq!(run.status, 0, "{}", run.stderr);
        let chart = folder.path("charts/a-fragmentation.svg");
        let chart = std::fs::read_to_string(chart).expect("a chart");
        assert!(chart.contains(named));
    }
}

#[test]
fn a_chart_of_releases_is_drawn_where_all_are_there() {
    let folder = Folder::new();
    let file = folder.file("a.trace.jsonl", trace(GIB_1));
    let charts = folder.path("charts");
    let charts = charts.to_str().expect("UTF-8");
    let three = run(&[
        "plot",
        &file,
        "-o",
        charts,
        "-a",
        "linux-5.10,linux-6.1,linux-7.2",
    ]);
    let expected = "iovasim: a: no releases: needs every release: --allocator all\n";
    assert_eq!((three.status, three.stderr.as_str()), (0, expected));
    let all = run(&["plot", &file, "-o", charts, "-a", "all"]);
    assert_eq!((all.status, all.stderr.as_str()), (0, ""));
    assert!(folder.path("charts/a-releases.svg").is_file());
}
