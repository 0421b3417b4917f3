//! One CPU's ring buffer: pages, and the events on them.
//!
//! ```text
//! page    timestamp, commit (bytes of events, and flags), events, perhaps the number of missed ones
//! event   5 bits kind or length, 27 bits nanoseconds since the one before, data
//! ```
//!
//! Longer times are events of their own: a time to add, or an absolute one of 59 bits.

use std::ops::Range;

use crate::bytes::{Bytes, Order, Origin};
use crate::error::Error;
use crate::formats::Field;
use crate::layout::{CpuData, Layout};
use crate::unpack::Packing;

/// Flags of a page's commit: events before the page were lost; their number follows its events.
const MISSED: u64 = 1 << 31;
const MISSED_STORED: u64 = 1 << 30;

/// The bits of a commit that are the number of bytes.
const COMMIT_SIZE: u64 = (1 << 27) - 1;

/// The bits of an absolute time that an event has.
const STAMP_BITS: u32 = 59;

/// Events that the tracer lost, with their number where the page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) count: Option<u64>,
}

/// A CPU's events, one at a time.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) cpu: u16,
    source: Source,
    page: Vec<u8>,
    origin: Origin,
    /// The part of the page that has not been read.
    rest: Range<usize>,
    /// The time that events count from.
    stamp: u64,
    /// The loss before the current event, until it is reported.
    pub(crate) missed: Option<Missed>,
    /// Where the current event's data is on the page.
    event: Range<usize>,
    /// Its time in nanoseconds.
    pub(crate) at: u64,
}

/// Where pages come from.
#[derive(Debug)]
enum Source {
    Plain {
        at: u64,
        left: u64,
    },
    Packed {
        packing: Packing,
        at: u64,
        left: u64,
        chunks: u64,
        /// Where the current chunk begins.
        chunk_at: u64,
        chunk: Vec<u8>,
        used: usize,
    },
}

/// The kind of an event of the ring buffer.
enum Kind {
    Data(Range<usize>),
    /// A time to add.
    Later(u64),
    /// A time without its upper bits.
    Stamp(u64),
    Discarded,
    /// Nothing follows on the page.
    Last,
}

impl Stream {
    pub(crate) fn new(file: &Layout, data: CpuData) -> Result<Stream, Error> {
        Ok(Stream {
            cpu: data.cpu,
            source: Source::new(file, data)?,
            page: Vec::new(),
            origin: Origin::File(data.at),
            rest: 0..0,
            stamp: 0,
            missed: None,
            event: 0..0,
            at: 0,
        })
    }

    /// The data of the event that was advanced to.
    pub(crate) fn event<'a>(&'a self, file: &Layout) -> Bytes<'a> {
        let data = self.page.get(self.event.clone()).unwrap_or_default();
        Bytes::new(data, self.origin.after(self.event.start), file.order)
    }

    /// Goes to the next event; false at the end.
    pub(crate) fn advance(&mut self, file: &Layout) -> Result<bool, Error> {
        loop {
            while self.rest.is_empty() {
                if !self.turn(file)? {
                    return Ok(false);
                }
            }
            let page = self.page.get(self.rest.clone()).unwrap_or_default();
            let bytes = Bytes::new(page, self.origin.after(self.rest.start), file.order);
            let start = self.rest.start;
            let (kind, delta, size) = next(bytes)?;
            self.rest.start += size;
            let late = || bytes.wrong("time of an event", "more than 2^64 ns", "a time below");
            match kind {
                Kind::Last => {
                    self.rest.start = self.rest.end;
                    continue;
                }
                Kind::Later(_) | Kind::Discarded | Kind::Data(_) => {
                    let further = if let Kind::Later(further) = kind {
                        further
                    } else {
                        delta
                    };
                    self.stamp = self.stamp.checked_add(further).ok_or_else(late)?;
                }
                Kind::Stamp(stamp) => self.stamp = absolute(self.stamp, stamp),
            }
            if let Kind::Data(data) = kind {
                self.event = start + data.start..start + data.end;
                self.at = match file.scale {
                    Some(scale) => scale.nanoseconds(self.stamp).ok_or_else(late)?,
                    None => self.stamp,
                };
                return Ok(true);
            }
        }
    }

    /// Turns to the next page; false behind the last.
    fn turn(&mut self, file: &Layout) -> Result<bool, Error> {
        if !self.source.next(file, &mut self.page, &mut self.origin)? {
            return Ok(false);
        }
        let layout = &file.contents.page;
        let page = Bytes::new(&self.page, self.origin, file.order);
        let read = |field: &Field| {
            let bytes = field.of(&self.page).unwrap_or_default();
            file.order.number(bytes)
        };
        self.stamp = read(&layout.timestamp);
        let commit = read(&layout.commit);
        let size = commit & COMMIT_SIZE;
        let mut events = page;
        events.take(layout.data as u64, "head of a page")?;
        let behind = {
            let mut all = events;
            all.take(size, "events of a page")?;
            all
        };
        let end = self.page.len() - behind.len();
        if commit & MISSED != 0 {
            let mut behind = behind;
            let stored = commit & MISSED_STORED != 0;
            let count = if stored {
                let stored =
                    behind.take(layout.commit.size as u64, "number of events missed")?;
                Some(file.order.number(stored.slice()))
            } else {
                None
            };
            // One mark before may still wait for an event: this page or that one had none.
            self.missed = Some(match (self.missed, count) {
                (None, count) => Missed { count },
                (
                    Some(Missed {
                        count: Some(before),
                    }),
                    Some(count),
                ) => Missed {
                    count: before.checked_add(count),
                },
                _ => Missed { count: None },
            });
        }
        self.rest = layout.data..end;
        Ok(true)
    }
}

