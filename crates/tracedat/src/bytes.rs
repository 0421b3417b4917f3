//! Numbers and strings out of bytes that may end anywhere; errors name the place.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Place, Problem};

/// The order of a number's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    /// A number of up to 8 bytes; of more, the last or first 8.
    pub(crate) fn number(self, bytes: &[u8]) -> u64 {
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self {
            Order::Little => bytes.iter().rev().fold(0, join),
            Order::Big => bytes.iter().fold(0, join),
        }
    }
}

/// Where bytes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the file.
    File(u64),
    /// In the decompressed content of a section or chunk of the file.
    Packed { at: u64, inside: usize },
}

impl Origin {
    /// The place `further` bytes on.
    pub(crate) fn place(self, further: usize) -> Place {
        match self.after(further) {
            Origin::File(at) => Place::Byte(at),
            Origin::Packed { at, inside } => {
                let inside = u32::try_from(inside).unwrap_or(u32::MAX);
                Place::Unpacked { at, inside }
            }
        }
    }

    pub(crate) fn after(self, further: usize) -> Origin {
        match self {
            Origin::File(at) => Origin::File(at.saturating_add(further as u64)),
            Origin::Packed { at, inside } => Origin::Packed {
                at,
                inside: inside.saturating_add(further),
            },
        }
    }
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    rest: &'a [u8],
    origin: Origin,
    pub(crate) order: Order,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8], origin: Origin, order: Order) -> Bytes<'a> {
        Bytes {
            rest: bytes,
            origin,
            order,
        }
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// An error at the next byte.
    pub(crate) fn error(&self, problem: Problem) -> Error {
        Error {
            place: self.origin.place(0),
            problem,
        }
    }

    /// An error about the value at the next byte.
    pub(crate) fn wrong(
        &self,
        field: impl Into<String>,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Error {
        self.error(Problem::Value {
            field: field.into(),
            found: found.to_string(),
            expected: expected.into(),
        })
    }

    /// The next `size` bytes.
    pub(crate) fn take(&mut self, size: u64, field: &str) -> Result<Bytes<'a>, Error> {
        let Some((taken, rest)) = usize::try_from(size)
            .ok()
            .and_then(|size| self.rest.split_at_checked(size))
        else {
            return Err(self.error(Problem::Short {
                field: field.to_owned(),
                found: self.rest.len() as u64,
                expected: size,
            }));
        };
        let taken = Bytes {
            rest: taken,
            ..*self
        };
        self.rest = rest;
        self.origin = self.origin.after(taken.len());
        Ok(taken)
    }

    /// The bytes that have not been read yet.
    pub(crate) fn slice(&self) -> &'a [u8] {
        self.rest
    }

    fn number(&mut self, size: u64, field: &str) -> Result<u64, Error> {
        let order = self.order;
        Ok(order.number(self.take(size, field)?.rest))
    }

    pub(crate) fn u8(&mut self, field: &str) -> Result<u64, Error> {
        self.number(1, field)
    }

    pub(crate) fn u16(&mut self, field: &str) -> Result<u64, Error> {
        self.number(2, field)
    }

    pub(crate) fn u32(&mut self, field: &str) -> Result<u64, Error> {
        self.number(4, field)
    }

    pub(crate) fn u64(&mut self, field: &str) -> Result<u64, Error> {
        self.number(8, field)
    }

    /// A string up to the NUL that ends it.
    pub(crate) fn text(&mut self, field: &str) -> Result<Cow<'a, str>, Error> {
        let length = memchr::memchr(0, self.rest);
        let length = length.unwrap_or(self.rest.len());
        let text = self.rest.get(..length).unwrap_or_default();
        self.take(length as u64 + 1, field)?;
        Ok(String::from_utf8_lossy(text))
    }

    /// The rest as a text, without the NULs at its end.
    pub(crate) fn all_text(&self) -> Cow<'a, str> {
        let end = self.rest.iter().rposition(|byte| *byte != 0);
        let text = end.and_then(|end| self.rest.get(..=end));
        String::from_utf8_lossy(text.unwrap_or_default())
    }

    /// Skips bytes that must be there.
    pub(crate) fn expect(&mut self, expected: &[u8], field: &str) -> Result<(), Error> {
        let mut ahead = *self;
        let found = ahead.take(expected.len() as u64, field)?;
        if found.rest != expected {
            return Err(self.wrong(field, quoted(found.rest), quoted(expected)));
        }
        *self = ahead;
        Ok(())
    }
}

/// Bytes as a message shows them.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("`{}`", bytes.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_both_orders() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(Order::Little.number(&bytes[..4]), 0x0403_0201);
        assert_eq!(Order::Big.number(&bytes[..4]), 0x0102_0304);
        assert_eq!(Order::Little.number(&bytes), 0x0807_0605_0403_0201);
        assert_eq!(Order::Big.number(&bytes[..3]), 0x0001_0203);
    }

    #[test]
    fn errors_name_the_place() {
        let origin = Origin::Packed { at: 9, inside: 1 };
        let mut bytes = Bytes::new(b"abc\0de", origin, Order::Little);
        assert_eq!(bytes.text("name").ok().as_deref(), Some("abc"));
        let place = Place::Unpacked { at: 9, inside: 5 };
        let error = bytes.u32("size").unwrap_err();
        assert_eq!(error.place, place);
        let text = "`size` ends too early: found 2 bytes, expected 4; was the file cut short?";
        assert_eq!(error.problem.to_string(), text);
        assert!(bytes.text("name").is_err());
        let error = bytes.expect(b"dx", "tag").unwrap_err();
        assert_eq!(
            error.problem.to_string(),
            "`tag`: found `de`, expected `dx`"
        );
        assert!(bytes.expect(b"de", "tag").is_ok());
        assert!(bytes.take(u64::MAX, "all").is_err());
    }
}
