//! Files that no tracer wrote: nothing panics, and what is accepted is a valid trace.

use iovasim::import::{DomainChoice, Options, RecordSource};
use proptest::prelude::*;

use super::encode::Version;
use super::{VERSIONS, damage, files, text};
use crate::hostile::lenient;
use crate::recordings::excerpt;
use crate::{assert_valid, read};

/// Reads in several ways; the answers do not matter.
fn try_all(bytes: &[u8]) {
    for record_source in [None, Some(RecordSource::Dma), Some(RecordSource::Iommu)] {
        let options = Options {
            record_source,
            domain: record_source.map(|_| DomainChoice::One),
            ..lenient()
        };
        if let Ok(imported) = read(bytes, &options) {
            assert_valid(&imported.header, &imported.events);
        }
    }
}

/// Small files to damage: the real ones, and one of each kind with all events.
fn victims() -> Vec<Vec<u8>> {
    let mut victims = files().to_vec();
    for (name, version, big) in [
        (
            "linux-6.12-oplist-strict-fprobe-state.ftrace",
            Version::Six,
            true,
        ),
        (
            "linux-6.12-mixed-strict-iommu-dma-events.ftrace",
            Version::Six,
            false,
        ),
        (
            "linux-6.12-mixed-strict-iommu-dma-events.ftrace",
            VERSIONS[1],
            true,
        ),
        (
            "linux-6.12-fill32-strict-kprobe-iommu.ftrace",
            VERSIONS[1],
            false,
        ),
        (
            "linux-6.12-fill32-lazy-iommu-dma-events.ftrace",
            VERSIONS[2],
            false,
        ),
    ] {
        let text = String::from_utf8(excerpt(name)).expect("text");
        let few: Vec<&str> = text.lines().take(150).collect();
        let (_, mut dat) = text::both(&few.join("\n"), version);
        dat.big = big;
        dat.page = 512;
        dat.odd = 3;
        victims.push(dat.bytes());
    }
    victims
}

#[test]
fn a_file_that_ends_anywhere_is_an_error_or_a_trace() {
    for bytes in victims() {
        let step = bytes.len() / 700 + 1;
        for length in (0..bytes.len()).step_by(step) {
            try_all(&bytes[..length]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_damaged_file_is_an_error_or_a_trace(
        which in 0..7_usize,
        damages in prop::collection::vec(damage::damage(), 1..5),
    ) {
        thread_local!(static VICTIMS: Vec<Vec<u8>> = victims());
        let bytes = VICTIMS.with(|victims| victims[which].clone());
        try_all(&damage::apply(bytes, &damages));
    }
}
