//! The fields of one line, and the event that they make.
//!
//! Both ways of reading a line end here: missing fields, defaults and contradictions are found
//! in one place.

use std::mem;
use std::sync::Arc;

use crate::trace::error::{Error, Kind, list};
use crate::trace::event::{Event, Op};
use crate::trace::fields::{self, Source};
use iova::kernel::{Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

use super::field::{COUNT, Field, FieldSet};

/// The fields of one line: which there are, and their values as numbers.
///
/// One is used for all lines of a trace, so that it is never copied.
#[derive(Debug, Default)]
pub(super) struct Line {
    present: FieldSet,
    null: FieldSet,
    /// The fields that the operation has looked for.
    own: FieldSet,
    /// A field that is not present here has the value of an earlier line.
    numbers: [u64; COUNT],
    dev: Option<Arc<str>>,
    nodes: Vec<PfnRange>,
}

/// The values of fields that a line may omit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub(super) at: Nanos,
    pub(super) cpu: Cpu,
}

impl Line {
    /// Begins a line: it has no field yet.
    pub(super) fn clear(&mut self) {
        self.present = FieldSet::default();
        self.null = FieldSet::default();
        self.dev = None;
    }

    /// The fields that the operation of the last event may have.
    pub(super) fn own(&self) -> FieldSet {
        self.own
    }

    #[inline]
    pub(super) fn has(&self, field: Field) -> bool {
        self.present.has(field)
    }

    /// Sets a field to a number within the bounds of its form.
    #[inline]
    pub(super) fn set(&mut self, field: Field, number: u64) {
        self.present.add(field);
        self.numbers[field as usize] = number;
    }

    pub(super) fn set_null(&mut self, field: Field) {
        self.present.add(field);
        self.null.add(field);
    }

    pub(super) fn set_dev(&mut self, dev: Arc<str>) {
        self.present.add(Field::Dev);
        self.dev = Some(dev);
    }

    pub(super) fn set_nodes(&mut self, nodes: Vec<PfnRange>) {
        self.present.add(Field::Nodes);
        self.nodes = nodes;
    }

    /// Replaces `event` by the event of these fields.
    pub(super) fn event(&mut self, defaults: Defaults, event: &mut Event) -> Result<(), Error> {
        self.own = FieldSet::of(&[Field::Op, Field::T, Field::Cpu, Field::Dom]);
        if !self.has(Field::Op) {
            return Err(self.missing(Field::Op));
        }
        let number = u8::try_from(self.numbers[Field::Op as usize]).unwrap_or(u8::MAX);
        let known = fields::take(number, self, &mut event.op)?;
        assert!(known, "the op is one of the table's");
        let changes_cpu = matches!(event.op, Op::CpuDead | Op::CpuUp);
        if changes_cpu && !self.has(Field::Cpu) {
            return Err(self.missing(Field::Cpu));
        }
        if let Some(foreign) = self.present.without(self.own).fields().next() {
            return Err(Kind::Foreign {
                field: foreign.name(),
                op: fields::name(&event.op),
                expected: list(self.own.fields().map(Field::name)),
            }
            .into());
        }
        let cpu = self.or(Field::Cpu, defaults.cpu.0.into());
        event.at = Nanos(self.or(Field::T, defaults.at.0));
        event.cpu = Cpu(u16::try_from(cpu).unwrap_or(u16::MAX));
        event.dom = self.or(Field::Dom, 0);
        Ok(())
    }

    /// The number of a field that the operation must have.
    #[inline]
    fn number(&mut self, field: Field) -> Result<u64, Error> {
        self.own.add(field);
        if self.has(field) {
            Ok(self.numbers[field as usize])
        } else {
            Err(self.missing(field))
        }
    }

    /// The number of a field that the operation may have.
    #[inline]
    fn optional(&mut self, field: Field, default: u64) -> u64 {
        self.own.add(field);
        self.or(field, default)
    }

    #[inline]
    fn or(&self, field: Field, default: u64) -> u64 {
        if self.has(field) {
            self.numbers[field as usize]
        } else {
            default
        }
    }

    #[inline]
    fn nullable(&mut self, field: Field) -> Result<Option<Pfn>, Error> {
        let number = self.number(field)?;
        Ok((!self.null.has(field)).then_some(Pfn(number)))
    }

