//! The forms of reports: by the name of the file, or as `--format` says.

use std::fs;

use serde_json::Value;

use crate::support::{Folder, run};

const TRACE: &str = "traces/founding-state.trace.jsonl";
const STRESS: &str = "scenarios/founding-stress.json";

#[test]
fn the_name_of_the_file_says_the_form() {
    let folder = Folder::new();
    let text = run(&["replay", TRACE]).stdout;
    let written = |name: &str, more: &[&str]| {
        let path = folder.path(name);
        let path = path.to_str().expect("UTF-8");
        let run = run(&[&["replay", TRACE, "-o", path], more].concat());
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{name}");
        assert_eq!(
            run.stdout, text,
            "{name}: standard output has the text as well"
        );
        fs::read(path).expect("a report")
    };
    assert_eq!(written("a.txt", &[]), text.as_bytes());
    let json = written("a.json", &[]);
    let document: Value = serde_json::from_slice(&json).expect("one value");
    assert_eq!(document["iovasim"], "result");
    assert_eq!(written("any.name", &["--format", "json"]), json);
    assert_eq!(&written("a.json.zst", &[])[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(&written("a.json.gz", &[])[..2], [0x1f, 0x8b]);
    assert!(written("a.md", &[]).starts_with(b"### traces/founding"));
    assert!(written("a.CSV", &[]).starts_with(b"name,allocator,seed,events,allocs,"));
}

#[test]
fn a_name_that_says_no_form_is_refused_before_any_work() {
    for command in ["run", "replay", "stats"] {
        let refused = run(&[command, "missing", "-o", "report.html"]);
        assert_eq!((refused.status, refused.stdout.as_str()), (2, ""));
        let problem = "-o report.html: the name does not say the format; expected .txt, ";
        assert!(refused.stderr.contains(problem), "{}", refused.stderr);
    }
}

#[test]
fn a_line_of_csv_is_a_run() {
    let csv = run(&[
        "run",
        STRESS,
        "--seeds",
        "2",
        "-a",
        "old,maple-2026",
        "--format",
        "csv",
    ]);
    let mut lines = csv
        .stdout
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let headings = lines.next().expect("headings");
    let steps = headings
        .iter()
        .position(|it| *it == "steps.p50")
        .expect("a metric");
    let lines: Vec<_> = lines.collect();
    let runs: Vec<_> = lines
        .iter()
        .map(|line| (line[0], line[1], line[2]))
        .collect();
    let name = "founding-stress";
    let expected = [
        (name, "old", "1"),
        (name, "old", "2"),
        (name, "maple-2026", "1"),
        (name, "maple-2026", "2"),
    ];
    assert_eq!(runs, expected);
    assert!(lines.iter().all(|line| line.len() == headings.len()));
    assert_ne!(lines[0][steps], "");
    assert_eq!(lines[2][steps], "", "what is unknown is empty");
}

#[test]
fn markdown_has_the_tables_of_the_text() {
    let page = run(&[
        "run", STRESS, "--seeds", "2", "-a", "old,new", "--tables", "all", "--format",
        "markdown",
    ]);
    let tables = page
        .stdout
        .lines()
        .filter(|line| line.starts_with("| --- |"))
        .count();
    assert!(tables >= 4, "{}", page.stdout);
    assert!(page.stdout.contains("| old | "), "{}", page.stdout);
}

#[test]
fn replays_are_compared_and_drawn_as_runs_are() {
    let folder = Folder::new();
    let path = folder.path("replay.json.zst");
    let path = path.to_str().expect("UTF-8");
    run(&["replay", TRACE, "-a", "old,new,linux-7.2", "-o", path]);
    let compared = run(&["compare", path, "--allocators", "new,old"]);
    assert_eq!((compared.status, compared.stderr.as_str()), (1, ""));
    let closer = format!("look closer:\n  iovasim replay -a new,old {TRACE}\n");
    assert!(compared.stdout.contains(&closer), "{}", compared.stdout);
    let same = run(&["compare", path, path]);
    assert!(same.stdout.starts_with("equal"), "{}", same.stdout);
    let charts = folder.path("charts");
    let charts = charts.to_str().expect("UTF-8");
    let drawn = run(&["plot", path, "-o", charts, "--chart", "search-cost"]);
    assert_eq!((drawn.status, drawn.stderr.as_str()), (0, ""));
}
