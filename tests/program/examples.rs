//! What the program says of itself: every command's help ends with an example that works.

use std::process::{Command, Output};

use crate::support::{Folder, run};

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = run(&["--help"]).stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let commands = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let commands = commands.filter(|name| !name.is_empty() && *name != "help");
    commands.map(str::to_owned).collect()
}

/// The commands of a help's examples: indented lines, some of which go on in the next.
fn examples(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| !line.starts_with("Example"));
    let mut examples: Vec<String> = Vec::new();
    for line in lines.filter_map(|line| line.strip_prefix("  ")) {
        match examples.last_mut() {
            Some(last) if !line.starts_with("iovasim ") => {
                last.push(' ');
                last.push_str(line);
            }
            _ => examples.push(line.to_owned()),
        }
    }
    examples
}

/// Runs a command in a folder that looks like the project's; what it prints.
fn output(folder: &Folder, example: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_iovasim");
    let script = format!("set -eo pipefail; iovasim() {{ {program:?} \"$@\"; }}; {example}");
    let mut bash = Command::new("bash");
    let bash = bash.args(["-c", &script]).current_dir(folder.path(""));
    bash.output().expect("bash runs")
}

#[test]
fn every_example_works() {
    let commands = commands();
    assert!(commands.len() >= 8, "{commands:?}");
    let folder = Folder::like_the_project();
    for command in commands {
        let help = run(&[&command, "--help"]);
        assert_eq!((help.status, help.stderr.as_str()), (0, ""), "{command}");
        let examples = examples(&help.stdout);
        assert!(!examples.is_empty(), "{command} has no example");
        let shown = examples
            .iter()
            .any(|example| example.starts_with(&format!("iovasim {command}")));
        assert!(shown, "{command}: {examples:?}");
        for example in examples {
            let output = output(&folder, &example);
            let stderr = String::from_utf8_lossy(&output.stderr);
            // A gate that shuts has done its work.
            let works = matches!(output.status.code(), Some(0 | 1));
            assert!(
                works && !stderr.contains("iovasim: "),
                "{example}: {stderr}"
            );
        }
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
        let parsed: Result<iova::kernel::Allocator, _> = name.parse();
        assert!(parsed.is_ok(), "{name}");
    }
    assert_eq!(releases.len(), 6 + 20 + 20 + 3);
}
