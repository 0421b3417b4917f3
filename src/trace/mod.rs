//! Traces: what callers asked of IOVA domains, and what a replay answered.

#[cfg(test)]
mod arbitrary;
pub mod check;
pub mod compress;
pub mod digest;
mod error;
pub mod event;
pub mod import;
mod json;
mod lines;
mod names;
pub mod outcome;
pub mod read;
pub mod record;
pub mod stats;
pub mod write;

pub use error::{Error, Place};
