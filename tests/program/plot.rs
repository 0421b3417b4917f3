//! `plot`, and `--sample` of `run` and `replay`, as a user runs them.

use std::fs;
use std::path::Path;

use iovasim::plot::Chart;
use serde_json::Value;

use crate::support::{Folder, root, run, run_with_input};

const REPORT: &str = "scenarios/mediatek-report.json";
const TRACE: &str = "traces/mediatek-report.trace.jsonl.gz";

/// Two domains, of which the second is asked more often.
const TWO_DOMAINS: &str = r#"{"iovasim":"trace","version":1}
{"op":"alloc","id":1,"pages":1,"limit":1048575}
{"op":"alloc","dom":5,"id":2,"pages":4,"limit":1048575}
{"op":"alloc","dom":5,"id":3,"pages":4,"limit":1048575}
"#;

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A result of `run` of the founding case, with or without samples.
fn result(folder: &Folder, name: &str, sample: bool) -> String {
    let file = folder.path(name);
    let mut arguments = vec!["run", REPORT, "-o", text(&file)];
    if sample {
        arguments.push("--sample");
    }
    assert_eq!(run(&arguments).status, 0);
    text(&file).to_owned()
}

/// Draws charts; the names of the files.
fn plot(folder: &Folder, into: &str, arguments: &[&str]) -> Vec<String> {
    let output = folder.path(into);
    let command = ["plot", "-o", text(&output)];
    let run = run(&[&command, arguments].concat());
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    names(&output)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let mut names: Vec<String> = names.map(|name| name.expect("UTF-8")).collect();
    names.sort();
    names
}

/// What a command that draws nothing says.
fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.path("none");
    let command = ["plot", "-o", text(&output)];
    let run = run(&[&command, arguments].concat());
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
    assert!(!output.exists(), "{arguments:?} leaves a folder");
    run.stderr
}

/// The texts of a picture, one a line.
fn said(folder: &Folder, file: &str) -> String {
    let svg = fs::read_to_string(folder.path(file)).expect("a picture");
    let parsed = roxmltree::Document::parse(&svg).expect("XML");
    let texts = parsed.descendants().filter(|it| it.has_tag_name("text"));
    let texts: Vec<&str> = texts.filter_map(|it| it.text()).collect();
    texts.join("\n")
}

