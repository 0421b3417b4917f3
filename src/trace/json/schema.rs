//! The JSON Schema of a trace's lines, made from the tables that the reader has.
//!
//! Which fields an operation has, and which of them a line may omit, is found by reading lines with
//! and without each of them.

use serde_json::{Map, Value, json};

use super::field::{FIELDS, Field, FieldSet, Form};
use super::header;
use super::line::{Defaults, Line};
use crate::trace::event::Event;
use crate::trace::fields::NAMES as OPS;
use iova::units::{Cpu, Nanos, Pfn, PfnRange};

/// The JSON Schema of one line of a trace, the header or an event, as text that ends with a
/// newline.
pub fn schema() -> String {
    let events = (0..OPS.len()).map(event);
    let lines: Vec<Value> = [header::schema()].into_iter().chain(events).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Line",
        "description": "A line of a trace: its header, which is the first line, or an event.",
        "oneOf": lines,
    });
    format!("{schema:#}\n")
}

/// The events of an operation.
fn event(op: usize) -> Value {
    let (own, required) = fields(op);
    let mut properties: Map<String, Value> = own
        .fields()
        .map(|field| (field.name().to_owned(), value(field.form())))
        .collect();
    properties.insert(Field::Op.name().to_owned(), json!({ "const": OPS[op] }));
    let required: Vec<&str> = required.fields().map(Field::name).collect();
    json!({
        "title": OPS[op],
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The fields of an operation, and those without which it cannot be read.
fn fields(op: usize) -> (FieldSet, FieldSet) {
    let mut line = line(op, FieldSet::of(&FIELDS));
    // The fields of other operations are refused once its own are known.
    let _ = read(&mut line);
    let own = line.own();
    let needed = own
        .fields()
        .filter(|field| !read(&mut self::line(op, own.without(FieldSet::of(&[*field])))));
    let needed: Vec<Field> = needed.collect();
    (own, FieldSet::of(&needed))
}

fn read(line: &mut Line) -> bool {
    let defaults = Defaults {
        at: Nanos(0),
        cpu: Cpu(0),
    };
    line.event(defaults, &mut Event::default()).is_ok()
}

/// A line of an operation with some fields, whose values agree with each other.
fn line(op: usize, fields: FieldSet) -> Line {
    let mut line = Line::default();
    for field in fields.fields() {
        match field.form() {
            _ if field == Field::Op => line.set(field, op as u64),
            Form::Text => line.set_dev("device".into()),
            Form::Ranges => line.set_nodes(PfnRange::new(Pfn(1), Pfn(1)).into_iter().collect()),
            Form::Integer(..) | Form::Nullable | Form::Boolean | Form::Word(_) => {
                line.set(field, 1);
            }
        }
    }
    line
}

fn value(form: Form) -> Value {
    match form {
        Form::Integer(least, most) => integer(least, most),
        Form::Nullable => {
            json!({ "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX })
        }
        Form::Boolean => json!({ "type": "boolean" }),
        Form::Word(words) => json!({ "enum": words }),
        Form::Text => json!({ "type": "string" }),
        Form::Ranges => {
            let pfn = integer(0, Pfn::ANCHOR.0 - 1);
            let range = json!({ "type": "array", "items": pfn, "minItems": 2, "maxItems": 2 });
            json!({ "type": "array", "items": range })
        }
    }
}

/// An integer from `least` to `most`.
fn integer(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: FieldSet) -> Vec<&'static str> {
        set.fields().map(Field::name).collect()
    }

    #[test]
    fn each_operation_has_its_own_fields() {
        let of = |op: &str| {
            let op = OPS.iter().position(|it| *it == op).expect("an operation");
            let (own, required) = fields(op);
            assert!(read(&mut line(op, own)));
            (names(own), names(required))
        };
        let (own, required) = of("alloc");
        let path = ["path", "align", "flush"];
        let expected = [
            &["op", "t", "cpu", "dom", "id", "pages", "limit"][..],
            &path,
            &["got"],
        ];
        assert_eq!(own, expected.concat());
        assert_eq!(required, ["op", "id", "pages", "limit"]);
        assert_eq!(of("cpu_up").1, ["op", "cpu"]);
        let restored = ["op", "nodes", "cached32", "cached", "max32"];
        assert_eq!(of("restore").1, restored);
    }
}
