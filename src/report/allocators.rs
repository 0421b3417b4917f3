//! What can be named as an allocator, from the tables of the models.

use std::fmt::Write;

use serde::Serialize;

use super::Page;
use iova::kernel::allocator::ALIASES;
use iova::kernel::changes::{Release, Row, TABLE};
use iova::kernel::design::DESIGNS;

/// The list as text.
pub fn text(page: Page) -> String {
    let mut text = page.bold("names that stand for others\n");
    for (alias, meaning) in ALIASES {
        text += &entry(page, alias, "", meaning);
    }
    text += &page.bold("\nreleases, with the changes that each brought\n");
    for (releases, changes) in releases() {
        text += &entry(page, &span(&releases), "", &changes.join(", "));
    }
    text += &page.bold("\nchanges, to be reverted (~) or applied (+)\n");
    for row in TABLE.iter().filter(|row| row.first.is_some()) {
        text += &entry(page, row.slug, row.commit.unwrap_or_default(), row.summary);
    }
    text += &page.bold("\nproposals, to be applied (+)\n");
    for row in TABLE.iter().filter(|row| row.first.is_none()) {
        text += &entry(page, row.slug, "", row.summary);
    }
    text += &entry(page, CAP.0, "", CAP.1);
    text +=
        &page.bold("\nother designs, on the caches and the DMA layer of the newest release\n");
    for design in &DESIGNS {
        text += &entry(page, design.name, "", design.summary);
    }
    text
}

/// The change that takes a number, which is thus not in the table.
const CAP: (&str, &str) = (
    "align-cap-N",
    "aligns to at most 2^N pages of 4 KiB, whatever the size (Qualcomm, 2020)",
);

fn entry(page: Page, name: &str, commit: &str, summary: &str) -> String {
    let commit = if commit.is_empty() {
        String::new()
    } else {
        format!("{commit}  ")
    };
    let mut indented = page;
    indented.width = page.width.saturating_sub(24);
    let lines = indented.paragraph(&format!("{commit}{summary}"));
    let mut lines = lines.lines();
    let mut text = format!("  {name:<20}  {}\n", lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(text, "{:24}{}", "", line.trim_start());
    }
    text
}

/// Runs of releases, each with what the first of them brought; the others brought nothing.
fn releases() -> Vec<(Vec<Release>, Vec<&'static str>)> {
    let mut runs: Vec<(Vec<Release>, Vec<&str>)> = Vec::new();
    for release in Release::all() {
        let brought: Vec<&str> = brought(release).map(|row| row.slug).collect();
        match runs.last_mut() {
            Some((run, _)) if brought.is_empty() => run.push(release),
            _ => runs.push((vec![release], brought)),
        }
    }
    runs
}

fn brought(release: Release) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| row.first == Some(release))
}

/// `linux-5.3 ... 5.10`.
fn span(releases: &[Release]) -> String {
    match releases {
        [] => String::new(),
        [one] => format!("linux-{one}"),
        [first, .., last] => format!("linux-{first} ... {last}"),
    }
}

#[derive(Serialize)]
struct Document {
    iovasim: &'static str,
    version: u64,
    aliases: Vec<Alias>,
    releases: Vec<ReleaseOf>,
    changes: Vec<ChangeOf>,
    designs: Vec<DesignOf>,
}

#[derive(Serialize)]
struct Alias {
    name: &'static str,
    allocator: &'static str,
}

#[derive(Serialize)]
struct ReleaseOf {
    allocator: String,
    changes: Vec<&'static str>,
}

#[derive(Serialize)]
struct ChangeOf {
    slug: &'static str,
    commit: Option<&'static str>,
    first: Option<String>,
    needs: Option<&'static str>,
    summary: &'static str,
}

#[derive(Serialize)]
struct DesignOf {
    name: &'static str,
    summary: &'static str,
}

/// The list as a document, indented, with a newline at its end.
pub fn json() -> String {
    let cap = ChangeOf {
        slug: CAP.0,
        commit: None,
        first: None,
        needs: None,
        summary: CAP.1,
    };
    let document = Document {
        iovasim: "allocators",
        version: 1,
        aliases: ALIASES
            .map(|(name, allocator)| Alias { name, allocator })
            .into(),
        releases: Release::all()
            .map(|release| ReleaseOf {
                allocator: format!("linux-{release}"),
                changes: brought(release).map(|row| row.slug).collect(),
            })
            .collect(),
        changes: TABLE.iter().map(change).chain([cap]).collect(),
        designs: DESIGNS
            .iter()
            .map(|design| DesignOf {
                name: design.name,
                summary: design.summary,
            })
            .collect(),
    };
    super::document(&document)
}

fn change(row: &Row) -> ChangeOf {
    ChangeOf {
        slug: row.slug,
        commit: row.commit,
        first: row.first.map(|first| first.to_string()),
        needs: row.needs.map(|needs| needs.row().slug),
        summary: row.summary,
    }
}
