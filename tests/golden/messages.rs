//! The messages of bad usage and bad input, side by side in `messages.txt`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

const TRACE: &str = "{\"iovasim\":\"trace\",\"version\":1,\"cpus\":2}\n";

/// Lines that follow the header of a trace.
const EVENTS: &[&str] = &[
    "hello",
    "[]",
    "{}",
    "{\"op\":\"grow\",\"id\":1}",
    "{\"op\":\"alloc\",\"pages\":1,\"limit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"limit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":0,\"limit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":-1,\"limit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":\"1\",\"limit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":1.5,\"limit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":18446744073709551616,\"limit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":1,\"pages\":2,\"limit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limmit\":9}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":9,\"cpu\":7}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":9,\"path\":\"slow\"}",
    "{\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":9",
    "{\"op\":\"map\",\"id\":1,\"bytes\":0,\"mask\":9}",
    "{\"op\":\"free\",\"id\":1}",
    "{\"op\":\"double_free\",\"id\":1}",
    "{\"op\":\"reserve\",\"lo\":9,\"hi\":1}",
    "{\"op\":\"cpu_up\",\"cpu\":0}",
    "{\"op\":\"nomem\",\"what\":\"page\",\"count\":1}",
    "{\"op\":\"restore\",\"nodes\":[[9,1]]}",
];

/// Whole inputs: of which command, and the text on its standard input.
const INPUTS: &[(&[&str], &str)] = &[
    (&["replay", "-"], ""),
    (&["replay", "-"], "{\"iovasim\":\"trace\",\"version\":9}\n"),
    (
        &["replay", "-"],
        "{\"iovasim\":\"trace\",\"version\":1,\"granule\":3}\n",
    ),
    (
        &["replay", "-"],
        "{\"iovasim\":\"trace\",\"version\":1,\"flush_queue\":\"big\"}\n",
    ),
    (&["run", "-"], ""),
    (&["run", "-"], "{}"),
    (&["run", "-"], "{\"version\":1,\"name\":\"a b\"}"),
    (&["run", "-"], "{\"version\":9}"),
    (&["compare", "-", "ci/policy.json"], ""),
    (&["compare", "-", "ci/policy.json"], "{}"),
    (
        &["compare", "-", "ci/policy.json"],
        "{\"iovasim\":\"result\",\"version\":9}",
    ),
    (&["plot", "-", "-o", "/dev/null/x"], "{}"),
    (&["merge", "-"], "{}"),
    (&["import", "-"], ""),
    (&["import", "-"], "hello\n"),
    (&["import", "-", "--from", "log"], "hello\n"),
];

/// Command lines.
const USAGE: &[&[&str]] = &[
    &[],
    &["runs"],
    &["run"],
    &["run", "no/such.json"],
    &["run", "scenarios/mediatek-report.json", "--seeds", "0"],
    &[
        "run",
        "scenarios/mediatek-report.json",
        "--seeds",
        "4294967295",
    ],
    &["run", "scenarios/mediatek-report.json", "--seeds", "many"],
    &["run", "scenarios/mediatek-report.json", "--shard", "3/2"],
    &["run", "scenarios/mediatek-report.json", "--sample"],
    &["run", "scenarios/mediatek-report.json", "-o", "a.doc"],
    &[
        "run",
        "scenarios/mediatek-report.json",
        "scenarios/mediatek-report.json",
    ],
    &[
        "run",
        "scenarios/mediatek-report.json",
        "--baseline",
        "no/such.json",
    ],
    &["run", "traces/qualcomm-retry.trace.jsonl"],
    &["replay", "scenarios/mediatek-report.json"],
    &["replay", "no/such.trace"],
    &[
        "replay",
        "traces/qualcomm-retry.trace.jsonl",
        "-a",
        "linux-9.9",
    ],
    &[
        "replay",
        "traces/qualcomm-retry.trace.jsonl",
        "-a",
        "linux-5.10~retry",
    ],
    &[
        "replay",
        "traces/qualcomm-retry.trace.jsonl",
        "-a",
        "linux-7.2+retri",
    ],
    &[
        "replay",
        "traces/qualcomm-retry.trace.jsonl",
        "-a",
        "new,linux-5.18",
    ],
    &[
        "replay",
        "traces/qualcomm-retry.trace.jsonl",
        "--outcomes",
        "one.jsonl",
    ],
    &[
        "convert",
        "traces/qualcomm-retry.trace.jsonl",
        "-o",
        "traces/qualcomm-retry.trace.jsonl",
    ],
    &["history", "traces/qualcomm-retry.trace.jsonl"],
    &["history", "traces/qualcomm-retry.trace.jsonl", "--pfn", "x"],
    &[
        "shrink",
        "traces/qualcomm-retry.trace.jsonl",
        "--keep",
        "smaller",
    ],
    &[
        "bisect",
        "traces/qualcomm-retry.trace.jsonl",
        "--keep",
        "smaller",
    ],
    &["schema", "trade"],
];

fn message(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_iovasim"))
        .args(arguments)
        .env_remove("COLUMNS")
        .current_dir(super::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // The program may end before it has read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let message = String::from_utf8(output.stderr).expect("UTF-8");
    let status = output.status.code().expect("no signal ends it");
    assert_eq!(status, 2, "{arguments:?} {input:?}: {message}");
    message
}

/// All of them, each below what led to it.
pub(crate) fn all() -> String {
    let mut text = String::new();
    let mut add = |arguments: &[&str], input: &str, shown: &str| {
        let command = ["iovasim"].iter().chain(arguments);
        let command: Vec<&str> = command.copied().collect();
        let message = message(arguments, input);
        writeln!(text, "$ {}{shown}\n{message}", command.join(" "))
            .expect("a string takes text");
    };
    for arguments in USAGE {
        add(arguments, "", "");
    }
    for (arguments, input) in INPUTS {
        add(arguments, input, &format!(" <<< '{}'", input.trim_end()));
    }
    for event in EVENTS {
        let input = format!("{TRACE}{event}\n");
        add(
            &["replay", "-", "-a", "new"],
            &input,
            &format!(" <<< '... {event}'"),
        );
    }
    text
}
