//! The file but for its events: everything that says where they are and how to read them.

use std::collections::BTreeSet;

use super::bytes::{Bytes, Fault, Order, Origin};
use super::formats::Formats;
use super::options::{Gathered, Tsc};
use super::sections::PageLayout;
use super::unpack::{Packing, UNPACKED_MAX};
use super::{version6, version7};
use iova::units::Cpu;

/// What a file begins with.
pub(in super::super) const MAGIC: &[u8; 10] = b"\x17\x08\x44tracing";

/// The most that all CPUs' chunks may hold unpacked at a time, in bytes; a chunk is of ten pages.
const CHUNKS_MAX: u64 = 1 << 30;

/// A file whose layout is understood.
#[derive(Debug)]
pub(in super::super) struct File {
    bytes: Vec<u8>,
    pub(super) order: Order,
    pub(super) page: PageLayout,
    pub(super) formats: Formats,
    pub(super) options: Gathered,
    pub(super) scale: Option<Tsc>,
    /// By CPU, the lowest number first.
    pub(super) data: Vec<CpuData>,
}

/// What a version's reader finds.
pub(super) struct Contents {
    pub(super) page: PageLayout,
    pub(super) formats: Formats,
    pub(super) options: Gathered,
    pub(super) data: Vec<CpuData>,
}

/// Where a CPU's pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuData {
    pub(super) cpu: Cpu,
    pub(super) at: u64,
    pub(super) size: u64,
    /// How they are packed in chunks.
    pub(super) packing: Option<Packing>,
}

impl File {
    /// Reads all but the events.
    pub(in super::super) fn read(bytes: Vec<u8>) -> Result<File, Fault> {
        let mut head = Bytes::new(&bytes, Origin::File(0), Order::Little);
        head.expect(MAGIC, "magic")?;
        let before = head;
        let version = head.text("version")?;
        let mut after = head;
        let order = match head.u8("byte order")? {
            0 => Order::Little,
            1 => Order::Big,
            other => return Err(after.wrong("byte order", other, "0 (little) or 1 (big)")),
        };
        after = head;
        let long = head.u8("size of a long")?;
        if !matches!(long, 4 | 8) {
            return Err(after.wrong("size of a long", long, "4 or 8"));
        }
        head.order = order;
        head.u32("page size")?;
        let whole = Bytes::new(&bytes, Origin::File(0), order);
        let contents = match &*version {
            "6" => version6::read(head, whole)?,
            "7" => version7::read(head, whole)?,
            _ => {
                let found = version.chars().take(40).collect::<String>();
                return Err(before.wrong("version", found, "6 or 7"));
            }
        };
        check_sizes(&contents.data, whole)?;
        let scale = contents.options.scale(head)?;
        let Contents {
            page,
            formats,
            options,
            mut data,
        } = contents;
        data.sort_unstable_by_key(|data| data.cpu);
        Ok(File {
            bytes,
            order,
            page,
            formats,
            options,
            scale,
            data,
        })
    }

    /// The most that one CPU's chunk may hold unpacked.
    pub(super) fn chunk_max(&self) -> u64 {
        (CHUNKS_MAX / (self.data.len() as u64).max(1)).min(UNPACKED_MAX)
    }

    /// Some of the file's bytes.
    pub(super) fn slice(&self, at: u64, size: u64, what: &str) -> Result<Bytes<'_>, Fault> {
        let whole = Bytes::new(&self.bytes, Origin::File(0), self.order);
        from(whole, at, what)?.take(size, what)
    }
}

/// That no CPU is there twice, and none shares its data: so that all of it takes no more room than
/// the file.
fn check_sizes(data: &[CpuData], whole: Bytes<'_>) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    let mut all = 0_u64;
    for CpuData { cpu, size, .. } in data {
        if !seen.insert(*cpu) {
            return Err(whole.wrong(
                "CPUs with data",
                format!("CPU {} twice", cpu.0),
                "one each",
            ));
        }
        all = all.saturating_add(*size);
    }
    if all > whole.len() as u64 {
        let expected = format!("at most the file's {}", whole.len());
        return Err(whole.wrong("sizes of all CPUs' data", all, expected));
    }
    Ok(())
}

/// The file from an offset on.
pub(super) fn from<'a>(whole: Bytes<'a>, at: u64, what: &str) -> Result<Bytes<'a>, Fault> {
    let mut bytes = whole;
    if bytes.take(at, what).is_ok() {
        return Ok(bytes);
    }
    let size = whole.len();
    let expected = format!("an offset in the file, of {size} bytes; was it cut short?");
    Err(whole.wrong(format!("offset of {what}"), at, expected))
}

/// A CPU by its number in the file.
pub(super) fn cpu(number: u64, place: Bytes<'_>) -> Result<Cpu, Fault> {
    let cpu = u16::try_from(number).map(Cpu);
    cpu.map_err(|_| place.wrong("number of a CPU", number, "below 65536"))
}
