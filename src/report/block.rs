//! A report as sections of paragraphs and tables, which read as text for a terminal or as Markdown.

use super::escape::{self, markdown as escaped};
use super::{Page, Table};

/// A piece of a report.
#[derive(Clone, Debug)]
pub enum Block {
    Heading(String),
    Paragraph(String),
    /// A paragraph that stands out.
    Warning(String),
    Table(Table),
    /// Lines that stay as they are.
    Verbatim(String),
}

/// The sections as text, with a blank line between them. An empty section is left out.
pub fn text(sections: &[Vec<Block>], page: Page) -> String {
    let sections = sections.iter().map(|section| {
        let blocks = section.iter().map(|block| match block {
            Block::Heading(text) => page.heading(text),
            Block::Paragraph(text) => page.paragraph(text),
            Block::Warning(text) => page.warning(text),
            Block::Table(table) => table.render(page),
            Block::Verbatim(text) => escape::terminal_lines(text),
        });
        blocks.collect::<String>()
    });
    let sections: Vec<String> = sections.filter(|section| !section.is_empty()).collect();
    sections.join("\n")
}

/// The sections as Markdown.
pub fn markdown(sections: &[Vec<Block>]) -> String {
    let blocks = sections.iter().flatten().map(|block| match block {
        Block::Heading(text) => format!("### {}\n", escaped(text)),
        Block::Paragraph(text) => format!("{}\n", escaped(text)),
        Block::Warning(text) => format!("**{}**\n", escaped(text)),
        Block::Table(table) => table.markdown(),
        // Each line begins with spaces and a sign, so none of them ends the block.
        Block::Verbatim(text) => format!("```text\n{}```\n", escape::terminal_lines(text)),
    });
    blocks.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections() -> Vec<Vec<Block>> {
        let mut table = Table::new("allocator", &["allocs"]);
        table.row("linux-7.2~retry", vec!["1,320".to_owned()]);
        vec![
            vec![
                Block::Heading("a|b".to_owned()),
                Block::Paragraph("some text".to_owned()),
            ],
            vec![],
            vec![Block::Table(table)],
            vec![
                Block::Warning("broken".to_owned()),
                Block::Verbatim("  > 1\n".to_owned()),
            ],
        ]
    }

    #[test]
    fn sections_are_apart_in_text() {
        let expected = "\
a|b
some text

allocator        allocs
linux-7.2~retry   1,320

broken
  > 1
";
        let text = text(&sections(), Page::FILE)
            .replace("\u{1b}[31m", "")
            .replace("\u{1b}[0m", "");
        assert_eq!(text, expected);
    }

    #[test]
    fn names_are_no_markup_in_markdown() {
        let expected = "\
### a\\|b

some text

| allocator | allocs |
| --- | ---: |
| linux-7.2\\~retry | 1,320 |

**broken**

```text
  > 1
```
";
        assert_eq!(markdown(&sections()), expected);
    }
}
