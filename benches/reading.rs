//! Whole runs of a recorded trace, from the bytes of a file to the figures of the table.

use std::io::Cursor;
use std::num::NonZeroUsize;

use divan::Bencher;
use divan::counter::ItemsCount;
use iovasim::study::{self, Observe, RequestStream};
use iovasim::trace::binary;
use iovasim::trace::compress::{Compression, Encoder};
use iovasim::trace::read::Reader;

const TRACE: &[u8] = include_bytes!("../traces/linux-6.12-fill32.trace.jsonl.zst");

fn main() {
    divan::main();
}

fn reader(bytes: &[u8]) -> Reader {
    Reader::new("bench", Cursor::new(bytes.to_vec())).expect("a trace")
}

/// Reads, checks and replays all of it; gives the requests, so that a run can be checked.
fn run(bytes: &[u8]) -> u64 {
    let reader = reader(bytes);
    let header = reader.header().clone();
    let allocator = "linux-6.12".parse().expect("a release");
    let stream = RequestStream::new("bench", &header, reader);
    let replayed = study::run(stream, &[allocator], Observe::default(), NonZeroUsize::MIN);
    let replayed = replayed.expect("the trace has no error");
    replayed.runs[0].totals.allocs
}

fn bench(bencher: Bencher<'_, '_>, bytes: &[u8]) {
    let requests = run(bytes);
    let events = reader(bytes).count();
    bencher
        .counter(ItemsCount::new(events))
        .bench(|| assert_eq!(run(bytes), requests));
}

#[divan::bench]
fn json_zstd(bencher: Bencher<'_, '_>) {
    bench(bencher, TRACE);
}

#[divan::bench]
fn binary_zstd(bencher: Bencher<'_, '_>) {
    let reader = reader(TRACE);
    let encoder = Encoder::new(Vec::new(), Compression::Zstd).expect("memory");
    let mut writer = binary::Writer::new(encoder, reader.header()).expect("memory");
    for next in reader {
        let (_, event) = next.expect("a trace");
        writer.write(&event).expect("memory");
    }
    let bytes = writer.finish().and_then(Encoder::finish).expect("memory");
    bench(bencher, &bytes);
}
