//! tracefs's `format` files: which event an id means, and where its fields are.
//!
//! ```text
//! name: free_iova
//! ID: 1635
//! format:
//!     field:int common_pid;  offset:4;  size:4;  signed:1;
//!     field:u64 iovad;       offset:16; size:8;  signed:0;
//! print fmt: "(%lx) iovad=0x%Lx …", …
//! ```

use std::collections::BTreeMap;

use crate::bytes::Bytes;
use crate::error::Error;

/// The events that a file may have, by id.
#[derive(Debug, Default)]
pub(crate) struct Formats {
    by_id: BTreeMap<u64, Format>,
    /// The id's field, which is the same in every event.
    id: Option<Field>,
}

/// The layout of one kind of event, as tracefs's `format` file describes it.
#[derive(Debug)]
pub struct Format {
    /// The number that events carry in `common_type`.
    pub id: u64,
    /// The group, such as `sched`; `ftrace` for the tracer's own events.
    pub system: String,
    /// The name without the group.
    pub name: String,
    /// The event's own fields, in the order of the `format` file; not those named `common_…`.
    pub fields: Vec<Field>,
    pub(crate) pid: Field,
}

/// A field of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name without the brackets of an array.
    pub name: String,
    /// Where it begins in the event, in bytes.
    pub offset: usize,
    /// Its length in the event, in bytes.
    pub size: usize,
    /// How its bytes are read.
    pub kind: FieldKind,
}

/// How the bytes of a field are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A number of 1 to 8 bytes, or a pointer.
    Number {
        /// Whether its type is signed.
        signed: bool,
    },
    /// Offset and length of a string elsewhere in the event.
    Text {
        /// Whether the offset counts from the field's end (`__rel_loc`), not from the event's start.
        relative: bool,
    },
    /// Offset and length of an array of numbers elsewhere in the event.
    List {
        /// As for a text.
        relative: bool,
        /// The bytes of one number: 4 or 8.
        element: usize,
    },
    /// Anything else, such as a structure or an array of fixed length.
    Other,
}

impl Formats {
    /// Adds an event by the text of its `format` file.
    pub(crate) fn add(&mut self, system: &str, file: Bytes<'_>) -> Result<(), Error> {
        let text = file.all_text();
        let after = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
        let short = || text.chars().take(80).collect::<String>();
        let Some(name) = after("name: ").filter(|name| !name.is_empty()) else {
            return Err(file.wrong("format", short(), "an event's format, with `name: `"));
        };
        let id = after("ID: ").and_then(|id| id.trim().parse().ok());
        let id = id.ok_or_else(|| {
            file.wrong(
                format!("format of {name}"),
                short(),
                "a number after `ID: `",
            )
        })?;
        let mut fields = fields(&text);
        let id_field = remove(&mut fields, "common_type");
        let pid = remove(&mut fields, "common_pid");
        let pid = pid.filter(|pid| matches!(pid.kind, FieldKind::Number { .. }));
        let (Some(id_field), Some(pid)) = (id_field, pid) else {
            let expected = "the fields `common_type` and `common_pid`";
            return Err(file.wrong(format!("format of {name}"), short(), expected));
        };
        let first = self.id.get_or_insert_with(|| id_field.clone());
        if *first != id_field {
            let expected = format!("`common_type` at {}, as in others", first.offset);
            return Err(file.wrong(format!("format of {name}"), id_field.offset, expected));
        }
        fields.retain(|field| !field.name.starts_with("common_"));
        let format = Format {
            id,
            system: system.to_owned(),
            name: name.to_owned(),
            fields,
            pid,
        };
        self.by_id.entry(id).or_insert(format);
        Ok(())
    }

    /// The format of an event.
    pub(crate) fn of(&self, event: Bytes<'_>) -> Result<&Format, Error> {
        let id = self.id.as_ref().and_then(|id| id.of(event.slice()));
        let Some(id) = id.map(|id| event.order.number(id)) else {
            return Err(event.wrong("event", format!("{} bytes", event.len()), "its id"));
        };
        self.by_id.get(&id).ok_or_else(|| {
            let expected = "the id of an event whose format is in the file";
            event.wrong("common_type", id, expected)
        })
    }

    /// All formats, ascending by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Format> {
        self.by_id.values()
    }
}

