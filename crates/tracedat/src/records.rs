//! The events of all CPUs in order of time.
//!
//! Of events with one time, the CPU with the lowest number comes first, as in trace-cmd's report.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use crate::error::Error;
use crate::file::File;
use crate::layout::Layout;
use crate::pages::{Missed, Stream};
use crate::record::Record;

/// A file's events, one at a time.
#[derive(Debug)]
pub struct Records {
    layout: Arc<Layout>,
    streams: Vec<Stream>,
    /// The times of the streams' current events, with the streams' indices.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// The stream whose event was read last; it has not been advanced since.
    taken: Option<usize>,
    /// The number of events that pages marked as lost, by CPU; `None` where a page did not say it.
    reported: BTreeMap<u16, Option<u64>>,
    /// The other losses, the first last, once all events were read.
    rest: Option<Vec<(u16, Option<u64>)>>,
}

/// What is next in a recording.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// An event.
    Record(Record<'a>),
    /// Events of a CPU that the tracer lost. It comes before the next event of that CPU; losses that
    /// only the tracer's statistics show come at the end.
    Lost {
        /// The CPU.
        cpu: u16,
        /// Their number; `None` if the file does not say it.
        count: Option<u64>,
    },
}

impl File {
    /// The events from the first on.
    ///
    /// # Errors
    ///
    /// Where the first page of a CPU cannot be read.
    pub fn records(&self) -> Result<Records, Error> {
        let layout = self.layout.clone();
        let streams = layout.contents.data.iter();
        let streams = streams.map(|data| Stream::new(&layout, *data));
        let mut records = Records {
            streams: streams.collect::<Result<_, _>>()?,
            layout,
            next: BinaryHeap::new(),
            taken: None,
            reported: BTreeMap::new(),
            rest: None,
        };
        for index in 0..records.streams.len() {
            records.advance(index)?;
        }
        Ok(records)
    }
}

impl Records {
    /// Reads the next item; `None` at the end.
    ///
    /// # Errors
    ///
    /// Where a page or an event cannot be read. What follows an error is not complete.
    pub fn read(&mut self) -> Result<Option<Item<'_>>, Error> {
        if let Some(index) = self.taken.take() {
            self.advance(index)?;
        }
        if let Some(&Reverse((_, index))) = self.next.peek() {
            if let Some((cpu, count)) = self.take_lost(index) {
                return Ok(Some(Item::Lost { cpu, count }));
            }
            self.next.pop();
            self.taken = Some(index);
            return self.record(index).map(|record| Some(Item::Record(record)));
        }
        if self.rest.is_none() {
            self.rest = Some(self.other_losses());
        }
        let lost = self.rest.as_mut().and_then(Vec::pop);
        Ok(lost.map(|(cpu, count)| Item::Lost { cpu, count }))
    }

    fn advance(&mut self, index: usize) -> Result<(), Error> {
        let stream = &mut self.streams[index];
        if stream.advance(&self.layout)? {
            self.next.push(Reverse((stream.at, index)));
        }
        Ok(())
    }

    /// The current event of a stream.
    fn record(&self, index: usize) -> Result<Record<'_>, Error> {
        let stream = &self.streams[index];
        let bytes = stream.event(&self.layout);
        let mut record = Record {
            cpu: stream.cpu,
            pid: 0,
            nanoseconds: stream.at,
            format: self.layout.contents.formats.of(bytes)?,
            bytes: bytes.slice(),
            origin: bytes.origin(),
            order: bytes.order,
        };
        record.pid = record.read_pid()?;
        Ok(record)
    }

    /// The loss that a stream's page shows before its current event, once.
    fn take_lost(&mut self, index: usize) -> Option<(u16, Option<u64>)> {
        let stream = self.streams.get_mut(index)?;
        let Missed { count } = stream.missed.take()?;
        let reported = self.reported.entry(stream.cpu).or_insert(Some(0));
        *reported = reported
            .zip(count)
            .map(|(reported, count)| reported.saturating_add(count));
        Some((stream.cpu, count))
    }

    /// Losses behind the last event, and those that only the statistics show, the first last.
    fn other_losses(&mut self) -> Vec<(u16, Option<u64>)> {
        let streams = 0..self.streams.len();
        let mut losses: Vec<_> = streams.filter_map(|index| self.take_lost(index)).collect();
        for (&cpu, &all) in &self.layout.contents.options.lost {
            let count = match self.reported.get(&cpu) {
                // The pages do not say how many: it may be all.
                Some(None) => 0,
                Some(Some(reported)) => all.saturating_sub(*reported),
                None => all,
            };
            if count > 0 {
                losses.push((cpu, Some(count)));
            }
        }
        losses.reverse();
        losses
    }
}
