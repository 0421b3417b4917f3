//! The allocators: pure state machines, without files, clock, randomness or printing.
//!
//! * [`ranges`]: the set of ranges and the searches over it.
//! * [`space`]: cached positions and `max32` on top of it; `alloc_iova` and its like.
//! * [`best_fit`], [`maple`]: other designs in the place of that; [`design`] lists them.
//! * [`caches`]: magazines and depots, per CPU and shared.
//! * [`flush_queue`]: what unmapped ranges wait in.
//! * [`domain`]: all of these together; `alloc_iova_fast` and its like.
//! * [`dma`]: the DMA layer's two tries.
//! * [`machine`], [`agenda`], [`memory`]: what all domains share.
//! * [`changes`], [`allocator`]: what changed when, and how an allocator is named.
//! * [`allocator_list`]: lists of names, with ranges of releases.

pub mod agenda;
pub mod allocator;
pub mod allocator_list;
pub mod best_fit;
pub mod caches;
pub mod changes;
pub mod config;
pub mod design;
pub mod dma;
pub mod domain;
pub mod flush_queue;
pub mod machine;
pub mod maple;
pub mod memory;
pub mod ranges;
pub mod space;
pub mod tally;

pub use allocator::{Allocator, Rules};
pub use changes::{Change, Release};
pub use config::{ConfigError, DomainConfig, DomainOptions, FlushQueue, Memory, Snapshot};
pub use design::{AddressSpace, State};
