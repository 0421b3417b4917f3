//! A comparison for the terminal.

use super::{Comparison, Pair, words};
use crate::report::table::dash;
use crate::report::{Page, Table};

/// The page: the verdict, what is forbidden, and a table of each pair that differs.
pub fn page(comparison: &Comparison, page: Page) -> String {
    let mut blocks = vec![verdict(comparison, page)];
    let vanished = comparison.vanished.iter().map(|it| {
        let sentence = format!("forbidden: {}", words::vanished(it));
        page.warning(&sentence)
    });
    blocks.push(vanished.collect());
    let changed = comparison.changed.iter().map(|it| {
        let sentence = format!("forbidden: {}", words::changed(it));
        page.warning(&sentence)
    });
    blocks.push(changed.collect());
    let differ = comparison.pairs.iter().filter(|it| !it.is_equal());
    blocks.extend(differ.map(|it| pair(it, page)));
    let equal = words::equal(comparison);
    if !equal.is_empty() && !comparison.is_equal() {
        let sentence = format!("equal: {}", equal.join("; "));
        blocks.push(page.paragraph(&sentence));
    }
    let added = comparison.added.iter();
    blocks.push(added.map(|it| page.paragraph(&words::added(it))).collect());
    if !comparison.skipped.is_empty() {
        let names = comparison.skipped.join(", ");
        blocks.push(page.paragraph(&format!("without both allocators: {names}")));
    }
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

fn verdict(comparison: &Comparison, page: Page) -> String {
    let sides = if comparison.base == comparison.new {
        format!("between allocators of {}", comparison.base)
    } else {
        format!("{} against {}", comparison.new, comparison.base)
    };
    let verdict = words::verdict(comparison);
    let line = if comparison.passes() {
        page.heading(&verdict)
    } else {
        page.warning(&verdict)
    };
    line + &page.paragraph(&sides)
}

fn pair(pair: &Pair, page: Page) -> String {
    let mut text = page.heading(&words::heading(pair));
    for sentence in words::explained(pair) {
        text += &page.paragraph(&sentence);
    }
    for change in pair.forbidden() {
        let sentence = format!("forbidden: {}", words::forbidden(pair, change));
        text += &page.warning(&sentence);
    }
    if let Some(sentence) = words::otherwise(pair) {
        return text + &page.paragraph(sentence);
    }
    text.push('\n');
    text += &table(pair).render(page);
    if let Some(command) = words::look_closer(pair) {
        text += "\nlook closer:\n  ";
        text += &crate::report::escape::terminal(&command);
        text.push('\n');
    }
    text
}

fn table(pair: &Pair) -> Table {
    let headings = [
        "before",
        "after",
        "difference",
        "95 % a seed",
        "up",
        "down",
        "",
    ];
    let mut table = Table::new("figure", &headings);
    for change in &pair.changes {
        let paired = change.paired.as_ref();
        let cells = vec![
            words::value(change.metric, change.before),
            words::value(change.metric, change.after),
            dash(words::difference(change)),
            dash(paired.and_then(|it| words::interval(change.metric, it))),
            dash(paired.map(|it| it.seeds_up.to_string())),
            dash(paired.map(|it| it.seeds_down.to_string())),
            words::word(change).to_owned(),
        ];
        table.row(change.metric.metric().path, cells);
    }
    table
}
