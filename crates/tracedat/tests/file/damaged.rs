//! Files that no tracer wrote: reading them ends, without a panic, in events or an error.

use proptest::prelude::*;
use tracedat::{File, Item};

use crate::damage::{apply, damage};
use crate::encode::{Dat, Entry, Format, Packing, Value, Version};

/// Reads everything there is; the answers do not matter.
fn read_all(bytes: &[u8]) {
    let Ok(file) = File::read(bytes.to_vec()) else {
        return;
    };
    let Ok(mut records) = file.records() else {
        return;
    };
    while let Ok(Some(item)) = records.read() {
        if let Item::Record(record) = item {
            for field in &record.format.fields {
                let _ = record.value(field);
            }
        }
    }
}

/// A file with numbers, texts and arrays on two CPUs.
fn victim(version: Version, big: bool) -> Vec<u8> {
    let mut dat = Dat::new(version);
    let values = |number: u64| {
        vec![
            Value::Number(number, 8),
            Value::Text("0000:00:1f.2".to_owned()),
            Value::List(vec![number; 3], 8),
            Value::List(vec![7], 4),
            Value::Number(number & 0xff, 1),
            Value::Signed(-1, 4),
        ]
    };
    let fields = ["iova", "device", "addrs", "lengths", "flag", "error"];
    dat.formats = vec![Format {
        system: "dma".to_owned(),
        name: "map".to_owned(),
        fields: fields.map(str::to_owned).to_vec(),
        shape: values(0),
    }];
    let entry = |number: u64| Entry {
        cpu: u16::from(number % 3 == 1),
        at: number * 1000,
        pid: 7,
        format: 0,
        values: values(number << 12),
    };
    dat.entries = (1..40).map(entry).collect();
    dat.missed = vec![(0, 1, Some(3))];
    dat.big = big;
    dat.page = 512;
    dat.odd = 3;
    dat.bytes()
}

fn victims() -> Vec<Vec<u8>> {
    [
        (Version::Six, false),
        (Version::Six, true),
        (Version::Seven(Packing::None), false),
        (Version::Seven(Packing::None), true),
        (Version::Seven(Packing::Zstd), false),
        (Version::Seven(Packing::Zlib), true),
    ]
    .map(|(version, big)| victim(version, big))
    .to_vec()
}

#[test]
fn a_file_that_ends_anywhere_is_read_or_refused() {
    for bytes in victims() {
        for length in 0..bytes.len() {
            read_all(&bytes[..length]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_damaged_file_is_read_or_refused(
        which in 0..6_usize,
        damages in prop::collection::vec(damage(), 1..5),
    ) {
        thread_local!(static VICTIMS: Vec<Vec<u8>> = victims());
        let bytes = VICTIMS.with(|victims| victims[which].clone());
        read_all(&apply(bytes, &damages));
    }
}
