//! Results compared, held to a policy, made in parts and kept: `compare`, `merge`, and what
//! `run` has for gates.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Folder, command, root, run, run_with_input};

const STRESS: &str = "scenarios/founding-stress.json";
const REVERTED: &str = "linux-7.2~free-space-estimate";

/// The founding stress under some allocators with three seeds, as a file.
fn stress(folder: &Folder, name: &str, allocators: &str) -> String {
    let path = folder.file(name, "");
    let arguments = ["run", STRESS, "--seeds", "3", "-a", allocators, "-o", &path];
    let run = run(&arguments);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{allocators}");
    path
}

/// A text whose lines are not broken.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn reverting_the_change_of_5_18_fails_the_gate_and_says_why() {
    let folder = Folder::new();
    let result = stress(&folder, "result.json", &format!("linux-7.2,{REVERTED}"));
    let both = format!("linux-7.2,{REVERTED}");
    let compared = run(&["compare", &result, "--allocators", &both]);
    assert_eq!((compared.status, compared.stderr.as_str()), (1, ""));
    let page = words(&compared.stdout);
    for sentence in [
        "fails: 3 forbidden changes in 1 comparison",
        "linux-7.2~free-space-estimate is linux-7.2 without free-space-estimate (commit \
         5b61343b5059), by which any free below 4 GiB resets max32",
        "forbidden: spurious (requests refused though an aligned gap was free) rose from 0 to",
        "more in 3 of 3 seeds",
        "by cause: shortcut (refused by the short cut (max32_alloc_size) though an aligned gap was \
         free) 0 to",
        "the policy allows no rise",
    ] {
        assert!(page.contains(sentence), "{sentence}\n{}", compared.stdout);
    }
    let turned = format!("{REVERTED},linux-7.2");
    let better = run(&["compare", &result, "--allocators", &turned]);
    assert!(
        words(&better.stdout).contains("spurious"),
        "{}",
        better.stdout
    );
}

#[test]
fn a_release_that_got_worse_fails_the_gate_under_its_own_name() {
    let folder = Folder::new();
    let base = stress(&folder, "base.json", "linux-7.2");
    let worse = stress(&folder, "worse.json", REVERTED);
    let worse = fs::read_to_string(worse)
        .expect("a result")
        .replace(REVERTED, "linux-7.2");
    let worse = folder.file("worse.json", worse);
    let compared = run(&["compare", &base, &worse]);
    assert_eq!(compared.status, 1, "{}", compared.stdout);
    assert!(
        compared
            .stdout
            .contains("look closer:\n  iovasim generate scenarios/founding-stress.json --seed")
    );
}

#[test]
fn a_change_that_alters_nothing_passes() {
    let folder = Folder::new();
    let result = stress(&folder, "result.json", "linux-7.2,linux-6.7");
    let compared = run(&["compare", &result, "--allocators", "linux-6.7,linux-7.2"]);
    assert_eq!(compared.status, 0, "{}", compared.stdout);
    assert!(
        compared
            .stdout
            .starts_with("equal: nothing differs in 1 comparison")
    );
}

