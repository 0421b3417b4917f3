//! The requests of a trace in memory.

use std::sync::Arc;

use iova::op::{Got, Op};
use iova::replay::{Device, Dom, Request, Slot};

use crate::trace::check::Checker;
use crate::trace::event::{self, Event, Header};
use crate::trace::{Error, Place};

/// A trace: its header, its requests, and the names that requests refer to by number.
#[derive(Clone, Debug)]
pub struct Requests {
    pub header: Header,
    pub requests: Vec<Request>,
    /// The numbers of the domains in the trace, by [`Dom`].
    pub domains: Vec<u64>,
    /// The names of the devices, by [`Device`]; `None` for an unnamed one.
    pub devices: Vec<Option<Arc<str>>>,
}

/// Reads the events of a trace into memory.
#[derive(Debug)]
pub struct Loader {
    checker: Checker,
    loaded: Requests,
}

impl Loader {
    /// A loader for a trace with that header.
    pub fn new(header: &Header) -> Loader {
        Loader {
            checker: Checker::new(header),
            loaded: Requests {
                header: header.clone(),
                requests: Vec::new(),
                domains: Vec::new(),
                devices: Vec::new(),
            },
        }
    }

    /// Adds the event at a place of the trace.
    ///
    /// # Errors
    ///
    /// If the event does not agree with those before it. The error has the place and no file.
    pub fn add(&mut self, place: Place, event: &Event) -> Result<(), Error> {
        let request = self.checker.admit(place, event)?;
        if let (Op::Map { dev, .. }, event::Op::Map { dev: name, .. }) =
            (&request.op, &event.op)
        {
            let names = &mut self.loaded.devices;
            if names.len() <= dev.0 as usize {
                names.resize(dev.0 as usize + 1, None);
                names[dev.0 as usize].clone_from(name);
            }
        }
        self.loaded.requests.push(request);
        Ok(())
    }

    /// The trace, once all of its events were added.
    pub fn finish(self) -> Requests {
        Requests {
            domains: self.checker.domains().to_vec(),
            ..self.loaded
        }
    }
}

impl Requests {
    /// The name of a device; `None` for an unnamed one.
    pub fn device(&self, device: Device) -> Option<&Arc<str>> {
        let name = self.devices.get(device.0 as usize)?.as_ref();
        name.filter(|name| !name.is_empty())
    }

    /// The name of the device that an operation is for.
    pub fn device_of(&self, op: &Op<Slot>) -> Option<String> {
        match op {
            Op::Map { dev, .. } => self.device(*dev).map(ToString::to_string),
            _ => None,
        }
    }

    /// A domain's number in the trace.
    pub fn domain(&self, dom: Dom) -> u64 {
        self.domains
            .get(dom.0 as usize)
            .copied()
            .unwrap_or_default()
    }

    /// The requests as events of a trace. Allocations get ids from 1 in their order.
    pub fn events(&self) -> Vec<Event> {
        let mut next = 0;
        let mut ids = Vec::new();
        let events = self.requests.iter().map(|request| {
            let begins = matches!(request.op, Op::Alloc { .. } | Op::Map { .. });
            let id = |slot: &Slot| {
                let index = slot.0 as usize;
                if ids.len() <= index {
                    ids.resize(index + 1, 0);
                }
                if begins {
                    next += 1;
                    ids[index] = next;
                }
                Ok::<u64, std::convert::Infallible>(ids[index])
            };
            let name = |device: &Device| Ok(self.device(*device).cloned());
            let Ok(op) = request.op.rename(id, name, Got::Unrecorded);
            Event {
                at: request.at,
                cpu: request.cpu,
                dom: self.domain(request.dom),
                op,
            }
        });
        events.collect()
    }
}
