//! Bytes that are taken from the front, and varints.

use super::corrupt;
use crate::trace::error::Error;

const TOO_SHORT: &str = "a frame is too short for what it holds";

/// What is left of a frame's content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| corrupt(TOO_SHORT))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// A varint; one that has more than 64 bits is refused.
    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let group = u64::from(byte & 0x7f);
            if group << shift >> shift != group {
                break;
            }
            number |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(corrupt("an integer has more than 64 bits"))
    }

    /// A varint that counts what follows, of which each takes at least `size` bytes; so memory
    /// may be reserved for it.
    pub(super) fn count(&mut self, size: usize) -> Result<usize, Error> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.0.len() / size => Ok(count),
            _ => Err(corrupt(TOO_SHORT)),
        }
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::arbitrary::number;

    proptest! {
        #[test]
        fn varints_come_back(numbers in prop::collection::vec(number(), 0..20)) {
            let mut bytes = Vec::new();
            for &number in &numbers {
                put_varint(&mut bytes, number);
            }
            let mut rest = Bytes(&bytes);
            for &number in &numbers {
                prop_assert_eq!(rest.varint().ok(), Some(number));
            }
            prop_assert!(rest.varint().is_err());
        }
    }

    #[test]
    fn a_varint_beyond_64_bits_is_refused() {
        let most = [[0xff; 9].as_slice(), &[0x01]].concat();
        assert_eq!(Bytes(&most).varint().ok(), Some(u64::MAX));
        for last in [0x02, 0x7f, 0x81] {
            let beyond = [[0xff; 9].as_slice(), &[last, 0]].concat();
            assert!(Bytes(&beyond).varint().is_err());
        }
    }
}
