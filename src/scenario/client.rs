//! The clients of a scenario: what they do and where they ask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain::Domain;
use super::load::{Load, load};
use crate::strict_json::{Error, JsonPath};
use crate::workload::Plan;
use crate::workload::client::{ApiLevel, Place};
use crate::workload::cpus::Cpus;
use crate::workload::invalid::InvalidConfig;
use crate::workload::quantity::{PfnText, is_default};
use crate::workload::recorded::{RecordedPlan, Recording};
use iova::op;
use iova::units::Cpu;

/// A user of the allocator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Client")]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// The domain's number; what is added to the numbers of a recording.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dom: u64,
    /// The CPUs that allocate: all if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// The CPUs that free; the one that allocated if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_cpus: Option<Cpus>,
    /// The level at which it asks: as a device of its own that reaches up to the domain's
    /// limit if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// What it does.
    pub does: Plan,
}

/// The level at which a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The DMA API.
    Map(ViaMap),
    /// The IOVA allocator below it.
    Alloc(ViaAlloc),
}

/// A device of the DMA API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViaMap {
    /// How many address bits the device has, up to 64; it reaches up to the domain's limit if
    /// missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub mask_bits: Option<u32>,
    /// Whether it is a PCI device.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pci: bool,
    /// The device's name; the client's if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
}

/// Requests straight to the IOVA allocator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViaAlloc {
    /// The highest pfn; the domain's limit if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PfnText>,
    /// Through the caches or straight from the tree.
    #[serde(default, skip_serializing_if = "is_default")]
    pub path: AllocPath,
}

/// How an `alloc` reaches the tree.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AllocPath {
    /// Through the caches; a failure flushes them and tries once more.
    #[default]
    Fast,
    /// Through the caches; a failure is final.
    FastWithoutFlush,
    /// Straight from the tree, aligned to the size.
    Direct,
    /// Straight from the tree, not aligned.
    DirectUnaligned,
}

impl From<AllocPath> for op::Path {
    fn from(path: AllocPath) -> op::Path {
        match path {
            AllocPath::Fast => op::Path::Fast { flush: true },
            AllocPath::FastWithoutFlush => op::Path::Fast { flush: false },
            AllocPath::Direct => op::Path::Direct { align: true },
            AllocPath::DirectUnaligned => op::Path::Direct { align: false },
        }
    }
}

impl From<op::Path> for AllocPath {
    fn from(path: op::Path) -> AllocPath {
        match path {
            op::Path::Fast { flush: true } => AllocPath::Fast,
            op::Path::Fast { flush: false } => AllocPath::FastWithoutFlush,
            op::Path::Direct { align: true } => AllocPath::Direct,
            op::Path::Direct { align: false } => AllocPath::DirectUnaligned,
        }
    }
}

/// What clients are checked against.
pub(super) struct Context<'a> {
    pub(super) domain: &'a Domain,
    pub(super) load: &'a mut Load<'a>,
}

impl ClientEntry {
    /// What the client called `name` does, and where.
    pub(super) fn check(
        &self,
        name: &str,
        context: &mut Context<'_>,
        here: &JsonPath<'_>,
    ) -> Result<(Plan, Place), Error> {
        let place = self.place(name, context.domain, here)?;
        let mut plan = self.does.clone();
        let here = here.field("does").field(plan.kind().0);
        if let Plan::Recorded(recorded) = &mut plan {
            recorded.recording = recording(recorded, context, &here)?;
        }
        here.check(plan.kind().1.check())?;
        Ok((plan, place))
    }

    fn place(&self, name: &str, domain: &Domain, here: &JsonPath<'_>) -> Result<Place, Error> {
        let count = domain.header.cpus;
        let check = |field: &'static str, list: &Cpus| {
            let wrong = list.iter().find(|cpu| u32::from(cpu.0) >= count);
            let found = wrong.map_or(0, |Cpu(cpu)| cpu);
            let expected = format!("below the domain's `cpus`, {count}");
            here.check(InvalidConfig::unless(
                wrong.is_none(),
                field,
                found,
                expected,
            ))
        };
        let cpus = self.cpus.clone().unwrap_or_else(|| Cpus::all(count));
        check("cpus", &cpus)?;
        self.free_cpus
            .iter()
            .try_for_each(|list| check("free_cpus", list))?;
        Ok(Place {
            dom: self.dom,
            granule: domain.header.granule,
            level: self.level(name, domain, here)?,
            cpus,
            free_cpus: self.free_cpus.clone(),
        })
    }

    fn level(
        &self,
        name: &str,
        domain: &Domain,
        here: &JsonPath<'_>,
    ) -> Result<ApiLevel, Error> {
        match &self.via {
            Some(Via::Alloc(alloc)) => Ok(ApiLevel::Iova {
                limit: alloc.limit.map_or(domain.limit, |limit| limit.0),
                path: alloc.path.into(),
            }),
            Some(Via::Map(map)) => here
                .field("via")
                .field("map")
                .check(map.level(name, domain)),
            None => here.check(ViaMap::default().level(name, domain)),
        }
    }
}

impl ViaMap {
    fn level(&self, client: &str, domain: &Domain) -> Result<ApiLevel, InvalidConfig> {
        let granule = domain.header.granule;
        let bits_min = granule.shift().max(1);
        let bits = self.mask_bits.unwrap_or(64);
        let expected = format!("from {bits_min} to 64");
        let possible = (bits_min..=64).contains(&bits);
        InvalidConfig::unless(possible, "mask_bits", bits, expected)?;
        let to_limit = (domain.limit.0 << granule.shift()) | (granule.bytes() - 1);
        let mask = self
            .mask_bits
            .map_or(to_limit, |bits| u64::MAX >> (64 - bits));
        let dev = self.dev.as_deref().unwrap_or(client);
        Ok(ApiLevel::Dma {
            mask,
            pci: self.pci,
            dev: Some(dev.into()),
        })
    }
}

/// The events of the trace that a plan names.
fn recording(
    plan: &RecordedPlan,
    context: &mut Context<'_>,
    here: &JsonPath<'_>,
) -> Result<Recording, Error> {
    let of_trace = here.field("trace");
    let trace = load(&plan.trace, context.load, &of_trace)?;
    let header = &context.domain.header;
    let (found, expected) = (trace.header.granule, header.granule);
    of_trace.check(InvalidConfig::unless(
        found == expected,
        "granule",
        format!("of {} bytes", found.bytes()),
        format!("the domain's, {} bytes", expected.bytes()),
    ))?;
    here.check(Recording::new(trace.events, header.cpus))
}
