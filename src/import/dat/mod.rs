//! trace-cmd's binary file, `trace.dat`, versions 6 and 7, of either byte order.
//!
//! ```text
//! version6 ┐                    ┌ formats ─ arguments ┐
//! version7 ┴ sections, options ─┤                     ├─ merge ─► records
//!            unpack             └ pages ──────────────┘
//! ```
//!
//! What comes out are the records that the importers make of the lines of a text, so that they do
//! not know the difference: numbers as numbers, the arguments as `name=value` text, since that is
//! how every importer looks them up. No line is written and read again. Times are exact here,
//! where `trace-cmd report` rounds them to microseconds (or writes nanoseconds with `-t`).
//!
//! The file points at its parts by offsets, so it is held in memory whole, as it is; what it packs
//! is unpacked chunk by chunk, one for each CPU.
//!
//! Pages say that events before them were lost, which the report prints as lines; the tracer's
//! statistics say so too, also where no page follows. What they have more is counted as lost at the
//! end.
//!
//! Not read: names of tasks, symbols, formats of `trace_printk`, corrections of a guest's clock, a
//! second buffer (refused), the text of a latency tracer (refused).
//!
//! The format is that of the manual pages trace-cmd.dat.v6(5) and trace-cmd.dat.v7(5), and of the
//! ring buffer as `header_page` and `header_event` tell it.

mod arguments;
mod bytes;
mod file;
mod formats;
mod merge;
mod options;
mod pages;
mod sections;
mod unpack;
mod version6;
mod version7;

pub(super) use bytes::Fault;
pub(super) use file::{File, MAGIC};
pub(super) use merge::Records;
