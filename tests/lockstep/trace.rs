//! A trace as requests, cut down to what is valid, and printed as a file that can be replayed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use iova::kernel::domain::DomainConfig;
use iova::kernel::{Allocator, Change, FlushQueue, Memory};
use iova::replay::{Ask, Device, Dom, Path, Request, Slot};
use iova::units::{Granule, Pfn};

use crate::compare::World;
use crate::naive::bug::Bug;

#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) granule: Granule,
    pub(crate) start_pfn: Pfn,
    pub(crate) cpus: u32,
    pub(crate) flush_queue: FlushQueue,
    pub(crate) forcedac: bool,
    pub(crate) requests: Vec<Request>,
}

impl Trace {
    /// The trace's world under an allocator. One that knows no single flush queue gets one per
    /// CPU.
    pub(crate) fn world(&self, allocator: &Allocator, bug: Option<Bug>) -> World {
        let rules = allocator.rules();
        let flush_queue = match self.flush_queue {
            FlushQueue::Single if !rules.has(Change::SingleFlushQueue) => FlushQueue::PerCpu,
            queue => queue,
        };
        World {
            config: DomainConfig {
                rules,
                granule: self.granule,
                start_pfn: self.start_pfn,
                flush_queue,
                forcedac: self.forcedac,
            },
            cpus: self.cpus,
            bug,
        }
    }
}

/// What of `requests` is still valid when some were dropped: no frees of what is not live, none
/// on an offline CPU; domains and devices are numbered anew without holes.
pub(crate) fn valid(requests: &[Request], cpus: u32) -> Vec<Request> {
    let mut live: BTreeMap<Slot, bool> = BTreeMap::new();
    let mut online = vec![true; cpus as usize];
    let mut doms: BTreeMap<Dom, Dom> = BTreeMap::new();
    let mut devices: BTreeMap<Device, Device> = BTreeMap::new();
    let mut kept = Vec::new();
    for request in requests {
        let mut request = request.clone();
        let is_online = &mut online[request.cpu.index()];
        let is_valid = match request.ask {
            Ask::Alloc { slot, .. } | Ask::Map { slot, .. } => {
                *is_online && {
                    live.insert(slot, true);
                    true
                }
            }
            Ask::Free { slot } | Ask::Unmap { slot } => {
                *is_online
                    && live.get(&slot) == Some(&true)
                    && live.insert(slot, false).is_some()
            }
            Ask::DoubleFree { slot } => *is_online && live.get(&slot) == Some(&false),
            Ask::CpuDead => std::mem::replace(is_online, false),
            Ask::CpuUp => !std::mem::replace(is_online, true),
            _ => *is_online,
        };
        if !is_valid {
            continue;
        }
        let next = Dom(u32::try_from(doms.len()).expect("there are few domains"));
        request.dom = *doms.entry(request.dom).or_insert(next);
        if let Ask::Map { device, .. } = &mut request.ask {
            let next = Device(u32::try_from(devices.len()).expect("there are few devices"));
            *device = *devices.entry(*device).or_insert(next);
        }
        kept.push(request);
    }
    kept
}

/// The trace as a file of the trace format; ids are slots.
pub(crate) fn text(trace: &Trace, requests: &[Request]) -> String {
    let queue = match trace.flush_queue {
        FlushQueue::None => "none",
        FlushQueue::PerCpu => "per-cpu",
        FlushQueue::Single => "single",
    };
    let mut text = format!(
        "{{\"iovasim\":\"trace\",\"version\":1,\"granule\":{},\"start_pfn\":{},\"cpus\":{},\
         \"flush_queue\":\"{queue}\",\"forcedac\":{}}}\n",
        trace.granule.bytes(),
        trace.start_pfn.0,
        trace.cpus,
        trace.forcedac,
    );
    for Request { at, cpu, dom, ask } in requests {
        let (at, cpu, dom) = (at.0, cpu.0, dom.0);
        writeln!(
            text,
            "{{\"t\":{at},\"cpu\":{cpu},\"dom\":{dom},{}}}",
            op(ask)
        )
        .expect("a string takes everything");
    }
    text
}

fn op(ask: &Ask) -> String {
    match ask {
        Ask::Alloc {
            slot,
            pages,
            limit,
            path,
        } => {
            let path = match path {
                Path::Fast { flush } => format!("\"fast\",\"flush\":{flush}"),
                Path::Direct { align } => format!("\"direct\",\"align\":{align}"),
            };
            format!(
                "\"op\":\"alloc\",\"id\":{},\"pages\":{},\"limit\":{},\"path\":{path}",
                slot.0, pages.0, limit.0
            )
        }
        Ask::Free { slot } => format!("\"op\":\"free\",\"id\":{}", slot.0),
        Ask::Map {
            slot,
            bytes,
            mask,
            device,
            pci,
        } => format!(
            "\"op\":\"map\",\"id\":{},\"bytes\":{bytes},\"mask\":{mask},\"pci\":{pci},\"dev\":\"{}\"",
            slot.0, device.0
        ),
        Ask::Unmap { slot } => format!("\"op\":\"unmap\",\"id\":{}", slot.0),
        Ask::Reserve { range } => {
            format!(
                "\"op\":\"reserve\",\"lo\":{},\"hi\":{}",
                range.lo().0,
                range.hi().0
            )
        }
        Ask::FreePfn { pfn } => format!("\"op\":\"free_pfn\",\"pfn\":{}", pfn.0),
        Ask::CpuDead => "\"op\":\"cpu_dead\"".to_owned(),
        Ask::CpuUp => "\"op\":\"cpu_up\"".to_owned(),
        Ask::Restore(snapshot) => {
            let nodes = snapshot.nodes.iter();
            let nodes: Vec<String> = nodes
                .map(|it| format!("[{},{}]", it.lo().0, it.hi().0))
                .collect();
            let cached =
                |pfn: Option<Pfn>| pfn.map_or("null".to_owned(), |pfn| pfn.0.to_string());
            format!(
                "\"op\":\"restore\",\"nodes\":[{}],\"cached32\":{},\"cached\":{},\"max32\":{}",
                nodes.join(","),
                cached(snapshot.cached32),
                cached(snapshot.cached),
                snapshot.max32.0
            )
        }
        Ask::NoMem { what, count } => {
            let what = match what {
                Memory::Iova => "iova",
                Memory::Magazine => "magazine",
            };
            format!("\"op\":\"nomem\",\"what\":\"{what}\",\"count\":{count}")
        }
        Ask::DoubleFree { slot } => format!("\"op\":\"double_free\",\"id\":{}", slot.0),
    }
}
