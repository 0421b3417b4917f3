use std::path::Path;

use iova::kernel::Allocator;
use serde_json::{Value, json};

use super::{Scenario, Trace};
use crate::trace::event::{Event, Header, Op};
use iova::op::Got;
use iova::units::{Cpu, Nanos};

/// A small scenario of which each test changes a part.
fn plain() -> Value {
    json!({
        "iovasim": "scenario",
        "version": 1,
        "name": "plain",
        "shows": "nothing",
        "domain": { "cpus": 4 },
        "workload": { "phases": [{ "for": "1ms", "start": { "pool": pool() } }] },
        "allocators": ["old", "new"],
        "seeds": 3,
    })
}

fn pool() -> Value {
    json!({ "does": { "pool": {
        "sizes": "4KiB",
        "keeps": { "count": 2 },
        "lifetime": { "exponential": "10us" },
    } } })
}

/// A recording of one buffer that is never freed; any path leads to it but `missing`.
fn recording(path: &Path) -> Result<Trace, Box<dyn std::error::Error>> {
    if path.ends_with("missing") {
        return Err("no such file".into());
    }
    let op = Op::Map {
        id: 9,
        bytes: 1,
        mask: 0xffff_ffff,
        pci: false,
        dev: None,
        got: Got::Unrecorded,
    };
    let event = Event {
        at: Nanos(7),
        cpu: Cpu(0),
        dom: 0,
        op,
    };
    Ok(Trace {
        header: Header::default(),
        events: vec![event],
    })
}

fn parse(scenario: &Value) -> Result<Scenario, String> {
    let text = scenario.to_string();
    let path = Path::new("s.json");
    Scenario::parse(&text, path, &mut recording).map_err(|error| error.to_string())
}

/// The plain scenario with the value at a JSON pointer put or replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut scenario = plain();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = scenario.pointer_mut(parent).expect("there");
    match parent {
        Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
        parent => parent[name] = value,
    }
    scenario
}

#[track_caller]
fn refused(scenario: &Value, expected: &str) {
    let message = parse(scenario).map(|_| ()).expect_err("refused");
    // Errors of the text itself begin with line and column, which are not the point here.
    let message = message.split_once(": ").map_or("", |(_, message)| message);
    assert_eq!(message, expected);
}

#[test]
fn a_plain_scenario_is_read() {
    let scenario = parse(&plain()).expect("possible");
    assert_eq!(scenario.seeds, [1, 2, 3]);
    assert_eq!(scenario.allocators.len(), 2);
    let header = scenario.header(2);
    assert_eq!(header.cpus, 4);
    assert_eq!(header.source.as_deref(), Some("scenario plain, seed 2"));
    let events: Vec<_> = scenario.events(2).collect();
    assert!(events.len() > 100);
    assert_eq!(events, scenario.events(2).collect::<Vec<_>>());
    assert_ne!(events, scenario.events(3).collect::<Vec<_>>());
}

#[test]
fn allocators_may_be_abbreviated_and_ranges() {
    let mut scenario = with("/allocators", json!(["v5.10", "5.16..new", "all"]));
    scenario["expect"] =
        json!([{ "allocator": "5.10", "figure": "failures", "same_as": "5.18" }]);
    let scenario = parse(&scenario).expect("possible");
    let names: Vec<_> = scenario.allocators.iter().map(Allocator::name).collect();
    assert_eq!(
        names[..5],
        [
            "linux-5.10",
            "linux-5.16",
            "linux-5.17",
            "linux-5.18",
            "linux-4.15"
        ]
    );
    assert_eq!(scenario.expectations[0].allocator(), "linux-5.10");
    refused(
        &with("/allocators", json!(["old", "5.17"])),
        "allocators[1]: `old` and `linux-5.17` are the same allocator, expected it once",
    );
}

