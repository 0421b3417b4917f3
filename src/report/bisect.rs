//! Which change makes a difference, in sentences and a table of releases.

use serde::Serialize;

use super::block::{self, Block};
use super::differs::list;
use super::number::grouped;
use super::table::dash;
use super::{Page, Table};
use crate::diagnose::bisect::{Bisected, Effect, Step};

/// The result as text.
pub fn text(source: &str, bisected: &Bisected, page: Page) -> String {
    block::text(&sections(source, bisected), page)
}

/// The result as Markdown.
pub fn markdown(source: &str, bisected: &Bisected) -> String {
    block::markdown(&sections(source, bisected))
}

#[derive(Serialize)]
struct Document<'a> {
    iovasim: &'static str,
    version: u64,
    source: &'a str,
    #[serde(flatten)]
    bisected: &'a Bisected,
}

/// The result as JSON.
pub fn json(source: &str, bisected: &Bisected) -> String {
    super::document(&Document {
        iovasim: "bisection",
        version: 1,
        source,
        bisected,
    })
}

fn sections(source: &str, bisected: &Bisected) -> Vec<Vec<Block>> {
    let mut told = vec![Block::Heading(source.to_owned())];
    if bisected.steps.is_empty() {
        let nothing = "No change between the allocators makes a difference.";
        told.push(Block::Paragraph(nothing.to_owned()));
    }
    for step in &bisected.steps {
        told.extend(sentences(step).map(Block::Paragraph));
    }
    let shows = bisected.releases.iter().any(|it| it.shows.is_some());
    let headings = ["refused", "with room", "shows it"];
    let mut table = Table::new("release", &headings[..if shows { 3 } else { 2 }]);
    for release in &bisected.releases {
        let mut cells = vec![grouped(release.refused), grouped(release.spurious)];
        if shows {
            let verdict = release.shows.map(|it| if it { "yes" } else { "no" });
            cells.push(dash(verdict.map(str::to_owned)));
        }
        table.row(&release.allocator, cells);
    }
    vec![told, vec![Block::Table(table)]]
}

fn sentences(step: &Step) -> impl Iterator<Item = String> + '_ {
    let predicate = &step.predicate;
    let does = match predicate.strip_prefix("refuses:@,") {
        Some(event) if step.shown_after => format!("refuses event {event}"),
        Some(event) => format!("grants event {event}"),
        None if step.shown_after => format!("shows {predicate}"),
        None => format!("does not show {predicate}"),
    };
    let first = format!("{} {does}, {} does not.", step.to, step.from);
    let telling = |it: &&Effect| it.enough == Some(true) || it.needed == Some(true);
    let effects = step.changes.iter().filter(telling).map(effect);
    let is_single = step.smallest.iter().any(|set| set.len() == 1);
    let sets = (!is_single).then(|| sets(step));
    std::iter::once(first).chain(effects).chain(sets)
}

fn effect(it: &Effect) -> String {
    let (enough, needed) = (it.enough == Some(true), it.needed == Some(true));
    let verdict = match (enough, needed) {
        (true, true) => "It alone is enough, and needed.",
        (true, false) => "It alone is enough, but not needed.",
        _ => "It is needed, but not enough alone.",
    };
    let commit = it.commit.unwrap_or("a proposal");
    format!("{commit} ({}): {}. {verdict}", it.slug, it.summary)
}

fn sets(step: &Step) -> String {
    if step.smallest.is_empty() {
        return "No set of up to three changes makes the difference.".to_owned();
    }
    let sets = step.smallest.iter().map(|set| list(set));
    format!(
        "Enough together: {}.",
        sets.collect::<Vec<_>>().join("; or ")
    )
}
