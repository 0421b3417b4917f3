//! Checks what an event says against the events before it, and makes it a request.
//!
//! Ids that are live or not, CPUs that are online or not, time that never goes back. What is
//! wrong with an event in itself is the reader's to say.

mod lives;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use iova::op::Op;
use iova::replay::{Device, Dom, Request, Slot};
use iova::units::{Cpu, Nanos};

use super::error::{Error, Kind, Place};
use super::event::{self, Event, Header};
use super::fields;
use lives::{DOMAINS_MAX, Found, Lives, Pair, REMEMBERED};

/// Makes a trace's events the requests of a replay, in order.
///
/// After an error it is of no further use.
#[derive(Debug)]
pub struct Checker {
    before: Nanos,
    cpus: Cpus,
    lives: Lives,
    domains: Domains,
    devices: Devices,
}

impl Checker {
    /// For a trace with a header.
    pub fn new(header: &Header) -> Checker {
        Checker::remembering(header, REMEMBERED)
    }

    /// One that remembers `ended` of the allocations that have ended.
    fn remembering(header: &Header, ended: usize) -> Checker {
        Checker {
            before: Nanos(0),
            cpus: Cpus::new(header.cpus),
            lives: Lives::new(ended),
            domains: Domains::default(),
            devices: Devices::default(),
        }
    }

    /// The domains' numbers in the trace, by [`Dom`].
    pub fn domains(&self) -> &[u64] {
        &self.domains.numbers
    }

    /// Checks the event at a place of the trace against those that were admitted before.
    ///
    /// # Errors
    ///
    /// If an id is not live or is already, a CPU does not exist or is offline or cannot go or
    /// come, time goes back, or a life is ended in another domain or by another operation than
    /// it began. The error has the place and no file.
    pub fn admit(&mut self, place: Place, event: &Event) -> Result<Request, Error> {
        let mut request = Request::default();
        self.admit_into(place, event, &mut request)?;
        Ok(request)
    }

    /// The same as [`admit`](Checker::admit), in the place of `request`.
    ///
    /// # Errors
    ///
    /// The same; `request` means nothing then.
    pub fn admit_into(
        &mut self,
        place: Place,
        event: &Event,
        request: &mut Request,
    ) -> Result<(), Error> {
        self.request(place, event, request)
            .map_err(|error| error.at(place))
    }

    fn request(
        &mut self,
        place: Place,
        event: &Event,
        request: &mut Request,
    ) -> Result<(), Error> {
        if event.at < self.before {
            return Err(Kind::TimeGoesBack {
                found: event.at.0,
                before: self.before.0,
            }
            .into());
        }
        self.before = event.at;
        // A `nomem` runs on no CPU.
        let may_be_offline = matches!(event.op, Op::CpuUp | Op::NoMem { .. });
        self.cpus.check(event.cpu, may_be_offline, place)?;
        request.at = event.at;
        request.cpu = event.cpu;
        request.dom = self.domains.number(event.dom)?;
        request.op = self.op(place, event.cpu, request.dom, &event.op)?;
        Ok(())
    }

    /// The operation with slots and devices for ids and names.
    fn op(
        &mut self,
        place: Place,
        cpu: Cpu,
        dom: Dom,
        op: &event::Op,
    ) -> Result<Op<Slot>, Error> {
        match op {
            Op::CpuDead => self.cpus.die(cpu, place)?,
            Op::CpuUp => self.cpus.come_up(cpu)?,
            _ => {}
        }
        let (lives, domains, devices) = (&mut self.lives, &self.domains, &mut self.devices);
        let slot = |&id: &u64| match op {
            Op::Alloc { .. } => lives.begin(id, dom, Pair::AllocFree, place),
            Op::Map { .. } => lives.begin(id, dom, Pair::MapUnmap, place),
            Op::Free { .. } => domains.own(op, id, dom, lives.end(id, Pair::AllocFree, place)?),
            Op::Unmap { .. } => domains.own(op, id, dom, lives.end(id, Pair::MapUnmap, place)?),
            // Whatever domain the event names: the allocation's own is meant.
            _ => Ok(lives.ended(id, place)?.slot),
        };
        op.rename(slot, |name| devices.number(dom, name.clone()), ())
    }
}

