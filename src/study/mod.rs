//! Studies: streams of events against several allocators, and many of them in parallel.
//!
//! * [`feed`]: events checked, hashed and made requests.
//! * [`lanes`]: several allocators over one stream, in step.
//! * [`agreement`]: whether a replay answers as the recorded kernel did.
//! * [`scenarios`]: every seed of a scenario under every allocator.
//! * [`statistics`]: how sure a failure rate is, and a difference between two.
//! * [`result`], [`wire`]: what came of it, as documents hold it.
//! * [`likeness`]: how alike two streams are.
//! * [`stored`]: reading such documents.
//! * [`shards`]: parts of a run put together.

pub mod agreement;
pub mod feed;
pub mod lanes;
pub mod likeness;
mod outcomes;
pub mod result;
pub mod scenarios;
pub mod shards;
pub mod statistics;
pub mod stored;
pub mod wire;

pub use agreement::{Agreement, Disagreement};
pub use feed::{Events, Feed, Made, Step};
pub use lanes::{Lane, Replayed, Row, Stop, replay};
pub use result::ScenarioResult;
pub use scenarios::Studied;

/// Why streams cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An allocator cannot have the domains.
    #[error(transparent)]
    Config(#[from] iova::kernel::ConfigError),
    /// A stream has an error.
    #[error(transparent)]
    Stream(#[from] crate::trace::Error),
}
