//! The history of an address: every event that touched it, as one allocator answers a trace.
//!
//! "You want the history of operations around that IOVA" is the question after a double free or
//! an overlap. An event touches an address if it hands it out, frees, reserves or restores the
//! range that contains it, or if that range has left the tree or entered it since the event
//! before: a flush of the caches, a timer, a CPU that went offline.

use std::collections::BTreeMap;
use std::fmt;

use crate::trace::Place;
use crate::trace::event::{Event, Op};
use crate::trace::fields;
use iova::kernel::{Allocator, ConfigError, Domain, DomainConfig, DomainOptions};
use iova::op;
use iova::replay::{Aborted, Allocation, Dom, Replay, Request, Slot};
use iova::units::{Cpu, Nanos, Pfn, PfnRange};

/// A replay that watches one address.
#[derive(Debug)]
pub struct History {
    pfn: Pfn,
    replay: Replay,
    /// The address in each domain that was mentioned, and the domain's number in the trace.
    domains: Vec<(u64, Address)>,
}

/// An event that touched the address.
#[derive(Clone, Debug)]
pub struct Touch {
    pub place: Place,
    pub at: Nanos,
    pub cpu: Cpu,
    /// The domain's number in the trace.
    pub dom: u64,
    /// The event's operation and id.
    pub op: &'static str,
    pub id: Option<u64>,
    pub effect: Effect,
}

/// How an event touched the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The range was handed out; `held` are the ids that held the address already, and since
    /// when.
    Allocated {
        range: PfnRange,
        held: Vec<(u64, Place)>,
    },
    /// A holder freed it; since when it was held or, for a second free, when the first came.
    Freed {
        range: PfnRange,
        to: Destination,
        since: Place,
    },
    /// It is in the tree and belongs to nobody who could free it by an id.
    Reserved(PfnRange),
    /// The range left the tree.
    Left(PfnRange),
    /// The kernel would have crashed or hung.
    Aborted(&'static str),
}

/// Where a freed range went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// It is free.
    Tree,
    /// The per-CPU caches have it.
    Rcache,
    FlushQueue,
}

#[derive(Debug, Default)]
struct Address {
    /// The range of the tree that contains the address.
    range: Option<PfnRange>,
    /// The live allocations that contain it: the id, and where it was allocated.
    holders: BTreeMap<Slot, (u64, Place)>,
    /// Freed allocations that contained it: the id, and where it was freed.
    freed: BTreeMap<Slot, (u64, Place)>,
}

impl History {
    /// Watches `pfn` in all domains.
    ///
    /// # Errors
    ///
    /// If the allocator cannot have such domains.
    pub fn new(
        allocator: &Allocator,
        options: DomainOptions,
        cpus: u32,
        pfn: Pfn,
    ) -> Result<History, ConfigError> {
        let config = DomainConfig::new(allocator, options)?;
        Ok(History {
            pfn,
            replay: Replay::new(config, cpus),
            domains: Vec::new(),
        })
    }

    /// Replays an event and its request, and appends how they touched the address to `touches`.
    ///
    /// # Errors
    ///
    /// If the kernel would have crashed or hung; `touches` says so, and the replay has ended.
    pub fn apply(
        &mut self,
        place: Place,
        event: &Event,
        request: &Request,
        touches: &mut Vec<Touch>,
    ) -> Result<(), Aborted> {
        while self.domains.len() <= request.dom.0 as usize {
            self.domains.push((event.dom, Address::default()));
        }
        let touch = |dom, effect| Touch {
            place,
            at: event.at,
            cpu: event.cpu,
            dom,
            op: fields::name(&event.op),
            id: event.op.id(),
            effect,
        };
        if let Err(aborted) = self.replay.apply(request) {
            let kind = Effect::Aborted(aborted.kind.name());
            touches.push(touch(event.dom, kind));
            return Err(aborted);
        }
        let effect = self.effect(place, &event.op, request);
        touches.extend(effect.clone().map(|effect| touch(event.dom, effect)));
        for (dom, (number, address)) in (0..).map(Dom).zip(&mut self.domains) {
            let range = containing(&self.replay.domains()[dom.0 as usize], self.pfn);
            let before = std::mem::replace(&mut address.range, range);
            if before == range || (dom == request.dom && effect.is_some()) {
                continue;
            }
            touches.extend(before.map(|it| touch(*number, Effect::Left(it))));
            touches.extend(range.map(|it| touch(*number, Effect::Reserved(it))));
        }
        Ok(())
    }

