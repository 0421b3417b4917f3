//! The allocators: pure state machines, without files, clock, randomness or printing.

mod vocabulary;

pub use vocabulary::{FlushQueue, Memory, Snapshot};
