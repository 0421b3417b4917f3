//! Each trace in `traces/regressions/` is the smallest that shows the change it is named after.

use std::collections::BTreeSet;
use std::fs;

use iova::kernel::changes::TABLE;

use crate::{root, run};

/// Changes without such a trace: what they change is no answer that a few events show.
const WITHOUT: [(&str, &str); 7] = [
    ("stale-cached32", "the kernel crashes without it"),
    ("flush-depot", "a depot takes a full magazine first"),
    ("restart-at-limit", "it changes the number of steps alone"),
    ("magazine-127", "a magazine has to be filled"),
    ("depot-list", "32 magazines have to be filled"),
    ("depot-reclaim", "a magazine has to be filled for each CPU"),
    ("single-flush-queue", "without it there is no such domain"),
];

#[test]
fn every_change_is_shown_by_a_trace_that_cannot_be_shrunk() {
    let mut shown: BTreeSet<&str> = WITHOUT.iter().map(|(slug, _)| *slug).collect();
    for entry in fs::read_dir(root().join("traces/regressions")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|it| it.to_str()).expect("UTF-8");
        let slug = name.strip_suffix(".trace.jsonl").expect("a trace");
        let row = TABLE.iter().find(|row| row.slug == slug);
        let row = row.unwrap_or_else(|| panic!("{name} is named after no change"));
        let [with, without] = match row.first {
            Some(first) => [format!("linux-{first}"), format!("linux-{first}~{slug}")],
            None => [format!("linux-5.17+{slug}"), "linux-5.17".to_owned()],
        };
        let text = fs::read_to_string(&path).expect("a trace");
        let file = format!("traces/regressions/{name}");
        let predicate = format!("differs:{with},{without}");
        let shrunk = run(&["shrink", &file, "--keep", &predicate]);
        assert_eq!(shrunk.status, Some(0), "{}", shrunk.stderr);
        let lines = shrunk.stdout.lines().count();
        assert_eq!(lines, text.lines().count(), "{name} can be shrunk");
        let story = format!("\"name\":\"{slug} (");
        assert!(
            text.starts_with("{\"iovasim\"") && text.contains(&story),
            "{name}"
        );
        assert!(shown.insert(row.slug), "{name} twice");
    }
    let all: BTreeSet<&str> = TABLE.iter().map(|row| row.slug).collect();
    assert_eq!(shown, all);
}
