//! A file as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::bytes::{Bytes, Order, Origin};
use crate::error::Error;
use crate::formats::Format;
use crate::layout::{CpuData, Layout};
use crate::{version6, version7};

/// The bytes that every file begins with.
pub const MAGIC: &[u8; 10] = b"\x17\x08\x44tracing";

/// A file, held in memory; clones share it.
#[derive(Clone, Debug)]
pub struct File {
    pub(crate) layout: Arc<Layout>,
}

impl File {
    /// Reads everything but the events, which [`records`](File::records) gives.
    ///
    /// # Errors
    ///
    /// Where the bytes are no file of version 6 or 7, its parts lie outside of it, it has events of
    /// several buffers, or its clock does not count nanoseconds and it does not say how to convert
    /// the counts.
    pub fn read(bytes: Vec<u8>) -> Result<File, Error> {
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
        let mut contents = match &*version {
            "6" => version6::read(head, whole)?,
            "7" => version7::read(head, whole)?,
            _ => {
                let found = version.chars().take(40).collect::<String>();
                return Err(before.wrong("version", found, "6 or 7"));
            }
        };
        check_sizes(&contents.data, whole)?;
        let scale = contents.options.scale(head)?;
        contents.data.sort_unstable_by_key(|data| data.cpu);
        let layout = Arc::new(Layout {
            bytes,
            order,
            contents,
            scale,
        });
        Ok(File { layout })
    }

    /// The number of CPUs of the machine, if the file says it.
    pub fn cpus(&self) -> Option<u64> {
        self.layout.contents.options.cpus
    }

    /// The kernel's release, such as `6.12.1-amd64`, if the file says it.
    pub fn kernel(&self) -> Option<&str> {
        self.layout.contents.options.kernel.as_deref()
    }

    /// The tracer's clock, such as `mono`, if the file says it.
    pub fn clock(&self) -> Option<&str> {
        self.layout.contents.options.clock.as_deref()
    }

    /// The formats of all events that the file can have, ascending by id.
    pub fn formats(&self) -> impl Iterator<Item = &Format> {
        self.layout.contents.formats.iter()
    }
}

/// Checks that no CPU is there twice and that all data together is no larger than the file, so that
/// reading it takes time in proportion to the file.
fn check_sizes(data: &[CpuData], whole: Bytes<'_>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    let mut all = 0_u64;
    for CpuData { cpu, size, .. } in data {
        if !seen.insert(*cpu) {
            let found = format!("CPU {cpu} twice");
            return Err(whole.wrong("CPUs with data", found, "one each"));
        }
        all = all.saturating_add(*size);
    }
    if all > whole.len() as u64 {
        let expected = format!("at most the file's {}", whole.len());
        return Err(whole.wrong("sizes of all CPUs' data", all, expected));
    }
    Ok(())
}