    /// The effect of the request itself.
    fn effect(&mut self, place: Place, op: &Op, request: &Request) -> Option<Effect> {
        let domain = &self.replay.domains()[request.dom.0 as usize];
        let (_, address) = &mut self.domains[request.dom.0 as usize];
        let range = containing(domain, self.pfn);
        match request.op {
            op::Op::Alloc { id: slot, .. } | op::Op::Map { id: slot, .. } => {
                // The slot of an allocation that is forgotten may be used again.
                address.freed.remove(&slot);
                let allocation = self.replay.allocations().get(slot);
                let allocated = reach(domain, &allocation);
                if !allocation.succeeded || !contains(allocated, self.pfn) {
                    return None;
                }
                let held = address.holders.values().copied().collect();
                address.holders.insert(slot, (op.id()?, place));
                let range = allocated;
                Some(Effect::Allocated { range, held })
            }
            op::Op::Free { id: slot } | op::Op::Unmap { id: slot } => {
                let (id, since) = address.holders.remove(&slot)?;
                address.freed.insert(slot, (id, place));
                let allocation = self.replay.allocations().get(slot);
                Some(freed(domain, &allocation, since))
            }
            op::Op::DoubleFree { id: slot } => {
                let &(_, since) = address.freed.get(&slot)?;
                let allocation = self.replay.allocations().get(slot);
                Some(freed(domain, &allocation, since))
            }
            op::Op::Reserve { range: reserved } => {
                contains(reserved, self.pfn).then_some(Effect::Reserved(range?))
            }
            _ => None,
        }
    }

    /// The domains in which the address is in use at the end, each with the range of the tree and
    /// the id that holds it.
    pub fn in_use(&self) -> impl Iterator<Item = (u64, PfnRange, Option<u64>)> + '_ {
        self.domains.iter().filter_map(|(number, address)| {
            let holder = address.holders.values().next();
            Some((*number, address.range?, holder.map(|(id, _)| *id)))
        })
    }
}

fn contains(range: PfnRange, pfn: Pfn) -> bool {
    range.lo() <= pfn && pfn <= range.hi()
}

/// The range of the tree that contains a pfn.
fn containing(domain: &Domain, pfn: Pfn) -> Option<PfnRange> {
    let ranges = domain.space().ranges();
    let node = ranges.find(pfn)?;
    PfnRange::new(ranges.lo(node), ranges.hi(node))
}

/// The range of an allocation: the tree's, which may be rounded up, or the caller's if the tree
/// has it no longer.
fn reach(domain: &Domain, allocation: &Allocation) -> PfnRange {
    let lo = allocation.pfn;
    let hi = Pfn(lo.0.saturating_add(allocation.pages.0.saturating_sub(1)));
    containing(domain, lo)
        .or_else(|| PfnRange::new(lo, hi))
        .unwrap_or_else(|| PfnRange::new(lo, lo).expect("one pfn"))
}

