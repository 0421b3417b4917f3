//! Reports: text, Markdown, CSV and JSON as pure functions of what was measured.
//!
//! * [`result`]: the report of `run` and `replay`, as blocks; [`block`] writes them.
//! * `agreement`: how many recorded answers a replay gave too.
//! * [`answer`]: its first sentence and its main table.
//! * [`compare`]: what differs between two results, and whether that is allowed.
//! * [`fidelity`]: what `profile --check` found.
//! * [`junit`]: outcomes of checks, for CI systems.
//! * [`csv`]: metrics, a line for each run.
//! * [`differs`]: what differs between allocators, in a sentence.
//! * [`bisect`]: which change makes a difference.
//! * [`explain`]: why requests were refused.
//! * [`allocators`]: what can be named.
//! * [`tables`]: the metrics of several allocators, a table for each question.
//! * [`escape`]: text of files, made harmless for a terminal or Markdown.
//! * [`shell`]: commands to paste.
//! * [`table`], [`page`], [`number`]: how tables, paragraphs and numbers are set.

mod agreement;
pub mod allocators;
pub mod answer;
pub mod bisect;
pub mod block;
pub mod compare;
pub mod csv;
pub mod differs;
pub mod escape;
pub mod explain;
pub mod fidelity;
pub mod junit;
pub mod number;
pub mod page;
pub mod result;
mod row_lines;
pub mod shell;
pub mod table;
pub mod tables;
mod violations;

pub use page::Page;
pub use table::Table;

use crate::study::Document;

/// A result document as JSON, with a row on each line.
pub fn json(document: &Document) -> String {
    row_lines::document(document)
}

/// A document as text, indented, with a newline at its end.
fn document(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document)
        .expect("numbers, strings and lists of them always make a document");
    text.push('\n');
    text
}
