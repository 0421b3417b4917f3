//! The README's commands work, and print what it says they print.

use std::fs;
use std::process::Command;

use crate::support::{Folder, root};

/// A fenced block of the README.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

fn blocks(readme: &str) -> Vec<Block<'_>> {
    let fenced = readme.split("```").skip(1).step_by(2);
    let blocks = fenced.map(|block| {
        let (language, text) = block.split_once('\n').expect("a fence ends its line");
        Block { language, text }
    });
    blocks.collect()
}

/// What a block prints. The program that was built for this test stands for the one that
/// cargo would build, and the tests do not run themselves.
fn output(folder: &Folder, script: &str) -> String {
    let program = env!("CARGO_BIN_EXE_iovasim");
    let prelude = format!(
        "set -eo pipefail
         iovasim() {{ {program:?} \"$@\"; }}
         cargo() {{
             case $1 in
             test) ;;
             run) while [ \"$1\" != -- ]; do shift; done; shift; iovasim \"$@\" ;;
             *) return 1 ;;
             esac
         }}
         "
    );
    let output = Command::new("bash")
        .args(["-c", &format!("{prelude}{script}")])
        .current_dir(folder.path(""))
        .output()
        .expect("bash runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_command_of_the_charts_works() {
    let readme = fs::read_to_string(root().join("plots/README.md")).expect("a README");
    let folder = Folder::like_the_project();
    let scripts = blocks(&readme).into_iter().filter(|it| it.language == "sh");
    let run = scripts.map(|block| output(&folder, block.text));
    assert_eq!(run.count(), 1);
}

/// The commands of which the README shows what they print.
const PRINTING: [&str; 2] = ["run scenarios/mediatek-report.json", "iovasim profile "];

#[test]
fn every_command_prints_what_the_readme_says() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let blocks = blocks(&readme);
    let folder = Folder::like_the_project();
    let mut compared = 0;
    for (index, block) in blocks.iter().enumerate() {
        if block.language != "sh" {
            continue;
        }
        let found = output(&folder, block.text);
        // What a command prints follows it, where that is shown.
        if let Some(shown) = blocks.get(index + 1).filter(|next| next.language == "text")
            && !found.is_empty()
            && PRINTING.iter().any(|command| block.text.contains(command))
        {
            assert_eq!(found, shown.text, "what {} prints", block.text);
            compared += 1;
        }
    }
    assert_eq!(compared, PRINTING.len());
}
