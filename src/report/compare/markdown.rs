//! A comparison for a pull request: the verdict first, then what vanished, then a short table
//! of what is forbidden; everything else is folded.

use std::fmt::Write;

use super::{Change, Comparison, Pair, words};
use crate::report::escape::markdown as escaped;
use crate::report::table::dash;

/// How many rows the short table has at most.
const ROWS_MAX: usize = 20;

/// The text, in the Markdown of code forges.
pub fn text(comparison: &Comparison) -> String {
    let sign = if comparison.passes() { "✅" } else { "❌" };
    let mut text = format!(
        "### {sign} iovasim {}\n\n",
        escaped(&words::verdict(comparison))
    );
    for place in &comparison.vanished {
        let _ = writeln!(
            text,
            "* **forbidden:** {}",
            escaped(&words::vanished(place))
        );
    }
    for changed in &comparison.changed {
        let _ = writeln!(
            text,
            "* **forbidden:** {}",
            escaped(&words::changed(changed))
        );
    }
    if !comparison.vanished.is_empty() || !comparison.changed.is_empty() {
        text.push('\n');
    }
    let mut explained: Vec<String> = Vec::new();
    let failing = comparison
        .pairs
        .iter()
        .filter(|it| it.forbidden().next().is_some());
    for sentence in failing.flat_map(words::explained) {
        if !explained.contains(&sentence) {
            let _ = writeln!(text, "{}\n", escaped(&sentence));
            explained.push(sentence);
        }
    }
    text += &summary(comparison);
    for pair in comparison.pairs.iter().filter(|it| !it.is_equal()) {
        text += &details(pair);
    }
    text += &rest(comparison);
    text
}

/// The forbidden changes, or, where there are none, those of the figures that the policy holds
/// to something.
fn summary(comparison: &Comparison) -> String {
    let any_forbidden = comparison
        .pairs
        .iter()
        .any(|it| it.forbidden().next().is_some());
    let rows: Vec<(&Pair, &Change)> = comparison
        .pairs
        .iter()
        .flat_map(|pair| pair.changes.iter().map(move |change| (pair, change)))
        .filter(|(pair, change)| {
            if any_forbidden {
                change.forbidden.is_some()
            } else {
                pair.held.contains(&change.metric)
            }
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = "| scenario | allocator | figure | before | after | 95 % a seed | |\n\
                    | --- | --- | --- | ---: | ---: | ---: | --- |\n"
        .to_owned();
    for (pair, change) in rows.iter().take(ROWS_MAX) {
        let cells = [
            escaped(&pair.scenario),
            escaped(&words::who(pair)),
            format!(
                "`{}`: {}",
                change.metric.metric().path,
                escaped(words::means(change))
            ),
            words::value(change.metric, change.before),
            words::value(change.metric, change.after),
            interval(change),
            words::word(change).to_owned(),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    if let Some(more) = rows.len().checked_sub(ROWS_MAX).filter(|&more| more > 0) {
        let _ = writeln!(text, "\n{more} more are in the details.");
    }
    text.push('\n');
    text
}

fn interval(change: &Change) -> String {
    let paired = change.paired.as_ref();
    dash(paired.and_then(|it| words::interval(change.metric, it)))
}

fn details(pair: &Pair) -> String {
    let mut text = String::new();
    let heading = html(&words::heading(pair));
    let figures = pair.changes.len();
    let _ = writeln!(
        text,
        "<details><summary>{heading}: {figures} figures differ</summary>\n"
    );
    for change in pair.forbidden() {
        let sentence = escaped(&words::forbidden(pair, change));
        let _ = writeln!(text, "* **forbidden:** {sentence}");
    }
    if pair.forbidden().next().is_some() {
        text.push('\n');
    }
    if let Some(sentence) = words::otherwise(pair) {
        let _ = writeln!(text, "{sentence}\n");
    }
    if !pair.changes.is_empty() {
        text += "| figure | what it is | before | after | difference | 95 % a seed | up | down \
                 | |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n";
    }
    for change in &pair.changes {
        let paired = change.paired.as_ref();
        let cells = [
            format!("`{}`", change.metric.metric().path),
            words::means(change).to_owned(),
            words::value(change.metric, change.before),
            words::value(change.metric, change.after),
            dash(words::difference(change)),
            interval(change),
            dash(paired.map(|it| it.seeds_up.to_string())),
            dash(paired.map(|it| it.seeds_down.to_string())),
            words::word(change).to_owned(),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    if let Some(command) = words::look_closer(pair) {
        let _ = writeln!(text, "\nLook closer:\n\n```sh\n{command}\n```");
    }
    text += "\n</details>\n\n";
    text
}

fn rest(comparison: &Comparison) -> String {
    let mut lines = Vec::new();
    lines.extend(
        words::equal(comparison)
            .iter()
            .map(|it| format!("equal: {}", escaped(it))),
    );
    lines.extend(comparison.added.iter().map(|it| escaped(&words::added(it))));
    let skipped = comparison.skipped.iter();
    lines.extend(skipped.map(|it| format!("{}: without both allocators", escaped(it))));
    if lines.is_empty() {
        return String::new();
    }
    let count = lines.len();
    let lines = lines.join("\n* ");
    let title = format!("What is equal, new or not compared ({count})");
    format!("<details><summary>{title}</summary>\n\n* {lines}\n\n</details>\n")
}

/// Text in an HTML element.
fn html(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use crate::report::compare::testing;

    #[test]
    fn the_verdict_comes_first_and_names_are_no_markup() {
        let comparison = testing::comparison("a|b", &[1, 2], &[1, 4]);
        let text = super::text(&comparison);
        let first = text.lines().next().expect("a line");
        assert_eq!(
            first,
            "### ❌ iovasim fails: 1 forbidden change in 1 comparison"
        );
        assert!(
            text.contains("| a\\|b | old | `failures`: requests refused | 3 | 5 | "),
            "{text}"
        );
        assert!(
            text.contains("<details><summary>a|b: old, 2 seeds"),
            "{text}"
        );
    }
}
