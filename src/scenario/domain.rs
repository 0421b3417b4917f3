//! The domains of a scenario.

use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{At, Error, Here};
use super::quantity::{Bytes, PfnNumber};
use crate::trace::event::Header;
use crate::workload::impossible::Impossible;
use iova::kernel::FlushQueue;
use iova::units::{Cpu, Granule, Pfn, PfnRange};

/// What all domains are like.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireDomain {
    /// The IOMMU's page size: a power of two up to 64 KiB.
    #[serde(default = "granule")]
    granule: Bytes,
    /// The lowest pfn that may be handed out.
    #[serde(default = "start_pfn")]
    start_pfn: PfnNumber,
    /// The highest pfn for clients that do not say otherwise; the end of the 32-bit space if
    /// missing.
    limit: Option<PfnNumber>,
    /// The number of CPUs.
    #[serde(default = "cpus")]
    cpus: u32,
    /// Pfns out of use from the start, as pairs of the lowest and the highest.
    #[serde(default)]
    reserved: Vec<(PfnNumber, PfnNumber)>,
    /// What unmapped ranges wait in.
    #[serde(default)]
    flush_queue: WireFlushQueue,
    /// PCI devices skip the 32-bit try.
    #[serde(default)]
    forcedac: bool,
}

fn granule() -> Bytes {
    Bytes(Granule::KIB_4.bytes())
}

fn start_pfn() -> PfnNumber {
    PfnNumber(1)
}

fn cpus() -> u32 {
    1
}

/// What unmapped ranges wait in: nothing (strict), a ring per CPU, or one for all (lazy).
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum WireFlushQueue {
    #[default]
    None,
    PerCpu,
    Single,
}

/// What all domains of a scenario are like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Domain {
    /// What a trace of it begins with.
    pub(super) header: Header,
    /// The highest pfn for clients that do not say otherwise.
    pub(super) limit: Pfn,
    /// What is out of use from the start.
    pub(super) reserved: Vec<PfnRange>,
}

impl WireDomain {
    /// Checks what a domain is like.
    pub(super) fn check(&self, here: &Here<'_>) -> Result<Domain, Error> {
        let bytes = self.granule.0;
        let granule = Granule::from_bytes(bytes).ok_or_else(|| {
            let expected = "a power of two up to 64 KiB";
            here.error(format!("`granule` is {bytes}, expected {expected}"))
        })?;
        let possible = (1..=Cpu::COUNT_MAX).contains(&self.cpus);
        Impossible::unless(possible, "cpus", self.cpus, "from 1 to 65536").at(here)?;
        let start_pfn = Pfn(self.start_pfn.0);
        let limit = self
            .limit
            .map_or(Pfn(granule.dma32().0 - 1), |limit| Pfn(limit.0));
        let top = Pfn(u64::MAX >> granule.shift());
        let expected = format!("from `start_pfn`, {start_pfn}, to {top}");
        let possible = (start_pfn..=top).contains(&limit);
        Impossible::unless(possible, "limit", limit, expected).at(here)?;
        let mut reserved = Vec::with_capacity(self.reserved.len());
        for (index, &(PfnNumber(lo), PfnNumber(hi))) in self.reserved.iter().enumerate() {
            let range = PfnRange::new(Pfn(lo), Pfn(hi)).filter(|range| range.hi() <= top);
            let refused = || {
                let problem =
                    format!("found {lo:#x} to {hi:#x}, expected ascending pfns to {top}");
                here.field("reserved").index(index).error(problem)
            };
            reserved.push(range.ok_or_else(refused)?);
        }
        let header = Header {
            granule,
            start_pfn,
            cpus: self.cpus,
            flush_queue: match self.flush_queue {
                WireFlushQueue::None => FlushQueue::None,
                WireFlushQueue::PerCpu => FlushQueue::PerCpu,
                WireFlushQueue::Single => FlushQueue::Single,
            },
            forcedac: self.forcedac,
            ..Header::default()
        };
        Ok(Domain {
            header,
            limit,
            reserved,
        })
    }
}
