//! The fields of one line, and the event that they make.
//!
//! Both ways of reading a line, the quick one and the one that explains what is wrong, end here:
//! which op has which fields, what is the default and what contradicts what is said once.

use std::mem;
use std::sync::Arc;

use crate::trace::error::{Error, Kind, list};
use crate::trace::event::{Event, Op};
use iova::kernel::{Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Cpu, Nanos, Pages, Pfn, PfnRange};

use super::field::{Field, FieldSet, OP_COUNT, OPS};

/// The ops, in the order of [`OPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpName {
    Alloc,
    Free,
    Map,
    Unmap,
    Reserve,
    FreePfn,
    CpuDead,
    CpuUp,
    Restore,
    NoMem,
    DoubleFree,
}

/// An op, the fields that it must have and those that it may have beside `t`, `cpu` and `dom`.
struct OpRow {
    name: OpName,
    needs: FieldSet,
    may: FieldSet,
}

#[rustfmt::skip]
const OP_ROWS: [OpRow; OP_COUNT] = {
    use Field::{Align, Bytes, Cached, Cached32, Count, Cpu, Dev, Flush, Got, Hi, Id, Limit, Lo,
        Mask, Max32, Nodes, Pages, Path, Pci, Pfn, What};
    [
        row(OpName::Alloc, &[Id, Pages, Limit], &[Path, Align, Flush, Got]),
        row(OpName::Free, &[Id], &[]),
        row(OpName::Map, &[Id, Bytes, Mask], &[Pci, Dev, Got]),
        row(OpName::Unmap, &[Id], &[]),
        row(OpName::Reserve, &[Lo, Hi], &[]),
        row(OpName::FreePfn, &[Pfn], &[]),
        row(OpName::CpuDead, &[Cpu], &[]),
        row(OpName::CpuUp, &[Cpu], &[]),
        row(OpName::Restore, &[Nodes, Cached32, Cached, Max32], &[]),
        row(OpName::NoMem, &[What], &[Count]),
        row(OpName::DoubleFree, &[Id], &[]),
    ]
};

const fn row(name: OpName, needs: &[Field], may: &[Field]) -> OpRow {
    OpRow {
        name,
        needs: FieldSet::of(needs),
        may: FieldSet::of(may),
    }
}

/// The fields of one line: what is there, and its values as numbers.
///
/// One is used for all lines of a trace, so that it is never copied.
#[derive(Debug, Default)]
pub(super) struct Fields {
    present: FieldSet,
    null: FieldSet,
    /// What is not present here is left over from a line before.
    numbers: [u64; Field::COUNT],
    dev: Option<Arc<str>>,
    nodes: Vec<PfnRange>,
}

impl Fields {
    /// Begins a line: no field is there.
    pub(super) fn clear(&mut self) {
        self.present = FieldSet::default();
        self.null = FieldSet::default();
        self.dev = None;
    }

    /// Whether the line has the field.
    pub(super) fn has(&self, field: Field) -> bool {
        self.present.has(field)
    }

    /// The field is there, as a number within the bounds of its form.
    pub(super) fn set(&mut self, field: Field, number: u64) {
        self.present.add(field);
        self.numbers[field as usize] = number;
    }

    /// The field is there, as null.
    pub(super) fn set_null(&mut self, field: Field) {
        self.present.add(field);
        self.null.add(field);
    }

    /// `dev` is there.
    pub(super) fn set_dev(&mut self, dev: Arc<str>) {
        self.present.add(Field::Dev);
        self.dev = Some(dev);
    }

    /// `nodes` is there.
    pub(super) fn set_nodes(&mut self, nodes: Vec<PfnRange>) {
        self.present.add(Field::Nodes);
        self.nodes = nodes;
    }

    /// The event that they make; `before` is when the event before it was.
    pub(super) fn event(&mut self, before: Nanos) -> Result<Event, Error> {
        let op = self.op()?;
        Ok(Event {
            at: Nanos(self.or(Field::T, before.0)),
            cpu: Cpu(u16::try_from(self.number(Field::Cpu)).unwrap_or(u16::MAX)),
            dom: self.number(Field::Dom),
            op: self.take_op(op)?,
        })
    }

