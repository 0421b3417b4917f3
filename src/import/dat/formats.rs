//! tracefs's `format` files: which event an id means, and where its fields lie.
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

use super::bytes::{Bytes, Fault, Order};

/// The events that a file may have, by id.
#[derive(Debug, Default)]
pub(super) struct Formats {
    by_id: BTreeMap<u64, Format>,
    /// The id's field, which is the same in every event.
    id: Option<Field>,
}

/// One event's layout.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) name: String,
    pub(super) pid: Field,
    pub(super) sort: Sort,
    /// Those that are the event's own, without what says where a probe hit.
    pub(super) fields: Vec<Field>,
}

/// What an event is, as far as its arguments are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// A probe that hit at an address.
    Probe {
        at: Field,
    },
    /// A probe on a function's return, and where that goes to.
    Return {
        function: Field,
        to: Field,
    },
    /// The IOMMU's own events.
    Iommu,
    Dma,
    /// One that no importer reads.
    Other,
}

/// Where a field is and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) offset: usize,
    pub(super) size: usize,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number {
        signed: bool,
    },
    /// Where in the event a text is, and how long; perhaps counted from the field's end.
    Text {
        relative: bool,
    },
    /// The same of numbers of some bytes each.
    List {
        relative: bool,
        element: usize,
    },
    /// What no importer reads.
    Other,
}

impl Formats {
    /// Adds an event by the text of its `format` file.
    pub(super) fn add(&mut self, system: &str, file: Bytes<'_>) -> Result<(), Fault> {
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
        let (Some(id_field), Some(pid)) = (id_field, remove(&mut fields, "common_pid")) else {
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
            name: name.to_owned(),
            pid,
            sort: Sort::of(system, &mut fields),
            fields,
        };
        self.by_id.entry(id).or_insert(format);
        Ok(())
    }

    /// The id of an event, and its format if it is known.
    pub(super) fn of(&self, event: &[u8], order: Order) -> Option<(u64, Option<&Format>)> {
        let id = order.number(self.id.as_ref()?.of(event)?);
        Some((id, self.by_id.get(&id)))
    }

    pub(super) fn get(&self, id: u64) -> Option<&Format> {
        self.by_id.get(&id)
    }
}

impl Sort {
    /// By the system and the fields, of which it keeps those that say where a probe hit.
    fn of(system: &str, fields: &mut Vec<Field>) -> Sort {
        let at = remove(fields, "__probe_ip");
        let function = remove(fields, "__probe_func");
        let to = remove(fields, "__probe_ret_ip");
        match (at, function, to, system) {
            (Some(at), ..) => Sort::Probe { at },
            (None, Some(function), Some(to), _) => Sort::Return { function, to },
            (.., "iommu") => Sort::Iommu,
            (.., "dma") => Sort::Dma,
            _ => Sort::Other,
        }
    }
}

fn remove(fields: &mut Vec<Field>, name: &str) -> Option<Field> {
    let at = fields.iter().position(|field| field.name == name);
    at.map(|at| fields.remove(at))
}

impl Field {
    /// The field's bytes in an event; none if that is too short.
    pub(super) fn of<'a>(&self, event: &'a [u8]) -> Option<&'a [u8]> {
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
            kind: Kind::of(kind.trim(), name, size, signed),
        })
    }
}

impl Kind {
    fn of(declared: &str, name: &str, size: usize, signed: bool) -> Kind {
        let (relative, element) = match declared.split_once(' ') {
            Some(("__data_loc", element)) => (false, element),
            Some(("__rel_loc", element)) => (true, element),
            _ if name.ends_with(']') || !matches!(size, 1..=8) => return Kind::Other,
            _ => return Kind::Number { signed },
        };
        let element = match element.trim_end_matches("[]").trim_end() {
            "char" => return Kind::Text { relative },
            "u64" | "s64" | "__u64" | "dma_addr_t" | "phys_addr_t" | "unsigned long long"
            | "long long" => 8,
            "u32" | "s32" | "__u32" | "unsigned int" | "int" => 4,
            _ => return Kind::Other,
        };
        match size {
            4 => Kind::List { relative, element },
            _ => Kind::Other,
        }
    }
}

/// The fields of a `format` file, or of `header_page`.
pub(super) fn fields(text: &str) -> Vec<Field> {
    text.lines().filter_map(Field::read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::bytes::Origin;
    use super::*;

    fn field(line: &str) -> Field {
        Field::read(line).expect("a field")
    }

    #[test]
    fn fields_are_what_their_declarations_say() {
        let number = |signed| Kind::Number { signed };
        let list = |relative, element| Kind::List { relative, element };
        let text = |relative| Kind::Text { relative };
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
            ("__data_loc u64[] odd", 8, Kind::Other, "odd"),
            ("__data_loc struct odd[] odd", 4, Kind::Other, "odd"),
            ("unsigned long caller[8]", 64, Kind::Other, "caller"),
            ("char small[4]", 4, Kind::Other, "small"),
            ("char buf[]", 0, Kind::Other, "buf"),
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
            let fault = Formats::default().add("iova", bytes).unwrap_err();
            fault.problem.to_string()
        };
        assert!(message("").contains("with `name: `"));
        assert!(message("name: a\n").contains("a number after `ID: `"));
        assert!(message("name: a\nID: 7\nformat:\n").contains("`common_type` and"));
    }
}
