//! The pages in `docs/` print what the program prints: each `sh` block that a `text` block follows.

use std::fs;
use std::process::Command;

use crate::{Run, root};

#[test]
fn every_command_prints_the_text_below_it() {
    let page = fs::read_to_string(root().join("docs/explain.md")).expect("a page");
    let blocks: Vec<(&str, &str)> = page
        .split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').expect("a fence ends its line"))
        .collect();
    let pairs = blocks.windows(2).filter_map(|pair| match pair {
        [("sh", command), ("text", text)] => Some((*command, *text)),
        _ => None,
    });
    let mut compared = 0;
    for (command, text) in pairs {
        let program = env!("CARGO_BIN_EXE_iovasim");
        let script = format!("iovasim() {{ {program:?} \"$@\"; }}; {command}");
        let mut bash = Command::new("bash");
        let output = bash.args(["-c", &script]).current_dir(root()).output();
        let run = Run::from(output.expect("bash runs"));
        assert_eq!(run.stdout, text, "{command}{}", run.stderr);
        compared += 1;
    }
    assert!(compared >= 2, "the page shows what commands print");
}