    /// The op, all of whose fields are there and none that is not its own.
    fn op(&self) -> Result<OpName, Error> {
        if !self.has(Field::Op) {
            let expected = list(OPS.iter().copied());
            return Err(missing(Field::Op, "an event", expected));
        }
        let index = usize::try_from(self.number(Field::Op)).unwrap_or(usize::MAX);
        let OpRow { name, needs, may } = &OP_ROWS[index];
        let missing_fields = needs.without(self.present);
        let foreign_fields = self.present.without(needs.and(*may).and(FieldSet::COMMON));
        if let Some(field) = missing_fields.fields().next() {
            let of = format!("`{}`", OPS[index]);
            return Err(missing(field, &of, field.form().phrase()));
        }
        if let Some(field) = foreign_fields.fields().next() {
            let own = needs.and(*may).without(FieldSet::COMMON);
            return Err(Kind::Foreign {
                field: field.name(),
                op: OPS[index],
                expected: list(FieldSet::COMMON.names().chain(own.names())),
            }
            .into());
        }
        Ok(*name)
    }

    fn take_op(&mut self, op: OpName) -> Result<Op, Error> {
        let id = self.number(Field::Id);
        Ok(match op {
            OpName::Alloc => Op::Alloc {
                id,
                pages: Pages(self.number(Field::Pages)),
                limit: Pfn(self.number(Field::Limit)),
                path: self.path(),
                got: self.got(),
            },
            OpName::Free => Op::Free { id },
            OpName::Map => Op::Map {
                id,
                bytes: self.number(Field::Bytes),
                mask: self.number(Field::Mask),
                pci: self.number(Field::Pci) != 0,
                dev: self.dev.take(),
                got: self.got(),
            },
            OpName::Unmap => Op::Unmap { id },
            OpName::Reserve => Op::Reserve {
                range: self.range()?,
            },
            OpName::FreePfn => Op::FreePfn {
                pfn: Pfn(self.number(Field::Pfn)),
            },
            OpName::CpuDead => Op::CpuDead,
            OpName::CpuUp => Op::CpuUp,
            OpName::Restore => Op::Restore(Arc::new(self.snapshot()?)),
            OpName::NoMem => Op::NoMem {
                what: match self.number(Field::What) {
                    0 => Memory::Iova,
                    _ => Memory::Magazine,
                },
                count: self.or(Field::Count, 1),
            },
            OpName::DoubleFree => Op::DoubleFree { id },
        })
    }

    fn path(&self) -> Path {
        match self.number(Field::Path) {
            0 => Path::Fast {
                flush: self.or(Field::Flush, 1) != 0,
            },
            _ => Path::Direct {
                align: self.or(Field::Align, 1) != 0,
            },
        }
    }

    fn got(&self) -> Got {
        match self.nullable(Field::Got) {
            _ if !self.has(Field::Got) => Got::Unrecorded,
            None => Got::Failed,
            Some(pfn) => Got::Pfn(pfn),
        }
    }

    fn range(&self) -> Result<PfnRange, Error> {
        let (lo, hi) = (self.number(Field::Lo), self.number(Field::Hi));
        PfnRange::new(Pfn(lo), Pfn(hi)).ok_or_else(|| {
            let expected = format!("an integer from `lo`, {lo}, up");
            Kind::value("hi", hi.to_string(), expected).into()
        })
    }

    fn snapshot(&mut self) -> Result<Snapshot, Error> {
        Ok(Snapshot {
            cached32: self.node(Field::Cached32)?,
            cached: self.node(Field::Cached)?,
            max32: Pages(self.number(Field::Max32)),
            nodes: mem::take(&mut self.nodes),
        })
    }

    /// A cached position: the lowest pfn of one of `nodes`.
    fn node(&self, field: Field) -> Result<Option<Pfn>, Error> {
        let position = self.nullable(field);
        let is_node = |pfn: Pfn| {
            self.nodes
                .binary_search_by_key(&pfn, |node| node.lo())
                .is_ok()
        };
        if position.is_none_or(is_node) {
            return Ok(position);
        }
        let found = self.number(field).to_string();
        let expected = "the lowest pfn of one of `nodes`, or null for the anchor";
        Err(Kind::value(field.name(), found, expected).into())
    }

    fn nullable(&self, field: Field) -> Option<Pfn> {
        (!self.null.has(field)).then(|| Pfn(self.number(field)))
    }

    /// The field's number; 0 where it is not there.
    fn number(&self, field: Field) -> u64 {
        self.or(field, 0)
    }

    fn or(&self, field: Field, default: u64) -> u64 {
        if self.has(field) {
            self.numbers[field as usize]
        } else {
            default
        }
    }
}

fn missing(field: Field, of: &str, expected: String) -> Error {
    Error::from(Kind::Missing {
        field: field.name(),
        of: of.to_owned(),
        expected,
    })
}
