//! Reads a trace: the header, then one event at a time.

use std::io::Read;

use super::binary;
use super::compress::Decoder;
use super::error::{Error, Kind, Place};
use super::event::{Event, Header};
use super::json;
use super::lines::{self, Lines};

/// How long the first line may be, in bytes.
const HEADER_LENGTH_MAX: usize = 1 << 20;

/// Reads a trace from a stream; memory does not grow with the trace's length.
///
/// JSON lines and the [`binary`] form, and plain, gzip and zstd, are told apart by
/// content. An event's fields are checked, not what depends on the events before it: that is
/// what the [`Checker`](super::check::Checker) does.
pub struct Reader {
    name: String,
    header: Header,
    form: Form,
    /// Nothing is read after an error or the end.
    done: bool,
}

/// In what form the trace is.
enum Form {
    Json { lines: Lines, parser: json::Parser },
    Binary(binary::Decoder),
}

impl Reader {
    /// Reads the header; `name` is what errors call the stream, `<stdin>` for standard input.
    ///
    /// # Errors
    ///
    /// If the stream cannot be read, is not a trace, or has a header that is wrong.
    pub fn new(name: &str, input: impl Read + Send + 'static) -> Result<Reader, Error> {
        let opened = Decoder::new(input).and_then(open);
        let (form, header) = opened.map_err(|error| error.in_file(name))?;
        Ok(Reader {
            name: name.to_owned(),
            header,
            form,
            done: false,
        })
    }

    /// What errors call the stream.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the trace says of its domains.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Puts the next event in the place of `event`, and gives where in the trace it is; none
    /// after the last. It does what the iterator does without moving the event about, which
    /// costs more than decoding it.
    ///
    /// # Errors
    ///
    /// If there is no event; `event` means nothing then.
    pub fn read(&mut self, event: &mut Event) -> Result<Option<Place>, Error> {
        if self.done {
            return Ok(None);
        }
        match self.form.read(event) {
            Ok(true) => Ok(Some(self.form.place())),
            Ok(false) => {
                self.done = true;
                Ok(None)
            }
            Err(error) => {
                self.done = true;
                let place = self.form.place();
                Err(error.at(place).in_file(&self.name))
            }
        }
    }
}

fn open(mut input: Decoder) -> Result<(Form, Header), Error> {
    if input.begins_with(&binary::MAGIC)? {
        let (decoder, header) = binary::Decoder::new(input)?;
        return Ok((Form::Binary(decoder), header));
    }
    let mut lines = Lines::new(input);
    let first = lines.next(HEADER_LENGTH_MAX);
    let header = match first.map(|line| line.map(json::header)) {
        Ok(Some(header)) => header,
        Ok(None) => Err(Kind::Empty.into()),
        Err(error) if error.is_long_line() && !lines.begins_with(b'{') => {
            let found = "a long line that is no object".to_owned();
            Err(Kind::NotATrace { found }.into())
        }
        Err(error) => Err(error),
    };
    let header = header.map_err(|error| error.at(Place::Line(1)))?;
    let parser = json::Parser::default();
    Ok((Form::Json { lines, parser }, header))
}

impl Form {
    /// Puts the next event in the place of `event`; gives false after the last.
    fn read(&mut self, event: &mut Event) -> Result<bool, Error> {
        match self {
            Form::Json { lines, parser } => match lines.next(lines::LENGTH_MAX)? {
                Some(line) => {
                    parser.read(line, event)?;
                    Ok(true)
                }
                None => Ok(false),
            },
            Form::Binary(decoder) => decoder.read(event),
        }
    }

