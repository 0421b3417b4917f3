//! Numbers and texts out of bytes that may end anywhere, with the place of what is wrong.

use std::borrow::Cow;
use std::fmt;

use super::super::error::{Place, Problem};

/// What is wrong and where; the file's name is for the caller to add.
#[derive(Debug)]
pub(in super::super) struct Fault {
    pub(in super::super) place: Place,
    pub(in super::super) problem: Problem,
}

/// The order of a number's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// A number of up to 8 bytes; of more, the last or first 8.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self {
            Order::Little => bytes.iter().rev().fold(0, join),
            Order::Big => bytes.iter().fold(0, join),
        }
    }
}

/// Where the first of some bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    File(u64),
    /// In what is packed in the file.
    Packed {
        at: u64,
        inside: usize,
    },
}

impl Origin {
    /// The place so many bytes on.
    pub(super) fn place(self, further: usize) -> Place {
        match self.after(further) {
            Origin::File(at) => Place::Byte(at),
            Origin::Packed { at, inside } => {
                let inside = u32::try_from(inside).unwrap_or(u32::MAX);
                Place::Packed { at, inside }
            }
        }
    }

    pub(super) fn after(self, further: usize) -> Origin {
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
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    origin: Origin,
    pub(super) order: Order,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8], origin: Origin, order: Order) -> Bytes<'a> {
        Bytes {
            rest: bytes,
            origin,
            order,
        }
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// What is wrong at the next byte.
    pub(super) fn fault(&self, problem: Problem) -> Fault {
        Fault {
            place: self.origin.place(0),
            problem,
        }
    }

    /// A value at the next byte that is not what it should be.
    pub(super) fn wrong(
        &self,
        field: impl Into<String>,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Fault {
        self.fault(Problem::Value {
            field: field.into(),
            found: found.to_string(),
            expected: expected.into(),
        })
    }

    /// The next `size` bytes.
    pub(super) fn take(&mut self, size: u64, field: &str) -> Result<Bytes<'a>, Fault> {
        let Some((taken, rest)) = usize::try_from(size)
            .ok()
            .and_then(|size| self.rest.split_at_checked(size))
        else {
            return Err(self.fault(Problem::Short {
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

    /// What has not been read yet.
    pub(super) fn slice(&self) -> &'a [u8] {
        self.rest
    }

    fn number(&mut self, size: u64, field: &str) -> Result<u64, Fault> {
        let order = self.order;
        Ok(order.number(self.take(size, field)?.rest))
    }

    pub(super) fn u8(&mut self, field: &str) -> Result<u64, Fault> {
        self.number(1, field)
    }

    pub(super) fn u16(&mut self, field: &str) -> Result<u64, Fault> {
        self.number(2, field)
    }

    pub(super) fn u32(&mut self, field: &str) -> Result<u64, Fault> {
        self.number(4, field)
    }

    pub(super) fn u64(&mut self, field: &str) -> Result<u64, Fault> {
        self.number(8, field)
    }

    /// A text up to the NUL that ends it.
    pub(super) fn text(&mut self, field: &str) -> Result<Cow<'a, str>, Fault> {
        let length = memchr::memchr(0, self.rest);
        let length = length.unwrap_or(self.rest.len());
        let text = self.rest.get(..length).unwrap_or_default();
        self.take(length as u64 + 1, field)?;
        Ok(String::from_utf8_lossy(text))
    }

    /// All that is left as a text, without the NULs behind it.
    pub(super) fn all_text(&self) -> Cow<'a, str> {
        let end = self.rest.iter().rposition(|byte| *byte != 0);
        let text = end.and_then(|end| self.rest.get(..=end));
        String::from_utf8_lossy(text.unwrap_or_default())
    }

    /// Bytes that must be there.
    pub(super) fn expect(&mut self, expected: &[u8], field: &str) -> Result<(), Fault> {
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
pub(super) fn quoted(bytes: &[u8]) -> String {
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
    fn what_is_missing_is_told_with_its_place() {
        let origin = Origin::Packed { at: 9, inside: 1 };
        let mut bytes = Bytes::new(b"abc\0de", origin, Order::Little);
        assert_eq!(bytes.text("name").ok().as_deref(), Some("abc"));
        let place = Place::Packed { at: 9, inside: 5 };
        let fault = bytes.u32("size").unwrap_err();
        assert_eq!(fault.place, place);
        let text = "`size` ends too early: found 2 bytes, expected 4; was the file cut short?";
        assert_eq!(fault.problem.to_string(), text);
        assert!(bytes.text("name").is_err());
        let fault = bytes.expect(b"dx", "tag").unwrap_err();
        assert_eq!(
            fault.problem.to_string(),
            "`tag`: found `de`, expected `dx`"
        );
        assert!(bytes.expect(b"de", "tag").is_ok());
        assert!(bytes.take(u64::MAX, "all").is_err());
    }
}