#[test]
fn unknown_names_come_with_the_nearest_known() {
    refused(
        &with("/seed", json!(3)),
        "unknown field `seed`, expected one of `$schema`, `iovasim`, `version`, `name`, `shows`, \
         `domain`, `workload`, `allocators`, `seeds`, `events`, `faults`, `sampling`, `expect`; \
         did you mean `seeds`?",
    );
    refused(
        &with(
            "/workload/phases/0/start/pool/does/pool/lifetmie",
            json!("1s"),
        ),
        "workload.phases[0].start.pool.does.pool: unknown field `lifetmie`, expected one of `sizes`, `keeps`, `lifetime`, `rest`, `fill`, `order`, `changes`; did you mean `lifetime`?",
    );
    refused(
        &with("/workload/phases/0/start/pool/does", json!({ "pol": {} })),
        "workload.phases[0].start.pool.does: unknown name `pol`, expected one of `pool`, `ring`, `stream`, `churn`, `idle`, `recorded`, `profiled`; did you mean `pool`?",
    );
    refused(
        &with("/allocators/1", json!("nwe")),
        "allocators[1]: unknown allocator `nwe`; expected old, new, linux-X.Y or a design (`iovasim allocators` lists them); did you mean `new`?",
    );
    refused(
        &with("/domain/flush_queue", json!("percpu")),
        "domain.flush_queue: unknown name `percpu`, expected one of `none`, `per-cpu`, `single`; did you mean `per-cpu`?",
    );
    let figure = json!([{ "allocator": "old", "figure": "failurerate", "min": 0 }]);
    let message = parse(&with("/expect", figure))
        .map(|_| ())
        .expect_err("refused");
    assert!(message.contains(": expect[0].figure: unknown figure `failurerate`, expected"));
    assert!(
        message.ends_with("; did you mean `failure_rate`?"),
        "{message}"
    );
    refused(
        &with(
            "/expect",
            json!([{ "allocator": "olt", "figure": "failures", "min": 0 }]),
        ),
        "expect[0].allocator: unknown allocator `olt`, expected one of `old`, `new`; did you mean `old`?",
    );
    refused(
        &with("/workload/phases/0/stop", json!(["pol"])),
        "workload.phases[0].stop[0]: unknown running client `pol`, there is none",
    );
    refused(
        &with(
            "/faults",
            json!([{ "leak": { "share": 0.5, "clients": ["pol"] } }]),
        ),
        "faults[0].leak.clients[0]: unknown client `pol`, expected `pool`; did you mean `pool`?",
    );
    refused(
        &with("/faults", json!([{ "stall": { "at": "1ms", "for": 5 } }])),
        "faults[0].stall.at: is 1000000 ns, expected before the workload ends, at 1000000 ns",
    );
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table of values and what is said of them"
)]
fn values_that_cannot_be_are_refused_where_they_are() {
    let pool = "/workload/phases/0/start/pool/does/pool";
    let in_pool = |field: &str, value: Value| with(&format!("{pool}/{field}"), value);
    refused(
        &in_pool("sizes", json!("4KB")),
        "workload.phases[0].start.pool.does.pool.sizes: invalid value: string \"4KB\", expected a size such as \"4KiB\" (B, KiB, MiB, GiB, TiB) or bytes, or an object that says how sizes are found",
    );
    refused(
        &in_pool("sizes", json!([1])),
        "workload.phases[0].start.pool.does.pool.sizes: invalid type: sequence, expected a size such as \"4KiB\" (B, KiB, MiB, GiB, TiB) or bytes, or an object that says how sizes are found",
    );
    refused(
        &in_pool("sizes", json!(0)),
        "workload.phases[0].start.pool.does.pool.sizes: `size` is 0, expected from 1 to 2^48 bytes",
    );
    refused(
        &in_pool("sizes", json!({ "uniform": { "min": 2, "max": 1 } })),
        "workload.phases[0].start.pool.does.pool.sizes: `max` is 1, expected at least `min`, 2",
    );
    refused(
        &in_pool("sizes", json!({ "list": [] })),
        "workload.phases[0].start.pool.does.pool.sizes: `count` is 0 in all, expected at least 1",
    );
    refused(
        &in_pool("lifetime", json!("foreve")),
        "workload.phases[0].start.pool.does.pool.lifetime: invalid value: string \"foreve\", expected \"forever\", or a time such as \"10ms\", or an object that says how times are drawn",
    );
    refused(
        &in_pool("lifetime", json!(0)),
        "workload.phases[0].start.pool.does.pool: `lifetime` is 0, expected above 0, or a `rest`",
    );
    refused(
        &in_pool(
            "lifetime",
            json!({ "power_law": { "min": 1, "alpha": 0.01, "max": 9 } }),
        ),
        "workload.phases[0].start.pool.does.pool.lifetime: `alpha` is 0.01, expected from 0.1 to 100",
    );
    refused(
        &in_pool("keeps", json!({ "count": 0 })),
        "workload.phases[0].start.pool.does.pool: `count` is 0, expected from 1 to 16777216 buffers",
    );
    refused(
        &in_pool("keeps", json!({ "bytes": "1KiB" })),
        "workload.phases[0].start.pool.does.pool: `bytes` is 1024, expected at least the largest size, 4096 bytes",
    );
    refused(
        &in_pool("keeps", json!(null)),
        "workload.phases[0].start.pool.does.pool: `keeps` is missing, expected it where sizes are not a list",
    );
    refused(
        &in_pool("changes", json!({ "every": 0 })),
        "workload.phases[0].start.pool.does.pool: `changes.every` is 0, expected a time above 0",
    );
    refused(
        &with("/version", json!(2)),
        "version: `version` is 2, expected 1",
    );
    refused(
        &with("/shows", json!(" ")),
        "`shows` is empty, expected a sentence",
    );
    refused(
        &with("/domain", json!({ "granule": 3000 })),
        "domain.granule: `granule` is 3000, expected a power of two up to 64 KiB",
    );
    refused(
        &with("/domain", json!({ "cpus": 0 })),
        "domain: `cpus` is 0, expected from 1 to 65536",
    );
    refused(
        &with("/domain", json!({ "start_pfn": 9, "limit": "0x5" })),
        "domain: `limit` is 0x5, expected from `start_pfn`, 0x9, to 0xfffffffffffff",
    );
    refused(
        &with("/domain", json!({ "reserved": [["0x9", "0x5"]] })),
        "domain.reserved[0]: found 0x9 to 0x5, expected ascending pfns to 0xfffffffffffff",
    );
    refused(
        &with("/workload/phases/0/start/pool/cpus", json!("2-4")),
        "workload.phases[0].start.pool: `cpus` is 4, expected below the domain's `cpus`, 4",
    );
    refused(
        &with(
            "/workload/phases/0/start/pool/via",
            json!({ "map": { "mask_bits": 65 } }),
        ),
        "workload.phases[0].start.pool.via.map: `mask_bits` is 65, expected from 12 to 64",
    );
    refused(
        &with("/workload/phases/0/for", json!(null)),
        "workload.phases: no end, expected `for` in the last phase or `events`",
    );
    refused(
        &with("/workload/phases", json!([])),
        "workload.phases: no client ever starts, expected one at least",
    );
    refused(
        &with("/seeds", json!([1, 1])),
        "seeds: one seed twice, expected each once",
    );
    refused(
        &with("/seeds", json!(0)),
        "seeds: found 0 seeds, expected from 1 to 100000",
    );
    refused(
        &with("/seeds", json!(null)),
        "seeds: missing, expected a number of seeds or a list",
    );
    refused(
        &with("/allocators", json!([])),
        "allocators: empty, expected one at least",
    );
    refused(
        &with("/allocators/1", json!("old")),
        "allocators[1]: `old` is named twice",
    );
    refused(
        &with("/sampling", json!({ "events": 0 })),
        "sampling: found 0, expected at least 1",
    );
    refused(
        &with(
            "/expect",
            json!([{ "allocator": "old", "figure": "failures" }]),
        ),
        "expect[0]: expects nothing, expected one of `min`, `max`, `equals`, `above`, `below` or `same_as`",
    );
    refused(
        &with("/faults", json!([{ "leak": { "share": 1.5 } }])),
        "faults[0].leak.share: `share` is 1.5, expected from 0 to 1",
    );
    refused(
        &with(
            "/faults",
            json!([{ "offline": { "cpus": "0-3", "at": 0 } }]),
        ),
        "faults[0]: `cpus` is all CPUs, expected one at least that stays online",
    );
    refused(
        &with(
            "/faults",
            json!([{ "stall": { "at": 0, "for": 5, "every": 5 } }]),
        ),
        "faults[0]: `every` is 5 ns, expected longer than the fault lasts (`for`)",
    );
}

