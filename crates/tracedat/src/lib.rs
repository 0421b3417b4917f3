//! Reads `trace.dat`, the binary file that `trace-cmd record` writes: versions 6 and 7, both byte
//! orders, uncompressed or compressed with zstd or zlib.
//!
//! Use it to get at the events of a recording without `trace-cmd report`: fields come as values and
//! not as printed text, and times are exact to the nanosecond. Events of all CPUs come in order of
//! time; where events were lost, the reader says so.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = tracedat::File::read(std::fs::read("trace.dat")?)?;
//! let mut records = file.records()?;
//! while let Some(item) = records.read()? {
//!     match item {
//!         tracedat::Item::Record(record) => {
//!             print!("[{:03}] {} {}:", record.cpu, record.nanoseconds, record.format.name);
//!             for field in &record.format.fields {
//!                 print!(" {}={:?}", field.name, record.value(field)?);
//!             }
//!             println!();
//!         }
//!         tracedat::Item::Lost { cpu, count } => println!("CPU {cpu} lost {count:?} events"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The file refers to its parts by offsets, so it is held in memory as it is; compressed data is
//! decompressed one chunk per CPU at a time. No input makes the reader panic, run for ever or take
//! memory out of proportion to the file.
//!
//! ```text
//! version6 ┐                    ┌ formats ─ record ┐
//! version7 ┴ sections, options ─┤                  ├─ records
//!            unpack             └ pages ───────────┘
//! ```
//!
//! Not read: names of tasks, symbols, formats of `trace_printk`, corrections of a guest's clock.
//! Refused: a second buffer (`trace-cmd record -B`), the text of a latency tracer.
//!
//! The format is that of the manual pages trace-cmd.dat.v6(5) and trace-cmd.dat.v7(5), and of the
//! ring buffer as the file's own `header_page` and `header_event` describe it.
//!
//! # Why not a library
//!
//! * `libtracecmd` 0.2 binds trace-cmd's C library: it needs that library and its headers on the
//!   machine that builds, reads no version 7 where the distribution's library is old, and is under
//!   Apache-2.0 alone, which does not go with GPL-2.0-only.
//! * `traceevent`, part of Arm's LISA, is pure Rust, but not published as a crate and under
//!   Apache-2.0 too.
//! * `tracepoint_decode` parses tracefs's `format` files and decodes fields, but knows no file and
//!   no ring buffer: it would replace `formats.rs` alone, with thirty times its code.

mod bytes;
mod error;
mod file;
mod formats;
mod layout;
mod options;
mod pages;
mod record;
mod records;
mod sections;
mod unpack;
mod version6;
mod version7;

pub use error::{Error, Place, Problem};
pub use file::{File, MAGIC};
pub use formats::{Field, FieldKind, Format};
pub use record::{List, Record, Value};
pub use records::{Item, Records};
