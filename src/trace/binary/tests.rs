//! What is written comes back; what was damaged, cut or forged does not pass.

use std::io::{Cursor, Write as _};
use std::sync::Arc;

use proptest::prelude::*;

use super::bytes::put_varint;
use super::frame::{self, FrameKind};
use super::*;
use crate::trace::arbitrary;
use crate::trace::compress::{Compression, Encoder};
use crate::trace::event::{Event, Header, Op};
use crate::trace::read::Reader;
use crate::trace::{Error, Place};
use iova::kernel::Snapshot;
use iova::op::{Got, Path};
use iova::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

fn written(header: &Header, events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    writer.finish().unwrap()
}

/// The events, or what is said of the file.
fn read(bytes: &[u8]) -> Result<(Header, Vec<Event>), String> {
    let said = |error: Error| error.to_string();
    let reader = Reader::new("a.trace", Cursor::new(bytes.to_vec())).map_err(said)?;
    let header = reader.header().clone();
    let mut events = Vec::new();
    for (number, event) in (0..).zip(reader) {
        let (place, event) = event.map_err(said)?;
        assert_eq!(place, Place::Event(number));
        events.push(event);
    }
    Ok((header, events))
}

fn event(op: Op) -> Event {
    Event {
        at: Nanos(7),
        cpu: Cpu(1),
        dom: 0,
        op,
    }
}

/// A frame's kind and content.
type Frame = (FrameKind, Vec<u8>);

/// A file of frames.
fn file(frames: &[Frame]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for (kind, content) in frames {
        frame::write(&mut out, *kind, content).unwrap();
    }
    out
}

/// The frames of a file that was written.
fn frames(header: &Header, events: &[Event]) -> Vec<Frame> {
    let bytes = written(header, events);
    let mut rest = &bytes[MAGIC.len()..];
    let mut frames = Vec::new();
    while let [kind, a, b, c, d, _, _, _, _, more @ ..] = rest {
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let kind = match kind {
            b'H' => FrameKind::Header,
            b'B' => FrameKind::Block,
            _ => FrameKind::End,
        };
        frames.push((kind, more[..length].to_vec()));
        rest = &more[length..];
    }
    frames
}

fn many(count: u64) -> Vec<Event> {
    let alloc = |id| {
        event(Op::Alloc {
            id,
            pages: Pages(id % 5 + 1),
            limit: Pfn(0xf_ffff),
            path: Path::Fast { flush: true },
            got: Got::Unrecorded,
        })
    };
    (0..count).map(alloc).collect()
}

#[test]
fn the_format_is_what_it_says() {
    let events = [
        event(Op::Alloc {
            id: 5,
            pages: Pages(3),
            limit: Pfn(0xf_ffff),
            path: Path::Direct { align: false },
            got: Got::Pfn(Pfn(9)),
        }),
        event(Op::Free { id: 5 }),
    ];
    let content = [
        [0; 8].as_slice(),                        // first
        &[0; 8],                                  // time
        &[0; 8],                                  // begun
        &[0; 8],                                  // ended
        &[0],                                     // names
        &[2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0xaf, 0], // tag: 0xb0, 0x01
        &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0],    // time
        &[2, 0, 1, 0, 0, 0, 0, 0, 0, 0],          // cpu
        &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0],          // dom
        &[2, 0, 10, 0, 0, 0, 0, 0, 0, 0],         // id
        &[1, 0, 3, 0, 0, 0, 0, 0, 0, 0],          // size
        &[1, 0, 0xff, 0xff, 0xf, 0, 0, 0, 0, 0],  // limit
        &[0],                                     // dev
        &[1, 0, 9, 0, 0, 0, 0, 0, 0, 0],          // got
    ]
    .concat();
    let header = b"\x01{\"iovasim\":\"trace\",\"version\":1}".to_vec();
    let expected = [
        (FrameKind::Header, header),
        (FrameKind::Block, content),
        (FrameKind::End, vec![2]),
    ];
    assert_eq!(frames(&Header::default(), &events), expected);
    let end = [b'E', 1, 0, 0, 0, 0xe0, 0x72, 0x39, 0x3d, 2];
    assert!(written(&Header::default(), &events).ends_with(&end));
}

#[test]
fn blocks_follow_each_other() {
    let events = many(2 * BLOCK_EVENTS as u64 + 1);
    let header = Header::default();
    let kinds: Vec<_> = frames(&header, &events)
        .into_iter()
        .map(|frame| frame.0)
        .collect();
    let block = FrameKind::Block;
    assert_eq!(
        kinds,
        [FrameKind::Header, block, block, block, FrameKind::End]
    );
    assert_eq!(read(&written(&header, &events)), Ok((header, events)));
}

#[test]
fn an_event_takes_few_bytes() {
    let count = 100 * BLOCK_EVENTS;
    let bytes = written(&Header::default(), &many(count as u64));
    assert!(bytes.len() < 2 * count, "{} bytes", bytes.len());
}

