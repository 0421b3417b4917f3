//! Lines of a recording: tracefs text, `trace-cmd report`, `perf script`.
//!
//! ```text
//!      kworker/0:2-144     [000] ...1.    16.459761: alloc_iova_fast: (…) iovad=0x… size=1 …
//!  kworker/u8:0-ev    12 [000]    20.410924:     iova:alloc_iova_fast: (…) iovad=0x… size=1 …
//! ```
//!
//! tracefs and trace-cmd print the first, with or without the column of flags; perf prints the
//! second. A task's name may hold anything, so a line is read from its `[cpu]` outwards. The marks
//! with which a mail quotes a line (`> `) are no part of it.
//!
//! Lines are bounded in length, complete and counted.

use std::io::BufRead;

use super::record::{Line, Record};
use crate::import::error::{Error, Problem};
use crate::import::number::nanoseconds;
use crate::import::options::Form;
use iova::units::Cpu;

/// The longest line of a text, in bytes; the longest scatter list that is printed takes 8 kB.
const LINE_MAX: usize = 1 << 16;

/// A reader of bounded lines, which counts them.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    file: String,
    skip_bad: bool,
    /// The line is too long, or has no end.
    bad: bool,
    number: u64,
    bytes: Vec<u8>,
    text: String,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(file: &str, reader: R, skip_bad_lines: bool) -> Lines<R> {
        Lines {
            reader,
            file: file.to_owned(),
            skip_bad: skip_bad_lines,
            bad: false,
            number: 0,
            bytes: Vec::new(),
            text: String::new(),
        }
    }

    /// Reads the next line; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, Error> {
        self.bytes.clear();
        let limit = LINE_MAX as u64 + 1;
        let read = std::io::Read::take(&mut self.reader, limit)
            .read_until(b'\n', &mut self.bytes)
            .map_err(|error| Error::new(&self.file, None, error))?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.number == 1 {
            self.refuse_binary()?;
        }
        self.text.clear();
        self.bad = self.bytes.pop_if(|last| *last == b'\n').is_none();
        if self.bad {
            return self.take_bad(read > LINE_MAX);
        }
        self.bytes.pop_if(|last| *last == b'\r');
        let text = String::from_utf8_lossy(&self.bytes);
        self.text.push_str(unquoted(&text));
        Ok(true)
    }

    /// A line that is too long, or the last one without its end.
    fn take_bad(&mut self, too_long: bool) -> Result<bool, Error> {
        if !self.skip_bad {
            return Err(self.error(if too_long {
                Problem::LongLine { max: LINE_MAX }
            } else {
                Problem::CutShort
            }));
        }
        if too_long {
            let skipped = self.reader.skip_until(b'\n');
            skipped.map_err(|error| Error::new(&self.file, None, error))?;
        }
        Ok(true)
    }

    /// Whether the line is too long or has no end; its text is empty then.
    pub(crate) fn is_bad(&self) -> bool {
        self.bad
    }

    fn refuse_binary(&self) -> Result<(), Error> {
        if self.bytes.starts_with(b"PERFILE2") {
            return Err(self.error(Problem::PerfData));
        }
        Ok(())
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// An error in the line that was read last.
    pub(crate) fn error(&self, problem: Problem) -> Error {
        Error::new(&self.file, Some(self.number), problem)
    }
}

/// A line without the marks of a mail that quotes it. No line of a recording begins with one:
/// names of tasks are printed with spaces before them.
fn unquoted(text: &str) -> &str {
    let mut text = text;
    while let Some(inner) = text.strip_prefix('>') {
        text = inner.strip_prefix(' ').unwrap_or(inner);
    }
    text
}

/// The form of a line that is a record.
pub(crate) fn form_of(text: &str) -> Option<Form> {
    record(text).map(|(_, form)| form)
}

