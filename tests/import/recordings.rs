//! Recordings of running kernels: excerpts in `tests/recordings/`, whole where they are at hand.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use iova::kernel::{Allocator, DomainConfig, FlushQueue};
use iova::op::Got;
use iova::replay::Replay;
use iova::units::{Pfn, PfnRange};
use iovasim::import::{DomainChoice, Options, Report, import, text};
use iovasim::trace::Place;
use iovasim::trace::check::Checker;
use iovasim::trace::event::Op;
use iovasim::trace::read::Reader;
use iovasim::trace::write::Writer;

use super::{Imported, read};

/// An excerpt and the figures of its import.
pub(crate) struct Excerpt {
    /// The file in `tests/recordings/`, without `.txt.gz`.
    pub(crate) name: &'static str,
    /// The allocator of the recorded kernel.
    allocator: &'static str,
    /// How it is read.
    pub(crate) options: fn() -> Options,
    /// Lines, events, requests, and how many of these the replay answers otherwise.
    counts: (u64, u64, u64, u64),
}

const K6_1: &str = "linux-6.1+retry-overflow";
const K6_12: &str = "linux-6.12";

fn plain() -> Options {
    Options::default()
}

fn with_state_before() -> Options {
    Options {
        state_before: true,
        ..Options::default()
    }
}

/// 32-bit devices, strict.
fn strict() -> Options {
    Options {
        mask: Some(0xffff_ffff),
        flush_queue: Some(FlushQueue::None),
        domain: Some(DomainChoice::One),
        ..Options::default()
    }
}

fn strict_devices() -> Options {
    Options {
        domain: None,
        ..strict()
    }
}

fn lazy() -> Options {
    Options {
        flush_queue: Some(FlushQueue::PerCpu),
        ..strict()
    }
}

/// The machine's bridge windows and its window for message-signalled interrupts, which other
/// recordings of it show.
fn windows() -> Vec<PfnRange> {
    let windows = [
        (0xa0, 0xbf),
        (0x8_0000, 0xa_ffff),
        (0xc_0000, 0xf_ebff),
        (0x14_0000, 0x93_ffff),
        (0xf_ee00, 0xf_eeff),
    ];
    let range = |(lo, hi)| PfnRange::new(Pfn(lo), Pfn(hi)).expect("a range");
    windows.map(range).to_vec()
}

fn lazy_with_windows() -> Options {
    Options {
        domain: None,
        reserved: windows(),
        ..lazy()
    }
}

fn with_windows() -> Options {
    Options {
        reserved: windows(),
        ..plain()
    }
}

fn with_windows_and_state_before() -> Options {
    Options {
        reserved: windows(),
        ..with_state_before()
    }
}

pub(crate) const EXCERPTS: &[Excerpt] = &[
    Excerpt {
        name: "linux-6.1-mixed-strict-kprobe.ftrace",
        allocator: K6_1,
        options: plain,
        counts: (900, 334, 190, 0),
    },
    Excerpt {
        name: "linux-6.12-disk-lazy-kprobe.ftrace",
        allocator: K6_12,
        options: plain,
        counts: (900, 308, 164, 0),
    },
    Excerpt {
        name: "linux-6.12-fill32-strict-kprobe-iommu.ftrace",
        allocator: K6_12,
        options: plain,
        counts: (5400, 1095, 1024, 0),
    },
    Excerpt {
        name: "linux-6.12-oplist-strict-fprobe-state.ftrace",
        allocator: K6_12,
        options: plain,
        counts: (2200, 753, 431, 0),
    },
    Excerpt {
        name: "linux-6.12-mixed-lazy-fprobe-state.ftrace",
        allocator: K6_12,
        options: plain,
        counts: (900, 239, 115, 4),
    },
    Excerpt {
        name: "linux-6.12-net-lazy-kprobe.perf-script",
        allocator: K6_12,
        options: plain,
        counts: (900, 216, 158, 4),
    },
    Excerpt {
        name: "linux-6.12-net-strict-kprobe-iommu.report",
        allocator: K6_12,
        options: plain,
        counts: (900, 203, 145, 4),
    },
    Excerpt {
        name: "linux-6.12-mixed-strict-iommu-dma-events.ftrace",
        allocator: K6_12,
        options: strict_devices,
        counts: (900, 429, 371, 4),
    },
    Excerpt {
        name: "linux-6.12-fill32-lazy-iommu-dma-events.ftrace",
        allocator: K6_12,
        options: lazy_with_windows,
        counts: (1800, 906, 901, 0),
    },
    Excerpt {
        name: "linux-6.1-disk-lazy-iommu-events.ftrace",
        allocator: K6_1,
        options: lazy,
        counts: (900, 876, 818, 796),
    },
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

pub(crate) fn unpacked(path: &Path) -> Vec<u8> {
    let file =
        fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let mut text = text(file).expect("a file that can be read");
    text.read_to_end(&mut bytes).expect("gzip");
    bytes
}

/// An excerpt's text.
pub(crate) fn excerpt(name: &str) -> Vec<u8> {
    unpacked(&folder().join(format!("{name}.txt.gz")))
}

/// The trace file that an import makes.
fn written(imported: &Imported) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &imported.header).expect("memory");
    for event in &imported.events {
        writer.write(event).expect("memory");
    }
    writer.finish().expect("memory")
}

