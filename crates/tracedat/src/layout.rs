//! Where a file's events are and how to read them: what the readers of both versions give.

use crate::bytes::{Bytes, Order, Origin};
use crate::error::Error;
use crate::formats::Formats;
use crate::options::{Options, Tsc};
use crate::sections::PageLayout;
use crate::unpack::{Packing, UNPACKED_MAX};

/// The most that the chunks of all CPUs may hold decompressed at a time, in bytes; a chunk is of
/// ten pages.
const CHUNKS_MAX: u64 = 1 << 30;

/// A file but for its events.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) bytes: Vec<u8>,
    pub(crate) order: Order,
    pub(crate) contents: Contents,
    /// `None` where times are nanoseconds.
    pub(crate) scale: Option<Tsc>,
}

/// What the reader of a version finds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) page: PageLayout,
    pub(crate) formats: Formats,
    pub(crate) options: Options,
    /// Ascending by CPU once the file is read.
    pub(crate) data: Vec<CpuData>,
}

/// Where a CPU's pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuData {
    pub(crate) cpu: u16,
    pub(crate) at: u64,
    pub(crate) size: u64,
    /// How its chunks are compressed; `None` if they are not.
    pub(crate) packing: Option<Packing>,
}

impl Layout {
    /// The most that one CPU's chunk may hold decompressed, in bytes.
    pub(crate) fn chunk_max(&self) -> u64 {
        let cpus = self.contents.data.len() as u64;
        (CHUNKS_MAX / cpus.max(1)).min(UNPACKED_MAX)
    }

    /// `size` of the file's bytes.
    pub(crate) fn slice(&self, at: u64, size: u64, what: &str) -> Result<Bytes<'_>, Error> {
        let whole = Bytes::new(&self.bytes, Origin::File(0), self.order);
        from(whole, at, what)?.take(size, what)
    }
}

/// The file from an offset on.
pub(crate) fn from<'a>(whole: Bytes<'a>, at: u64, what: &str) -> Result<Bytes<'a>, Error> {
    let mut bytes = whole;
    if bytes.take(at, what).is_ok() {
        return Ok(bytes);
    }
    let size = whole.len();
    let expected = format!("an offset in the file, of {size} bytes; was it cut short?");
    Err(whole.wrong(format!("offset of {what}"), at, expected))
}

/// A CPU by its number in the file; no kernel has more than 8192.
pub(crate) fn cpu(number: u64, place: Bytes<'_>) -> Result<u16, Error> {
    let cpu = u16::try_from(number);
    cpu.map_err(|_| place.wrong("number of a CPU", number, "below 65536"))
}

/// A file that has the text of a latency tracer in place of events.
pub(crate) fn latency_text(place: Bytes<'_>) -> Error {
    place.wrong(
        "kind of data",
        "the text of a latency tracer",
        "events; record events, not a latency tracer",
    )
}
