//! The compression of version 7: zstd or zlib, each piece preceded by its sizes.

use std::io::Read;

use crate::bytes::Bytes;
use crate::error::Error;

/// The most that one piece may hold decompressed, in bytes: a section with the formats of all of a
/// kernel's events takes a few MB.
pub(crate) const UNPACKED_MAX: u64 = 1 << 26;

/// How pieces are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Zstd,
    Zlib,
}

impl Packing {
    /// By the name in the file; `None` for `none`.
    pub(crate) fn of(name: &str, place: Bytes<'_>) -> Result<Option<Packing>, Error> {
        match name {
            "none" => Ok(None),
            "zstd" => Ok(Some(Packing::Zstd)),
            "zlib" => Ok(Some(Packing::Zlib)),
            _ => {
                let found = name.chars().take(40).collect::<String>();
                Err(place.wrong("compression", found, "zstd, zlib or none"))
            }
        }
    }

    /// Decompresses the next piece: its compressed size, its size (at most `max`), its bytes.
    pub(crate) fn unpack(
        self,
        bytes: &mut Bytes<'_>,
        max: u64,
        what: &str,
    ) -> Result<Vec<u8>, Error> {
        let packed = bytes.u32(&format!("packed size of {what}"))?;
        let before = *bytes;
        let size = bytes.u32(&format!("unpacked size of {what}"))?;
        if size > max {
            let expected = format!("at most {max} bytes");
            return Err(before.wrong(format!("unpacked size of {what}"), size, expected));
        }
        let packed = bytes.take(packed, what)?;
        let unpacked = self.decode(packed.slice(), size);
        let unpacked =
            unpacked.map_err(|error| packed.wrong(what, error, "data that unpacks"))?;
        if unpacked.len() as u64 != size {
            let found = format!("{} bytes unpacked", unpacked.len());
            return Err(packed.wrong(what, found, format!("{size}, as said before")));
        }
        Ok(unpacked)
    }

    /// Decompresses at most one byte more than `size`.
    fn decode(self, packed: &[u8], size: u64) -> std::io::Result<Vec<u8>> {
        let mut unpacked = Vec::new();
        match self {
            Packing::Zstd => zstd::Decoder::with_buffer(packed)?
                .take(size + 1)
                .read_to_end(&mut unpacked)?,
            Packing::Zlib => flate2::bufread::ZlibDecoder::new(packed)
                .take(size + 1)
                .read_to_end(&mut unpacked)?,
        };
        Ok(unpacked)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::bytes::{Order, Origin};

    fn piece(packed: &[u8], size: u32) -> Vec<u8> {
        let packed_size = u32::try_from(packed.len()).unwrap();
        [&packed_size.to_le_bytes()[..], &size.to_le_bytes(), packed].concat()
    }

    fn unpack(packing: Packing, piece: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = Bytes::new(piece, Origin::File(0), Order::Little);
        let unpacked = packing.unpack(&mut bytes, UNPACKED_MAX, "chunk");
        unpacked.map_err(|error| error.problem.to_string())
    }

    #[test]
    fn pieces_have_the_size_that_is_given() {
        let text = [7; 1000];
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(&text).unwrap();
        let packed = [
            (Packing::Zstd, zstd::encode_all(&text[..], 1).unwrap()),
            (Packing::Zlib, zlib.finish().unwrap()),
        ];
        for (packing, packed) in packed {
            assert_eq!(unpack(packing, &piece(&packed, 1000)), Ok(text.to_vec()));
            for size in [0, 999, 1001, u32::MAX] {
                let error = unpack(packing, &piece(&packed, size)).unwrap_err();
                assert!(error.contains("chunk"), "{error}");
            }
            assert!(unpack(packing, &piece(&packed[..9], 1000)).is_err());
            assert!(unpack(packing, &piece(b"no such thing", 13)).is_err());
            assert!(unpack(packing, &piece(&packed, 1000)[..20]).is_err());
        }
    }
}
