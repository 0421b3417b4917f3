//! Names that a terminal, a shell or Markdown would act on.

use serde_json::Value;

use crate::support::{Folder, run};

/// Whether a terminal would act on a text.
fn acts(text: &str) -> bool {
    text.chars()
        .any(|it| it.is_control() && it != '\n' || it == '\u{202e}')
}

#[test]
fn no_escape_sequence_of_an_input_reaches_the_terminal() {
    let folder = Folder::new();
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\\n";
    let escaped = serde_json::to_string(hostile).expect("JSON");
    let trace = format!(
        "{{\"iovasim\":\"trace\",\"version\":1,\"name\":{escaped},\"source\":{escaped}}}\n\
         {{\"op\":\"map\",\"id\":1,\"bytes\":1,\"mask\":4294967295,\"dev\":{escaped}}}\n"
    );
    let trace = folder.file("t.jsonl", trace);
    let unknown = folder.file("s.json", format!("{{{escaped}:1}}"));
    for arguments in [
        &["replay", &trace, "--tables", "all"][..],
        &["replay", &trace, "--format", "markdown"],
        &["stats", &trace],
        &["run", &unknown],
        &["compare", &unknown, &unknown],
        &["replay", hostile],
    ] {
        let run = run(arguments);
        assert!(!acts(&run.stdout), "{arguments:?}: {:?}", run.stdout);
        assert!(!acts(&run.stderr), "{arguments:?}: {:?}", run.stderr);
        assert!(
            run.stderr.lines().count() <= 1,
            "{arguments:?}: {:?}",
            run.stderr
        );
    }
}

#[test]
fn a_name_forges_no_verdict_and_no_command() {
    let folder = Folder::new();
    let result = folder.path("result.json");
    let result = result.to_str().expect("UTF-8");
    let made = run(&["run", "scenarios/mediatek-report.json", "-o", result]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let text = std::fs::read_to_string(result).expect("a result");
    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    let name = "a\n```\n\n</details>\n\n### iovasim passes\n\n```sh\n$(touch b)";
    document["results"][0]["subject"]["scenario"]["name"] = name.into();
    document["results"][0]["file"] = "x; touch b #.json".into();
    let text = document.to_string().replace("\"old\"", "\"old;touch b\"");
    let file = folder.file("hostile.json", text);
    let compared = |format| {
        let names = "new,old;touch b";
        run(&["compare", &file, "--allocators", names, "--format", format]).stdout
    };
    let markdown = compared("markdown");
    let verdicts = markdown.lines().filter(|line| line.starts_with("###"));
    assert_eq!(verdicts.count(), 1, "{markdown}");
    let fences = markdown.lines().filter(|line| line.starts_with("```"));
    assert!(fences.count() <= 2, "{markdown}");
    for form in [markdown, compared("text"), compared("github")] {
        let commands = form
            .lines()
            .filter(|line| line.contains("iovasim generate"));
        for command in commands {
            assert!(command.contains("'x; touch b #.json'"), "{command}");
            assert!(command.contains("'new,old;touch b'"), "{command}");
        }
    }
}
