//! Synthetic clients: what devices ask of the allocator, as a stream of trace events.
//!
//! Requests never depend on what an allocator answers: the same seed gives the same events
//! for every allocator, so that differences between allocators are paired.

pub mod distribution;
mod fixed;
pub mod impossible;
pub mod random;
pub mod size;
