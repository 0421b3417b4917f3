//! One event: which it is, when and where it happened, and the values of its fields.

use std::borrow::Cow;

use crate::bytes::{Order, Origin};
use crate::error::{Error, Place, Problem};
use crate::formats::{Field, FieldKind, Format};

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The CPU whose buffer has it.
    pub cpu: u16,
    /// The thread that was running; 0 for the idle thread of every CPU.
    pub pid: u32,
    /// The time, in nanoseconds of the tracer's clock.
    pub nanoseconds: u64,
    /// The event's id, name and fields.
    pub format: &'a Format,
    /// The event as it is in the ring buffer, common fields included.
    pub bytes: &'a [u8],
    pub(crate) origin: Origin,
    pub(crate) order: Order,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number of an unsigned type, or a pointer.
    Unsigned(u64),
    /// A number of a signed type.
    Signed(i64),
    /// A string without the NUL that ends it; bytes that are no UTF-8 are replaced.
    Text(Cow<'a, str>),
    /// An array of numbers whose length the event gives.
    List(List<'a>),
    /// The bytes of a field of any other type.
    Bytes(&'a [u8]),
}

/// An array of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a> {
    bytes: &'a [u8],
    element: usize,
    order: Order,
}

impl<'a> List<'a> {
    /// The numbers, without sign.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u64> + use<'a> {
        let order = self.order;
        let elements = self.bytes.chunks_exact(self.element);
        elements.map(move |bytes| order.number(bytes))
    }
}

impl<'a> Record<'a> {
    /// Where the event is in the file.
    pub fn place(&self) -> Place {
        self.origin.place(0)
    }

    /// The value of one of the format's fields.
    ///
    /// # Errors
    ///
    /// Where the field, or the text or array that it refers to, is not within the event.
    pub fn value(&self, field: &Field) -> Result<Value<'a>, Error> {
        Ok(match field.kind {
            FieldKind::Number { signed: false } => Value::Unsigned(self.number(field)?),
            FieldKind::Number { signed: true } => {
                let number = self.number(field)?;
                Value::Signed(signed(number, field.size))
            }
            FieldKind::Text { relative } => {
                let bytes = self.referenced(field, relative)?;
                let text = bytes.split(|byte| *byte == 0).next();
                Value::Text(String::from_utf8_lossy(text.unwrap_or_default()))
            }
            FieldKind::List { relative, element } => Value::List(List {
                bytes: self.referenced(field, relative)?,
                element,
                order: self.order,
            }),
            FieldKind::Other => Value::Bytes(self.raw(field)?),
        })
    }

    /// A field's bytes as a number without sign; of more than 8 bytes, the lowest 8.
    ///
    /// # Errors
    ///
    /// Where the field is not within the event.
    pub fn number(&self, field: &Field) -> Result<u64, Error> {
        Ok(self.order.number(self.raw(field)?))
    }

    fn raw(&self, field: &Field) -> Result<&'a [u8], Error> {
        let bytes = field.of(self.bytes);
        bytes.ok_or_else(|| self.too_short(field, field.offset, field.size))
    }

    /// The thread that was running.
    pub(crate) fn read_pid(&self) -> Result<u32, Error> {
        let field = &self.format.pid;
        let number = signed(self.number(field)?, field.size);
        u32::try_from(number).map_err(|_| {
            self.error(Problem::Value {
                field: format!("common_pid of {}", self.format.name),
                found: number.to_string(),
                expected: "a number from 0".to_owned(),
            })
        })
    }

    /// The bytes that a field refers to by size and offset.
    fn referenced(&self, field: &Field, relative: bool) -> Result<&'a [u8], Error> {
        let location = self.number(field)?;
        let (size, offset) = (low_half(location >> 16), low_half(location));
        let from = if relative {
            field.offset.saturating_add(field.size)
        } else {
            0
        };
        let start = offset.saturating_add(from);
        let bytes = self.bytes.get(start..start.saturating_add(size));
        bytes.ok_or_else(|| self.too_short(field, start, size))
    }

    fn too_short(&self, field: &Field, offset: usize, size: usize) -> Error {
        self.error(Problem::Value {
            field: format!("{} of {}", field.name, self.format.name),
            found: format!("{size} bytes at {offset}"),
            expected: format!("a place within the event's {} bytes", self.bytes.len()),
        })
    }

    fn error(&self, problem: Problem) -> Error {
        let place = self.place();
        Error { place, problem }
    }
}

