//! Reads the compact form.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::bytes::Bytes;
use super::column::Column;
use super::frame::{self, FrameKind};
use super::{BLOCK_EVENTS, VERSION, corrupt, flag};
use crate::trace::compress;
use crate::trace::error::{Error, Kind};
use crate::trace::event::{Event, Header};
use crate::trace::fields::{self, Source};
use crate::trace::json;
use crate::trace::names::charge;
use iova::kernel::{Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

/// Reads the events of a trace in the compact form.
pub(in crate::trace) struct Decoder {
    input: compress::Decoder,
    /// The content of the frame that is being read.
    frame: Vec<u8>,
    block: Block,
    names: Vec<Arc<str>>,
    /// The memory that they take.
    names_bytes: u64,
    /// How many events were asked for.
    asked: u64,
    ended: bool,
}

impl Decoder {
    /// Reads the magic and the header.
    pub(in crate::trace) fn new(
        mut input: compress::Decoder,
    ) -> Result<(Decoder, Header), Error> {
        let mut frame = Vec::new();
        frame::read_magic(&mut input)?;
        if frame::read(&mut input, &mut frame)? != FrameKind::Header {
            return Err(corrupt("it does not begin with a header"));
        }
        let mut content = Bytes(&frame);
        match content.varint()? {
            VERSION => {}
            version => return Err(Kind::NewerBinary { version }.into()),
        }
        let header = json::header(content.0)?;
        let decoder = Decoder {
            input,
            frame,
            block: Block::default(),
            names: Vec::new(),
            names_bytes: 0,
            asked: 0,
            ended: false,
        };
        Ok((decoder, header))
    }

    /// The number of the event that was asked for last, from 0.
    pub(in crate::trace) fn number(&self) -> u64 {
        self.asked.saturating_sub(1)
    }

    /// Puts the next event in the place of `event`; gives false after the last.
    pub(in crate::trace) fn read(&mut self, event: &mut Event) -> Result<bool, Error> {
        self.asked += 1;
        if self.block.left == 0 {
            self.read_frame()?;
            if self.ended {
                return Ok(false);
            }
        }
        self.block.read_event(event, &self.frame, &self.names)?;
        Ok(true)
    }

    /// Reads the next block, or the end.
    fn read_frame(&mut self) -> Result<(), Error> {
        self.block.check_used_up()?;
        let kind = frame::read(&mut self.input, &mut self.frame)?;
        let mut content = Bytes(&self.frame);
        match kind {
            FrameKind::Header => Err(corrupt("it has a second header")),
            FrameKind::Block => {
                if content.u64()? != self.number() {
                    return Err(corrupt("a block is missing or in another's place"));
                }
                self.block
                    .read(content, &mut self.names, &mut self.names_bytes)
            }
            FrameKind::End => {
                if content.varint()? != self.number() || !content.0.is_empty() {
                    return Err(corrupt("the end counts other events than there are"));
                }
                self.ended = true;
                frame::read_nothing(&mut self.input)
            }
        }
    }
}

/// A block's columns, and how far they were read.
#[derive(Debug, Default)]
struct Block {
    /// How many events are to come.
    left: usize,
    time: u64,
    begun: u64,
    ended: u64,
    tags: Column,
    times: Column,
    cpus: Column,
    doms: Column,
    ids: Column,
    sizes: Column,
    limits: Column,
    devs: Column,
    gots: Column,
    /// How many bytes of the frame, from its end, are left of `rest`.
    rest: usize,
}

impl Block {
    /// Reads what follows the first event's number, and the new names.
    fn read(
        &mut self,
        mut content: Bytes<'_>,
        names: &mut Vec<Arc<str>>,
        names_bytes: &mut u64,
    ) -> Result<(), Error> {
        let starts = [content.u64()?, content.u64()?, content.u64()?];
        if starts != [self.time, self.begun, self.ended] {
            return Err(corrupt("a block does not begin where the one before ends"));
        }
        let names_count = content.count(1)?;
        if names_count > BLOCK_EVENTS {
            return Err(corrupt("a block has more names than events"));
        }
        for _ in 0..names_count {
            let length = content.count(1)?;
            let name = std::str::from_utf8(content.take(length)?);
            let name = name.map_err(|_| corrupt("a name is not UTF-8"))?;
            charge(names_bytes, name)?;
            names.push(name.into());
        }
        for column in self.columns() {
            column.read(&mut content, BLOCK_EVENTS)?;
        }
        self.left = self.tags.len();
        self.rest = content.0.len();
        if self.left == 0 {
            return Err(corrupt("a block has no events"));
        }
        Ok(())
    }

    fn columns(&mut self) -> [&mut Column; 9] {
        [
            &mut self.tags,
            &mut self.times,
            &mut self.cpus,
            &mut self.doms,
            &mut self.ids,
            &mut self.sizes,
            &mut self.limits,
            &mut self.devs,
            &mut self.gots,
        ]
    }

    /// That a block whose events were all read has nothing left over.
    fn check_used_up(&mut self) -> Result<(), Error> {
        if self.rest == 0 && self.columns().iter().all(|column| column.is_used_up()) {
            return Ok(());
        }
        Err(corrupt("a block holds more than its events need"))
    }

    /// Puts the next event of a block in a frame in the place of `event`.
    fn read_event(
        &mut self,
        event: &mut Event,
        frame: &[u8],
        names: &[Arc<str>],
    ) -> Result<(), Error> {
        self.left -= 1;
        let tag = self.tags.next()?;
        self.time = self.time.wrapping_add(self.times.next()?);
        let cpu = self.cpus.next()?;
        event.at = Nanos(self.time);
        event.cpu =
            Cpu(u16::try_from(cpu).map_err(|_| bounds("cpu", cpu, 0..=u16::MAX.into()))?);
        event.dom = self.doms.next()?;
        let tag = u8::try_from(tag).map_err(|_| unknown_tag())?;
        let mut decoder = OpDecoder {
            block: self,
            frame,
            names,
            flags: tag & 0xf0,
        };
        let known = fields::take(tag & 0x0f, &mut decoder, &mut event.op)?;
        if !known || decoder.flags != 0 {
            return Err(unknown_tag());
        }
        Ok(())
    }
}

/// Takes the fields of an operation from a block.
struct OpDecoder<'b> {
    block: &'b mut Block,
    frame: &'b [u8],
    names: &'b [Arc<str>],
    /// Those of the tag that no field has taken yet.
    flags: u8,
}

