//! Files of both versions, byte orders and all compressions: what is read, what is refused.

use proptest::prelude::*;
use tracedat::{File, Item};

use crate::encode::{Dat, Entry, FIRST_ID, Format, Packing, Value, Version};

const VERSIONS: [Version; 4] = [
    Version::Six,
    Version::Seven(Packing::None),
    Version::Seven(Packing::Zstd),
    Version::Seven(Packing::Zlib),
];

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
            values: values(number << 12),
        })
        .collect();
    dat
}

/// What a file contains.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    /// CPU and time of each event.
    events: Vec<(u16, u64)>,
    losses: Vec<(u16, Option<u64>)>,
}

/// Reads a whole file, all values included.
fn read(bytes: &[u8]) -> Result<Contents, String> {
    let file = File::read(bytes.to_vec()).map_err(|error| error.to_string())?;
    let mut records = file.records().map_err(|error| error.to_string())?;
    let mut contents = Contents::default();
    while let Some(item) = records.read().map_err(|error| error.to_string())? {
        match item {
            Item::Lost { cpu, count } => contents.losses.push((cpu, count)),
            Item::Record(record) => {
                for field in &record.format.fields {
                    record.value(field).map_err(|error| error.to_string())?;
                }
                contents.events.push((record.cpu, record.nanoseconds));
            }
        }
    }
    Ok(contents)
}

fn events(dat: &Dat) -> Vec<(u16, u64)> {
    read(&dat.bytes()).expect("a file").events
}

fn refused(bytes: &[u8]) -> String {
    read(bytes).expect_err("refused")
}

/// Where a tag of version 6 begins.
fn tag_at(bytes: &[u8], tag: &[u8]) -> usize {
    let found = bytes.windows(tag.len()).position(|bytes| bytes == tag);
    found.expect("a tag")
}

#[test]
fn a_record_has_its_task_and_values() {
    for version in VERSIONS {
        for big in [false, true] {
            let mut dat = maps(version, &[(1, 5)]);
            dat.big = big;
            dat.options
                .push((5, b"Linux node 6.12.1 x86_64\0".to_vec()));
            let file = File::read(dat.bytes()).expect("a file");
            assert_eq!(file.kernel(), Some("6.12.1"));
            assert_eq!(file.clock(), Some("mono"));
            assert_eq!(file.cpus(), Some(2));
            assert_eq!(file.formats().count(), 1);
            let mut records = file.records().expect("records");
            let Some(Item::Record(record)) = records.read().expect("an item") else {
                panic!("no record");
            };
            assert_eq!((record.cpu, record.pid, record.nanoseconds), (1, 7, 5));
            let format = record.format;
            assert_eq!((&*format.system, &*format.name), ("iommu", "map"));
            let value = |name| record.value(format.field(name).expect("a field"));
            assert_eq!(value("iova"), Ok(tracedat::Value::Unsigned(0x1000)));
            assert_eq!(value("size"), Ok(tracedat::Value::Unsigned(4096)));
            assert!(records.read().expect("the end").is_none());
            assert!(records.read().expect("still the end").is_none());
        }
    }
}

#[test]
fn events_of_one_time_come_by_their_cpus() {
    let at = [(1, 5), (1, 8), (0, 5), (0, 6), (1, 9), (0, 9)];
    let expected = [(0, 5), (1, 5), (0, 6), (1, 8), (0, 9), (1, 9)];
    assert_eq!(events(&maps(Version::Six, &at)), expected);
}

#[test]
fn losses_are_reported_once() {
    let at: Vec<(u16, u64)> = (0..400).map(|at| (u16::from(at % 4 == 1), at)).collect();
    let lossless = maps(Version::Six, &at);
    assert_eq!(read(&lossless.bytes()).expect("a file").losses, []);
    let stats = |cpu, overrun| {
        let text = format!("CPU: {cpu}\nentries: 1\noverrun: {overrun}\ndropped events: 1\n");
        (2, text.into_bytes())
    };
    for (missed, options, losses) in [
        (vec![(0, 1, Some(12))], vec![], vec![(0, Some(12))]),
        (vec![(1, 0, None)], vec![], vec![(1, None)]),
        (
            vec![(0, 1, Some(2)), (0, 2, Some(3))],
            vec![],
            vec![(0, Some(2)), (0, Some(3))],
        ),
        // Statistics count the same or more.
        (
            vec![(0, 1, Some(12))],
            vec![stats(0, 11)],
            vec![(0, Some(12))],
        ),
        (
            vec![(0, 1, Some(12))],
            vec![stats(0, 14)],
            vec![(0, Some(12)), (0, Some(3))],
        ),
        (vec![(0, 1, None)], vec![stats(0, 14)], vec![(0, None)]),
        (vec![], vec![stats(1, 7)], vec![(1, Some(8))]),
        (vec![], vec![stats(5, 0)], vec![(5, Some(1))]),
    ] {
        for version in VERSIONS {
            let mut dat = lossless.clone();
            dat.version = version;
            dat.missed.clone_from(&missed);
            dat.options.extend(options.clone());
            let contents = read(&dat.bytes()).expect("a file");
            assert_eq!(contents.losses, losses, "{missed:?}");
            assert_eq!(contents.events.len(), 400);
        }
    }
    // A page without events may mark what was lost behind the last.
    let mut dat = maps(Version::Six, &[(0, 5)]);
    dat.missed = vec![(1, 0, None)];
    assert_eq!(read(&dat.bytes()).expect("a file").losses, [(1, None)]);
}

