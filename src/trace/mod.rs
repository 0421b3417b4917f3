//! Traces: what callers asked of IOVA domains, and what a replay answered.
//!
//! * [`event`]: a header and events, as types.
//! * [`read`]: from JSON lines or the binary form, plain or compressed, one event at a time.
//! * [`check`]: makes events requests, if they agree with the events before them.
//! * [`write`](mod@write), [`binary`], [`compress`]: back to a file.
//! * [`outcome`]: the stream of what a replay answered.
//!
//! ```
//! use iovasim::trace::{check::Checker, read::Reader};
//!
//! let text = concat!(
//!     r#"{"iovasim":"trace","version":1}"#, "\n",
//!     r#"{"op":"alloc","id":7,"pages":3,"limit":1048575}"#, "\n",
//!     r#"{"op":"free","id":9}"#, "\n",
//! );
//! let mut reader = Reader::new("example", text.as_bytes())?;
//! let mut checker = Checker::new(reader.header());
//! let said = reader.find_map(|event| match event {
//!     Ok((place, event)) => checker.admit(place, &event).err(),
//!     Err(error) => Some(error),
//! });
//! assert_eq!(
//!     said.unwrap().in_file("example").to_string(),
//!     "example:3: `free` of id 9, which is not live; was the trace cut at the start?",
//! );
//! # Ok::<(), iovasim::trace::Error>(())
//! ```

#[cfg(test)]
pub(crate) mod arbitrary;
pub mod binary;
pub mod check;
pub mod compress;
pub mod digest;
mod error;
pub mod event;
pub(crate) mod fields;
mod json;
mod lines;
mod names;
pub mod outcome;
pub mod read;
pub mod stats;
pub mod write;

pub use error::{Error, Place};
pub use json::schema;
