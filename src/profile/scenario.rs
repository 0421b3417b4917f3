//! The scenario of a profile.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::activity::Activity;
use super::clients::{Client, Lives};
use super::history::{Key, Level};
use super::{Naming, Profile};
use crate::scenario::{
    ClientEntry, DomainPlan, Named, PageSize, Phase, ScenarioFile, Seeds, Tag, Version, Via,
    ViaAlloc, ViaMap, WorkloadPlan,
};
use crate::workload::Plan;
use crate::workload::cpus::Cpus;
use crate::workload::profiled::{AGE_PARTS, FreeOrder, ProfiledPlan, Slice};
use crate::workload::quantity::{Millionths, PfnText, Time};
use crate::workload::size::Sizes;
use iova::kernel::Allocator;
use iova::units::{Cpu, Pfn};

/// How many sizes a client has at most; more are put together, with the same sum.
const SIZES_MAX: usize = 64;

/// How many parts the CPUs of a client are weighted in.
const CPU_PARTS: u64 = 16;

impl Profile {
    /// The scenario.
    pub fn scenario(&self, naming: &Naming<'_>) -> ScenarioFile {
        scenario(self, naming)
    }
}

fn scenario(profile: &Profile, naming: &Naming<'_>) -> ScenarioFile {
    let mut names = Names::new(profile);
    let clients = profile.clients.iter().enumerate();
    let clients = clients.map(|(number, (client, activity))| {
        let entry = client_entry(profile, &mut names, client, activity);
        (client_name(number, client), entry)
    });
    let phase = Phase {
        // What happens at the end itself belongs to it.
        lasts: Some(Time(profile.lasts.0.saturating_add(1))),
        start: Named(clients.collect()),
        change: Named::default(),
        stop: Vec::new(),
    };
    let allocators = naming.allocators.iter().map(Allocator::name);
    ScenarioFile {
        schema: None,
        iovasim: Tag::Scenario,
        version: Version,
        name: naming.name.to_owned(),
        shows: shows(profile),
        domain: Some(domain(profile)),
        workload: WorkloadPlan::Phases(vec![phase]),
        allocators: allocators.map(str::to_owned).collect(),
        seeds: Some(Seeds::Count(naming.seeds)),
        events: None,
        faults: Vec::new(),
        sampling: None,
        expect: Vec::new(),
    }
}

fn shows(profile: &Profile) -> String {
    let mut text = format!(
        "What a trace was like: {} requests of {} clients, in {} slices of time.",
        profile.requests,
        profile.clients.len(),
        profile.slice_lengths.len(),
    );
    if !profile.left_out.is_empty() {
        let left_out = profile.left_out.iter();
        let left_out: Vec<_> = left_out
            .map(|(op, count)| format!("{count} × {op}"))
            .collect();
        let _ = write!(text, " Left out: {}.", left_out.join(", "));
    }
    text
}

fn domain(profile: &Profile) -> DomainPlan {
    let header = &profile.header;
    let limit = Pfn(header.granule.dma32().0 - 1).max(header.start_pfn);
    let reserved = profile.reserved.iter();
    DomainPlan {
        granule: PageSize(header.granule),
        start_pfn: PfnText(header.start_pfn),
        limit: Some(PfnText(limit)),
        cpus: header.cpus,
        reserved: reserved
            .map(|it| (PfnText(it.lo()), PfnText(it.hi())))
            .collect(),
        flush_queue: header.flush_queue,
        forcedac: header.forcedac,
    }
}

/// Numbers in place of the trace's domains and devices: the busiest domain is 0, the
/// others and the devices follow as their clients do.
struct Names<'a> {
    keys: &'a [Key],
    doms: BTreeMap<u64, u64>,
    devices: BTreeMap<(u64, Option<Arc<str>>), usize>,
}

