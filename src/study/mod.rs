//! Studies: streams of events against several allocators, and many of them in parallel.
//!
//! * [`stream`]: events checked, hashed and translated to requests.
//! * [`run`](mod@run): several allocators over one stream, in step; observers watch them.
//! * [`agreement`]: whether a replay answers as the recorded kernel did.
//! * [`outcomes`]: the observer that writes outcome streams.
//! * [`scenarios`]: every seed of a scenario under every allocator.
//! * [`statistics`]: how sure a failure rate is, and a difference between two.
//! * [`document`]: the result, as a versioned document; `build` makes it, and `pool` its rows.
//! * [`load`]: reading such documents, those of earlier versions too.
//! * [`shards`]: parts of a run put together.
//! * [`history`]: every event that touched an address.
//! * [`fidelity`]: how well a profile's scenario resembles its trace.

pub mod agreement;
mod build;
pub mod document;
pub mod fidelity;
pub mod history;
pub mod load;
pub mod outcomes;
mod pool;
pub mod run;
pub mod scenarios;
pub mod shards;
pub mod statistics;
pub mod stream;

pub use agreement::{Agreement, Disagreement, Tally};
pub use document::{Document, StudyResult};
pub use outcomes::OutcomeWriter;
pub use run::{FinishedRun, Observe, Observer, Replayed, run, survey};
pub use scenarios::Studied;
pub use stream::{Events, GeneratedEvents, RequestStream, Step};

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
