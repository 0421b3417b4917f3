//! The edges of a run: its files, its threads, its memory, signals, and standard output.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use super::support::{Folder, Run, command, run};

const TRACE: &str = "traces/mediatek-report.trace.jsonl.gz";
const SCENARIO: &str = "scenarios/mediatek-report.json";

/// A run that ends with one line on standard error, and exit status 2.
fn message(run: &Run) -> &str {
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    let message = run.stderr.strip_suffix('\n').expect("a line");
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn an_output_is_neither_an_input_nor_another_output() {
    let folder = Folder::new();
    let trace = folder.file("a.trace.jsonl", "{\"iovasim\":\"trace\",\"version\":1}\n");
    let scenario = fs::read(SCENARIO).expect("a scenario");
    let scenario = folder.file("a.json", scenario);
    let again = folder.path("b.json");
    symlink(&scenario, &again).expect("a link");
    let (again, other) = (again.to_str().expect("UTF-8"), folder.path("other.json"));
    let other = other.to_str().expect("UTF-8");
    for (arguments, option) in [
        (
            vec!["shrink", &trace, "--keep", "steps:new,1", "-o", &trace],
            "-o",
        ),
        (vec!["convert", &trace, "-o", &trace], "-o"),
        (
            vec!["stats", &trace, "-o", &trace, "--format", "json"],
            "-o",
        ),
        (
            vec!["replay", &trace, "-a", "new", "--outcomes", &trace],
            "--outcomes",
        ),
        (vec!["generate", &scenario, "-o", again], "-o"),
        (vec!["run", &scenario, "-o", again], "-o"),
        (vec!["run", &scenario, "--junit", again], "--junit"),
        (
            vec!["run", &scenario, "--baseline", other, "-o", other],
            "-o",
        ),
        (
            vec!["run", &scenario, "-o", other, "--junit", other],
            "--junit",
        ),
        (
            vec!["run", &scenario, "-o", other, "--update-baseline", other],
            "--update-baseline",
        ),
    ] {
        let run = run(&arguments);
        let message = message(&run);
        assert!(
            message.starts_with(&format!("iovasim: {option} ")),
            "{message}"
        );
        assert!(message.ends_with("; expected another file"), "{message}");
    }
    assert_eq!(folder.names(), ["a.json", "a.trace.jsonl", "b.json"]);
}

#[test]
fn scenarios_of_one_name_are_refused() {
    let run = run(&["run", SCENARIO, SCENARIO]);
    assert!(message(&run).ends_with(
        "the scenario is named `mediatek-report`, as that of scenarios/mediatek-report.json; \
         expected another name"
    ));
}

#[test]
fn a_link_stays_and_its_file_is_made() {
    let folder = Folder::new();
    symlink("real.jsonl", folder.path("link.jsonl")).expect("a link");
    let link = folder.path("link.jsonl");
    let run = run(&["convert", TRACE, "-o", link.to_str().expect("UTF-8")]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(folder.names(), ["link.jsonl", "real.jsonl"]);
    assert!(link.is_symlink());
}

#[test]
fn what_cannot_be_written_is_named_as_it_was_asked_for() {
    let folder = Folder::new();
    let file = folder.file("a.jsonl", "mine");
    let mode = fs::Permissions::from_mode(0o444);
    fs::set_permissions(&file, mode).expect("permissions");
    let missing = folder.path("no/a.jsonl");
    let missing = missing.to_str().expect("UTF-8");
    for (path, problem) in [
        (file.as_str(), "it exists and is read-only"),
        (missing, "No such file or directory (os error 2)"),
    ] {
        let run = run(&["convert", TRACE, "-o", path]);
        let expected = format!("iovasim: {path}: cannot write: {problem}");
        assert_eq!(message(&run), expected);
    }
    assert_eq!(fs::read(&file).expect("a file"), b"mine");
}

#[test]
fn without_threads_the_results_are_the_same() {
    let all = ["run", SCENARIO, "--jobs", "4", "-a", "old,new,best-fit"];
    let replay = ["replay", TRACE, "--jobs", "4", "-a", "old,new,best-fit"];
    for arguments in [all, replay] {
        // No stack is as large as that.
        let mut alone = command(&arguments);
        let alone = alone
            .env("RUST_MIN_STACK", (1_u64 << 46).to_string())
            .output();
        let alone = Run::from(alone.expect("the program runs"));
        let run = run(&arguments);
        assert_eq!((alone.status, alone.stdout), (run.status, run.stdout));
        assert_eq!(alone.stderr, run.stderr);
    }
}

#[test]
fn more_memory_than_the_limit_is_an_error() {
    let stress = "scenarios/founding-stress.json";
    let small = run(&["run", stress, "--memory-limit", "1MiB"]);
    assert_eq!(small.status, 2);
    assert!(small.stderr.starts_with("memory allocation of "));
    let run = run(&["run", SCENARIO, "--memory-limit", "500MiB"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
}

#[test]
fn ignored_signals_stay_ignored() {
    let program = env!("CARGO_BIN_EXE_iovasim");
    let script = format!("trap '' INT HUP; exec {program} replay - -a new");
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let status = format!("/proc/{}/comm", child.id());
    while fs::read_to_string(&status).is_ok_and(|name| name != "iovasim\n") {
        std::thread::yield_now();
    }
    for signal in ["-INT", "-HUP"] {
        let id = child.id().to_string();
        let kill = Command::new("kill").args([signal, &id]).status();
        assert!(kill.expect("kill runs").success());
    }
    let mut stdin = child.stdin.take().expect("a pipe");
    let trace = b"{\"iovasim\":\"trace\",\"version\":1}\n{\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":9}\n";
    std::io::Write::write_all(&mut stdin, trace).expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn help_that_cannot_be_written_is_an_error() {
    for arguments in [vec!["--help"], vec!["run", "--help"], vec!["--version"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let output = command(&arguments)
            .stdout(full.expect("/dev/full"))
            .output();
        let run = Run::from(output.expect("the program runs"));
        let expected = "iovasim: <stdout>: cannot write: No space left on device (os error 28)";
        assert_eq!(message(&run), expected);
    }
}

#[test]
fn usage_errors_are_one_line() {
    for (arguments, expected) in [
        (
            vec!["run"],
            "the following required arguments were not provided: <SCENARIO>...; see `iovasim run \
             --help`",
        ),
        (
            vec!["replay", "x", "--alocator", "old"],
            "unexpected argument '--alocator' found; tip: a similar argument exists: \
             '--allocator'; see `iovasim replay --help`",
        ),
        (
            vec!["runs"],
            "unrecognized subcommand 'runs'; tip: a similar subcommand exists: 'run'; see \
             `iovasim --help`",
        ),
    ] {
        assert_eq!(message(&run(&arguments)), format!("iovasim: {expected}"));
    }
}