proptest! {
    #[test]
    fn what_was_written_is_read(header in arbitrary::header(), events in arbitrary::events(0..40)) {
        let bytes = written(&header, &events);
        prop_assert_eq!(read(&bytes), Ok((header.clone(), events.clone())));
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
            encoder.write_all(&bytes).unwrap();
            let compressed = encoder.finish().unwrap();
            prop_assert_eq!(read(&compressed), Ok((header.clone(), events.clone())));
        }
    }

    #[test]
    fn any_change_is_noticed(
        events in arbitrary::events(1..4),
        bits in prop::collection::vec(any::<prop::sample::Index>(), 50),
    ) {
        let bytes = written(&Header::default(), &events);
        for bit in bits {
            let bit = bit.index(8 * bytes.len());
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(read(&damaged).is_err(), "bit {}", bit);
        }
        for length in 0..bytes.len() {
            prop_assert!(read(&bytes[..length]).is_err(), "{} bytes", length);
        }
        prop_assert!(read(&[&bytes[..], b"\n"].concat()).is_err());
    }

    #[test]
    fn forged_frames_are_read_or_refused(
        events in arbitrary::events(1..20),
        pick: prop::sample::Index,
        edits in arbitrary::edits(),
    ) {
        let mut frames = frames(&Header::default(), &events);
        let pick = pick.index(frames.len());
        arbitrary::apply(edits, &mut frames[pick].1);
        let _ = read(&file(&frames));
    }

    #[test]
    fn any_content_is_read_or_refused(content: Vec<u8>, start in prop::bool::ANY) {
        let mut frames = frames(&Header::default(), &[]);
        let start = vec![0; if start { 33 } else { 0 }];
        frames.insert(1, (FrameKind::Block, [start, content].concat()));
        let _ = read(&file(&frames));
    }
}

/// The columns after the tag's, of at most one value each.
type Values = [Option<u64>; 8];

const BARE: Values = [Some(0), Some(0), Some(0), None, None, None, None, None];
const WITH_ID: Values = [Some(0), Some(0), Some(0), Some(2), None, None, None, None];
const ALLOC: Values = [
    Some(0),
    Some(0),
    Some(0),
    Some(2),
    Some(1),
    Some(9),
    None,
    None,
];

/// What is said of a file with one block of one event.
fn forged(tag: u64, values: Values, rest: &[u64]) -> String {
    let mut content = vec![0; 33];
    column::put(&mut content, &[tag]);
    for value in values {
        column::put(&mut content, value.as_slice());
    }
    for &number in rest {
        put_varint(&mut content, number);
    }
    let mut frames = frames(&Header::default(), &[]);
    frames.insert(1, (FrameKind::Block, content));
    let message = read(&file(&frames)).unwrap_err();
    let said = message.strip_prefix("a.trace: event 0: ").unwrap();
    said.replace("the binary trace data is corrupt: ", "")
}

#[test]
fn what_a_forged_event_does_wrong_is_said() {
    let unknown = "an event has an unknown op or flag";
    assert_eq!(forged(11, BARE, &[]), unknown);
    assert_eq!(forged(0x101, WITH_ID, &[]), unknown);
    assert_eq!(forged(0x11, WITH_ID, &[]), unknown);
    assert_eq!(forged(0x29, BARE, &[1]), unknown);
    assert_eq!(forged(0xc0, ALLOC, &[]), unknown);
    assert_eq!(
        forged(0x80, ALLOC, &[]),
        "a column is too short for its block"
    );
    let with = |index: usize, value| {
        let mut values = ALLOC;
        values[index] = Some(value);
        values
    };
    assert_eq!(forged(0x22, with(6, 0), &[]), unknown);
    assert_eq!(
        forged(0, with(4, 0), &[]),
        "`pages` is 0, expected an integer from 1 to 2^64-1"
    );
    assert_eq!(
        forged(0, with(1, 65536), &[]),
        "`cpu` is 65536, expected an integer from 0 to 65535"
    );
    assert_eq!(
        forged(2, with(6, 1), &[]),
        "a device has a name that was not given"
    );
}

#[test]
fn what_a_forged_rest_does_wrong_is_said() {
    let beyond = "a range goes beyond the highest pfn";
    let too_short = "a frame is too short for what it holds";
    assert_eq!(
        forged(5, BARE, &[u64::MAX]),
        "`pfn` is 18446744073709551615, expected an integer from 0 to 2^64-2"
    );
    assert_eq!(forged(4, BARE, &[u64::MAX, 1]), beyond);
    assert_eq!(forged(8, BARE, &[1, 1, 0, 0, 5, u64::MAX - 5]), beyond);
    assert_eq!(forged(8, BARE, &[1, 2, 0, 0, 5, 5, u64::MAX, 0]), beyond);
    assert_eq!(
        forged(8, BARE, &[1, 1, 2, 0, 5, 5]),
        "a cached position is none of the nodes"
    );
    assert_eq!(forged(8, BARE, &[1, 1 << 40, 0, 0, 5, 5]), too_short);
    assert_eq!(forged(9, BARE, &[]), too_short);
}

