//! Units as types, so that pages, bytes, addresses and times cannot mix.
//!
//! All quantities of the allocator count granules ("pages", as the kernel's developers say);
//! bytes appear only at the DMA layer and in reports. Arithmetic on pfns wraps at 64 bits
//! where the kernel's `unsigned long` does, and only there.

use std::fmt;

/// A page frame number: an I/O virtual address divided by the granule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u64);

/// A number of pages (granules).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pages(pub u64);

/// Virtual time: nanoseconds since the start of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

/// A CPU's number, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(pub u16);

impl Cpu {
    /// The largest number of CPUs that a trace may ask for.
    pub const COUNT_MAX: u32 = 1 << 16;

    /// This CPU's place in a table with one entry a CPU.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Pfn {
    /// The anchor's pfn, above everything that can be handed out.
    pub const ANCHOR: Pfn = Pfn(u64::MAX);
}

impl Pages {
    /// ⌈log2⌉ of the size, the kernel's `order_base_2`: the cache that it belongs to, and the
    /// alignment of an aligned request. At most 64.
    pub fn order(self) -> u32 {
        if self.0 <= 1 {
            0
        } else {
            64 - (self.0 - 1).leading_zeros()
        }
    }
}

impl Nanos {
    /// The moment `nanos` nanoseconds after this one; the end of time where that overflows.
    #[must_use]
    pub fn after(self, nanos: u64) -> Nanos {
        Nanos(self.0.saturating_add(nanos))
    }

    /// The moment `millis` milliseconds after this one; the end of time where that overflows.
    #[must_use]
    pub fn after_millis(self, millis: u64) -> Nanos {
        Nanos(self.0.saturating_add(millis * 1_000_000))
    }
}

/// The IOMMU's page size in bytes: a power of two from 1 to 65536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Granule {
    shift: u8,
}

impl Granule {
    /// 4 KiB, what most IOMMUs have.
    pub const KIB_4: Granule = Granule { shift: 12 };

    /// The granule of `bytes` bytes, or none if that is not a power of two up to 65536.
    pub fn from_bytes(bytes: u64) -> Option<Granule> {
        let valid = bytes.is_power_of_two() && bytes <= 65536;
        valid.then(|| Granule {
            shift: u8::try_from(bytes.trailing_zeros()).unwrap_or(0),
        })
    }

    /// log2 of the size in bytes.
    pub fn shift(self) -> u32 {
        u32::from(self.shift)
    }

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        1 << self.shift
    }

    /// The first pfn above the 32-bit space: the kernel's `dma_32bit_pfn`.
    pub fn dma32(self) -> Pfn {
        Pfn(1 << (32 - self.shift()))
    }

    /// The highest pfn that an address mask (inclusive, in bytes) reaches.
    pub fn limit(self, mask_bytes: u64) -> Pfn {
        Pfn(mask_bytes >> self.shift())
    }

    /// The pages that `bytes` take, rounded up.
    pub fn pages(self, bytes: u64) -> Pages {
        Pages((bytes >> self.shift()) + u64::from(bytes & (self.bytes() - 1) != 0))
    }
}

/// Pages `lo..=hi`. The only constructor makes `lo <= hi` true; no reader checks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PfnRange {
    lo: Pfn,
    hi: Pfn,
}

impl PfnRange {
    /// The range from `lo` to `hi`, both included; none if `lo > hi`.
    pub fn new(lo: Pfn, hi: Pfn) -> Option<PfnRange> {
        (lo <= hi).then_some(PfnRange { lo, hi })
    }

    pub fn lo(self) -> Pfn {
        self.lo
    }

    /// The highest pfn, which still belongs to the range.
    pub fn hi(self) -> Pfn {
        self.hi
    }

    /// Whether the two share a page.
    pub fn overlaps(self, other: PfnRange) -> bool {
        self.lo <= other.hi && other.lo <= self.hi
    }
}

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for PfnRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.lo, self.hi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_the_binary_logarithm_rounded_up() {
        let orders = [
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 3),
            (32, 5),
            (33, 6),
            (u64::MAX, 64),
        ];
        for (pages, order) in orders {
            assert_eq!(Pages(pages).order(), order, "of {pages} pages");
        }
    }

    #[test]
    fn granules_are_powers_of_two_up_to_64_kib() {
        assert_eq!(Granule::from_bytes(4096), Some(Granule::KIB_4));
        assert_eq!(
            Granule::from_bytes(16384).map(Granule::dma32),
            Some(Pfn(1 << 18))
        );
        for bytes in [0, 3, 4097, 131_072] {
            assert_eq!(Granule::from_bytes(bytes), None, "of {bytes} bytes");
        }
    }

    #[test]
    fn bytes_round_up_to_pages_without_overflow() {
        assert_eq!(Granule::KIB_4.pages(1), Pages(1));
        assert_eq!(Granule::KIB_4.pages(4097), Pages(2));
        assert_eq!(Granule::KIB_4.pages(u64::MAX), Pages(1 << 52));
    }
}