impl<'a> Names<'a> {
    fn new(profile: &'a Profile) -> Names<'a> {
        Names {
            keys: &profile.keys,
            doms: BTreeMap::from([(profile.busiest, 0)]),
            devices: BTreeMap::new(),
        }
    }

    fn dom(&mut self, dom: u64) -> u64 {
        let next = self.doms.len() as u64;
        *self.doms.entry(dom).or_insert(next)
    }

    fn device(&mut self, dom: u64, dev: Option<Arc<str>>) -> String {
        let next = self.devices.len() + 1;
        format!("device-{}", self.devices.entry((dom, dev)).or_insert(next))
    }
}

/// A name that says what the client is like: its number, its largest size, how it lives.
fn client_name(number: usize, client: &Client) -> String {
    let kib = client.bytes_max.div_ceil(1024);
    let size = match kib {
        0..=9999 => format!("{kib}KiB"),
        _ => format!("{}MiB", kib.div_ceil(1024)),
    };
    let lives = match client.lives {
        Some(Lives::Briefly) => "-brief",
        Some(Lives::Long) => "-long",
        None => "",
    };
    format!("{:03}-to-{size}{lives}", number + 1)
}

fn client_entry(
    profile: &Profile,
    names: &mut Names<'_>,
    client: &Client,
    activity: &Activity,
) -> ClientEntry {
    let key = &names.keys[client.key as usize];
    // A device that does not reach beyond the first page.
    let page_bits = profile.header.granule.shift().max(1);
    let via = match &key.level {
        Level::Alloc { limit, path } => Via::Alloc(ViaAlloc {
            limit: Some(PfnText(*limit)),
            path: *path,
        }),
        Level::Map { mask, pci, dev } => Via::Map(ViaMap {
            // The bits that the device has for certain, where a mask is no power of two.
            mask_bits: Some(mask.checked_add(1).map_or(64, u64::ilog2).max(page_bits)),
            pci: *pci,
            dev: Some(names.device(key.dom, dev.clone())),
        }),
    };
    let frees: u64 = activity.free_cpus.values().sum();
    let elsewhere = activity.frees_elsewhere * 2 > frees;
    ClientEntry {
        dom: names.dom(key.dom),
        cpus: Some(cpu_list(&activity.cpus)),
        free_cpus: elsewhere.then(|| cpu_list(&activity.free_cpus)),
        via: Some(via),
        does: Plan::Profiled(plan(profile, activity)),
    }
}

fn plan(profile: &Profile, activity: &Activity) -> ProfiledPlan {
    let (requests, runs) = activity.mixed;
    let burst = (requests * Millionths::ONE.0).checked_div(runs);
    let burst = Millionths(burst.unwrap_or(0)).max(Millionths::ONE);
    let FreeOrder {
        newest, between, ..
    } = activity.order;
    let chosen = newest > 0 || between != [0; AGE_PARTS];
    let lasts = profile.slice_lengths.iter();
    let slices = lasts
        .zip(&activity.slices)
        .map(|(lasts, &(allocs, frees))| Slice {
            lasts: Time(lasts.0),
            allocs,
            frees,
        });
    let sizes = sizes(&activity.sizes, profile.header.granule.bytes());
    ProfiledPlan {
        sizes: Sizes::weighted(&sizes)
            .expect("a client asks for something, of a possible size"),
        burst,
        order: if chosen {
            activity.order
        } else {
            FreeOrder::default()
        },
        slices: idle_joined(slices).into(),
    }
}

/// Slices, with one in place of several in a row in which nothing happens, and none of those at
/// the end.
fn idle_joined(slices: impl Iterator<Item = Slice>) -> Vec<Slice> {
    let is_idle = |slice: &Slice| (slice.allocs, slice.frees) == (0, 0);
    let mut joined: Vec<Slice> = Vec::new();
    for slice in slices {
        match joined.last_mut() {
            Some(before) if is_idle(before) && is_idle(&slice) => {
                before.lasts.0 += slice.lasts.0;
            }
            _ => joined.push(slice),
        }
    }
    joined.pop_if(|last| is_idle(last));
    joined
}

/// Sizes with how often each is asked for: neighbours together where there are many.
fn sizes(sizes: &BTreeMap<u64, u64>, granule: u64) -> Vec<(u64, u64)> {
    let sizes: Vec<(u64, u64)> = sizes
        .iter()
        .map(|(&bytes, &count)| (bytes, count))
        .collect();
    let groups = sizes.chunks(sizes.len().div_ceil(SIZES_MAX));
    let mean = |group: &[(u64, u64)]| {
        let count: u64 = group.iter().map(|&(_, count)| count).sum();
        let sum = group
            .iter()
            .map(|&(bytes, count)| u128::from(bytes) * u128::from(count));
        let mean = sum.sum::<u128>().div_ceil(u128::from(count));
        let mean = u64::try_from(mean).unwrap_or(u64::MAX);
        match group {
            [(bytes, _)] => (*bytes, count),
            _ => (mean.next_multiple_of(granule), count),
        }
    };
    groups.map(mean).collect()
}

/// A list in which a CPU comes as often as it is used, in sixteenths.
fn cpu_list(counts: &BTreeMap<Cpu, u64>) -> Cpus {
    let total: u64 = counts.values().sum();
    let mut parts = Vec::new();
    let mut sum = 0;
    for (&cpu, &count) in counts {
        let before = sum * CPU_PARTS / total.max(1);
        sum += count;
        let part = sum * CPU_PARTS / total.max(1) - before;
        parts.push((cpu, usize::try_from(part).expect("at most sixteen")));
    }
    let alike = parts.iter().all(|&(_, part)| part == parts[0].1);
    let many = parts.len() as u64 > CPU_PARTS;
    let times = |part| if alike || many { 1 } else { part };
    let list = parts
        .iter()
        .flat_map(|&(cpu, part)| std::iter::repeat_n(cpu, times(part)));
    list.collect()
}
