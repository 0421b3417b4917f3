//! Everything that the program prints and writes of the library of scenarios and traces, held byte
//! for byte. Short text stands in a file beside this one, so that a change of it is read in review;
//! of everything else (documents, charts, streams) the hash is kept in `hashes.txt`.
//!
//! `IOVASIM_BLESS=1 cargo test --test golden` takes what is printed today as right.

mod documents;
mod messages;
mod schema;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use schema::Schema;
use xxhash_rust::xxh3::xxh3_128;

const ALLOCATORS: &str = "linux-4.15,linux-5.10,old,new,linux-7.2,best-fit,maple-2026";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden() -> PathBuf {
    root().join("tests/golden")
}

fn blesses() -> bool {
    std::env::var_os("IOVASIM_BLESS").is_some()
}

/// What the program prints on standard output, and on standard error below it.
fn output(arguments: &[&str]) -> (Vec<u8>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_iovasim"))
        .args(arguments)
        .env_remove("COLUMNS")
        .current_dir(root())
        .output()
        .expect("the program runs");
    let status = output.status.code().expect("no signal ends it");
    assert!(
        status <= 1,
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    (output.stdout, stderr)
}

/// Compares what a command prints with the file of that name.
fn text(name: &str, arguments: &[&str]) -> Result<(), String> {
    let (stdout, stderr) = output(arguments);
    let mut found = String::from_utf8(stdout).expect("UTF-8");
    found.push_str(&stderr);
    same(name, &found)
}

/// Compares a text with the file of that name.
fn same(name: &str, found: &str) -> Result<(), String> {
    let path = golden().join(format!("{name}.txt"));
    if blesses() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        #[expect(clippy::disallowed_methods, reason = "a test's own files")]
        fs::write(&path, found).expect("a golden file is written");
        return Ok(());
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        return Ok(());
    }
    let differs = |(a, b): &(&str, &str)| a != b;
    let line = found
        .lines()
        .zip(expected.lines())
        .position(|it| differs(&it));
    let line = line.unwrap_or(found.lines().count().min(expected.lines().count()));
    Err(format!(
        "{name}.txt:{}: {:?}, expected {:?}\n",
        line + 1,
        found.lines().nth(line).unwrap_or_default(),
        expected.lines().nth(line).unwrap_or_default(),
    ))
}

static HASHES: Mutex<()> = Mutex::new(());

/// Compares hashes with those in `hashes.txt`, which has a line each, in order of their names.
fn hashes(found: &BTreeMap<String, String>) -> Result<(), String> {
    let _one_at_a_time = HASHES
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = golden().join("hashes.txt");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let pair = |line: &str| {
        let (hash, name) = line.split_once("  ").expect("a hash and a name");
        (name.to_owned(), hash.to_owned())
    };
    let mut expected: BTreeMap<String, String> = text.lines().map(pair).collect();
    if blesses() {
        expected.extend(found.clone());
        let mut text = String::new();
        for (name, hash) in &expected {
            writeln!(text, "{hash}  {name}").expect("a string takes text");
        }
        #[expect(clippy::disallowed_methods, reason = "a test's own files")]
        fs::write(&path, text).expect("the hashes are written");
        return Ok(());
    }
    let mut differing = String::new();
    for (name, hash) in found {
        if expected.get(name) != Some(hash) {
            writeln!(differing, "{name}: other bytes than before")
                .expect("a string takes text");
        }
    }
    if differing.is_empty() {
        Ok(())
    } else {
        Err(differing)
    }
}

