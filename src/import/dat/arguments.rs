//! An event's fields as the arguments that the tracers print: `name=value`, and what they put
//! before that.
//!
//! Every importer reads arguments by these names. The layout of the line is the kernel's
//! (`print fmt`) only as far as they look at it: the place of a probe in parentheses, `IOMMU:`,
//! a device before all else, which numbers go without `0x`. What no importer reads stays empty.

use std::fmt::Write as _;

use super::super::error::Problem;
use super::bytes::Order;
use super::formats::{Field, Format, Kind, Sort};

/// Names under which the kernel prints fields, where these are called otherwise.
const DMA_NAMES: [(&str, &str); 3] = [
    ("addr", "dma_addr"),
    ("addrs", "phys_addrs"),
    ("lengths", "sizes"),
];

/// What the kernel prints without `0x`.
const PLAIN_HEXADECIMAL: [&str; 3] = ["dma_addr", "phys_addr", "virt_addr"];

/// An event's bytes, with what is needed to read them.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) format: &'a Format,
    pub(super) bytes: &'a [u8],
    pub(super) order: Order,
}

impl<'a> Event<'a> {
    /// Writes the arguments behind what is in `out`.
    pub(super) fn write(&self, out: &mut String) -> Result<(), Problem> {
        match &self.format.sort {
            Sort::Probe { at } => {
                out.push('(');
                push_hexadecimal(self.number(at)?, out);
            }
            Sort::Return { function, to } => {
                out.push('(');
                push_hexadecimal(self.number(function)?, out);
                out.push_str(" <- ");
                push_hexadecimal(self.number(to)?, out);
            }
            Sort::Iommu => return self.write_iommu(out),
            Sort::Dma => return self.write_dma(out),
            Sort::Other => return Ok(()),
        }
        out.push(')');
        // No importer reads a probe's texts, and they might look like other arguments.
        let mut fields = self.format.fields.iter();
        fields.try_for_each(|field| self.write_number(&field.name, field, out))
    }

    fn write_iommu(&self, out: &mut String) -> Result<(), Problem> {
        out.push_str("IOMMU:");
        for field in &self.format.fields {
            match field.kind {
                Kind::Text { .. } => {
                    push_name(&field.name, out);
                    out.push_str(&self.text(field)?);
                }
                _ if field.name == "gid" => self.write_number("groupID", field, out)?,
                _ => self.write_number(&field.name, field, out)?,
            }
        }
        Ok(())
    }

    fn write_dma(&self, out: &mut String) -> Result<(), Problem> {
        let field = |name: &str| self.format.fields.iter().find(|field| field.name == name);
        if let Some(device) = field("device") {
            out.push_str(&self.text(device)?);
        }
        for field in &self.format.fields {
            let renamed = DMA_NAMES.iter().find(|(name, _)| *name == field.name);
            let name = renamed.map_or(&*field.name, |(_, name)| name);
            match field.kind {
                Kind::Number { .. } if PLAIN_HEXADECIMAL.contains(&name) => {
                    push_name(name, out);
                    push_hexadecimal(self.number(field)?, out);
                }
                Kind::Number { .. } => self.write_number(name, field, out)?,
                Kind::List { element, .. } => {
                    self.write_list(name, self.data(field)?, element, out);
                }
                Kind::Text { .. } | Kind::Other => {}
            }
        }
        // The kernel records no more entries than it prints.
        if let (Some(all), Some(shown)) = (field("full_ents"), field("dma_addrs"))
            && let Kind::List { element, .. } = shown.kind
        {
            let shown = self.data(shown)?.len() / element;
            let _ = write!(out, " ents={shown}/{}", self.number(all)?);
        }
        Ok(())
    }

    /// Writes a number; nothing of what is none.
    fn write_number(&self, name: &str, field: &Field, out: &mut String) -> Result<(), Problem> {
        let Kind::Number { signed } = field.kind else {
            return Ok(());
        };
        let number = self.number(field)?;
        push_name(name, out);
        let negative = signed_of(number, field.size).filter(|number| signed && *number < 0);
        if let Some(negative) = negative {
            out.push_str(&negative.to_string());
        } else {
            out.push_str("0x");
            push_hexadecimal(number, out);
        }
        Ok(())
    }

    fn write_list(&self, name: &str, bytes: &[u8], element: usize, out: &mut String) {
        push_name(name, out);
        let mut before = "{0x";
        for element in bytes.chunks_exact(element) {
            out.push_str(before);
            push_hexadecimal(self.order.number(element), out);
            before = ",0x";
        }
        out.push_str(if before == "{0x" { "{}" } else { "}" });
    }

    /// A field as a number without its sign.
    fn number(&self, field: &Field) -> Result<u64, Problem> {
        let bytes = field.of(self.bytes);
        let bytes = bytes.ok_or_else(|| self.too_short(field, field.offset, field.size))?;
        Ok(self.order.number(bytes))
    }

    /// The task that was running.
    pub(super) fn pid(&self) -> Result<u32, Problem> {
        let field = &self.format.pid;
        let number = self.number(field)?;
        let number = signed_of(number, field.size).unwrap_or(-1);
        u32::try_from(number).map_err(|_| Problem::Value {
            field: format!("common_pid of {}", self.format.name),
            found: number.to_string(),
            expected: "a number from 0".to_owned(),
        })
    }

