//! trace-cmd's binary file: the same as the text of the same recording.

mod damage;
mod encode;
mod text;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use iovasim::import::{Choice, Form, Options, Report, import, text as unpack};
use proptest::prelude::*;

use super::recordings::{EXCERPTS, excerpt, unpacked};
use super::{Imported, plain, read, refused};
use encode::{Dat, Entry, FIRST_ID, Format, Packing, Value, Version};

const RECORDING: &str = "linux-6.12-net-strict-kprobe-iommu";

const VERSIONS: [Version; 4] = [
    Version::Six,
    Version::Seven(Packing::None),
    Version::Seven(Packing::Zstd),
    Version::Seven(Packing::Zlib),
];

/// Excerpts in versions 6 and 7, of the events that the excerpt of the report has.
fn files() -> [Vec<u8>; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let six = unpacked(&folder.join(format!("{RECORDING}.v6.trace.dat.gz")));
    let seven = fs::read(folder.join(format!("{RECORDING}.v7.trace.dat")));
    [six, seven.expect("a file")]
}

/// A report but for what depends on how the recording is written.
fn accounted(imported: &Imported) -> Report {
    Report {
        form: None,
        lines: 0,
        ..imported.report.clone()
    }
}

/// That a file gives the events of the report's text. The text rounds times to microseconds, half
/// up: there is one offset below a microsecond, that of the first event, which explains all times.
fn assert_as_report(file: &Imported, text: &Imported) {
    assert_eq!(accounted(file), accounted(text));
    assert_eq!(file.header.cpus, text.header.cpus);
    assert_eq!(file.header.kernel.as_deref(), Some("6.12.117+deb12-amd64"));
    let untimed = |imported: &Imported| {
        let events = imported.events.iter();
        let untimed = events.map(|event| (event.cpu, event.dom, event.op.clone()));
        untimed.collect::<Vec<_>>()
    };
    assert!(untimed(file) == untimed(text));
    let rounded = |nanos: u64| (nanos + 500) / 1000 * 1000;
    let explains = |offset: &u64| {
        let mut both = file.events.iter().zip(&text.events);
        both.all(|(exact, event)| rounded(exact.at.0 + offset) - rounded(*offset) == event.at.0)
    };
    let offsets = (0..1000).filter(explains).count();
    assert!(offsets > 0, "times differ by more than rounding");
    assert!(offsets < 1000, "no time is finer than the text's");
}

#[test]
fn excerpts_are_what_the_report_of_them_says() {
    let text = plain(excerpt(&format!("{RECORDING}.report")));
    for bytes in files() {
        let file = plain(bytes);
        assert_eq!(file.report.form, Some(Form::TraceDat));
        assert_eq!(file.report.records.values().sum::<u64>(), 899);
        assert_as_report(&file, &text);
    }
}

#[test]
fn whole_files_are_what_the_report_of_them_says() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    if !shared.is_dir() {
        return;
    }
    let text = unpacked(&shared.join(format!("{RECORDING}.trace.dat.report.txt.gz")));
    let six = unpacked(&shared.join(format!("{RECORDING}.v6.trace.dat.gz")));
    let seven = fs::read(shared.join(format!("{RECORDING}.trace.dat"))).expect("a file");
    for state_before in [false, true] {
        let options = Options {
            state_before,
            ..Options::default()
        };
        let text = read(&text, &options).expect("a recording");
        for bytes in [&six, &seven] {
            let file = read(bytes, &options).expect("a recording");
            // The numbers that the recordings' README states.
            let records = [
                ("alloc_iova", 4871),
                ("alloc_iova_fast", 42262),
                ("alloc_iova_fast_ret", 42262),
                ("alloc_iova_ret", 4871),
                ("free_iova_fast", 39420),
                ("map", 42409),
                ("unmap", 39665),
            ];
            let records = records.map(|(name, count)| (name.to_owned(), count));
            assert_eq!(file.report.records, records.into());
            assert_as_report(&file, &text);
        }
    }
}

