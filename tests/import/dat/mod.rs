//! trace-cmd's binary file: the same as the text of the same recording.

#[path = "../../../crates/tracedat/tests/file/damage.rs"]
mod damage;
mod damaged;
#[path = "../../../crates/tracedat/tests/file/encode.rs"]
mod encode;
mod text;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use iova::units::Pfn;
use iovasim::import::{DomainChoice, Form, Options, Report, import, text as unpack};

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

/// A file with `map`s of a page, at times and on CPUs.
fn maps(at: &[(u16, u64)]) -> Dat {
    let mut dat = Dat::new(Version::Six);
    let values = |iova: u64| vec![Value::Number(iova, 8), Value::Number(4096, 8)];
    dat.formats = vec![Format {
        system: "iommu".to_owned(),
        name: "map".to_owned(),
        fields: ["iova", "size"].map(str::to_owned).to_vec(),
        shape: values(0),
    }];
    let entry = |(number, (cpu, at)): (u64, &(u16, u64))| Entry {
        cpu: *cpu,
        at: *at,
        pid: 7,
        format: 0,
        // Not next to each other, or they would be taken for one.
        values: values(number << 13),
    };
    dat.entries = (1..).zip(at).map(entry).collect();
    dat
}

fn options(allow_lost: bool) -> Options {
    Options {
        limit: Some(Pfn(0xf_ffff)),
        domain: Some(DomainChoice::One),
        allow_lost,
        ..Options::default()
    }
}

#[test]
fn losses_are_counted_or_refused() {
    let at: Vec<(u16, u64)> = (0..400).map(|at| (u16::from(at % 4 == 1), at)).collect();
    let lossless = maps(&at);
    assert!(read(lossless.bytes(), &options(false)).is_ok());
    for (missed, refusal, lost, uncounted) in [
        (vec![(0, 1, Some(12))], "lost 12 events on CPU 0", 12, 0),
        (
            vec![(1, 0, None)],
            "lost an unknown number of events on CPU 1",
            0,
            1,
        ),
        (
            vec![(0, 1, Some(2)), (0, 2, Some(3))],
            "lost 2 events on CPU 0",
            5,
            0,
        ),
    ] {
        let mut dat = lossless.clone();
        dat.missed.clone_from(&missed);
        let error = read(dat.bytes(), &options(false)).map(|_| ());
        let error = error.expect_err("lost");
        assert!(error.contains(refusal), "{error}");
        assert!(error.starts_with("recording: "), "{error}");
        let imported = read(dat.bytes(), &options(true)).expect("allowed");
        assert_eq!(imported.report.lost, lost, "{missed:?}");
        assert_eq!(imported.report.lost_uncounted, uncounted, "{missed:?}");
        assert_eq!(imported.events.len(), 400);
    }
}

#[test]
fn errors_name_the_file_and_the_byte() {
    let mut dat = maps(&[(0, 5), (1, 6)]);
    let map = dat.entries[1].values.clone();
    dat.entries[1].format = 9;
    let error = refused(dat.bytes());
    let id = FIRST_ID + 9;
    assert!(
        error.contains(&format!(": `common_type`: found {id}, expected the id")),
        "{error}"
    );
    assert!(error.starts_with("recording: byte "), "{error}");
    // The importer's own errors too.
    dat.entries[1].format = 0;
    dat.entries[1].values = vec![map[0].clone(), Value::Number(0, 8)];
    let error = read(dat.bytes(), &options(false)).map(|_| ());
    let error = error.expect_err("an empty map");
    assert!(error.starts_with("recording: byte "), "{error}");
    assert!(error.contains(": `size` of `map`: found `0`"), "{error}");
}

#[test]
fn negative_numbers_are_not_taken_for_large_ones() {
    let mut dat = Dat::new(Version::Six);
    let fields = [
        ("__probe_func", Value::Number(0xffff_ffff_8100_0000, 8)),
        ("__probe_ret_ip", Value::Number(0xffff_ffff_8200_0000, 8)),
        ("iovad", Value::Number(0xff00, 8)),
        ("size", Value::Number(1, 8)),
        ("limit", Value::Number(0xf_ffff, 8)),
        ("flush", Value::Number(1, 1)),
        ("pfn", Value::Signed(-2, 2)),
    ];
    let values = fields.clone().map(|(_, value)| value).to_vec();
    dat.formats = vec![Format {
        system: "iova".to_owned(),
        name: "alloc_iova_fast_ret".to_owned(),
        fields: fields.map(|(name, _)| name.to_owned()).to_vec(),
        shape: values.clone(),
    }];
    dat.entries = vec![Entry {
        cpu: 0,
        at: 1,
        pid: 7,
        format: 0,
        values,
    }];
    let error = refused(dat.bytes());
    let expected = ": `pfn` of `alloc_iova_fast_ret`: found `-2`, expected a number";
    assert!(error.contains(expected), "{error}");
}
