//! Observers: what a replay came to, in figures.
//!
//! They look at a replay between its steps and never change an answer.
//!
//! * [`summary`]: requests, failures, search cost and load of one allocator.
//! * [`steps`]: the exact distribution of search costs.
//! * [`held`]: where the ranges are: with callers, in caches, in flush queues.
//! * [`difference`]: where two allocators answer one request differently.
//! * [`agreement`]: whether a replay answers as the recorded kernel did.

pub mod agreement;
pub mod difference;
pub mod held;
pub mod steps;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;

pub use agreement::{Agreement, Disagreement};
pub use difference::{Difference, Decision};
pub use held::Held;
pub use steps::Steps;
pub use summary::{Figures, Summary};
