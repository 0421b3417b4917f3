//! The outcome stream of an allocator: an observer that writes a line for each answer.

use std::io::{self, Write};
use std::ops::ControlFlow;

use super::run::Observer;
use crate::trace::outcome::{self, Cached, Outcome};
use iova::kernel::Answer;
use iova::replay::{Aborted, Replay, Request};
use iova::units::Pfn;

/// Writes the outcome of each event. After an error it writes nothing and ends the replay.
#[derive(Debug)]
pub struct OutcomeWriter<W: Write> {
    writer: outcome::Writer<W>,
    error: Option<io::Error>,
}

impl<W: Write> OutcomeWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> OutcomeWriter<W> {
        OutcomeWriter {
            writer: outcome::Writer::new(out),
            error: None,
        }
    }

    /// Writes what is left and gives the output back, complete.
    ///
    /// # Errors
    ///
    /// The first error of the output.
    pub fn finish(self) -> io::Result<W> {
        match self.error {
            None => self.writer.finish(),
            Some(error) => Err(error),
        }
    }

    fn keep(&mut self, written: io::Result<()>) -> ControlFlow<()> {
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl<W: Write + Send> Observer for OutcomeWriter<W> {
    fn answered(
        &mut self,
        number: u64,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
    ) -> ControlFlow<()> {
        let written = self.writer.write(&line(number, replay, request, answer));
        self.keep(written)
    }

    fn aborted(&mut self, aborted: Aborted) -> ControlFlow<()> {
        let written = self.writer.aborted(aborted.event, aborted.kind.name());
        self.keep(written)
    }
}

/// The line of an event that `replay` has just answered.
fn line(number: u64, replay: &Replay, request: &Request, answer: Option<Answer>) -> Outcome {
    let state = replay.domains()[request.dom.0 as usize].state();
    let steps = answer.map_or(0, |answer| answer.steps);
    Outcome {
        i: number,
        answer: match answer.map(|answer| answer.result) {
            None => outcome::Answer::None,
            Some(Ok(pfn)) => outcome::Answer::Pfn(pfn),
            Some(Err(_)) => outcome::Answer::Failed,
        },
        steps: replay.config().rules().walks().then_some(steps),
        max32: state.max32,
        c32: state.cached.map(|(cached32, _)| cached(cached32)),
        c64: state.cached.map(|(_, cached64)| cached(cached64)),
        n: state.ranges,
    }
}

fn cached(position: Option<Pfn>) -> Cached {
    position.map_or(Cached::Anchor, Cached::Node)
}
