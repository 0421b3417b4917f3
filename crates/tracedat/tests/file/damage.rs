//! Changes of a file: cut off, bytes and numbers replaced, bytes moved.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One change of a file.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Cut(Index),
    Byte(Index, u8),
    Number(Index, usize, u64),
    Move(Index, Index, usize),
}

pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    let numbers = select(vec![
        0,
        1,
        3,
        4,
        28,
        29,
        0xffff,
        0x7fff_ffff,
        0xffff_ffff,
        u64::MAX,
        1 << 63,
    ]);
    let sizes = || select(vec![2_usize, 4, 8]);
    prop_oneof![
        1 => any::<Index>().prop_map(Damage::Cut),
        4 => any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Byte(at, byte)),
        4 => (any::<Index>(), sizes(), numbers)
            .prop_map(|(at, size, number)| Damage::Number(at, size, number)),
        2 => (any::<Index>(), any::<Index>(), sizes())
            .prop_map(|(from, to, size)| Damage::Move(from, to, size)),
    ]
}

pub(crate) fn apply(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let size = bytes.len();
        if size < 16 {
            break;
        }
        match damage {
            Damage::Cut(at) => bytes.truncate(at.index(size)),
            Damage::Byte(at, byte) => bytes[at.index(size)] = *byte,
            Damage::Number(at, width, number) => {
                let at = at.index(size - width);
                bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..*width]);
            }
            Damage::Move(from, to, width) => {
                let (from, to) = (from.index(size - width), to.index(size - width));
                bytes.copy_within(from..from + width, to);
            }
        }
    }
    bytes
}