/// How many answers were compared, and how many differ, by domain.
#[derive(Debug, Default)]
struct Agreement {
    compared: u64,
    differing: BTreeMap<u64, u64>,
}

fn agreement(imported: &Imported, allocator: &str) -> Agreement {
    let allocator: Allocator = allocator.parse().expect("an allocator");
    let header = &imported.header;
    let config = DomainConfig::new(&allocator, header.domain_options()).expect("a domain");
    let mut replay = Replay::new(config, header.cpus);
    let mut checker = Checker::new(header);
    let mut agreement = Agreement::default();
    for (number, event) in (0..).zip(&imported.events) {
        let request = checker.admit(Place::Event(number), event);
        let request = request.unwrap_or_else(|error| panic!("{error}"));
        let answer = replay.apply(&request).expect("a kernel that goes on");
        let (Op::Alloc { got, .. } | Op::Map { got, .. }) = event.op else {
            continue;
        };
        if got == Got::Unrecorded {
            continue;
        }
        let answered = match answer.expect("an answer").result {
            Ok(pfn) => Got::Pfn(pfn),
            Err(_) => Got::Failed,
        };
        agreement.compared += 1;
        if answered != got {
            *agreement.differing.entry(event.dom).or_default() += 1;
        }
    }
    agreement
}

fn imported(excerpt: &Excerpt, text: &[u8]) -> Imported {
    read(text, &(excerpt.options)()).unwrap_or_else(|error| panic!("{}: {error}", excerpt.name))
}

#[test]
fn excerpts_become_the_same_traces_as_ever() {
    for one in EXCERPTS {
        let imported = imported(one, &excerpt(one.name));
        let trace = written(&imported);
        let golden = folder().join(format!("{}.trace.jsonl.gz", one.name));
        if std::env::var_os("BLESS").is_some() {
            let mut file = GzEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::Write::write_all(&mut file, &trace).expect("memory");
            #[expect(clippy::disallowed_methods, reason = "a golden file is made by hand")]
            fs::write(&golden, file.finish().expect("memory")).expect("a writable folder");
        }
        let expected = unpacked(&golden);
        let differs = expected.iter().zip(&trace).position(|(a, b)| a != b);
        let line = differs.map(|at| expected[..at].split(|b| *b == b'\n').count());
        assert!(expected == trace, "{}: differs in line {line:?}", one.name);
        let report = imported.report;
        let counts = (report.lines, report.events, report.allocs);
        assert_eq!(
            counts,
            (one.counts.0, one.counts.1, one.counts.2),
            "{}",
            one.name
        );
    }
}

#[test]
fn replays_answer_as_the_kernel_that_was_recorded() {
    for one in EXCERPTS {
        let imported = imported(one, &excerpt(one.name));
        let agreement = agreement(&imported, one.allocator);
        assert_eq!(agreement.compared, one.counts.2, "{}", one.name);
        let differing: u64 = agreement.differing.values().sum();
        assert_eq!(differing, one.counts.3, "{}: {agreement:?}", one.name);
    }
}

/// The excerpt of a driver that fills the 32-bit space, without the creation of its domain.
#[test]
fn reserved_ranges_are_inferred_from_the_answers() {
    let text = excerpt("linux-6.12-fill32-strict-kprobe-iommu.ftrace");
    let text = String::from_utf8(text).expect("text");
    let made = [
        "init_iova_domain",
        "iova_domain_init_rcaches",
        "reserve_iova",
    ];
    let kept = text
        .lines()
        .filter(|line| !made.iter().any(|name| line.contains(name)));
    let text = kept.collect::<Vec<_>>().join("\n") + "\n";
    let differing = |options: &Options| {
        let imported = read(&text, options).expect("a recording");
        let agreement = agreement(&imported, K6_12);
        (
            agreement.differing.values().sum::<u64>(),
            imported.report.notes,
        )
    };
    let (without, notes) = differing(&plain());
    let offered = notes.iter().find(|note| note.contains("--infer-reserved"));
    let offered = offered.expect("the ranges are offered");
    // The bridge windows, with what lies between them and was not needed.
    let expected = "--reserved 0xbfeab-0xfefff --reserved 0x7fef0-0xaffff";
    assert!(offered.contains(expected), "{offered}");
    let (with, notes) = differing(&Options {
        infer_reserved: true,
        ..plain()
    });
    assert!(
        notes.iter().any(|note| note.starts_with("reserved ")),
        "{notes:?}"
    );
    assert!(without > 0 && with == 0, "{without} without, {with} with");
}