/// The lower 16 bits.
fn low_half(number: u64) -> usize {
    usize::from(u16::try_from(number & 0xffff).unwrap_or_default())
}

/// A number of `size` bytes (1 to 8) with its sign.
fn signed(number: u64, size: usize) -> i64 {
    let unused = 64 - 8 * u32::try_from(size.clamp(1, 8)).unwrap_or(8);
    (number << unused).cast_signed() >> unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;
    use crate::formats::Formats;

    /// The values of an event with id 7 of task 9, after 8 bytes of common fields; each field is
    /// given as `type name at offset+size`, perhaps with ` signed`.
    fn values(fields: &[&str], bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut text = "name: event\nID: 7\nformat:\n\
            \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
            \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
            .to_owned();
        for field in fields {
            let (declared, place) = field.split_once(" at ").expect("a place");
            let (offset, rest) = place.split_once('+').expect("a size");
            let (size, signed) = rest.split_at(1);
            let signed = u8::from(signed == " signed");
            let line = format!(
                "\tfield:{declared};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n"
            );
            text.push_str(&line);
        }
        let bytes = [&[7, 0, 0, 0, 9, 0, 0, 0], bytes].concat();
        let mut formats = Formats::default();
        let origin = Origin::File(0);
        let file = Bytes::new(text.as_bytes(), origin, Order::Little);
        formats.add("system", file).expect("a format");
        let event = Bytes::new(&bytes, origin, Order::Little);
        let record = Record {
            cpu: 0,
            pid: 0,
            nanoseconds: 0,
            format: formats.of(event).expect("an id"),
            bytes: &bytes,
            origin,
            order: Order::Little,
        };
        assert_eq!(record.read_pid(), Ok(9));
        let value = |field: &Field| match record.value(field) {
            Ok(Value::List(list)) => Ok(format!("{:?}", list.iter().collect::<Vec<_>>())),
            Ok(value) => Ok(format!("{value:?}")),
            Err(error) => Err(error.to_string()),
        };
        record.format.fields.iter().map(value).collect()
    }

    #[test]
    fn values_are_of_the_fields_types() {
        let fields = [
            "u8 size at 8+1",
            "s16 pfn at 10+2 signed",
            "int gid at 12+4 signed",
            "__data_loc char[] text at 16+4",
            "char fixed[2] at 10+2",
        ];
        let bytes = [
            200, 0, 0xfe, 0xff, 3, 0, 0, 0, 20, 0, 4, 0, b'a', b'=', b'1', 0,
        ];
        let expected = [
            "Unsigned(200)",
            "Signed(-2)",
            "Signed(3)",
            "Text(\"a=1\")",
            "Bytes([254, 255])",
        ];
        assert_eq!(
            values(&fields, &bytes),
            Ok(expected.map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn lists_and_texts_are_within_the_event() {
        let fields = [
            "int full_ents at 8+4 signed",
            "__data_loc u64[] dma_addrs at 12+4",
            "__rel_loc unsigned int[] lengths at 16+4",
        ];
        let mut bytes = vec![130, 0, 0, 0, 20, 0, 16, 0, 16, 0, 8, 0];
        bytes.extend([1_u64, 0x20].map(u64::to_le_bytes).concat());
        bytes.extend([5_u32, 6].map(u32::to_le_bytes).concat());
        let expected = ["Signed(130)", "[1, 32]", "[5, 6]"];
        assert_eq!(
            values(&fields, &bytes),
            Ok(expected.map(str::to_owned).to_vec())
        );
        let error = values(&fields, &bytes[..30]).expect_err("too short");
        let expected = "byte 0: `lengths of event`: found 8 bytes at 36, expected a place within \
                        the event's 38 bytes";
        assert_eq!(error, expected);
        let error = values(&fields, &bytes[..3]).expect_err("too short");
        let expected = "byte 0: `full_ents of event`: found 4 bytes at 8";
        assert!(error.starts_with(expected), "{error}");
    }
}