fn hash(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

fn printed(arguments: &[&str]) -> (String, String) {
    (arguments.join(" "), hash(&output(arguments).0))
}

/// The same of a result document, which the schema of results holds for.
fn result(schema: &Schema, arguments: &[&str]) -> (String, String) {
    let (bytes, _) = output(arguments);
    let name = arguments.join(" ");
    schema.check(&name, &bytes);
    (name, hash(&bytes))
}

/// The files of a folder of the project with that ending, as paths relative to the project.
fn library(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .filter(|name| name != "schema.json")
        .collect();
    names.sort();
    let stem = |name: String| {
        let ending = endings.iter().find(|ending| name.ends_with(**ending))?;
        let stem = name.strip_suffix(ending)?.to_owned();
        Some((stem, format!("{folder}/{name}")))
    };
    names.into_iter().filter_map(stem).collect()
}

fn scenarios() -> Vec<(String, String)> {
    library("scenarios", &[".json"])
}

fn traces() -> Vec<(String, String)> {
    library(
        "traces",
        &[".trace.jsonl", ".trace.jsonl.gz", ".trace.jsonl.zst"],
    )
}

fn all_hold(results: impl Iterator<Item = Result<(), String>>) {
    let differing: String = results.filter_map(Result::err).collect();
    assert!(differing.is_empty(), "{differing}");
}

#[test]
fn messages_read_as_before() {
    same("messages", &messages::all()).expect("the same messages");
}

#[test]
fn help_reads_as_before() {
    const COMMANDS: [&str; 17] = [
        "run",
        "replay",
        "explain",
        "bisect",
        "shrink",
        "compare",
        "plot",
        "merge",
        "generate",
        "history",
        "import",
        "convert",
        "record",
        "profile",
        "stats",
        "allocators",
        "schema",
    ];
    let whole = text("help/iovasim", &["--help"]);
    let each = COMMANDS.map(|it| text(&format!("help/{it}"), &[it, "--help"]));
    let list = text("allocators", &["allocators"]);
    all_hold([whole, list].into_iter().chain(each));
}

#[test]
fn runs_of_scenarios_print_as_before() {
    all_hold(
        scenarios().iter().map(|(name, path)| {
            text(&format!("run/{name}"), &["run", path, "--tables", "all"])
        }),
    );
}

#[test]
fn results_of_scenarios_are_as_before() {
    let schema = Schema::of_results();
    let run =
        |(_, path): &(String, String)| result(&schema, &["run", path, "--format", "json"]);
    all_hold([hashes(&scenarios().iter().map(run).collect())].into_iter());
}

#[test]
fn generated_traces_are_as_before() {
    let generate = |(_, path): &(String, String)| printed(&["generate", path]);
    all_hold([hashes(&scenarios().iter().map(generate).collect())].into_iter());
}

#[test]
fn replays_of_traces_print_as_before() {
    all_hold(traces().iter().flat_map(|(name, path)| {
        [
            text(
                &format!("replay/{name}"),
                &["replay", path, "-a", ALLOCATORS, "--tables", "all"],
            ),
            text(&format!("stats/{name}"), &["stats", path]),
        ]
    }));
}

#[test]
fn documents_of_traces_are_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = Schema::of_results();
    let mut found = BTreeMap::new();
    for (name, path) in traces() {
        let document = |arguments: &[&str]| {
            result(&schema, &[arguments, &[&path, "--format", "json"]].concat())
        };
        found.extend([
            document(&["replay", "-a", ALLOCATORS]),
            document(&["replay", "-a", "old,new", "--sample=1000"]),
            printed(&["stats", &path, "--format", "json"]),
            printed(&["convert", &path, "-o", "-"]),
            printed(&["profile", &path, "-o", "-"]),
        ]);
        let outcomes = folder.path().join("{allocator}.jsonl");
        let outcomes = outcomes.to_str().expect("UTF-8");
        output(&["replay", &path, "-a", ALLOCATORS, "--outcomes", outcomes]);
        for allocator in ALLOCATORS.split(',') {
            let bytes = fs::read(outcomes.replace("{allocator}", allocator));
            let bytes = bytes.expect("an outcome stream an allocator");
            found.insert(
                format!("outcomes of {name} under {allocator}"),
                hash(&bytes),
            );
        }
    }
    all_hold([hashes(&found)].into_iter());
}

#[test]
fn charts_are_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut found = BTreeMap::new();
    for scenario in ["founding-stress", "camera", "mediatek-report"] {
        let result = folder.path().join(format!("{scenario}.json"));
        let result = result.to_str().expect("UTF-8");
        let path = format!("scenarios/{scenario}.json");
        output(&["run", &path, "--sample=500", "--output", result]);
        for (format, theme) in [("svg", "light"), ("svg", "dark"), ("png", "light")] {
            let charts = folder.path().join(format!("{scenario}-{format}-{theme}"));
            let to = charts.to_str().expect("UTF-8");
            output(&[
                "plot", result, "-o", to, "--format", format, "--theme", theme,
            ]);
            for entry in fs::read_dir(&charts).expect("charts") {
                let path = entry.expect("an entry").path();
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                let bytes = fs::read(&path).expect("a chart");
                found.insert(format!("{theme} {name} of {scenario}"), hash(&bytes));
            }
        }
    }
    all_hold([hashes(&found)].into_iter());
}

#[test]
fn comparisons_print_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("result.json");
    let result = path.to_str().expect("UTF-8");
    output(&["run", "scenarios/founding-stress.json", "--output", result]);
    let mut found = BTreeMap::new();
    for format in ["text", "markdown", "json", "junit", "github"] {
        let arguments = [
            "compare",
            result,
            "--allocators",
            "new,old",
            "--format",
            format,
        ];
        let (stdout, stderr) = output(&arguments);
        let printed = String::from_utf8(stdout).expect("UTF-8") + &stderr;
        let printed = printed.replace(result, "result.json");
        found.insert(format!("compare {format}"), hash(printed.as_bytes()));
    }
    all_hold([hashes(&found)].into_iter());
}