#[test]
fn the_form_is_recognised_inside_gzip_and_may_be_forced() {
    let packed = fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/recordings/{RECORDING}.v6.trace.dat.gz")),
    )
    .expect("a file");
    let forced = |form| Options {
        form,
        ..Options::default()
    };
    let events = |form| {
        let open = || unpack(Cursor::new(packed.clone()));
        let imported = import("f", open, &forced(form)).map_err(|error| error.to_string())?;
        Ok::<_, String>(imported.count())
    };
    let all = plain(&files()[0]).events.len();
    assert_eq!(events(None), Ok(all));
    assert_eq!(events(Some(Form::TraceDat)), Ok(all));
    let error = events(Some(Form::Ftrace)).expect_err("another form");
    let expected = "f: this is trace-cmd's binary file, not ftrace text: --from trace-dat";
    assert_eq!(error, expected);
    let error = read("cpus=2\n", &forced(Some(Form::TraceDat))).map(|_| ());
    let error = error.expect_err("another form");
    let expected = "recording: byte 0: `magic` ends too early: found 7 bytes, expected 10; was the \
                    file cut short?";
    assert_eq!(error, expected);
    let error = read("cpus=2 and more\n", &forced(Some(Form::TraceDat))).map(|_| ());
    let error = error.expect_err("another form");
    let expected =
        "recording: byte 0: `magic`: found `cpus=2 and`, expected `\\x17\\x08Dtracing`";
    assert_eq!(error, expected);
}

