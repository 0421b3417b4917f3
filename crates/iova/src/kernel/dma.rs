//! The DMA layer: what drivers call, above the IOVA allocator.
//!
//! `iommu_dma_alloc_iova()` rounds bytes up to granules and lets PCI devices try the 32-bit
//! space first, since addresses above it cost some of them a longer header.

use super::address_space::Refusal;
use super::changes::Change;
use super::config::DomainConfig;
use super::domain::{Answer, Domain, Rounding};
use super::machine::Machine;
use crate::units::{Cpu, Granule, Pages, Pfn};

/// The highest 32-bit address.
const MASK_32: u64 = u32::MAX as u64;

/// What the DMA layer remembers of a device.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    pci: bool,
    /// Whether a 32-bit try has failed.
    try_failed: bool,
}

/// A request of the DMA layer.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// How much, not yet rounded.
    pub bytes: u64,
    /// The highest address that the device reaches, in bytes.
    pub mask: u64,
}

impl Device {
    /// A device whose first `map` says whether it is a PCI device.
    pub fn new(pci: bool) -> Device {
        Device {
            pci,
            try_failed: false,
        }
    }
}

/// `iommu_dma_alloc_iova()`: addresses for a device, and the size to free them with.
///
/// Addresses have 64 bits. A size that rounds up beyond them wraps to no page at all, which the
/// rounding to a power of two makes one; of a pfn whose address does not fit, the high bits are
/// lost, for the unmap too.
pub fn iommu_dma_alloc_iova(
    config: &DomainConfig,
    domain: &mut Domain,
    machine: &mut Machine,
    cpu: Cpu,
    device: &mut Device,
    map: Map,
) -> (Answer, Pages) {
    let rules = config.rules();
    let granule = config.granule();
    let whole = map.bytes.checked_next_multiple_of(granule.bytes());
    let pages = whole.map_or(Pages(1), |bytes| granule.pages(bytes));
    let size = Rounding::of(rules).in_dma_layer(pages);
    let skips_try = (config.forcedac() && rules.has(Change::Forcedac))
        || (device.try_failed && rules.has(Change::SacOnce));
    let mut steps = 0;
    if device.pci && map.mask > MASK_32 && !skips_try {
        let limit: Pfn = granule.limit(MASK_32);
        let answer = domain.alloc_iova_fast(machine, cpu, size, limit, false);
        if answer.result.is_ok() || answer.result == Err(Refusal::Endless) {
            return (cut(answer, domain, granule), pages);
        }
        device.try_failed = true;
        steps = answer.steps;
    }
    let limit = granule.limit(map.mask);
    let answer = domain.alloc_iova_fast(machine, cpu, size, limit, true);
    let answer = Answer {
        steps: steps + answer.steps,
        ..answer
    };
    (cut(answer, domain, granule), pages)
}

/// The answer with a pfn whose address has 64 bits; address 0 is a failure.
fn cut(mut answer: Answer, domain: &mut Domain, granule: Granule) -> Answer {
    if let Ok(pfn) = answer.result {
        let kept = Pfn(pfn.0 << granule.shift() >> granule.shift());
        if kept != pfn {
            domain.cut_an_address();
        }
        answer.result = if kept == Pfn(0) {
            Err(Refusal::PfnZero)
        } else {
            Ok(kept)
        };
    }
    answer
}

/// `iommu_dma_free_iova()`: frees what the DMA layer unmaps, at once or through the flush queue.
pub fn iommu_dma_free_iova(
    domain: &mut Domain,
    machine: &mut Machine,
    cpu: Cpu,
    pfn: Pfn,
    pages: Pages,
) {
    if domain.is_lazy() {
        domain.queue_iova(machine, cpu, pfn, pages);
    } else {
        domain.free_rounded(machine, cpu, pfn, pages);
    }
}