#[test]
fn names_come_once() {
    let text = plain()
        .to_string()
        .replace("\"pool\":{\"does\"", "\"pool\":{},\"pool\":{\"does\"");
    let text = text.replace(
        "\"pool\":{},",
        "\"pool\":{\"does\":{\"idle\":{\"holds\":1,\"sizes\":1,\"every\":1,\"lasts\":1}}},",
    );
    let error = Scenario::parse(&text, Path::new("s.json"), &mut recording).expect_err("twice");
    assert!(
        error.to_string().contains("`pool` a second time"),
        "{error}"
    );
    let trailing = format!("{} x", plain());
    let error = Scenario::parse(&trailing, Path::new("s.json"), &mut recording);
    assert!(
        error
            .expect_err("more")
            .to_string()
            .contains("more after the end")
    );
}

#[test]
fn clients_change_and_stop_between_phases() {
    let small = json!({ "does": { "pool": {
        "sizes": 1, "keeps": { "count": 1 }, "lifetime": "forever",
    } } });
    let phases = json!([
        { "for": 10, "start": { "a": small, "b": small } },
        { "for": 10, "change": { "a": small }, "stop": ["b"] },
        { "for": 10, "start": { "b": small } },
    ]);
    let scenario = parse(&with("/workload/phases", phases)).expect("possible");
    let read = |event: Event| match event.op {
        Op::Map { id, .. } => format!("{}+{id}", event.at.0),
        Op::Unmap { id } => format!("{}-{id}", event.at.0),
        _ => String::new(),
    };
    let story: Vec<_> = scenario.events(1).map(read).collect();
    assert_eq!(story.join(" "), "0+1 0+2 10-1 10-2 10+3 20+4");
}

