//! Charts of results, replays and traces, as SVG or PNG.
//!
//! A chart takes plain data and makes a [`Scene`]; [`svg()`] and [`png()`] turn it into bytes. Each
//! answers one question, its title, and has a file of its own:
//!
//! * [`failure_rate`]: how often allocations fail, and why.
//! * [`fragmentation`]: whether free space is scattered, and who holds the rest.
//! * [`max32_gap`]: whether `max32` refuses requests that would fit.
//! * [`address_map`]: who holds which part of the address space over time.
//! * [`search_cost`]: how far searches walk.
//! * [`releases`]: which change of the kernel's history made a difference.
//! * [`workload`]: the requests, whatever an allocator answers.
//!
//! [`chart`] lists them by name and finds their data in a [`dataset`], which is made of a result. All
//! share the [`theme`]. The same data gives the same bytes on any machine: logarithms and powers are
//! those of `libm`, never the platform's.

pub mod address_map;
mod axis;
pub mod chart;
pub mod dataset;
pub mod failure_rate;
mod font;
pub mod fragmentation;
pub mod max32_gap;
mod number;
mod page;
mod panel;
mod png;
pub mod releases;
pub mod scene;
pub mod search_cost;
mod small_multiples;
mod svg;
pub mod theme;
mod time;
pub mod workload;

pub use chart::Chart;
pub use dataset::Dataset;
pub use page::ChartOptions;
pub use png::png;
pub use scene::Scene;
pub use svg::svg;
pub use theme::Theme;

/// The data of an allocator.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<T> {
    pub allocator: String,
    /// Its place among the allocators of all charts that go together, from 0: it decides on colour
    /// and dashes.
    pub place: usize,
    pub data: T,
}
