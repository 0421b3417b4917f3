//! What must not grow with the number of domains, CPUs, cached ranges and failures: work and room,
//! counted on small traces of the shapes that once cost the most; and addresses at the edge of
//! 64 bits.

use iova::kernel::{Allocator, DomainConfig, DomainOptions, Refusal};
use iova::measure::cause::Judge;
use iova::op::{Op, Path};
use iova::replay::{Device, Dom, Replay, Request, Slot, ViolationKind};
use iova::units::{Cpu, Granule, Nanos, Pages, Pfn, PfnRange};

const LIMIT_32: Pfn = Pfn((1 << 20) - 1);

fn replay(allocator: &str, options: DomainOptions) -> Replay {
    let allocator: Allocator = allocator.parse().expect("an allocator");
    Replay::new(
        DomainConfig::new(&allocator, options).expect("a domain"),
        1 << 16,
    )
}

fn request(cpu: u16, dom: u32, op: Op<Slot>) -> Request {
    Request {
        at: Nanos(0),
        cpu: Cpu(cpu),
        dom: Dom(dom),
        op,
    }
}

fn alloc(slot: u32, pages: u64, flush: bool) -> Op<Slot> {
    Op::Alloc {
        id: Slot(slot),
        pages: Pages(pages),
        limit: LIMIT_32,
        path: Path::Fast { flush },
        got: (),
    }
}

fn free(slot: u32) -> Op<Slot> {
    Op::Free { id: Slot(slot) }
}

/// The pfn that a request got, or why it was refused; `None` of an operation without an answer.
fn apply(
    replay: &mut Replay,
    cpu: u16,
    dom: u32,
    op: Op<Slot>,
) -> Option<Result<u64, Refusal>> {
    let answer = replay
        .apply(&request(cpu, dom, op))
        .expect("nothing aborted");
    answer.map(|answer| answer.result.map(|pfn| pfn.0))
}

#[test]
fn failures_in_a_row_look_at_what_is_held_back_a_few_times() {
    let mut replay = replay("linux-7.2", DomainOptions::default());
    let mut judge = Judge::default();
    for slot in 0..1000 {
        apply(&mut replay, 0, 0, alloc(slot, 1, true));
    }
    for slot in 0..500 {
        apply(&mut replay, 0, 0, free(2 * slot));
    }
    for slot in 2000..4000 {
        let asked = alloc(slot, 1 << 20, false);
        let answer = replay
            .apply(&request(0, 0, asked))
            .expect("nothing aborted");
        let answer = answer.expect("an answer");
        let refusal = answer.result.expect_err("there is no such room");
        judge.judge(
            replay.config(),
            (Dom(0), &replay.domains()[0]),
            answer.asked,
            refusal,
        );
    }
    assert!(judge.looks() <= 4 * 1000, "{} looks", judge.looks());
}

#[test]
fn a_flush_visits_the_cpus_that_hold_something() {
    let mut replay = replay("linux-7.2", DomainOptions::default());
    for cpu in 0..500 {
        apply(&mut replay, cpu, 0, alloc(u32::from(cpu), 1, true));
    }
    for cpu in 0..500 {
        apply(&mut replay, cpu, 0, free(u32::from(cpu)));
    }
    assert_eq!(replay.domains()[0].rcache().cpus().len(), 500);
    apply(&mut replay, 0, 0, alloc(1000, 1 << 21, true));
    assert_eq!(replay.domains()[0].rcache().cpus().len(), 0);
}

#[test]
fn a_domain_has_caches_of_the_cpus_that_use_it() {
    let mut replay = replay("linux-7.2", DomainOptions::default());
    for dom in 0..50 {
        apply(&mut replay, u16::MAX, dom, alloc(dom, 1, true));
        apply(&mut replay, u16::MAX, dom, free(dom));
    }
    let mut domains = replay.domains().iter();
    assert!(domains.all(|it| it.rcache().cpus() == [Cpu(u16::MAX)]));
}

/// Before 5.17 a caller of the fast path can free a range into the cache of longer ones.
#[test]
fn an_audit_begins_with_the_first_range_that_is_too_short() {
    let mut replay = replay("linux-5.10", DomainOptions::default());
    let has_short = |replay: &Replay| replay.domains()[0].has_short_ranges();
    for (slot, pages) in [(0, 33), (1, 100), (2, 7), (3, 5), (4, 5)] {
        apply(&mut replay, 0, 0, alloc(slot, pages, true));
    }
    for slot in 0..4 {
        apply(&mut replay, 0, 0, free(slot));
    }
    apply(&mut replay, 0, 0, alloc(5, 5, true));
    assert!(!has_short(&replay));
    apply(&mut replay, 0, 0, alloc(6, 8, true));
    assert!(has_short(&replay), "7 pages for 8");
}

#[test]
fn sizes_that_round_up_beyond_64_bits_map_one_page() {
    let mut replay = replay("linux-7.2", DomainOptions::default());
    let map = |slot, bytes| Op::Map {
        id: Slot(slot),
        bytes,
        mask: u64::MAX,
        pci: false,
        dev: Device(0),
        got: (),
    };
    let highest = (1 << 52) - 1;
    assert_eq!(
        apply(&mut replay, 0, 0, map(1, u64::MAX)),
        Some(Ok(highest))
    );
    apply(&mut replay, 0, 0, Op::Unmap { id: Slot(1) });
    assert_eq!(
        apply(&mut replay, 0, 0, map(1, 4096)),
        Some(Ok(highest)),
        "cached"
    );
}

#[test]
fn addresses_are_cut_to_64_bits() {
    let mut replay = replay("linux-7.2", DomainOptions::default());
    let alloc = |slot| Op::Alloc {
        id: Slot(slot),
        pages: Pages(2),
        limit: Pfn((1 << 53) - 1),
        path: Path::Fast { flush: true },
        got: (),
    };
    let map = Op::Map {
        id: Slot(1),
        bytes: 8192,
        mask: 4095,
        pci: false,
        dev: Device(0),
        got: (),
    };
    assert_eq!(apply(&mut replay, 0, 0, alloc(0)), Some(Ok((1 << 53) - 2)));
    apply(&mut replay, 0, 0, free(0));
    assert_eq!(apply(&mut replay, 0, 0, map), Some(Ok((1 << 52) - 2)));
    apply(&mut replay, 0, 0, Op::Unmap { id: Slot(1) });
    assert_eq!(apply(&mut replay, 0, 0, alloc(2)), Some(Ok((1 << 52) - 2)));
}

/// A reservation extends the anchor downwards, and the kernel then frees it as a range.
#[test]
fn freeing_the_anchor_aborts() {
    let granule = Granule::from_bytes(1).expect("a granule");
    let mut replay = replay(
        "linux-7.2",
        DomainOptions {
            granule,
            ..DomainOptions::default()
        },
    );
    let range = PfnRange::new(Pfn(u64::MAX - 600), Pfn(u64::MAX)).expect("a range");
    apply(&mut replay, 0, 0, Op::Reserve { range });
    let free = Op::FreePfn {
        pfn: Pfn(u64::MAX - 500),
    };
    let aborted = replay.apply(&request(0, 0, free)).expect_err("aborted");
    assert_eq!(
        (aborted.event, aborted.kind),
        (1, ViolationKind::UseAfterFree)
    );
}
