//! The Linux kernel's IOVA allocator, of any release and with any change, as pure state machines.
//!
//! Nothing here knows a file, a clock, a thread or a source of randomness; the build holds that,
//! since the crate depends on nothing that does.
//!
//! * [`units`]: pfns, pages, granules, so that bytes and pages cannot mix.
//! * [`kernel`]: the allocators.
//! * [`op`]: what a trace asks of an allocator.
//! * [`replay`]: virtual time; drives an allocator with requests.
//! * [`measure`]: observers of a replay.

pub mod kernel;
pub mod measure;
pub mod names;
pub mod op;
pub mod replay;
pub mod units;
pub mod words;
