//! Synthetic clients: what devices ask of the allocator, as a stream of trace events.
//!
//! Requests never depend on what an allocator answers: the same seed gives the same events
//! for every allocator, so that differences between allocators are paired. Each kind of
//! client is a file; a [`Workload`] says which run when, and [`Merge`] makes one stream of
//! them.

mod ages;
pub mod change;
pub mod churn;
pub mod client;
pub mod cpus;
pub mod distribution;
pub(crate) mod event_queue;
mod fixed;
pub mod idle;
pub mod invalid;
mod merge;
pub mod pool;
pub mod profiled;
pub mod quantity;
pub mod random;
pub mod recorded;
pub mod ring;
mod run;
pub mod size;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;

pub use merge::{Merge, ScheduledClient};
pub use run::{Plan, Run, Workload};