#[test]
fn every_text_is_the_same_as_a_file() {
    let mut compared = 0;
    for one in EXCERPTS.iter().filter(|one| one.name.ends_with("ftrace")) {
        let lines = String::from_utf8(excerpt(one.name)).expect("text");
        for version in VERSIONS {
            let (exact, mut dat) = text::both(&lines, version);
            dat.big = compared % 2 == 1;
            dat.odd = 5;
            dat.page = 2048 << (compared % 3);
            let options = (one.options)();
            let text = read(exact, &options).expect("a recording");
            let file = read(dat.bytes(), &options).unwrap_or_else(|error| panic!("{error}"));
            let name = one.name;
            assert_eq!(accounted(&file), accounted(&text), "{name} {version:?}");
            assert_eq!(file.header.cpus, text.header.cpus, "{name}");
            assert!(file.events == text.events, "{name} {version:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 4 * 8);
}

/// A file with one kind of event, `map` of a page a time.
fn maps(version: Version, at: &[(u16, u64)]) -> Dat {
    let mut dat = Dat::new(version);
    let values = |iova: u64| vec![Value::Number(iova, 8), Value::Number(4096, 8)];
    dat.formats = vec![Format {
        system: "iommu".to_owned(),
        name: "map".to_owned(),
        fields: ["iova", "size"].map(str::to_owned).to_vec(),
        shape: values(0),
    }];
    dat.entries = (1..)
        .zip(at)
        .map(|(number, (cpu, at))| Entry {
            cpu: *cpu,
            at: *at,
            pid: 7,
            format: 0,
            // Not next to each other, or they would be taken for one.
            values: values(number << 13),
        })
        .collect();
    dat
}

fn one_domain() -> Options {
    Options {
        limit: Some(iova::units::Pfn(0xf_ffff)),
        domain: Some(Choice::One),
        ..Options::default()
    }
}

fn read_maps(dat: &Dat) -> Result<Imported, String> {
    read(dat.bytes(), &one_domain())
}

/// CPU and time of each event.
fn moments(imported: &Imported) -> Vec<(u16, u64)> {
    let events = imported.events.iter();
    events.map(|event| (event.cpu.0, event.at.0)).collect()
}

#[test]
fn events_of_one_time_come_by_their_cpus() {
    let dat = maps(
        Version::Six,
        &[(1, 5), (1, 8), (0, 5), (0, 6), (1, 9), (0, 9)],
    );
    let imported = read_maps(&dat).expect("a recording");
    let expected = [(0, 0), (1, 0), (0, 1), (1, 3), (0, 4), (1, 4)];
    assert_eq!(moments(&imported), expected);
}

#[test]
fn losses_are_counted_or_refused() {
    let at: Vec<(u16, u64)> = (0..400).map(|at| (u16::from(at % 4 == 1), at)).collect();
    let lossless = maps(Version::Six, &at);
    assert!(read_maps(&lossless).is_ok());
    let stats = |cpu, overrun| {
        let text = format!("CPU: {cpu}\nentries: 1\noverrun: {overrun}\ndropped events: 1\n");
        (2, text.into_bytes())
    };
    for (missed, options, refusal, lost, uncounted) in [
        (
            vec![(0, 1, Some(12))],
            vec![],
            "lost 12 events on CPU 0",
            12,
            0,
        ),
        (
            vec![(1, 0, None)],
            vec![],
            "lost an unknown number of events on CPU 1",
            0,
            1,
        ),
        (
            vec![(0, 1, Some(2)), (0, 2, Some(3))],
            vec![],
            "lost 2 events on CPU 0",
            5,
            0,
        ),
        // Statistics say the same or more.
        (
            vec![(0, 1, Some(12))],
            vec![stats(0, 11)],
            "lost 12 events on CPU 0",
            12,
            0,
        ),
        (
            vec![(0, 1, Some(12))],
            vec![stats(0, 14)],
            "lost 12 events on CPU 0",
            15,
            0,
        ),
        (
            vec![(0, 1, None)],
            vec![stats(0, 14)],
            "lost an unknown number",
            0,
            1,
        ),
        (vec![], vec![stats(1, 7)], "lost 8 events on CPU 1", 8, 0),
        (vec![], vec![stats(5, 0)], "lost 1 events on CPU 5", 1, 0),
    ] {
        for version in VERSIONS {
            let mut dat = lossless.clone();
            dat.version = version;
            dat.missed.clone_from(&missed);
            dat.options.extend(options.clone());
            let error = read_maps(&dat).map(|_| ()).expect_err("lost");
            assert!(error.contains(refusal), "{error}");
            let allowed = Options {
                allow_lost: true,
                ..one_domain()
            };
            let imported = read(dat.bytes(), &allowed).expect("allowed");
            assert_eq!(imported.report.lost, lost, "{missed:?}");
            assert_eq!(imported.report.lost_uncounted, uncounted, "{missed:?}");
            assert_eq!(imported.events.len(), 400);
        }
    }
}

#[test]
fn a_page_without_events_may_say_what_was_lost_behind_the_last() {
    let mut dat = maps(Version::Six, &[(0, 5)]);
    dat.missed = vec![(1, 0, None)];
    let error = read_maps(&dat).map(|_| ()).expect_err("lost");
    assert!(
        error.contains("unknown number of events on CPU 1"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let small = |version| maps(version, &[(0, 5), (1, 6)]);
    let refused_maps = |dat: &Dat| read_maps(dat).map(|_| ()).expect_err("refused");
    let seven = Version::Seven(Packing::None);

    let mut bytes = small(Version::Six).bytes();
    bytes[10] = b'8';
    let expected = "recording: byte 10: `version`: found 8, expected 6 or 7";
    assert_eq!(refused(&bytes), expected);
    bytes[10] = b'6';
    bytes[12] = 2;
    let expected = "recording: byte 12: `byte order`: found 2, expected 0 (little) or 1 (big)";
    assert_eq!(refused(&bytes), expected);

    for version in [Version::Six, seven] {
        let mut dat = small(version);
        dat.options.push((4, b"local [counter]\n\0".to_vec()));
        if version == Version::Six {
            let error = refused_maps(&dat);
            assert!(
                error.contains("`clock`: found counter, expected one that"),
                "{error}"
            );
        }
        let mut dat = small(version);
        dat.entries[1].format = 9;
        let error = refused_maps(&dat);
        let id = FIRST_ID + 9;
        assert!(
            error.contains(&format!("`common_type`: found {id}, expected the id")),
            "{error}"
        );
        assert!(error.starts_with("recording: byte "), "{error}");
        let mut dat = small(version);
        dat.entries[1].pid = u32::MAX;
        let error = refused_maps(&dat);
        assert!(
            error.contains("`common_pid of map`: found -1, expected"),
            "{error}"
        );
    }

    let mut dat = small(Version::Six);
    dat.options.push((3, b"\0\0\0\0\0\0\0\0other\0".to_vec()));
    let error = refused_maps(&dat);
    assert!(
        error.contains("`buffer`: found other, expected the main buffer"),
        "{error}"
    );
    let mut dat = small(seven);
    dat.buffers = vec!["", "other"];
    let error = refused_maps(&dat);
    assert!(
        error.contains("`buffers`: found the main one, `other`, expected one"),
        "{error}"
    );
    dat.buffers = vec!["other"];
    assert!(read_maps(&dat).is_ok());

    let mut bytes = small(Version::Six).bytes();
    let tag = bytes.windows(10).position(|bytes| bytes == b"flyrecord\0");
    let tag = tag.expect("a tag");
    bytes[tag..tag + 10].copy_from_slice(b"latency  \0");
    let error = refused(&bytes);
    assert!(
        error.contains("found the text of a latency tracer"),
        "{error}"
    );
}

#[test]
fn cpus_have_the_numbers_that_the_file_gives() {
    let mut dat = maps(Version::Seven(Packing::Zstd), &[(0, 5), (1, 5), (0, 6)]);
    dat.numbers = Some(vec![5, 3]);
    dat.documented = true;
    let imported = read_maps(&dat).expect("a recording");
    assert_eq!(moments(&imported), [(3, 0), (5, 0), (5, 1)]);
    dat.numbers = Some(vec![1, 1]);
    let error = read_maps(&dat).map(|_| ()).expect_err("refused");
    assert!(
        error.contains("`CPUs with data`: found CPU 1 twice, expected one each"),
        "{error}"
    );
}

#[test]
fn counts_of_a_time_stamp_counter_become_nanoseconds() {
    let mut dat = maps(Version::Six, &[(0, 1000), (1, 1010), (0, 3000)]);
    dat.options.push((4, b"mono [x86-tsc]\0".to_vec()));
    let scale = [dat.number(3, 4), dat.number(1, 4), dat.number(77, 8)];
    dat.options.push((14, scale.concat()));
    let imported = read_maps(&dat).expect("a recording");
    assert_eq!(moments(&imported), [(0, 0), (1, 15), (0, 3000)]);
}

#[test]
fn no_more_is_taken_than_the_file_has() {
    let dat = maps(Version::Six, &[(0, 5), (1, 6)]);
    let mut bytes = dat.bytes();
    let tag = bytes.windows(10).position(|bytes| bytes == b"flyrecord\0");
    let table = tag.expect("a tag") + 10;
    // The second CPU's pages are all of the file.
    let size = bytes.len() as u64;
    bytes[table + 16..table + 24].fill(0);
    bytes[table + 24..table + 32].copy_from_slice(&size.to_le_bytes());
    let error = refused(&bytes);
    assert!(
        error.contains("`sizes of all CPUs' data`: found "),
        "{error}"
    );
    bytes[table + 24..table + 32].copy_from_slice(&(size + 1).to_le_bytes());
    let error = refused(&bytes);
    assert!(
        error.contains("`a CPU's data` ends too early: found "),
        "{error}"
    );
}

#[test]
fn what_is_wrong_in_a_chunk_is_said_with_both_places() {
    let mut dat = maps(Version::Seven(Packing::Zlib), &[(0, 5), (0, 6)]);
    dat.entries[1].pid = u32::MAX;
    let error = read_maps(&dat).map(|_| ()).expect_err("refused");
    let (byte, rest) = error.split_once(", ").expect("two places");
    assert!(byte.starts_with("recording: byte "), "{error}");
    // 16 bytes before the events, 4 before each, 24 of the first.
    let expected = "unpacked byte 48: `common_pid of map`: found -1, expected a number from 0";
    assert_eq!(rest, expected);
}

#[test]
fn options_that_go_in_a_circle_are_refused() {
    let dat = maps(Version::Seven(Packing::None), &[(0, 5)]);
    let mut bytes = dat.bytes();
    // The first section of options is the last of the file, and ends with where the next one is.
    let first = bytes[24..32].to_vec();
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&first);
    let error = refused(&bytes);
    assert!(
        error.contains("`offset of further options`: found "),
        "{error}"
    );
    assert!(
        error.contains("expected an offset not seen before"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn times_of_any_distance_are_exact(
        gaps in prop::collection::vec((0_u16..2, 0_u32..62, any::<u64>()), 1..60),
        odd in 1_usize..6,
        big: bool,
    ) {
        let mut now = 0_u64;
        let mut at = Vec::new();
        for (cpu, bits, gap) in gaps {
            // Never near the end of the clock.
            now = now.saturating_add(gap >> (63 - bits)).min(1 << 62);
            at.push((cpu, now));
        }
        let start = at.iter().map(|(_, at)| *at).min().unwrap_or(0);
        let mut expected = at.clone();
        expected.sort_by_key(|(cpu, at)| (*at, *cpu));
        let expected: Vec<(u16, u64)> =
            expected.into_iter().map(|(cpu, at)| (cpu, at - start)).collect();
        for version in [Version::Six, Version::Seven(Packing::Zstd)] {
            let mut dat = maps(version, &at);
            dat.odd = odd;
            dat.big = big;
            dat.page = 256;
            let imported = read_maps(&dat).unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(moments(&imported), expected.clone());
        }
    }
}
