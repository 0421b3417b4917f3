//! Version 7: sections anywhere in the file, some compressed, located by options.
//!
//! Files differ from the manual page in three ways: a section's size has 8 bytes; in a `BUFFER`
//! option the page size comes before the number of CPUs; and the size of a CPU's compressed data
//! is that of the chunks, without their number before them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::bytes::{Bytes, Origin};
use crate::error::Error;
use crate::formats::Formats;
use crate::layout::{Contents, CpuData, cpu, from, latency_text};
use crate::options::Options;
use crate::sections::{event_formats, ftrace_formats, header_info};
use crate::unpack::{Packing, UNPACKED_MAX};

/// Options that locate sections, and the ids of these.
const DONE: u64 = 0;
const BUFFER: u64 = 3;
const HEADER_INFO: u64 = 16;
const FTRACE_EVENTS: u64 = 17;
const EVENT_FORMATS: u64 = 18;
const BUFFER_TEXT: u64 = 22;

/// The flag of a packed section.
const PACKED: u64 = 1;

/// Where the sections are, and the other options.
#[derive(Debug, Default)]
struct Places {
    header_info: Option<u64>,
    ftrace_events: Vec<u64>,
    event_formats: Vec<u64>,
    buffers: Vec<Buffer>,
    options: Options,
}

/// One of the tracer's buffers; the main one's name is empty.
#[derive(Debug, Default)]
struct Buffer {
    name: String,
    clock: Option<String>,
    data: Vec<CpuData>,
}

/// Reads what follows the page size.
pub(crate) fn read(mut bytes: Bytes<'_>, whole: Bytes<'_>) -> Result<Contents, Error> {
    let before = bytes;
    let packing = Packing::of(&bytes.text("compression")?, before)?;
    bytes.text("version of the compression")?;
    let reader = Sections { whole, packing };
    let first = bytes.u64("offset of the options")?;
    let places = reader.options(first)?;
    let Some(header_info_at) = places.header_info else {
        return Err(before.wrong("options", "none of them", "one for HEADER_INFO"));
    };
    let content = reader.section(header_info_at, HEADER_INFO, "header info")?;
    let page = header_info(&mut content.bytes(whole))?;
    let mut formats = Formats::default();
    for at in &places.ftrace_events {
        let content = reader.section(*at, FTRACE_EVENTS, "ftrace formats")?;
        ftrace_formats(&mut content.bytes(whole), &mut formats)?;
    }
    for at in &places.event_formats {
        let content = reader.section(*at, EVENT_FORMATS, "event formats")?;
        event_formats(&mut content.bytes(whole), &mut formats)?;
    }
    let mut options = places.options;
    let buffer = the_one(places.buffers, before)?;
    options.clock = buffer.clock.or(options.clock);
    Ok(Contents {
        page,
        formats,
        options,
        data: buffer.data,
    })
}

/// The buffer that has data.
fn the_one(mut buffers: Vec<Buffer>, place: Bytes<'_>) -> Result<Buffer, Error> {
    buffers.retain(|buffer| buffer.data.iter().any(|data| data.size > 0));
    if buffers.len() > 1 {
        let name = |buffer: &Buffer| match &*buffer.name {
            "" => "the main one".to_owned(),
            name => format!("`{}`", name.chars().take(40).collect::<String>()),
        };
        let names: Vec<String> = buffers.iter().take(20).map(name).collect();
        let expected = "one with events; `trace-cmd report` prints all of them";
        return Err(place.wrong("buffers", names.join(", "), expected));
    }
    Ok(buffers.pop().unwrap_or_default())
}

/// The file as sections.
struct Sections<'a> {
    whole: Bytes<'a>,
    packing: Option<Packing>,
}

/// A section's content, unpacked if it was packed.
struct Content<'a> {
    bytes: Cow<'a, [u8]>,
    origin: Origin,
}

impl Content<'_> {
    fn bytes(&self, whole: Bytes<'_>) -> Bytes<'_> {
        Bytes::new(&self.bytes, self.origin, whole.order)
    }
}

