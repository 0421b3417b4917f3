//! The clients of a scenario: what they do and where they ask.

use schemars::JsonSchema;
use serde::Deserialize;

use super::domain::Domain;
use super::drawn::{
    WireChanges, WireDelay, WireLifetime, WireSizes, delay, delay_or_zero, lifetime, modes,
    sizes,
};
use super::error::{At, Error, Here};
use super::quantity::{Bytes, CpuList, Decimal, PfnNumber, Time};
use crate::workload::Plan;
use crate::workload::churn::ChurnPlan;
use crate::workload::client::{Place, Via};
use crate::workload::cpus::Cpus;
use crate::workload::distribution::Millionths;
use crate::workload::idle::IdlePlan;
use crate::workload::impossible::Impossible;
use crate::workload::pool::{Order, PoolPlan, Target};
use crate::workload::profiled::{AGE_PARTS, FreeOrder, ProfiledPlan, Slice};
use crate::workload::recorded::{RecordedPlan, Recording};
use crate::workload::ring::RingPlan;
use crate::workload::stream::StreamPlan;
use iova::op;
use iova::units::{Nanos, Pfn};

/// A user of the allocator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireClient {
    /// What it does.
    does: WireKind,
    /// The domain's number; what is added to the numbers of a recording.
    #[serde(default)]
    dom: u64,
    /// The CPUs that allocate: all if missing.
    cpus: Option<CpuList>,
    /// The CPUs that free; the one that allocated if missing.
    free_cpus: Option<CpuList>,
    /// The level at which it asks: as a device of its own that reaches up to the domain's
    /// limit if missing.
    via: Option<WireVia>,
}

/// The level at which a client asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WireVia {
    /// The DMA API.
    Map(WireMap),
    /// The IOVA allocator below it.
    Alloc(WireAlloc),
}

/// A device of the DMA API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireMap {
    /// How many address bits the device has, up to 64; it reaches up to the domain's limit if
    /// missing.
    mask_bits: Option<u32>,
    /// Whether it is a PCI device.
    #[serde(default)]
    pci: bool,
    /// The device's name; the client's if missing.
    dev: Option<String>,
}

/// Requests straight to the IOVA allocator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireAlloc {
    /// The highest pfn; the domain's limit if missing.
    limit: Option<PfnNumber>,
    /// Through the caches or straight from the tree.
    #[serde(default)]
    path: WirePath,
}

/// How an `alloc` reaches the tree.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WirePath {
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

/// What a client does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WireKind {
    /// Buffer pools: cameras, video, displays, GPUs.
    Pool(WirePool),
    /// NIC rings.
    Ring(WireRing),
    /// Request streams: `NVMe` drives, storage adapters.
    Stream(WireStream),
    /// Fills the space, then frees and asks at random.
    Churn(WireChurn),
    /// A small idle user.
    Idle(WireIdle),
    /// A recorded trace among other clients; it says itself where it asks.
    Recorded(WireRecorded),
    /// What `profile` found in a trace.
    Profiled(WireProfiled),
}

/// Buffers of which a number is kept live.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WirePool {
    /// How large the buffers are.
    sizes: WireSizes,
    /// What is kept live; missing where a list of sizes says it.
    keeps: Option<WireTarget>,
    /// How long a buffer lives.
    lifetime: WireLifetime,
    /// How long after a buffer's end its successor is asked for.
    rest: Option<WireDelay>,
    /// The time between two buffers while the pool is filled.
    #[serde(default)]
    fill: Time,
    /// The order in which the whole pool is freed.
    #[serde(default)]
    order: WireOrder,
    /// Changes of the sizes, each of which frees the whole pool.
    changes: Option<WireChanges>,
}

/// What a pool keeps live.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WireTarget {
    /// So many buffers.
    Count(u32),
    /// As many buffers as fit into so many bytes.
    Bytes(Bytes),
    /// What arrives at these intervals.
    Arrivals(WireDelay),
}

/// The order in which a whole pool is freed.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WireOrder {
    #[default]
    OldestFirst,
    NewestFirst,
    Random,
}

