//! Writing traces: the form and the compression go by the file's name.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use iovasim::trace::compress::{Compression, Encoder};
use iovasim::trace::event::{Event, Header};
use iovasim::trace::{binary, write};

use super::files::Output;
use super::status::Failure;

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

    /// Adds an event.
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
