//! JSON as people write it: a value that fits stands on one line, the parts of any other on lines
//! of their own. Keys keep their order, which `serde_json::Value` does not.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// How wide a value may be that stands on one line, with what stands before it.
const WIDTH: usize = 100;

/// A value as text that ends with a newline.
pub(crate) fn text(value: &impl Serialize) -> String {
    let mut line = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut line, OneLine);
    let written = value.serialize(&mut serializer);
    written.expect("plain data, whose keys are strings");
    let line = String::from_utf8(line).expect("JSON of strings is UTF-8");
    let mut text = String::new();
    lay_out(&line, 0, &mut text);
    text.push('\n');
    text
}

/// All on one line, with spaces between.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        w.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        w.write_all(if first { b" " } else { b", " })
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b" }")
    }
}

/// Writes an item, a value with its key if it has one, at `depth`.
fn lay_out(item: &str, depth: usize, text: &mut String) {
    let open = key_length(item);
    let open = Some(open).filter(|&open| item[open..].starts_with(['{', '[']));
    let fits = depth > 0 && 2 * depth + item.chars().count() < WIDTH;
    let Some(open) = open.filter(|_| !fits) else {
        return text.push_str(item);
    };
    text.push_str(&item[..=open]);
    for (number, part) in parts(&item[open + 1..item.len() - 1])
        .into_iter()
        .enumerate()
    {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth + 1));
        lay_out(part, depth + 1, text);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push_str(&item[item.len() - 1..]);
}

/// How long an item's key is, with the colon and space after it.
fn key_length(item: &str) -> usize {
    let mut escaped = false;
    let end = item.char_indices().skip(1).find(|&(_, c)| {
        let end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        end
    });
    match end {
        Some((end, _)) if item.starts_with('"') && item[end..].starts_with("\": ") => end + 3,
        _ => 0,
    }
}

/// What commas separate in an array or object.
fn parts(inside: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped, mut start) = (0_u32, false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(inside[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stands_on_one_line() {
        let long = "x".repeat(60);
        let value =
            serde_json::json!({ "a\": [": [long, { "b": 1, "c": [] }, long], "d": [1, 2] });
        let expected = format!(
            r#"{{
  "a\": [": [
    "{long}",
    {{ "b": 1, "c": [] }},
    "{long}"
  ],
  "d": [1, 2]
}}
"#
        );
        assert_eq!(text(&value), expected);
    }
}