/// Buffers that are posted and completed in order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireRing {
    /// How large the buffers are.
    sizes: WireSizes,
    /// How many queues there are; they take the CPUs in turn.
    #[serde(default = "one")]
    queues: u32,
    /// How many buffers each holds.
    depth: u32,
    /// The time between two completions of a queue.
    every: WireDelay,
    /// Changes of the sizes, each of which frees all queues.
    changes: Option<WireChanges>,
}

fn one() -> u32 {
    1
}

/// Jobs that keep a number of requests in flight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireStream {
    /// How large the requests are.
    sizes: WireSizes,
    /// How many jobs there are; they take the CPUs in turn.
    #[serde(default = "one")]
    jobs: u32,
    /// How many requests a job keeps in flight.
    depth: u32,
    /// How long a request takes.
    service: WireDelay,
    /// How long a job waits between a completion and the next request.
    think: Option<WireDelay>,
}

/// Fills the space; then, in each round, frees one at random, asks for one, and for more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireChurn {
    /// How large the buffers are.
    sizes: WireSizes,
    /// How many of them fill the space.
    count: u32,
    /// How many more a round asks for.
    #[serde(default = "one")]
    extra: u32,
    /// The time between two rounds.
    every: WireDelay,
}

/// Holds a few buffers for ever, with a short transfer now and then.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireIdle {
    /// How many buffers it holds.
    holds: u32,
    /// How large each of them is: one page if missing.
    hold_size: Option<Bytes>,
    /// How large the transfers are.
    sizes: WireSizes,
    /// The time between two transfers.
    every: WireDelay,
    /// How long a transfer takes.
    lasts: WireDelay,
}

/// A recorded trace among other clients.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireRecorded {
    /// The trace file's path, relative to this file.
    trace: String,
    /// What its times are multiplied with: 1 if missing.
    stretch: Option<Decimal>,
    /// How often it is played.
    #[serde(default = "one")]
    times: u32,
    /// The time between the end of one playing and the beginning of the next.
    #[serde(default)]
    gap: Time,
}

/// So many requests and frees in each slice of time, as in a trace that was profiled.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireProfiled {
    /// How large the buffers are.
    sizes: WireSizes,
    /// How long each slice is, how many buffers it asks for, and how many it frees.
    slices: Vec<(Time, u32, u32)>,
    /// How many buffers are asked for in a row, on average: 1 if missing.
    burst: Option<Decimal>,
    /// Which of the live buffers are freed, as weights: the oldest if missing.
    #[serde(default)]
    order: WireAges,
}

/// Weights of the ages of what is freed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WireAges {
    /// The oldest buffer.
    #[serde(default)]
    oldest: u64,
    /// The newest.
    #[serde(default)]
    newest: u64,
    /// One of the eldest eighth of the buffers, of the next, and so on.
    #[serde(default)]
    between: [u64; AGE_PARTS],
}

impl Default for WireAges {
    fn default() -> WireAges {
        WireAges {
            oldest: 1,
            newest: 0,
            between: [0; AGE_PARTS],
        }
    }
}

/// What clients are checked against.
pub(super) struct Surroundings<'a> {
    pub(super) domain: &'a Domain,
    pub(super) load: &'a mut super::Load<'a>,
}

impl WireClient {
    /// What the client called `name` does, and where.
    pub(super) fn check(
        &self,
        name: &str,
        surroundings: &mut Surroundings<'_>,
        here: &Here<'_>,
    ) -> Result<(Plan, Place), Error> {
        let place = self.place(name, surroundings.domain, here)?;
        let plan = self
            .does
            .plan(self.dom, surroundings, &here.field("does"))?;
        Ok((plan, place))
    }

