//! The licences and sources of everything that is linked, as `deny.toml` allows them.
//!
//! Weighed against `cargo deny`, which reads the same file and knows advisories too, but
//! pulls in hundreds of crates. `.ci/run` runs it where it is installed.

use std::fs;
use std::process::Command;

#[test]
fn licences_and_sources_are_those_that_deny_toml_allows() {
    let text = fs::read_to_string(crate::root().join("deny.toml")).expect("deny.toml");
    let allowed = allowed(&text);
    assert!(allowed.contains(&"MIT"), "no list of licences in deny.toml");
    let tree = Command::new(env!("CARGO"))
        .current_dir(crate::root())
        .args(["tree", "--workspace", "--locked", "--prefix", "none"])
        .args(["--format", "{p}\t{l}"])
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(tree.stdout).expect("text");
    assert!(tree.lines().count() > 10, "cargo tree lists nothing");
    let home = crate::root().to_str().expect("a path");
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let line = line.trim_end_matches(" (*)");
        let (package, licence) = line.split_once('\t').expect("a package and its licence");
        assert!(
            is_allowed(licence, &allowed),
            "{package}: licence {licence}"
        );
        let source = package.split_once(" (").map(|(_, source)| source);
        let source = source.filter(|it| !it.starts_with("proc-macro"));
        assert!(
            source.is_none_or(|it| it.starts_with(home)),
            "{package}: from no registry"
        );
    }
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT", "Unicode-3.0", "Unlicense"];
    for fine in [
        "MIT",
        "Apache-2.0 OR MIT",
        "Unlicense/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
    ] {
        assert!(is_allowed(fine, &allowed), "{fine}");
    }
    for refused in [
        "",
        "Apache-2.0",
        "MIT AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(!is_allowed(refused, &allowed), "{refused}");
    }
}

/// The strings of the list `allow` of `[licenses]`.
fn allowed(deny: &str) -> Vec<&str> {
    let list = deny.split_once("[licenses]").map_or("", |(_, after)| after);
    let list = list
        .split_once("\nallow = [")
        .map_or("", |(_, after)| after);
    let list = list.split(']').next().unwrap_or_default();
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether an SPDX expression, or one in the old form with a slash, leaves a choice that is
/// allowed.
fn is_allowed(licence: &str, allowed: &[&str]) -> bool {
    let expression = licence.replace('/', " OR ");
    expression.split(" AND ").all(|choice| {
        let choice = choice.trim_matches(['(', ')']);
        choice.split(" OR ").any(|it| allowed.contains(&it.trim()))
    })
}
