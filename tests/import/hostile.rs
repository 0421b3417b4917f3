//! Input that no tracer wrote: nothing panics, and what is accepted is a valid trace.

use std::fmt::Write as _;

use iova::kernel::FlushQueue;
use iova::units::{Pfn, PfnRange};
use iovasim::import::{DomainChoice, Form, Options, RecordSource};
use proptest::prelude::*;

use super::read;
use super::recordings::{EXCERPTS, excerpt};

/// Everything allowed, so that as much as possible goes on.
pub(crate) fn lenient() -> Options {
    Options {
        mask: Some(u64::MAX),
        flush_queue: Some(FlushQueue::PerCpu),
        pci: Some(true),
        allow_lost: true,
        state_before: true,
        reserved: PfnRange::new(Pfn(1), Pfn(3)).into_iter().collect(),
        ..Options::default()
    }
}

/// Reads in every way; the answers do not matter.
fn try_all(text: &[u8]) {
    let sources = [
        None,
        Some(RecordSource::Probes),
        Some(RecordSource::Dma),
        Some(RecordSource::Iommu),
    ];
    for record_source in sources {
        for domain in [None, Some(DomainChoice::One)] {
            let options = Options {
                record_source,
                domain,
                ..lenient()
            };
            let _ = read(text, &options);
        }
    }
    let forced = Options {
        form: Some(Form::KernelLog),
        ..lenient()
    };
    let _ = read(text, &forced);
}

/// One thing that happens to a file.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Byte(prop::sample::Index, u8),
    Word(prop::sample::Index, &'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words = prop::sample::select(vec![
        "0x0",
        "18446744073709551615",
        "0xffffffffffffffff",
        "-1",
        "size=0",
        "pfn=0x1",
        "[003]",
        "iovad=0x1",
        "alloc_iova_fast:",
        "{}",
        "99999999999999999999",
    ]);
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        any::<prop::sample::Index>().prop_map(Damage::Drop),
        any::<prop::sample::Index>().prop_map(Damage::Double),
        any::<(prop::sample::Index, prop::sample::Index)>()
            .prop_map(|(a, b)| Damage::Swap(a, b)),
        any::<(prop::sample::Index, u8)>().prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (any::<prop::sample::Index>(), words).prop_map(|(at, word)| Damage::Word(at, word)),
    ]
}

fn apply(text: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for damage in damages {
        let count = lines.len();
        if count == 0 {
            break;
        }
        match damage {
            Damage::Cut(at) => {
                let mut all = lines.concat();
                all.truncate(at.index(all.len() + 1));
                lines = all
                    .split_inclusive(|b| *b == b'\n')
                    .map(<[u8]>::to_vec)
                    .collect();
            }
            Damage::Drop(at) => drop(lines.remove(at.index(count))),
            Damage::Double(at) => lines.insert(at.index(count), lines[at.index(count)].clone()),
            Damage::Swap(a, b) => lines.swap(a.index(count), b.index(count)),
            Damage::Byte(at, byte) => {
                let line = &mut lines[at.index(count)];
                let place = at.index(line.len());
                line[place] = *byte;
            }
            Damage::Word(at, word) => {
                let line = &mut lines[at.index(count)];
                let text = String::from_utf8_lossy(line).into_owned();
                let mut words: Vec<&str> = text.split(' ').collect();
                let place = at.index(words.len());
                words[place] = word;
                *line = words.join(" ").into_bytes();
            }
        }
    }
    lines.concat()
}

/// A record of a probe on a small world.
fn probe_record() -> impl Strategy<Value = (u32, u16, String)> {
    let call = (
        0..11_u8,
        0..2_u64,
        0..12_u64,
        prop::sample::select(vec![1_u64, 3, 4, 40]),
    );
    (0..3_u32, 0..3_u16, call).prop_map(|(pid, cpu, (what, domain, pfn, size))| {
        let arguments = match what {
            0 | 1 => format!("alloc_iova_fast: iovad={domain} size={size} limit=99 flush=1"),
            2 | 3 => format!("alloc_iova_fast_ret: pfn={pfn}"),
            4 => format!("alloc_iova: iovad={domain} size={size} limit=99 align=1"),
            5 => format!("alloc_iova_ret: iova={pfn} lo={pfn} hi={pfn}"),
            6 => format!("free_iova_fast: iovad={domain} pfn={pfn} size={size}"),
            7 => format!("free_iova: iovad={domain} pfn={pfn}"),
            8 => format!("__free_iova: iovad={domain} iova={pfn}"),
            9 => format!("iova_cpuhp_dead: cpu={cpu}"),
            _ if pfn < 6 => {
                format!("init_iova_domain: iovad={domain} granule=4096 start_pfn=1")
            }
            _ => format!("put_iova_domain: iovad={domain}"),
        };
        (pid, cpu, arguments)
    })
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_a_trace(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        try_all(&bytes);
    }

    #[test]
    fn any_words_are_an_error_or_a_trace(
        words in prop::collection::vec("[a-z]{1,3}-[0-9]|\\[[0-9]{1,3}\\]|[0-9]{1,2}\\.[0-9]{6}:|map:|IOMMU:|iova=0x[0-9a-f]{1,17}|size=[0-9]{1,20}|\n| |0x[0-9a-f]{3}|[0-9]", 0..60)
    ) {
        try_all(words.join(" ").as_bytes());
    }

    #[test]
    fn damaged_recordings_are_an_error_or_a_trace(
        which in 0..EXCERPTS.len(),
        damages in prop::collection::vec(damage(), 1..8),
    ) {
        let text = excerpt(EXCERPTS[which].name);
        let start = text.len().saturating_sub(20_000);
        try_all(&apply(&text[start..], &damages));
    }

    #[test]
    fn any_calls_are_a_valid_trace(records in prop::collection::vec(probe_record(), 1..60)) {
        let mut text = String::new();
        for (number, (pid, cpu, arguments)) in records.iter().enumerate() {
            let seconds = number / 7;
            writeln!(text, "t-{pid} [{cpu}] ... {seconds}.{number:06}: {arguments}").expect("text");
        }
        for state_before in [false, true] {
            let options = Options { state_before, ..Options::default() };
            if let Ok(imported) = read(&text, &options) {
                let report = imported.report;
                let with = |part: &str| {
                    let found = records.iter().filter(|(_, _, text)| text.contains(part));
                    found.count() as u64
                };
                // Nested are frees too.
                let returns = with("_ret");
                let answered = report.allocs + report.returns_unmatched;
                prop_assert!(answered <= returns && returns <= answered + report.nested);
                let open = report.entries_unmatched + report.open_at_end;
                let entered = with("alloc_iova_fast:") + with("alloc_iova:");
                prop_assert_eq!(entered + report.returns_unmatched, returns + open);
            }
        }
    }
}
