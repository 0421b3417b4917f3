//! The JSON Schema of scenarios and the program judge alike.

use std::path::Path;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use iovasim::scenario::{ScenarioFile, schema};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::documents::document;
use crate::{folder, parse, text};

static SCHEMA: LazyLock<(Schemas, SchemaIndex)> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(&schema()).expect("JSON");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler
        .add_resource("schema.json", schema)
        .expect("a place for it");
    let index = compiler
        .compile("schema.json", &mut schemas)
        .expect("a schema");
    (schemas, index)
});

/// Whether the schema accepts a document.
pub(crate) fn schema_accepts(document: &str) -> bool {
    let document: Value = serde_json::from_str(document).expect("JSON");
    let (schemas, index) = &*SCHEMA;
    schemas.validate(&document, *index).is_ok()
}

fn plain() -> Value {
    json!({
        "iovasim": "scenario",
        "version": 1,
        "name": "plain",
        "shows": "Nothing.",
        "domain": { "cpus": 4 },
        "workload": { "phases": [{ "for": "1ms", "start": { "a": { "does": { "pool": {
            "sizes": "4KiB",
            "keeps": { "count": 2 },
            "lifetime": { "exponential": "10us" },
        } } } } }] },
        "allocators": ["old", "new"],
        "seeds": 3,
    })
}

/// The plain scenario with the value at a JSON pointer put or replaced.
fn with(pointer: &str, value: &Value) -> Value {
    let mut document = plain();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    document.pointer_mut(parent).expect("there")[name] = value.clone();
    document
}

fn program_accepts(document: &str) -> Result<(), String> {
    let path = folder("tests/scenarios/document.json");
    let parsed = parse(document, &path).map_err(|error| error.to_string());
    parsed.map(|_| ())
}

const PHASE: &str = "/workload/phases/0";
const CLIENT: &str = "/workload/phases/0/start/a";
const POOL: &str = "/workload/phases/0/start/a/does/pool";