fn freed(domain: &Domain, allocation: &Allocation, since: Place) -> Effect {
    let is_queued = || domain.queued().any(|entry| entry.pfn == allocation.pfn);
    let to = match containing(domain, allocation.pfn) {
        None => Destination::Tree,
        Some(_) if is_queued() => Destination::FlushQueue,
        Some(_) => Destination::Rcache,
    };
    let range = reach(domain, allocation);
    Effect::Freed { range, to, since }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Allocated { range, held } => {
                write!(f, "hands out {range}")?;
                held.iter().try_for_each(|(id, since)| {
                    write!(f, ", which id {id} holds since {since}")
                })
            }
            Effect::Freed { range, to, since } => {
                let to = match to {
                    Destination::Tree => "to the tree",
                    Destination::Rcache => "to the per-CPU caches",
                    Destination::FlushQueue => "to the flush queue",
                };
                write!(f, "frees {range} of {since} {to}")
            }
            Effect::Reserved(range) => write!(f, "{range} is in the tree"),
            Effect::Left(range) => write!(f, "{range} left the tree"),
            Effect::Aborted(kind) => write!(f, "the kernel would have crashed or hung: {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::trace::check::Checker;
    use crate::trace::read::Reader;

    /// The touches of a pfn, a line each.
    fn history(lines: &[&str], allocator: &str, pfn: u64) -> Vec<String> {
        let mut text = "{\"iovasim\":\"trace\",\"version\":1,\"cpus\":2}\n".to_owned();
        for line in lines {
            let _ = writeln!(text, "{{{line}}}");
        }
        let reader = Reader::new("a", std::io::Cursor::new(text)).expect("a trace");
        let header = reader.header().clone();
        let mut checker = Checker::new(&header);
        let allocator = allocator.parse().expect("an allocator");
        let options = header.domain_options();
        let mut history =
            History::new(&allocator, options, header.cpus, Pfn(pfn)).expect("possible");
        let mut touches = Vec::new();
        for event in reader {
            let (place, event) = event.expect("an event");
            let request = checker.admit(place, &event).expect("in order");
            let applied = history.apply(place, &event, &request, &mut touches);
            applied.expect("nothing aborts it");
        }
        let line = |it: &Touch| {
            let id = it.id.map_or(String::new(), |id| format!(" {id}"));
            format!("{}: {}{id}: {}", it.place, it.op, it.effect)
        };
        touches.iter().map(line).collect()
    }

    const ALLOC: &str = r#""op":"alloc","id":1,"pages":4,"limit":1048575"#;
    const FREE: &str = r#""op":"free","id":1"#;

    #[test]
    fn an_address_is_followed_through_the_caches_and_out_of_the_tree() {
        let lines = [
            ALLOC,
            r#""op":"alloc","id":2,"pages":4,"limit":1048575"#,
            FREE,
            r#""op":"cpu_dead","cpu":0"#,
        ];
        assert_eq!(
            history(&lines, "linux-7.2", 0xf_fffd),
            [
                "line 2: alloc 1: hands out 0xffffc-0xfffff",
                "line 4: free 1: frees 0xffffc-0xfffff of line 2 to the per-CPU caches",
                "line 5: cpu_dead: 0xffffc-0xfffff left the tree",
            ]
        );
    }

    /// The second free puts the range into the cache twice, so that two callers get it.
    #[test]
    fn a_double_free_is_found_behind_an_overlap() {
        let lines = [
            ALLOC,
            FREE,
            r#""op":"double_free","id":1"#,
            r#""op":"alloc","id":2,"pages":4,"limit":1048575"#,
            r#""op":"alloc","id":3,"pages":4,"limit":1048575"#,
        ];
        assert_eq!(
            history(&lines, "linux-7.2", 0xf_ffff)[2..],
            [
                "line 4: double_free 1: frees 0xffffc-0xfffff of line 3 to the per-CPU caches",
                "line 5: alloc 2: hands out 0xffffc-0xfffff",
                "line 6: alloc 3: hands out 0xffffc-0xfffff, which id 2 holds since line 5",
            ]
        );
    }

    #[test]
    fn reservations_and_frees_by_pfn_touch_it_and_other_domains_do_not() {
        let lines = [
            r#""op":"reserve","lo":16,"hi":31"#,
            r#""op":"alloc","dom":1,"id":1,"pages":1,"limit":20"#,
            r#""op":"free_pfn","pfn":20"#,
        ];
        assert_eq!(
            history(&lines, "linux-7.2", 30),
            [
                "line 2: reserve: 0x10-0x1f is in the tree",
                "line 4: free_pfn: 0x10-0x1f left the tree",
            ]
        );
    }
}