impl<'a> Sections<'a> {
    /// A section's flags and all that follows its header in the file, at most its size.
    fn open(&self, at: u64, id: u64, what: &str) -> Result<(u64, Bytes<'a>), Error> {
        let mut bytes = from(self.whole, at, what)?;
        let before = bytes;
        let found = bytes.u16(&format!("id of {what}"))?;
        if found != id {
            return Err(before.wrong(format!("id of {what}"), found, id.to_string()));
        }
        let flags = bytes.u16("flags of a section")?;
        bytes.u32("description of a section")?;
        let size = bytes.u64("size of a section")?;
        Ok((flags, bytes.take(size, what)?))
    }

    fn section(&self, at: u64, id: u64, what: &str) -> Result<Content<'a>, Error> {
        let (flags, mut bytes) = self.open(at, id, what)?;
        if flags & PACKED == 0 {
            let origin = bytes.origin();
            let bytes = Cow::Borrowed(bytes.slice());
            return Ok(Content { bytes, origin });
        }
        let origin = Origin::Packed { at, inside: 0 };
        let unpacked = self
            .packing(&bytes)?
            .unpack(&mut bytes, UNPACKED_MAX, what)?;
        let bytes = Cow::Owned(unpacked);
        Ok(Content { bytes, origin })
    }

    fn packing(&self, place: &Bytes<'_>) -> Result<Packing, Error> {
        let found = "a packed section in a file without compression";
        let packing = self.packing;
        packing.ok_or_else(|| place.wrong("flags of a section", found, "0"))
    }

    /// All options, of all their sections.
    fn options(&self, first: u64) -> Result<Places, Error> {
        let mut places = Places::default();
        let mut visited = BTreeSet::new();
        let mut next = first;
        while next != 0 {
            if !visited.insert(next) {
                let place = from(self.whole, next, "options")?;
                let expected = "an offset not seen before";
                return Err(place.wrong("offset of further options", next, expected));
            }
            let content = self.section(next, DONE, "options")?;
            next = self.take_options(content.bytes(self.whole), &mut places)?;
        }
        Ok(places)
    }

    /// The options of one section, and where the next one is.
    fn take_options(&self, mut bytes: Bytes<'_>, places: &mut Places) -> Result<u64, Error> {
        while bytes.len() > 0 {
            let before = bytes;
            let id = bytes.u16("option")?;
            let size = bytes.u32("size of an option")?;
            let mut data = bytes.take(size, "option")?;
            let mut offset = || data.u64("offset of a section");
            match id {
                DONE => return offset(),
                HEADER_INFO => places.header_info = Some(offset()?),
                FTRACE_EVENTS => places.ftrace_events.push(offset()?),
                EVENT_FORMATS => places.event_formats.push(offset()?),
                BUFFER => places.buffers.push(self.buffer(data)?),
                BUFFER_TEXT => return Err(latency_text(before)),
                _ => places.options.take(id, data)?,
            }
        }
        Err(bytes.wrong("options", "no last one", "one for DONE"))
    }

    fn buffer(&self, mut bytes: Bytes<'_>) -> Result<Buffer, Error> {
        const CPU_SIZE: usize = 20;
        let at = bytes.u64("offset of a buffer")?;
        let name = bytes.text("name of a buffer")?.into_owned();
        let clock = bytes.text("clock of a buffer")?;
        let clock = (!clock.is_empty()).then(|| clock.into_owned());
        if bytes.len() % CPU_SIZE == 8 {
            bytes.u32("page size of a buffer")?;
        }
        let cpus = bytes.u32("number of a buffer's CPUs")?;
        let mut data = Vec::new();
        let mut packing = None;
        if cpus > 0 {
            let (flags, place) = self.open(at, BUFFER, "buffer")?;
            if flags & PACKED != 0 {
                packing = Some(self.packing(&place)?);
            }
        }
        for _ in 0..cpus {
            let before = bytes;
            let number = bytes.u32("number of a CPU")?;
            let cpu = cpu(number, before)?;
            let at = bytes.u64("offset of a CPU's data")?;
            let size = bytes.u64("size of a CPU's data")?;
            let size = match packing {
                Some(_) if size > 0 => size.saturating_add(4),
                _ => size,
            };
            from(self.whole, at, "a CPU's data")?.take(size, "a CPU's data")?;
            data.push(CpuData {
                cpu,
                at,
                size,
                packing,
            });
        }
        Ok(Buffer { name, clock, data })
    }
}