/// Values by their places: those that both accept, and those that both refuse.
#[expect(clippy::too_many_lines, reason = "a table")]
fn judged_alike() -> Vec<(String, Vec<Value>, Vec<Value>)> {
    let zero_or_more = || {
        (
            vec![json!("0ns"), json!(5)],
            vec![json!("5"), json!(-1), json!([5])],
        )
    };
    let row = |at: &str, good: Value, bad: Value| {
        let list = |values: Value| values.as_array().expect("a list").clone();
        (at.to_owned(), list(good), list(bad))
    };
    let does = |kind: &str, good: Value, bad: Value| {
        let wrap = |plans: Value| {
            let plans = plans.as_array().expect("a list").clone();
            plans
                .into_iter()
                .map(|plan| json!({ kind: plan }))
                .collect::<Value>()
        };
        row(&format!("{CLIENT}/does"), wrap(good), wrap(bad))
    };
    let (times, no_times) = zero_or_more();
    vec![
        row(
            "/iovasim",
            json!(["scenario"]),
            json!(["policy", 1, null, { "scenario": null }]),
        ),
        row("/version", json!([1]), json!([0, 2, "1", null])),
        row("/name", json!(["x"]), json!(["", " ", 1, null])),
        row("/shows", json!(["x"]), json!(["", "\t", null])),
        row("/$schema", json!(["schema.json", null]), json!([1])),
        row("/more", json!([]), json!([1])),
        row("/events", json!([1, null]), json!([0, -1, 1.5, "1"])),
        row(
            "/seeds",
            json!([1, 100_000, [1, 2], [0]]),
            json!([0, 100_001, [], [1, 1], [-1], "1", null]),
        ),
        row(
            "/allocators",
            json!([["old"]]),
            json!([[], ["old", "old"], "old", null, [1]]),
        ),
        row(
            "/sampling",
            json!([{ "events": 1 }, { "time": "1s" }, null]),
            json!([{ "events": 0 }, { "time": 0 }, { "time": "0s" }, { "events": 1, "time": 1 }, [1], {}]),
        ),
        row(
            "/domain",
            json!([{}, { "granule": "16KiB" }, { "limit": null }]),
            json!([null, [], [4096], 5]),
        ),
        row(
            "/domain/cpus",
            json!([1, 65536]),
            json!([0, 65537, -1, null, "1"]),
        ),
        row(
            "/domain/start_pfn",
            json!(["0x1", 1]),
            json!(["1", "0x", "0xg", -1, "0x11112222333344445"]),
        ),
        row(
            "/domain/reserved",
            json!([[], [["0x5", 9]]]),
            json!([[[5]], [[5, 6, 7]], [5], null]),
        ),
        row(
            "/domain/flush_queue",
            json!(["none", "per-cpu", "single"]),
            json!(["lazy", null, { "none": null }]),
        ),
        row("/domain/forcedac", json!([true]), json!([1, null])),
        row(
            "/workload",
            json!([]),
            json!([{}, null, { "phases": [] }, { "trace": 1 }, { "phases": [], "trace": "t" }]),
        ),
        (format!("{PHASE}/for"), times, no_times),
        row(&format!("{PHASE}/stop"), json!([[]]), json!(["a", null])),
        row(
            &format!("{PHASE}/start"),
            json!([]),
            json!([null, [], { "": { "does": {} } }, { "a b": {} }]),
        ),
        row(
            &format!("{CLIENT}/dom"),
            json!([0, u64::MAX]),
            json!([-1, null, "0"]),
        ),
        row(
            &format!("{CLIENT}/cpus"),
            json!(["0-2,3", 3, null]),
            json!(["", "a", "1-", -1, 65536, ["0"]]),
        ),
        row(
            &format!("{CLIENT}/via"),
            json!([null, { "map": {} }, { "alloc": {} }, { "alloc": { "path": "direct" } }]),
            json!(["map", {}, { "map": null }, { "map": {}, "alloc": {} }, { "alloc": { "path": "slow" } }]),
        ),
        row(
            &format!("{CLIENT}/via"),
            json!([{ "map": { "mask_bits": 64 } }, { "map": { "pci": true, "dev": "x" } }]),
            json!([{ "map": { "mask_bits": 65 } }, { "map": { "mask_bits": 0 } }, { "map": [] }]),
        ),
        row(
            &format!("{CLIENT}/does"),
            json!([]),
            json!(["pool", {}, null, { "pol": {} }, { "pool": {}, "ring": {} }]),
        ),
        row(
            &format!("{POOL}/sizes"),
            json!([1, "1B", "256TiB", { "uniform": { "min": 1, "max": "4KiB" } },
            { "log_normal": { "median": 5, "sigma": 0.5, "max": 9 } }, { "power_law": { "min": 1, "alpha": 1.5, "max": 9 } },
            { "weighted": [[5, 1]] }, { "list": [["4KiB", 2], [1, 1]] }, { "scatter": { "entry": 1, "entries_mean": 2, "entries_max": 9 } }]),
            json!([0, "0KiB", "4KB", 281_474_976_710_657_u64, -1, null, [1], { "exponential": 5 }, { "uniform": { "min": 1 } },
            { "log_normal": { "median": 5, "sigma": 10.5, "max": 9 } }, { "power_law": { "min": 0, "alpha": 1, "max": 9 } },
            { "power_law": { "min": 1, "alpha": 0.05, "max": 9 } }, { "power_law": { "min": 1, "alpha": 101, "max": 9 } },
            { "weighted": [] }, { "list": [] }, { "list": [[1]] }, { "list": [[0, 1]] }, { "weighted": [[1, -1]] }, { "list": [1, 1] },
            { "scatter": { "entry": 0, "entries_mean": 2, "entries_max": 9 } }, { "scatter": { "entry": 1, "entries_mean": 1, "entries_max": 9 } }]),
        ),
        row(
            &format!("{POOL}/keeps"),
            json!([{ "count": 1 }, { "bytes": "4KiB" }, { "arrivals": "1us" }, { "arrivals": { "exponential": 5 } }]),
            json!([{ "count": 0 }, { "count": 16_777_217 }, { "bytes": 0 }, { "arrivals": 0 }, { "arrivals": "0s" }, {}, "count"]),
        ),
        row(
            &format!("{POOL}/lifetime"),
            json!(["forever", "10ms", { "uniform": { "min": 1, "max": 2 } }]),
            json!(["never", null, {}, [1]]),
        ),
        row(
            &format!("{POOL}/rest"),
            json!([0, "1us", { "exponential": 0 }]),
            json!([null, "1", -1]),
        ),
        row(
            &format!("{POOL}/order"),
            json!(["oldest_first", "newest_first", "random"]),
            json!(["any", null]),
        ),
        row(
            &format!("{POOL}/changes"),
            json!([null, { "every": 1 }, { "every": "1s", "pause": 0, "to": [5, "4KiB"] }]),
            json!([{ "every": 0 }, { "every": "0s" }, {}, { "every": 1, "to": [0] }, []]),
        ),
        does(
            "ring",
            json!([{ "sizes": 1, "depth": 1, "every": 1 }, { "sizes": 1, "queues": 65536, "depth": 1, "every": 1 }]),
            json!([{ "sizes": 1, "depth": 0, "every": 1 }, { "sizes": 1, "depth": 1, "every": 0 }, { "sizes": 1, "queues": 65537, "depth": 1, "every": 1 }, {}]),
        ),
        does(
            "stream",
            json!([{ "sizes": 1, "depth": 1, "service": 1 }, { "sizes": 1, "jobs": 2, "depth": 1, "service": 0, "think": 1 }]),
            json!([{ "sizes": 1, "jobs": 0, "depth": 1, "service": 1 }, { "sizes": 1, "depth": 1 }]),
        ),
        does(
            "churn",
            json!([{ "sizes": 1, "count": 1, "every": 1 }, { "sizes": 1, "count": 1, "extra": 0, "every": 1 }]),
            json!([{ "sizes": 1, "count": 0, "every": 1 }, { "sizes": 1, "count": 1, "extra": 16_777_217, "every": 1 }, { "sizes": 1, "count": 1, "every": 0 }]),
        ),
        does(
            "idle",
            json!([{ "holds": 0, "sizes": 1, "every": 1, "lasts": 0 }, { "holds": 1, "hold_size": null, "sizes": 1, "every": 1, "lasts": 1 }]),
            json!([{ "holds": 1, "hold_size": 0, "sizes": 1, "every": 1, "lasts": 1 }, { "holds": 1, "hold_size": 281_474_976_710_657_u64, "sizes": 1, "every": 1, "lasts": 1 },
            { "holds": 16_777_217, "sizes": 1, "every": 1, "lasts": 1 }, { "holds": 1, "sizes": 1, "every": 0, "lasts": 1 }]),
        ),
        does(
            "profiled",
            json!([{ "sizes": 1, "slices": [[1, 2, 1], ["1ms", 0, 1]] }, { "sizes": 1, "slices": [], "burst": 1.5, "order": { "newest": 1 } }]),
            json!([{ "sizes": 1, "slices": [[1, 2]] }, { "sizes": 1, "slices": [], "burst": 0.5 }, { "sizes": 1, "slices": [], "order": { "between": [1] } }]),
        ),
        does(
            "recorded",
            json!([{ "trace": "recorded.trace.jsonl" }, { "trace": "recorded.trace.jsonl", "stretch": 0.5, "times": 2, "gap": "1us" }]),
            json!([{ "trace": 1 }, { "trace": "recorded.trace.jsonl", "times": 0 }, { "trace": "recorded.trace.jsonl", "recording": [] }, {}]),
        ),
        row(
            "/faults",
            json!([[], [{ "leak": { "share": 1 } }], [{ "leak": { "share": 0, "clients": ["a"], "from": 1, "until": "1s" } }],
            [{ "late": { "by": "1us", "of": { "share": 0.5 } } }], [{ "double_free": { "of": { "share": 0.000_001 } } }],
            [{ "offline": { "cpus": "1", "at": 0 } }], [{ "offline": { "cpus": 1, "at": 0, "for": 1, "every": 2 } }],
            [{ "nomem": { "what": "iova", "at": 0 } }], [{ "nomem": { "what": "magazine", "count": 3, "at": 0, "every": 1 } }],
            [{ "stall": { "at": 0, "for": 1 } }]]),
            json!([null, {}, ["leak"], [{ "leak": { "share": 1.5 } }], [{ "leak": { "share": -1 } }], [{ "leak": {} }],
            [{ "late": { "share": 1 } }], [{ "offline": { "cpus": "1", "at": 0, "for": 0 } }],
            [{ "nomem": { "what": "depot", "at": 0 } }], [{ "nomem": { "what": "iova", "count": 0, "at": 0 } }],
            [{ "nomem": { "what": "iova", "at": 0, "every": 0 } }], [{ "stall": { "at": 0 } }], [{ "stall": { "at": 0, "for": "0s" } }]]),
        ),
        row(
            "/expect",
            json!([[], [{ "allocator": "old", "figure": "failures", "min": 0 }],
            [{ "allocator": "old", "figure": "failures", "max": 0, "equals": 1.5, "same_as": "new" }],
            [{ "allocator": "old", "figure": "failure_rate", "above": "new", "apart": true }],
            [{ "allocator": "old", "figure": "failures", "min": 1, "apart": false, "max": null }]]),
            json!([null, [{}], [{ "allocator": "old", "figure": "failures" }], [{ "allocator": "old", "figure": "failures", "min": null }],
            [{ "allocator": "old", "figure": "failure", "min": 0 }], [{ "allocator": "old", "figure": "failures", "min": "0" }],
            [{ "allocator": "old", "figure": "failures", "min": 0, "apart": true }]]),
        ),
    ]
}