fn document(file: &str) -> Value {
    let text = fs::read_to_string(file).expect("a document");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn each_chart_can_be_asked_for_by_name_and_says_its_question() {
    let folder = Folder::new();
    let result = result(&folder, "result.json", true);
    for chart in Chart::ALL {
        let name = chart.name();
        let file = format!("mediatek-report-{name}.svg");
        let drawn = plot(&folder, name, &[&result, "--chart", name]);
        assert_eq!(drawn.as_slice(), std::slice::from_ref(&file));
        let said = said(&folder, &format!("{name}/{file}"));
        assert!(said.starts_with(chart.question()), "{said}");
        assert!(said.contains("mediatek-report · 22 requests"), "{said}");
    }
}

#[test]
fn without_a_name_all_charts_are_drawn_whatever_the_input_and_the_jobs() {
    let folder = Folder::new();
    let result = result(&folder, "result.json", true);
    let replay = ["replay", TRACE, "--sample", "--format", "json"];
    let replayed = folder.file("replayed.json", run(&replay).stdout);
    let all = Chart::ALL.into_iter().filter(|&it| it != Chart::Releases);
    let all = all.map(|chart| format!("mediatek-report-{}.svg", chart.name()));
    let mut all: Vec<String> = all.collect();
    all.sort();
    for (into, arguments) in [
        ("of-a-result", &[&*result][..]),
        ("of-a-replay", &[&replayed]),
        ("of-a-trace", &[TRACE, "-j", "1"]),
        ("with-three-jobs", &[TRACE, "-j", "3"]),
    ] {
        assert_eq!(plot(&folder, into, arguments), all);
    }
    for name in all {
        let drawn = |into: &str| fs::read(folder.path(into).join(&name)).expect("a picture");
        let of_a_trace = drawn("of-a-trace");
        assert!(
            of_a_trace == drawn("with-three-jobs"),
            "{name}: jobs change something"
        );
        assert!(
            of_a_trace == drawn("of-a-replay"),
            "{name}: its document changes something"
        );
    }
}

#[test]
fn the_form_the_size_the_theme_and_the_title_can_be_chosen() {
    let folder = Folder::new();
    let chosen = [
        "--chart", "max32", "--size", "800x600", "--title", "My <SoC>",
    ];
    let light = [&[TRACE][..], &chosen].concat();
    plot(&folder, "light", &light);
    plot(
        &folder,
        "dark",
        &[&light[..], &["--theme", "dark"]].concat(),
    );
    plot(&folder, "png", &[&light[..], &["--format", "png"]].concat());
    let svg = |into: &str| {
        let file = folder.path(into).join("mediatek-report-max32.svg");
        fs::read_to_string(file).expect("a picture")
    };
    for (into, background) in [("light", "#ffffff"), ("dark", "#16181c")] {
        let svg = svg(into);
        assert!(svg.contains("<title>My &lt;SoC&gt;</title>"), "{svg}");
        assert!(svg.contains("width=\"800\" height=\"600\""), "{svg}");
        let first = svg.find("fill=\"#").map(|at| &svg[at + 6..at + 13]);
        assert_eq!(first, Some(background));
    }
    let png = fs::read(folder.path("png/mediatek-report-max32.png")).expect("a picture");
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((side(16), side(20)), (800, 600));
}

#[test]
fn what_a_chart_lacks_comes_with_the_option_that_records_it() {
    let folder = Folder::new();
    let plain = result(&folder, "plain.json", false);
    let replay = ["replay", TRACE, "--format", "json"];
    let replayed = folder.file("replayed.json", run(&replay).stdout);
    for (file, chart, option) in [
        (
            &plain,
            "fragmentation",
            "`run --sample` or `replay --sample`",
        ),
        (&plain, "max32", "`run --sample` or `replay --sample`"),
        (&plain, "address-map", "`run --sample` or `replay --sample`"),
        (&plain, "workload", "`run --sample` or `replay --sample`"),
        (&replayed, "max32", "`run --sample` or `replay --sample`"),
    ] {
        let said = refused(&folder, &[file, "--chart", chart]);
        assert!(said.contains(&format!("no {chart}: needs ")), "{said}");
        assert!(said.contains(option), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let said = refused(&folder, &[TRACE, "-a", "new", "--chart", "releases"]);
    assert!(
        said.contains("--allocator linux-4.15,linux-4.20,"),
        "{said}"
    );
    // Of what is there charts are drawn, and what is missing is said.
    let output = folder.path("some");
    let some = run(&["plot", &plain, "-o", text(&output)]);
    assert_eq!(
        (some.status, some.stderr.lines().count()),
        (0, 4),
        "{}",
        some.stderr
    );
    let drawn = ["failure-rate", "search-cost"];
    assert_eq!(
        names(&output),
        drawn.map(|it| format!("mediatek-report-{it}.svg"))
    );
    let quiet = run(&["plot", &plain, "-o", text(&output), "--quiet"]);
    assert_eq!((quiet.status, quiet.stderr.as_str()), (0, ""));
}

#[test]
fn a_bad_request_draws_nothing_and_says_why() {
    let folder = Folder::new();
    let result = result(&folder, "result.json", true);
    let other = folder.file("other.json", "{\"iovasim\": \"elsewhere\"}");
    for (arguments, expected) in [
        (
            &[&*result, "--chart", "pie"][..],
            "failure-rate, fragmentation, max32",
        ),
        (
            &[&*result, "--size", "90x90"],
            "expected WxH such as 1200x800",
        ),
        (&[&*result, "--format", "gif"], "svg, png"),
        (
            &[&*result, "-a", "linux-6.1"],
            "`mediatek-report` has no linux-6.1",
        ),
        (&[&*result, TRACE], "several inputs of one name"),
        (&[&*other], "other.json"),
        (&["traces/none.trace.jsonl"], "cannot open"),
    ] {
        let said = refused(&folder, arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_chart_that_cannot_be_written_leaves_no_other_behind() {
    let folder = Folder::new();
    let taken = folder.path("charts/mediatek-report-workload.svg");
    fs::create_dir_all(&taken).expect("a folder");
    let output = folder.path("charts");
    let failed = run(&["plot", TRACE, "-o", text(&output)]);
    assert_eq!(failed.status, 2, "{}", failed.stderr);
    assert!(
        failed.stderr.contains("mediatek-report-workload.svg"),
        "{}",
        failed.stderr
    );
    assert_eq!(names(&output), ["mediatek-report-workload.svg"]);
    let file = folder.file("file", "");
    let failed = run(&["plot", TRACE, "-o", &file]);
    assert_eq!((failed.status, failed.stderr.lines().count()), (2, 1));
    assert_eq!(fs::read(&file).expect("the file"), b"");
}

#[test]
fn an_empty_trace_has_charts_that_say_so() {
    let folder = Folder::new();
    let trace = folder.file(
        "empty.trace.jsonl",
        "{\"iovasim\":\"trace\",\"version\":1}\n",
    );
    let drawn = plot(&folder, "charts", &[&trace]);
    assert_eq!(drawn.len(), Chart::ALL.len() - 1);
    for name in drawn {
        let said = said(&folder, &format!("charts/{name}"));
        let why = ["no requests", "no samples"];
        assert!(why.iter().any(|why| said.contains(why)), "{name}: {said}");
    }
}

#[test]
fn addresses_at_the_end_of_64_bits_can_be_drawn() {
    let folder = Folder::new();
    let trace = folder.file(
        "high.trace.jsonl",
        "{\"iovasim\":\"trace\",\"version\":1,\"start_pfn\":9223372036854775808}\n\
         {\"op\":\"alloc\",\"id\":1,\"pages\":1,\"limit\":9223372036854775809}\n",
    );
    plot(&folder, "charts", &[&trace, "--chart", "address-map"]);
    let drawn = said(&folder, "charts/high-address-map.svg");
    assert!(drawn.contains("0x8000000000000000000"), "{drawn}");
}

#[test]
fn a_title_of_any_characters_is_taken() {
    let folder = Folder::new();
    let arguments = [TRACE, "--chart", "workload", "--title", "α → 測 😀"];
    plot(&folder, "charts", &arguments);
    let drawn = said(&folder, "charts/mediatek-report-workload.svg");
    assert!(drawn.starts_with("α → 測 😀"), "{drawn}");
    plot(
        &folder,
        "png",
        &[&arguments[..], &["--format", "png"]].concat(),
    );
}

#[test]
fn releases_alone_are_all_that_came_with_a_change() {
    let folder = Folder::new();
    plot(&folder, "charts", &[TRACE, "--chart", "releases"]);
    let said = said(&folder, "charts/mediatek-report-releases.svg");
    for row in [
        "4.15 – 4.19",
        "5.18 – 5.19",
        "+free-space-estimate",
        "+single-flush-queue",
    ] {
        assert!(said.contains(row), "{row}: {said}");
    }
}

#[test]
fn a_result_is_drawn_for_the_allocators_that_are_named() {
    let folder = Folder::new();
    let result = fs::read(result(&folder, "result.json", true)).expect("a result");
    let output = folder.path("charts");
    let command = [
        "plot",
        "-",
        "-a",
        "new",
        "--chart",
        "max32",
        "-o",
        text(&output),
    ];
    let run = run_with_input(&command, &result);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let said = said(&folder, "charts/mediatek-report-max32.svg");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.contains(&"new") && !lines.contains(&"old"), "{said}");
}

#[test]
fn the_domain_that_is_asked_most_is_drawn_and_named() {
    let folder = Folder::new();
    let trace = folder.file("two.trace.jsonl", TWO_DOMAINS);
    plot(&folder, "charts", &[&trace, "--chart", "belief"]);
    let drawn = said(&folder, "charts/two-max32.svg");
    assert!(
        drawn.contains("domain 1, which has 2 of 3 requests"),
        "{drawn}"
    );
    let replay = [
        "replay", &trace, "-a", "new", "--format", "json", "--sample",
    ];
    let domain = |chosen: &[&str]| {
        let file = folder.path("replayed.json");
        let output = ["-o", text(&file)];
        assert_eq!(run(&[&replay[..], &output, chosen].concat()).status, 0);
        let run = document(text(&file))["results"][0]["runs"][0].clone();
        let timeline = run["sampled"]["timeline"].clone();
        let requests = timeline["requests"].as_array().map(Vec::len);
        (timeline["window"]["domain"].as_u64(), requests)
    };
    assert_eq!(domain(&[]), (Some(1), Some(2)));
    assert_eq!(domain(&["--sample-domain", "0"]), (Some(0), Some(1)));
}

#[test]
fn sampling_needs_a_document_and_a_distance() {
    for (arguments, expected) in [
        (
            &["run", REPORT, "--sample"][..],
            "add -o FILE.json, or --format json",
        ),
        (
            &["replay", TRACE, "--sample"],
            "add -o FILE.json, or --format json",
        ),
        (
            &["replay", TRACE, "--sample=0"],
            "expected a number of events, or a time",
        ),
        (
            &["replay", TRACE, "--sample=1h"],
            "expected a number of events, or a time",
        ),
        (&["replay", TRACE, "--sample-domain", "1"], "--sample"),
        (&["replay", TRACE, "--sample-limit", "0xfffff"], "--sample"),
    ] {
        let run = run(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(
            run.stderr.contains(expected),
            "{arguments:?}: {}",
            run.stderr
        );
    }
}

#[test]
fn samples_stay_few_and_lose_no_failure() {
    let folder = Folder::new();
    let file = folder.path("result.json");
    let stress = "scenarios/founding-stress.json";
    let arguments = [
        "run",
        stress,
        "--seeds",
        "2",
        "-a",
        "old",
        "--sample",
        "-o",
        text(&file),
    ];
    assert_eq!(run(&arguments).status, 0);
    let result = &document(text(&file))["results"][0];
    let runs = result["runs"].as_array().expect("runs");
    let sampled = runs.iter().filter(|run| run.get("sampled").is_some());
    let run = &runs[0];
    assert_eq!((sampled.count(), run["seed"].as_u64()), (1, Some(1)));
    let timeline = &run["sampled"]["timeline"];
    let count = |column: &Value| column.as_array().map_or(0, Vec::len);
    assert!((192..=384).contains(&count(&timeline["requests"])));
    let sum = |column: &Value| -> u64 {
        column
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .sum()
    };
    assert_eq!(Some(sum(&timeline["requests"])), run["allocs"].as_u64());
    let failures = timeline["failures"].as_object().expect("causes");
    for (cause, column) in failures {
        assert_eq!(Some(sum(column)), run["causes"][cause].as_u64(), "{cause}");
    }
    let map = &run["sampled"]["map"];
    let refused = sum(&map["refused_with_room"]) + sum(&map["refused_without"]);
    assert_eq!(Some(refused), run["failures"].as_u64());
}

#[test]
fn what_was_sampled_by_time_is_drawn_over_time() {
    let folder = Folder::new();
    let file = folder.path("result.json");
    let arguments = ["run", REPORT, "--sample=10us", "-o", text(&file)];
    assert_eq!(run(&arguments).status, 0);
    for (input, axis) in [
        (text(&file), "virtual time"),
        (TRACE, "events, in 951 µs of virtual time"),
    ] {
        plot(&folder, "charts", &[input, "--chart", "fragmentation"]);
        let said = said(&folder, "charts/mediatek-report-fragmentation.svg");
        assert!(said.lines().any(|line| line == axis), "{axis}: {said}");
    }
}

#[test]
fn the_gallery_is_what_its_command_makes() {
    let folder = Folder::new();
    let made = folder.path("");
    let output = std::process::Command::new("sh")
        .args(["plots/make.sh", text(&made)])
        .env("IOVASIM", env!("CARGO_BIN_EXE_iovasim"))
        .current_dir(root())
        .output()
        .expect("sh runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let gallery = root().join("plots");
    let is_picture = |name: &String| Path::new(name).extension().is_some_and(|it| it == "svg");
    let kept: Vec<String> = names(&gallery).into_iter().filter(is_picture).collect();
    assert_eq!(names(&made), kept);
    let readmes = ["README.md", "plots/README.md"];
    let readmes = readmes.map(|it| fs::read_to_string(root().join(it)).expect("a README"));
    let mut bytes = 0;
    for name in kept {
        let picture = fs::read(gallery.join(&name)).expect("a picture");
        let same = picture == fs::read(made.join(&name)).expect("a picture");
        assert!(
            same,
            "{name} has changed: look at it, and keep what `sh plots/make.sh` makes"
        );
        assert!(
            picture.len() < 150_000,
            "{name} has {} bytes",
            picture.len()
        );
        bytes += picture.len();
        assert!(
            readmes.iter().any(|it| it.contains(&name)),
            "no README shows {name}"
        );
    }
    assert!(bytes < 1_000_000, "{bytes} bytes");
}
