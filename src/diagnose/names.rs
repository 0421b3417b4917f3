//! Names of allocators for readers who do not know this program.

use iova::kernel::Allocator;
use iova::kernel::allocator::ALIASES;

/// An allocator's name without an alias, as somebody who does not know this program reads it:
/// `linux-5.17` for `old`.
pub fn plain_name(allocator: &Allocator) -> String {
    let name = allocator.name();
    let end = name.find(['~', '+']).unwrap_or(name.len());
    let (base, changes) = name.split_at(end);
    let alias = ALIASES.iter().find(|(alias, _)| *alias == base);
    format!("{}{changes}", alias.map_or(base, |(_, meaning)| meaning))
}