/// Which CPUs are online.
#[derive(Debug)]
struct Cpus {
    /// Where each went offline, if it did.
    dead: Vec<Option<Place>>,
    online: usize,
}

impl Cpus {
    fn new(count: u32) -> Cpus {
        let count = count as usize;
        Cpus {
            dead: vec![None; count],
            online: count,
        }
    }

    /// Refuses a CPU that does not exist, or is offline and may not be.
    fn check(&self, cpu: Cpu, may_be_offline: bool, place: Place) -> Result<(), Error> {
        match self.dead.get(cpu.index()) {
            Some(None) => Ok(()),
            Some(Some(_)) if may_be_offline => Ok(()),
            Some(Some(since)) => Err(Kind::Offline {
                cpu: cpu.0,
                since: place.sibling(since.number()),
            }
            .into()),
            None => Err(Kind::NoSuchCpu {
                cpu: cpu.0,
                cpus: self.dead.len(),
            }
            .into()),
        }
    }

    fn die(&mut self, cpu: Cpu, place: Place) -> Result<(), Error> {
        if self.online == 1 {
            return Err(Kind::LastCpu { cpu: cpu.0 }.into());
        }
        self.online -= 1;
        self.dead[cpu.index()] = Some(place);
        Ok(())
    }

    fn come_up(&mut self, cpu: Cpu) -> Result<(), Error> {
        match self.dead[cpu.index()].take() {
            Some(_) => {
                self.online += 1;
                Ok(())
            }
            None => Err(Kind::AlreadyOnline { cpu: cpu.0 }.into()),
        }
    }
}

/// The domains in the order of first mention.
#[derive(Debug, Default)]
struct Domains {
    numbers: Vec<u64>,
    /// Looked up and never iterated over, as is `by_name` below.
    by_number: FxHashMap<u64, Dom>,
    /// The one that was asked for last, and mostly is the next.
    last: Option<(u64, Dom)>,
}

impl Domains {
    fn number(&mut self, number: u64) -> Result<Dom, Error> {
        match self.last {
            Some((last, dom)) if last == number => Ok(dom),
            _ => self.look_up(number),
        }
    }

    /// The slot of an allocation of id `id`, which `op` ends in `dom`, if that is its domain.
    fn own(&self, op: &event::Op, id: u64, dom: Dom, ended: Found) -> Result<Slot, Error> {
        if ended.dom == dom {
            return Ok(ended.slot);
        }
        Err(Kind::OtherDomain {
            op: fields::name(op),
            id,
            found: self.numbers[dom.0 as usize],
            expected: self.numbers[ended.dom.0 as usize],
        }
        .into())
    }

    fn look_up(&mut self, number: u64) -> Result<Dom, Error> {
        let next = index(self.numbers.len(), DOMAINS_MAX, "domains")?;
        let dom = *self.by_number.entry(number).or_insert(Dom(next));
        if dom == Dom(next) {
            self.numbers.push(number);
        }
        self.last = Some((number, dom));
        Ok(dom)
    }
}

/// The devices in the order of first mention.
#[derive(Debug, Default)]
struct Devices {
    by_name: FxHashMap<(Dom, Arc<str>), Device>,
    unnamed: Arc<str>,
}

impl Devices {
    fn number(&mut self, dom: Dom, name: Option<Arc<str>>) -> Result<Device, Error> {
        let key = (dom, name.unwrap_or_else(|| Arc::clone(&self.unnamed)));
        if let Some(&device) = self.by_name.get(&key) {
            return Ok(device);
        }
        let device = Device(index(self.by_name.len(), u32::MAX, "devices")?);
        self.by_name.insert(key, device);
        Ok(device)
    }
}

/// The index of the next of something of which there are `count`.
fn index(count: usize, most: u32, what: &'static str) -> Result<u32, Error> {
    match u32::try_from(count) {
        Ok(index) if index < most => Ok(index),
        _ => Err(Kind::TooMany { what, most }.into()),
    }
}