    fn place(&self, name: &str, domain: &Domain, here: &Here<'_>) -> Result<Place, Error> {
        let cpus = |field: &'static str, list: &CpuList| {
            let count = domain.header.cpus;
            let wrong = list.0.iter().find(|cpu| u32::from(cpu.0) >= count);
            let found = wrong.map_or(0, |cpu| cpu.0);
            let expected = format!("below the domain's `cpus`, {count}");
            Impossible::unless(wrong.is_none(), field, found, expected).at(here)?;
            Ok(list.0.clone())
        };
        let all = || Ok(Cpus::all(domain.header.cpus));
        let asking = self.cpus.as_ref();
        let freeing = self.free_cpus.as_ref();
        Ok(Place {
            dom: self.dom,
            via: self.via(name, domain, here)?,
            cpus: asking.map_or_else(all, |list| cpus("cpus", list))?,
            free_cpus: freeing.map(|list| cpus("free_cpus", list)).transpose()?,
        })
    }

    fn via(&self, name: &str, domain: &Domain, here: &Here<'_>) -> Result<Via, Error> {
        let granule = domain.header.granule;
        match &self.via {
            Some(WireVia::Alloc(alloc)) => Ok(Via::Iova {
                granule,
                limit: alloc.limit.map_or(domain.limit, |limit| Pfn(limit.0)),
                path: alloc.path.path(),
            }),
            Some(WireVia::Map(map)) => map.via(name, domain, &here.field("via").field("map")),
            None => WireMap::default().via(name, domain, here),
        }
    }
}

impl WireMap {
    fn via(&self, client: &str, domain: &Domain, here: &Here<'_>) -> Result<Via, Error> {
        let granule = domain.header.granule;
        let bits_min = granule.shift().max(1);
        let bits = self.mask_bits.unwrap_or(64);
        let expected = format!("from {bits_min} to 64");
        let possible = (bits_min..=64).contains(&bits);
        Impossible::unless(possible, "mask_bits", bits, expected).at(here)?;
        let to_limit = (domain.limit.0 << granule.shift()) | (granule.bytes() - 1);
        let mask = self
            .mask_bits
            .map_or(to_limit, |bits| u64::MAX >> (64 - bits));
        let dev = self.dev.as_deref().unwrap_or(client);
        Ok(Via::Dma {
            mask,
            pci: self.pci,
            dev: Some(dev.into()),
        })
    }
}

impl WirePath {
    fn path(self) -> op::Path {
        match self {
            WirePath::Fast => op::Path::Fast { flush: true },
            WirePath::FastWithoutFlush => op::Path::Fast { flush: false },
            WirePath::Direct => op::Path::Direct { align: true },
            WirePath::DirectUnaligned => op::Path::Direct { align: false },
        }
    }
}

impl WireKind {
    fn plan(
        &self,
        dom: u64,
        surroundings: &mut Surroundings<'_>,
        here: &Here<'_>,
    ) -> Result<Plan, Error> {
        let (plan, here) = match self {
            WireKind::Pool(pool) => {
                let here = here.field("pool");
                (Plan::Pool(pool.plan(&here)?), here)
            }
            WireKind::Ring(ring) => {
                let here = here.field("ring");
                (Plan::Ring(ring.plan(&here)?), here)
            }
            WireKind::Stream(stream) => {
                let here = here.field("stream");
                (Plan::Stream(stream.plan(&here)?), here)
            }
            WireKind::Churn(churn) => {
                let here = here.field("churn");
                (Plan::Churn(churn.plan(&here)?), here)
            }
            WireKind::Idle(idle) => {
                let here = here.field("idle");
                let page = surroundings.domain.header.granule.bytes();
                (Plan::Idle(idle.plan(page, &here)?), here)
            }
            WireKind::Recorded(recorded) => {
                let here = here.field("recorded");
                (
                    Plan::Recorded(recorded.plan(dom, surroundings, &here)?),
                    here,
                )
            }
            WireKind::Profiled(profiled) => {
                let here = here.field("profiled");
                (Plan::Profiled(profiled.plan(&here)?), here)
            }
        };
        plan.check().at(&here)?;
        Ok(plan)
    }
}

