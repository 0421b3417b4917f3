//! gzip and zstd around a stream of bytes.
//!
//! Reading goes by content: the first bytes say how a stream is compressed, whatever its name.
//! gzip may have several members and zstd several frames. A stream that ends within one is an
//! error, never a shorter file. Writing goes by what the caller asks for, for instance by
//! [`Compression::of_name`]; the same bytes in give the same bytes out.

use std::fmt;
use std::io::{self, Cursor, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::error::{Error, Kind};

/// How a stream of bytes is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl Compression {
    /// What the ending of a file's name asks for: `.gz`, `.zst` or `.zstd`.
    pub fn of_name(name: &str) -> Compression {
        match name.rsplit_once('.') {
            Some((_, "gz")) => Compression::Gzip,
            Some((_, "zst" | "zstd")) => Compression::Zstd,
            _ => Compression::None,
        }
    }

    fn of_bytes(bytes: &[u8]) -> Compression {
        if bytes.starts_with(GZIP_MAGIC) {
            Compression::Gzip
        } else if bytes.starts_with(ZSTD_MAGIC) {
            Compression::Zstd
        } else {
            Compression::None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Compression::None => "plain",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

/// A stream that was decompressed according to its content.
pub(crate) struct Decoder {
    /// What was looked at before it is read.
    ahead: Cursor<Vec<u8>>,
    bytes: Box<dyn Read + Send>,
    compression: Compression,
}

impl Decoder {
    /// Looks at the first bytes of `input`.
    pub(crate) fn new(input: impl Read + Send + 'static) -> Result<Decoder, Error> {
        let input = Input(input);
        let (magic, input) =
            peek(input, ZSTD_MAGIC.len()).map_err(|error| explain(error, Compression::None))?;
        let compression = Compression::of_bytes(&magic);
        let bytes: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(input),
            Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
            Compression::Zstd => Box::new(
                zstd::Decoder::new(input).map_err(|error| explain(error, compression))?,
            ),
        };
        Ok(Decoder {
            ahead: Cursor::default(),
            bytes,
            compression,
        })
    }

    /// Looks at the first bytes before they are read: whether they are `magic`.
    pub(super) fn begins_with(&mut self, magic: &[u8]) -> Result<bool, Error> {
        let mut first = Vec::new();
        let mut input = self.bytes.by_ref().take(magic.len() as u64);
        input
            .read_to_end(&mut first)
            .map_err(|error| explain(error, self.compression))?;
        let same = first == magic;
        self.ahead = Cursor::new(first);
        Ok(same)
    }

    /// The next bytes into `buffer`; their number, 0 at the end alone.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if let Ok(count @ 1..) = self.ahead.read(buffer) {
            return Ok(count);
        }
        loop {
            match self.bytes.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(explain(error, self.compression)),
                Ok(count) => return Ok(count),
            }
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Decoder::read(self, buffer).map_err(io::Error::other)
    }
}

/// The bytes of an input that may be compressed.
///
/// # Errors
///
/// If the input cannot be read.
pub fn decoded(input: impl Read + Send + 'static) -> io::Result<impl Read + Send> {
    Decoder::new(input).map_err(io::Error::other)
}

/// The first bytes of a stream, `count` or all that there are, and the whole stream.
fn peek<R: Read>(mut input: R, count: usize) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    let mut bytes = Vec::new();
    input.by_ref().take(count as u64).read_to_end(&mut bytes)?;
    Ok((bytes.clone(), Cursor::new(bytes).chain(input)))
}

/// What an error of a decoder means.
fn explain(error: io::Error, compression: Compression) -> Error {
    let format = compression.name();
    Error::from(match error.downcast::<InputError>() {
        Ok(InputError(error)) => Kind::Read(error),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Kind::CutShort { format },
        Err(error) => Kind::Corrupt {
            format,
            detail: error.to_string(),
        },
    })
}

/// Tells errors of the stream itself from those of its decoder.
struct Input<R>(R);

#[derive(Debug)]
struct InputError(io::Error);

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, InputError(error)),
        })
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for InputError {}

/// A stream that compresses what is written to it.
pub struct Encoder<W: Write>(Inner<W>);

