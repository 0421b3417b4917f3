//! The outcome stream: what a replay answered, one JSON object per event, in the trace's order.
//!
//! What an allocator has no notion of is left out of its lines. Where the kernel would
//! crash or hang, one line with the violation replaces that event's, and nothing follows. The bytes are the
//! same wherever the stream is written: the fields have one order, and there are no spaces.

use std::io::{self, Read, Write};

use super::compress::Decoder;
use super::error::{Error, Kind, Place};
use super::json::{Object, Text, Value};
use super::lines::{self, Lines};
use iova::units::{Pages, Pfn};

/// What one event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The event's number, from 0, the header not counted.
    pub i: u64,
    /// What `alloc` and `map` were answered.
    pub answer: Answer,
    /// How many nodes the backward search examined; none where there is no such walk.
    pub steps: Option<u64>,
    /// `max32_alloc_size` after the event; none where there is no such state.
    pub max32: Option<Pages>,
    /// Where `cached32_node` points after the event; none where there is no such state.
    pub c32: Option<Cached>,
    /// Where `cached_node` points after the event; none where there is no such state.
    pub c64: Option<Cached>,
    /// Ranges in the tree after the event, those in caches among them, the anchor not.
    pub n: u64,
}

/// What an event was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It asked for no address.
    None,
    /// There was none for it.
    Failed,
    /// The lowest pfn handed out.
    Pfn(Pfn),
}

/// Where a cached position points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// At the anchor, above all ranges.
    Anchor,
    /// At the range with this lowest pfn.
    Node(Pfn),
}

/// One line of an outcome stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// What an event did.
    Outcome(Outcome),
    /// The last line of a replay in which the kernel would crash or hang.
    Aborted {
        /// The event's number, from 0.
        i: u64,
        /// How: `use-after-free` or `endless-search`.
        violation: String,
    },
}

/// Writes an outcome stream.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    text: Text,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Writer<W> {
        Writer {
            out,
            text: Text::default(),
        }
    }

    /// Writes one event's line.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        let text = &mut self.text;
        text.open();
        text.number("i", outcome.i);
        match outcome.answer {
            Answer::None => {}
            Answer::Failed => text.nullable("pfn", None),
            Answer::Pfn(pfn) => text.nullable("pfn", Some(pfn)),
        }
        if let Some(steps) = outcome.steps {
            text.number("steps", steps);
        }
        if let Some(max32) = outcome.max32 {
            text.number("max32", max32.0);
        }
        for (field, cached) in [("c32", outcome.c32), ("c64", outcome.c64)] {
            match cached {
                None => {}
                Some(Cached::Anchor) => text.nullable(field, None),
                Some(Cached::Node(pfn)) => text.nullable(field, Some(pfn)),
            }
        }
        text.number("n", outcome.n);
        text.close();
        text.write_if_many(&mut self.out)
    }

    /// Writes the line of the event at which the kernel would crash or hang, the stream's last.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn aborted(&mut self, i: u64, violation: &str) -> io::Result<()> {
        let text = &mut self.text;
        text.open();
        text.number("i", i);
        text.string("finding", violation);
        text.close();
        text.write_if_many(&mut self.out)
    }

    /// Writes what is left, and gives the output back.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        self.text.write(&mut self.out)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

const FIELDS: &[&str; 8] = &["i", "pfn", "steps", "max32", "c32", "c64", "n", "finding"];

/// Reads an outcome stream, plain or compressed.
pub struct Reader {
    name: String,
    lines: Lines,
    done: bool,
}

impl Reader {
    /// Reads from `input`, which errors call `name`.
    ///
    /// # Errors
    ///
    /// If the stream cannot be read.
    pub fn new(name: &str, input: impl Read + Send + 'static) -> Result<Reader, Error> {
        let decoder = Decoder::new(input).map_err(|error| error.in_file(name))?;
        Ok(Reader {
            name: name.to_owned(),
            lines: Lines::new(decoder),
            done: false,
        })
    }
}

impl Iterator for Reader {
    type Item = Result<Line, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let line = match self.lines.next(lines::LENGTH_MAX) {
            Ok(Some(line)) => read_line(line),
            Ok(None) => {
                self.done = true;
                return None;
            }
            Err(error) => Err(error),
        };
        self.done = line.is_err();
        let place = Place::Line(self.lines.number());
        Some(line.map_err(|error| error.at(place).in_file(&self.name)))
    }
}

