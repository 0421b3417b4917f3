//! `dma:*` events: what drivers asked of the DMA API, with sizes, failures and devices.
//!
//! A domain is an IOMMU group where the recording shows which device is in which
//! (`add_device_to_group`), else a device. Devices whose addresses are all physical ones have no
//! IOMMU, and are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::domains::{Allocation, Domains};
use super::sink::{ApiLevel, EventSink};
use crate::import::error::Problem;
use crate::import::number::{hexadecimal, number};
use crate::import::options::{DomainChoice, Options};
use crate::import::read::record::Record;
use crate::import::report::Report;
use iova::op::{Got, Path};
use iova::units::{Granule, Pfn, PfnRange};

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Map,
    Unmap,
    /// A scatter list was refused; the event has no sizes.
    ListRefused,
}

const KINDS: [(&str, Kind); 16] = [
    ("dma_map_page", Kind::Map),
    ("dma_map_phys", Kind::Map),
    ("dma_map_resource", Kind::Map),
    ("dma_map_sg", Kind::Map),
    ("dma_alloc", Kind::Map),
    ("dma_alloc_pages", Kind::Map),
    ("dma_alloc_sgt", Kind::Map),
    ("dma_unmap_page", Kind::Unmap),
    ("dma_unmap_phys", Kind::Unmap),
    ("dma_unmap_resource", Kind::Unmap),
    ("dma_unmap_sg", Kind::Unmap),
    ("dma_free", Kind::Unmap),
    ("dma_free_pages", Kind::Unmap),
    ("dma_free_sgt", Kind::Unmap),
    ("dma_map_sg_err", Kind::ListRefused),
    ("dma_alloc_sgt_err", Kind::ListRefused),
];

/// What `dma_addr` is where nothing was mapped.
const MAPPING_ERROR: u64 = u64::MAX;

fn kind(record: &Record<'_>) -> Option<Kind> {
    let known = KINDS.iter().find(|(name, _)| *name == record.event);
    known.map(|(_, kind)| *kind)
}

fn device<'a>(record: &Record<'a>) -> &'a str {
    record.arguments.split(' ').next().unwrap_or_default()
}

/// The devices of a recording.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    groups: BTreeMap<String, u64>,
    by_name: BTreeMap<String, Addresses>,
}

/// How a device's addresses compare to the physical ones.
#[derive(Clone, Copy, Debug, Default)]
struct Addresses {
    same: bool,
    other: bool,
}

impl Devices {
    /// Takes a record into account, whatever it is.
    pub(crate) fn note(&mut self, record: &Record<'_>) -> Result<(), Problem> {
        if record.event == "add_device_to_group" {
            if let (Some(group), Some(device)) =
                (record.optional("groupID")?, record.text("device"))
            {
                self.groups.insert(device.to_owned(), group);
            }
            return Ok(());
        }
        if kind(record) != Some(Kind::Map) {
            return Ok(());
        }
        let device = device(record);
        if !self.by_name.contains_key(device) {
            self.by_name.insert(device.to_owned(), Addresses::default());
        }
        let Some(addresses) = self.by_name.get_mut(device) else {
            return Ok(());
        };
        let first = |name| {
            let text = record.text(name)?;
            let text = text.trim_start_matches('{').split([',', '}']).next()?;
            hexadecimal(text.strip_prefix("0x").unwrap_or(text))
        };
        let mapped = first("dma_addr").or_else(|| first("dma_addrs"));
        let physical = first("phys_addr").or_else(|| first("phys_addrs"));
        match (mapped, physical) {
            (Some(MAPPING_ERROR) | None, _) => {}
            (mapped, physical) if mapped == physical => addresses.same = true,
            _ => addresses.other = true,
        }
        Ok(())
    }

    pub(crate) fn any_request(&self) -> bool {
        self.by_name.keys().any(|name| !self.is_direct(name))
    }

    /// Whether a device's addresses are physical ones.
    fn is_direct(&self, device: &str) -> bool {
        let addresses = self.by_name.get(device).copied().unwrap_or_default();
        addresses.same && !addresses.other
    }

