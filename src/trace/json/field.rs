//! The fields that an event's line can have: their names and what kind of value each has.

use crate::trace::error::list;
use iova::units::Pfn;

use super::object::integer;

/// A field of an event's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Op,
    T,
    Cpu,
    Dom,
    Id,
    Pages,
    Limit,
    Path,
    Align,
    Flush,
    Got,
    Bytes,
    Mask,
    Pci,
    Dev,
    Lo,
    Hi,
    Pfn,
    Nodes,
    Cached32,
    Cached,
    Max32,
    What,
    Count,
}

/// What kind of value a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An integer from the first to the second.
    Integer(u64, u64),
    /// An integer or null.
    Nullable,
    /// True or false, kept as 1 and 0.
    Boolean,
    /// One of several words, kept as its index.
    Word(&'static [&'static str]),
    /// Free text: `dev`.
    Text,
    /// The ranges of a snapshot: `nodes`.
    Ranges,
}

pub(super) const OP_COUNT: usize = 11;

/// Every op's name, in the order of the ops' table.
pub(super) const OPS: &[&str; OP_COUNT] = &[
    "alloc",
    "free",
    "map",
    "unmap",
    "reserve",
    "free_pfn",
    "cpu_dead",
    "cpu_up",
    "restore",
    "nomem",
    "double_free",
];

/// Every field, in the order of its index.
pub(super) const FIELDS: [Field; Field::COUNT] = {
    use Field::{
        Align, Bytes, Cached, Cached32, Count, Cpu, Dev, Dom, Flush, Got, Hi, Id, Limit, Lo,
        Mask, Max32, Nodes, Op, Pages, Path, Pci, Pfn, T, What,
    };
    [
        Op, T, Cpu, Dom, Id, Pages, Limit, Path, Align, Flush, Got, Bytes, Mask, Pci, Dev, Lo,
        Hi, Pfn, Nodes, Cached32, Cached, Max32, What, Count,
    ]
};

/// Every field's name, in the order of [`FIELDS`].
pub(super) const NAMES: &[&str; Field::COUNT] = &{
    let mut names = [""; Field::COUNT];
    let mut index = 0;
    while index < Field::COUNT {
        assert!(FIELDS[index] as usize == index);
        names[index] = FIELDS[index].name();
        index += 1;
    }
    names
};

impl Field {
    pub(super) const COUNT: usize = Field::Count as usize + 1;

    /// Its name in the line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Field::Op => "op",
            Field::T => "t",
            Field::Cpu => "cpu",
            Field::Dom => "dom",
            Field::Id => "id",
            Field::Pages => "pages",
            Field::Limit => "limit",
            Field::Path => "path",
            Field::Align => "align",
            Field::Flush => "flush",
            Field::Got => "got",
            Field::Bytes => "bytes",
            Field::Mask => "mask",
            Field::Pci => "pci",
            Field::Dev => "dev",
            Field::Lo => "lo",
            Field::Hi => "hi",
            Field::Pfn => "pfn",
            Field::Nodes => "nodes",
            Field::Cached32 => "cached32",
            Field::Cached => "cached",
            Field::Max32 => "max32",
            Field::What => "what",
            Field::Count => "count",
        }
    }

    /// What kind of value it has.
    pub(super) const fn form(self) -> Form {
        match self {
            Field::Op => Form::Word(OPS),
            Field::Path => Form::Word(&["fast", "direct"]),
            Field::What => Form::Word(&["iova", "magazine"]),
            Field::Align | Field::Flush | Field::Pci => Form::Boolean,
            Field::Got | Field::Cached32 | Field::Cached => Form::Nullable,
            Field::Dev => Form::Text,
            Field::Nodes => Form::Ranges,
            Field::Cpu => Form::Integer(0, u16::MAX as u64),
            Field::Pages | Field::Bytes => Form::Integer(1, u64::MAX),
            Field::Pfn => Form::Integer(0, Pfn::ANCHOR.0 - 1),
            Field::T
            | Field::Dom
            | Field::Id
            | Field::Limit
            | Field::Mask
            | Field::Lo
            | Field::Hi
            | Field::Max32
            | Field::Count => Form::Integer(0, u64::MAX),
        }
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet(u32);

impl FieldSet {
    pub(super) const COMMON: FieldSet =
        FieldSet::of(&[Field::Op, Field::T, Field::Cpu, Field::Dom]);

    pub(super) const fn of(fields: &[Field]) -> FieldSet {
        let mut set = 0;
        let mut index = 0;
        while index < fields.len() {
            set |= 1 << fields[index] as u32;
            index += 1;
        }
        FieldSet(set)
    }

    pub(super) fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u32) != 0
    }

    pub(super) fn add(&mut self, field: Field) {
        self.0 |= 1 << field as u32;
    }

    pub(super) fn and(self, other: FieldSet) -> FieldSet {
        FieldSet(self.0 | other.0)
    }

    pub(super) fn without(self, other: FieldSet) -> FieldSet {
        FieldSet(self.0 & !other.0)
    }

    pub(super) fn fields(self) -> impl Iterator<Item = Field> {
        FIELDS.into_iter().filter(move |&field| self.has(field))
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        self.fields().map(Field::name)
    }
}

impl Form {
    /// What such a value is called in messages.
    pub(super) fn phrase(self) -> String {
        match self {
            Form::Integer(least, most) => integer(&(least..=most)),
            Form::Nullable => "an integer or null".to_owned(),
            Form::Boolean => "true or false".to_owned(),
            Form::Word(words) => list(words.iter().copied()),
            Form::Text => "a string".to_owned(),
            Form::Ranges => "an array of `[lo, hi]`".to_owned(),
        }
    }
}
