//! Tables of text: a name column on the left, figures on the right.
//!
//! Columns are as wide as their widest cell, but for long names, which have a line of their
//! own. A table that is wider than the page is cut into several, one under the other, each
//! with the names; nothing is cut off.

use std::fmt::Write;

use super::escape::{self, markdown as escaped};
use super::page::Page;

/// The space between two columns.
const BETWEEN: usize = 2;

/// Longer names do not widen their column.
const NAME_MAX: usize = 16;

/// A table: its first column holds names, the others figures.
#[derive(Clone, Debug)]
pub struct Table {
    title: String,
    headings: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// A table whose column of names is headed `title`, with headings for the figures.
    pub fn new(title: &str, headings: &[&str]) -> Table {
        Table {
            title: escape::terminal(title),
            headings: headings.iter().map(|&it| it.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, a cell for each heading.
    pub fn row(&mut self, name: &str, cells: Vec<String>) {
        assert_eq!(cells.len(), self.headings.len(), "a cell for each heading");
        let cells = cells.into_iter().map(|it| escape::terminal(&it));
        self.rows.push((escape::terminal(name), cells.collect()));
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let line = |first: &str, others: &[String]| {
            let cells = others.iter().map(|it| escaped(it)).collect::<Vec<_>>();
            format!("| {} | {} |\n", escaped(first), cells.join(" | "))
        };
        let rule = "| --- |".to_owned() + &" ---: |".repeat(self.headings.len()) + "\n";
        let rows = self.rows.iter().map(|(name, cells)| line(name, cells));
        line(&self.title, &self.headings) + &rule + &rows.collect::<String>()
    }

    /// The table as lines that fit the page, as far as two columns of it do.
    pub fn render(&self, page: Page) -> String {
        let short = self.names().map(width).filter(|&width| width <= NAME_MAX);
        let name_width = short.max().unwrap_or(0);
        let mut text = String::new();
        let mut first = 0;
        while first < self.headings.len() {
            let end = self.end_of_block(first, page.width.saturating_sub(name_width));
            if first > 0 {
                text.push('\n');
            }
            self.render_block(&mut text, first..end, name_width, page);
            first = end;
        }
        text
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.rows.iter().map(|(name, _)| name.as_str());
        names.chain([self.title.as_str()])
    }

    fn column_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|(_, cells)| cells[column].as_str());
        let cells = cells.chain([self.headings[column].as_str()]);
        cells.map(width).max().unwrap_or(0)
    }

    /// The end of a block of columns from `first` on that has room; at least one column.
    fn end_of_block(&self, first: usize, room: usize) -> usize {
        let mut used = 0;
        let fits = |column: &usize| {
            used += BETWEEN + self.column_width(*column);
            used <= room
        };
        let fitting = (first..self.headings.len()).take_while(fits).count();
        first + fitting.max(1)
    }

    fn render_block(
        &self,
        text: &mut String,
        columns: std::ops::Range<usize>,
        name_width: usize,
        page: Page,
    ) {
        let mut line = pad_right(&self.title, name_width);
        for column in columns.clone() {
            self.push_cell(&mut line, column, &self.headings[column]);
        }
        text.push_str(&page.bold(&line));
        text.push('\n');
        for (name, cells) in &self.rows {
            let mut line = pad_right(name, name_width);
            if width(name) > name_width {
                line = format!("{name}\n{:name_width$}", "");
            }
            for column in columns.clone() {
                self.push_cell(&mut line, column, &cells[column]);
            }
            text.push_str(&line);
            text.push('\n');
        }
    }

    fn push_cell(&self, line: &mut String, column: usize, cell: &str) {
        let padding = BETWEEN + self.column_width(column) - width(cell);
        let _ = write!(line, "{:padding$}{cell}", "");
    }
}

/// A figure; one that is unknown reads as a dash.
pub fn dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "-".to_owned())
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn pad_right(text: &str, to: usize) -> String {
    format!(
        "{text}{:padding$}",
        "",
        padding = to.saturating_sub(width(text))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("allocator", &["allocs", "failures"]);
        table.row("old", vec!["320".to_owned(), dash(None)]);
        table.row("linux-7.2~retry", vec!["1,320".to_owned(), "5".to_owned()]);
        table
    }

    #[test]
    fn figures_are_aligned_right_under_their_headings() {
        let expected = "\
allocator        allocs  failures
old                 320         -
linux-7.2~retry   1,320         5
";
        assert_eq!(table().render(Page::plain(80)), expected);
    }

    #[test]
    fn a_long_name_has_a_line_of_its_own() {
        let mut table = table();
        let name = "linux-7.2~free-space-estimate+reset-on-retry";
        table.row(name, vec!["7".to_owned(), "0".to_owned()]);
        let text = table.render(Page::plain(80));
        let expected = "\
linux-7.2~free-space-estimate+reset-on-retry
                      7         0
";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_narrow_page_has_the_columns_one_block_under_the_other() {
        let expected = "\
allocator        allocs
old                 320
linux-7.2~retry   1,320

allocator        failures
old                     -
linux-7.2~retry         5
";
        assert_eq!(table().render(Page::plain(26)), expected);
        assert_eq!(table().render(Page::plain(1)), expected);
    }
}
