//! The address spaces that can lie under the per-CPU caches: the releases', and designs that were
//! proposed in their place.
//!
//! To add a design: a file, which implements [`AddressSpace`] or searches the kernel's tree in
//! another way (a [`SearchStrategy`]), and a row of [`DESIGNS`]. Names, `iovasim allocators`, vectors
//! and lockstep tests find it there.

use super::address_space::AddressSpace;
use super::iova::{IovaTree, SearchStrategy};
use super::maple::Maple;
use super::rules::Rules;
use crate::units::{Granule, Pfn};

/// A design that no release has, on top of the newest release's caches and DMA layer.
#[derive(Debug)]
pub struct Design {
    /// Its name on the command line.
    pub name: &'static str,
    /// Who proposed what, in a line.
    pub summary: &'static str,
    /// Whether it walks from range to range, so that there are steps to count.
    walks: bool,
    /// An empty address space above a pfn.
    new: fn(Rules, Granule, Pfn) -> Box<dyn AddressSpace>,
}

/// Every such design.
pub static DESIGNS: [Design; 2] = [
    Design {
        name: "best-fit",
        summary: "the smallest gap that takes a request (Android vendors, 2020)",
        walks: true,
        new: |rules, granule, start_pfn| {
            let strategy = SearchStrategy::BestFit;
            Box::new(IovaTree::new(rules, granule, start_pfn, strategy))
        },
    },
    Design {
        name: "maple-2026",
        summary: "a maple tree for the red-black tree (Meta, 2026, under discussion)",
        walks: false,
        new: |rules, granule, start_pfn| Box::new(Maple::new(rules, granule, start_pfn)),
    },
];

static LINUX: Design = Design {
    name: Rules::LINUX,
    summary: "as released",
    walks: true,
    new: |rules, granule, start_pfn| {
        let strategy = SearchStrategy::FirstFit;
        Box::new(IovaTree::new(rules, granule, start_pfn, strategy))
    },
};

fn of(rules: Rules) -> &'static Design {
    let proposed = DESIGNS.iter().find(|it| it.name == rules.design());
    proposed.unwrap_or(&LINUX)
}

/// An empty address space above `start_pfn`.
pub(super) fn address_space(
    rules: Rules,
    granule: Granule,
    start_pfn: Pfn,
) -> Box<dyn AddressSpace> {
    (of(rules).new)(rules, granule, start_pfn)
}

impl Rules {
    /// Whether the design walks from range to range, so that there are steps to count.
    pub fn walks(self) -> bool {
        of(self).walks
    }
}
