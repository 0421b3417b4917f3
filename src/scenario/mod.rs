//! Scenario files: who asks what of which domain, under which allocators, and what to expect.
//!
//! A file is JSON, read strictly: an unknown field, an impossible value or a name that does
//! not exist is an error that says where. A [`ScenarioFile`] is what a file says; the plans of
//! [`workload`](crate::workload) and [`fault`](crate::fault) are its parts, and [`schema`] makes
//! the JSON Schema from all of them. [`ScenarioFile::resolve`] puts defaults in, loads traces
//! and makes the [`Scenario`] that runs.

mod client;
mod domain;
mod expect;
mod file;
mod load;
mod named;
mod phases;
mod runnable;
#[cfg(test)]
mod tests;

pub use crate::strict_json::Error;
pub use client::{AllocPath, ClientEntry, Via, ViaAlloc, ViaMap};
pub use domain::{DomainPlan, PageSize};
pub use expect::{Condition, Expectation, ExpectationEntry, Measured, Miss};
pub use file::{
    SEEDS_MAX, SamplingPlan, ScenarioFile, Seeds, Tag, Version, WorkloadPlan, schema,
};
pub use load::{Load, Trace};
pub use named::Named;
pub use phases::Phase;
pub use runnable::Scenario;
