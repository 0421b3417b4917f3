//! The fields of an event's line: the name of each and the kind of its value.

use crate::trace::error::list;
use crate::trace::fields::NAMES as OPS;
use iova::units::Pfn;

use super::object::integer;

/// The kind of a field's value.
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

macro_rules! fields {
    ($($field:ident $name:literal $form:expr;)*) => {
        /// A field of an event's line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field {
            $($field),*
        }

        pub(super) const COUNT: usize = [$($name),*].len();

        pub(super) const FIELDS: [Field; COUNT] = [$(Field::$field),*];

        /// The fields' names, in the order of [`FIELDS`].
        pub(super) const NAMES: &[&str; COUNT] = &[$($name),*];

        const FORMS: [Form; COUNT] = [$($form),*];
    };
}

const ANY: Form = Form::Integer(0, u64::MAX);
const POSITIVE: Form = Form::Integer(1, u64::MAX);

fields! {
    Op "op" Form::Word(OPS);
    T "t" ANY;
    Cpu "cpu" Form::Integer(0, u16::MAX as u64);
    Dom "dom" ANY;
    Id "id" ANY;
    Pages "pages" POSITIVE;
    Limit "limit" ANY;
    Path "path" Form::Word(&["fast", "direct"]);
    Align "align" Form::Boolean;
    Flush "flush" Form::Boolean;
    Got "got" Form::Nullable;
    Bytes "bytes" POSITIVE;
    Mask "mask" ANY;
    Pci "pci" Form::Boolean;
    Dev "dev" Form::Text;
    Lo "lo" ANY;
    Hi "hi" ANY;
    Pfn "pfn" Form::Integer(0, Pfn::ANCHOR.0 - 1);
    Nodes "nodes" Form::Ranges;
    Cached32 "cached32" Form::Nullable;
    Cached "cached" Form::Nullable;
    Max32 "max32" ANY;
    What "what" Form::Word(&["iova", "magazine"]);
    Count "count" ANY;
}

impl Field {
    pub(super) const fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    pub(super) const fn form(self) -> Form {
        FORMS[self as usize]
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet(u32);

impl FieldSet {
    pub(super) const fn of(fields: &[Field]) -> FieldSet {
        let mut set = 0;
        let mut index = 0;
        while index < fields.len() {
            set |= 1 << fields[index] as u32;
            index += 1;
        }
        FieldSet(set)
    }

    #[inline]
    pub(super) fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u32) != 0
    }

    #[inline]
    pub(super) fn add(&mut self, field: Field) {
        self.0 |= 1 << field as u32;
    }

    pub(super) fn without(self, other: FieldSet) -> FieldSet {
        FieldSet(self.0 & !other.0)
    }

    pub(super) fn fields(self) -> impl Iterator<Item = Field> {
        FIELDS.into_iter().filter(move |&field| self.has(field))
    }
}

impl Form {
    /// The name of such a value in messages.
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
