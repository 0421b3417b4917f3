//! The records of a trace.dat as the lines of a text of it.
//!
//! The importers look up arguments by the names that the kernel prints, so an event's fields become
//! `name=value` text here. The layout of the line is the kernel's (`print fmt`) only as far as they
//! look at it: the place of a probe in parentheses, `IOMMU:`, a device before all else, which
//! numbers go without `0x`. The arguments of events that no importer reads stay empty.
//!
//! Times are exact here, where `trace-cmd report` rounds them to microseconds (or prints
//! nanoseconds with `-t`).

use std::fmt::Write as _;

use tracedat::{Field, FieldKind, File, Item, List, Place, Record as Event, Records, Value};

use super::record::{Line, Record};
use crate::import::error;
use iova::units::Cpu;

/// The names under which the kernel prints fields of `dma` events that have other names.
const DMA_NAMES: [(&str, &str); 3] = [
    ("addr", "dma_addr"),
    ("addrs", "phys_addrs"),
    ("lengths", "sizes"),
];

/// The arguments that the kernel prints without `0x`.
const PLAIN_HEXADECIMAL: [&str; 3] = ["dma_addr", "phys_addr", "virt_addr"];

/// The fields that say where a probe hit.
const PROBE_FIELDS: [&str; 3] = ["__probe_ip", "__probe_func", "__probe_ret_ip"];

/// A file's lines, one at a time.
#[derive(Debug)]
pub(crate) struct DatLines {
    file: File,
    records: Records,
    item: Current,
    event: String,
    arguments: String,
}

/// The line that was read last.
#[derive(Clone, Copy, Debug)]
enum Current {
    Start,
    Cpus(u64),
    Kernel,
    Lost {
        cpu: u16,
        count: Option<u64>,
    },
    Record {
        pid: u32,
        cpu: Cpu,
        at: u64,
        place: Place,
    },
}

impl DatLines {
    pub(crate) fn new(file: File) -> Result<DatLines, tracedat::Error> {
        Ok(DatLines {
            records: file.records()?,
            file,
            item: Current::Start,
            event: String::new(),
            arguments: String::new(),
        })
    }

    /// Goes to the next line; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, tracedat::Error> {
        if let (Current::Start, Some(cpus)) = (self.item, self.file.cpus()) {
            self.item = Current::Cpus(cpus);
            return Ok(true);
        }
        if let Current::Start | Current::Cpus(_) = self.item
            && self.file.kernel().is_some()
        {
            self.item = Current::Kernel;
            return Ok(true);
        }
        self.item = match self.records.read()? {
            None => return Ok(false),
            Some(Item::Lost { cpu, count }) => Current::Lost { cpu, count },
            Some(Item::Record(event)) => {
                self.arguments.clear();
                write_arguments(&event, &mut self.arguments)?;
                self.event.clear();
                self.event.push_str(&event.format.name);
                Current::Record {
                    pid: event.pid,
                    cpu: Cpu(event.cpu),
                    at: event.nanoseconds,
                    place: event.place(),
                }
            }
        };
        Ok(true)
    }

    /// The line that was read last.
    pub(crate) fn line(&self) -> Line<'_> {
        match self.item {
            Current::Start => Line::Nothing,
            Current::Cpus(cpus) => Line::Cpus(cpus),
            Current::Kernel => Line::Kernel(self.file.kernel().unwrap_or_default()),
            Current::Lost { cpu, count } => Line::Lost {
                cpu: Some(u64::from(cpu)),
                count,
            },
            Current::Record { pid, cpu, at, .. } => Line::Record(Record {
                pid: pid.cast_signed(),
                cpu,
                at,
                event: &self.event,
                arguments: &self.arguments,
            }),
        }
    }

    /// Where the line that was read last is in the file.
    pub(crate) fn place(&self) -> error::Place {
        match self.item {
            Current::Record { place, .. } => error::Place::Dat(place),
            _ => error::Place::Whole,
        }
    }
}