impl<'b> OpDecoder<'b> {
    /// Takes some of the flags.
    #[inline]
    fn flags(&mut self, flags: u8) -> u8 {
        let taken = self.flags & flags;
        self.flags &= !flags;
        taken
    }

    /// Takes something of what is not in columns.
    fn rest<T>(
        &mut self,
        take: impl FnOnce(&mut Bytes<'b>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut rest = Bytes(&self.frame[self.frame.len() - self.block.rest..]);
        let taken = take(&mut rest)?;
        self.block.rest = rest.0.len();
        Ok(taken)
    }
}

impl Source for OpDecoder<'_> {
    type Error = Error;

    #[inline]
    fn new_id(&mut self) -> Result<u64, Error> {
        let id = &mut self.block.begun;
        *id = id.wrapping_add(unzigzag(self.block.ids.next()?));
        Ok(*id)
    }

    #[inline]
    fn old_id(&mut self) -> Result<u64, Error> {
        let id = &mut self.block.ended;
        *id = id.wrapping_add(unzigzag(self.block.ids.next()?));
        Ok(*id)
    }

    #[inline]
    fn pages(&mut self) -> Result<Pages, Error> {
        positive("pages", self.block.sizes.next()?).map(Pages)
    }

    #[inline]
    fn limit(&mut self) -> Result<Pfn, Error> {
        self.block.limits.next().map(Pfn)
    }

    #[inline]
    fn path(&mut self) -> Result<Path, Error> {
        let on = self.flags(flag::OFF) == 0;
        Ok(match self.flags(flag::DIRECT) {
            0 => Path::Fast { flush: on },
            _ => Path::Direct { align: on },
        })
    }

    #[inline]
    fn bytes(&mut self) -> Result<u64, Error> {
        positive("bytes", self.block.sizes.next()?)
    }