    /// What tells a device's domain from others, and its name.
    fn domain(&self, device: &str) -> Option<(u64, String)> {
        /// Groups' numbers are below.
        const NO_GROUP: u64 = 1 << 32;
        if let Some(group) = self.groups.get(device) {
            return Some((*group, format!("group {group}")));
        }
        let at = self.by_name.keys().position(|name| name == device)?;
        Some((NO_GROUP + at as u64, device.to_owned()))
    }
}

/// A device as the importer looks it up, once a record.
#[derive(Clone, Debug)]
struct Device {
    name: Arc<str>,
    direct: bool,
    key: u64,
    domain: String,
}

/// Makes events of `dma` records.
#[derive(Debug)]
pub(crate) struct Importer {
    level: ApiLevel,
    granule: Granule,
    devices: BTreeMap<String, Device>,
    domains: Domains,
    next_id: u64,
    /// By device and first physical address, the scatter lists, oldest first.
    lists: BTreeMap<(Arc<str>, String), VecDeque<List>>,
    /// Unmappings that are still to be printed though their place was handed out again: the event
    /// comes after the free, and another CPU's `map` may come in between.
    late: BTreeMap<(u64, Pfn), u64>,
    /// Ids of live scatter lists.
    in_lists: BTreeSet<u64>,
    allow_lost: bool,
}

/// What a scatter list got; its unmapping names its physical addresses alone.
#[derive(Debug)]
struct List {
    id: u64,
    pfn: Pfn,
    /// `0x1000,0x2000`, cut off after 128 entries.
    addresses: String,
}

impl List {
    /// The addresses without their braces, and the first.
    fn addresses<'a>(record: &Record<'a>) -> Result<(&'a str, &'a str), Problem> {
        let field = "phys_addrs";
        let text = record.text(field).ok_or(Problem::Missing {
            event: record.event.to_owned(),
            field,
        })?;
        let inside = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let expected = "numbers in braces, as in {0x1000,0x2000}";
        let all = inside.ok_or_else(|| record.wrong(field, text, expected))?;
        Ok((all, all.split(',').next().unwrap_or_default()))
    }
}

/// What a request asked and got.
struct Mapping {
    /// From the start of the first page.
    bytes: u64,
    got: Option<Pfn>,
}

/// What an unmapping is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unmapped {
    At(Pfn),
    /// It took effect already.
    Late,
    Unknown,
}

impl Importer {
    pub(crate) fn new(
        level: ApiLevel,
        granule: Granule,
        options: &Options,
        devices: &Devices,
        report: &mut Report,
    ) -> Result<Importer, String> {
        let mut known = BTreeMap::new();
        for name in devices.by_name.keys() {
            let Some((key, domain)) = devices.domain(name) else {
                continue;
            };
            let direct = devices.is_direct(name);
            if direct {
                report.note(format!("{name} has no IOMMU and is not imported"));
            }
            let one = options.domain == Some(DomainChoice::One);
            known.insert(
                name.clone(),
                Device {
                    name: Arc::from(&**name),
                    direct,
                    key: if one { 0 } else { key },
                    domain: if one { "all".to_owned() } else { domain },
                },
            );
        }
        if devices.groups.is_empty() {
            report.note(
                "treating each device as a domain of its own: the recording does not show groups",
            );
        }
        let choice = match &options.domain {
            Some(DomainChoice::Device(wanted)) => {
                let names = || known.keys().map(String::as_str).collect::<Vec<_>>();
                let found = known.get(wanted);
                let found = found.ok_or_else(|| {
                    format!(
                        "no device {wanted}; the recording has {}",
                        names().join(", ")
                    )
                });
                Some(DomainChoice::Pointer(found?.key))
            }
            Some(DomainChoice::Pointer(_)) => {
                return Err(
                    "`dma` events have no domain pointers: give --domain DEVICE".to_owned()
                );
            }
            other => other.clone(),
        };
        Ok(Importer {
            level,
            granule,
            devices: known,
            domains: Domains::new(choice, &options.reserved),
            next_id: 0,
            lists: BTreeMap::new(),
            late: BTreeMap::new(),
            in_lists: BTreeSet::new(),
            allow_lost: options.allow_lost,
        })
    }

