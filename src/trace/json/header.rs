//! The first line of a trace.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::trace::error::{Error, Kind, excerpt};
use crate::trace::event::{Header, VERSION};
use iova::kernel::FlushQueue;
use iova::units::{Cpu, Granule, Pfn};

use super::object::{Object, Value};

const OF: &str = "the header";

pub(super) const NAMES: &[&str; 10] = &[
    "iovasim",
    "version",
    "granule",
    "start_pfn",
    "cpus",
    "flush_queue",
    "forcedac",
    "name",
    "source",
    "kernel",
];

/// The JSON Schema of the first line of a trace.
pub(super) fn schema() -> serde_json::Value {
    use serde_json::json;

    let granules: Vec<u64> = (0..u64::BITS)
        .filter_map(|shift| Granule::from_bytes(1 << shift))
        .map(Granule::bytes)
        .collect();
    json!({
        "title": "header",
        "type": "object",
        "properties": {
            "iovasim": { "const": "trace" },
            "version": { "const": VERSION },
            "granule": { "enum": granules },
            "start_pfn": { "type": "integer", "minimum": 0, "maximum": u64::MAX },
            "cpus": { "type": "integer", "minimum": 1, "maximum": Cpu::COUNT_MAX },
            "flush_queue": { "enum": FlushQueue::NAMES },
            "forcedac": { "type": "boolean" },
            "name": { "type": "string" },
            "source": { "type": "string" },
            "kernel": { "type": "string" },
        },
        "required": ["iovasim", "version"],
        "additionalProperties": false,
    })
}

/// Reads the first line of a trace.
pub(in crate::trace) fn header(line: &[u8]) -> Result<Header, Error> {
    recognise(line)?;
    let object = Object::read(line, NAMES, OF)?;
    let required = |name, expected: &str| {
        object.field(name).ok_or_else(|| Kind::Missing {
            field: name,
            of: OF.to_owned(),
            expected: expected.to_owned(),
        })
    };
    required("iovasim", "\"trace\"")?.choice(&["trace"])?;
    required("version", "1")?.integer(VERSION..=VERSION)?;

    let mut header = Header::default();
    if let Some(value) = object.field("granule") {
        header.granule = granule(value)?;
    }
    if let Some(value) = object.field("start_pfn") {
        header.start_pfn = Pfn(value.integer(0..=u64::MAX)?);
    }
    if let Some(value) = object.field("cpus") {
        let cpus = value.integer(1..=Cpu::COUNT_MAX.into())?;
        header.cpus = u32::try_from(cpus).unwrap_or(Cpu::COUNT_MAX);
    }
    if let Some(value) = object.field("flush_queue") {
        header.flush_queue = FlushQueue::ALL[value.choice(FlushQueue::NAMES)?];
    }
    if let Some(value) = object.field("forcedac") {
        header.forcedac = value.boolean()?;
    }
    let text = |name| object.field(name).map(Value::text).transpose();
    header.name = text("name")?;
    header.source = text("source")?;
    header.kernel = text("kernel")?;
    Ok(header)
}

fn granule(value: Value<'_>) -> Result<Granule, Error> {
    let bytes = value.integer(0..=u64::MAX).ok();
    bytes
        .and_then(Granule::from_bytes)
        .ok_or_else(|| value.expected("a power of two from 1 to 65536"))
}

/// What a line of a file says of the file's kind.
#[derive(Default, Deserialize)]
struct Signs<'a> {
    #[serde(borrow)]
    iovasim: Option<&'a RawValue>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    op: Option<&'a RawValue>,
    #[serde(borrow)]
    i: Option<&'a RawValue>,
}

/// Refuses what is another kind of file, or a trace of another version, before its fields are
/// looked at.
fn recognise(line: &[u8]) -> Result<(), Error> {
    let not_a_trace = |found: &str| {
        Err(Kind::NotATrace {
            found: found.to_owned(),
        }
        .into())
    };
    let control = |&byte: &u8| byte < b' ' && !byte.is_ascii_whitespace();
    let Ok(text) = std::str::from_utf8(line) else {
        return not_a_trace("binary data");
    };
    if line.iter().any(control) {
        return not_a_trace("binary data");
    }
    if text.starts_with('\u{feff}') {
        return not_a_trace("a byte-order mark");
    }
    if text.trim_ascii().is_empty() {
        return not_a_trace("a blank line");
    }
    if !text.trim_ascii_start().starts_with('{') {
        return not_a_trace(&format!("`{}`", excerpt(text.trim_ascii())));
    }
    match serde_json::from_str(text) {
        Ok(Signs {
            iovasim: None,
            op: Some(_),
            ..
        }) => not_a_trace("an event before any header"),
        Ok(Signs {
            iovasim: None,
            i: Some(_),
            ..
        }) => not_a_trace("an outcome stream"),
        Ok(Signs { iovasim: None, .. }) => not_a_trace("an object without `iovasim`"),
        Ok(Signs {
            version: Some(version),
            ..
        }) => match version.get().parse() {
            Ok(version) if version > VERSION => Err(Kind::Newer { version }.into()),
            _ => Ok(()),
        },
        Ok(_) | Err(_) => Ok(()),
    }
}