#[test]
fn what_a_forged_file_does_wrong_is_said() {
    let good = frames(&Header::default(), &many(2000));
    let said = |change: &dyn Fn(&mut Vec<Frame>)| {
        let mut frames = good.clone();
        change(&mut frames);
        read(&file(&frames))
            .unwrap_err()
            .replace("the binary trace data is corrupt: ", "")
    };
    let moved = "a.trace: event 0: a block is missing or in another's place";
    assert_eq!(said(&|frames| drop(frames.remove(1))), moved);
    assert_eq!(said(&|frames| frames.swap(1, 2)), moved);
    assert_eq!(
        said(&|frames| frames.insert(2, good[1].clone())),
        "a.trace: event 1024: a block is missing or in another's place"
    );
    assert_eq!(
        said(&|frames| frames.insert(1, good[0].clone())),
        "a.trace: event 0: it has a second header"
    );
    assert_eq!(
        said(&|frames| drop(frames.remove(0))),
        "a.trace: it does not begin with a header"
    );
    assert_eq!(
        said(&|frames| drop(frames.pop())),
        "a.trace: event 2000: the binary trace data ends too early; was the file cut short?"
    );
    assert_eq!(
        said(&|frames| frames.push(good[3].clone())),
        "a.trace: event 2000: something follows the end"
    );
    assert_eq!(
        said(&|frames| frames[3].1 = vec![7]),
        "a.trace: event 2000: the end counts other events than there are"
    );
    assert_eq!(
        said(&|frames| frames[2].1[8] = 0),
        "a.trace: event 1024: a block does not begin where the one before ends"
    );
    assert_eq!(
        said(&|frames| frames[2].1.push(0)),
        "a.trace: event 2000: a block holds more than its events need"
    );
    assert_eq!(
        said(&|frames| frames[0].1[0] = 2),
        "a.trace: the binary trace has version 2, expected 1; a newer iovasim wrote it"
    );
    assert_eq!(
        said(&|frames| frames[0].1.truncate(1)),
        "a.trace: is not a trace: found a blank line, expected a header such as \
         `{\"iovasim\":\"trace\",\"version\":1}`"
    );
    let mut other_sum = file(&good);
    other_sum[MAGIC.len() + 5] ^= 1;
    let message = read(&other_sum).unwrap_err();
    assert!(message.ends_with("a checksum does not match"), "{message}");
}

#[test]
fn a_block_names_no_more_devices_than_it_has_events() {
    let said = |count: u16| {
        let mut content = vec![0; 32];
        put_varint(&mut content, count.into());
        content.resize(content.len() + usize::from(count), 0);
        let mut frames = frames(&Header::default(), &[]);
        frames.insert(1, (FrameKind::Block, content));
        read(&file(&frames)).unwrap_err()
    };
    assert!(said(1024).ends_with("a frame is too short for what it holds"));
    assert!(said(1025).ends_with("a block has more names than events"));
}

#[test]
fn lengths_are_not_trusted() {
    for (length, end) in [
        (1_u32 << 25, "ends too early; was the file cut short?"),
        ((1 << 25) + 1, "a frame is longer than the format allows"),
        (u32::MAX, "a frame is longer than the format allows"),
    ] {
        let head = [&MAGIC[..], b"H", &length.to_le_bytes(), &[0; 4]].concat();
        let message = read(&head).unwrap_err();
        assert!(message.ends_with(end), "{message}");
    }
}

#[test]
fn snapshots_that_cannot_be_are_not_written() {
    let range = |lo, hi| PfnRange::new(Pfn(lo), Pfn(hi)).unwrap();
    let refused = |nodes: &[PfnRange], cached| {
        let snapshot = Snapshot {
            nodes: nodes.to_vec(),
            cached32: cached,
            cached: None,
            max32: Pages(1),
        };
        let mut writer = Writer::new(Vec::new(), &Header::default()).unwrap();
        writer
            .write(&event(Op::Restore {
                snapshot: Arc::new(snapshot),
            }))
            .map_err(|error| error.to_string())
    };
    assert_eq!(refused(&[range(1, 2), range(3, 4)], Some(Pfn(3))), Ok(()));
    let ascend = Err("the nodes of a snapshot do not ascend below the anchor".to_owned());
    assert_eq!(refused(&[range(1, 2), range(2, 4)], None), ascend);
    assert_eq!(refused(&[range(1, u64::MAX)], None), ascend);
    let cached = Err("a cached position is none of the nodes".to_owned());
    assert_eq!(refused(&[range(1, 2)], Some(Pfn(2))), cached);
}