#[test]
fn jobs_and_shards_make_the_same_bytes() {
    let scenarios = [
        STRESS,
        "scenarios/arm-counterexample.json",
        "scenarios/founding-state.json",
    ];
    let folder = Folder::new();
    let whole = |jobs: &str| {
        let path = folder.file(&format!("jobs-{jobs}.json"), "");
        let options = ["--jobs", jobs, "-o", &path];
        run(&[&["run"], &scenarios[..], &options].concat());
        fs::read(path).expect("a result")
    };
    let one = whole("1");
    assert!(one == whole("8"), "--jobs 8 makes other bytes");
    let shards: Vec<String> = (1..=7)
        .map(|index| {
            let path = folder.file(&format!("shard-{index}.json"), "");
            let part = format!("{index}/7");
            let options = ["--shard", &part, "-o", &path];
            let run = run(&[&["run"], &scenarios[..], &options].concat());
            assert_eq!((run.status, run.stderr.as_str()), (0, ""));
            path
        })
        .rev()
        .collect();
    let shards: Vec<&str> = shards.iter().map(String::as_str).collect();
    let merged = run(&[&["merge"], &shards[..]].concat());
    assert_eq!((merged.status, merged.stderr.as_str()), (0, ""));
    assert!(merged.stdout.as_bytes() == one, "7 shards make other bytes");

    let refused = |shards: &[&str], expected: &str| {
        let run = run(&[&["merge"], shards].concat());
        assert_eq!((run.status, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    };
    refused(&shards[1..], "shard 7 of 7 is missing");
    refused(&shards[..3], "shards 1, 2, 3, 4 of 7 are missing");
    refused(&[shards[0], shards[0]], "are both shard 7 of 7");
    let part = ["run", STRESS, "--shard", "1/2"];
    let other = folder.file("other.json", run(&part).stdout);
    refused(&[shards[0], &other], "they are not of one run");
    let whole = folder.path("jobs-1.json");
    refused(
        &[whole.to_str().expect("UTF-8")],
        "is whole, expected a shard",
    );
    let said = run(&["compare", shards[0], shards[0]]);
    assert_eq!(said.status, 2);
    assert!(
        said.stderr
            .contains("only shard 7 of 7; put the shards together"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_part_that_does_not_exist_is_bad_usage() {
    for part in ["0/3", "4/3", "1", "1/0", "a/b"] {
        let run = run(&["run", STRESS, "--shard", part]);
        assert_eq!(run.status, 2, "{part}");
        assert!(
            run.stderr.contains("expected K/N with K from 1 to N"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_run_is_held_to_its_baseline() {
    let folder = Folder::new();
    let baseline = folder.path("baseline.json");
    let baseline = baseline.to_str().expect("UTF-8");
    let arguments = ["run", STRESS, "--seeds", "2", "-a", "new"];
    let missing = run(&[&arguments[..], &["--baseline", baseline]].concat());
    assert_eq!(missing.status, 2);
    assert!(
        missing.stderr.contains("no such file; `--update-baseline"),
        "{}",
        missing.stderr
    );
    let made = run(&[&arguments[..], &["--update-baseline", baseline]].concat());
    assert_eq!((made.status, folder.names().len()), (0, 1));
    let same = run(&[&arguments[..], &["--baseline", baseline]].concat());
    assert_eq!(same.status, 0, "{}", same.stderr);
    assert!(
        same.stdout
            .contains("\nequal: nothing differs in 1 comparison"),
        "{}",
        same.stdout
    );

    let worse = fs::read_to_string(baseline).expect("a baseline");
    let worse = worse.replace("\"new\"", "\"old\"");
    let worse = folder.file("worse.json", worse);
    let arguments = [
        "run",
        STRESS,
        "--seeds",
        "2",
        "-a",
        "old",
        "--baseline",
        &worse,
    ];
    let failed = run(&arguments);
    assert_eq!(failed.status, 1, "{}", failed.stdout);
    let documents = run(&[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(documents.status, 1);
    let document: Value = serde_json::from_str(&documents.stdout).expect("one document");
    assert_eq!(document["iovasim"], "result");
    assert!(
        documents.stderr.starts_with("fails: "),
        "{}",
        documents.stderr
    );

    let policy = r#"{"iovasim":"policy","version":1,"rules":[
        {"figure":"failures","rise":"any"},{"figure":"spurious","rise":"any"},
        {"figure":"steps.p999","rise":"any"}]}"#;
    let policy = folder.file("policy.json", policy);
    let allowed = run(&[&arguments[..], &["--policy", &policy]].concat());
    assert_eq!(allowed.status, 0, "{}", allowed.stdout);
    let typo = folder.file("typo.json", r#"{"iovasim":"policy","version":1,"rule":[]}"#);
    let refused = run(&[&arguments[..], &["--policy", &typo]].concat());
    assert_eq!(refused.status, 2);
    assert!(
        refused.stderr.contains("did you mean `rules`?"),
        "{}",
        refused.stderr
    );
}

#[test]
fn other_requests_and_other_seeds_are_refused() {
    let folder = Folder::new();
    let two = folder.file("two.json", "");
    run(&["run", STRESS, "--seeds", "2", "-a", "new", "-o", &two]);
    let three = stress(&folder, "three.json", "new");
    let seeds = run(&["compare", &two, &three]);
    assert_eq!((seeds.status, seeds.stdout.as_str()), (2, ""));
    assert!(
        seeds.stderr.contains("2 seeds (1 to 2)"),
        "{}",
        seeds.stderr
    );
    let text = fs::read_to_string(&three).expect("a result");
    let document: Value = serde_json::from_str(&text).expect("a document");
    let hash = document["results"][0]["traces"][1]["hash"]
        .as_str()
        .expect("a hash");
    let changed = folder.file("changed.json", text.replace(hash, "0123"));
    let requests = run(&["compare", &three, &changed]);
    assert_eq!((requests.status, requests.stdout.as_str()), (2, ""));
    assert!(
        requests.stderr.contains("other requests in seed 2"),
        "{}",
        requests.stderr
    );
}

/// The elements and attributes of Jenkins' `junit-10.xsd` that are needed or allowed here.
fn hold_to_schema(text: &str) -> (usize, usize) {
    let document = roxmltree::Document::parse(text).expect("well-formed XML");
    let number = |node: roxmltree::Node<'_, '_>, name| -> usize {
        let text = node
            .attribute(name)
            .unwrap_or_else(|| panic!("{name} of {node:?}"));
        text.parse().expect("a number")
    };
    let suites = document.root_element();
    assert_eq!(suites.tag_name().name(), "testsuites");
    let (mut tests, mut failures) = (0, 0);
    for suite in suites.children().filter(roxmltree::Node::is_element) {
        assert_eq!(suite.tag_name().name(), "testsuite");
        assert!(suite.attribute("name").is_some_and(|name| !name.is_empty()));
        let cases: Vec<_> = suite
            .children()
            .filter(roxmltree::Node::is_element)
            .collect();
        let mut failed = 0;
        for case in &cases {
            assert_eq!(case.tag_name().name(), "testcase");
            assert!(case.attribute("name").is_some() && case.attribute("classname").is_some());
            let outcomes: Vec<_> = case
                .children()
                .filter(roxmltree::Node::is_element)
                .collect();
            assert!(outcomes.len() <= 1);
            for failure in outcomes {
                assert_eq!(failure.tag_name().name(), "failure");
                assert!(failure.attribute("message").is_some());
                failed += 1;
            }
        }
        assert_eq!(
            (number(suite, "tests"), number(suite, "failures")),
            (cases.len(), failed)
        );
        tests += cases.len();
        failures += failed;
    }
    assert_eq!(
        (number(suites, "tests"), number(suites, "failures")),
        (tests, failures)
    );
    (tests, failures)
}

#[test]
fn every_form_of_the_report_says_the_same() {
    let folder = Folder::new();
    let result = stress(&folder, "result.json", "old,new");
    let report = |form: &str| {
        let run = run(&[
            "compare",
            &result,
            "--allocators",
            "new,old",
            "--format",
            form,
        ]);
        assert_eq!((run.status, run.stderr.as_str()), (1, ""), "{form}");
        run.stdout
    };
    assert_eq!(hold_to_schema(&report("junit")), (5, 3));
    let document: Value = serde_json::from_str(&report("json")).expect("a document");
    assert_eq!(
        (&document["iovasim"], &document["version"]),
        (&"comparison".into(), &1.into())
    );
    assert_eq!(document["forbidden"], 3);
    let markdown = report("markdown");
    assert!(
        markdown.starts_with("### ❌ iovasim fails: 3 forbidden changes in 1 comparison\n")
    );
    let github = report("github");
    let errors = github
        .lines()
        .filter(|line| line.starts_with("::error title="))
        .count();
    assert_eq!((errors, github.lines().count()), (3, 4), "{github}");
}

#[test]
fn expectations_are_test_cases() {
    let folder = Folder::new();
    let junit = folder.file("junit.xml", "");
    let scenario = fs::read_to_string(root().join("scenarios/arm-counterexample.json"));
    let scenario = scenario
        .expect("a scenario")
        .replace("\"../traces", "\"traces");
    let scenario = scenario.replace("\"equals\": 4", "\"equals\": 5");
    let run = run_with_input(&["run", "-", "--junit", &junit], scenario.as_bytes());
    assert_eq!(run.status, 1, "{}", run.stderr);
    let text = fs::read_to_string(junit).expect("a report");
    let (tests, failures) = hold_to_schema(&text);
    assert!(tests >= 5 && failures == 1, "{text}");
}

#[test]
fn what_the_seeds_cannot_tell_apart_passes_by_default() {
    let folder = Folder::new();
    let result = folder.path("result.json");
    let result = result.to_str().expect("UTF-8");
    run(&["run", STRESS, "-a", "new,old", "-o", result]);
    let arguments = ["compare", result, "--allocators", "new,old"];
    let compared = run(&arguments);
    let page = words(&compared.stdout);
    assert!(page.contains("fails: 2 forbidden changes"), "{page}");
    assert!(!page.contains("forbidden: steps.p999"), "{page}");
    let rule = |more: &str| {
        let rule = format!(r#"{{"figure":"steps.p999","rise":0{more}}}"#);
        let policy = format!(r#"{{"iovasim":"policy","version":1,"rules":[{rule}]}}"#);
        let policy = folder.file("policy.json", policy);
        words(&run(&[&arguments[..], &["--policy", &policy]].concat()).stdout)
    };
    let strict = rule("");
    assert!(strict.contains("forbidden: steps.p999"), "{strict}");
    let rose = "more in 11 of 20 seeds and less in 1 of 20 seeds, the most in seed 1 (";
    assert!(strict.contains(rose), "{strict}");
    let apart = rule(r#","apart":true"#);
    assert!(!apart.contains("forbidden: steps.p999"), "{apart}");
}

#[test]
fn what_is_no_result_is_refused_with_the_reason() {
    let sample = fs::read_to_string(root().join("tests/results/version-1.json"));
    let sample = sample.expect("the sample");
    let refused = |text: &str, expected: &str| {
        let run = run_with_input(
            &["compare", "-", "tests/results/version-1.json"],
            text.as_bytes(),
        );
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{expected}");
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    };
    let change = |from: &str, to: &str| {
        assert!(sample.contains(from), "{from}");
        sample.replacen(from, to, 1)
    };
    let newer = change("\"version\": 1", "\"version\": 3");
    let newer = newer.replacen("\"program\": \"0.1.0\"", "\"program\": \"3.4.5\"", 1);
    refused(&newer, "<stdin>:1:1: a result of version 3, and iovasim");
    refused(
        &newer,
        "read it with iovasim 3.4.5, which wrote it, or a newer one",
    );
    refused(
        &change("\"events\": ", "\"evens\": 1, \"events\": "),
        "traces[0].evens: unknown field `evens`",
    );
    refused(&change("\"allocs\": ", "\"allocs\": -"), "<stdin>:");
    refused(
        &change("\"result\"", "\"comparison\""),
        "found a document of kind `comparison`",
    );
    refused(&format!("{sample}{sample}"), "a second time");
    refused(&sample[..sample.len() / 2], "EOF");
    refused(
        "",
        "empty, expected a result as `iovasim run -o FILE.json` writes it",
    );
    refused("[1]", "found no document of iovasim");
    refused("{}", "found an object without `iovasim`");
    refused(&change("\"seed\": 0,", "\"seed\": 9,"), "has no trace");
}

#[test]
fn the_schemas_that_are_checked_in_are_those_that_the_program_prints() {
    let files = [
        ("scenario", "scenarios/schema.json"),
        ("policy", "ci/policy.schema.json"),
    ];
    for (kind, file) in files {
        let printed = run(&["schema", kind]).stdout;
        let found = fs::read_to_string(root().join(file)).unwrap_or_default();
        assert!(
            found == printed,
            "{file} is not up to date: run `iovasim schema {kind} -o {file}`"
        );
    }
}

#[test]
fn a_slurm_job_array_makes_the_same_bytes() {
    let folder = Folder::new();
    let out = folder.path("");
    let whole = folder.path("whole.json");
    let scenario = "scenarios/founding-state.json";
    run(&["run", scenario, "-o", whole.to_str().expect("UTF-8")]);
    let exports = format!(
        "--export=ALL,OUT={},SCENARIOS={scenario},IOVASIM={}",
        out.display(),
        env!("CARGO_BIN_EXE_iovasim")
    );
    let log = format!("--output={}", folder.path("log-%a").display());
    let mut slurm = Command::new(root().join("ci/slurm-one-machine.sh"));
    slurm.current_dir(root());
    slurm.args([
        "sbatch",
        "--parsable",
        "--wait",
        "--array=1-3",
        &exports,
        &log,
    ]);
    let output = slurm.arg("ci/slurm-array.sh").output().expect("a shell");
    if output.status.code() == Some(77) {
        eprintln!(
            "skipped: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        return;
    }
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut merge = command(&["merge"]);
    merge.args((1..=3).map(|index| folder.path(&format!("shard-{index}.json"))));
    let merged = merge.output().expect("the program runs");
    let whole = fs::read(whole).expect("a result");
    assert!(
        merged.stdout == whole,
        "{}",
        String::from_utf8_lossy(&merged.stderr)
    );
}
