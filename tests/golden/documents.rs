//! The documents agree with the program: `docs/glossary.md` has a row for each column, metric and
//! cause (blessing writes the generated tables), `docs/scenarios.md` every name of the schema.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use iova::measure::Cause;
use iova::measure::metrics::{Better, METRICS, Pool, Unit};
use iovasim::report::{answer, tables};
use iovasim::scenario::{self, Scenario};
use serde_json::Value;

use crate::{blesses, root};

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).expect("a document")
}

fn columns() -> String {
    let mut text = "| column | meaning |\n| --- | --- |\n".to_owned();
    for (heading, meaning) in answer::columns().chain(tables::columns()) {
        let _ = writeln!(text, "| {heading} | {meaning} |");
    }
    text
}

fn metrics() -> String {
    let mut text = "| metric | unit | seeds | better | meaning |\n".to_owned();
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for metric in &METRICS {
        let unit = match metric.unit {
            Unit::Count => "",
            Unit::Pages => "pages",
            Unit::Steps => "steps",
            Unit::Nanos => "ns",
            Unit::Share => "0 to 1",
        };
        let pool = match metric.pool {
            Pool::Sum(_) => "sum",
            Pool::Max(_) => "largest",
            Pool::Mean(_) => "mean",
            Pool::Ratio(..) => "ratio",
            Pool::Steps(_) => "all requests",
        };
        let better = match metric.better {
            Better::Lower => "less",
            Better::Higher => "more",
            Better::Neither => "",
        };
        let (path, meaning) = (metric.path, metric.meaning);
        let _ = writeln!(
            text,
            "| `{path}` | {unit} | {pool} | {better} | {meaning} |"
        );
    }
    text
}

/// Replaces the text between `<!-- NAME -->` and the next `<!-- end -->`.
fn filled(text: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = text.split_once(&begin).expect("the beginning");
    let (_, after) = rest.split_once("<!-- end -->").expect("the end");
    format!("{before}{begin}{table}<!-- end -->{after}")
}

#[test]
fn the_glossary_has_every_column_metric_and_cause() {
    let text = document("glossary.md");
    let full = filled(&filled(&text, "columns", &columns()), "metrics", &metrics());
    if blesses() {
        #[expect(clippy::disallowed_methods, reason = "a test's own files")]
        fs::write(root().join("docs/glossary.md"), &full).expect("the glossary is written");
    } else {
        assert!(
            text == full,
            "docs/glossary.md is out of date: IOVASIM_BLESS=1 writes it"
        );
    }
    for cause in Cause::ALL {
        let row = format!("\n| `{}` | ", cause.name());
        assert!(text.contains(&row), "{}", cause.name());
    }
}

/// The names of fields and of variants in a schema.
fn names<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                found.extend(properties.keys().map(String::as_str));
            }
            found.extend(fields.get("const").and_then(Value::as_str));
            fields.values().for_each(|value| names(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

#[test]
fn scenarios_are_described_to_the_last_field() {
    let text = document("scenarios.md");
    let schema: Value = serde_json::from_str(&scenario::schema()).expect("a schema");
    let mut found = Vec::new();
    names(&schema, &mut found);
    assert!(found.len() > 60, "{found:?}");
    found.retain(|name| {
        let quoted = [format!("`{name}`"), format!("\"{name}\"")];
        !quoted.iter().any(|quoted| text.contains(quoted))
    });
    assert!(found.is_empty(), "not in docs/scenarios.md: {found:?}");
}

#[test]
fn the_annotated_scenario_can_be_run() {
    let text = document("scenarios.md");
    let (_, rest) = text.split_once("```json\n").expect("the example");
    let (example, _) = rest.split_once("```").expect("its end");
    let mut no_trace = |_: &Path| Err("the example names no trace".into());
    let scenario = Scenario::parse(example, Path::new("docs/scenarios.md"), &mut no_trace);
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.seeds.len(), 3);
    assert!(scenario.events(1).count() > 1000);
}
