//! `replay` as a user runs it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::support::{Folder, command, root, run, run_with_input};
use serde_json::Value;

const FOUNDING: &str = "traces/mediatek-report.trace.jsonl.gz";
const SMALL: &str = r#"{"iovasim":"trace","version":1}
{"op":"alloc","id":1,"pages":4,"limit":1048575,"got":1048572}
{"op":"alloc","id":2,"pages":1,"limit":1048575,"got":1048571}
{"op":"free","id":1}
{"op":"alloc","id":3,"pages":4,"limit":1048575,"got":1048572}
"#;

fn json(arguments: &[&str]) -> Value {
    let run = run(arguments);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&run.stdout).expect("a document")
}

#[test]
fn the_founding_report_is_one_sentence() {
    let page = run(&["replay", FOUNDING]).stdout;
    let sentence = "old refused 3 requests that new granted; the first: event 312, 29,471 pages \
                    (115.1 MiB) at or below pfn 0xfffff, refused by the short cut (max32 29,471) \
                    though an aligned gap was free";
    let words: Vec<&str> = page.split_whitespace().collect();
    assert!(words.join(" ").contains(sentence), "{page}");
}

#[test]
fn the_document_has_a_row_for_each_allocator() {
    let document = json(&[
        "replay",
        FOUNDING,
        "--format",
        "json",
        "-a",
        "new,old",
        "-a",
        "maple-2026",
    ]);
    assert_eq!(document["iovasim"], "result");
    assert_eq!(document["version"], 2);
    let result = &document["results"][0];
    assert_eq!(result["traces"][0].get("seed"), None);
    let rows = result["rows"].as_array().expect("rows");
    let figures = |figure: &str| {
        rows.iter()
            .map(|row| row[figure].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(figures("allocator"), ["new", "old", "maple-2026"]);
    assert_eq!(figures("failures")[..2], [5, 8]);
    assert_eq!(rows[1]["causes"]["shortcut"], 5);
    assert_eq!(rows[2]["steps"], Value::Null);
}

#[test]
fn the_report_does_not_depend_on_the_number_of_jobs() {
    let folder = Folder::new();
    let report = |jobs: &str| {
        let pattern = folder.path(&format!("{jobs}-{{allocator}}"));
        let arguments = [
            "replay",
            "tests/vectors/24-edge-limits.trace.jsonl.gz",
            "tests/vectors/14-reserve.trace.jsonl.gz",
            "--jobs",
            jobs,
            "--outcomes",
            &format!("{}-{{trace}}", pattern.display()),
            "--allocator",
            "linux-4.15,linux-5.1,old,new,linux-7.2,best-fit,maple-2026",
        ];
        let text = run(&arguments).stdout;
        let document = run(&[&arguments[..], &["--format", "json"]].concat()).stdout;
        (text, document)
    };
    let alone = report("1");
    assert_eq!(alone, report("3"));
    assert_eq!(alone, report("64"));
    let names = folder.names();
    assert_eq!(names.len(), 3 * 14);
    for name in names.iter().filter_map(|name| name.strip_prefix("1-")) {
        let outcomes =
            |jobs| fs::read(folder.path(&format!("{jobs}-{name}"))).expect("outcomes");
        assert_eq!(outcomes("1"), outcomes("64"), "{name}");
        assert!(!outcomes("1").is_empty());
    }
}

#[test]
fn a_trace_may_come_from_a_pipe() {
    let run = run_with_input(
        &["replay", "-", "-a", "new", "--format", "json"],
        SMALL.as_bytes(),
    );
    let document: Value = serde_json::from_str(&run.stdout).expect("a document");
    let result = &document["results"][0];
    assert_eq!(result["file"], "<stdin>");
    assert_eq!(result["rows"][0]["allocs"], 3);
}

#[test]
fn outcomes_on_standard_output_are_alone_there() {
    let arguments = ["replay", "-", "-a", "new", "--outcomes", "-"];
    let run = run_with_input(&arguments, SMALL.as_bytes());
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 4);
    let first =
        r#"{"i":0,"pfn":1048572,"steps":1,"max32":1048576,"c32":1048572,"c64":null,"n":1}"#;
    assert_eq!(lines[0], first);
}

#[test]
fn outcomes_are_compressed_as_their_name_says() {
    let folder = Folder::new();
    for name in ["o.jsonl.gz", "o.jsonl.zst"] {
        let path = folder.path(name);
        let path = path.to_str().expect("UTF-8");
        let run = run(&["replay", FOUNDING, "-a", "old", "--outcomes", path]);
        assert_eq!(run.status, 0, "{}", run.stderr);
    }
    let expected = root().join("tests/vectors/00-mediatek-report.k6.1.out.jsonl.gz");
    assert!(expected.exists());
    let gzip = fs::read(folder.path("o.jsonl.gz")).expect("a file");
    let zstd = fs::read(folder.path("o.jsonl.zst")).expect("a file");
    assert_eq!(
        (&gzip[..2], &zstd[..4]),
        (&[0x1f, 0x8b][..], &[0x28, 0xb5, 0x2f, 0xfd][..])
    );
}

#[test]
fn check_says_how_many_answers_agree() {
    let folder = Folder::new();
    let trace = folder.file("a.trace.jsonl", SMALL);
    let agreeing = run(&["replay", &trace, "-a", "new", "--check"]);
    assert_eq!(agreeing.status, 0, "{}", agreeing.stderr);
    assert!(
        agreeing
            .stdout
            .contains("check: new: agrees with all of 3 recorded answers")
    );
}

#[test]
fn check_shows_the_first_difference_with_what_is_around_it() {
    let folder = Folder::new();
    let wrong = SMALL.replace("\"got\":1048571", "\"got\":null");
    let trace = folder.file("a.trace.jsonl", wrong);
    let run = run(&["replay", &trace, "-a", "new", "--check"]);
    assert_eq!(run.status, 1);
    let expected = "\
check: new: agrees with 2 of 3 recorded answers in the address, and with 2 in
  the grant; the first other address is event 1: recorded a failure, replayed
  pfn 0xffffb
    0  {\"op\":\"alloc\",\"id\":1,\"pages\":4,\"limit\":1048575,\"got\":1048572}  -> 1048572 (0xffffc)
  > 1  {\"op\":\"alloc\",\"id\":2,\"pages\":1,\"limit\":1048575,\"got\":null}  -> 1048571 (0xffffb)
    2  {\"op\":\"free\",\"id\":1}
    3  {\"op\":\"alloc\",\"id\":3,\"pages\":4,\"limit\":1048575,\"got\":1048572}  -> 1048572 (0xffffc)
domain 0: 2 of 3 addresses, 2 grants; the first other address is event 1, the
  first other grant is event 1; likely the recorded kernel had ranges there that
  the trace lacks: reserved, or live before the recording (`import
  --infer-reserved`, `--reserved`, `--state-before`)
";
    assert!(run.stdout.ends_with(expected), "{}", run.stdout);
    assert_eq!(
        run.stderr,
        format!("iovasim: {trace}: the answer of new to event 1 is not the recorded one\n")
    );
}

#[test]
fn check_replays_the_release_that_recorded() {
    let folder = Folder::new();
    let header = r#"{"iovasim":"trace","version":1,"kernel":"Linux 6.1.0-49-amd64"}"#;
    let recorded = SMALL.replacen(r#"{"iovasim":"trace","version":1}"#, header, 1);
    let trace = folder.file("a.trace.jsonl", recorded);
    let document = json(&["replay", &trace, "--check", "--format", "json"]);
    let run = &document["results"][0]["runs"][0];
    assert_eq!(run["allocator"], "linux-6.1");
    assert_eq!(run["check"]["agreeing"], 3);
}

#[test]
fn a_replay_counts_the_answers_that_agree() {
    let folder = Folder::new();
    let wrong = SMALL.replace("\"got\":1048571", "\"got\":9");
    let trace = folder.file("a.trace.jsonl", wrong);
    let run = run(&["replay", &trace, "-a", "new,old"]);
    let expected = "\
3 recorded answers: new agrees in 2 addresses and 3 grants, old agrees in 2
  addresses and 3 grants; --check compares them by domain
";
    assert_eq!(run.status, 0);
    assert!(run.stdout.ends_with(expected), "{}", run.stdout);
}

#[test]
fn a_check_without_a_kernel_asks_for_the_allocator() {
    let folder = Folder::new();
    let trace = folder.file("a.trace.jsonl", SMALL);
    let run = run(&["replay", &trace, "--check"]);
    let expected = format!(
        "iovasim: {trace}: the header names no kernel, so old and new are checked; --allocator \
         checks the recorded release\n"
    );
    assert_eq!(run.stderr, expected);
}

#[test]
fn a_check_of_nothing_is_no_success() {
    let run = run(&["replay", FOUNDING, "-a", "new", "--check"]);
    assert_eq!(run.status, 2);
    assert!(
        run.stderr
            .contains("no event has the recorded kernel's answer")
    );
}

#[test]
fn an_allocator_that_is_undone_ends_alone() {
    let trace = "tests/vectors/history/07-uaf.trace.jsonl.gz";
    let run = run(&["replay", trace, "-a", "linux-5.1,linux-5.3"]);
    assert_eq!(run.status, 0);
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    let text = words.join(" ");
    assert!(
        text.contains("linux-5.1: use-after-free at event 15, where its replay ends"),
        "{text}"
    );
    assert!(
        text.contains("before event 15, where a replay ended"),
        "{text}"
    );
    assert!(text.contains("830 events"), "{text}");
}

#[test]
fn the_flush_queue_may_be_replaced() {
    let trace = "tests/vectors/dma/02-bursts.trace.jsonl.gz";
    let flushes = |queue: &str| {
        let document = json(&[
            "replay",
            trace,
            "-a",
            "linux-7.2",
            "--flush-queue",
            queue,
            "--format",
            "json",
        ]);
        let queue = &document["results"][0]["rows"][0]["flush_queue"];
        (queue["fullest"].as_u64(), queue["flushes_full"].as_u64())
    };
    assert_eq!(flushes("none"), (Some(0), Some(0)));
    assert_eq!(flushes("per-cpu").0, Some(255));
    assert!(flushes("single").0 > Some(255));
}

#[test]
fn every_command_refuses_a_flush_queue_that_the_release_lacks() {
    let folder = Folder::new();
    let scenario = fs::read_to_string(root().join("scenarios/nvme-lazy.json"));
    let scenario = scenario.expect("a scenario").replace("per-cpu", "single");
    let scenario = folder.file("single.json", scenario.replace("linux-6.5", "linux-6.6"));
    let trace = folder.file(
        "single.trace.jsonl",
        "{\"iovasim\":\"trace\",\"version\":1,\"flush_queue\":\"single\"}\n\
         {\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":9}\n",
    );
    let per_cpu = "tests/vectors/dma/02-bursts.trace.jsonl.gz";
    let made = folder.path("made").to_str().expect("UTF-8").to_owned();
    let commands: [&[&str]; 5] = [
        &["run", &scenario],
        &["replay", &trace, "-a", "linux-6.6"],
        &[
            "replay",
            per_cpu,
            "-a",
            "linux-6.6",
            "--flush-queue",
            "single",
        ],
        &["plot", &trace, "-a", "linux-6.6", "-o", &made],
        &["profile", &trace, "-a", "linux-6.6", "-o", &made],
    ];
    for arguments in commands {
        let run = run(arguments);
        assert_eq!(
            run.stderr,
            "iovasim: allocator `linux-6.6`: has no single flush queue, which came with \
             `single-flush-queue` (32d5bc8b09da); apply that change (+single-flush-queue) or \
             choose the flush queue `per-cpu`\n",
            "{arguments:?}"
        );
        assert_eq!(run.status, 2, "{arguments:?}");
    }
    assert!(!folder.path("made").exists());
}

#[test]
fn who_has_seen_enough_is_not_told_anything() {
    let trace = "tests/vectors/06-single-32767.trace.jsonl.gz";
    let trace = trace.replace("vectors/", "vectors/corners/");
    let mut command = command(&["replay", &trace, "-a", "linux-7.2", "--outcomes", "-"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut first = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    lines.read_line(&mut first).expect("a line");
    drop(lines);
    let output = child.wait_with_output().expect("the program ends");
    assert!(first.starts_with("{\"i\":0,"), "{first}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Whether a process has an open file in a folder.
fn has_open(process: u32, folder: &Path) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    open.flatten()
        .filter_map(|it| fs::read_link(it.path()).ok())
        .any(|it| it.starts_with(folder))
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_run_leaves_no_half_file() {
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;

    let folder = Folder::new();
    let outcomes = folder.path("outcomes.jsonl");
    let outcomes = outcomes.to_str().expect("UTF-8");
    let mut child = command(&["replay", "-", "-a", "new", "--outcomes", outcomes])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(SMALL.as_bytes())
        .expect("a pipe that is read");
    while !has_open(child.id(), &folder.path("")) {
        std::thread::yield_now();
    }
    if !folder.names().is_empty() {
        // This file system has no files without names: what is killed leaves one.
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        return;
    }
    let kill = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status();
    assert!(kill.expect("kill runs").success());
    let output = child.wait_with_output().expect("the program ends");
    drop(stdin);
    let sigterm = 15;
    assert_eq!(output.status.signal(), Some(sigterm));
    assert_eq!(folder.names(), [""; 0]);
    assert!(output.stdout.is_empty());
}
