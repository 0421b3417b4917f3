//! Observers: what a replay came to, in figures.
//!
//! They look at a replay between its steps and never change an answer.
//!
//! * [`metrics`]: the table of all numbers that results have.
//! * [`summary`]: requests, failures, search cost and load of one allocator.
//! * [`steps`]: the exact distribution of search costs.
//! * [`held`]: where the ranges are: with callers, in caches, in flush queues.
//! * [`cause`]: why a request failed.
//! * [`fragmentation`]: what the address space looks like.
//! * [`decision`]: what an allocator made of one request.
//! * [`sampler`]: all that as time goes by, by way of
//!   * [`timeline`]: figures of a window,
//!   * [`address_map`]: who has which part of it;
//!   * [`sampling`] says how often and where they look, [`series`] keeps the samples few, and
//!     [`record`] is what results carry of them.
//! * [`survey`]: which window is worth sampling.
//! * [`traffic`]: what callers ask for, whatever an allocator answers.
//! * [`difference`]: where two allocators answer one request differently.

pub mod address_map;
pub mod cause;
pub mod decision;
pub mod difference;
pub mod fragmentation;
pub mod held;
mod held_back;
pub mod metrics;
pub mod record;
pub mod sampler;
pub mod sampling;
pub mod series;
pub mod steps;
pub mod summary;
pub mod survey;
#[doc(hidden)]
pub mod testing;
pub mod timeline;
pub mod traffic;

pub use cause::Cause;
pub use decision::{Decision, Refused};
pub use difference::Difference;
pub use held::Held;
pub use metrics::{METRICS, Metric, MetricId, Metrics, Value};
pub use sampler::Sampler;
pub use sampling::Sampling;
pub use steps::Steps;
pub use summary::{Summary, Totals};
pub use survey::Survey;