#[test]
fn reserved_pfns_are_taken_first_in_every_domain() {
    let mut scenario = with("/domain/reserved", json!([["0x10", "0x1f"], [64, 64]]));
    let mut other = pool();
    other["dom"] = json!(7);
    scenario["workload"]["phases"][0]["start"]["other"] = other;
    let scenario = parse(&scenario).expect("possible");
    let reserved: Vec<_> = scenario
        .events(1)
        .map_while(|event| match event.op {
            Op::Reserve { range } => Some((event.dom, range.lo().0, range.hi().0)),
            _ => None,
        })
        .collect();
    assert_eq!(
        reserved,
        [(0, 16, 31), (0, 64, 64), (7, 16, 31), (7, 64, 64)]
    );
}

#[test]
fn a_trace_needs_neither_domain_nor_seeds() {
    let mut scenario = plain();
    let fields = scenario.as_object_mut().expect("an object");
    fields.remove("domain");
    fields.remove("seeds");
    fields["workload"] = json!({ "trace": "a/b" });
    let read = parse(&scenario).expect("possible");
    assert_eq!(read.seeds, [0]);
    assert_eq!(read.events(0).count(), 1);
    scenario["seeds"] = json!(1);
    refused(
        &scenario,
        "seeds: given, expected none for a recorded trace",
    );
    scenario["domain"] = json!({});
    refused(
        &scenario,
        "domain: is said by the trace itself, expected none beside a trace",
    );
    scenario["workload"]["trace"] = json!("missing");
    scenario["domain"] = json!(null);
    refused(&scenario, "workload.trace: no such file");
}

#[test]
fn recordings_are_mixed_in() {
    let recorded = json!({ "dom": 3, "does": { "recorded": {
        "trace": "some", "stretch": 2.5, "times": 2, "gap": 100,
    } } });
    let scenario = with("/workload/phases/0/start/log", recorded);
    let events: Vec<_> = parse(&scenario).expect("possible").events(1).collect();
    let at: Vec<_> = events
        .iter()
        .filter(|event| event.dom == 3)
        .map(|event| event.at.0)
        .collect();
    assert_eq!(at, [17, 17, 134, 134]);
    let mut other = scenario.clone();
    other["domain"]["granule"] = json!("16KiB");
    refused(
        &other,
        "workload.phases[0].start.log.does.recorded.trace: `granule` is of 4096 bytes, expected the domain's, 16384 bytes",
    );
}

#[test]
fn events_bound_a_run_without_end() {
    let mut scenario = with("/workload/phases/0/for", json!(null));
    scenario["events"] = json!(17);
    assert_eq!(parse(&scenario).expect("possible").events(1).count(), 17);
}

#[test]
fn what_the_schema_refuses_is_refused() {
    refused(
        &with("/domain", json!([4096])),
        "domain: invalid type: sequence, expected an object",
    );
    refused(
        &with(
            "/workload/phases/0/start/pool/does/pool/order",
            json!({ "random": null }),
        ),
        "workload.phases[0].start.pool.does.pool.order: found an object with `random`, expected the name alone",
    );
    refused(
        &with("/workload/phases/0/start/pool/does", json!("pool")),
        "workload.phases[0].start.pool.does: found the name `pool` alone, expected an object {\"pool\": …}",
    );
    refused(
        &with("/workload", json!({ "phases": [], "trace": "t" })),
        "workload: found `trace` beside `phases`, expected one of them",
    );
    refused(
        &with("/workload", json!({})),
        "workload: found an empty object, expected one of `trace`, `phases`",
    );
}
