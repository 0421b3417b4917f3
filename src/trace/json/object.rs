//! One JSON object with known fields, each value as its raw text.
//!
//! This is where everything that is wrong with a line as JSON, or with the type of a value, is
//! found and put into words. It keeps no more than one value a known field, whatever the line.

use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
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
    /// Reads a line that holds one object, with no fields but `names`; `of` says in messages what
    /// the object is.
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
        let mut fault = None;
        let visitor = Fields {
            names,
            of,
            fault: &mut fault,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(visitor);
        match read.and_then(|values| json.end().map(|()| values)) {
            Ok(values) => Ok(Object { names, values }),
            Err(error) => Err(fault.map_or_else(|| not_json(&error), Error::from)),
        }
    }

    /// The value of the field with a name, if it is there.
    pub(in crate::trace) fn field(&self, name: &str) -> Option<Value<'a>> {
        let index = self.names.iter().position(|&known| known == name)?;
        self.get(index)
    }

    /// The value of the field with a name's index, if it is there.
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

    /// The raw text, as the line has it.
    pub(in crate::trace) fn raw(self) -> &'a str {
        self.raw
    }

    /// That this value is not what is expected.
    pub(in crate::trace) fn expected(self, expected: impl Into<String>) -> Error {
        Kind::value(self.name, found(self.raw), expected).into()
    }
}

/// What an integer within bounds is called in messages.
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

/// What a raw value is called in messages.
pub(in crate::trace) fn found(raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'[') => "an array".to_owned(),
        Some(b'{') => "an object".to_owned(),
        _ => excerpt(raw),
    }
}

/// What is wrong with a line as JSON, with its column.
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

struct Fields<'f, const N: usize> {
    names: &'static [&'static str; N],
    of: &'static str,
    fault: &'f mut Option<Kind>,
}

impl<'a, const N: usize> Visitor<'a> for Fields<'_, N> {
    type Value = [Option<&'a RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.of)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        let key = || Key { names: self.names };
        while let Some(key) = map.next_key_seed(key())? {
            let fault = match key {
                Ok(index) if values[index].is_none() => {
                    values[index] = Some(map.next_value()?);
                    continue;
                }
                Ok(index) => Kind::Twice {
                    field: self.names[index],
                },
                Err(field) => Kind::UnknownField {
                    hint: nearest(&field, self.names.iter().copied()),
                    field,
                    of: self.of,
                },
            };
            *self.fault = Some(fault);
            return Err(A::Error::custom("a fault that was put down"));
        }
        Ok(values)
    }
}

/// A field's name, read to its index or, where it is unknown, to an excerpt.
struct Key<const N: usize> {
    names: &'static [&'static str; N],
}

impl<'a, const N: usize> DeserializeSeed<'a> for Key<N> {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl<const N: usize> Visitor<'_> for Key<N> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let index = self.names.iter().position(|&name| name == text);
        Ok(index.ok_or_else(|| excerpt(text)))
    }
}