impl WirePool {
    fn plan(&self, here: &Here<'_>) -> Result<PoolPlan, Error> {
        let modes = modes(&self.sizes, self.changes.as_ref(), here)?;
        let target = match &self.keeps {
            Some(WireTarget::Count(count)) => Target::Count(*count),
            Some(WireTarget::Bytes(bytes)) => Target::Bytes(bytes.0),
            Some(WireTarget::Arrivals(interval)) => {
                let here = here.field("keeps").field("arrivals");
                Target::Arrivals(delay(interval, &here)?)
            }
            None => Target::List,
        };
        Ok(PoolPlan {
            modes,
            target,
            lifetime: lifetime(&self.lifetime, &here.field("lifetime"))?,
            rest: delay_or_zero(self.rest.as_ref(), &here.field("rest"))?,
            fill: Nanos(self.fill.0),
            order: match self.order {
                WireOrder::OldestFirst => Order::OldestFirst,
                WireOrder::NewestFirst => Order::NewestFirst,
                WireOrder::Random => Order::Random,
            },
        })
    }
}

impl WireRing {
    fn plan(&self, here: &Here<'_>) -> Result<RingPlan, Error> {
        Ok(RingPlan {
            modes: modes(&self.sizes, self.changes.as_ref(), here)?,
            queues: self.queues,
            depth: self.depth,
            every: delay(&self.every, &here.field("every"))?,
        })
    }
}

impl WireStream {
    fn plan(&self, here: &Here<'_>) -> Result<StreamPlan, Error> {
        Ok(StreamPlan {
            sizes: sizes(&self.sizes, &here.field("sizes"))?,
            jobs: self.jobs,
            depth: self.depth,
            service: delay(&self.service, &here.field("service"))?,
            think: delay_or_zero(self.think.as_ref(), &here.field("think"))?,
        })
    }
}

impl WireChurn {
    fn plan(&self, here: &Here<'_>) -> Result<ChurnPlan, Error> {
        Ok(ChurnPlan {
            sizes: sizes(&self.sizes, &here.field("sizes"))?,
            count: self.count,
            extra: self.extra,
            every: delay(&self.every, &here.field("every"))?,
        })
    }
}

impl WireIdle {
    fn plan(&self, page: u64, here: &Here<'_>) -> Result<IdlePlan, Error> {
        Ok(IdlePlan {
            holds: self.holds,
            hold_size: self.hold_size.map_or(page, |size| size.0),
            sizes: sizes(&self.sizes, &here.field("sizes"))?,
            every: delay(&self.every, &here.field("every"))?,
            lasts: delay(&self.lasts, &here.field("lasts"))?,
        })
    }
}

impl WireProfiled {
    fn plan(&self, here: &Here<'_>) -> Result<ProfiledPlan, Error> {
        let slice = |&(lasts, allocs, frees): &(Time, u32, u32)| Slice {
            lasts: Nanos(lasts.0),
            allocs,
            frees,
        };
        Ok(ProfiledPlan {
            sizes: sizes(&self.sizes, &here.field("sizes"))?,
            slices: self.slices.iter().map(slice).collect(),
            burst: self.burst.map_or(Millionths::ONE, |burst| burst.0),
            order: FreeOrder {
                oldest: self.order.oldest,
                newest: self.order.newest,
                between: self.order.between,
            },
        })
    }
}

impl WireRecorded {
    fn plan(
        &self,
        dom: u64,
        surroundings: &mut Surroundings<'_>,
        here: &Here<'_>,
    ) -> Result<RecordedPlan, Error> {
        let trace = super::load(&self.trace, surroundings.load, &here.field("trace"))?;
        let (found, expected) = (trace.header.granule, surroundings.domain.header.granule);
        let found = format!("of {} bytes", found.bytes());
        let expected = format!("the domain's, {} bytes", expected.bytes());
        let same = trace.header.granule == surroundings.domain.header.granule;
        Impossible::unless(same, "granule", found, expected).at(&here.field("trace"))?;
        let cpus = surroundings.domain.header.cpus;
        Ok(RecordedPlan {
            recording: Recording::new(trace.events, cpus).at(here)?,
            first_dom: dom,
            stretch: self.stretch.map_or(Millionths::ONE, |stretch| stretch.0),
            times: self.times,
            gap: Nanos(self.gap.0),
        })
    }
}