/// The next event's kind, the time that it adds, and its size in bytes.
fn next(mut bytes: Bytes<'_>) -> Result<(Kind, u64, usize), Error> {
    const DELTA_BITS: u32 = 27;
    let before = bytes;
    let size = |rest: Bytes<'_>| before.len() - rest.len();
    let word = bytes.u32("head of an event")?;
    let (what, delta) = match bytes.order {
        Order::Little => (word & 31, word >> 5),
        Order::Big => (word >> DELTA_BITS, word & ((1 << DELTA_BITS) - 1)),
    };
    let kind = match what {
        29 if delta == 0 => Kind::Last,
        29 | 0 => {
            let length = bytes.u32("length of an event")?;
            let Some(data) = length.checked_sub(4) else {
                return Err(before.wrong("length of an event", length, "4 or more"));
            };
            let start = size(bytes);
            bytes.take(data, "event")?;
            let end = size(bytes);
            // Events begin at multiples of 4.
            bytes.take((data.wrapping_neg() & 3).min(bytes.len() as u64), "event")?;
            match what {
                0 => Kind::Data(start..end),
                _ => Kind::Discarded,
            }
        }
        30 | 31 => {
            let upper = bytes.u32("time of an event")?;
            let time = upper << DELTA_BITS | delta;
            match what {
                30 => Kind::Later(time),
                _ => Kind::Stamp(time),
            }
        }
        words => {
            let start = size(bytes);
            bytes.take(4 * words, "event")?;
            Kind::Data(start..size(bytes))
        }
    };
    Ok((kind, delta, size(bytes)))
}

/// An absolute time with its upper bits, which the event lacks: those of the time before it, or the
/// next.
fn absolute(before: u64, stamp: u64) -> u64 {
    let upper = before >> STAMP_BITS << STAMP_BITS;
    let time = upper | stamp;
    if time < before && upper != 0 {
        time.wrapping_add(1 << STAMP_BITS)
    } else {
        time
    }
}

impl Source {
    fn new(file: &Layout, data: CpuData) -> Result<Source, Error> {
        let CpuData {
            at, size, packing, ..
        } = data;
        let Some(packing) = packing.filter(|_| size > 0) else {
            return Ok(Source::Plain { at, left: size });
        };
        let mut bytes = file.slice(at, size, "a CPU's data")?;
        let chunks = bytes.u32("number of chunks")?;
        Ok(Source::Packed {
            packing,
            at: at + (size - bytes.len() as u64),
            left: bytes.len() as u64,
            chunks,
            chunk_at: at,
            chunk: Vec::new(),
            used: 0,
        })
    }

    /// Copies the next page; false behind the last.
    fn next(
        &mut self,
        file: &Layout,
        page: &mut Vec<u8>,
        origin: &mut Origin,
    ) -> Result<bool, Error> {
        let size = file.contents.page.size;
        let whole_page = "page of the ring buffer";
        match self {
            Source::Plain { left: 0, .. } => Ok(false),
            Source::Plain { at, left } => {
                let bytes = file.slice(*at, *left, whole_page)?;
                let taken = bytes.clone().take(size as u64, whole_page)?;
                fill(page, taken.slice());
                *origin = taken.origin();
                *at += size as u64;
                *left -= size as u64;
                Ok(true)
            }
            Source::Packed {
                packing,
                at,
                left,
                chunks,
                chunk_at,
                chunk,
                used,
            } => {
                while *used == chunk.len() {
                    if *chunks == 0 {
                        return Ok(false);
                    }
                    let mut bytes = file.slice(*at, *left, "chunk")?;
                    // Gone before the next one is there.
                    *chunk = Vec::new();
                    *chunk = packing.unpack(&mut bytes, file.chunk_max(), "chunk")?;
                    *chunk_at = *at;
                    *at += *left - bytes.len() as u64;
                    *left = bytes.len() as u64;
                    *chunks -= 1;
                    *used = 0;
                }
                let inside = *used;
                let place = Origin::Packed {
                    at: *chunk_at,
                    inside,
                };
                let rest = chunk.get(inside..).unwrap_or_default();
                let taken =
                    Bytes::new(rest, place, file.order).take(size as u64, whole_page)?;
                fill(page, taken.slice());
                *origin = taken.origin();
                *used += size;
                Ok(true)
            }
        }
    }
}

fn fill(page: &mut Vec<u8>, bytes: &[u8]) {
    page.clear();
    page.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_times_have_the_upper_bits_of_the_time_before() {
        let upper = 3 << STAMP_BITS;
        assert_eq!(absolute(7, 9), 9);
        assert_eq!(absolute(9, 7), 7);
        assert_eq!(absolute(upper | 7, 9), upper | 9);
        assert_eq!(absolute(upper | 7, 7), upper | 7);
        // Going back means that the lower bits began anew.
        assert_eq!(absolute(upper | 9, 7), (4 << STAMP_BITS) | 7);
    }
}
