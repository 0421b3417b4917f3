//! Recordings of a running kernel into traces.
//!
//! ```text
//!            read/            pair/               reconstruct/
//!
//! lines ─ text ┐
//!              ├► records ─┬─ pairs ─ order ─► calls ─► EventBuilder ─┐
//! bytes ─ dat ─┘           ├─ dma ────────────────────────────────────┼─► EventSink ─► events
//!                          ├─ iommu ──────────────────────────────────┤
//! lines ───────────────────┴─ kernel_log ─────────────────────────────┘
//! ```
//!
//! A recording is read twice. A survey reads the header and decides how the records are read: the
//! number of CPUs, the kind of records, the domains. Then events are made line by line. Where
//! these depend on later lines (ranges live before the recording, domains of missed frees), a
//! reading in between gathers that. Live allocations are held in memory, the recording is not,
//! unless it is a binary file (`read/dat.rs`).
//!
//! What a recording does not show is an option, an error that asks for it, or a note in the
//! [`Report`], which accounts for every line.

pub mod record_script;

mod error;
mod number;
mod options;
mod pair;
mod read;
mod reconstruct;
mod report;
mod survey;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read};

use error::Problem;
use pair::Pairing;
use pair::call::Function;
use read::record::{Line, Record};
use read::{Recording, Source};
use reconstruct::before::LookAhead;
use reconstruct::domains::Domains;
use reconstruct::missed_frees::MissedFrees;
use reconstruct::sink::{ApiLevel, Clock, EventSink};
use reconstruct::{EventBuilder, dma, iommu, kernel_log};
use survey::Survey;

use crate::trace::compress::Decoder;
use crate::trace::event::{Event, Header};

pub use error::Error;
pub use options::{DomainChoice, Form, Options, RecordSource};
pub use report::{DomainReport, Report};

/// A recording's text, unpacked where it is gzip or zstd: what [`import`]'s `open` gives.
///
/// # Errors
///
/// Those of the stream, and where what it is packed in is broken; the latter while it is read too.
pub fn text(input: impl Read + Send + 'static) -> io::Result<BufReader<impl Read>> {
    let decoder = Decoder::new(input).map_err(io::Error::other)?;
    Ok(BufReader::with_capacity(1 << 16, Unpacked(decoder)))
}

/// Whether a file that begins with these bytes is a recording.
pub fn is_recording(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    head.starts_with(tracedat::MAGIC)
        || head.starts_with(b"PERFILE2")
        || text
            .lines()
            .take(1000)
            .any(|line| survey::form_of(line).is_some())
}

struct Unpacked(Decoder);

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(io::Error::other)
    }
}

/// A recording that is being imported: an iterator of its events, in order.
#[derive(Debug)]
pub struct Import<R> {
    header: Header,
    form: Form,
    source: Source<R>,
    reader: Reader,
    clock: Clock,
    options: Options,
    queue: VecDeque<Event>,
    report: Report,
    ended: bool,
}

/// Makes events of the records.
#[derive(Debug)]
enum Reader {
    Probes(Probes),
    Dma(dma::Importer),
    Iommu(iommu::Importer),
    Ranges(kernel_log::Importer),
}

/// The importer of probes: it pairs entries with returns and makes events of the calls.
#[derive(Debug)]
struct Probes {
    pairing: Pairing,
    missed: MissedFrees,
    builder: EventBuilder,
}

