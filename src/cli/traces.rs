//! Traces, read and written: the form and the compression of what is written go by the file's
//! name.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use iova::measure::Sampling;
use iova::replay::Request;
use iovasim::study::{self, RequestStream};
use iovasim::trace::Place;
use iovasim::trace::check::Checker;
use iovasim::trace::compress::{Compression, Encoder};
use iovasim::trace::event::{Event, Header};
use iovasim::trace::read::Reader;
use iovasim::trace::{binary, write};

use super::common::Terminal;
use super::files::{self, Output};
use super::kind;
use super::progress::Progress;
use super::status::Failure;

/// A trace that is read for its events alone, checked as `replay` checks it.
pub(crate) struct CheckedTrace {
    name: String,
    reader: Reader,
    checker: Checker,
    progress: Progress,
    event: Event,
    request: Request,
}

impl CheckedTrace {
    /// Opens a trace in any form; `-` is standard input.
    pub(crate) fn open(path: &Path, terminal: Terminal) -> Result<CheckedTrace, Failure> {
        let name = files::input_name(path);
        let input = files::open(path)?;
        let progress = Progress::new(terminal.shows_progress(), input.size);
        let reader = Reader::new(&name, progress.count(input.bytes));
        let reader = reader.map_err(|error| kind::failure(path, error))?;
        Ok(CheckedTrace {
            name,
            checker: Checker::new(reader.header()),
            reader,
            progress,
            event: Event::default(),
            request: Request::default(),
        })
    }

    /// What errors call the trace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the trace says of its domains.
    pub(crate) fn header(&self) -> &Header {
        self.reader.header()
    }

    /// The next event; none after the last.
    pub(crate) fn next(&mut self) -> Result<Option<&Event>, Failure> {
        let next = self.next_request()?;
        Ok(next.map(|(_, event, _)| event))
    }

    /// The next event with its position and its request; `None` after the last.
    pub(crate) fn next_request(
        &mut self,
    ) -> Result<Option<(Place, &Event, &Request)>, Failure> {
        let read = self.reader.read(&mut self.event).map_err(Failure::bad)?;
        let Some(place) = read else {
            return Ok(None);
        };
        let admitted = self
            .checker
            .admit_into(place, &self.event, &mut self.request);
        admitted.map_err(|error| Failure::bad(error.in_file(&self.name)))?;
        self.progress.event();
        Ok(Some((place, &self.event, &self.request)))
    }
}

/// Completes `sampling` by reading the trace before it is replayed, in domains as `header` describes
/// them. What is no file can only be read once: `sampling` stays as it is.
pub(crate) fn survey(
    path: &Path,
    header: &Header,
    sampling: Sampling,
) -> Result<Sampling, Failure> {
    let known = sampling.dom.is_some() && sampling.limit.is_some();
    if known || !path.is_file() {
        return Ok(sampling);
    }
    let name = files::input_name(path);
    let reader = Reader::new(&name, files::open(path)?.bytes).map_err(Failure::bad)?;
    let recorded = reader.header().clone();
    let stream = RequestStream::new(&name, &recorded, reader).with_domains(header);
    study::survey(stream, sampling).map_err(Failure::bad)
}

/// How the help of a command says which form a trace is written in.
pub(crate) const FORMS: &str = "`.gz` and `.zst` at the end of a name compress; `.bin` before \
                                them writes the compact binary form, anything else JSON lines.";

type Encoded = Encoder<BufWriter<Box<dyn Write + Send>>>;

/// A trace that is being written.
pub(crate) struct TraceWriter {
    output: Output,
    form: Form,
}

enum Form {
    Json(write::Writer<Encoded>),
    Binary(Box<binary::Writer<Encoded>>),
}

impl TraceWriter {
    /// Begins a trace in the form that its name asks for; `-` is JSON on standard output.
    pub(crate) fn begin(path: &Path, header: &Header) -> Result<TraceWriter, Failure> {
        let output = Output::begin(path)?;
        let out = BufWriter::new(output.writer()?);
        let name = path.to_string_lossy();
        let form = form(&name, out, header).map_err(|error| output.failure(&error))?;
        Ok(TraceWriter { output, form })
    }

    pub(crate) fn write(&mut self, event: &Event) -> Result<(), Failure> {
        let written = match &mut self.form {
            Form::Json(writer) => writer.write(event),
            Form::Binary(writer) => writer.write(event),
        };
        written.map_err(|error| self.output.failure(&error))
    }

    /// The trace is complete.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let finished = match self.form {
            Form::Json(writer) => writer.finish(),
            Form::Binary(writer) => writer.finish(),
        };
        let flushed = finished
            .and_then(Encoder::finish)
            .and_then(|mut out| out.flush());
        flushed.map_err(|error| self.output.failure(&error))?;
        self.output.finish()
    }
}

fn form(
    name: &str,
    out: BufWriter<Box<dyn Write + Send>>,
    header: &Header,
) -> io::Result<Form> {
    let encoder = Encoder::new(out, Compression::of_name(name))?;
    let bare = name
        .strip_suffix(".zst")
        .or(name.strip_suffix(".gz"))
        .unwrap_or(name);
    let binary = Path::new(bare)
        .extension()
        .is_some_and(|ending| ending == "bin");
    Ok(if binary {
        Form::Binary(Box::new(binary::Writer::new(encoder, header)?))
    } else {
        Form::Json(write::Writer::new(encoder, header)?)
    })
}
