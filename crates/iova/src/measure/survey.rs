//! Which window is worth sampling: the busiest domain, up to the limit of most of its requests.
//!
//! Both are known after the last request alone, so a survey reads the requests before the replay.

use std::collections::BTreeMap;

use super::Sampling;
use crate::op::{Device, Op};
use crate::replay::{Dom, Request};
use crate::units::{Granule, Pfn};

/// The limits of all requests so far.
#[derive(Clone, Debug)]
pub struct Survey {
    granule: Granule,
    forcedac: bool,
    /// Whether a device is a PCI device, as its first mapping says.
    pci: BTreeMap<Device, bool>,
    domains: BTreeMap<Dom, Limits>,
}

/// The requests of a domain by the number of bits of their limit, and the highest limit of each.
type Limits = BTreeMap<u32, (u64, Pfn)>;

impl Survey {
    /// A survey of domains with that granule; with `forcedac` PCI devices do not try 32 bits first.
    pub fn new(granule: Granule, forcedac: bool) -> Survey {
        Survey {
            granule,
            forcedac,
            pci: BTreeMap::new(),
            domains: BTreeMap::new(),
        }
    }

    /// Counts a request.
    pub fn observe(&mut self, request: &Request) {
        let limit = match &request.op {
            Op::Alloc { limit, .. } => *limit,
            Op::Map { mask, pci, dev, .. } => {
                let pci = *self.pci.entry(*dev).or_insert(*pci);
                let tried = if pci && !self.forcedac {
                    (*mask).min(u32::MAX.into())
                } else {
                    *mask
                };
                self.granule.limit(tried)
            }
            _ => return,
        };
        let bits = u64::BITS - limit.0.leading_zeros();
        let limits = self.domains.entry(request.dom).or_default();
        let (count, highest) = limits.entry(bits).or_insert((0, limit));
        *count += 1;
        *highest = limit.max(*highest);
    }

    /// Adds what `sampling` leaves open.
    #[must_use]
    pub fn complete(&self, sampling: Sampling) -> Sampling {
        let requests = |limits: &Limits| limits.values().map(|(count, _)| count).sum::<u64>();
        // The first of several that are equally busy.
        let busiest = self.domains.iter().rev();
        let busiest = busiest.max_by_key(|(_, limits)| requests(limits));
        let dom = sampling.dom.or(busiest.map(|(&dom, _)| dom));
        let limits = dom.and_then(|dom| self.domains.get(&dom));
        let most = limits.and_then(|limits| limits.values().max());
        Sampling {
            dom,
            limit: sampling.limit.or(most.map(|&(_, highest)| highest)),
            ..sampling
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Path, Slot};

    const GRANULE: u64 = 4096;

    fn survey(forcedac: bool, requests: &[(u32, Op<Slot>)]) -> Sampling {
        let granule = Granule::from_bytes(GRANULE).expect("a power of two");
        let mut survey = Survey::new(granule, forcedac);
        for (dom, op) in requests {
            survey.observe(&Request {
                dom: Dom(*dom),
                op: op.clone(),
                ..Request::default()
            });
        }
        survey.complete(Sampling::default())
    }

    fn alloc(limit: u64) -> Op<Slot> {
        Op::Alloc {
            id: Slot(0),
            pages: crate::units::Pages(1),
            limit: Pfn(limit),
            path: Path::Direct { align: true },
            got: (),
        }
    }

    fn map(mask: u64) -> Op<Slot> {
        Op::Map {
            id: Slot(0),
            bytes: 1,
            mask,
            pci: true,
            dev: Device(0),
            got: (),
        }
    }

    #[test]
    fn the_busiest_domain_is_sampled_up_to_the_limit_of_most_of_its_requests() {
        let window = |sampling: Sampling| (sampling.dom, sampling.limit);
        let high = [
            (0, alloc(9)),
            (3, alloc(0x7_ffff)),
            (3, alloc(0x7_fffe)),
            (3, alloc(0xf_ffff)),
        ];
        assert_eq!(
            window(survey(false, &high)),
            (Some(Dom(3)), Some(Pfn(0x7_ffff)))
        );
        assert_eq!(window(survey(false, &[])), (None, None));
        let equal = [(5, alloc(9)), (2, alloc(8))];
        assert_eq!(window(survey(false, &equal)), (Some(Dom(2)), Some(Pfn(8))));
    }

    #[test]
    fn a_pci_device_tries_32_bits_first_without_forcedac() {
        let maps = [(0, map((1 << 39) - 1))];
        assert_eq!(survey(false, &maps).limit, Some(Pfn(0xf_ffff)));
        assert_eq!(survey(true, &maps).limit, Some(Pfn((1 << 27) - 1)));
    }

    #[test]
    fn what_was_asked_for_stays() {
        let granule = Granule::from_bytes(GRANULE).expect("a power of two");
        let wanted = Sampling {
            dom: Some(Dom(7)),
            limit: Some(Pfn(5)),
            ..Sampling::default()
        };
        assert_eq!(Survey::new(granule, false).complete(wanted), wanted);
    }
}