    #[inline]
    fn mask(&mut self) -> Result<u64, Error> {
        self.block.limits.next()
    }

    #[inline]
    fn pci(&mut self) -> Result<bool, Error> {
        Ok(self.flags(flag::PCI) != 0)
    }

    #[inline]
    fn dev(&mut self) -> Result<Option<Arc<str>>, Error> {
        let Some(index) = self.block.devs.next()?.checked_sub(1) else {
            return Ok(None);
        };
        let name = usize::try_from(index)
            .ok()
            .and_then(|index| self.names.get(index));
        let name = name.ok_or_else(|| corrupt("a device has a name that was not given"))?;
        Ok(Some(Arc::clone(name)))
    }

    #[inline]
    fn got(&mut self) -> Result<Got, Error> {
        match self.flags(flag::GOT_NULL | flag::GOT_PFN) {
            0 => Ok(Got::Unrecorded),
            flag::GOT_NULL => Ok(Got::Failed),
            flag::GOT_PFN => Ok(Got::Pfn(Pfn(self.block.gots.next()?))),
            _ => Err(unknown_tag()),
        }
    }

    #[inline]
    fn range(&mut self) -> Result<PfnRange, Error> {
        self.rest(|rest| range(rest.varint()?, rest.varint()?))
    }

    #[inline]
    fn pfn(&mut self) -> Result<Pfn, Error> {
        let pfn = self.rest(Bytes::varint)?;
        let most = Pfn::ANCHOR.0 - 1;
        if pfn > most {
            return Err(bounds("pfn", pfn, 0..=most));
        }
        Ok(Pfn(pfn))
    }

    #[inline]
    fn snapshot(&mut self) -> Result<Arc<Snapshot>, Error> {
        self.rest(snapshot).map(Arc::new)
    }

    #[inline]
    fn what(&mut self) -> Result<Memory, Error> {
        Ok(match self.flags(flag::MAGAZINE) {
            0 => Memory::Iova,
            _ => Memory::Magazine,
        })
    }

    #[inline]
    fn count(&mut self) -> Result<u64, Error> {
        self.rest(Bytes::varint)
    }
}

fn snapshot(rest: &mut Bytes<'_>) -> Result<Snapshot, Error> {
    let max32 = Pages(rest.varint()?);
    let count = rest.count(2)?;
    let cached = [rest.varint()?, rest.varint()?];
    let mut nodes = Vec::with_capacity(count);
    let mut free = 0_u64;
    for _ in 0..count {
        let lo = free.checked_add(rest.varint()?).ok_or_else(beyond)?;
        let node = range(lo, rest.varint()?)?;
        free = node.hi().0.checked_add(1).ok_or_else(beyond)?;
        nodes.push(node);
    }
    let position = |number: u64| match number.checked_sub(1) {
        None => Ok(None),
        Some(index) => {
            let node = usize::try_from(index)
                .ok()
                .and_then(|index| nodes.get(index));
            let node = node.ok_or_else(|| corrupt("a cached position is none of the nodes"));
            node.map(|node| Some(node.lo()))
        }
    };
    Ok(Snapshot {
        cached32: position(cached[0])?,
        cached: position(cached[1])?,
        max32,
        nodes,
    })
}

/// The range of `more` pfns beside `lo`.
fn range(lo: u64, more: u64) -> Result<PfnRange, Error> {
    let hi = lo.checked_add(more).ok_or_else(beyond)?;
    PfnRange::new(Pfn(lo), Pfn(hi)).ok_or_else(beyond)
}

#[inline]
fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[inline]
fn positive(field: &str, number: u64) -> Result<u64, Error> {
    if number == 0 {
        return Err(bounds(field, number, 1..=u64::MAX));
    }
    Ok(number)
}

fn bounds(field: &str, found: u64, expected: RangeInclusive<u64>) -> Error {
    Kind::value(field, found.to_string(), json::integer(&expected)).into()
}

fn beyond() -> Error {
    corrupt("a range goes beyond the highest pfn")
}

fn unknown_tag() -> Error {
    corrupt("an event has an unknown op or flag")
}
