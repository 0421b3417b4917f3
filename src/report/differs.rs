//! What differs between allocators, in a sentence.
//!
//! A request that one refuses and the other grants comes first: the first such request is
//! named, with how it was refused. Then come answers that differ in the address alone, then
//! the cost of the same answers.

use super::number::{counted, grouped, percent, ratio};
use iova::kernel::Refusal;
use iova::measure::difference::{Case, Cases};
use iova::measure::{Cause, Difference, Refused};
use iova::op::Op;
use iova::replay::Request;
use iova::units::{Granule, Pages};

/// An allocator of a comparison.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    pub name: &'a str,
    /// The steps of all its requests; none where it does not walk.
    pub steps: Option<u64>,
    /// Where it ended before the trace did, if it did.
    pub ended: Option<End>,
}

/// Where an allocator ended before the trace did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Event(u64),
    /// Somewhere in some of several runs.
    SomeRuns,
}

/// What differs between the first allocator and each other one; those that differ in the same
/// way share a sentence.
pub fn sentences(
    sides: &[Side<'_>],
    differences: &[Difference],
    granule: Granule,
) -> Vec<String> {
    let Some((first, others)) = sides.split_first() else {
        return Vec::new();
    };
    let mut groups: Vec<(&Side<'_>, Vec<&str>, &Difference)> = Vec::new();
    for (other, difference) in others.iter().zip(differences) {
        let like = groups.iter_mut().find(|(side, _, group)| {
            *group == difference && side.steps == other.steps && side.ended == other.ended
        });
        match like {
            Some((_, names, _)) => names.push(other.name),
            None => groups.push((other, vec![other.name], difference)),
        }
    }
    let sentences = groups.into_iter().map(|(other, names, difference)| {
        let other = Side {
            name: &list(&names),
            ..other.clone()
        };
        if difference.any() {
            different(first, &other, difference, granule)
        } else {
            alike(first, &other, difference)
        }
    });
    sentences.collect()
}

/// Where the earlier of the two ended, where one did.
fn end(first: &Side<'_>, other: &Side<'_>) -> Option<End> {
    first.ended.into_iter().chain(other.ended).min()
}

/// How far two allocators were compared, where one of them did not get to the end.
fn scope(first: &Side<'_>, other: &Side<'_>) -> String {
    match end(first, other) {
        None => String::new(),
        Some(End::Event(event)) => format!("before event {event}, where a replay ended, "),
        Some(End::SomeRuns) => "as far as both got in each run, ".to_owned(),
    }
}

fn different(
    first: &Side<'_>,
    other: &Side<'_>,
    difference: &Difference,
    granule: Granule,
) -> String {
    let Difference {
        first_refused,
        other_refused,
        moved,
        ..
    } = difference;
    let (one, two) = (first.name, other.name);
    let scope = scope(first, other);
    let refused = |cases: &Cases, by: &str, than: &str| {
        let requests = counted(cases.count, "request", "requests");
        format!(
            "{by} refused {requests} that {than} granted{}",
            at(cases, granule)
        )
    };
    match (first_refused.count, other_refused.count) {
        (0, 0) => format!(
            "{scope}{one} and {two} granted and refused the same requests, {} of them at other \
             addresses, from event {} on",
            grouped(moved.count),
            moved.first.as_ref().map_or(0, |case| case.event),
        ),
        (_, 0) => scope + &refused(first_refused, one, two),
        (0, _) => scope + &refused(other_refused, two, one),
        (_, _) => format!(
            "{scope}{}; {}",
            refused(first_refused, one, two),
            refused(other_refused, two, one)
        ),
    }
}

/// The first of some cases.
fn at(cases: &Cases, granule: Granule) -> String {
    let Some(case) = &cases.first else {
        return String::new();
    };
    let lead = if cases.count == 1 {
        ":"
    } else {
        "; the first:"
    };
    let seed = case
        .seed
        .map_or(String::new(), |seed| format!(" seed {seed},"));
    format!(
        "{lead}{seed} event {}, {}{}",
        case.event,
        asked(&case.request, granule),
        how(case)
    )
}

/// What a request asked.
fn asked(request: &Request, granule: Granule) -> String {
    match &request.op {
        Op::Alloc { pages, limit, .. } => {
            format!("{} at or below pfn {limit}", size(*pages, granule))
        }
        Op::Map { bytes, mask, .. } => {
            format!(
                "{} at or below address {mask:#x}",
                size(granule.pages(*bytes), granule)
            )
        }
        _ => "a request".to_owned(),
    }
}

/// `29,471 pages (115.1 MiB)`.
pub(super) fn size(pages: Pages, granule: Granule) -> String {
    format!(
        "{} ({})",
        counted(pages.0, "page", "pages"),
        bytes(pages, granule)
    )
}

/// `115.1 MiB`.
pub(super) fn bytes(pages: Pages, granule: Granule) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let bytes = u128::from(pages.0) << granule.shift();
    let fitting = UNITS.iter().find(|(shift, _)| bytes >> shift > 0);
    match fitting {
        Some(&(shift, unit)) if bytes.is_multiple_of(1 << shift) => {
            format!("{} {unit}", bytes >> shift)
        }
        Some(&(shift, unit)) => {
            format!("{} {unit}", ratio(bytes, 1 << shift, 1).unwrap_or_default())
        }
        None => format!("{bytes} bytes"),
    }
}

/// How a request was refused, and whether there was room.
fn how(case: &Case) -> String {
    let Some(Refused { by, cause, max32 }) = case.refused else {
        return String::new();
    };
    let by = match by {
        Refusal::Shortcut => {
            let max32 = max32.map_or(String::new(), |it| format!(" (max32 {})", grouped(it.0)));
            format!("refused by the short cut{max32}")
        }
        Refusal::NoPlace => "refused after a search".to_owned(),
        Refusal::NoMemory => "refused for want of memory".to_owned(),
        Refusal::PfnZero => "given pfn 0, which its caller takes for a refusal".to_owned(),
        Refusal::Endless => "searched for without end".to_owned(),
    };
    let room = match cause {
        Cause::Shortcut | Cause::Missed => " though an aligned gap was free",
        Cause::Cached => "; what caches and flush queues held back would have made room",
        Cause::Fragmented => "; enough pages were free, but no aligned gap",
        Cause::Exhausted => "; too few pages were free",
        Cause::NoMem => "",
    };
    format!(", {by}{room}")
}

/// All answers alike, but not their cost.
fn alike(first: &Side<'_>, other: &Side<'_>, difference: &Difference) -> String {
    let compared = counted(difference.compared, "request", "requests");
    let (one, two) = (first.name, other.name);
    let scope = scope(first, other);
    let answers = format!("{scope}{one} and {two} answer all of {compared} alike");
    let (Some(first), Some(other), "") = (first.steps, other.steps, scope.as_str()) else {
        return answers;
    };
    if first == other {
        return format!("nothing differs: {answers}, in as many steps");
    }
    let (few, many) = (first.min(other), first.max(other));
    format!(
        "{answers}; {} walks {} fewer steps, {} against {}",
        if first < other { one } else { two },
        percent(many - few, many).unwrap_or_default(),
        grouped(few),
        grouped(many),
    )
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