/// Appends an event's arguments.
fn write_arguments(event: &Event<'_>, out: &mut String) -> Result<(), tracedat::Error> {
    let format = event.format;
    let [at, function, to] = PROBE_FIELDS.map(|name| format.field(name));
    match (at, function, to, &*format.system) {
        (Some(at), ..) => {
            out.push('(');
            push_hexadecimal(event.number(at)?, out);
        }
        (None, Some(function), Some(to), _) => {
            out.push('(');
            push_hexadecimal(event.number(function)?, out);
            out.push_str(" <- ");
            push_hexadecimal(event.number(to)?, out);
        }
        (.., "iommu") => return write_iommu(event, out),
        (.., "dma") => return write_dma(event, out),
        _ => return Ok(()),
    }
    out.push(')');
    // No importer reads a probe's texts, and they might look like other arguments.
    let fields = &format.fields;
    let mut own = fields
        .iter()
        .filter(|field| !PROBE_FIELDS.contains(&&*field.name));
    own.try_for_each(|field| write_number(event, &field.name, field, out))
}

fn write_iommu(event: &Event<'_>, out: &mut String) -> Result<(), tracedat::Error> {
    out.push_str("IOMMU:");
    for field in &event.format.fields {
        if let FieldKind::Text { .. } = field.kind {
            push_name(&field.name, out);
            push_text(event, field, out)?;
        } else {
            let name = match &*field.name {
                "gid" => "groupID",
                name => name,
            };
            write_number(event, name, field, out)?;
        }
    }
    Ok(())
}

fn write_dma(event: &Event<'_>, out: &mut String) -> Result<(), tracedat::Error> {
    if let Some(device) = event.format.field("device") {
        push_text(event, device, out)?;
    }
    for field in &event.format.fields {
        let renamed = DMA_NAMES.iter().find(|(name, _)| *name == field.name);
        let name = renamed.map_or(&*field.name, |(_, name)| name);
        match field.kind {
            FieldKind::Number { .. } if PLAIN_HEXADECIMAL.contains(&name) => {
                push_name(name, out);
                push_hexadecimal(event.number(field)?, out);
            }
            FieldKind::Number { .. } => write_number(event, name, field, out)?,
            FieldKind::List { .. } => {
                if let Value::List(list) = event.value(field)? {
                    push_name(name, out);
                    push_list(list, out);
                }
            }
            FieldKind::Text { .. } | FieldKind::Other => {}
        }
    }
    // The kernel records no more entries than it prints.
    let field = |name| event.format.field(name);
    if let (Some(all), Some(shown)) = (field("full_ents"), field("dma_addrs"))
        && let Value::List(shown) = event.value(shown)?
    {
        let _ = write!(out, " ents={}/{}", shown.iter().len(), event.number(all)?);
    }
    Ok(())
}

/// Appends a number: decimal if it is below 0, else hexadecimal; nothing for other fields.
fn write_number(
    event: &Event<'_>,
    name: &str,
    field: &Field,
    out: &mut String,
) -> Result<(), tracedat::Error> {
    let FieldKind::Number { .. } = field.kind else {
        return Ok(());
    };
    push_name(name, out);
    match event.value(field)? {
        Value::Signed(number) if number < 0 => out.push_str(&number.to_string()),
        _ => {
            out.push_str("0x");
            push_hexadecimal(event.number(field)?, out);
        }
    }
    Ok(())
}

fn push_text(
    event: &Event<'_>,
    field: &Field,
    out: &mut String,
) -> Result<(), tracedat::Error> {
    if let Value::Text(text) = event.value(field)? {
        out.push_str(&text);
    }
    Ok(())
}

fn push_list(list: List<'_>, out: &mut String) {
    let mut before = "{0x";
    for number in list.iter() {
        out.push_str(before);
        push_hexadecimal(number, out);
        before = ",0x";
    }
    out.push_str(if before == "{0x" { "{}" } else { "}" });
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
