//! From a stream of events to one of requests: checked, and hashed on the way.

use std::sync::Arc;

use crate::trace::check::Checker;
use crate::trace::digest::Digest;
use crate::trace::event::{Event, Header};
use crate::trace::read::Reader;
use crate::trace::{Error, Place};
use iova::replay::Request;

/// Where a feed's events come from: each takes the place of the one before, as moving them
/// about costs more than all else that a feed does.
pub trait Events {
    /// Puts the next event in the place of `event`, and gives where it is; none after the last.
    ///
    /// # Errors
    ///
    /// If there is no event; `event` means nothing then.
    fn read(&mut self, event: &mut Event) -> Result<Option<Place>, Error>;
}

impl Events for Reader {
    fn read(&mut self, event: &mut Event) -> Result<Option<Place>, Error> {
        Reader::read(self, event)
    }
}

/// Events that were made, and not read.
#[derive(Debug)]
pub struct Made<I> {
    events: I,
    number: u64,
}

impl<I: Iterator<Item = Event>> Made<I> {
    /// These events, from number 0 on.
    pub fn new(events: I) -> Made<I> {
        Made { events, number: 0 }
    }
}

impl<I: Iterator<Item = Event>> Events for Made<I> {
    fn read(&mut self, event: &mut Event) -> Result<Option<Place>, Error> {
        let Some(next) = self.events.next() else {
            return Ok(None);
        };
        *event = next;
        self.number += 1;
        Ok(Some(Place::Event(self.number - 1)))
    }
}

/// A request, and its event where somebody asked for it to be kept.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub request: Request,
    /// The event that it was.
    pub event: Option<Arc<Event>>,
}

/// Makes the events of a trace requests, in order. After an error it is of no further use.
#[derive(Debug)]
pub struct Feed<I> {
    file: String,
    events: I,
    /// The event that was read last.
    event: Event,
    checker: Checker,
    digest: Digest,
    keep_events: bool,
}

impl<I> Feed<I> {
    /// Requests of `events`, which follow that header; `file` is what errors call the stream.
    pub fn new(file: &str, header: &Header, events: I) -> Feed<I> {
        Feed {
            file: file.to_owned(),
            events,
            event: Event::default(),
            checker: Checker::new(header),
            digest: Digest::new(header),
            keep_events: false,
        }
    }

    /// The same feed, which keeps the event of each request: what was recorded of its answer
    /// is there.
    #[must_use]
    pub fn with_events(self) -> Feed<I> {
        Feed {
            keep_events: true,
            ..self
        }
    }

    /// The event that was read last.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The digest of all that came so far.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl<I: Events> Feed<I> {
    /// Puts the next step in the place of `step`; gives false after the last.
    ///
    /// # Errors
    ///
    /// If the events have an error; `step` means nothing then.
    pub fn read(&mut self, step: &mut Step) -> Result<bool, Error> {
        let Some(place) = self.events.read(&mut self.event)? else {
            return Ok(false);
        };
        self.digest.add(&self.event);
        let admitted = self
            .checker
            .admit_into(place, &self.event, &mut step.request);
        admitted.map_err(|error| error.in_file(&self.file))?;
        step.event = self.keep_events.then(|| Arc::new(self.event.clone()));
        Ok(true)
    }
}
