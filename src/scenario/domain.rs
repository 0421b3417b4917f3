//! The domains of a scenario.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::strict_json::{Error, JsonPath};
use crate::trace::event::Header;
use crate::workload::invalid::InvalidConfig;
use crate::workload::quantity::{Bytes, PfnText, is_default};
use iova::kernel::FlushQueue;
use iova::units::{Cpu, Granule, Pfn, PfnRange};

/// What all domains are like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainPlan {
    /// The IOMMU's page size: a power of two up to 64 KiB.
    #[serde(default)]
    pub granule: PageSize,
    /// The lowest pfn that may be handed out.
    #[serde(default = "start_pfn")]
    pub start_pfn: PfnText,
    /// The highest pfn for clients that do not say otherwise; the end of the 32-bit space if
    /// missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PfnText>,
    /// The number of CPUs.
    #[serde(default = "cpus")]
    #[schemars(range(min = 1, max = Cpu::COUNT_MAX))]
    pub cpus: u32,
    /// Reserved pfns, as pairs of the lowest and the highest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reserved: Vec<(PfnText, PfnText)>,
    /// Where unmapped ranges wait until the IOTLB is flushed: nowhere (strict), in a queue per
    /// CPU, or in one for all (lazy).
    #[serde(default)]
    #[schemars(schema_with = "flush_queue_schema")]
    pub flush_queue: FlushQueue,
    /// PCI devices skip the 32-bit try.
    #[serde(default, skip_serializing_if = "is_default")]
    pub forcedac: bool,
}

/// An IOMMU's page size as a file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct PageSize(#[schemars(with = "Bytes")] pub Granule);

impl Default for PageSize {
    fn default() -> PageSize {
        PageSize(Granule::KIB_4)
    }
}

impl TryFrom<Bytes> for PageSize {
    type Error = InvalidConfig;

    fn try_from(size: Bytes) -> Result<PageSize, InvalidConfig> {
        let granule = Granule::from_bytes(size.0).map(PageSize);
        granule.ok_or_else(|| InvalidConfig {
            field: "granule",
            found: size.0.to_string(),
            expected: "a power of two up to 64 KiB".to_owned(),
        })
    }
}

impl From<PageSize> for Bytes {
    fn from(size: PageSize) -> Bytes {
        Bytes(size.0.bytes())
    }
}

fn start_pfn() -> PfnText {
    PfnText(Pfn(1))
}

fn cpus() -> u32 {
    1
}

fn flush_queue_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": FlushQueue::NAMES })
}

/// What all domains of a scenario are like, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Domain {
    /// What a trace of it begins with.
    pub(super) header: Header,
    /// The highest pfn for clients that do not say otherwise.
    pub(super) limit: Pfn,
    /// What is reserved from the start.
    pub(super) reserved: Vec<PfnRange>,
}

impl DomainPlan {
    pub(super) fn check(&self, here: &JsonPath<'_>) -> Result<Domain, Error> {
        let PageSize(granule) = self.granule;
        let possible = (1..=Cpu::COUNT_MAX).contains(&self.cpus);
        let expected = format!("from 1 to {}", Cpu::COUNT_MAX);
        here.check(InvalidConfig::unless(possible, "cpus", self.cpus, expected))?;
        let start_pfn = self.start_pfn.0;
        let limit = self
            .limit
            .map_or(Pfn(granule.dma32().0 - 1), |limit| limit.0);
        let top = Pfn(u64::MAX >> granule.shift());
        let expected = format!("from `start_pfn`, {start_pfn}, to {top}");
        let possible = (start_pfn..=top).contains(&limit);
        here.check(InvalidConfig::unless(possible, "limit", limit, expected))?;
        let mut reserved = Vec::with_capacity(self.reserved.len());
        for (index, &(PfnText(lo), PfnText(hi))) in self.reserved.iter().enumerate() {
            let range = PfnRange::new(lo, hi).filter(|range| range.hi() <= top);
            let refused = || {
                let problem = format!("found {lo} to {hi}, expected ascending pfns to {top}");
                here.field("reserved").index(index).error(problem)
            };
            reserved.push(range.ok_or_else(refused)?);
        }
        let header = Header {
            granule,
            start_pfn,
            cpus: self.cpus,
            flush_queue: self.flush_queue,
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
