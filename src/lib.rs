//! Replays DMA-address traces against the Linux kernel's IOVA allocator of any release.
//!
//! The floors, from the ground up; each uses those below it and never one above:
//!
//! * [`iova`]: the allocators, their replay and what it measures, a crate of its own.
//! * [`trace`]: events; reading, checking and writing them; [`import`]: recordings of a kernel.
//! * [`workload`], [`fault`]: synthetic clients; what goes wrong and when.
//! * [`strict_json`]: JSON that users write, and messages about it.
//! * [`scenario`]: scenario files; [`profile`]: from a trace to one of them.
//! * [`diagnose`]: why requests fail, and which change makes the difference.
//! * [`study`]: many replays at once.
//! * [`report`]: what came of them, as text and as JSON; [`plot`], as charts.

pub mod diagnose;
pub mod fault;
pub mod import;
pub mod plot;
pub mod profile;
pub mod report;
pub mod scenario;
pub mod strict_json;
pub mod study;
pub mod trace;
pub mod workload;
