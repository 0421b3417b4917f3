//! The table of operations: the number, the name and the fields of each, in the format's order.
//!
//! Every form of a trace follows this table: a form says how it writes a field ([`Sink`]) and
//! how it reads one ([`Source`]), and the table says which fields an operation has. So JSON, the
//! binary form, the digest and the tests' generators learn of a new operation from its row here.

use std::sync::Arc;

use iova::kernel::{Memory, Snapshot};
use iova::op::{Got, Path};
use iova::units::{Pages, Pfn, PfnRange};

use super::event::Op;

/// Takes the fields of an operation, one call for each.
pub(super) trait Sink<'a> {
    /// The id of a new allocation.
    fn new_id(&mut self, id: u64);
    /// The id of an allocation that ends or has ended.
    fn old_id(&mut self, id: u64);
    fn pages(&mut self, pages: Pages);
    fn limit(&mut self, limit: Pfn);
    fn path(&mut self, path: Path);
    fn bytes(&mut self, bytes: u64);
    fn mask(&mut self, mask: u64);
    fn pci(&mut self, pci: bool);
    fn dev(&mut self, dev: Option<&'a Arc<str>>);
    fn got(&mut self, got: Got);
    fn range(&mut self, range: PfnRange);
    fn pfn(&mut self, pfn: Pfn);
    fn snapshot(&mut self, snapshot: &'a Snapshot);
    fn what(&mut self, what: Memory);
    fn count(&mut self, count: u64);
}

/// Gives the fields of an operation, one call for each; the same fields as of [`Sink`].
pub(super) trait Source {
    type Error;
    fn new_id(&mut self) -> Result<u64, Self::Error>;
    fn old_id(&mut self) -> Result<u64, Self::Error>;
    fn pages(&mut self) -> Result<Pages, Self::Error>;
    fn limit(&mut self) -> Result<Pfn, Self::Error>;
    fn path(&mut self) -> Result<Path, Self::Error>;
    fn bytes(&mut self) -> Result<u64, Self::Error>;
    fn mask(&mut self) -> Result<u64, Self::Error>;
    fn pci(&mut self) -> Result<bool, Self::Error>;
    fn dev(&mut self) -> Result<Option<Arc<str>>, Self::Error>;
    fn got(&mut self) -> Result<Got, Self::Error>;
    fn range(&mut self) -> Result<PfnRange, Self::Error>;
    fn pfn(&mut self) -> Result<Pfn, Self::Error>;
    fn snapshot(&mut self) -> Result<Arc<Snapshot>, Self::Error>;
    fn what(&mut self) -> Result<Memory, Self::Error>;
    fn count(&mut self) -> Result<u64, Self::Error>;
}

/// A field's value as a sink takes it.
macro_rules! value {
    (dev, $dev:expr) => {
        $dev.as_ref()
    };
    (snapshot, $snapshot:expr) => {
        $snapshot
    };
    ($method:ident, $value:expr) => {
        *$value
    };
}

macro_rules! operations {
    ($($number:literal $name:literal $op:ident { $($field:ident: $method:ident),* })*) => {
        /// How many operations there are; their numbers are those below.
        pub(super) const COUNT: usize = NAMES.len();

        /// The operations' names, by number.
        pub(super) const NAMES: &[&str] = &[$($name),*];

        /// An operation's number, which the binary form has.
        #[inline]
        pub(super) fn number(op: &Op) -> u8 {
            match op {
                $(Op::$op { .. } => $number,)*
            }
        }

        /// Hands the fields of an operation to a sink, in the format's order.
        #[inline]
        pub(super) fn put<'a>(op: &'a Op, sink: &mut impl Sink<'a>) {
            match op {
                $(Op::$op { $($field),* } => { $(sink.$method(value!($method, $field));)* })*
            }
        }

        /// Replaces `op` by the operation of a number whose fields a source has; gives false if
        /// no operation has that number. Moving an operation costs as much as to decode it.
        #[inline]
        pub(super) fn take<S: Source>(
            number: u8,
            source: &mut S,
            op: &mut Op,
        ) -> Result<bool, S::Error> {
            match number {
                $($number => *op = Op::$op { $($field: source.$method()?),* },)*
                _ => return Ok(false),
            }
            Ok(true)
        }
    };
}

operations! {
    0 "alloc" Alloc { id: new_id, pages: pages, limit: limit, path: path, got: got }
    1 "free" Free { id: old_id }
    2 "map" Map { id: new_id, bytes: bytes, mask: mask, pci: pci, dev: dev, got: got }
    3 "unmap" Unmap { id: old_id }
    4 "reserve" Reserve { range: range }
    5 "free_pfn" FreePfn { pfn: pfn }
    6 "cpu_dead" CpuDead {}
    7 "cpu_up" CpuUp {}
    8 "restore" Restore { snapshot: snapshot }
    9 "nomem" NoMem { what: what, count: count }
    10 "double_free" DoubleFree { id: old_id }
}

/// An operation's name in traces.
pub(crate) fn name(op: &Op) -> &'static str {
    NAMES[usize::from(number(op))]
}
