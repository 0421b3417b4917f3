//! The page that a report is written for: how wide it is, and whether it has colours.

use std::fmt::Write;

use super::escape;

/// A page of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Characters a line.
    pub width: usize,
    /// Whether the reader understands ANSI escapes.
    pub colour: bool,
}

impl Page {
    /// A page for files and pipes, which are read anywhere.
    pub const FILE: Page = Page::plain(80);

    /// A page without colours.
    pub const fn plain(width: usize) -> Page {
        Page {
            width,
            colour: false,
        }
    }

    /// A paragraph that stands out.
    pub fn heading(self, text: &str) -> String {
        self.bold(self.paragraph(text).trim_end()) + "\n"
    }

    /// A paragraph that warns.
    pub fn warning(self, text: &str) -> String {
        self.styled(self.paragraph(text).trim_end(), "31") + "\n"
    }

    /// Text that stands out as a heading.
    pub fn bold(self, text: &str) -> String {
        self.styled(text, "1")
    }

    fn styled(self, text: &str, style: &str) -> String {
        if self.colour {
            format!("\u{1b}[{style}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// A paragraph, broken between words; its lines after the first are indented.
    pub fn paragraph(self, text: &str) -> String {
        const INDENT: usize = 2;
        const WIDTH_MAX: usize = 100;
        let width = self.width.min(WIDTH_MAX);
        let text = escape::terminal(text);
        let mut lines = String::new();
        let mut used = 0;
        for word in text.split(' ') {
            let length = word.chars().count();
            if used > 0 && used + 1 + length > width {
                let _ = write!(lines, "\n{:INDENT$}", "");
                used = INDENT;
            } else if used > 0 {
                lines.push(' ');
                used += 1;
            }
            lines.push_str(word);
            used += length;
        }
        lines.push('\n');
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_break_between_words() {
        let broken = Page::plain(12).paragraph("one two three four five-and-twenty six");
        assert_eq!(broken, "one two\n  three four\n  five-and-twenty\n  six\n");
    }

    #[test]
    fn colours_are_for_those_who_see_them() {
        let page = Page {
            width: 80,
            colour: true,
        };
        assert_eq!(page.bold("a"), "\u{1b}[1ma\u{1b}[0m");
        assert_eq!(Page::FILE.bold("a"), "a");
    }
}
