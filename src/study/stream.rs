//! A stream of requests: the events of a trace, checked, hashed and translated on the way.

use std::sync::Arc;

use super::agreement::recorded;
use crate::trace::check::Checker;
use crate::trace::digest::Digest;
use crate::trace::event::{Event, Header};
use crate::trace::read::Reader;
use crate::trace::{Error, Place};
use iova::op::Got;
use iova::replay::Request;

/// A source of events. Each overwrites the one before, as moving events costs more than all else
/// that a stream does.
pub trait Events {
    /// Reads the next event into `event` and returns its place; `None` after the last.
    ///
    /// # Errors
    ///
    /// If the next line is no event; `event` is unspecified then.
    fn read(&mut self, event: &mut Event) -> Result<Option<Place>, Error>;
}

impl Events for Reader {
    fn read(&mut self, event: &mut Event) -> Result<Option<Place>, Error> {
        Reader::read(self, event)
    }
}

/// Events that a program generates.
#[derive(Debug)]
pub struct GeneratedEvents<I> {
    events: I,
    number: u64,
}

impl<I: Iterator<Item = Event>> GeneratedEvents<I> {
    /// Numbers these events from 0 on.
    pub fn new(events: I) -> GeneratedEvents<I> {
        GeneratedEvents { events, number: 0 }
    }
}

impl<I: Iterator<Item = Event>> Events for GeneratedEvents<I> {
    fn read(&mut self, event: &mut Event) -> Result<Option<Place>, Error> {
        let Some(next) = self.events.next() else {
            return Ok(None);
        };
        *event = next;
        self.number += 1;
        Ok(Some(Place::Event(self.number - 1)))
    }
}

/// Events, each of which is shown to a function on its way.
#[derive(Debug)]
pub struct Inspected<I, F> {
    events: I,
    inspect: F,
}

impl<I: Events, F: FnMut(&Event)> Events for Inspected<I, F> {
    fn read(&mut self, event: &mut Event) -> Result<Option<Place>, Error> {
        let place = self.events.read(event)?;
        if place.is_some() {
            (self.inspect)(event);
        }
        Ok(place)
    }
}

/// A request, and its event if the run compares answers with recorded ones.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub request: Request,
    /// The recorded kernel's answer.
    pub recorded: Got,
    /// The event that it came from.
    pub event: Option<Arc<Event>>,
}

/// The requests of a trace, in order. After an error it is of no further use.
#[derive(Debug)]
pub struct RequestStream<I> {
    file: String,
    events: I,
    event: Event,
    /// What the domains are like in the replay.
    domains: Header,
    checker: Checker,
    digest: Digest,
    keep_events: bool,
}

impl<I: Events> RequestStream<I> {
    /// The requests of `events`, which follow that header; errors call the stream `file`.
    pub fn new(file: &str, header: &Header, events: I) -> RequestStream<I> {
        RequestStream {
            file: file.to_owned(),
            events,
            event: Event::default(),
            domains: header.clone(),
            checker: Checker::new(header),
            digest: Digest::new(header),
            keep_events: false,
        }
    }

    /// The same stream, replayed against domains as `header` describes them; its hash stays.
    #[must_use]
    pub fn with_domains(self, header: &Header) -> RequestStream<I> {
        RequestStream {
            domains: header.clone(),
            ..self
        }
    }

    /// The same stream, each event of which is shown to `inspect` before it is replayed.
    pub fn inspect<F: FnMut(&Event)>(self, inspect: F) -> RequestStream<Inspected<I, F>> {
        RequestStream {
            file: self.file,
            events: Inspected {
                events: self.events,
                inspect,
            },
            event: self.event,
            domains: self.domains,
            checker: self.checker,
            digest: self.digest,
            keep_events: self.keep_events,
        }
    }

    /// The same stream, whose steps carry their events if `keep`.
    #[must_use]
    pub(super) fn keeping_events(self, keep: bool) -> RequestStream<I> {
        RequestStream {
            keep_events: keep,
            ..self
        }
    }

    /// The header of the domains that the requests are for.
    pub fn domains(&self) -> &Header {
        &self.domains
    }

    /// The digest of all events read so far.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reads the next step into `step`; returns false after the last.
    ///
    /// # Errors
    ///
    /// If the events have an error; `step` is unspecified then.
    pub fn read(&mut self, step: &mut Step) -> Result<bool, Error> {
        let Some(place) = self.events.read(&mut self.event)? else {
            return Ok(false);
        };
        self.digest.add(&self.event);
        let admitted = self
            .checker
            .admit_into(place, &self.event, &mut step.request);
        admitted.map_err(|error| error.in_file(&self.file))?;
        step.recorded = recorded(&self.event);
        step.event = self.keep_events.then(|| Arc::new(self.event.clone()));
        Ok(true)
    }
}
