//! Any scenario, as proptest draws it.

use proptest::prelude::*;
use serde_json::{Value, json};

fn pick(values: Vec<Value>) -> BoxedStrategy<Value> {
    prop::sample::select(values).boxed()
}

fn time() -> BoxedStrategy<Value> {
    let unit = prop::sample::select(vec!["ns", "us", "ms", "s", "min", "h"]);
    let text = (1..5000_u64, unit).prop_map(|(number, unit)| json!(format!("{number}{unit}")));
    prop_oneof![text, (1..u64::MAX).prop_map(Value::from)].boxed()
}

fn bytes() -> BoxedStrategy<Value> {
    let unit = prop::sample::select(vec!["B", "KiB", "MiB", "GiB"]);
    let text = (1..2000_u64, unit).prop_map(|(number, unit)| json!(format!("{number}{unit}")));
    prop_oneof![text, (1..1_u64 << 48).prop_map(Value::from)].boxed()
}

/// A number from `low` on with six places, exactly as a file has it.
fn decimal(low: u32, high: u32) -> BoxedStrategy<Value> {
    let exact = |millionths: u32| {
        let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
        serde_json::from_str(&text).expect("a number")
    };
    (low..=high).prop_map(exact).boxed()
}

/// Parameters of a distribution of numbers that are `quantity`s; integers keep their order.
fn drawn(max: u64) -> BoxedStrategy<Value> {
    let ordered = (1..max / 4, 2..4_u64);
    let sigma = decimal(0, 10_000_000);
    let alpha = decimal(100_000, 100_000_000);
    (0..3, ordered, sigma, alpha)
        .prop_map(|(kind, (low, times), sigma, alpha)| match kind {
            0 => json!({ "uniform": { "min": low, "max": low * times } }),
            1 => json!({ "log_normal": { "median": low, "sigma": sigma, "max": low * times } }),
            _ => json!({ "power_law": { "min": low, "alpha": alpha, "max": low * times } }),
        })
        .boxed()
}

fn delay() -> BoxedStrategy<Value> {
    let exponential = time().prop_map(|mean| json!({ "exponential": mean }));
    prop_oneof![time(), exponential, drawn(1 << 60)].boxed()
}

fn list() -> BoxedStrategy<Value> {
    let pairs = prop::collection::vec((bytes(), 1..9_u64), 1..4);
    pairs.prop_map(|pairs| json!({ "list": pairs })).boxed()
}

fn sizes() -> BoxedStrategy<Value> {
    let weighted = list().prop_map(|list| json!({ "weighted": list["list"] }));
    let scatter = (1..5000_u64, decimal(1_000_001, 9_000_000)).prop_map(
        |(entry, mean)| json!({ "scatter": { "entry": entry, "entries_mean": mean, "entries_max": 99 } }),
    );
    prop_oneof![bytes(), list(), weighted, scatter, drawn(1 << 48)].boxed()
}

