//! Lists of allocators: names, ranges of releases, and `all`.
//!
//! `linux-5.10..linux-7.2` is both of these and every release between them that changed the
//! allocator; `all` is the oldest release and every later one that changed it. A range leaves
//! out what the list names by itself, so `old,5.10..7.2` has `old` first and no `linux-5.17`.

use thiserror::Error;

use super::allocator::{Allocator, NameError};
use super::changes::{Release, TABLE};

/// Why a list names no allocators.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("`{0}` is named twice")]
    Twice(String),
    #[error("`{0}` and `{1}` are the same allocator, expected it once")]
    Same(String, String),
    #[error("the range `{0}` has `{1}` at one end, expected a release")]
    End(String, String),
    #[error("the range `{0}` runs backwards, expected the older release first")]
    Backwards(String),
}

/// The allocators that the items of a list name, in order. An item is the name of one, a range
/// or `all`.
///
/// # Errors
///
/// With the index of the item that names no allocator, or one that an earlier item names.
pub fn parse<'a>(
    items: impl IntoIterator<Item = &'a str> + Clone,
) -> Result<Vec<Allocator>, (usize, ListError)> {
    let mut named: Vec<Allocator> = Vec::new();
    for (index, name) in items.clone().into_iter().enumerate() {
        if is_range(name) {
            continue;
        }
        let allocator: Allocator = name
            .parse()
            .map_err(|error| (index, ListError::Name(error)))?;
        if let Some(twin) = named.iter().find(|it| it.is_same(&allocator)) {
            return Err((index, twice(twin, &allocator)));
        }
        named.push(allocator);
    }
    let mut list: Vec<Allocator> = Vec::new();
    let mut rest = named.iter();
    for (index, item) in items.into_iter().enumerate() {
        if !is_range(item) {
            list.extend(rest.next().cloned());
            continue;
        }
        for release in releases(item).map_err(|error| (index, error))? {
            let allocator = Allocator::of(release);
            if !named.iter().chain(&list).any(|it| it.is_same(&allocator)) {
                list.push(allocator);
            }
        }
    }
    Ok(list)
}

fn is_range(item: &str) -> bool {
    item == "all" || item.contains("..")
}

fn twice(first: &Allocator, second: &Allocator) -> ListError {
    let [first, second] = [first, second].map(|it| it.name().to_owned());
    if first == second {
        ListError::Twice(first)
    } else {
        ListError::Same(first, second)
    }
}

/// The releases of a range: its ends, and those between them that changed the allocator.
fn releases(range: &str) -> Result<Vec<Release>, ListError> {
    let changed = |release: &Release| TABLE.iter().any(|row| row.first == Some(*release));
    let Some((first, last)) = range.split_once("..") else {
        let all = Release::all();
        return Ok(all
            .filter(|it| *it == Release::OLDEST || changed(it))
            .collect());
    };
    let (first, last) = (end(range, first)?, end(range, last)?);
    if first > last {
        return Err(ListError::Backwards(range.to_owned()));
    }
    Ok(Release::all()
        .filter(|it| (first..=last).contains(it))
        .filter(|it| [first, last].contains(it) || changed(it))
        .collect())
}

/// The release at an end of a range.
fn end(range: &str, text: &str) -> Result<Release, ListError> {
    let not_a_release = || ListError::End(range.to_owned(), text.to_owned());
    if text.is_empty() {
        return Err(not_a_release());
    }
    let allocator: Allocator = text.parse()?;
    let release = allocator.base();
    (allocator
        .is_same(&Allocator::of(release))
        .then_some(release))
    .ok_or_else(not_a_release)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> String {
        match parse(list.split(',')) {
            Ok(list) => list
                .iter()
                .map(Allocator::name)
                .collect::<Vec<_>>()
                .join(","),
            Err((index, error)) => format!("{index}: {error}"),
        }
    }

    #[test]
    fn lists_have_names_and_ranges() {
        for (list, expected) in [
            ("new,best-fit", "new,best-fit"),
            ("5.10..5.13", "linux-5.10,linux-5.11,linux-5.13"),
            ("linux-6.7..v7.2", "linux-6.7,linux-7.2"),
            ("5.4..5.4", "linux-5.4"),
            ("old..new", "linux-5.17,linux-5.18"),
            (
                "5.10..5.17,new",
                "linux-5.10,linux-5.11,linux-5.13,linux-5.17,new",
            ),
            ("5.13..6.0,old", "linux-5.13,linux-5.18,linux-6.0,old"),
            ("5.10..5.11,5.11..5.13", "linux-5.10,linux-5.11,linux-5.13"),
            (
                "all",
                "linux-4.15,linux-4.20,linux-5.1,linux-5.3,linux-5.11,linux-5.13,linux-5.17,\
                 linux-5.18,linux-6.0,linux-6.2,linux-6.6,linux-6.7",
            ),
            ("new,new", "1: `new` is named twice"),
            ("5.10,linux-5.10", "1: `linux-5.10` is named twice"),
            (
                "old,linux-5.17",
                "1: `old` and `linux-5.17` are the same allocator, expected it once",
            ),
            (
                "new,5.18..5.10",
                "1: the range `5.18..5.10` runs backwards, expected the older release first",
            ),
            (
                "5.10..5.20",
                "0: allocator `5.20`: there is no release 5.20; expected one from 4.15 to 7.2",
            ),
            (
                "5.10..",
                "0: the range `5.10..` has `` at one end, expected a release",
            ),
            (
                "5.10~retry..7.2",
                "0: allocator `5.10~retry`: cannot revert `retry`, which linux-5.10 does not have",
            ),
            (
                "best-fit..7.2",
                "0: the range `best-fit..7.2` has `best-fit` at one end, expected a release",
            ),
        ] {
            assert_eq!(names(list), expected, "{list}");
        }
    }
}
