//! What is wrong with a file, and where.

use std::fmt;

/// Why a file cannot be read, with the place: ``byte 12: `byte order`: found 2, expected …``.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Error {
    /// Where the value is that is wrong.
    pub place: Place,
    /// What is wrong with it.
    pub problem: Problem,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A byte of the file, from 0.
    Byte(u64),
    /// A byte of compressed data.
    Unpacked {
        /// Where the compressed section or chunk begins in the file, from 0.
        at: u64,
        /// The byte of its decompressed content, from 0.
        inside: u32,
    },
}

/// What is wrong, without the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A value needs more bytes than there are.
    #[error(
        "`{field}` ends too early: found {found} bytes, expected {expected}; was the file cut short?"
    )]
    Short {
        /// The name of the value.
        field: String,
        /// The number of bytes that there are.
        found: u64,
        /// The number of bytes that it needs.
        expected: u64,
    },
    /// A value is not one that it can have.
    #[error("`{field}`: found {found}, expected {expected}")]
    Value {
        /// The name of the value.
        field: String,
        /// The value.
        found: String,
        /// What it may be.
        expected: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Byte(at) => write!(f, "byte {at}"),
            Place::Unpacked { at, inside } => write!(f, "byte {at}, unpacked byte {inside}"),
        }
    }
}