/// Surveys a recording and begins to import it.
///
/// `open` gives a reader from the start of the (uncompressed) recording; it is called two or
/// three times, of a binary file once. `file` is what messages call it.
///
/// # Errors
///
/// Where the recording cannot be read, is of no known form, lost events, or does not say what is
/// needed and no option does.
pub fn import<R: BufRead>(
    file: &str,
    open: impl FnMut() -> io::Result<R>,
    options: &Options,
) -> Result<Import<R>, Error> {
    let mut recording = Recording::new(file, open, options);
    let survey = Survey::of(file, &mut recording.source()?, options)?;
    let ask = |problem| Error::new(file, None, Problem::Ask(problem));
    let mut report = Report {
        form: Some(survey.form),
        record_source: Some(survey.record_source),
        ..Report::default()
    };
    let mut header = survey.header(options, &mut report).map_err(ask)?;
    let reader = match survey.record_source {
        RecordSource::Probes => {
            let later = options.state_before
                || !survey.missed.is_empty()
                || survey.has_domains_made_before();
            let LookAhead {
                before,
                owners,
                occupied,
            } = if later {
                LookAhead::of(
                    &mut recording.source()?,
                    survey.form,
                    &survey.probed,
                    &survey.missed,
                    options,
                    header.granule,
                )?
            } else {
                LookAhead::default()
            };
            report.unmaps_unowned = (survey.missed.len() - owners.len()) as u64;
            let owners = owners.into_iter();
            let owners = owners.map(|(number, domain)| (number, Some(domain)));
            let domains = Domains::new(options.domain.clone(), &options.reserved);
            report.infer(&occupied, options.infer_reserved);
            let domains = domains.with_inferred(if options.infer_reserved {
                occupied
            } else {
                BTreeMap::new()
            });
            Reader::Probes(Probes {
                pairing: Pairing::new(survey.probed.clone()),
                missed: MissedFrees::new(header.granule, owners),
                builder: EventBuilder::new(domains, before),
            })
        }
        RecordSource::Dma => {
            let level = ApiLevel::of(options, &mut header).map_err(ask)?;
            Reader::Dma(
                dma::Importer::new(level, header.granule, options, &survey.dma, &mut report)
                    .map_err(ask)?,
            )
        }
        RecordSource::Iommu => {
            let level = ApiLevel::of(options, &mut header).map_err(ask)?;
            if options.domain != Some(DomainChoice::One) {
                return Err(ask(
                    "`iommu` events do not name their domain: `--domain one` treats them as one \
                     domain, which is right if only one device was busy"
                        .to_owned(),
                ));
            }
            let joins = iommu::Joins::of(&mut recording.source()?, survey.form, options)?;
            Reader::Iommu(iommu::Importer::new(
                level,
                header.granule,
                joins,
                &options.reserved,
            ))
        }
        RecordSource::Ranges => {
            Reader::Ranges(kernel_log::Importer::new(header.granule, options))
        }
    };
    Ok(Import {
        header,
        form: survey.form,
        source: recording.source()?,
        reader,
        clock: Clock::default(),
        options: options.clone(),
        queue: VecDeque::new(),
        report,
        ended: false,
    })
}

impl Probes {
    fn take(&mut self, record: &Record<'_>, sink: &mut EventSink<'_>) -> Result<(), Problem> {
        match Function::of(record) {
            Some((function, edge)) => {
                self.builder.domains.mention(record, function, edge)?;
                self.pairing.take(record, function, edge, sink.report)?;
            }
            None => {
                if let Some(call) = self.missed.take(record)? {
                    sink.report.frees_unmapped += 1;
                    self.pairing.push(call);
                }
            }
        }
        while let Some(call) = self.pairing.pop(record.at) {
            self.builder.take(&call, sink);
        }
        Ok(())
    }

    fn finish(&mut self, sink: &mut EventSink<'_>) {
        while let Some(call) = self.pairing.pop_last() {
            self.builder.take(&call, sink);
        }
        self.pairing.finish(sink.report);
        self.builder.domains.finish(sink.report);
    }
}

impl<R: BufRead> Import<R> {
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The report on the lines so far; complete when the events are at their end.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Reads one line; false at the end.
    fn advance(&mut self) -> Result<bool, Error> {
        if !self.source.advance()? {
            self.finish()?;
            return Ok(false);
        }
        self.report.lines += 1;
        let taken = self.take_line();
        if !self.source.check(taken, &self.options)? {
            self.report.bad_line(self.source.number());
        }
        Ok(true)
    }

    fn take_line(&mut self) -> Result<(), Problem> {
        let (events, report) = (&mut self.queue, &mut self.report);
        if let Reader::Ranges(log) = &mut self.reader {
            return log.take(self.source.text(), events, report);
        }
        let record = match self.source.line(self.form) {
            Line::Record(record) => record,
            Line::Lost { count, .. } => {
                debug_assert!(self.options.allow_lost, "the survey refuses losses");
                match count {
                    Some(count) => report.lost += count,
                    None => report.lost_uncounted += 1,
                }
                return Ok(());
            }
            Line::Buffer { overwritten, .. } => {
                report.lost += overwritten;
                return Ok(());
            }
            Line::Note(note) => {
                report.note(note);
                return Ok(());
            }
            Line::Other => {
                report.bad_line(self.source.number());
                return Ok(());
            }
            Line::Cpus(_) | Line::Kernel(_) | Line::Nothing => return Ok(()),
        };
        report.record(record.event);
        self.clock.see(&record, report)?;
        let sink = &mut EventSink {
            clock: &mut self.clock,
            events,
            report,
        };
        match &mut self.reader {
            Reader::Probes(probes) => probes.take(&record, sink),
            Reader::Dma(dma) => dma.take(&record, sink),
            Reader::Iommu(iommu) => iommu.take(&record, sink),
            Reader::Ranges(_) => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        let (events, report) = (&mut self.queue, &mut self.report);
        match &mut self.reader {
            Reader::Probes(probes) => probes.finish(&mut EventSink {
                clock: &mut self.clock,
                events,
                report,
            }),
            Reader::Dma(dma) => dma.finish(report),
            Reader::Iommu(iommu) => iommu.finish(report),
            Reader::Ranges(log) => log
                .finish(events, report)
                .map_err(|problem| self.source.error(problem))?,
        }
        Ok(())
    }
}

impl<R: BufRead> Iterator for Import<R> {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            match self.advance() {
                Ok(more) => self.ended = !more,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
