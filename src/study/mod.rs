//! Studies: streams of events against several allocators, in parallel.
//!
//! * [`feed`]: events checked, hashed and made requests.
//! * [`lanes`]: several allocators over one stream, in step.

pub mod feed;
pub mod lanes;
mod outcomes;

pub use feed::{Feed, Step};
pub use lanes::{Lane, Replayed, Row, Stop, replay};
