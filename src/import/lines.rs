//! A recording's lines: bounded, whole, counted.

use std::io::BufRead;

use super::error::{Error, Problem};

/// The longest line that is taken for text; the longest scatter list that is printed takes 8 kB.
const LINE_MAX: usize = 1 << 16;

/// A reader of bounded lines, which counts them.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    file: String,
    number: u64,
    bytes: Vec<u8>,
    text: String,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(file: &str, reader: R) -> Lines<R> {
        Lines {
            reader,
            file: file.to_owned(),
            number: 0,
            bytes: Vec::new(),
            text: String::new(),
        }
    }

    /// Reads the next line; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Error> {
        self.bytes.clear();
        let limit = LINE_MAX as u64 + 1;
        let read = std::io::Read::take(&mut self.reader, limit)
            .read_until(b'\n', &mut self.bytes)
            .map_err(|error| Error::new(&self.file, None, error))?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.number == 1 {
            self.refuse_binary()?;
        }
        if self.bytes.pop_if(|last| *last == b'\n').is_none() {
            return Err(self.error(if read > LINE_MAX {
                Problem::LongLine { max: LINE_MAX }
            } else {
                Problem::CutShort
            }));
        }
        self.bytes.pop_if(|last| *last == b'\r');
        self.text.clear();
        self.text.push_str(&String::from_utf8_lossy(&self.bytes));
        Ok(true)
    }

    fn refuse_binary(&self) -> Result<(), Error> {
        if self.bytes.starts_with(b"PERFILE2") {
            return Err(self.error(Problem::PerfData));
        }
        Ok(())
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// An error in the line that was read last.
    pub(super) fn error(&self, problem: Problem) -> Error {
        Error::new(&self.file, Some(self.number), problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_whole() {
        let error = |bytes: &[u8]| {
            let mut lines = Lines::new("f", bytes);
            loop {
                match lines.advance() {
                    Ok(true) => {}
                    Ok(false) => panic!("no error"),
                    Err(error) => return error.to_string(),
                }
            }
        };
        assert!(error(&vec![b'a'; LINE_MAX + 2]).starts_with("f:1: a line of more than"));
        assert!(error(b"one\ntwo").starts_with("f:2: the last line has no end"));
        assert!(error(b"PERFILE2....").contains("perf script"));
    }
}
