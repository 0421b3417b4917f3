//! The scenario file of a profile.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use super::activity::Activity;
use super::clients::{Client, Lives};
use super::history::{Key, Level};
use super::{Naming, Profile};
use crate::workload::distribution::Millionths;
use crate::workload::profiled::{AGE_PARTS, FreeOrder};
use iova::kernel::{Allocator, FlushQueue};
use iova::units::{Cpu, Pfn};

/// How many sizes a client has at most; more are put together, with the same sum.
const SIZES_MAX: usize = 64;

/// How many parts the CPUs of a client are weighted in.
const CPU_PARTS: u64 = 16;

#[derive(Serialize)]
struct Domain {
    granule: u64,
    start_pfn: String,
    limit: String,
    cpus: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reserved: Vec<(String, String)>,
    flush_queue: FlushQueue,
    forcedac: bool,
}

#[derive(Serialize)]
struct WireClient {
    dom: u64,
    cpus: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_cpus: Option<String>,
    via: Via,
    does: Does,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Via {
    Map {
        mask_bits: u32,
        pci: bool,
        dev: String,
    },
    Alloc {
        limit: String,
        path: &'static str,
    },
}

#[derive(Serialize)]
struct Does {
    profiled: Profiled,
}

#[derive(Serialize)]
struct Profiled {
    sizes: Sizes,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Ages>,
    slices: Vec<(u64, u32, u32)>,
}

#[derive(Serialize)]
struct Sizes {
    weighted: Vec<(u64, u64)>,
}

#[derive(Serialize)]
struct Ages {
    oldest: u64,
    newest: u64,
    between: [u64; AGE_PARTS],
}

pub(super) fn scenario(profile: &Profile, naming: &Naming<'_>) -> String {
    let Naming {
        name,
        allocators,
        seeds,
    } = naming;
    let allocators: Vec<&str> = allocators.iter().map(Allocator::name).collect();
    let mut names = Names::new(profile);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        r#"{{
  "iovasim": "scenario",
  "version": 1,
  "name": {},
  "shows": {},
  "domain": {},
  "workload": {{ "phases": [{{ "for": {}, "start": {{"#,
        json(name),
        json(&shows(profile)),
        json(&domain(profile)),
        // What happens at the end itself belongs to it.
        profile.lasts.0.saturating_add(1),
    );
    for (number, (client, activity)) in profile.clients.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let name = client_name(number, client);
        let client = wire_client(profile, &mut names, client, activity);
        let _ = write!(text, "{comma}\n    {}: {}", json(&name), json(&client));
    }
    let _ = write!(
        text,
        "\n  }} }}] }},\n  \"allocators\": {},\n  \"seeds\": {seeds}\n}}\n",
        json(&allocators),
    );
    text
}

/// As JSON; these types have no keys but strings.
fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("plain data")
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

fn domain(profile: &Profile) -> Domain {
    let header = &profile.header;
    let pfn = |pfn: Pfn| format!("{:#x}", pfn.0);
    let reserved = profile.reserved.iter();
    Domain {
        granule: header.granule.bytes(),
        start_pfn: pfn(header.start_pfn),
        limit: pfn(Pfn(header.granule.dma32().0 - 1).max(header.start_pfn)),
        cpus: header.cpus,
        reserved: reserved.map(|it| (pfn(it.lo()), pfn(it.hi()))).collect(),
        flush_queue: header.flush_queue,
        forcedac: header.forcedac,
    }
}

/// Numbers in the place of the trace's domains and devices: the busiest domain is 0, the
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

fn wire_client(
    profile: &Profile,
    names: &mut Names<'_>,
    client: &Client,
    activity: &Activity,
) -> WireClient {
    let key = &names.keys[client.key as usize];
    // A device that does not reach beyond the first page.
    let page_bits = profile.header.granule.shift().max(1);
    let via = match &key.level {
        Level::Alloc { limit, path } => Via::Alloc {
            limit: format!("{:#x}", limit.0),
            path,
        },
        Level::Map { mask, pci, dev } => Via::Map {
            // The bits that the device has for certain, where a mask is no power of two.
            mask_bits: mask.checked_add(1).map_or(64, u64::ilog2).max(page_bits),
            pci: *pci,
            dev: names.device(key.dom, dev.clone()),
        },
    };
    let frees: u64 = activity.free_cpus.values().sum();
    let elsewhere = activity.frees_elsewhere * 2 > frees;
    WireClient {
        dom: names.dom(key.dom),
        cpus: cpu_list(&activity.cpus),
        free_cpus: elsewhere.then(|| cpu_list(&activity.free_cpus)),
        via,
        does: Does {
            profiled: profiled(profile, activity),
        },
    }
}

fn profiled(profile: &Profile, activity: &Activity) -> Profiled {
    let (requests, runs) = activity.mixed;
    let burst = Millionths(
        (requests * Millionths::ONE.0)
            .checked_div(runs)
            .unwrap_or(0),
    );
    let burst = (burst > Millionths::ONE).then(|| decimal(burst));
    let FreeOrder {
        oldest,
        newest,
        between,
    } = activity.order;
    let chosen = newest > 0 || between != [0; AGE_PARTS];
    let lasts = profile.slice_lengths.iter().map(|nanos| nanos.0);
    let counts = activity.slices.iter().copied();
    Profiled {
        sizes: Sizes {
            weighted: sizes(&activity.sizes, profile.header.granule.bytes()),
        },
        burst,
        order: chosen.then_some(Ages {
            oldest,
            newest,
            between,
        }),
        slices: idle_joined(lasts.zip(counts)),
    }
}

/// Slices, with one in the place of several in a row in which nothing happens, and none of
/// those at the end.
fn idle_joined(slices: impl Iterator<Item = (u64, (u32, u32))>) -> Vec<(u64, u32, u32)> {
    let mut joined: Vec<(u64, u32, u32)> = Vec::new();
    for (lasts, (allocs, frees)) in slices {
        match joined.last_mut() {
            Some((before, 0, 0)) if (allocs, frees) == (0, 0) => *before += lasts,
            _ => joined.push((lasts, allocs, frees)),
        }
    }
    joined.pop_if(|&mut (_, allocs, frees)| (allocs, frees) == (0, 0));
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
fn cpu_list(counts: &BTreeMap<Cpu, u64>) -> String {
    let total: u64 = counts.values().sum();
    let mut parts = Vec::new();
    let mut sum = 0;
    for (&cpu, &count) in counts {
        let before = sum * CPU_PARTS / total.max(1);
        sum += count;
        let part = sum * CPU_PARTS / total.max(1) - before;
        parts.push((cpu, part));
    }
    let alike =
        parts.iter().all(|&(_, part)| part == parts[0].1) || parts.len() as u64 > CPU_PARTS;
    let times = |part| if alike { 1 } else { part };
    let list = parts
        .iter()
        .flat_map(|&(cpu, part)| (0..times(part)).map(move |_| cpu.0.to_string()));
    list.collect::<Vec<_>>().join(",")
}

/// As a number with six decimal places, which a scenario file reads exactly.
#[expect(
    clippy::cast_precision_loss,
    reason = "far below 2^53 in any file that can be run"
)]
fn decimal(millionths: Millionths) -> f64 {
    millionths.0 as f64 / 1e6
}
