//! Charts: what the tables say, as pictures.
//!
//! A chart takes plain data and gives a [`Scene`]; [`svg()`] and [`png()`] make bytes of it. Each
//! answers one question, which is its title, and has a file of its own:
//!
//! * [`failure_rate`]: how often allocations fail, and why.
//! * [`fragmentation`]: whether free space is scattered, and where the pages are.
//! * [`belief`]: whether the allocator refuses what it could grant.
//! * [`address_map`]: who has which part of the address space, and when.
//! * [`search_cost`]: how far searches walk.
//! * [`releases`]: which change of the kernel's history made a difference.
//! * [`workload`]: what the callers ask for.
//!
//! [`chart`] lists them by name and finds what they need in a [`subject`]: a result, a replay's
//! document, or a replay. All share the [`theme`]. The same data gives the same bytes, on any machine.

pub mod address_map;
mod axis;
pub mod belief;
pub mod chart;
mod clock;
pub mod failure_rate;
mod font;
pub mod fragmentation;
mod number;
mod panel;
pub mod releases;
mod render;
pub mod scene;
pub mod search_cost;
mod sheet;
mod stretch;
pub mod subject;
mod svg;
pub mod theme;
pub mod workload;

pub use chart::Chart;
pub use render::{png, svg};
pub use scene::Scene;
pub use sheet::Look;
pub use subject::Subject;
pub use theme::Tone;

/// What there is of an allocator.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<T> {
    pub allocator: String,
    /// Its place among all allocators of the pictures that go together, from 0: its colour and
    /// its dashes.
    pub place: usize,
    pub what: T,
}