/// Reads a line of a trace; a record of the other form is [`Line::Other`].
pub(crate) fn parse(text: &str, form: Form) -> Line<'_> {
    match record(text) {
        Some((record, found)) if found == form => return Line::Record(record),
        Some(_) => return Line::Other,
        None => {}
    }
    let trimmed = text.trim();
    if let Some(comment) = trimmed.strip_prefix('#') {
        return header(comment);
    }
    if let Some(cpus) = trimmed.strip_prefix("cpus=").and_then(|n| n.parse().ok()) {
        return Line::Cpus(cpus);
    }
    if let Some(lost) = lost(trimmed) {
        return lost;
    }
    let stack = trimmed.starts_with("=> ")
        || trimmed.contains("<stack trace>")
        || text.starts_with('\t') && form == Form::PerfScript;
    let preamble = trimmed.is_empty()
        || trimmed.starts_with("version = ")
        || trimmed.starts_with("CPU ") && trimmed.ends_with(" is empty");
    if stack || preamble {
        Line::Nothing
    } else {
        Line::Other
    }
}

fn record(text: &str) -> Option<(Record<'_>, Form)> {
    let found = memchr::memchr_iter(b'[', text.as_bytes()).find_map(|open| {
        let (cpu, tail) = text.get(open + 1..)?.split_once(']')?;
        let cpu = cpu.parse::<u16>().ok()?;
        let (pid, form) = task(&text[..open])?;
        let (at, event, arguments) = moment_and_event(tail)?;
        let record = Record {
            pid,
            cpu: Cpu(cpu),
            at,
            event,
            arguments,
        };
        Some((record, form))
    });
    found.filter(|(record, _)| !holds_record(record.arguments))
}

/// Whether another record follows on the line, as where a line end was lost.
fn holds_record(arguments: &str) -> bool {
    memchr::memchr_iter(b'[', arguments.as_bytes()).any(|open| {
        let cpu_and_tail = arguments[open + 1..].split_once(']');
        cpu_and_tail.is_some_and(|(cpu, tail)| {
            cpu.parse::<u16>().is_ok() && moment_and_event(tail).is_some()
        })
    })
}

/// `comm-pid`, perhaps with `(tgid)`, is ftrace's; `comm pid` or `comm pid/tid` is perf's, whose
/// numbers may be negative. A name may end in a hyphen, so that `comm--1` is task 1.
fn task(text: &str) -> Option<(i32, Form)> {
    let mut text = text.strip_suffix([' ', '\t'])?.trim_end();
    if text.ends_with(')') {
        text = text[..text.rfind('(')?].trim_end();
    }
    let last = text.rsplit([' ', '\t']).next()?;
    let thread = last.rsplit('/').next()?;
    let number = |part: &str| part.parse::<i32>().is_ok() && !part.starts_with('+');
    if last.split('/').all(number) {
        return Some((thread.parse().ok()?, Form::PerfScript));
    }
    let (_, pid) = last.rsplit_once('-')?;
    let plain = pid.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| Some((pid.parse().ok()?, Form::Ftrace)))?
}

/// The time, the event's name and its arguments, which follow the CPU. Before the time there may be
/// flags, before the name perf's period.
fn moment_and_event(tail: &str) -> Option<(u64, &str, &str)> {
    let (mut first, mut rest) = word(tail.strip_prefix([' ', '\t'])?)?;
    if !first.ends_with(':') {
        (first, rest) = word(rest)?;
    }
    let at = nanoseconds(first.strip_suffix(':')?)?;
    let (mut event, mut arguments) = word(rest)?;
    if event.bytes().all(|b| b.is_ascii_digit()) {
        (event, arguments) = word(arguments)?;
    }
    let event = event.strip_suffix(':')?;
    let name = event.rsplit(':').next()?;
    (!name.is_empty()).then_some((at, name, arguments))
}

/// The first word and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], text[end..].trim()))
}