    fn text(&self, field: &Field) -> Result<std::borrow::Cow<'a, str>, Problem> {
        let bytes = self.data(field)?;
        let text = bytes.split(|byte| *byte == 0).next();
        Ok(String::from_utf8_lossy(text.unwrap_or_default()))
    }

    /// What a field points at.
    fn data(&self, field: &Field) -> Result<&'a [u8], Problem> {
        let (Kind::Text { relative } | Kind::List { relative, .. }) = field.kind else {
            return Ok(&[]);
        };
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

    fn too_short(&self, field: &Field, offset: usize, size: usize) -> Problem {
        Problem::Value {
            field: format!("{} of {}", field.name, self.format.name),
            found: format!("{size} bytes at {offset}"),
            expected: format!("a place within the event's {} bytes", self.bytes.len()),
        }
    }
}

fn push_name(name: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push('=');
}

/// Appends a number's digits.
fn push_hexadecimal(number: u64, out: &mut String) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    let digit = |place: u32| (number >> (4 * place) & 15) as u32;
    out.extend(
        (0..digits)
            .rev()
            .filter_map(|place| char::from_digit(digit(place), 16)),
    );
}

/// The lower 16 bits.
fn low_half(number: u64) -> usize {
    usize::from(u16::try_from(number & 0xffff).unwrap_or_default())
}

/// A number of some bytes with its sign; none if it has not between 1 and 8.
fn signed_of(number: u64, size: usize) -> Option<i64> {
    let unused = match size {
        1..=8 => 64 - 8 * u32::try_from(size).ok()?,
        _ => return None,
    };
    Some((number << unused).cast_signed() >> unused)
}

#[cfg(test)]
mod tests {
    use super::super::bytes::{Bytes, Origin};
    use super::super::formats::Formats;
    use super::*;

    /// The arguments of an event with id 7 of task 9, after 8 bytes of common fields.
    fn arguments(system: &str, fields: &[&str], bytes: &[u8]) -> Result<String, String> {
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
        let file = Bytes::new(text.as_bytes(), Origin::File(0), Order::Little);
        formats.add(system, file).expect("a format");
        let (id, format) = formats.of(&bytes, Order::Little).expect("an id");
        assert_eq!(id, 7);
        let event = Event {
            format: format.expect("a format"),
            bytes: &bytes,
            order: Order::Little,
        };
        assert_eq!(event.pid().ok(), Some(9));
        let mut out = String::new();
        let written = event.write(&mut out);
        written.map(|()| out).map_err(|problem| problem.to_string())
    }

    #[test]
    fn probes_begin_with_their_place() {
        let ip = "unsigned long __probe_ip at 8+2";
        let entry = arguments("any", &[ip, "u8 size at 10+1"], &[0x34, 0x12, 200]);
        assert_eq!(entry.as_deref(), Ok("(1234) size=0xc8"));
        let places = ["u8 __probe_func at 8+1", "u8 __probe_ret_ip at 9+1"];
        let result = ["s16 pfn at 10+2 signed", "__data_loc char[] text at 12+4"];
        let fields = [&places[..], &result].concat();
        let text = [1, 2, 0xfe, 0xff, 16, 0, 4, 0, b'a', b'=', b'1', 0];
        let both = arguments("any", &fields, &text);
        assert_eq!(both.as_deref(), Ok("(1 <- 2) pfn=-2"));
        assert_eq!(
            arguments("any", &["u8 size at 8+1"], &[1]).as_deref(),
            Ok("")
        );
    }

    #[test]
    fn iommu_and_dma_events_are_as_the_kernel_prints_them() {
        let device = "__data_loc char[] device at 12+4";
        let bytes = [3, 0, 0, 0, 16, 0, 4, 0, b'a', b':', b'b', 0];
        let group = arguments("iommu", &["int gid at 8+4 signed", device], &bytes);
        assert_eq!(group.as_deref(), Ok("IOMMU: groupID=0x3 device=a:b"));
        let dma = arguments("dma", &["u32 addr at 8+4", device], &bytes);
        assert_eq!(dma.as_deref(), Ok("a:b dma_addr=3"));
    }

    #[test]
    fn lists_have_all_that_was_recorded() {
        let fields = [
            "int full_ents at 8+4 signed",
            "__data_loc u64[] dma_addrs at 12+4",
            "__rel_loc unsigned int[] lengths at 16+4",
        ];
        let mut bytes = vec![130, 0, 0, 0, 20, 0, 16, 0, 16, 0, 8, 0];
        bytes.extend([1_u64, 0x20].map(u64::to_le_bytes).concat());
        bytes.extend([5_u32, 6].map(u32::to_le_bytes).concat());
        let expected = " full_ents=0x82 dma_addrs={0x1,0x20} sizes={0x5,0x6} ents=2/130";
        assert_eq!(arguments("dma", &fields, &bytes).as_deref(), Ok(expected));
        let error = arguments("dma", &fields, &bytes[..30]).expect_err("too short");
        let expected = "`lengths of event`: found 8 bytes at 36, expected a place within the \
                        event's 38 bytes";
        assert_eq!(error, expected);
        let error = arguments("dma", &fields, &bytes[..3]).expect_err("too short");
        assert!(
            error.starts_with("`full_ents of event`: found 4 bytes at 8"),
            "{error}"
        );
    }
}
