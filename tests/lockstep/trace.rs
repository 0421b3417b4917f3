//! A trace as requests, cut down to what is valid, and printed as a file that can be replayed.

use std::collections::BTreeMap;
use std::convert::Infallible;

use iova::kernel::{Allocator, DomainConfig, DomainOptions, FlushQueue};
use iova::op::{Got, Op};
use iova::replay::{Device, Dom, Request, Slot};
use iovasim::trace::event::{Event, Header};
use iovasim::trace::write::Writer;

use crate::compare::World;
use crate::naive::bug::Bug;

#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) options: DomainOptions,
    pub(crate) cpus: u32,
    pub(crate) requests: Vec<Request>,
}

impl Trace {
    /// The trace's world under an allocator. One that knows no single flush queue gets one per
    /// CPU.
    pub(crate) fn world(&self, allocator: &Allocator, bug: Option<Bug>) -> World {
        let mut options = self.options;
        if !allocator.supports(options.flush_queue) {
            options.flush_queue = FlushQueue::PerCpu;
        }
        World {
            config: DomainConfig::new(allocator, options).expect("a domain"),
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
        let is_valid = match request.op {
            Op::Alloc { id: slot, .. } | Op::Map { id: slot, .. } => {
                *is_online && {
                    live.insert(slot, true);
                    true
                }
            }
            Op::Free { id: slot } | Op::Unmap { id: slot } => {
                *is_online
                    && live.get(&slot) == Some(&true)
                    && live.insert(slot, false).is_some()
            }
            Op::DoubleFree { id: slot } => *is_online && live.get(&slot) == Some(&false),
            Op::CpuDead => std::mem::replace(is_online, false),
            Op::CpuUp => !std::mem::replace(is_online, true),
            _ => *is_online,
        };
        if !is_valid {
            continue;
        }
        let next = Dom(u32::try_from(doms.len()).expect("there are few domains"));
        request.dom = *doms.entry(request.dom).or_insert(next);
        if let Op::Map { dev: device, .. } = &mut request.op {
            let next = Device(u32::try_from(devices.len()).expect("there are few devices"));
            *device = *devices.entry(*device).or_insert(next);
        }
        kept.push(request);
    }
    kept
}

/// The trace as a file of the trace format; ids are slots.
pub(crate) fn text(trace: &Trace, requests: &[Request]) -> String {
    let DomainOptions {
        granule,
        start_pfn,
        flush_queue,
        forcedac,
    } = trace.options;
    let header = Header {
        granule,
        start_pfn,
        cpus: trace.cpus,
        flush_queue,
        forcedac,
        ..Header::default()
    };
    let mut writer = Writer::new(Vec::new(), &header).expect("memory takes everything");
    for Request { at, cpu, dom, op } in requests {
        let id = |slot: &Slot| Ok::<_, Infallible>(slot.0.into());
        let dev = |dev: &Device| Ok(Some(dev.0.to_string().into()));
        let Ok(op) = op.rename(id, dev, Got::Unrecorded);
        let event = Event {
            at: *at,
            cpu: *cpu,
            dom: dom.0.into(),
            op,
        };
        writer.write(&event).expect("memory takes everything");
    }
    let text = writer.finish().expect("memory takes everything");
    String::from_utf8(text).expect("the format is text")
}