    /// A cached node: the lowest pfn of one of `nodes`.
    fn node(&mut self, field: Field) -> Result<Option<Pfn>, Error> {
        let cached = self.nullable(field)?;
        let is_node = |pfn: Pfn| {
            self.nodes
                .binary_search_by_key(&pfn, |node| node.lo())
                .is_ok()
        };
        match cached {
            Some(pfn) if !is_node(pfn) => {
                let expected = "the lowest pfn of one of `nodes`, or null for the anchor";
                Err(Kind::value(field.name(), pfn.0.to_string(), expected).into())
            }
            _ => Ok(cached),
        }
    }

    #[cold]
    fn missing(&self, field: Field) -> Error {
        let of = match fields::NAMES.get(self.op_index()) {
            Some(op) if field != Field::Op => format!("`{op}`"),
            _ => "an event".to_owned(),
        };
        Error::from(Kind::Missing {
            field: field.name(),
            of,
            expected: field.form().phrase(),
        })
    }

    fn op_index(&self) -> usize {
        usize::try_from(self.or(Field::Op, u64::MAX)).unwrap_or(usize::MAX)
    }
}

impl Source for Line {
    type Error = Error;

    #[inline]
    fn new_id(&mut self) -> Result<u64, Error> {
        self.number(Field::Id)
    }

    #[inline]
    fn old_id(&mut self) -> Result<u64, Error> {
        self.number(Field::Id)
    }

    #[inline]
    fn pages(&mut self) -> Result<Pages, Error> {
        self.number(Field::Pages).map(Pages)
    }

    #[inline]
    fn limit(&mut self) -> Result<Pfn, Error> {
        self.number(Field::Limit).map(Pfn)
    }

    #[inline]
    fn path(&mut self) -> Result<Path, Error> {
        let flush = self.optional(Field::Flush, 1) != 0;
        let align = self.optional(Field::Align, 1) != 0;
        Ok(match self.optional(Field::Path, 0) {
            0 => Path::Fast { flush },
            _ => Path::Direct { align },
        })
    }

    #[inline]
    fn bytes(&mut self) -> Result<u64, Error> {
        self.number(Field::Bytes)
    }

    #[inline]
    fn mask(&mut self) -> Result<u64, Error> {
        self.number(Field::Mask)
    }

    #[inline]
    fn pci(&mut self) -> Result<bool, Error> {
        Ok(self.optional(Field::Pci, 0) != 0)
    }

    #[inline]
    fn dev(&mut self) -> Result<Option<Arc<str>>, Error> {
        self.own.add(Field::Dev);
        Ok(self.dev.take())
    }

    #[inline]
    fn got(&mut self) -> Result<Got, Error> {
        self.own.add(Field::Got);
        if !self.has(Field::Got) {
            return Ok(Got::Unrecorded);
        }
        Ok(self.nullable(Field::Got)?.map_or(Got::Failed, Got::Pfn))
    }

    #[inline]
    fn range(&mut self) -> Result<PfnRange, Error> {
        let (lo, hi) = (self.number(Field::Lo)?, self.number(Field::Hi)?);
        PfnRange::new(Pfn(lo), Pfn(hi)).ok_or_else(|| {
            let expected = format!("an integer from `lo`, {lo}, up");
            Kind::value("hi", hi.to_string(), expected).into()
        })
    }

    #[inline]
    fn pfn(&mut self) -> Result<Pfn, Error> {
        self.number(Field::Pfn).map(Pfn)
    }

    #[inline]
    fn snapshot(&mut self) -> Result<Arc<Snapshot>, Error> {
        self.number(Field::Nodes)?;
        Ok(Arc::new(Snapshot {
            cached32: self.node(Field::Cached32)?,
            cached: self.node(Field::Cached)?,
            max32: Pages(self.number(Field::Max32)?),
            nodes: mem::take(&mut self.nodes),
        }))
    }

    #[inline]
    fn what(&mut self) -> Result<Memory, Error> {
        Ok(match self.number(Field::What)? {
            0 => Memory::Iova,
            _ => Memory::Magazine,
        })
    }

    #[inline]
    fn count(&mut self) -> Result<u64, Error> {
        Ok(self.optional(Field::Count, 1))
    }
}
