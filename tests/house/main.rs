//! The rules of the source that no compiler holds: floors depend downwards only, modules do not
//! import each other in circles, files are short and say what they are for, licences are
//! compatible with that of the program.
//!
//! Weighed against `syn`, which parses everything but resolves nothing, and would be built once
//! more for this test alone: paths and `use` trees are all that is needed, and the formatter
//! keeps their shape.

mod licences;
mod modules;
mod paths;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use modules::{Import, Source};

const LINES_MAX: usize = 600;

/// The floors of the house from the top down. A floor depends on those in later rows alone.
const FLOORS: [&[&str]; 13] = [
    &["cli"],
    &["plot"],
    &["report"],
    &["study"],
    &["diagnose"],
    &["profile"],
    &["scenario"],
    &["fault"],
    &["workload"],
    &["strict_json"],
    &["import"],
    &["trace"],
    &["iova", "tracedat"],
];

#[test]
fn floors_depend_downwards_only() {
    let mut wrong = Vec::new();
    for (module, import) in imports(&Source::read(root())) {
        let (from, to) = (floor(&module), floor(&import.module));
        if from != to && rank(from).is_none_or(|rank_from| rank(to) <= Some(rank_from)) {
            wrong.push(format!("{module} uses {}::{}", import.module, import.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "upwards, or a floor that FLOORS lacks:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_modules_import_each_other_in_circles() {
    let source = Source::read(root());
    let mut graph = Graph::new();
    for (module, import) in imports(&source) {
        let names = graph
            .entry(module)
            .or_default()
            .entry(import.module)
            .or_default();
        names.push(import.name);
    }
    let mut wrong = Vec::new();
    for circle in circles(&graph) {
        wrong.push(format!("\n{}", circle.join(", ")));
        for (from, uses) in graph.iter().filter(|(it, _)| circle.contains(&it.as_str())) {
            for (to, names) in uses.iter().filter(|(it, _)| circle.contains(&it.as_str())) {
                wrong.push(format!("    {from} uses {to}: {}", names.join(", ")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "modules import each other in circles:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for folder in ["src", "crates", "tests", "benches"] {
        for path in modules::rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("a source file");
            let lines = text.lines().count();
            if lines > LINES_MAX {
                wrong.push(format!("{}: {lines} lines", path.display()));
            }
            let is_test = path.ends_with("tests.rs") || path.ends_with("testing.rs");
            if !text.starts_with("//!") && !is_test {
                wrong.push(format!("{}: does not say what it is for", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn circles_and_upward_paths_are_found() {
    let source = Source::of([
        ("iovasim", "pub mod a; pub mod b;"),
        (
            "iovasim::a",
            "mod part;\npub use part::Thing;\nuse crate::b::{self, other::Deep};",
        ),
        ("iovasim::a::part", "pub struct Thing;"),
        (
            "iovasim::b",
            "fn f() { crate::a::Thing::new() }\n#[cfg(test)]\nmod tests { use crate::a; }",
        ),
        (
            "iovasim::b::other",
            "use super::super::a::Thing;\n// use crate::b::Nothing;",
        ),
    ]);
    let found: Vec<String> = imports(&source)
        .map(|(from, import)| format!("{from} > {}::{}", import.module, import.name))
        .collect();
    assert_eq!(
        found,
        [
            "iovasim::a > iovasim::b::",
            "iovasim::a > iovasim::b::other::Deep",
            "iovasim::b > iovasim::a::part::Thing",
            "iovasim::b::other > iovasim::a::part::Thing",
        ]
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn imports(source: &Source) -> impl Iterator<Item = (String, Import)> + '_ {
    let modules = source.modules();
    modules.flat_map(|module| {
        let of = move |import| (module.to_owned(), import);
        source.imports(module).into_iter().map(of)
    })
}

/// `plot` for `iovasim::plot::axis`, `iova` for `iova::units`.
fn floor(module: &str) -> &str {
    let mut names = module.split("::");
    match names.next() {
        Some("iovasim") => names.next().unwrap_or("cli"),
        other => other.unwrap_or_default(),
    }
}

fn rank(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|row| row.contains(&floor))
}

type Graph = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// Sets of modules each of which reaches each other one of its set.
fn circles(graph: &Graph) -> Vec<Vec<&str>> {
    let reached: BTreeMap<&str, Vec<&str>> = (graph.keys())
        .map(|from| (from.as_str(), reachable(graph, from)))
        .collect();
    let mut circles: Vec<Vec<&str>> = Vec::new();
    for (from, to) in &reached {
        let back = |to: &&&str| reached.get(**to).is_some_and(|it| it.contains(from));
        let mut circle: Vec<&str> = to.iter().filter(back).copied().collect();
        circle.sort_unstable();
        if !circle.is_empty() && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn reachable<'a>(graph: &'a Graph, from: &str) -> Vec<&'a str> {
    let next = |module: &str| graph.get(module).into_iter().flat_map(|it| it.keys());
    let mut reached: Vec<&str> = Vec::new();
    let mut rest: Vec<&str> = next(from).map(String::as_str).collect();
    while let Some(module) = rest.pop() {
        if !reached.contains(&module) {
            reached.push(module);
            rest.extend(next(module).map(String::as_str));
        }
    }
    reached
}