/// What JSON Schema cannot say, and the program refuses.
#[expect(clippy::too_many_lines, reason = "a table")]
fn program_alone() -> Vec<(String, Value, &'static str)> {
    let row = |at: &str, value: Value, why| (at.to_owned(), value, why);
    vec![
        row("/events", json!(1.0), "1.0 is an integer of JSON Schema"),
        row(
            "/allocators",
            json!(["linux-1.0"]),
            "the names follow from a table of changes",
        ),
        row(
            "/domain/granule",
            json!("3KiB"),
            "which texts stand for a power of two",
        ),
        row(
            "/domain/limit",
            json!(0),
            "below `start_pfn`: compares two fields",
        ),
        row(
            "/domain/reserved",
            json!([["0x9", "0x5"]]),
            "compares two numbers",
        ),
        row(
            &format!("{PHASE}/for"),
            json!("99999999999h"),
            "a product beyond 64 bits",
        ),
        row(
            &format!("{PHASE}/for"),
            json!(null),
            "no end: compares with `events`, and is right elsewhere",
        ),
        row(
            &format!("{PHASE}/stop"),
            json!(["b"]),
            "names a client that is not there",
        ),
        row(
            &format!("{PHASE}/start"),
            json!({}),
            "no client in any phase",
        ),
        row(
            &format!("{CLIENT}/cpus"),
            json!("3-1"),
            "compares two numbers",
        ),
        row(
            &format!("{CLIENT}/cpus"),
            json!("4"),
            "compares with the domain's `cpus`",
        ),
        row(
            &format!("{CLIENT}/via"),
            json!({ "map": { "mask_bits": 9 } }),
            "compares with the domain's granule",
        ),
        row(
            &format!("{POOL}/sizes"),
            json!({ "uniform": { "min": 2, "max": 1 } }),
            "compares two fields",
        ),
        row(
            &format!("{POOL}/sizes"),
            json!({ "list": [[1, 0]] }),
            "a sum",
        ),
        row(
            &format!("{POOL}/sizes"),
            json!("257TiB"),
            "a bound of a text",
        ),
        row(
            &format!("{POOL}/keeps"),
            json!({ "bytes": 1 }),
            "compares with the largest size",
        ),
        row(
            &format!("{POOL}/keeps"),
            json!({ "arrivals": { "exponential": 0 } }),
            "which distributions are always 0",
        ),
        row(
            &format!("{POOL}/keeps"),
            json!(null),
            "right where sizes are a list",
        ),
        row(
            &format!("{POOL}/lifetime"),
            json!(0),
            "compares with `rest`",
        ),
        row(
            "/faults",
            json!([{ "leak": { "share": 0.000_000_1 } }]),
            "more than six places",
        ),
        row(
            "/faults",
            json!([{ "leak": { "share": 1, "clients": ["b"] } }]),
            "names a client that is not there",
        ),
        row(
            "/faults",
            json!([{ "offline": { "cpus": "0-3", "at": 0 } }]),
            "compares with the domain's `cpus`",
        ),
        row(
            "/faults",
            json!([{ "stall": { "at": 0, "for": 5, "every": 5 } }]),
            "compares two fields",
        ),
        row(
            "/expect",
            json!([{ "allocator": "best-fit", "figure": "failures", "min": 0 }]),
            "names an allocator of the list",
        ),
        row(
            "/workload",
            json!({ "trace": "recorded.trace.jsonl" }),
            "is beside a domain, which `if` refuses",
        ),
    ]
}

