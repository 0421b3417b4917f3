//! `run` and `generate` as a user runs them.

use std::fs;

use serde_json::Value;

use crate::support::{Folder, run, run_with_input};

const FOUNDING: &str = "scenarios/mediatek-report.json";
const STRESS: &str = "scenarios/founding-stress.json";

fn document(text: &str) -> Value {
    serde_json::from_str(text).expect("a document")
}

#[test]
fn the_main_job_says_what_the_change_did() {
    let run = run(&["run", FOUNDING]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    let text = words.join(" ");
    assert!(
        text.contains("old refused 3 requests that new granted"),
        "{text}"
    );
    assert!(text.contains("all of 4 expectations hold"), "{text}");
}

#[test]
fn the_result_does_not_depend_on_the_number_of_jobs() {
    let folder = Folder::new();
    let result = |jobs: &str| {
        let file = folder.path(&format!("{jobs}.json"));
        let file = file.to_str().expect("UTF-8");
        let run = run(&["run", STRESS, FOUNDING, "-j", jobs, "-o", file]);
        (run.stdout, fs::read(file).expect("a result"))
    };
    let alone = result("1");
    assert!(alone == result("2"), "two jobs change something");
    assert!(alone == result("61"), "sixty-one jobs change something");
}

#[test]
fn the_result_has_what_others_rely_on() {
    let run = run(&["run", STRESS, "--format", "json", "--seeds", "3"]);
    let document = document(&run.stdout);
    assert_eq!(document["iovasim"], "result");
    assert_eq!(document["version"], 2);
    let result = &document["results"][0];
    assert_eq!(result["file"], STRESS);
    assert_eq!(result["subject"]["scenario"]["name"], "founding-stress");
    let row = &result["rows"][1];
    assert_eq!(row["allocator"], "new");
    assert_eq!(row["runs"], 3);
    let interval = row["failure_rate_ci95"].as_array().expect("an interval");
    let rate = row["failure_rate"].as_f64().expect("a rate");
    assert!(interval[0].as_f64() < Some(rate) && Some(rate) < interval[1].as_f64());
    for figure in iova::measure::METRICS.iter().map(|it| it.path) {
        let mut steps = figure.split('.');
        let value = steps.try_fold(row, |value, step| value.get(step));
        assert!(value.is_some(), "{figure}");
    }
    assert_eq!(row["against_first"]["seen"], true);
    assert_eq!(result["runs"].as_array().map(Vec::len), Some(5 * 3));
}

#[test]
fn a_generated_trace_replays_to_the_figures_of_its_run() {
    let folder = Folder::new();
    let first = |document: Value| document["results"][0].clone();
    let result = run(&["run", STRESS, "--format", "json", "--seeds", "3"]);
    let result = first(document(&result.stdout));
    let trace = run(&["generate", STRESS, "--seed", "3"]);
    assert_eq!((trace.status, trace.stderr.as_str()), (0, ""));
    let replay = ["replay", "-", "--format", "json", "-a", "old,new"];
    let replayed = run_with_input(&replay, trace.stdout.as_bytes());
    let replayed = first(document(&replayed.stdout));
    assert_eq!(replayed["traces"][0]["hash"], result["traces"][2]["hash"]);
    let runs = result["runs"].as_array().expect("runs");
    for row in replayed["rows"].as_array().expect("rows") {
        let of_this = |it: &&Value| it["allocator"] == row["allocator"] && it["seed"] == 3;
        let run = runs
            .iter()
            .find(of_this)
            .expect("the run")
            .as_object()
            .expect("figures");
        let figures = run.iter().filter(|(name, _)| row.get(name).is_some());
        let compared = figures.map(|(name, figure)| assert_eq!(&row[name], figure, "{name}"));
        assert!(compared.count() > 15);
    }
    let file = folder.path("t.trace.jsonl.zst");
    let file = file.to_str().expect("UTF-8");
    run(&["generate", STRESS, "--seed", "3", "-o", file]);
    let compressed = run(&["replay", file, "--format", "json"]);
    let compressed = first(document(&compressed.stdout));
    assert_eq!(compressed["traces"][0]["hash"], result["traces"][2]["hash"]);
}

#[test]
fn an_expectation_that_fails_says_by_how_much_and_how_to_look_closer() {
    let folder = Folder::new();
    let trace = fs::canonicalize("traces/mediatek-report.trace.jsonl.gz").expect("a trace");
    let scenario = fs::read_to_string(FOUNDING).expect("a scenario");
    let scenario = scenario
        .replace(
            "../traces/mediatek-report.trace.jsonl.gz",
            trace.to_str().expect("UTF-8"),
        )
        .replace("\"equals\": 8", "\"equals\": 6");
    let file = folder.file("changed.json", scenario);
    let failed = run(&["run", &file]);
    assert_eq!(failed.status, 1);
    assert_eq!(
        failed.stderr,
        format!(
            "iovasim: {file}: failures of old is 8, expected exactly 6: off by 2; look closer: \
             iovasim generate {file} | iovasim replay - --allocator old\n"
        )
    );
    assert!(
        failed
            .stdout
            .contains("expectation failed: failures of old is 8")
    );
    let other = run(&["run", &file, "--allocator", "new"]);
    assert_eq!((other.status, other.stderr.as_str()), (0, ""));
    assert!(
        other.stdout.contains("2 expectations were not checked"),
        "{}",
        other.stdout
    );
}

#[test]
fn a_scenario_that_cannot_be_run_says_where_and_why() {
    let folder = Folder::new();
    let file = folder.file("a.json", "{\"iovasim\": \"scenario\", \"versoin\": 1}");
    let run = run(&["run", &file]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert!(
        run.stderr.starts_with(&format!("iovasim: {file}:1:")),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("did you mean `version`?"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stderr.lines().count(), 1);
}

#[test]
fn a_recorded_trace_has_no_seeds() {
    let run = run(&["run", FOUNDING, "--seeds", "3"]);
    assert_eq!(run.status, 2);
    assert!(
        run.stderr.contains("of a recorded trace, which has none"),
        "{}",
        run.stderr
    );
}
