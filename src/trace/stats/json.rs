//! The figures of a trace as JSON: every row, where the page shows the first.

use serde::Serialize;

use super::{Load, Stats, Traffic};

#[derive(Serialize)]
struct WireStats<'a> {
    iovasim: &'static str,
    version: u64,
    name: Option<&'a str>,
    kernel: Option<&'a str>,
    source: Option<&'a str>,
    cpus_present: u32,
    granule: u64,
    start_pfn: u64,
    events: u64,
    last_nanos: u64,
    ops: Vec<WireCount<&'static str>>,
    requests: WireRequests,
    sizes: Vec<WireSize>,
    limits: Vec<WireCount<u64>>,
    lifetimes: Vec<WireLifetime>,
    cpus: Vec<WireTraffic>,
    domains: Vec<WireTraffic>,
    frees_on_another_cpu: u64,
    live_max: WireLoad,
    slice_nanos: u64,
    slices: Vec<WireSlice>,
    never_freed: Vec<WireNeverFreed<'a>>,
}

#[derive(Serialize)]
struct WireCount<T> {
    of: T,
    count: u64,
}

#[derive(Serialize)]
struct WireRequests {
    fast: u64,
    direct: u64,
    map: u64,
    /// Whose answer is on record.
    answered: u64,
    failed: u64,
}

#[derive(Serialize)]
struct WireSize {
    /// The largest size of the class, a power of two; null for 2^64.
    pages_max: Option<u64>,
    requests: u64,
    pages: u64,
}

#[derive(Serialize)]
struct WireLifetime {
    /// Lifetimes from so many nanoseconds up to ten times as many, those exclusive.
    nanos_from: u64,
    ranges: u64,
}

#[derive(Serialize)]
struct WireTraffic {
    number: u64,
    requests: u64,
    frees: u64,
}

#[derive(Serialize)]
struct WireLoad {
    ranges: u64,
    pages: u64,
}

#[derive(Serialize)]
struct WireSlice {
    most: WireLoad,
    at_its_end: WireLoad,
}

#[derive(Serialize)]
struct WireNeverFreed<'a> {
    domain: u64,
    device: Option<&'a str>,
    pages_each: u64,
    ranges: u64,
    oldest_nanos: u64,
}

impl From<Load> for WireLoad {
    fn from(Load { ranges, pages }: Load) -> WireLoad {
        WireLoad { ranges, pages }
    }
}

fn traffic(number: impl Into<u64>, &Traffic { requests, frees }: &Traffic) -> WireTraffic {
    WireTraffic {
        number: number.into(),
        requests,
        frees,
    }
}

impl Stats {
    /// The figures as a JSON document that ends with a newline.
    pub fn json(&self) -> String {
        let never_freed = self.never_freed();
        let wire = WireStats {
            iovasim: "stats",
            version: 1,
            name: self.header.name.as_deref(),
            kernel: self.header.kernel.as_deref(),
            source: self.header.source.as_deref(),
            cpus_present: self.header.cpus,
            granule: self.header.granule.bytes(),
            start_pfn: self.header.start_pfn.0,
            events: self.events,
            last_nanos: self.ended.0,
            ops: counts(self.ops.iter().map(|(&op, &count)| (op, count))),
            requests: WireRequests {
                fast: self.requests.fast,
                direct: self.requests.direct,
                map: self.requests.map,
                answered: self.requests.answered,
                failed: self.requests.failed,
            },
            sizes: self.sizes.iter().map(size).collect(),
            limits: counts(self.limits.iter().map(|(limit, &count)| (limit.0, count))),
            lifetimes: self.lifetimes.iter().map(lifetime).collect(),
            cpus: self
                .cpus
                .iter()
                .map(|(cpu, it)| traffic(cpu.0, it))
                .collect(),
            domains: self
                .domains
                .iter()
                .map(|(&dom, it)| traffic(dom, it))
                .collect(),
            frees_on_another_cpu: self.frees_elsewhere,
            live_max: self.load_max.into(),
            slice_nanos: self.timeline.length().0,
            slices: self
                .timeline
                .slices()
                .iter()
                .map(|slice| WireSlice {
                    most: slice.max.into(),
                    at_its_end: slice.end.into(),
                })
                .collect(),
            never_freed: never_freed
                .iter()
                .map(|group| WireNeverFreed {
                    domain: group.dom,
                    device: group.dev.as_deref(),
                    pages_each: group.size.0,
                    ranges: group.ranges,
                    oldest_nanos: group.oldest.0,
                })
                .collect(),
        };
        let text = serde_json::to_string_pretty(&wire).expect("plain data");
        format!("{text}\n")
    }
}

fn counts<T>(rows: impl Iterator<Item = (T, u64)>) -> Vec<WireCount<T>> {
    rows.map(|(of, count)| WireCount { of, count }).collect()
}

fn size((&order, asked): (&u32, &super::Asked)) -> WireSize {
    WireSize {
        pages_max: 1_u64.checked_shl(order),
        requests: asked.requests,
        pages: asked.pages,
    }
}

fn lifetime((&decade, &ranges): (&u32, &u64)) -> WireLifetime {
    WireLifetime {
        nanos_from: decade
            .checked_sub(1)
            .map_or(0, |digits| 10_u64.saturating_pow(digits)),
        ranges,
    }
}
