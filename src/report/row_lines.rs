//! Writes a result document: indented down to its rows, each of which is a line.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// How many levels are indented: the document, its results, each result, and its lists.
const OPEN: usize = 4;

/// The document as text, with a newline at its end.
pub(super) fn document(document: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, RowALine::default());
    document
        .serialize(&mut serializer)
        .expect("numbers, strings and lists of them always make a document");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON of strings is UTF-8")
}

#[derive(Default)]
struct RowALine {
    depth: usize,
    /// Whether anything stands in what was begun last.
    filled: bool,
}

impl RowALine {
    fn begin(&mut self) {
        self.depth += 1;
        self.filled = false;
    }

    fn end<W: io::Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.filled && self.depth < OPEN {
            self.line(writer)?;
        }
        self.filled = true;
        writer.write_all(bracket)
    }

    fn before_item<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        if self.depth <= OPEN {
            self.line(writer)
        } else if first {
            Ok(())
        } else {
            writer.write_all(b" ")
        }
    }

    fn line<W: io::Write + ?Sized>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for RowALine {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin();
        writer.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.before_item(writer, first)
    }

    fn end_array_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin();
        writer.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.before_item(writer, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_row_is_a_line() {
        let document = json!({
            "name": "a",
            "results": [{ "none": [], "rows": [{ "x": 1, "y": [1, [2]] }, { "x": {}, "y": null }] }],
        });
        let text = super::document(&document);
        let expected = r#"{
  "name": "a",
  "results": [
    {
      "none": [],
      "rows": [
        {"x": 1, "y": [1, [2]]},
        {"x": {}, "y": null}
      ]
    }
  ]
}
"#;
        assert_eq!(text, expected);
        let again: serde_json::Value = serde_json::from_str(&text).expect("a document");
        assert_eq!(again, document);
    }
}