    pub(crate) fn take(
        &mut self,
        record: &Record<'_>,
        sink: &mut EventSink<'_>,
    ) -> Result<(), Problem> {
        sink.clock.set(record.at);
        let Some(kind) = kind(record) else {
            return Ok(());
        };
        if kind == Kind::ListRefused {
            sink.report.refused_lists += 1;
            return Ok(());
        }
        // A device that never mapped has nothing to unmap.
        let Some(device) = self.devices.get(device(record)).cloned() else {
            sink.report.frees_unknown += 1;
            return Ok(());
        };
        if device.direct {
            sink.report.other_domains += 1;
            return Ok(());
        }
        let domain = self.domains.named(device.key, || device.domain.clone());
        domain.reserve_initial(record.cpu, sink);
        let Some(dom) = domain.report.number else {
            sink.report.other_domains += 1;
            return Ok(());
        };
        match kind {
            Kind::Map => self.map(record, &device, dom, sink),
            _ => self.unmap(record, &device, dom, sink),
        }
    }

    fn map(
        &mut self,
        record: &Record<'_>,
        device: &Device,
        dom: u64,
        sink: &mut EventSink<'_>,
    ) -> Result<(), Problem> {
        if let Some(missing) = cut_off(record)? {
            if !self.allow_lost {
                return Err(Problem::Lost {
                    count: missing.to_string(),
                    cpu: "of the entries of a scatter list, so that its size is unknown"
                        .to_owned(),
                });
            }
            sink.report.lost += 1;
            return Ok(());
        }
        let mapping = self.mapping(record)?;
        let id = self.next_id;
        self.next_id += 1;
        let domain = self.domains.named(device.key, || device.domain.clone());
        domain.report.allocs += 1;
        sink.report.allocs += 1;
        let got = match mapping.got {
            None => {
                domain.report.failed += 1;
                sink.report.failed += 1;
                Got::Failed
            }
            Some(pfn) => Got::Pfn(pfn),
        };
        if let Some(pfn) = mapping.got {
            let pages = self.granule.pages(mapping.bytes);
            let hi = Pfn(pfn.0.saturating_add(pages.0 - 1));
            if let Some(range) = PfnRange::new(pfn, hi) {
                let allocation = Allocation {
                    id,
                    range,
                    pages,
                    path: Path::Fast { flush: true },
                };
                while let Some(over) = domain.allocations.insert(allocation) {
                    sink.report.frees_late += 1;
                    domain.report.frees += 1;
                    sink.push(record.cpu, dom, self.level.free(over.id));
                    if !self.in_lists.remove(&over.id) {
                        *self.late.entry((device.key, over.range.lo())).or_default() += 1;
                    }
                }
            }
            if record.text("phys_addrs").is_some() {
                let (all, first) = List::addresses(record)?;
                let key = (device.name.clone(), first.to_owned());
                self.lists.entry(key).or_default().push_back(List {
                    id,
                    pfn,
                    addresses: all.to_owned(),
                });
                self.in_lists.insert(id);
            }
        }
        let name = Some(&device.name);
        let op = self.level.alloc(id, mapping.bytes, self.granule, name, got);
        sink.push(record.cpu, dom, op.map_err(Problem::Ask)?);
        Ok(())
    }

    fn unmap(
        &mut self,
        record: &Record<'_>,
        device: &Device,
        dom: u64,
        sink: &mut EventSink<'_>,
    ) -> Result<(), Problem> {
        let pfn = match record.text("dma_addr") {
            Some(_) => self.addressed(record, device)?,
            None => self.listed(record, device)?,
        };
        let Unmapped::At(pfn) = pfn else {
            sink.report.frees_unknown += u64::from(pfn == Unmapped::Unknown);
            return Ok(());
        };
        let domain = self.domains.named(device.key, || device.domain.clone());
        let Some(allocation) = domain.allocations.remove(pfn) else {
            sink.report.frees_unknown += 1;
            return Ok(());
        };
        self.in_lists.remove(&allocation.id);
        domain.report.frees += 1;
        sink.push(record.cpu, dom, self.level.free(allocation.id));
        Ok(())
    }

    fn addressed(&mut self, record: &Record<'_>, device: &Device) -> Result<Unmapped, Problem> {
        let pfn = Pfn(hex(record, "dma_addr")? >> self.granule.shift());
        let Some(late) = self.late.get_mut(&(device.key, pfn)) else {
            return Ok(Unmapped::At(pfn));
        };
        *late -= 1;
        if *late == 0 {
            self.late.remove(&(device.key, pfn));
        }
        Ok(Unmapped::Late)
    }