/// A comment: tracefs's counts, perf's number of CPUs, the record script's lines, or any other.
fn header(comment: &str) -> Line<'_> {
    let comment = comment.trim();
    if let Some(figures) = comment.strip_prefix("entries-in-buffer/entries-written:") {
        let (counts, cpus) = figures.split_once("#P:").unwrap_or((figures, ""));
        if let Some((kept, written)) = counts.trim().split_once('/')
            && let (Ok(kept), Ok(written)) = (kept.parse::<u64>(), written.parse::<u64>())
        {
            return Line::Buffer {
                overwritten: written.saturating_sub(kept),
                cpus: cpus.trim().parse().unwrap_or(0),
            };
        }
    }
    if let Some(note) = comment.strip_prefix("note: ") {
        return Line::Note(note);
    }
    let kernel = comment.strip_prefix("kernel: ");
    if let Some(kernel) = kernel.or_else(|| comment.strip_prefix("os release : ")) {
        return Line::Kernel(kernel);
    }
    let cpus = comment.strip_prefix("nrcpus avail :");
    match cpus.and_then(|cpus| cpus.trim().parse().ok()) {
        Some(cpus) => Line::Cpus(cpus),
        None => Line::Nothing,
    }
}

/// `CPU:1 [LOST 12 EVENTS]`, `CPU:1 [12 EVENTS DROPPED]`, `… PERF_RECORD_LOST lost 12`.
fn lost(text: &str) -> Option<Line<'_>> {
    if let Some((_, what)) = text.split_once("PERF_RECORD_LOST") {
        let count = what.rsplit(' ').next().and_then(|n| n.parse().ok());
        return Some(Line::Lost { cpu: None, count });
    }
    let (cpu, marker) = text.strip_prefix("CPU:")?.split_once(" [")?;
    let marker = marker.strip_suffix(']')?;
    let words = || marker.split(' ');
    let known = words().any(|word| matches!(word, "LOST" | "DROPPED"));
    known.then(|| Line::Lost {
        cpu: cpu.parse().ok(),
        count: words().find_map(|word| word.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_whole() {
        let error = |bytes: &[u8]| {
            let mut lines = Lines::new("f", bytes, false);
            loop {
                match lines.advance() {
                    Ok(true) => {}
                    Ok(false) => panic!("no error"),
                    Err(error) => return error.to_string(),
                }
            }
        };
        assert!(error(&vec![b'a'; LINE_MAX + 2]).starts_with("f:1: line of more than"));
        assert!(error(b"one\ntwo").starts_with("f:2: the last line has no line end"));
        assert!(error(b"PERFILE2....").contains("perf script"));
    }

    fn record_of(text: &str) -> (Record<'_>, Form) {
        record(text).expect("a record")
    }

    #[test]
    fn the_lines_of_the_three_tools_are_read_alike() {
        let lines = [
            (
                "     kworker/1:0-28      [001] .....    16.476005: free_iova: (free_iova+0x4/0xa0) iovad=0xff2266578137e280 pfn=0xf0000",
                Form::Ftrace,
            ),
            (
                "     kworker/1:0-28    [001]    16.476005: free_iova:            (ffffffffb5f3b5b4) iovad=0xff2266578137e280 pfn=0xf0000",
                Form::Ftrace,
            ),
            (
                "     kworker/1:0    28 [001]    16.476005:          iova:free_iova: (ffffffffb5f3b5b4) iovad=0xff2266578137e280 pfn=0xf0000",
                Form::PerfScript,
            ),
        ];
        for (text, form) in lines {
            let (record, found) = record_of(text);
            assert_eq!(
                (record.pid, record.cpu, record.at),
                (28, Cpu(1), 16_476_005_000)
            );
            assert_eq!(record.event, "free_iova");
            assert_eq!(record.number("pfn").ok(), Some(0xf0000));
            assert_eq!(found, form);
            assert_eq!(form_of(text), Some(form));
            assert_eq!(parse(text, form), Line::Record(record));
        }
    }

    #[test]
    fn a_task_may_be_called_anything() {
        let names = [
            ("Web Content-12", 12),
            ("[weird] 1-2-3", 3),
            ("<...>-77", 77),
            ("a [0] 1.0-5 (  9)", 5),
            ("x-1 (-----)", 1),
        ];
        for (name, pid) in names {
            let text = format!("  {name} [003] d.s2. 1.000000001: map: IOMMU: iova=0x0");
            let (record, form) = record_of(&text);
            assert_eq!(
                (record.pid, record.cpu, form),
                (pid, Cpu(3), Form::Ftrace),
                "{name}"
            );
            assert_eq!(record.at, 1_000_000_001);
        }
        let (record, form) = record_of("a b 4/5 [000] 2.5: 1 iommu:map: IOMMU: iova=0x0");
        assert_eq!((record.pid, form), (5, Form::PerfScript));
        assert_eq!((record.event, record.at), ("map", 2_500_000_000));
        for task in [":-1    -1", "swapper -1/-1"] {
            let text = format!("   {task} [001] 2.5: iommu:map: IOMMU: iova=0x0");
            let (record, form) = record_of(&text);
            assert_eq!((record.pid, form), (-1, Form::PerfScript), "{task}");
        }
    }

    #[test]
    fn the_marks_of_a_quoting_mail_are_no_part_of_a_line() {
        let quoted = b"> > # tracer: nop\n>\n>  a-1 [000] ..... 1.5: map: IOMMU: iova=0x0\n";
        let mut lines = Lines::new("f", &quoted[..], false);
        let mut texts = Vec::new();
        while lines.advance().expect("a line") {
            texts.push(lines.text().to_owned());
        }
        let record = " a-1 [000] ..... 1.5: map: IOMMU: iova=0x0";
        assert_eq!(texts, ["# tracer: nop", "", record]);
    }

    #[test]
    fn lines_that_are_no_records() {
        for text in [
            "",
            "[",
            "[000]",
            "a-1 [000]",
            "a-1 [000] .....",
            "a-1 [000] ..... 1.5",
            "a-1 [000] ..... 1.5:",
            "a-1 [000] ..... 1.5: event",
            "a-1 [000] ..... 1.5: :",
            "a-1 [000] ..... 15: event: counter clocks have no unit",
            "a-1 [000] ..... 1.0123456789: event: ten digits",
            "a-1 [99999] ..... 1.5: event: no such CPU",
            "a-1[000] ..... 1.5: event:",
            "a [000] ..... 1.5: event: no pid",
            "[   12.345678] usb 1-1: new device",
            "99999999999.0: event:",
            "a 1 [-01] 1.5: event: a CPU that perf does not know",
            "a-1 [000] ..... 1.5: event: x=1  b-2 [001] ..... 1.6: event: x=2",
        ] {
            assert_eq!(record(text), None, "{text}");
        }
    }

    #[test]
    fn headers_and_markers_are_recognised() {
        let lines = [
            (
                "# entries-in-buffer/entries-written: 90/110   #P:4",
                Line::Buffer {
                    overwritten: 20,
                    cpus: 4,
                },
            ),
            ("# tracer: nop", Line::Nothing),
            ("", Line::Nothing),
            ("cpus=2", Line::Cpus(2)),
            ("# nrcpus avail : 8", Line::Cpus(8)),
            ("# kernel: Linux 6.1", Line::Kernel("Linux 6.1")),
            ("# os release : 6.12.1", Line::Kernel("6.12.1")),
            ("# note: it rained", Line::Note("it rained")),
            (
                "CPU:1 [LOST 12 EVENTS]",
                Line::Lost {
                    cpu: Some(1),
                    count: Some(12),
                },
            ),
            (
                "CPU:7 [204600 EVENTS DROPPED]",
                Line::Lost {
                    cpu: Some(7),
                    count: Some(204_600),
                },
            ),
            (
                "CPU:7 [EVENTS DROPPED]",
                Line::Lost {
                    cpu: Some(7),
                    count: None,
                },
            ),
            (" => alloc_iova", Line::Nothing),
            ("bash: command not found", Line::Other),
        ];
        for (text, line) in lines {
            assert_eq!(parse(text, Form::Ftrace), line, "{text}");
        }
        let lost = "  swapper 0 [000] 0.0: PERF_RECORD_LOST lost 5";
        assert_eq!(
            parse(lost, Form::PerfScript),
            Line::Lost {
                cpu: None,
                count: Some(5)
            }
        );
    }
}
