//! Columns of integers, each in the fewest bytes of a few simple encodings.

use super::bytes::{Bytes, put_varint};
use super::corrupt;
use crate::trace::error::Error;

/// The encoding by a table of values; the others are widths in bytes.
const TABLE: u8 = 16;

/// How many values a table has at most.
const TABLE_SIZE_MAX: usize = 256;

pub(super) fn put(out: &mut Vec<u8>, values: &[u64]) {
    put_varint(out, values.len() as u64);
    let (Some(&least), Some(&most)) = (values.iter().min(), values.iter().max()) else {
        return;
    };
    let width = width(most - least);
    match table(values, width) {
        Some(table) => put_by_table(out, values, &table),
        None => put_by_width(out, values, least, width),
    }
}

/// The fewest bytes of those that are offered.
fn width(range: u64) -> usize {
    match range {
        0 => 0,
        1..0x100 => 1,
        0x100..0x1_0000 => 2,
        0x1_0000..0x1_0000_0000 => 4,
        _ => 8,
    }
}

/// The different values, ascending, where a table of them is shorter than integers of a width.
fn table(values: &[u64], width: usize) -> Option<Vec<u64>> {
    let mut table = values.to_vec();
    table.sort_unstable();
    table.dedup();
    let shorter = 8 * table.len() + values.len() < width * values.len();
    (shorter && table.len() <= TABLE_SIZE_MAX).then_some(table)
}

fn put_by_table(out: &mut Vec<u8>, values: &[u64], table: &[u64]) {
    out.push(TABLE);
    out.push((table.len() - 1).to_le_bytes()[0]);
    out.extend(table.iter().flat_map(|value| value.to_le_bytes()));
    let index = |value| table.partition_point(|entry| entry < value);
    out.extend(values.iter().map(|value| index(value).to_le_bytes()[0]));
}

fn put_by_width(out: &mut Vec<u8>, values: &[u64], base: u64, width: usize) {
    out.push(width.to_le_bytes()[0]);
    out.extend(base.to_le_bytes());
    for value in values {
        out.extend_from_slice(&(value - base).to_le_bytes()[..width]);
    }
}

/// A column that was read, from which values are taken one by one.
#[derive(Debug, Default)]
pub(super) struct Column {
    values: Vec<u64>,
    taken: usize,
}

impl Column {
    /// Reads a column of at most `most` values, in place of what was there.
    pub(super) fn read(&mut self, bytes: &mut Bytes<'_>, most: usize) -> Result<(), Error> {
        self.values.clear();
        self.taken = 0;
        let count = match usize::try_from(bytes.varint()?) {
            Ok(0) => return Ok(()),
            Ok(count) if count <= most => count,
            _ => return Err(corrupt("a column is longer than its block")),
        };
        match bytes.u8()? {
            TABLE => self.read_by_table(bytes, count),
            width @ (0 | 1 | 2 | 4 | 8) => self.read_by_width(bytes, count, width.into()),
            _ => Err(corrupt("a column has an unknown encoding")),
        }
    }

    fn read_by_table(&mut self, bytes: &mut Bytes<'_>, count: usize) -> Result<(), Error> {
        let size = usize::from(bytes.u8()?) + 1;
        let mut table = [0; TABLE_SIZE_MAX];
        for entry in &mut table[..size] {
            *entry = bytes.u64()?;
        }
        let indices = bytes.take(count)?;
        if indices.iter().any(|&index| usize::from(index) >= size) {
            return Err(corrupt("a column goes beyond its table"));
        }
        self.values
            .extend(indices.iter().map(|&index| table[usize::from(index)]));
        Ok(())
    }