    /// The oldest scatter list with a record's physical addresses.
    fn listed(&mut self, record: &Record<'_>, device: &Device) -> Result<Unmapped, Problem> {
        let (all, first) = List::addresses(record)?;
        let key = (device.name.clone(), first.to_owned());
        let Some(lists) = self.lists.get_mut(&key) else {
            return Ok(Unmapped::Unknown);
        };
        let is_it = |list: &List| all.starts_with(&*list.addresses);
        let found = lists.iter().position(is_it).and_then(|at| lists.remove(at));
        if lists.is_empty() {
            self.lists.remove(&key);
        }
        let domain = self.domains.named(device.key, || device.domain.clone());
        Ok(match found {
            Some(List { id, pfn, .. }) if domain.allocations.id_at(pfn) == Some(id) => {
                Unmapped::At(pfn)
            }
            Some(_) => Unmapped::Late,
            None => Unmapped::Unknown,
        })
    }

    fn mapping(&self, record: &Record<'_>) -> Result<Mapping, Problem> {
        let within = self.granule.bytes() - 1;
        if record.text("dma_addrs").is_some() {
            let addresses = list(record, "dma_addrs")?;
            let sizes = list(record, "sizes")?;
            let expected = "as many as `dma_addrs`, ascending and not empty";
            let wrong = || record.wrong("sizes", record.text("sizes").unwrap_or(""), expected);
            let (Some(first), Some(last), Some(size)) =
                (addresses.first(), addresses.last(), sizes.last())
            else {
                return Err(wrong());
            };
            let end = last.checked_add(*size).ok_or_else(wrong)?;
            let bytes = end.checked_sub(first & !within).filter(|bytes| *bytes > 0);
            if addresses.len() != sizes.len() {
                return Err(wrong());
            }
            return Ok(Mapping {
                bytes: bytes.ok_or_else(wrong)?,
                got: Some(Pfn(first >> self.granule.shift())),
            });
        }
        let address = hex(record, "dma_addr")?;
        let size = record.number("size")?;
        let null = |text: &str| text == "(null)" || hexadecimal(text) == Some(0);
        let failed = address == MAPPING_ERROR
            || address == 0 && record.text("virt_addr").is_some_and(null);
        let offset = match record.text("phys_addr") {
            Some(_) => hex(record, "phys_addr")? & within,
            None if failed => 0,
            None => address & within,
        };
        let bytes = size.checked_add(offset).filter(|_| size > 0);
        Ok(Mapping {
            bytes: bytes.ok_or_else(|| {
                record.wrong("size", &size.to_string(), "a number of bytes, at least one")
            })?,
            got: (!failed).then(|| Pfn(address >> self.granule.shift())),
        })
    }

    pub(crate) fn finish(&self, report: &mut Report) {
        self.domains.finish(report);
    }
}

/// How many entries of a scatter list the event left out, if any: `ents=128/300`.
fn cut_off(record: &Record<'_>) -> Result<Option<u64>, Problem> {
    let Some(text) = record.text("ents") else {
        return Ok(None);
    };
    let counts = text.split_once('/').and_then(|(shown, all)| {
        let all = all.split('[').next()?;
        Some((number(shown)?, number(all)?))
    });
    let (shown, all) =
        counts.ok_or_else(|| record.wrong("ents", text, "shown and all entries, as in 2/2"))?;
    Ok(all.checked_sub(shown).filter(|missing| *missing > 0))
}

/// A number that is printed hexadecimal without `0x`.
fn hex(record: &Record<'_>, field: &'static str) -> Result<u64, Problem> {
    let text = record.text(field).ok_or(Problem::Missing {
        event: record.event.to_owned(),
        field,
    })?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hexadecimal(digits).ok_or_else(|| record.wrong(field, text, "a hexadecimal number"))
}

/// `{0x1000,0x2000}`.
fn list(record: &Record<'_>, field: &'static str) -> Result<Vec<u64>, Problem> {
    let text = record.text(field).unwrap_or_default();
    let inside = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let numbers = inside.and_then(|inside| inside.split(',').map(number).collect());
    numbers.ok_or_else(|| record.wrong(field, text, "numbers in braces, as in {0x1000,0x2000}"))
}
