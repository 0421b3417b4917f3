//! Reads a line in any form of JSON, and makes the messages about a wrong line.

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::trace::error::{Error, Kind, nearest};
use crate::trace::fields::NAMES as OPS;
use crate::trace::names::Names;
use iova::units::{Pfn, PfnRange};

use super::field::{FIELDS, Field, Form, NAMES};
use super::line::Line;
use super::object::{Object, Value, found};

/// Reads the fields of a line.
pub(super) fn read(text: &[u8], line: &mut Line, names: &mut Names) -> Result<(), Error> {
    line.clear();
    let object = Object::read(text, NAMES, "an event")?;
    for field in FIELDS {
        if let Some(value) = object.get(field as usize) {
            set(line, field, value, names)?;
        }
    }
    Ok(())
}

fn set(
    line: &mut Line,
    field: Field,
    value: Value<'_>,
    names: &mut Names,
) -> Result<(), Error> {
    match field.form() {
        Form::Integer(least, most) => line.set(field, value.integer(least..=most)?),
        Form::Nullable => match value.integer_or_null()? {
            Some(number) => line.set(field, number),
            None => line.set_null(field),
        },
        Form::Boolean => line.set(field, value.boolean()?.into()),
        Form::Word(_) if field == Field::Op => line.set(field, op(value)?),
        Form::Word(words) => line.set(field, value.choice(words)? as u64),
        Form::Text => line.set_dev(names.intern(&value.text()?)?),
        Form::Ranges => line.set_nodes(nodes(value)?),
    }
    Ok(())
}

/// An op's index, or the nearest right name.
fn op(value: Value<'_>) -> Result<u64, Error> {
    let name = value.text()?;
    match OPS.iter().position(|&op| op == name) {
        Some(index) => Ok(index as u64),
        None => Err(Kind::UnknownOp {
            hint: nearest(&name, OPS.iter().copied()),
            found: found(value.raw()),
        }
        .into()),
    }
}

/// Ranges, ascending and disjoint, none of which reaches the anchor.
fn nodes(value: Value<'_>) -> Result<Vec<PfnRange>, Error> {
    if !value.raw().starts_with('[') {
        return Err(value.expected(Form::Ranges.phrase()));
    }
    let nodes = serde_json::Deserializer::from_str(value.raw()).deserialize_seq(Nodes);
    let nodes = nodes.map_err(|error| value.expected(format!("valid JSON ({error})")))?;
    Ok(nodes?)
}

struct Nodes;

impl<'a> Visitor<'a> for Nodes {
    type Value = Result<Vec<PfnRange>, Kind>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of ranges")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut nodes: Vec<PfnRange> = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            match node(raw.get(), nodes.last()) {
                Ok(range) => nodes.push(range),
                Err(expected) => {
                    let field = format!("nodes[{}]", nodes.len());
                    while seq.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Err(Kind::value(field, whole(raw.get()), expected)));
                }
            }
        }
        Ok(Ok(nodes))
    }
}

/// A range above the one before it, or what was expected.
fn node(raw: &str, before: Option<&PfnRange>) -> Result<PfnRange, String> {
    let (lo, hi) = serde_json::from_str(raw)
        .map_err(|_| "`[lo, hi]`, two integers from 0 to 2^64-2".to_owned())?;
    let range = PfnRange::new(Pfn(lo), Pfn(hi)).ok_or("`[lo, hi]` with `lo` <= `hi`")?;
    if range.hi() == Pfn::ANCHOR {
        return Err("a range below pfn 2^64-1, the anchor's".to_owned());
    }
    match before {
        Some(before) if before.hi() >= range.lo() => Err(format!(
            "a range above the one before it, which ends at {}",
            before.hi().0
        )),
        _ => Ok(range),
    }
}

/// A short array is shown as it is.
fn whole(raw: &str) -> String {
    const LENGTH_MAX: usize = 45;
    if raw.starts_with('[') && raw.len() <= LENGTH_MAX {
        raw.to_owned()
    } else {
        found(raw)
    }
}
