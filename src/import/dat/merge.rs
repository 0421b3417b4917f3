//! The events of all CPUs in order of time, as the records that a report of them would have.
//!
//! Of events with one time, the CPU with the lowest number comes first, as in trace-cmd's report.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::super::error::{Place, Problem};
use super::super::line::Line;
use super::super::record::Record;
use super::arguments::Event;
use super::bytes::Fault;
use super::file::File;
use super::pages::{Missed, Stream};
use iova::units::Cpu;

/// A file's records, one at a time.
#[derive(Debug)]
pub(in super::super) struct Records {
    file: Arc<File>,
    streams: Vec<Stream>,
    /// The times of the events that streams have next, with their place among the streams.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    stage: Stage,
    /// By CPU, how many events pages said to be lost; none where one did not say how many.
    told: BTreeMap<Cpu, Option<u64>>,
    /// The rest, when the events are at their end.
    untold: Vec<Item>,
    item: Item,
    arguments: String,
    place: Place,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Cpus,
    Kernel,
    Events,
    /// What was lost behind all events, or untold by pages.
    Losses,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Cpus,
    Kernel,
    Lost {
        cpu: u64,
        count: Option<u64>,
    },
    Record {
        id: u64,
        pid: u32,
        cpu: Cpu,
        at: u64,
    },
}

impl Records {
    pub(in super::super) fn new(file: Arc<File>) -> Result<Records, Fault> {
        let streams = file.data.iter().map(|data| Stream::new(&file, *data));
        let mut records = Records {
            streams: streams.collect::<Result<_, _>>()?,
            file,
            next: BinaryHeap::new(),
            stage: Stage::Cpus,
            told: BTreeMap::new(),
            untold: Vec::new(),
            item: Item::Cpus,
            arguments: String::new(),
            place: Place::Whole,
        };
        for index in 0..records.streams.len() {
            records.advance_stream(index)?;
        }
        Ok(records)
    }

    fn advance_stream(&mut self, index: usize) -> Result<(), Fault> {
        let stream = &mut self.streams[index];
        if stream.advance(&self.file)? {
            self.next.push(Reverse((stream.at, index)));
        }
        Ok(())
    }

    /// Goes to the next record; false at the end.
    pub(in super::super) fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            self.place = Place::Whole;
            match self.stage {
                Stage::Cpus => {
                    self.stage = Stage::Kernel;
                    if self.file.options.cpus.is_some() {
                        self.item = Item::Cpus;
                        return Ok(true);
                    }
                }
                Stage::Kernel => {
                    self.stage = Stage::Events;
                    if self.file.options.kernel.is_some() {
                        self.item = Item::Kernel;
                        return Ok(true);
                    }
                }
                Stage::Events => {
                    if let Some(Reverse((_, index))) = self.next.peek() {
                        return self.take(*index);
                    }
                    self.stage = Stage::Losses;
                    self.untold = self.untold();
                }
                Stage::Losses => {
                    let item = self.untold.pop();
                    self.item = item.unwrap_or(self.item);
                    return Ok(item.is_some());
                }
            }
        }
    }

    /// Losses behind the last event, and those that only the statistics have; the last comes first.
    fn untold(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        for index in 0..self.streams.len() {
            items.extend(self.lost(index));
        }
        for (&cpu, &all) in &self.file.options.lost {
            let told = u16::try_from(cpu).ok().map(Cpu);
            let told = told.and_then(|cpu| self.told.get(&cpu).copied());
            let count = match told {
                // How many the pages meant is not known: it may be all.
                Some(None) => 0,
                Some(Some(told)) => all.saturating_sub(told),
                None => all,
            };
            if count > 0 {
                let count = Some(count);
                items.push(Item::Lost { cpu, count });
            }
        }
        items.reverse();
        items
    }

    /// What a stream's page says to be lost, once.
    fn lost(&mut self, index: usize) -> Option<Item> {
        let stream = self.streams.get_mut(index)?;
        let Missed { count } = stream.missed.take()?;
        let told = self.told.entry(stream.cpu).or_insert(Some(0));
        *told = told
            .zip(count)
            .map(|(told, count)| told.saturating_add(count));
        let cpu = u64::from(stream.cpu.0);
        Some(Item::Lost { cpu, count })
    }

    /// Takes what a stream has next: that events were lost, or an event.
    fn take(&mut self, index: usize) -> Result<bool, Fault> {
        if let Some(lost) = self.lost(index) {
            self.item = lost;
            return Ok(true);
        }
        let stream = &self.streams[index];
        let bytes = stream.event(&self.file);
        self.place = bytes.origin().place(0);
        let order = self.file.order;
        let Some((id, format)) = self.file.formats.of(bytes.slice(), order) else {
            return Err(bytes.wrong("event", format!("{} bytes", bytes.len()), "its id"));
        };
        let Some(format) = format else {
            let expected = "the id of an event whose format is in the file";
            return Err(bytes.wrong("common_type", id, expected));
        };
        let event = Event {
            format,
            bytes: bytes.slice(),
            order,
        };
        self.arguments.clear();
        let written = event.write(&mut self.arguments);
        let pid = written.and_then(|()| event.pid());
        self.item = Item::Record {
            id,
            pid: pid.map_err(|problem| bytes.fault(problem))?,
            cpu: stream.cpu,
            at: stream.at,
        };
        self.next.pop();
        self.advance_stream(index)?;
        Ok(true)
    }

    /// What a report would have a line for.
    pub(in super::super) fn line(&self) -> Line<'_> {
        match self.item {
            Item::Cpus => Line::Cpus(self.file.options.cpus.unwrap_or(0)),
            Item::Kernel => {
                Line::Kernel(self.file.options.kernel.as_deref().unwrap_or_default())
            }
            Item::Lost { cpu, count } => Line::Lost {
                cpu: Some(cpu),
                count,
            },
            Item::Record { id, pid, cpu, at } => match self.file.formats.get(id) {
                Some(format) => Line::Record(Record {
                    pid,
                    cpu,
                    at,
                    event: &format.name,
                    arguments: &self.arguments,
                }),
                None => Line::Nothing,
            },
        }
    }

    /// Where the record is.
    pub(in super::super) fn fault(&self, problem: Problem) -> Fault {
        Fault {
            place: self.place,
            problem,
        }
    }
}
