//! Replays DMA-address traces against the Linux kernel's IOVA allocator of any release.
//!
//! The floors, from the ground up; each uses those below it and never one above:
//!
//! * [`units`]: pfns, pages, granules, so that bytes and pages cannot mix.
//! * [`model`]: the allocators, pure state machines.
//! * [`replay`]: virtual time; drives an allocator with requests.
//! * [`measure`]: what a replay came to, in figures.
//! * [`trace`]: events; reading, checking and writing them.
//! * [`workload`], [`fault`]: synthetic clients; what goes wrong and when.
//! * [`scenario`]: scenario files; [`profile`]: from a trace to one of them.
//! * [`study`]: many replays at once.
//! * [`report`]: what came of them, as text and as JSON; [`plot`], as charts.

pub mod fault;
pub mod measure;
pub mod model;
pub mod plot;
pub mod profile;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod study;
pub mod trace;
pub mod units;
pub mod words;
pub mod workload;
