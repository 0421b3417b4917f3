//! Version 6: one part after the other, nothing compressed.

use crate::bytes::{Bytes, quoted};
use crate::error::Error;
use crate::formats::Formats;
use crate::layout::{Contents, CpuData, cpu, from, latency_text};
use crate::options::Options;
use crate::sections::{event_formats, ftrace_formats, header_info};

/// The option that names a further buffer.
const BUFFER: u64 = 3;

/// The tags of the parts that the file ends with, of 10 bytes each.
const OPTIONS: &[u8; 10] = b"options  \0";
const LATENCY: &[u8; 10] = b"latency  \0";
const FLYRECORD: &[u8; 10] = b"flyrecord\0";

/// Reads what follows the page size.
pub(crate) fn read(mut bytes: Bytes<'_>, whole: Bytes<'_>) -> Result<Contents, Error> {
    let page = header_info(&mut bytes)?;
    let mut formats = Formats::default();
    ftrace_formats(&mut bytes, &mut formats)?;
    event_formats(&mut bytes, &mut formats)?;
    let size = bytes.u32("size of kallsyms")?;
    bytes.take(size, "kallsyms")?;
    let size = bytes.u32("size of the printk formats")?;
    bytes.take(size, "printk formats")?;
    let size = bytes.u64("size of the command lines")?;
    bytes.take(size, "command lines")?;
    let cpus = bytes.u32("number of CPUs")?;
    let mut options = Options::default();
    let mut before = bytes;
    let mut tag = bytes.take(10, "kind of data")?;
    if tag.slice() == OPTIONS {
        take_options(&mut bytes, &mut options)?;
        before = bytes;
        tag = bytes.take(10, "kind of data")?;
    }
    if tag.slice() == LATENCY {
        return Err(latency_text(before));
    }
    if tag.slice() != FLYRECORD {
        let found = quoted(tag.slice());
        return Err(before.wrong("kind of data", found, quoted(FLYRECORD)));
    }
    options.cpus.get_or_insert(cpus);
    let mut data = Vec::new();
    for number in 0..cpus {
        let cpu = cpu(number, bytes)?;
        let at = bytes.u64("offset of a CPU's data")?;
        let size = bytes.u64("size of a CPU's data")?;
        from(whole, at, "a CPU's data")?.take(size, "a CPU's data")?;
        data.push(CpuData {
            cpu,
            at,
            size,
            packing: None,
        });
    }
    Ok(Contents {
        page,
        formats,
        options,
        data,
    })
}

fn take_options(bytes: &mut Bytes<'_>, options: &mut Options) -> Result<(), Error> {
    loop {
        let before = *bytes;
        let id = bytes.u16("option")?;
        if id == 0 {
            return Ok(());
        }
        let size = bytes.u32("size of an option")?;
        let mut data = bytes.take(size, "option")?;
        if id == BUFFER {
            data.u64("offset of a buffer")?;
            let name = data.text("name of a buffer")?;
            let expected = "the main buffer alone; read the other with `trace-cmd report`, or \
                            record without `-B`";
            return Err(before.wrong("buffer", name, expected));
        }
        options.take(id, data)?;
    }
}
