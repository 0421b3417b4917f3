//! The lines of a stream, one at a time, without copying them.

use memchr::memchr;

use super::compress::Decoder;
use super::error::{Error, Kind};

/// How long a line may be, in bytes.
pub(super) const LENGTH_MAX: usize = 64 << 20;

/// How much is read in one step, in bytes.
const CHUNK: usize = 256 << 10;

/// Splits a stream into lines; keeps one line and a chunk of what follows.
pub(super) struct Lines {
    input: Decoder,
    buffer: Vec<u8>,
    /// What was read and not yet handed out.
    start: usize,
    end: usize,
    ended: bool,
    number: u64,
}

impl Lines {
    pub(super) fn new(input: Decoder) -> Lines {
        Lines {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            ended: false,
            number: 0,
        }
    }

    /// The number of the line that was asked for last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether what follows begins with a byte, as far as it was read.
    pub(super) fn begins_with(&self, byte: u8) -> bool {
        self.buffer[self.start..self.end].first() == Some(&byte)
    }

    /// The next line, of at most `limit` bytes, without its `\n`; none at the end.
    pub(super) fn next(&mut self, limit: usize) -> Result<Option<&[u8]>, Error> {
        self.number += 1;
        let mut searched = self.start;
        let length = loop {
            if let Some(offset) = memchr(b'\n', &self.buffer[searched..self.end]) {
                break searched + offset - self.start;
            }
            let length = self.end - self.start;
            if length > limit {
                return Err(Kind::LineTooLong { limit }.into());
            }
            if self.ended {
                if length == 0 {
                    return Ok(None);
                }
                break length;
            }
            self.fill()?;
            searched = self.start + length;
        };
        if length > limit {
            return Err(Kind::LineTooLong { limit }.into());
        }
        let line = self.start..self.start + length;
        self.start = self.end.min(line.end + 1);
        Ok(Some(&self.buffer[line]))
    }

    /// Reads on, behind the line that is not complete yet.
    fn fill(&mut self) -> Result<(), Error> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < self.end + CHUNK / 2 {
            self.buffer.resize(2 * self.end + CHUNK, 0);
        }
        let count = self.input.read(&mut self.buffer[self.end..])?;
        self.end += count;
        self.ended = count == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of a few.
    struct Pieces(Cursor<Vec<u8>>, usize);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let size = buffer.len().min(self.1);
            self.0.read(&mut buffer[..size])
        }
    }

    fn lines(bytes: &[u8], piece: usize, limit: usize) -> Result<Vec<Vec<u8>>, String> {
        let pieces = Pieces(Cursor::new(bytes.to_vec()), piece);
        let mut lines = Lines::new(Decoder::new(pieces).unwrap());
        let mut all = Vec::new();
        loop {
            match lines.next(limit) {
                Ok(Some(line)) => all.push(line.to_vec()),
                Ok(None) => return Ok(all),
                Err(kind) => return Err(format!("{}: {kind}", lines.number())),
            }
        }
    }

    proptest! {
        #[test]
        fn agree_with_a_split_of_the_whole(
            text in "(\\PC{0,9}\n{0,2}){0,20}",
            piece in 1..20_usize,
        ) {
            let mut expected: Vec<_> = text.split('\n').map(|line| line.as_bytes().to_vec()).collect();
            if expected.last().is_some_and(Vec::is_empty) {
                expected.pop();
            }
            prop_assert_eq!(lines(text.as_bytes(), piece, 1000), Ok(expected));
        }
    }

    #[test]
    fn a_line_may_be_longer_than_what_is_read_in_one_step() {
        let long = vec![b'x'; 3 * CHUNK];
        let text = [&long[..], b"\n", &long[..], b"y"].concat();
        let read = lines(&text, usize::MAX, LENGTH_MAX).unwrap();
        assert_eq!(read, [long.clone(), [&long[..], b"y"].concat()]);
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused() {
        assert!(lines(b"0123456789\n0123456789", 3, 10).is_ok());
        for text in [
            "01234\n01234567890\n",
            "01234\n01234567890",
            "\n01234567890123456789",
        ] {
            for piece in [1, 100] {
                let message = lines(text.as_bytes(), piece, 10).unwrap_err();
                assert_eq!(
                    message,
                    "2: the line is longer than 10 bytes, expected one object"
                );
            }
        }
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_the_limit() {
        let mut lines = Lines::new(Decoder::new(std::io::repeat(b'x')).unwrap());
        assert!(lines.next(1 << 20).is_err());
        assert!(lines.buffer.len() < 4 << 20);
    }
}
