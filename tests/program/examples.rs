//! What the program says of itself: every command's help ends with an example that works.

use std::process::Command;

use crate::support::{root, run};

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = run(&["--help"]).stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let commands = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let commands = commands.filter(|name| !name.is_empty() && *name != "help");
    commands.map(str::to_owned).collect()
}

#[test]
fn every_example_works() {
    let commands = commands();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let help = run(&[&command, "--help"]);
        assert_eq!((help.status, help.stderr.as_str()), (0, ""), "{command}");
        let lines: Vec<&str> = help.stdout.trim_end().lines().collect();
        let begin = lines.iter().position(|line| line.starts_with("Example"));
        let begin = begin.unwrap_or_else(|| panic!("{command} has no example"));
        let example: Vec<&str> = lines[begin..]
            .iter()
            .filter_map(|line| line.strip_prefix("  "))
            .collect();
        let example = example.join(" ");
        let starts = example.starts_with(&format!("iovasim {command} "));
        assert!(
            starts || example == format!("iovasim {command}"),
            "{command}: {example}"
        );
        let program = env!("CARGO_BIN_EXE_iovasim");
        let script =
            format!("set -eo pipefail; iovasim() {{ {program:?} \"$@\"; }}; {example}");
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(root())
            .output()
            .expect("bash runs");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{example}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!output.stdout.is_empty(), "{example}");
    }
}

#[test]
fn the_list_of_allocators_has_them_all() {
    let text = run(&["allocators"]).stdout;
    for name in [
        "old",
        "linux-5.18 ... 5.19",
        "free-space-estimate",
        "align-cap-N",
        "maple-2026",
    ] {
        assert!(text.contains(name), "{name}");
    }
    let document = run(&["allocators", "--format", "json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).expect("a document");
    let releases = document["releases"].as_array().expect("releases");
    let names = releases.iter().map(|release| release["allocator"].as_str());
    for name in names.map(|name| name.expect("a name")) {
        let parsed: Result<iovasim::model::Allocator, _> = name.parse();
        assert!(parsed.is_ok(), "{name}");
    }
    assert_eq!(releases.len(), 6 + 20 + 20 + 3);
}