fn read_line(line: &[u8]) -> Result<Line, Error> {
    const OF: &str = "an outcome";
    let object = Object::read(line, FIELDS, OF)?;
    let number = |field| match object.field(field) {
        Some(value) => value.integer(0..=u64::MAX),
        None => Err(Kind::Missing {
            field,
            of: OF.to_owned(),
            expected: "an integer".to_owned(),
        }
        .into()),
    };
    let i = number("i")?;
    if let Some(violation) = object.field("finding") {
        let violation = violation.text()?;
        return Ok(Line::Aborted { i, violation });
    }
    let maybe = |field| {
        let value = object.field(field);
        value.map(|value| value.integer(0..=u64::MAX)).transpose()
    };
    let cached = |field| {
        let pfn = object.field(field).map(Value::integer_or_null).transpose();
        let node = |pfn: Option<u64>| pfn.map_or(Cached::Anchor, |pfn| Cached::Node(Pfn(pfn)));
        pfn.map(|pfn| pfn.map(node))
    };
    Ok(Line::Outcome(Outcome {
        i,
        answer: match object
            .field("pfn")
            .map(Value::integer_or_null)
            .transpose()?
        {
            None => Answer::None,
            Some(None) => Answer::Failed,
            Some(Some(pfn)) => Answer::Pfn(Pfn(pfn)),
        },
        steps: maybe("steps")?,
        max32: maybe("max32")?.map(Pages),
        c32: cached("c32")?,
        c64: cached("c64")?,
        n: number("n")?,
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::trace::arbitrary::number;

    fn written(lines: &[Line]) -> String {
        let mut writer = Writer::new(Vec::new());
        for line in lines {
            match line {
                Line::Outcome(outcome) => writer.write(outcome).unwrap(),
                Line::Aborted { i, violation } => writer.aborted(*i, violation).unwrap(),
            }
        }
        String::from_utf8(writer.finish().unwrap()).unwrap()
    }

    fn read(text: &str) -> Result<Vec<Line>, String> {
        let reader = Reader::new("a", Cursor::new(text.to_owned())).unwrap();
        reader
            .map(|line| line.map_err(|error| error.to_string()))
            .collect()
    }

    #[test]
    fn lines_have_one_form_each() {
        let text = concat!(
            r#"{"i":0,"pfn":1048384,"steps":1,"max32":1048576,"c32":1048384,"c64":null,"n":1}"#,
            "\n",
            r#"{"i":1,"pfn":null,"steps":0,"max32":7,"c32":null,"c64":5,"n":1}"#,
            "\n",
            r#"{"i":2,"steps":0,"c32":1044480,"c64":null,"n":16}"#,
            "\n",
            r#"{"i":3,"n":16}"#,
            "\n",
            r#"{"i":4,"finding":"endless-search"}"#,
            "\n",
        );
        let lines = read(text).unwrap();
        assert_eq!(written(&lines), text);
        let first = Outcome {
            i: 0,
            answer: Answer::Pfn(Pfn(1_048_384)),
            steps: Some(1),
            max32: Some(Pages(1_048_576)),
            c32: Some(Cached::Node(Pfn(1_048_384))),
            c64: Some(Cached::Anchor),
            n: 1,
        };
        assert_eq!(lines[0], Line::Outcome(first));
    }

    #[test]
    fn what_is_no_outcome_is_refused_with_its_line() {
        for (line, expected) in [
            (
                r#"{"i":1}"#,
                "a:2: `n` is missing in an outcome, expected an integer",
            ),
            (
                r#"{"i":1,"n":2,"step":3}"#,
                "a:2: unknown field `step` in an outcome; did you mean `steps`?",
            ),
            (
                r#"{"i":1,"n":null}"#,
                "a:2: `n` is null, expected an integer from 0 to 2^64-1",
            ),
            ("", "a:2: found a blank line, expected an object"),
        ] {
            let text = format!("{{\"i\":0,\"n\":0}}\n{line}\n");
            assert_eq!(read(&text), Err(expected.to_owned()));
        }
    }

    fn line() -> impl Strategy<Value = Line> {
        let answer = prop_oneof![
            Just(Answer::None),
            Just(Answer::Failed),
            number().prop_map(|pfn| Answer::Pfn(Pfn(pfn)))
        ];
        let cached = || {
            let cached = prop_oneof![
                Just(Cached::Anchor),
                number().prop_map(|pfn| Cached::Node(Pfn(pfn)))
            ];
            prop::option::of(cached)
        };
        let maybe = || prop::option::of(number());
        let outcome = (
            number(),
            answer,
            maybe(),
            maybe(),
            cached(),
            cached(),
            number(),
        )
            .prop_map(|(i, answer, steps, max32, c32, c64, n)| {
                Line::Outcome(Outcome {
                    i,
                    answer,
                    steps,
                    max32: max32.map(Pages),
                    c32,
                    c64,
                    n,
                })
            });
        let aborted =
            (number(), ".{0,9}").prop_map(|(i, violation)| Line::Aborted { i, violation });
        prop_oneof![4 => outcome, 1 => aborted]
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(lines in prop::collection::vec(line(), 0..20)) {
            prop_assert_eq!(read(&written(&lines)), Ok(lines));
        }
    }
}