#[test]
fn the_program_and_the_schema_judge_alike() {
    let mut wrong = Vec::new();
    let mut judge = |document: &Value, program: bool, schema: bool, why: &str| {
        let text = document.to_string();
        let accepted = program_accepts(&text);
        if accepted.is_ok() != program || schema_accepts(&text) != schema {
            let by_schema = schema_accepts(&text);
            wrong.push(format!("{why}: program {accepted:?}, schema {by_schema}\n"));
        }
    };
    judge(&plain(), true, true, "the plain scenario");
    for (at, good, bad) in judged_alike() {
        for value in good {
            judge(
                &with(&at, &value),
                true,
                true,
                &format!("good {at} {value}"),
            );
        }
        for value in bad {
            judge(
                &with(&at, &value),
                false,
                false,
                &format!("bad {at} {value}"),
            );
        }
    }
    for (at, value, why) in program_alone() {
        let schema = at != "/workload";
        judge(
            &with(&at, &value),
            false,
            schema,
            &format!("{at} {value} ({why})"),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn a_recorded_trace_has_no_domain_seeds_or_faults() {
    let mut document = plain();
    document["workload"] = json!({ "trace": "recorded.trace.jsonl" });
    let fields = document.as_object_mut().expect("an object");
    fields.remove("domain");
    fields.remove("seeds");
    let both = |document: &Value| {
        let text = document.to_string();
        (program_accepts(&text).is_ok(), schema_accepts(&text))
    };
    assert_eq!(both(&document), (true, true));
    for (field, value) in [
        ("domain", json!({})),
        ("seeds", json!(1)),
        ("faults", json!([{ "stall": { "at": 0, "for": 1 } }])),
    ] {
        let mut more = document.clone();
        more[field] = value;
        assert_eq!(both(&more), (false, false), "{field}");
    }
}

#[test]
fn the_schema_accepts_the_library() {
    for (name, _) in crate::library() {
        let document = text(&folder("scenarios").join(format!("{name}.json")));
        assert!(schema_accepts(&document), "{name}");
        let value: Value = serde_json::from_str(&document).expect("JSON");
        assert_eq!(value["$schema"], "schema.json", "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Text → value → text → value; and the schema accepts either text.
    #[test]
    fn what_is_written_is_read_again(document in document()) {
        let path = Path::new("any.json");
        let text = document.to_string();
        prop_assert!(schema_accepts(&text), "{text}");
        let file = ScenarioFile::from_text(&text, path).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let written = file.to_text();
        prop_assert!(schema_accepts(&written), "{written}");
        let again = ScenarioFile::from_text(&written, path).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&again, &file);
        prop_assert_eq!(again.to_text(), written);
    }
}