enum Inner<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Compresses to `out`; with checksums, so that damage is noticed.
    ///
    /// # Errors
    ///
    /// Where the compressor cannot be set up.
    pub fn new(out: W, compression: Compression) -> io::Result<Encoder<W>> {
        Ok(Encoder(match compression {
            Compression::None => Inner::None(out),
            Compression::Gzip => {
                Inner::Gzip(GzEncoder::new(out, flate2::Compression::default()))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Inner::Zstd(encoder)
            }
        }))
    }

    /// Writes what is left, and the end; without it the stream is incomplete.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::None(mut out) => out.flush().map(|()| out),
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::None(out) => out.write(bytes),
            Inner::Gzip(encoder) => encoder.write(bytes),
            Inner::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::None(out) => out.flush(),
            Inner::Gzip(encoder) => encoder.flush(),
            Inner::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

    fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decompressed(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let explained = |error: Error| error.to_string();
        let mut decoder = Decoder::new(Cursor::new(bytes.to_vec())).map_err(explained)?;
        let (mut all, mut buffer) = (Vec::new(), [0; 100]);
        loop {
            match decoder.read(&mut buffer).map_err(explained)? {
                0 => return Ok(all),
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn a_name_asks_for_a_compression_by_its_ending() {
        for (name, expected) in [
            ("a.trace.jsonl", Compression::None),
            ("a.gz.jsonl", Compression::None),
            ("gz", Compression::None),
            ("a.jsonl.gz", Compression::Gzip),
            ("a.jsonl.zst", Compression::Zstd),
            ("a.jsonl.zstd", Compression::Zstd),
        ] {
            assert_eq!(Compression::of_name(name), expected, "of {name}");
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(parts: Vec<Vec<u8>>) {
            for compression in [Compression::Gzip, Compression::Zstd] {
                let members: Vec<_> = parts.iter().map(|part| compressed(part, compression)).collect();
                prop_assert_eq!(decompressed(&members.concat()), Ok(parts.concat()));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            for magic in [b"".as_slice(), GZIP_MAGIC, ZSTD_MAGIC] {
                let _ = decompressed(&[magic, &bytes].concat());
            }
        }
    }

    #[test]
    fn what_is_shorter_than_a_magic_is_plain() {
        for bytes in [&GZIP_MAGIC[..1], &ZSTD_MAGIC[..1], &ZSTD_MAGIC[..3], b""] {
            assert_eq!(decompressed(bytes), Ok(bytes.to_vec()));
        }
    }

    #[test]
    fn the_same_bytes_in_give_the_same_bytes_out() {
        for compression in ALL {
            let twice = [(); 2].map(|()| compressed(b"hello, hello", compression));
            assert_eq!(twice[0], twice[1]);
        }
    }

    #[test]
    fn a_stream_that_was_cut_is_never_a_shorter_file() {
        let text: Vec<u8> = (0..2000_u32)
            .flat_map(|n| n.to_string().into_bytes())
            .collect();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let whole = compressed(&text, compression);
            let magic = if compression == Compression::Gzip {
                2
            } else {
                4
            };
            for length in magic..whole.len() {
                let expected = format!(
                    "the {} data ends too early; was the file cut short?",
                    compression.name()
                );
                assert_eq!(
                    decompressed(&whole[..length]),
                    Err(expected),
                    "{length} bytes"
                );
                let after_another = [&whole[..], &whole[..length]].concat();
                assert!(decompressed(&after_another).is_err(), "{length} bytes more");
            }
        }
    }

    #[test]
    fn damage_never_gives_other_bytes() {
        let text: Vec<u8> = (0..200_u32)
            .flat_map(|n| n.to_string().into_bytes())
            .collect();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let whole = compressed(&text, compression);
            for bit in 8 * ZSTD_MAGIC.len()..8 * whole.len() {
                let mut damaged = whole.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let read = decompressed(&damaged);
                assert!(read.is_err() || read.as_ref() == Ok(&text), "bit {bit}");
            }
        }
    }

    #[test]
    fn errors_of_the_stream_itself_stay_what_they_are() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        for magic in [b"".as_slice(), GZIP_MAGIC, ZSTD_MAGIC] {
            let input = Cursor::new(magic.to_vec()).chain(Broken);
            let kind = Decoder::new(input).and_then(|mut decoder| decoder.read(&mut [0; 9]));
            let message = kind.unwrap_err().to_string();
            assert_eq!(message, "cannot read: the disk is gone");
        }
    }
}