    fn read_by_width(
        &mut self,
        bytes: &mut Bytes<'_>,
        count: usize,
        width: usize,
    ) -> Result<(), Error> {
        let base = bytes.u64()?;
        let bytes = bytes.take(count * width)?;
        let sum = |offset: u64| base.wrapping_add(offset);
        match width {
            1 => self
                .values
                .extend(bytes.iter().map(|&byte| sum(byte.into()))),
            2 => self.extend(bytes, |bytes| sum(u16::from_le_bytes(bytes).into())),
            4 => self.extend(bytes, |bytes| sum(u32::from_le_bytes(bytes).into())),
            8 => self.extend(bytes, |bytes| sum(u64::from_le_bytes(bytes))),
            _ => self.values.resize(count, base),
        }
        Ok(())
    }

    fn extend<const N: usize>(&mut self, bytes: &[u8], value: impl Fn([u8; N]) -> u64) {
        let (chunks, _) = bytes.as_chunks::<N>();
        self.values.extend(chunks.iter().map(|&chunk| value(chunk)));
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<u64, Error> {
        let value = self.values.get(self.taken).copied();
        self.taken += 1;
        value.ok_or_else(|| corrupt("a column is too short for its block"))
    }

    /// Whether all values were taken.
    pub(super) fn is_used_up(&self) -> bool {
        self.taken == self.values.len()
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::arbitrary::number;

    fn written(values: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, values);
        out
    }

    fn read(bytes: &[u8], most: usize) -> Result<Vec<u64>, String> {
        let mut column = Column::default();
        let mut bytes = Bytes(bytes);
        column
            .read(&mut bytes, most)
            .map_err(|kind| kind.to_string())?;
        assert!(bytes.0.is_empty());
        let values = column.values.clone();
        let taken: Vec<_> = (0..values.len()).map(|_| column.next().unwrap()).collect();
        assert_eq!(taken, values);
        assert!(column.is_used_up());
        assert!(column.next().is_err());
        Ok(values)
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        let few = prop::collection::vec(number(), 1..5)
            .prop_flat_map(|few| prop::collection::vec(prop::sample::select(few), 0..300));
        let near = (number(), 1..64_u32).prop_flat_map(|(base, bits)| {
            let offset = 0..=(u64::MAX >> (64 - bits)).min(u64::MAX - base);
            prop::collection::vec(offset.prop_map(move |offset| base + offset), 0..300)
        });
        prop_oneof![few, near]
    }

    proptest! {
        #[test]
        fn columns_come_back(values in values()) {
            let bytes = written(&values);
            prop_assert_eq!(read(&bytes, 300), Ok(values.clone()));
            prop_assert!(bytes.len() <= 11 + 8 * values.len());
            if let Some(fewer) = values.len().checked_sub(1) {
                prop_assert!(read(&bytes, fewer).is_err());
            }
        }
    }

    #[test]
    fn the_shortest_encoding_is_taken() {
        assert_eq!(written(&[]), [0]);
        assert_eq!(written(&[7; 100]).len(), 1 + 1 + 8);
        assert_eq!(written(&[u64::MAX - 255, u64::MAX]).len(), 1 + 1 + 8 + 2);
        assert_eq!(written(&[0, 256]).len(), 1 + 1 + 8 + 4);
        let limits = [0xf_ffff, 0xf_ffff_ffff_ffff].repeat(10);
        assert_eq!(written(&limits).len(), 1 + 1 + 1 + 16 + 20);
    }

    #[test]
    fn a_column_does_not_go_beyond_its_table() {
        let mut bytes = written(&[0xf_ffff, 0xf_ffff_ffff_ffff].repeat(10));
        let last = bytes.len() - 1;
        for (index, is_within) in [(1, true), (2, false), (255, false)] {
            bytes[last] = index;
            assert_eq!(read(&bytes, 20).is_ok(), is_within, "index {index}");
        }
    }

    #[test]
    fn a_table_may_have_256_values() {
        let values: Vec<_> = (0..1024_u64).map(|n| (n % 256) << 40).collect();
        let bytes = written(&values);
        assert_eq!(bytes.len(), 2 + 1 + 1 + 8 * 256 + 1024);
        assert_eq!(read(&bytes, 1024), Ok(values));
    }
}
