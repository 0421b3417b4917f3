//! JSON objects as text, gathered before they are written.

use std::io::{self, Write};

use iova::units::Pfn;

/// How many bytes are gathered before they are written.
const GATHERED: usize = 64 << 10;

/// Lines that were not written yet; each is one object.
#[derive(Debug, Default)]
pub(in crate::trace) struct Text(Vec<u8>);

impl Text {
    pub(in crate::trace) fn open(&mut self) {
        self.raw("{");
    }

    pub(in crate::trace) fn close(&mut self) {
        self.raw("}\n");
    }

    pub(in crate::trace) fn number(&mut self, field: &str, number: u64) {
        self.name(field);
        self.integer(number);
    }

    pub(in crate::trace) fn number_unless(&mut self, field: &str, number: u64, default: u64) {
        if number != default {
            self.number(field, number);
        }
    }

    pub(in crate::trace) fn nullable(&mut self, field: &str, pfn: Option<Pfn>) {
        self.name(field);
        match pfn {
            Some(pfn) => self.integer(pfn.0),
            None => self.raw("null"),
        }
    }

    pub(in crate::trace) fn flag(&mut self, field: &str, flag: bool) {
        self.name(field);
        self.raw(if flag { "true" } else { "false" });
    }

    pub(in crate::trace) fn string(&mut self, field: &str, text: &str) {
        self.name(field);
        serde_json::to_writer(&mut self.0, text).expect("a vector takes every string");
    }

    /// A field's name; its value is to follow.
    pub(in crate::trace) fn name(&mut self, field: &str) {
        self.raw(if self.0.last() == Some(&b'{') {
            "\""
        } else {
            ",\""
        });
        self.raw(field);
        self.raw("\":");
    }

    pub(in crate::trace) fn integer(&mut self, number: u64) {
        self.raw(itoa::Buffer::new().format(number));
    }

    pub(in crate::trace) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// The lines, each with its `\n`.
    pub(in crate::trace) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes the lines if they are many.
    pub(in crate::trace) fn write_if_many(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.0.len() < GATHERED {
            return Ok(());
        }
        self.write(out)
    }

    pub(in crate::trace) fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.0)?;
        self.0.clear();
        Ok(())
    }
}
