//! What differs between allocators, in a sentence.
//!
//! A request that one refuses and the other grants comes first: the first such request is
//! named, with how it was refused. Then come answers that differ in the address alone, then
//! the cost of the same answers.

use super::number::{counted, grouped, percent, ratio};
use crate::measure::difference::{Case, Cases};
use crate::measure::{Cause, Difference, Refused};
use crate::model::domain::Refusal;
use crate::replay::{Ask, Request};
use crate::study::Row;
use crate::units::{Granule, Pages};

/// What differs between the first allocator and each other one, a sentence each; those in
/// which nothing does share one.
pub fn sentences(rows: &[Row], differences: &[Difference], granule: Granule) -> Vec<String> {
    let Some((first, others)) = rows.split_first() else {
        return Vec::new();
    };
    let mut sentences = Vec::new();
    let mut same = Vec::new();
    for (other, difference) in others.iter().zip(differences) {
        if difference.any() {
            sentences.push(different(first, other, difference, granule));
        } else if first.figures.steps == other.figures.steps && end(first, other).is_none() {
            same.push(name(other));
        } else {
            sentences.push(alike(first, other, difference));
        }
    }
    if !same.is_empty() {
        let requests = counted(first.figures.allocs, "request", "requests");
        sentences.push(format!(
            "nothing differs between {} and {}: the same answer to each of {requests}, in as \
             many steps",
            name(first),
            list(&same),
        ));
    }
    sentences
}

fn name(row: &Row) -> &str {
    row.allocator.name()
}

/// The event at which the earlier of the two ended, where one did.
fn end(first: &Row, other: &Row) -> Option<u64> {
    let ends = [first, other].map(|row| row.figures.undone.map(|undone| undone.event));
    ends.into_iter().flatten().min()
}

/// How far two allocators were compared, where one of them did not get to the end.
fn scope(first: &Row, other: &Row) -> String {
    end(first, other).map_or(String::new(), |event| {
        format!(" before event {event}, where a replay ended")
    })
}

fn different(first: &Row, other: &Row, difference: &Difference, granule: Granule) -> String {
    let Difference {
        first_refused,
        other_refused,
        moved,
        ..
    } = difference;
    let (one, two) = (name(first), name(other));
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
            "{one} and {two} granted and refused the same requests{scope}, {} of them at other \
             addresses, from event {} on",
            grouped(moved.count),
            moved.first.as_ref().map_or(0, |case| case.event),
        ),
        (_, 0) => refused(first_refused, one, two) + &scope,
        (0, _) => refused(other_refused, two, one) + &scope,
        (_, _) => format!(
            "{}{scope}; {}",
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
    let event = case.event;
    format!(
        "{lead} event {event}, {}{}",
        asked(&case.request, granule),
        how(case)
    )
}

/// What a request asked.
fn asked(request: &Request, granule: Granule) -> String {
    match &request.ask {
        Ask::Alloc { pages, limit, .. } => {
            format!("{} at or below pfn {limit}", size(*pages, granule))
        }
        Ask::Map { bytes, mask, .. } => {
            format!(
                "{} at or below address {mask:#x}",
                size(granule.pages(*bytes), granule)
            )
        }
        _ => "a request".to_owned(),
    }
}

/// `29,471 pages (115.1 MiB)`.
fn size(pages: Pages, granule: Granule) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let bytes = u128::from(pages.0) << granule.shift();
    let fitting = UNITS.iter().find(|(shift, _)| bytes >> shift > 0);
    let bytes = match fitting {
        Some(&(shift, unit)) if bytes.is_multiple_of(1 << shift) => {
            format!("{} {unit}", bytes >> shift)
        }
        Some(&(shift, unit)) => {
            format!("{} {unit}", ratio(bytes, 1 << shift, 1).unwrap_or_default())
        }
        None => format!("{bytes} bytes"),
    };
    format!("{} ({bytes})", counted(pages.0, "page", "pages"))
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
fn alike(first: &Row, other: &Row, difference: &Difference) -> String {
    let compared = counted(difference.compared, "request", "requests");
    let (one, two) = (name(first), name(other));
    let scope = scope(first, other);
    let answers = format!("{one} and {two} answer alike in all {compared}{scope}");
    if !scope.is_empty() {
        return answers;
    }
    let totals = [first, other].map(|row| row.figures.steps.total());
    let (few, many) = (totals[0].min(totals[1]), totals[0].max(totals[1]));
    if few == many {
        return format!(
            "{answers}, in {} steps, which are spread otherwise",
            grouped(few)
        );
    }
    format!(
        "{answers}; {} walks {} fewer steps, {} against {}",
        if totals[0] < totals[1] { one } else { two },
        percent(many - few, many).unwrap_or_default(),
        grouped(few),
        grouped(many),
    )
}

/// `a`, `a and b`, `a, b and c`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
