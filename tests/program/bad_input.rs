//! Bad usage and bad input: one clear line, exit status 2, and nothing left behind.

use std::io::Write;

use crate::support::{Folder, run, run_with_input};
use flate2::Compression;
use flate2::write::GzEncoder;

const HEADER: &str = "{\"iovasim\":\"trace\",\"version\":1}\n";

/// What replaying these bytes says, without the name of the file.
fn said(bytes: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    let file = folder.file("a.trace", bytes);
    let outcomes = folder.path("outcomes.jsonl");
    let report = folder.path("report.txt");
    let run = run(&[
        "replay",
        &file,
        "--allocator",
        "new",
        "--outcomes",
        outcomes.to_str().expect("UTF-8"),
        "-o",
        report.to_str().expect("UTF-8"),
    ]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert_eq!(folder.names(), ["a.trace"], "nothing is left behind");
    let message = run
        .stderr
        .trim_end()
        .strip_prefix("iovasim: ")
        .expect("who says it");
    message.replace(&file, "a.trace")
}

/// What a trace with these events says.
fn events(lines: &str) -> String {
    said(format!("{HEADER}{lines}"))
}

#[test]
fn what_is_no_trace() {
    assert_eq!(said(""), "a.trace: is empty, expected a trace");
    for bytes in ["hello\n", "[]\n", "{}\n", "\n", "{\"version\":1}\n"] {
        let said = said(bytes);
        let told = said.starts_with("a.trace") && said.contains("expected");
        assert!(told && said.contains("trace\""), "{bytes:?}: {said}");
    }
    let said = said(b"\x7fELF\x02\x01\x01\0\0\0\0\0");
    assert!(said.starts_with("a.trace"), "{said}");
}

#[test]
fn the_wrong_kind_of_file_names_its_command() {
    let recording = "tests/recordings/linux-6.12-oplist-strict-fprobe-state.ftrace.txt.gz";
    let dat = "tests/recordings/linux-6.12-net-strict-kprobe-iommu.v7.trace.dat";
    let trace = "traces/arm-counterexample.trace.jsonl";
    let scenario = "scenarios/arm-counterexample.json";
    let cases = [
        ("replay", recording, "`iovasim import` makes a trace of it"),
        ("stats", recording, "`iovasim import` makes a trace of it"),
        ("run", dat, "`iovasim import` makes a trace of it"),
        ("replay", scenario, "`iovasim run` runs it"),
        ("run", trace, "`iovasim replay` replays it"),
        (
            "replay",
            "ci/policy.json",
            "`iovasim compare --policy` reads it",
        ),
        (
            "replay",
            "tests/results/version-1.json",
            "`iovasim compare`",
        ),
    ];
    for (command, file, expected) in cases {
        let run = run(&[command, file]);
        assert_eq!(run.status, 2, "{command} {file}");
        let found = run.stderr.contains(file) && run.stderr.contains(expected);
        assert!(found, "{command} {file}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}

#[test]
fn a_file_that_was_cut_short() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(HEADER.as_bytes()).expect("memory");
    for id in 0..10_000 {
        writeln!(
            gzip,
            "{{\"op\":\"alloc\",\"id\":{id},\"pages\":{},\"limit\":1048575}}",
            id % 97 + 1
        )
        .expect("memory");
    }
    let whole = gzip.finish().expect("memory");
    let cut = said(&whole[..whole.len() / 2]);
    assert!(
        cut.contains("gzip data ends too early; was the file cut short?"),
        "{cut}"
    );
    let empty = said(&whole[..10]);
    assert!(empty.contains("cut short"), "{empty}");
}

#[test]
fn lines_that_no_trace_has() {
    let long = events(&format!("{{\"op\":\"{}\"}}\n", "x".repeat(10 << 20)));
    assert!(long.starts_with("a.trace:2: "), "{}", &long[..100]);
    assert!(long.len() < 300, "{}", &long[..300]);
    let deep = events(&format!(
        "{{\"op\":{}1{}}}\n",
        "[".repeat(200_000),
        "]".repeat(200_000)
    ));
    assert!(deep.starts_with("a.trace:2: ") && deep.len() < 300);
    let large =
        events("{\"op\":\"alloc\",\"id\":1,\"pages\":18446744073709551616,\"limit\":9}\n");
    assert!(
        large.starts_with("a.trace:2: `pages` is 18446744073709551616"),
        "{large}"
    );
    let unknown = events("{\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limmit\":9}\n");
    assert!(
        unknown.starts_with("a.trace:2: unknown field `limmit`"),
        "{unknown}"
    );
    let negative = events("{\"op\":\"alloc\",\"id\":1,\"pages\":-1,\"limit\":9}\n");
    assert!(
        negative.starts_with("a.trace:2: `pages` is -1"),
        "{negative}"
    );
}

#[test]
fn ids_that_are_not_live() {
    let twice = "{\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":1048575}\n{\"op\":\"free\",\"id\":1}\n";
    let twice = events(&format!("{twice}{{\"op\":\"free\",\"id\":1}}\n"));
    let expected = "a.trace:4: `free` of id 1, which is not live (freed at line 3)";
    assert!(twice.starts_with(expected), "{twice}");
}

#[test]
fn files_that_cannot_be_opened() {
    let run = run(&["replay", "no/such.trace"]);
    assert_eq!(run.status, 2);
    let expected = "iovasim: no/such.trace: cannot open: ";
    assert!(run.stderr.starts_with(expected), "{}", run.stderr);
}

#[test]
fn a_folder_is_no_trace() {
    let run = run(&["replay", "traces"]);
    assert_eq!(run.status, 2);
    assert!(
        run.stderr.starts_with("iovasim: traces: cannot read: "),
        "{}",
        run.stderr
    );
}

#[test]
fn files_that_cannot_be_written_leave_nothing() {
    let folder = Folder::new();
    let trace = folder.file("a.trace", HEADER);
    let target = folder.path("missing/report.txt");
    let run = run(&["replay", &trace, "-o", target.to_str().expect("UTF-8")]);
    assert_eq!(run.status, 2);
    assert!(
        run.stderr.contains("missing/report.txt: cannot write: "),
        "{}",
        run.stderr
    );
    assert_eq!(folder.names(), ["a.trace"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said() {
    let run = run_with_input(&["replay", "-", "-o", "/dev/full"], HEADER.as_bytes());
    assert_eq!(run.status, 2);
    assert!(
        run.stderr.starts_with("iovasim: /dev/full: cannot write: "),
        "{}",
        run.stderr
    );
}

#[test]
fn an_allocator_is_named_once_and_ranges_run_forwards() {
    for (list, message) in [
        (
            "old,linux-5.17",
            "--allocator: `old` and `linux-5.17` are the same allocator, expected it once",
        ),
        (
            "new,7.2..5.10",
            "--allocator: the range `7.2..5.10` runs backwards",
        ),
        ("nwe", "did you mean `new`?"),
    ] {
        let run = run_with_input(&["replay", "-", "-a", list], HEADER.as_bytes());
        assert!(run.stderr.contains(message), "{}", run.stderr);
        assert_eq!(run.status, 2);
    }
}

#[test]
fn names_that_name_no_allocator() {
    let run = run_with_input(&["replay", "-", "-a", "linux-7.2~retri"], HEADER.as_bytes());
    assert_eq!(run.status, 2);
    assert!(
        run.stderr.contains("did you mean `retry`?"),
        "{}",
        run.stderr
    );
}

#[test]
fn several_allocators_do_not_share_a_file() {
    let folder = Folder::new();
    let trace = folder.file("a.trace", HEADER);
    let run = run(&["replay", &trace, "-a", "old,new", "--outcomes", "out.jsonl"]);
    assert_eq!(run.status, 2);
    assert_eq!(
        run.stderr,
        "iovasim: --outcomes out.jsonl: several allocators cannot share a file; expected \
         {allocator} in its name\n"
    );
}

#[test]
fn usage_that_there_is_not() {
    for arguments in [
        &["replay"][..],
        &["repaly"],
        &["replay", "-", "--format", "xml"],
        &[],
    ] {
        let run = run_with_input(arguments, b"");
        assert_eq!(run.status, 2, "{arguments:?}");
        assert!(
            run.stdout.is_empty() && !run.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}