    /// Where the event is that was read, or could not be read, last.
    fn place(&self) -> Place {
        match self {
            Form::Json { lines, .. } => Place::Line(lines.number()),
            Form::Binary(decoder) => Place::Event(decoder.number()),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<(Place, Event), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut event = Event::default();
        let place = self.read(&mut event).transpose()?;
        Some(place.map(|place| (place, event)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;

    use super::*;
    use crate::trace::arbitrary;
    use crate::trace::compress::{Compression, Encoder};
    use crate::trace::event::Op;
    use crate::trace::write::Writer;
    use iova::units::{Cpu, Nanos};

    /// The events, or what is said of the stream.
    fn read(bytes: &[u8]) -> Result<(Header, Vec<Event>), String> {
        let said = |error: Error| error.to_string();
        let reader = Reader::new("a.trace", Cursor::new(bytes.to_vec())).map_err(said)?;
        let header = reader.header().clone();
        let mut events = Vec::new();
        for (line, event) in (2..).zip(reader) {
            let (place, event) = event.map_err(said)?;
            assert_eq!(place, Place::Line(line));
            events.push(event);
        }
        Ok((header, events))
    }

    fn written(header: &Header, events: &[Event]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), header).unwrap();
        for event in events {
            writer.write(event).unwrap();
        }
        writer.finish().unwrap()
    }

    fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const HEADER: &str = r#"{"iovasim":"trace","version":1}"#;
    const FREE: &str = r#"{"op":"free","id":1}"#;

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        let cases = [
            (String::new(), "a.trace: is empty, expected a trace"),
            (
                r#"{"iovasim":"trace","version":1,"cpus":0}"#.to_owned(),
                "a.trace:1: `cpus` is 0, expected an integer from 1 to 65536",
            ),
            (
                format!("{HEADER}\n\n{FREE}\n"),
                "a.trace:2: found a blank line, expected an object",
            ),
            (
                format!("{HEADER}\n{FREE}\n  "),
                "a.trace:3: found a blank line, expected an object",
            ),
            (
                format!("{HEADER}\n{FREE}\n\u{feff}{FREE}"),
                "a.trace:3: found `\\u{feff}{\"op\":\"free\",\"id\":1}`, expected an object",
            ),
            (
                format!("{HEADER}\n{FREE}\n{}", &FREE[..FREE.len() - 1]),
                "a.trace:3: not valid JSON at column 19: EOF while parsing an object",
            ),
            (
                format!("{HEADER}\n{FREE}\n{{\"op\":\"free\"}}"),
                "a.trace:3: `id` is missing in `free`, expected an integer from 0 to 2^64-1",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text.as_bytes()), Err(expected.to_owned()));
        }
        assert_eq!(
            read(b"\x89PNG\r\n\x1a\n").unwrap_err(),
            "a.trace: is not a trace: found binary data, expected a header such as \
             `{\"iovasim\":\"trace\",\"version\":1}`"
        );
    }

    #[test]
    fn an_error_is_the_last_that_a_reader_gives() {
        let text = format!("{HEADER}\n\n{FREE}\n");
        let mut reader = Reader::new("a", Cursor::new(text)).unwrap();
        assert!(reader.next().unwrap().is_err());
        assert!(reader.next().is_none());
    }

    #[test]
    fn line_ends_may_be_of_two_kinds_and_the_last_may_be_missing() {
        let expected = read(format!("{HEADER}\n{FREE}\n{FREE}\n").as_bytes());
        assert!(expected.is_ok());
        for end in ["\n", "\r\n", " \t\n"] {
            let text = format!("{HEADER}{end}{FREE}{end}{FREE}");
            assert_eq!(read(text.as_bytes()), expected);
        }
    }

    #[test]
    fn a_stream_without_lines_is_refused_early() {
        let message = |byte| {
            let reader = Reader::new("a", std::io::repeat(byte));
            reader.err().unwrap().to_string()
        };
        assert_eq!(
            message(b'{'),
            "a:1: the line is longer than 1048576 bytes, expected one object"
        );
        assert!(message(0).starts_with("a: is not a trace: found a long line"));
    }

    #[test]
    fn a_stream_that_was_cut_is_an_error_with_the_line_reached() {
        let free = |id: u64| Event {
            at: Nanos(0),
            cpu: Cpu(0),
            dom: 0,
            op: Op::Free { id: id * id },
        };
        let text = written(&Header::default(), &(0..5000).map(free).collect::<Vec<_>>());
        for (compression, name) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
            let whole = compressed(&text, compression);
            let message = read(&whole[..whole.len() - 1]).unwrap_err();
            let expected = format!(": the {name} data ends too early; was the file cut short?");
            assert!(message.ends_with(&expected), "{message}");
            let line: u64 = message.split(':').nth(1).unwrap().parse().unwrap();
            assert!(line > 1, "{message}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(header in arbitrary::header(), events in arbitrary::events(0..30)) {
            let text = written(&header, &events);
            prop_assert_eq!(read(&text), Ok((header.clone(), events.clone())));
            let (header, events) = read(&text).unwrap();
            prop_assert_eq!(written(&header, &events), text, "the one form of these events");
        }

        #[test]
        fn mutated_traces_are_read_or_refused(
            header in arbitrary::header(),
            events in arbitrary::events(1..9),
            edits in arbitrary::edits(),
        ) {
            let mut text = written(&header, &events);
            arbitrary::apply(edits.clone(), &mut text);
            let _ = read(&text);
            for compression in [Compression::Gzip, Compression::Zstd] {
                let mut text = compressed(&written(&header, &events), compression);
                arbitrary::apply(edits.clone(), &mut text);
                let _ = read(&text);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn cut_anywhere_it_never_looks_complete(
            header in arbitrary::header(),
            events in arbitrary::events(1..9),
        ) {
            let text = written(&header, &events);
            for compression in [Compression::Gzip, Compression::Zstd] {
                let whole = compressed(&text, compression);
                prop_assert_eq!(read(&whole), read(&text));
                for length in 0..whole.len() {
                    prop_assert!(read(&whole[..length]).is_err(), "{} bytes", length);
                }
            }
            // Of a plain file whole lines may be missing, and nothing tells.
            let complete = |length: usize| text[length] == b'\n' || text[length - 1] == b'\n';
            for length in 1..text.len() {
                prop_assert_eq!(read(&text[..length]).is_ok(), complete(length), "{} bytes", length);
            }
        }
    }
}
