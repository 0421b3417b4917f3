//! One call of the allocator, with the kernel's answer.

use iova::units::{Cpu, Pages, Pfn, PfnRange};

/// A call that somebody made of the allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// When it began, by the recording's clock.
    pub at: u64,
    /// The CPU on which it began.
    pub cpu: Cpu,
    /// The domain's pointer; 0 where the call is about none.
    pub domain: u64,
    pub what: What,
}

/// What was called, with the kernel's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    AllocFast {
        pages: Pages,
        limit: Pfn,
        flush: bool,
        got: Answer,
        from: From,
    },
    Alloc {
        pages: Pages,
        limit: Pfn,
        align: bool,
        got: Answer,
        /// The address of the range's record.
        iova: u64,
    },
    FreeFast {
        pfn: Pfn,
        pages: Pages,
    },
    FreePfn {
        pfn: Pfn,
    },
    FreeIova {
        iova: u64,
        pfn: Option<Pfn>,
    },
    Reserve {
        range: PfnRange,
    },
    /// An `iommu:unmap` whose free was missed, in a domain that is not known yet.
    Unmapped {
        /// Its number among the unmaps.
        number: u64,
        pfn: Pfn,
        pages: Pages,
    },
    CpuDead {
        /// The CPU that takes the other's caches down.
        by: Cpu,
    },
}

/// Where a fast allocation's answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Caches,
    Tree,
    /// `alloc_iova` has no probes, so that nobody saw.
    Unseen,
}

/// What an allocation answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Failed,
    Pfn(Pfn),
    /// It succeeded; the probe does not say with what.
    Somewhere,
}

impl Call {
    /// What it was handed.
    pub(super) fn got(&self) -> Option<Pfn> {
        match self.what {
            What::AllocFast { got, .. } | What::Alloc { got, .. } => match got {
                Answer::Pfn(pfn) => Some(pfn),
                Answer::Failed | Answer::Somewhere => None,
            },
            _ => None,
        }
    }

    /// Whether it searched the tree and found a place above a pfn.
    pub(super) fn found_above(&self, pfn: Pfn) -> bool {
        self.what.searched() == Some(true) && self.got().is_some_and(|got| got > pfn)
    }

    /// Whether it searched the tree and found a place below a pfn.
    pub(super) fn found_below(&self, pfn: Pfn) -> bool {
        self.what.searched() == Some(true) && self.got().is_some_and(|got| got < pfn)
    }

    /// Whether it is about a domain, for all that is known.
    pub(super) fn is_about(&self, domain: u64) -> bool {
        self.domain == domain || matches!(self.what, What::Unmapped { .. })
    }

    /// Whether it frees the range that begins at a pfn.
    pub(super) fn frees(&self, range: Pfn) -> bool {
        match self.what {
            What::FreeFast { pfn, .. } | What::FreePfn { pfn } | What::Unmapped { pfn, .. } => {
                pfn == range
            }
            What::FreeIova { pfn, .. } => pfn == Some(range),
            _ => false,
        }
    }

    /// The cache to which it frees.
    pub(super) fn freed_order(&self) -> Option<u32> {
        match self.what {
            What::FreeFast { pages, .. } => Some(pages.order()),
            _ => None,
        }
    }
}

impl What {
    /// Of an allocation, whether the tree was seen to be searched.
    pub(super) fn searched(&self) -> Option<bool> {
        match self {
            What::AllocFast { from, .. } => Some(*from == From::Tree),
            What::Alloc { .. } => Some(true),
            _ => None,
        }
    }

    /// Of an allocation, the cache from which it is served.
    pub(super) fn order(&self) -> Option<u32> {
        match self {
            What::AllocFast { pages, .. } => Some(pages.order()),
            _ => None,
        }
    }
}
