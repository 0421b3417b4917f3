//! Holds what the program writes to the JSON Schemas that it prints, and damaged documents to be
//! refused by both.

use boon::{Compiler, SchemaIndex, Schemas};
use iovasim::study::load;
use iovasim::trace::read::Reader;
use iovasim::{study, trace};
use serde_json::{Value, json};

use super::{output, root, traces};

/// A compiled schema.
pub(crate) struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn new(text: &str) -> Schema {
        let schema: Value = serde_json::from_str(text).expect("JSON");
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let added = compiler.add_resource("schema.json", schema);
        added.expect("a place for it");
        let index = compiler.compile("schema.json", &mut schemas);
        let index = index.expect("a schema");
        Schema { schemas, index }
    }

    pub(crate) fn of_results() -> Schema {
        Schema::new(&study::document::schema())
    }

    fn of_traces() -> Schema {
        Schema::new(&trace::schema())
    }

    fn accepts(&self, document: &Value) -> Result<(), String> {
        let valid = self.schemas.validate(document, self.index);
        valid.map_err(|error| error.to_string())
    }

    /// Asserts that a JSON text is valid.
    pub(crate) fn check(&self, name: &str, text: &[u8]) {
        let document: Value = serde_json::from_slice(text).expect("JSON");
        let valid = self.accepts(&document);
        valid.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The document with the value at a JSON pointer replaced, or removed where there is none.
fn with(document: &Value, pointer: &str, value: Option<&Value>) -> Value {
    let mut document = document.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = document.pointer_mut(parent).expect("a parent");
    match (parent.as_object_mut(), value) {
        (Some(object), Some(value)) => {
            object.insert(name.to_owned(), value.clone());
        }
        (Some(object), None) => {
            object.remove(name).expect("the value");
        }
        (None, value) => {
            parent[name.parse::<usize>().expect("an index")] = value.expect("a value").clone();
        }
    }
    document
}

/// The baseline of an earlier program, as this one writes it.
#[test]
fn kept_results_are_valid() {
    let file = std::fs::File::open(root().join("ci/baseline.json.zst")).expect("a file");
    let mut text = String::new();
    let mut bytes = trace::compress::decoded(file).expect("a form");
    std::io::Read::read_to_string(&mut bytes, &mut text).expect("text");
    let document = load::document("baseline", &text).expect("a result");
    Schema::of_results().check("baseline", iovasim::report::json(&document).as_bytes());
}

const RUN: &str = "/results/0/runs/0";

#[test]
fn damaged_results_are_refused_by_schema_and_program() {
    let schema = Schema::of_results();
    let trace = "traces/arm-counterexample.trace.jsonl";
    let (text, _) = output(&["replay", trace, "--sample=1", "--format", "json"]);
    schema.check(trace, &text);
    let document: Value = serde_json::from_slice(&text).expect("JSON");
    let program = |document: &Value| load::document("r.json", &document.to_string());
    assert_eq!(program(&document).map(|_| ()), Ok(()));
    let damages: [(&str, &str, Option<Value>); 20] = [
        ("", "/iovasim", Some(json!("scenario"))),
        ("", "/version", Some(json!(3))),
        ("", "/program", None),
        ("", "/more", Some(json!(1))),
        ("", "/results", Some(json!({}))),
        ("/results/0", "/subject", Some(json!({ "thing": {} }))),
        ("/results/0", "/domain/flush_queue", Some(json!("lazy"))),
        ("/results/0", "/domain/cpus", Some(json!(-1))),
        ("/results/0", "/domain/start_pfn", Some(json!("0x1"))),
        ("/results/0", "/rows/0/allocs", None),
        ("/results/0", "/rows/0/allocs", Some(json!(1.5))),
        ("/results/0", "/rows/0/more", Some(json!(1))),
        (RUN, "/causes/missed", Some(json!(null))),
        (RUN, "/causes/more", Some(json!(1))),
        (RUN, "/caches", Some(json!(null))),
        (RUN, "/failure_rate", Some(json!(-0.5))),
        (RUN, "/live_pages_max", Some(json!("1"))),
        (RUN, "/step_counts", Some(json!("1:2:3"))),
        (RUN, "/sampled/map/held", Some(json!([]))),
        (RUN, "/sampled/timeline/every", Some(json!({ "events": 0 }))),
    ];
    for (parent, pointer, value) in damages {
        let changed = with(&document, &format!("{parent}{pointer}"), value.as_ref());
        let what = format!("{parent}{pointer}: {value:?}");
        assert!(program(&changed).is_err(), "the program takes {what}");
        assert!(schema.accepts(&changed).is_err(), "the schema takes {what}");
    }
}

#[test]
fn lines_of_traces_are_valid() {
    let schema = Schema::of_traces();
    for (name, path) in traces() {
        let (text, _) = output(&["convert", &path, "-o", "-"]);
        for line in text
            .split(|&byte| byte == b'\n')
            .filter(|it| !it.is_empty())
        {
            schema.check(&name, line);
        }
    }
}

#[test]
fn damaged_lines_are_refused_by_schema_and_program() {
    let schema = Schema::of_traces();
    let header = r#"{"iovasim":"trace","version":1}"#;
    let program = |lines: &str| {
        let bytes = std::io::Cursor::new(lines.to_owned().into_bytes());
        let reader = Reader::new("t", bytes);
        reader
            .and_then(|mut events| events.try_for_each(|it| it.map(|_| ())))
            .map_err(|it| it.to_string())
    };
    let judge = |line: &str, lines: &str, good: bool| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(program(lines).is_ok(), good, "the program on {line}");
        assert_eq!(schema.accepts(&value).is_ok(), good, "the schema on {line}");
    };
    let headers = [
        (header, true),
        (
            r#"{"iovasim":"trace","version":1,"granule":65536,"cpus":65536,"flush_queue":"single"}"#,
            true,
        ),
        (r#"{"iovasim":"trace","version":2}"#, false),
        (r#"{"iovasim":"trace","version":1,"granule":4097}"#, false),
        (r#"{"iovasim":"trace","version":1,"cpus":0}"#, false),
        (
            r#"{"iovasim":"trace","version":1,"flush_queue":"lazy"}"#,
            false,
        ),
        (r#"{"iovasim":"trace","version":1,"name":null}"#, false),
        (r#"{"iovasim":"trace","version":1,"more":1}"#, false),
    ];
    for (line, good) in headers {
        judge(line, line, good);
    }
    let events = [
        (
            r#"{"op":"alloc","id":1,"pages":1,"limit":9,"path":"direct","align":false,"got":null}"#,
            true,
        ),
        (
            r#"{"op":"restore","nodes":[[1,2]],"cached32":1,"cached":null,"max32":9}"#,
            true,
        ),
        (r#"{"op":"alloc","id":1,"pages":0,"limit":9}"#, false),
        (r#"{"op":"alloc","id":1,"pages":1}"#, false),
        (
            r#"{"op":"alloc","id":1,"pages":1,"limit":9,"bytes":4096}"#,
            false,
        ),
        (
            r#"{"op":"alloc","id":1,"pages":1,"limit":9,"path":"slow"}"#,
            false,
        ),
        (r#"{"op":"alloc","id":-1,"pages":1,"limit":9}"#, false),
        (r#"{"op":"cpu_up"}"#, false),
        (r#"{"op":"free","id":1,"cpu":65536}"#, false),
        (r#"{"op":"map","id":1,"bytes":1,"mask":1,"dev":5}"#, false),
        (
            r#"{"op":"restore","nodes":[[1]],"cached32":null,"cached":null,"max32":9}"#,
            false,
        ),
        (r#"{"op":"free_pfn","pfn":-1}"#, false),
        (r#"{"op":"nomem","what":"page"}"#, false),
        (r#"{"op":"sing"}"#, false),
        (r#"{"id":1}"#, false),
    ];
    for (line, good) in events {
        judge(line, &format!("{header}\n{line}\n"), good);
    }
}
