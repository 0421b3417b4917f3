//! Observers: what can be read off a replay between two requests.
//!
//! * [`cause`]: why a request failed.

pub mod cause;
