//! From a stream of events to one of requests: checked, and hashed on the way.

use std::sync::Arc;

use crate::replay::Request;
use crate::trace::check::Checker;
use crate::trace::digest::Digest;
use crate::trace::event::{Event, Header};
use crate::trace::{Error, Place};

/// A request, and its event where somebody asked for it to be kept.
#[derive(Clone, Debug)]
pub struct Step {
    /// The request.
    pub request: Request,
    /// The event that it was.
    pub event: Option<Arc<Event>>,
}

/// Makes the events of a trace requests, in order. After an error it is of no further use.
#[derive(Debug)]
pub struct Feed<I> {
    file: String,
    events: I,
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

    /// The digest of all that came so far.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl<I: Iterator<Item = Result<(Place, Event), Error>>> Iterator for Feed<I> {
    type Item = Result<Step, Error>;

    fn next(&mut self) -> Option<Result<Step, Error>> {
        let (place, event) = match self.events.next()? {
            Ok(next) => next,
            Err(error) => return Some(Err(error)),
        };
        self.digest.add(&event);
        let kept = self.keep_events.then(|| Arc::new(event.clone()));
        Some(match self.checker.admit(place, event) {
            Ok(request) => Ok(Step {
                request,
                event: kept,
            }),
            Err(error) => Err(error.in_file(&self.file)),
        })
    }
}
