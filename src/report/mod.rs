//! Reports: text and JSON as pure functions of what was measured.
//!
//! * [`replayed`]: the page of tables and sentences of `replay`.
//! * [`studied`]: the page of `run`.
//! * [`compare`]: what differs between two results, and whether that is allowed.
//! * [`junit`]: outcomes of checks, for CI systems.
//! * [`json`]: the same data for programs.
//! * [`differs`]: what differs between allocators, in a sentence.
//! * [`allocators`]: what can be named.
//! * [`tables`]: the figures of several allocators, a table for each question.
//! * [`table`], [`page`], [`number`]: how tables, paragraphs and numbers are set.

pub mod allocators;
pub mod compare;
pub mod differs;
pub mod json;
pub mod junit;
pub mod likeness;
pub mod number;
pub mod page;
pub mod replayed;
mod set;
pub mod studied;
pub mod table;
pub mod tables;

pub use page::Page;
pub use table::Table;

use crate::study::Row;
use crate::trace::event::Header;

/// A trace and what came of it under each allocator.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What the user calls the trace: its file.
    pub file: &'a str,
    /// Its header, with what the command line replaced in it.
    pub header: &'a Header,
    pub digest: &'a str,
    pub events: u64,
    pub rows: &'a [Row],
    /// How each allocator after the first differs from the first.
    pub differences: &'a [iova::measure::Difference],
    /// What was asked for, where that was sampled.
    pub traffic: Option<&'a iova::measure::record::TrafficRecord>,
}

/// A document as text, indented, with a newline at its end.
fn document(document: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document)
        .expect("numbers, strings and lists of them always make a document");
    text.push('\n');
    text
}
