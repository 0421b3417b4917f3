//! An operation: what one line of a trace asks of an IOVA domain, or what a fault does to it.
//!
//! A trace's file names allocations by id and devices by name; a replay names both by small
//! numbers, [`Slot`] and [`Device`], which the trace's checker hands out. [`Op`] is the one type
//! for both. Only the trace's has the answers that a recorded kernel gave: a replay does not look
//! at them.

use std::sync::Arc;

use crate::kernel::{Memory, Snapshot};
use crate::units::{Pages, Pfn, PfnRange};

/// An allocation's index in the replay's table of allocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// A device, numbered in the order of first mention from 0, without holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(pub u32);

/// An operation whose allocations are named by `Id` and whose devices by `Dev`; `Answer` is the
/// recorded kernel's answer to an `Alloc` or `Map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<Id, Dev = Device, Answer = ()> {
    /// `alloc_iova_fast()` or `alloc_iova()`: `pages`, at or below pfn `limit`.
    Alloc {
        /// The allocation's name until it is freed.
        id: Id,
        /// At least 1.
        pages: Pages,
        /// The highest pfn that may be handed out, inclusive.
        limit: Pfn,
        path: Path,
        got: Answer,
    },
    /// `free_iova_fast()` or `__free_iova()`, whichever belongs to the [`Path`] of the `Alloc`.
    Free { id: Id },
    /// A mapping by the DMA API, down to `iommu_dma_alloc_iova()`.
    Map {
        /// The mapping's name until it is unmapped.
        id: Id,
        /// Not yet rounded up to granules; at least 1.
        bytes: u64,
        /// The highest address that the device can reach, in bytes, inclusive.
        mask: u64,
        /// Whether the device is a PCI device; only its first `Map` counts.
        pci: bool,
        dev: Dev,
        got: Answer,
    },
    /// `iommu_dma_free_iova()`: ends a [`Map`](Op::Map), through the flush queue if the domain
    /// has one.
    Unmap { id: Id },
    /// `reserve_iova()`.
    Reserve { range: PfnRange },
    /// `free_iova()`: frees the range that contains `pfn`, which is not the anchor's.
    FreePfn { pfn: Pfn },
    /// The CPU goes offline.
    CpuDead,
    /// The CPU is online again.
    CpuUp,
    /// Replaces the domain's tree and cached nodes by a state recorded elsewhere.
    Restore { snapshot: Arc<Snapshot> },
    /// A fault: the next `count` memory allocations of a kind fail.
    NoMem { what: Memory, count: u64 },
    /// A fault: a driver frees an allocation again that it has freed. A trace can name the last
    /// 131,072 allocations that were freed: with all of them, memory would grow with its length.
    DoubleFree { id: Id },
}

impl<Id: Copy, Dev, Answer> Op<Id, Dev, Answer> {
    /// The allocation that the operation names, if it names one.
    pub fn id(&self) -> Option<Id> {
        match self {
            Op::Alloc { id, .. }
            | Op::Map { id, .. }
            | Op::Free { id }
            | Op::Unmap { id }
            | Op::DoubleFree { id } => Some(*id),
            _ => None,
        }
    }
}

impl<Id, Dev, Answer> Op<Id, Dev, Answer> {
    /// The same operation with other names and answer: `id` and `dev` give the new name for an
    /// old one.
    ///
    /// # Errors
    ///
    /// The first error of `id` or `dev`.
    pub fn rename<NewId, NewDev, NewAnswer, E>(
        &self,
        id: impl FnOnce(&Id) -> Result<NewId, E>,
        dev: impl FnOnce(&Dev) -> Result<NewDev, E>,
        got: NewAnswer,
    ) -> Result<Op<NewId, NewDev, NewAnswer>, E> {
        Ok(match self {
            Op::Alloc {
                id: old,
                pages,
                limit,
                path,
                got: _,
            } => Op::Alloc {
                id: id(old)?,
                pages: *pages,
                limit: *limit,
                path: *path,
                got,
            },
            Op::Free { id: old } => Op::Free { id: id(old)? },
            Op::Map {
                id: old,
                bytes,
                mask,
                pci,
                dev: old_dev,
                got: _,
            } => Op::Map {
                id: id(old)?,
                bytes: *bytes,
                mask: *mask,
                pci: *pci,
                dev: dev(old_dev)?,
                got,
            },
            Op::Unmap { id: old } => Op::Unmap { id: id(old)? },
            Op::Reserve { range } => Op::Reserve { range: *range },
            Op::FreePfn { pfn } => Op::FreePfn { pfn: *pfn },
            Op::CpuDead => Op::CpuDead,
            Op::CpuUp => Op::CpuUp,
            Op::Restore { snapshot } => Op::Restore {
                snapshot: Arc::clone(snapshot),
            },
            Op::NoMem { what, count } => Op::NoMem {
                what: *what,
                count: *count,
            },
            Op::DoubleFree { id: old } => Op::DoubleFree { id: id(old)? },
        })
    }
}

/// How an [`Op::Alloc`] reaches the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// `alloc_iova_fast()`: through the per-CPU caches, always size-aligned.
    Fast {
        /// Whether a failure flushes the caches and tries once more.
        flush: bool,
    },
    /// `alloc_iova()`: straight from the tree.
    Direct {
        /// Whether the range is size-aligned.
        align: bool,
    },
}

/// The recorded kernel's answer to an [`Op::Alloc`] or [`Op::Map`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Got {
    /// The trace has no answer.
    #[default]
    Unrecorded,
    Failed,
    /// The lowest pfn handed out.
    Pfn(Pfn),
}
