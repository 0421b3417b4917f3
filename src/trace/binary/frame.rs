//! Frames: what is read and checked as one.

use std::io::{self, Write};

use super::{FORMAT, corrupt};
use crate::trace::compress::Decoder;
use crate::trace::error::{Error, Kind};

/// The first bytes of a file. As PNG's, they show what was transferred as text.
pub(in crate::trace) const MAGIC: [u8; 8] = *b"\x89IOVT\r\n\x1a";

/// How many bytes a frame's content has at most: more than any line of JSON needs here.
const LENGTH_MAX: usize = 1 << 25;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Header,
    Block,
    End,
}

impl FrameKind {
    fn byte(self) -> u8 {
        match self {
            FrameKind::Header => b'H',
            FrameKind::Block => b'B',
            FrameKind::End => b'E',
        }
    }

    fn of_byte(byte: u8) -> Option<FrameKind> {
        let all = [FrameKind::Header, FrameKind::Block, FrameKind::End];
        all.into_iter().find(|kind| kind.byte() == byte)
    }
}

pub(super) fn write(out: &mut impl Write, kind: FrameKind, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).ok();
    let length = length
        .filter(|_| content.len() <= LENGTH_MAX)
        .ok_or_else(|| {
            let limit = format!("a block of more than {LENGTH_MAX} bytes cannot be written");
            io::Error::new(io::ErrorKind::InvalidInput, limit)
        })?;
    let length = length.to_le_bytes();
    out.write_all(&[kind.byte()])?;
    out.write_all(&length)?;
    out.write_all(&checksum(kind.byte(), length, content).to_le_bytes())?;
    out.write_all(content)
}

/// Reads the magic, which the caller has seen.
pub(super) fn read_magic(input: &mut Decoder) -> Result<(), Error> {
    read_exact(input, &mut [0; MAGIC.len()])
}

/// Reads the next frame's content in place of what `content` held.
pub(super) fn read(input: &mut Decoder, content: &mut Vec<u8>) -> Result<FrameKind, Error> {
    let mut head = [0; 9];
    read_exact(input, &mut head)?;
    let [kind, a, b, c, d, checksum @ ..] = head;
    let length = [a, b, c, d];
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if size > LENGTH_MAX {
        return Err(corrupt("a frame is longer than the format allows"));
    }
    read_all(input, content, size)?;
    if u32::from_le_bytes(checksum) != self::checksum(kind, length, content) {
        return Err(corrupt("a checksum does not match"));
    }
    FrameKind::of_byte(kind).ok_or_else(|| corrupt("a frame is of an unknown kind"))
}

pub(super) fn read_nothing(input: &mut Decoder) -> Result<(), Error> {
    match input.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(corrupt("something follows the end")),
    }
}

/// Reads `size` bytes, without more memory than twice of what really comes.
fn read_all(input: &mut Decoder, content: &mut Vec<u8>, size: usize) -> Result<(), Error> {
    const FIRST: usize = 1 << 16;
    content.clear();
    while content.len() < size {
        let start = content.len();
        content.resize(size.min(start.max(FIRST) * 2), 0);
        read_exact(input, &mut content[start..])?;
    }
    Ok(())
}

fn read_exact(input: &mut Decoder, mut buffer: &mut [u8]) -> Result<(), Error> {
    while !buffer.is_empty() {
        match input.read(buffer)? {
            0 => return Err(Kind::CutShort { format: FORMAT }.into()),
            count => buffer = &mut buffer[count..],
        }
    }
    Ok(())
}

fn checksum(kind: u8, length: [u8; 4], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&length);
    hasher.update(content);
    hasher.finalize()
}
