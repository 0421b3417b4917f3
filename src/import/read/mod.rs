//! The first stage: the lines of a recording, from its start. A binary file gives the lines that its
//! text would have.

pub(crate) mod record;
pub(crate) mod text;

mod dat;

use std::io::{self, BufRead, Chain, Cursor, Read};

use dat::DatLines;
use record::Line;
use text::Lines;

use crate::import::error::{Error, Problem};
use crate::import::options::{Form, Options};

/// The largest binary file that is read, in bytes; it is held in memory.
const DAT_MAX: u64 = 1 << 32;

/// A recording that is read several times.
pub(crate) struct Recording<'a, F> {
    file: &'a str,
    open: F,
    form: Option<Form>,
    skip_bad_lines: bool,
    /// A binary file, once it is known to be one.
    dat: Option<tracedat::File>,
}

/// A recording that is being read.
#[derive(Debug)]
pub(crate) enum Source<R> {
    Text(Lines<Chain<Cursor<Vec<u8>>, R>>),
    Dat { file: String, lines: DatLines },
}

impl<'a, R: BufRead, F: FnMut() -> io::Result<R>> Recording<'a, F> {
    /// A recording of the form that the options give, or that its contents show.
    pub(crate) fn new(file: &'a str, open: F, options: &Options) -> Recording<'a, F> {
        Recording {
            file,
            open,
            form: options.form,
            skip_bad_lines: options.skip_bad_lines,
            dat: None,
        }
    }

    /// The recording from its start.
    pub(crate) fn source(&mut self) -> Result<Source<R>, Error> {
        if let Some(dat) = &self.dat {
            return self.dat_lines(dat.clone());
        }
        let failed = |error| Error::new(self.file, None, error);
        let mut reader = (self.open)().map_err(failed)?;
        let mut head = Vec::new();
        let length = tracedat::MAGIC.len() as u64;
        let mut start = Read::take(&mut reader, length);
        start.read_to_end(&mut head).map_err(failed)?;
        let is_dat = head == tracedat::MAGIC;
        match self.form {
            Some(form) if form != Form::TraceDat && is_dat => {
                let problem =
                    format!("this is trace-cmd's binary file, not {form}: --from trace-dat");
                return Err(Error::new(self.file, None, Problem::Ask(problem)));
            }
            _ if !is_dat && self.form != Some(Form::TraceDat) => {
                let text = Cursor::new(head).chain(reader);
                let lines = Lines::new(self.file, text, self.skip_bad_lines);
                return Ok(Source::Text(lines));
            }
            _ => {}
        }
        let mut rest = Read::take(reader, DAT_MAX - length + 1);
        rest.read_to_end(&mut head).map_err(failed)?;
        if head.len() as u64 > DAT_MAX {
            let problem = format!(
                "more than {DAT_MAX} bytes: make parts of it with `trace-cmd split`, or import \
                 what `trace-cmd report` prints"
            );
            return Err(Error::new(self.file, None, Problem::Ask(problem)));
        }
        let dat = tracedat::File::read(head).map_err(|error| Error::dat(self.file, error))?;
        self.dat = Some(dat.clone());
        self.dat_lines(dat)
    }

    fn dat_lines(&self, dat: tracedat::File) -> Result<Source<R>, Error> {
        let lines = DatLines::new(dat).map_err(|error| Error::dat(self.file, error))?;
        let file = self.file.to_owned();
        Ok(Source::Dat { file, lines })
    }
}

impl<R: BufRead> Source<R> {
    /// The form, where it is known before any line.
    pub(crate) fn form(&self) -> Option<Form> {
        match self {
            Source::Text(_) => None,
            Source::Dat { .. } => Some(Form::TraceDat),
        }
    }

    /// Goes to the next line; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, Error> {
        match self {
            Source::Text(lines) => lines.advance(),
            Source::Dat { file, lines } => {
                lines.advance().map_err(|error| Error::dat(file, error))
            }
        }
    }

    /// The contents of the line, which depend on the form of a text.
    pub(crate) fn line(&self, form: Form) -> Line<'_> {
        match self {
            Source::Text(lines) if lines.is_bad() => Line::Other,
            Source::Text(lines) => text::parse(lines.text(), form),
            Source::Dat { lines, .. } => lines.line(),
        }
    }

    /// The line as it is in a text; nothing for a binary file.
    pub(crate) fn text(&self) -> &str {
        match self {
            Source::Text(lines) => lines.text(),
            Source::Dat { .. } => "",
        }
    }

    /// The number of a text's line.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Source::Text(lines) => lines.number(),
            Source::Dat { .. } => 0,
        }
    }

    /// An error in the line that was read last.
    pub(crate) fn error(&self, problem: Problem) -> Error {
        match self {
            Source::Text(lines) => lines.error(problem),
            Source::Dat { file, lines } => Error::at(file, lines.place(), problem),
        }
    }

    /// What was made of the line that was read last: an error of its place, or, where lines that
    /// cannot be read are skipped and this is one, false.
    pub(crate) fn check(
        &self,
        taken: Result<(), Problem>,
        options: &Options,
    ) -> Result<bool, Error> {
        match taken {
            Ok(()) => Ok(true),
            Err(problem) if options.skip_bad_lines && problem.is_of_a_line() => Ok(false),
            Err(problem) => Err(self.error(problem)),
        }
    }
}
