//! Traces: what callers asked of IOVA domains, and what a replay answered.

pub mod event;
pub mod import;
pub mod record;
