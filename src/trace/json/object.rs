//! One JSON object with known fields, each value as its raw text.
//!
//! Makes the messages about syntax, fields and the types of values. It keeps one value for each
//! known field, however long the line is.

use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::trace::error::{Error, Kind, excerpt, list, nearest};

/// The values of an object, in the order of the names that it was read with.
pub(in crate::trace) struct Object<'a, const N: usize> {
    names: &'static [&'static str; N],
    values: [Option<&'a RawValue>; N],
}

/// One value and its field's name.
#[derive(Clone, Copy)]
pub(in crate::trace) struct Value<'a> {
    name: &'static str,
    raw: &'a str,
}

impl<'a, const N: usize> Object<'a, N> {
    /// Reads a line that holds one object with no fields but `names`; messages call it `of`.
    pub(in crate::trace) fn read(
        line: &'a [u8],
        names: &'static [&'static str; N],
        of: &'static str,
    ) -> Result<Object<'a, N>, Error> {
        let text = utf8(line)?;
        match text.trim_ascii_start().chars().next() {
            None => return Err(Kind::Blank.into()),
            Some('{') => {}
            Some(_) => {
                let found = format!("`{}`", excerpt(text.trim_ascii()));
                return Err(Kind::NotAnObject { found }.into());
            }
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(Fields { names, of });
        let values = read.and_then(|values| json.end().map(|()| values));
        let values = values.map_err(|error| not_json(&error))??;
        Ok(Object { names, values })
    }

    /// The value of a field, if present.
    pub(in crate::trace) fn field(&self, name: &str) -> Option<Value<'a>> {
        let index = self.names.iter().position(|&known| known == name)?;
        self.get(index)
    }

    /// The value of the field of an index in the names, if present.
    pub(in crate::trace) fn get(&self, index: usize) -> Option<Value<'a>> {
        self.values[index].map(|raw| Value {
            name: self.names[index],
            raw: raw.get(),
        })
    }
}

impl<'a> Value<'a> {
    /// An integer within bounds.
    pub(in crate::trace) fn integer(self, bounds: RangeInclusive<u64>) -> Result<u64, Error> {
        match self.raw.parse() {
            Ok(number) if bounds.contains(&number) => Ok(number),
            _ => Err(self.expected(integer(&bounds))),
        }
    }

    /// An integer, or null.
    pub(in crate::trace) fn integer_or_null(self) -> Result<Option<u64>, Error> {
        match self.raw {
            "null" => Ok(None),
            raw => match raw.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.expected(format!("{} or null", integer(&(0..=u64::MAX))))),
            },
        }
    }

    pub(in crate::trace) fn boolean(self) -> Result<bool, Error> {
        match self.raw {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.expected("true or false")),
        }
    }

    pub(in crate::trace) fn text(self) -> Result<String, Error> {
        serde_json::from_str(self.raw).map_err(|_| self.expected("a string"))
    }

    /// The index of one of several words.
    pub(in crate::trace) fn choice(self, words: &[&'static str]) -> Result<usize, Error> {
        let all = || list(words.iter().copied()).replace('`', "\"");
        let text: String = match serde_json::from_str(self.raw) {
            Ok(text) => text,
            Err(_) => return Err(self.expected(all())),
        };
        match words.iter().position(|&word| word == text) {
            Some(index) => Ok(index),
            None => Err(self.expected(all())),
        }
    }

    /// The text of the value in the line.
    pub(in crate::trace) fn raw(self) -> &'a str {
        self.raw
    }

    /// The error that this value is not what was expected.
    pub(in crate::trace) fn expected(self, expected: impl Into<String>) -> Error {
        Kind::value(self.name, found(self.raw), expected).into()
    }
}

/// The phrase for an integer within bounds.
pub(in crate::trace) fn integer(bounds: &RangeInclusive<u64>) -> String {
    let (least, most) = (bounds.start(), bounds.end());
    if least == most {
        return least.to_string();
    }
    match u64::MAX - most {
        0 => format!("an integer from {least} to 2^64-1"),
        1 => format!("an integer from {least} to 2^64-2"),
        _ => format!("an integer from {least} to {most}"),
    }
}

/// The phrase for a raw value.
pub(in crate::trace) fn found(raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'[') => "an array".to_owned(),
        Some(b'{') => "an object".to_owned(),
        _ => excerpt(raw),
    }
}

/// A syntax error with its column.
fn not_json(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    Error::from(Kind::NotJson {
        column: error.column(),
        detail: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
    })
}

fn utf8(line: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(line).map_err(|error| {
        let length = error.valid_up_to();
        Error::from(Kind::NotUtf8 {
            byte: line[length],
            column: length + 1,
        })
    })
}

/// Reads an object into the value of each known field, or into what is wrong with its fields.
///
/// Whatever follows a wrong field is read as well, but not kept: a syntax error comes first.
struct Fields<const N: usize> {
    names: &'static [&'static str; N],
    of: &'static str,
}

impl<'a, const N: usize> Visitor<'a> for Fields<N> {
    type Value = Result<[Option<&'a RawValue>; N], Kind>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.of)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        while let Some(field) = map.next_key::<String>()? {
            let wrong = match self.names.iter().position(|&name| name == field) {
                Some(index) if values[index].is_none() => {
                    values[index] = Some(map.next_value()?);
                    continue;
                }
                Some(index) => Kind::Twice {
                    field: self.names[index],
                },
                None => {
                    let field = excerpt(&field);
                    let hint = nearest(&field, self.names.iter().copied());
                    let of = self.of;
                    Kind::UnknownField { field, of, hint }
                }
            };
            map.next_value::<IgnoredAny>()?;
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Err(wrong));
        }
        Ok(Ok(values))
    }
}
