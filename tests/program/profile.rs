//! `profile` and `stats`: what may be published of a trace, and what is in one.

use std::fs;

use crate::support::{Folder, run, run_with_input};

const FILL: &str = "traces/linux-6.12-fill32.trace.jsonl.zst";

fn profile(output: &str, more: &[&str]) -> crate::support::Run {
    run(&[&["profile", FILL, "-o", output, "-a", "linux-6.12"], more].concat())
}

fn path(folder: &Folder, name: &str) -> String {
    folder.path(name).to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_profile_is_a_scenario_that_runs() {
    let folder = Folder::new();
    let file = path(&folder, "fill.json");
    let made = profile(&file, &["--name", "fill", "--seeds", "2"]);
    assert_eq!(
        (made.status, made.stdout.as_str(), made.stderr.as_str()),
        (0, "", "")
    );
    let text = fs::read_to_string(&file).expect("a file");
    assert!(
        !text.contains("edu") && !text.contains("6.12.117"),
        "names what was recorded"
    );
    let ran = run(&["run", &file]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("of 6,476 requests"), "{}", ran.stdout);
}

#[test]
fn a_profile_is_the_same_whatever_it_is_made_of() {
    let trace = run(&["convert", FILL, "-o", "-"]).stdout;
    let from_file = profile("-", &[]);
    let from_pipe = run_with_input(&["profile", "-", "-a", "linux-6.12"], trace.as_bytes());
    assert_eq!(from_file.stdout, from_pipe.stdout);
    let checked = |jobs: &str| {
        let folder = Folder::new();
        let file = path(&folder, "p.json");
        let run = profile(
            &file,
            &["--check", "--seeds", "3", "--format", "json", "-j", jobs],
        );
        (run.status, run.stdout)
    };
    let (status, page) = checked("1");
    assert_eq!(checked("3"), (status, page.clone()));
    let page: serde_json::Value = serde_json::from_str(&page).expect("a document");
    assert_eq!(
        (&page["iovasim"], &page["version"]),
        (&"fidelity".into(), &1.into())
    );
    let check = &page["checks"][0];
    assert_eq!(check["seeds"].as_array().map(Vec::len), Some(3));
    assert_eq!(check["trace"]["allocs"], 3238);
}

#[test]
fn a_scenario_that_misses_the_tolerance_is_written_by_force_alone() {
    let folder = Folder::new();
    let file = path(&folder, "p.json");
    let missed = |force: &[&str]| {
        let arguments = ["--check", "--seeds", "2", "--tolerance", "0.01"];
        let run = profile(&file, &[&arguments, force].concat());
        assert_eq!(run.status, 1);
        let problem = "percentage points, expected at most 0.01";
        assert!(run.stderr.contains(problem), "{}", run.stderr);
        run.stderr
    };
    let message = missed(&[]);
    assert!(message.contains("p.json is not written"), "{message}");
    assert!(folder.names().is_empty());
    assert!(!missed(&["--force"]).contains("is not written"));
    assert_eq!(folder.names(), ["p.json"]);
}

#[test]
fn what_cannot_be_profiled_is_said() {
    let folder = Folder::new();
    let header = "{\"iovasim\":\"trace\",\"version\":1}\n";
    let empty = folder.file("empty.trace", header);
    let beyond = folder.file(
        "beyond.trace",
        "{\"iovasim\":\"trace\",\"version\":1,\"start_pfn\":18446744073709551615}\n\
         {\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":9}\n",
    );
    let cases: [(&[&str], &str); 6] = [
        (
            &["-", "--check", "-o", "x.json"],
            "--check: reads the trace twice, expected a file",
        ),
        (
            &[FILL, "--check"],
            "--check: prints a table, expected -o FILE",
        ),
        (
            &[&empty],
            "empty.trace: asks for no address, expected requests to profile",
        ),
        (&[&beyond], "`limit` is 0xffffffffffffffff, expected"),
        (&[FILL, "--tolerance", "5"], "--check"),
        (&["no.trace"], "no.trace: cannot open"),
    ];
    for (arguments, expected) in cases {
        let run = run(&[&["profile"], arguments].concat());
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(
            run.stderr.contains(expected),
            "{arguments:?}: {}",
            run.stderr
        );
    }
}

#[test]
fn what_a_profile_leaves_out_is_said() {
    let trace = "{\"iovasim\":\"trace\",\"version\":1,\"cpus\":2}\n\
                 {\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":9}\n\
                 {\"op\":\"cpu_dead\",\"cpu\":1}\n";
    let run = run_with_input(&["profile", "-"], trace.as_bytes());
    assert_eq!(run.stderr, "iovasim: the profile leaves out 1 × cpu_dead\n");
    assert!(run.stdout.contains("Left out: 1 × cpu_dead."));
}

#[test]
fn stats_print_a_page() {
    let page = run(&["stats", FILL]);
    assert_eq!((page.status, page.stderr.as_str()), (0, ""));
    assert!(
        page.stdout
            .contains("3238 answers on record, 389 of them failures (12.0 %)"),
        "{}",
        page.stdout
    );
    let document = run(&["stats", FILL, "--format", "json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).expect("a document");
    assert_eq!(document["requests"]["failed"], 389);
    let bad = "{\"iovasim\":\"trace\",\"version\":1}\n{\"op\":\"free\",\"id\":1}\n";
    let bad = run_with_input(&["stats", "-"], bad.as_bytes());
    assert_eq!((bad.status, bad.stdout.as_str()), (2, ""));
    assert!(
        bad.stderr
            .starts_with("iovasim: <stdin>:2: `free` of id 1, which is not live"),
        "{}",
        bad.stderr
    );
}
