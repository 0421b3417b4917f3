//! Observers: what can be read off a replay between two requests.
//!
//! * [`cause`]: why a request failed.
//! * [`fragmentation`]: what the address space looks like.

pub mod cause;
pub mod fragmentation;