#[test]
fn errors_name_the_place() {
    let small = |version| maps(version, &[(0, 5), (1, 6)]);
    let seven = Version::Seven(Packing::None);

    let mut bytes = small(Version::Six).bytes();
    bytes[10] = b'8';
    assert_eq!(
        refused(&bytes),
        "byte 10: `version`: found 8, expected 6 or 7"
    );
    bytes[10] = b'6';
    bytes[12] = 2;
    let expected = "byte 12: `byte order`: found 2, expected 0 (little) or 1 (big)";
    assert_eq!(refused(&bytes), expected);
    let expected = "byte 0: `magic`: found `cpus=2 and`, expected `\\x17\\x08Dtracing`";
    assert_eq!(refused(b"cpus=2 and more\n"), expected);
    let expected = "byte 0: `magic` ends too early: found 7 bytes, expected 10; was the file cut \
                    short?";
    assert_eq!(refused(b"cpus=2\n"), expected);

    let assert_refused = |dat: &Dat, expected: &str| {
        let error = refused(&dat.bytes());
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with("byte "), "{error}");
    };
    let mut dat = small(Version::Six);
    dat.options.push((4, b"local [counter]\n\0".to_vec()));
    assert_refused(&dat, "`clock`: found counter, expected one that");
    for version in [Version::Six, seven] {
        let mut dat = small(version);
        dat.entries[1].format = 9;
        let id = FIRST_ID + 9;
        assert_refused(&dat, &format!("`common_type`: found {id}, expected the id"));
        let mut dat = small(version);
        dat.entries[1].pid = u32::MAX;
        assert_refused(&dat, "`common_pid of map`: found -1, expected");
    }
    let mut dat = small(Version::Six);
    dat.options.push((3, b"\0\0\0\0\0\0\0\0other\0".to_vec()));
    assert_refused(&dat, "`buffer`: found other, expected the main buffer");
    let mut dat = small(seven);
    dat.buffers = vec!["", "other"];
    assert_refused(&dat, "`buffers`: found the main one, `other`, expected one");
    dat.buffers = vec!["other"];
    assert!(read(&dat.bytes()).is_ok());

    let mut bytes = small(Version::Six).bytes();
    let tag = tag_at(&bytes, b"flyrecord\0");
    bytes[tag..tag + 10].copy_from_slice(b"latency  \0");
    let error = refused(&bytes);
    assert!(
        error.contains("found the text of a latency tracer"),
        "{error}"
    );

    // In a chunk: 16 bytes before the events, 4 before each, 24 of the first.
    let mut dat = maps(Version::Seven(Packing::Zlib), &[(0, 5), (0, 6)]);
    dat.entries[1].pid = u32::MAX;
    assert_refused(
        &dat,
        ", unpacked byte 48: `common_pid of map`: found -1, expected a number from 0",
    );
}

#[test]
fn cpus_have_the_numbers_that_the_file_gives() {
    let mut dat = maps(Version::Seven(Packing::Zstd), &[(0, 5), (1, 5), (0, 6)]);
    dat.numbers = Some(vec![5, 3]);
    dat.documented = true;
    assert_eq!(events(&dat), [(3, 5), (5, 5), (5, 6)]);
    dat.numbers = Some(vec![1, 1]);
    let error = refused(&dat.bytes());
    let expected = "`CPUs with data`: found CPU 1 twice, expected one each";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn counts_of_a_time_stamp_counter_become_nanoseconds() {
    let mut dat = maps(Version::Six, &[(0, 1000), (1, 1010), (0, 3000)]);
    dat.options.push((4, b"mono [x86-tsc]\0".to_vec()));
    let scale = [dat.number(3, 4), dat.number(1, 4), dat.number(77, 8)];
    dat.options.push((14, scale.concat()));
    assert_eq!(events(&dat), [(0, 1577), (1, 1592), (0, 4577)]);
}

#[test]
fn no_more_is_read_than_the_file_has() {
    let mut bytes = maps(Version::Six, &[(0, 5), (1, 6)]).bytes();
    let table = tag_at(&bytes, b"flyrecord\0") + 10;
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
fn options_that_go_in_a_circle_are_refused() {
    let mut bytes = maps(Version::Seven(Packing::None), &[(0, 5)]).bytes();
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

/// Events at distances of any size, never near the end of the clock.
fn moments() -> impl Strategy<Value = Vec<(u16, u64)>> {
    let gaps = prop::collection::vec((0_u16..2, 0_u32..62, any::<u64>()), 1..60);
    gaps.prop_map(|gaps| {
        let mut now = 0_u64;
        let moment = |(cpu, bits, gap): (u16, u32, u64)| {
            now = now.saturating_add(gap >> (63 - bits)).min(1 << 62);
            (cpu, now)
        };
        gaps.into_iter().map(moment).collect()
    })
}

proptest! {
    #[test]
    fn times_of_any_distance_are_exact(at in moments(), odd in 1_usize..6, big: bool) {
        let mut expected = at.clone();
        expected.sort_by_key(|(cpu, at)| (*at, *cpu));
        for version in [Version::Six, Version::Seven(Packing::Zstd)] {
            let mut dat = maps(version, &at);
            dat.odd = odd;
            dat.big = big;
            dat.page = 256;
            prop_assert_eq!(&events(&dat), &expected);
        }
    }
}
