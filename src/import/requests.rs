//! What is asked where a recording shows addresses and sizes, but not the call that asked.

use std::sync::Arc;

use super::Options;
use crate::trace::event::{Header, Op};
use iova::op::{Got, Path};
use iova::units::{Granule, Pfn};

/// The level at which such requests are made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Level {
    /// `alloc` and `free`, as the DMA layer asks the allocator, all with one limit.
    Allocator { limit: Pfn },
    /// `map` and `unmap`, as drivers ask the DMA layer, all with one mask.
    Api { mask: u64, pci: Option<bool> },
}

impl Level {
    /// The level that the options give; the flush queue goes into the header.
    pub(super) fn of(options: &Options, header: &mut Header) -> Result<Level, String> {
        match (options.limit, options.mask) {
            (Some(limit), None) => Ok(Level::Allocator { limit }),
            (None, Some(mask)) => {
                let ask = "--mask makes `map` and `unmap` of the events, which go through a flush \
                           queue where the domain is lazy; the recording does not say: give \
                           --flush-queue none, per-cpu or single";
                header.flush_queue = options.flush_queue.ok_or(ask)?;
                let pci = options.pci;
                Ok(Level::Api { mask, pci })
            }
            (None, None) => Err(
                "the events carry no limit: give --limit PFN for requests to the allocator, or \
                 --mask ADDRESS for requests to the DMA API"
                    .to_owned(),
            ),
            (Some(_), Some(_)) => {
                Err("--limit and --mask are two levels of request: give one".to_owned())
            }
        }
    }

    /// A request for `bytes` bytes.
    pub(super) fn alloc(
        self,
        id: u64,
        bytes: u64,
        granule: Granule,
        device: Option<&Arc<str>>,
        got: Got,
    ) -> Result<Op, String> {
        match self {
            Level::Allocator { limit } => Ok(Op::Alloc {
                id,
                pages: granule.pages(bytes),
                limit,
                path: Path::Fast { flush: true },
                got,
            }),
            Level::Api { mask, pci } => Ok(Op::Map {
                id,
                bytes,
                mask,
                pci: is_pci(mask, pci, device.map(|name| &**name))?,
                dev: device.cloned(),
                got,
            }),
        }
    }

    /// The end of a request.
    pub(super) fn free(self, id: u64) -> Op {
        match self {
            Level::Allocator { .. } => Op::Free { id },
            Level::Api { .. } => Op::Unmap { id },
        }
    }
}

/// Whether a device is a PCI device, where that makes a difference.
fn is_pci(mask: u64, stated: Option<bool>, device: Option<&str>) -> Result<bool, String> {
    if let Some(true) = device.map(is_pci_address) {
        return Ok(true);
    }
    match stated {
        Some(pci) => Ok(pci),
        None if u32::try_from(mask).is_ok() => Ok(false),
        None => Err(format!(
            "PCI devices try the 32-bit space first, and {} may be one: give --pci true or false",
            device.unwrap_or("the device, which the recording does not name,")
        )),
    }
}

/// `0000:00:1f.2`.
fn is_pci_address(name: &str) -> bool {
    let mut parts = name.split([':', '.']);
    let mut hexadecimal = |digits: usize| {
        parts.next().is_some_and(|part| {
            part.len() >= digits && part.bytes().all(|b| b.is_ascii_hexdigit())
        })
    };
    hexadecimal(4)
        && hexadecimal(2)
        && hexadecimal(2)
        && hexadecimal(1)
        && parts.next().is_none()
}