impl Format {
    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

fn remove(fields: &mut Vec<Field>, name: &str) -> Option<Field> {
    let at = fields.iter().position(|field| field.name == name);
    at.map(|at| fields.remove(at))
}

impl Field {
    /// The field's bytes in an event; `None` if that is too short.
    pub(crate) fn of<'a>(&self, event: &'a [u8]) -> Option<&'a [u8]> {
        event.get(self.offset..self.offset.checked_add(self.size)?)
    }

    /// A `field:` line.
    fn read(line: &str) -> Option<Field> {
        let line = line.trim_start().strip_prefix("field")?;
        let mut parts = line.split(';').map(str::trim);
        let (_, declaration) = parts.next()?.split_once(':')?;
        let (mut offset, mut size, mut signed) = (None, None, false);
        for part in parts {
            match part.split_once(':') {
                Some(("offset", number)) => offset = number.parse().ok(),
                Some(("size", number)) => size = number.parse().ok(),
                Some(("signed", number)) => signed = number == "1",
                _ => {}
            }
        }
        let (kind, name) = declaration.rsplit_once([' ', '*'])?;
        let (offset, size) = (offset?, size?);
        Some(Field {
            name: name.split('[').next()?.to_owned(),
            offset,
            size,
            kind: FieldKind::of(kind.trim(), name, size, signed),
        })
    }
}

impl FieldKind {
    fn of(declared: &str, name: &str, size: usize, signed: bool) -> FieldKind {
        let (relative, element) = match declared.split_once(' ') {
            Some(("__data_loc", element)) => (false, element),
            Some(("__rel_loc", element)) => (true, element),
            _ if name.ends_with(']') || !matches!(size, 1..=8) => return FieldKind::Other,
            _ => return FieldKind::Number { signed },
        };
        let element = match element.trim_end_matches("[]").trim_end() {
            "char" => return FieldKind::Text { relative },
            "u64" | "s64" | "__u64" | "dma_addr_t" | "phys_addr_t" | "unsigned long long"
            | "long long" => 8,
            "u32" | "s32" | "__u32" | "unsigned int" | "int" => 4,
            _ => return FieldKind::Other,
        };
        match size {
            4 => FieldKind::List { relative, element },
            _ => FieldKind::Other,
        }
    }
}

/// The fields of a `format` file, or of `header_page`.
pub(crate) fn fields(text: &str) -> Vec<Field> {
    text.lines().filter_map(Field::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Order, Origin};

    fn field(line: &str) -> Field {
        Field::read(line).expect("a field")
    }

    #[test]
    fn fields_are_what_their_declarations_say() {
        let number = |signed| FieldKind::Number { signed };
        let list = |relative, element| FieldKind::List { relative, element };
        let text = |relative| FieldKind::Text { relative };
        for (declaration, size, kind, name) in [
            (
                "unsigned short common_type",
                2,
                number(false),
                "common_type",
            ),
            ("void *virt_addr", 8, number(false), "virt_addr"),
            ("void * virt_addr", 8, number(false), "virt_addr"),
            ("enum dma_data_direction dir", 4, number(false), "dir"),
            ("__data_loc char[] device", 4, text(false), "device"),
            ("__rel_loc char[] device", 4, text(true), "device"),
            (
                "__data_loc u64[] phys_addrs",
                4,
                list(false, 8),
                "phys_addrs",
            ),
            (
                "__rel_loc unsigned int[] lengths",
                4,
                list(true, 4),
                "lengths",
            ),
            ("__data_loc u64[] odd", 8, FieldKind::Other, "odd"),
            ("__data_loc struct odd[] odd", 4, FieldKind::Other, "odd"),
            ("unsigned long caller[8]", 64, FieldKind::Other, "caller"),
            ("char small[4]", 4, FieldKind::Other, "small"),
            ("char buf[]", 0, FieldKind::Other, "buf"),
        ] {
            let line = format!("\tfield:{declaration};\toffset:8;\tsize:{size};\tsigned:0;");
            let expected = Field {
                name: name.to_owned(),
                offset: 8,
                size,
                kind,
            };
            assert_eq!(field(&line), expected, "{line}");
        }
        let signed = field("\tfield:int err;\toffset:16;\tsize:4;\tsigned:1;");
        assert_eq!(signed.kind, number(true));
        let special = field("\tfield special:u64 a;\toffset:16;\tsize:8;");
        assert_eq!((special.offset, special.size), (16, 8));
        for line in [
            "",
            "field:u64 a;",
            "field:a;\toffset:1;\tsize:1;",
            "print fmt: \"\"",
        ] {
            assert_eq!(Field::read(line), None, "{line}");
        }
    }

    #[test]
    fn a_format_says_what_it_lacks() {
        let message = |text: &str| {
            let bytes = Bytes::new(text.as_bytes(), Origin::File(7), Order::Little);
            let error = Formats::default().add("iova", bytes).unwrap_err();
            error.problem.to_string()
        };
        assert!(message("").contains("with `name: `"));
        assert!(message("name: a\n").contains("a number after `ID: `"));
        assert!(message("name: a\nID: 7\nformat:\n").contains("`common_type` and"));
    }
}
