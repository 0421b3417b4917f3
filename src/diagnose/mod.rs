//! From a figure to an answer: why one request failed, and which change makes the difference.
//!
//! Everything here works on [`Requests`], the requests of one trace in memory, so that a trace can
//! be replayed many times: up to an event, under another allocator, or without some of its events.
//! Nothing here reads a file, starts a thread or knows a clock.
//!
//! * [`requests`]: a trace in memory, and back to events.
//! * [`replaying`]: one allocator over such requests.
//! * [`names`]: allocators' names for readers.
//! * [`predicate`]: what a trace is to show.
//! * [`explain`]: why requests were refused, as a value that reports write.
//! * [`bisect`]: which change of the kernel makes a difference.
//! * [`shrink`](mod@shrink): the smallest trace that still shows something.

pub mod bisect;
pub mod explain;
pub mod names;
pub mod predicate;
pub mod replaying;
pub mod requests;
pub mod shrink;

pub use requests::Requests;