#[test]
fn probes_at_exits_alone_show_the_same_calls() {
    let untimed = |imported: &Imported| -> Vec<_> {
        let events = imported.events.iter();
        events
            .map(|event| (event.cpu, event.dom, event.op.clone()))
            .collect()
    };
    for name in [
        "linux-6.12-oplist-strict-fprobe-state.ftrace",
        "linux-6.12-fill32-strict-kprobe-iommu.ftrace",
    ] {
        let text = String::from_utf8(excerpt(name)).expect("text");
        let both = read(&text, &Options::default()).expect("a recording");
        assert!(both.events.len() > 700);
        for returns_to in ["free_iova_fast", "caller"] {
            let alone = exits_alone(&text, returns_to);
            let alone = read(alone, &Options::default()).expect("a recording");
            assert_eq!(untimed(&both), untimed(&alone), "{name} {returns_to}");
            assert_eq!(
                both.report.nested, alone.report.nested,
                "{name} {returns_to}"
            );
        }
    }
}

/// The lines of the same run with probes at exits alone: arguments and answer on one line, inner
/// calls before the outer one. Frees were recorded at their entries; the inner one changes places
/// with the outer one, and returns to `returns_to`: the caller, where the outer one ends in a jump.
fn exits_alone(text: &str, returns_to: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut open: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let (head, rest) = line.split_once(": (").unwrap_or((line, ""));
        let (who, event) = head.rsplit_once(' ').unwrap_or((head, ""));
        let arguments = rest.split_once(") ").map_or("", |(_, arguments)| arguments);
        match event {
            "alloc_iova_fast" | "alloc_iova" => {
                open.push((event.to_owned(), arguments.to_owned()));
            }
            "alloc_iova_fast_ret" | "alloc_iova_ret" => {
                let (event, entry) = open.pop().expect("an entry");
                let place = rest.split_once(')').expect("a place").0;
                let answer = arguments
                    .split(' ')
                    .filter(|word| !word.starts_with("iovad="));
                let answer: Vec<&str> =
                    answer.filter(|word| !word.starts_with("size=")).collect();
                lines.push(format!(
                    "{who} {event}: ({place}) {entry} {}",
                    answer.join(" ")
                ));
            }
            "free_iova_fast" => {
                lines.push(format!(
                    "{who} {event}: (caller+0x1/0x2 <- {event}) {arguments}"
                ));
            }
            "free_iova" => {
                // Inner calls follow the outer one.
                let pfn = arguments.split(' ').next_back().expect("a pfn");
                let inside = lines.last().is_some_and(|last| {
                    last.contains(" free_iova_fast:") && last.contains(&format!(" {pfn} "))
                });
                let caller = if inside { returns_to } else { "caller" };
                let line = format!("{who} {event}: ({caller}+0x1/0x2 <- {event}) {arguments}");
                match lines.pop_if(|_| inside) {
                    // It keeps its place in time, the outer one gets this one's.
                    Some(outer) => {
                        let (_, outer) = outer.split_once(" free_iova_fast:").expect("a free");
                        lines.push(line);
                        lines.push(format!("{who} free_iova_fast:{outer}"));
                    }
                    None => lines.push(line),
                }
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

#[test]
fn the_whole_recording_among_the_traces_agrees_in_every_answer() {
    let path = "traces/linux-6.12-fill32.trace.jsonl.zst";
    let file = fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let reader = Reader::new(path, file.expect("a trace")).expect("a trace");
    let imported = Imported {
        header: reader.header().clone(),
        events: reader.map(|event| event.expect("an event").1).collect(),
        report: Report::default(),
    };
    assert!(
        imported
            .header
            .kernel
            .as_ref()
            .is_some_and(|kernel| kernel.starts_with("6.12.117"))
    );
    let agreement = agreement(&imported, K6_12);
    assert_eq!(agreement.compared, 3238);
    assert_eq!(agreement.differing, BTreeMap::new());
}

#[test]
fn a_recording_that_is_cut_short_while_packed_is_an_error() {
    let packed = fs::read(folder().join("linux-6.1-mixed-strict-kprobe.ftrace.txt.gz"));
    let packed = packed.expect("a file");
    let half = packed[..packed.len() / 2].to_vec();
    let error = import("half.gz", || text(Cursor::new(half.clone())), &plain());
    let error = error.map(|_| ()).expect_err("cut short").to_string();
    assert!(
        error.starts_with("half.gz: ") && error.contains("gzip"),
        "{error}"
    );
}

/// A whole recording: how it is read, its events and requests, and how many answers differ in which
/// domains.
type Whole = (
    &'static str,
    &'static str,
    fn() -> Options,
    u64,
    u64,
    &'static [(u64, u64)],
);

/// The numbers of requests are those of the recordings' own README: `alloc_iova_fast` and top-level
/// `alloc_iova`, or the `dma` events that map. Of `iommu` events, which show neither requests nor
/// domains, they are what the importer makes of them.
const WHOLE: [Whole; 14] = [
    (
        "linux-6.1-mixed-strict-kprobe.ftrace",
        K6_1,
        plain,
        19_636,
        10_323,
        &[],
    ),
    (
        "linux-6.12-fill32-strict-kprobe-iommu.ftrace",
        K6_12,
        plain,
        6158,
        3238,
        &[],
    ),
    (
        "linux-6.12-oplist-strict-fprobe-state.ftrace",
        K6_12,
        plain,
        4665,
        2632,
        &[],
    ),
    // Domain 9 was used before the probes were set.
    (
        "linux-6.12-mixed-lazy-fprobe-state.ftrace",
        K6_12,
        plain,
        39_296,
        20_148,
        &[(9, 1585)],
    ),
    // In domain 9, a search waited 11 ms between its look into the caches and the tree, while
    // another CPU filled the depot: no order of the calls gives that.
    (
        "linux-6.12-disk-lazy-kprobe.ftrace",
        K6_12,
        plain,
        97_327,
        49_177,
        &[(9, 7354)],
    ),
    // Domain 6 was used before the probes were set.
    (
        "linux-6.12-net-lazy-kprobe.perf-script",
        K6_12,
        plain,
        101_788,
        52_171,
        &[(6, 4)],
    ),
    // So was domain 6 here. 245 frees in domains 7 and 8 were missed, and are put where `iommu` events
    // show the unmapping; domain 7 reaches down to what is reserved, which is not on record.
    (
        "linux-6.12-net-strict-kprobe-iommu.trace.dat.report",
        K6_12,
        plain,
        81_927,
        42_262,
        &[(6, 4), (7, 1684)],
    ),
    (
        "linux-6.12-net-strict-kprobe-iommu.trace.dat.report",
        K6_12,
        with_windows,
        81_972,
        42_262,
        &[(6, 4)],
    ),
    (
        "linux-6.12-net-strict-kprobe-iommu.trace.dat.report",
        K6_12,
        with_windows_and_state_before,
        81_980,
        42_262,
        &[],
    ),
    // With what these show of the time before.
    (
        "linux-6.12-net-lazy-kprobe.perf-script",
        K6_12,
        with_state_before,
        101_796,
        52_171,
        &[],
    ),
    (
        "linux-6.12-mixed-lazy-fprobe-state.ftrace",
        K6_12,
        with_state_before,
        39_328,
        20_148,
        &[(9, 265)],
    ),
    // Domain 6 was used before; in domain 0, two CPUs overlapped, and these events are printed after
    // the allocator's work.
    (
        "linux-6.12-mixed-strict-iommu-dma-events.ftrace",
        K6_12,
        strict_devices,
        68_642,
        34_854,
        &[(0, 3696), (6, 1127)],
    ),
    // When the flush queue's timer fires is not on record.
    (
        "linux-6.12-fill32-lazy-iommu-dma-events.ftrace",
        K6_12,
        lazy_with_windows,
        5830,
        3061,
        &[(0, 577)],
    ),
    // Several domains, taken for one.
    (
        "linux-6.1-disk-lazy-iommu-events.ftrace",
        K6_1,
        lazy,
        92_374,
        46_742,
        &[(0, 46_711)],
    ),
];

#[test]
fn whole_recordings_have_the_events_that_their_readme_states() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    if !shared.is_dir() {
        return;
    }
    for (name, allocator, options, events, requests, differing) in WHOLE {
        let text = unpacked(&shared.join(format!("{name}.txt.gz")));
        let imported = read(text, &options()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = &imported.report;
        assert_eq!(
            (report.events, report.allocs),
            (events, requests),
            "{name}: {report}"
        );
        let agreement = agreement(&imported, allocator);
        let found: Vec<(u64, u64)> = agreement.differing.into_iter().collect();
        assert_eq!(found, differing, "{name}");
        assert_eq!(agreement.compared, requests, "{name}");
    }
}