/// The object of these fields, each of the last `optional` with an even chance.
fn object(
    fields: Vec<(&'static str, BoxedStrategy<Value>)>,
    optional: usize,
) -> BoxedStrategy<Value> {
    let needed = fields.len() - optional;
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let given = prop::collection::vec(any::<bool>(), names.len());
    (values, given)
        .prop_map(move |(values, given)| {
            let fields = names.iter().zip(values).enumerate();
            let fields = fields.filter(|(number, _)| *number < needed || given[*number]);
            fields
                .map(|(_, (name, value))| (*name, value))
                .collect::<Value>()
        })
        .boxed()
}

fn count() -> BoxedStrategy<Value> {
    (1..1000_u32).prop_map(Value::from).boxed()
}

fn named(name: &'static str, value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    value.prop_map(move |value| json!({ name: value })).boxed()
}

fn plan() -> BoxedStrategy<Value> {
    let changes = object(
        vec![
            ("every", delay()),
            ("pause", time()),
            ("to", list().prop_map(|it| json!([it])).boxed()),
        ],
        2,
    );
    let order = pick(vec![
        json!("oldest_first"),
        json!("newest_first"),
        json!("random"),
    ]);
    let life = prop_oneof![Just(json!("forever")), delay()].boxed();
    let keeps = prop_oneof![named("count", count()), named("arrivals", delay())].boxed();
    let pool = object(
        vec![
            ("sizes", list()),
            ("lifetime", life),
            ("keeps", keeps),
            ("rest", delay()),
            ("fill", time()),
            ("order", order),
            ("changes", changes.clone()),
        ],
        5,
    );
    let ring = object(
        vec![
            ("sizes", sizes()),
            ("depth", count()),
            ("every", delay()),
            ("queues", count()),
            ("changes", changes),
        ],
        2,
    );
    let stream = object(
        vec![
            ("sizes", sizes()),
            ("depth", count()),
            ("service", delay()),
            ("jobs", count()),
            ("think", delay()),
        ],
        2,
    );
    let churn = object(
        vec![
            ("sizes", sizes()),
            ("count", count()),
            ("every", delay()),
            ("extra", count()),
        ],
        1,
    );
    let idle = object(
        vec![
            ("sizes", sizes()),
            ("holds", count()),
            ("every", delay()),
            ("lasts", delay()),
            ("hold_size", bytes()),
        ],
        1,
    );
    let slices = (time(), 5..9_u32, 0..5_u32)
        .prop_map(|slice| json!([slice]))
        .boxed();
    let ages = object(vec![("oldest", count()), ("newest", count())], 1);
    let profiled = object(
        vec![
            ("sizes", sizes()),
            ("slices", slices),
            ("burst", decimal(1_000_000, 9_000_000)),
            ("order", ages),
        ],
        2,
    );
    let trace = Just(json!("recorded.trace.jsonl")).boxed();
    let recorded = object(
        vec![
            ("trace", trace),
            ("stretch", decimal(0, 9_000_000)),
            ("times", count()),
            ("gap", time()),
        ],
        3,
    );
    prop_oneof![
        named("pool", pool),
        named("ring", ring),
        named("stream", stream),
        named("churn", churn),
        named("idle", idle),
        named("profiled", profiled),
        named("recorded", recorded),
    ]
    .boxed()
}

fn client() -> BoxedStrategy<Value> {
    let cpus = pick(vec![json!("0-2,1"), json!(3), json!("3,1,0")]);
    let pfn = pick(vec![json!("0xFFFF"), json!(77)]);
    let path = pick(vec![
        json!("fast"),
        json!("direct"),
        json!("direct_unaligned"),
        json!("fast_without_flush"),
    ]);
    let bits = (16..=64_u32).prop_map(Value::from).boxed();
    let dev = Just(json!("dev \"0\"")).boxed();
    let map = object(
        vec![
            ("mask_bits", bits),
            ("pci", pick(vec![json!(true), json!(false)])),
            ("dev", dev),
        ],
        3,
    );
    let via = prop_oneof![
        named("map", map),
        named("alloc", object(vec![("limit", pfn), ("path", path)], 2))
    ];
    object(
        vec![
            ("does", plan()),
            ("dom", count()),
            ("cpus", cpus.clone()),
            ("free_cpus", cpus),
            ("via", via.boxed()),
        ],
        4,
    )
}

fn fault() -> BoxedStrategy<Value> {
    let frees = || {
        let clients = pick(vec![json!(["a"]), json!(["b", "a"]), json!([])]);
        object(
            vec![
                ("share", decimal(0, 1_000_000)),
                ("clients", clients),
                ("from", pick(vec![json!(0), json!("1ns")])),
                ("until", time()),
            ],
            3,
        )
    };
    let late = object(vec![("by", delay()), ("of", frees())], 0);
    let double = object(vec![("of", frees()), ("after", delay())], 1);
    let what = pick(vec![json!("iova"), json!("magazine")]);
    let nomem = object(
        vec![
            ("what", what),
            ("at", time()),
            ("count", count()),
            ("every", time()),
        ],
        2,
    );
    prop_oneof![
        named("leak", frees()),
        named("late", late),
        named("double_free", double),
        named("nomem", nomem)
    ]
    .boxed()
}

/// Any scenario, as a document.
pub(crate) fn document() -> BoxedStrategy<Value> {
    let granule = pick(vec![json!("4KiB"), json!(16384), json!("65536B")]);
    let queue = pick(vec![json!("none"), json!("per-cpu"), json!("single")]);
    let reserved = pick(vec![json!([]), json!([["0x10", 99]])]);
    let domain = object(
        vec![
            ("cpus", Just(json!(4)).boxed()),
            ("granule", granule),
            ("start_pfn", pick(vec![json!(1), json!("0x40")])),
            ("limit", pick(vec![json!("0xffff"), json!(65_535)])),
            ("flush_queue", queue),
            ("reserved", reserved),
            ("forcedac", pick(vec![json!(true), json!(false)])),
        ],
        6,
    );
    let start = (client(), client())
        .prop_map(|(a, b)| json!({ "a": a, "b": b }))
        .boxed();
    let change = named("a", client());
    let second = object(
        vec![
            ("for", time()),
            ("change", change),
            ("stop", Just(json!(["b"])).boxed()),
        ],
        2,
    );
    let first = object(vec![("for", time()), ("start", start)], 0);
    let phases = (first, second)
        .prop_map(|(first, second)| json!([first, second]))
        .boxed();
    let expect = pick(vec![
        json!([{ "allocator": "old", "figure": "failures", "min": 0, "max": 2.5 }]),
        json!([{ "allocator": "new", "figure": "steps.mean", "below": "old", "apart": true }]),
    ]);
    let seeds = pick(vec![json!(1), json!(100_000), json!([7, 3, u64::MAX])]);
    let faults = prop::collection::vec(fault(), 0..4)
        .prop_map(Value::from)
        .boxed();
    let sampling = prop_oneof![named("events", count()), named("time", time())].boxed();
    object(
        vec![
            ("iovasim", Just(json!("scenario")).boxed()),
            ("version", Just(json!(1)).boxed()),
            ("name", "[a-z \"\\\\]{0,5}x".prop_map(Value::from).boxed()),
            ("shows", ".{0,9}x".prop_map(Value::from).boxed()),
            ("domain", domain),
            ("workload", named("phases", phases)),
            ("allocators", Just(json!(["old", "new"])).boxed()),
            ("seeds", seeds),
            ("events", count()),
            ("faults", faults),
            ("sampling", sampling),
            ("expect", expect),
            ("$schema", Just(json!("schema.json")).boxed()),
        ],
        5,
    )
}
