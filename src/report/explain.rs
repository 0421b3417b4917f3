//! Why requests were refused, in sentences that fit into a commit message.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::block::{self, Block};
use super::differs::{bytes, list, size};
use super::number::{counted, duration, grouped};
use super::table::dash;
use super::{Page, Table};
use crate::diagnose::explain::{
    Explained, Explanation, HeldBack, Holder, Max32, Neighbour, RefusalRow, RefusedBy, Room,
    SetBy, Tried, Verdict,
};
use iova::units::{Granule, Pages};

/// How many kinds of refused requests the list has where not every request is asked for.
const KINDS: usize = 10;

/// How many groups of ranges the table of holders has.
const GROUPS: usize = 3;

/// What is explained, and how much of it is listed.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The file's name, and the seed of a scenario.
    pub source: &'a str,
    pub explained: &'a Explained,
    /// Whether the list has every refused request.
    pub lists_all: bool,
}

/// The explanation as text.
pub fn text(subject: Subject<'_>, page: Page) -> String {
    block::text(&sections(subject), page)
}

/// The explanation as Markdown.
pub fn markdown(subject: Subject<'_>) -> String {
    block::markdown(&sections(subject))
}

#[derive(Serialize)]
struct Document<'a> {
    iovasim: &'static str,
    version: u64,
    source: &'a str,
    #[serde(flatten)]
    explained: &'a Explained,
}

/// The explanation as JSON, with everything that was gathered.
pub fn json(subject: Subject<'_>) -> String {
    super::document(&Document {
        iovasim: "explanation",
        version: 1,
        source: subject.source,
        explained: subject.explained,
    })
}

fn sections(subject: Subject<'_>) -> Vec<Vec<Block>> {
    let Subject {
        source, explained, ..
    } = subject;
    let mut sections = vec![vec![
        Block::Heading(source.to_owned()),
        Block::Paragraph(outcome(explained)),
    ]];
    if explained.refused.len() > 1 {
        sections.push(refusals(subject));
    }
    let each = explained.explanations.iter();
    sections.extend(each.flat_map(|one| explanation(explained, one)));
    sections
}

/// How many requests each allocator refused.
fn outcome(explained: &Explained) -> String {
    let each = explained.allocators.iter().enumerate().map(|(index, it)| {
        let refused = match index {
            0 => format!(
                "refuses {} of {}",
                grouped(it.refused),
                counted(it.requests, "request", "requests")
            ),
            _ => grouped(it.refused),
        };
        let room = match (it.spurious, index) {
            (0, _) => String::new(),
            (some, 0) => format!(", {} of them with room", grouped(some)),
            (some, _) => format!(" ({})", grouped(some)),
        };
        let aborted = it.aborted.map_or(String::new(), |at| {
            format!(
                ", until the kernel would have crashed or hung at event {} ({})",
                at.event, at.kind
            )
        });
        format!("{} {refused}{room}{aborted}", it.allocator)
    });
    each.collect::<Vec<_>>().join("; ") + "."
}

/// Refused requests that differ in their times and in the state of the domain alone.
struct Kind<'a> {
    first: &'a RefusalRow,
    requests: u64,
}

fn kinds(refused: &[RefusalRow]) -> Vec<Kind<'_>> {
    let key = |row: &RefusalRow| {
        let RefusalRow {
            domain,
            pages,
            limit_pfn,
            cause,
            ..
        } = *row;
        let (device, granted_by) = (row.device.clone(), row.granted_by.clone());
        (domain, pages, limit_pfn, cause, device, granted_by)
    };
    let mut index = BTreeMap::new();
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for first in refused {
        let next = kinds.len();
        let at = *index.entry(key(first)).or_insert(next);
        match kinds.get_mut(at) {
            Some(kind) => kind.requests += 1,
            None => kinds.push(Kind { first, requests: 1 }),
        }
    }
    kinds
}

fn refusals(subject: Subject<'_>) -> Vec<Block> {
    let refused = &subject.explained.refused;
    let mut rows = if subject.lists_all {
        let one = |first| Kind { first, requests: 1 };
        refused.iter().map(one).collect()
    } else {
        kinds(refused)
    };
    let rest = if subject.lists_all {
        Vec::new()
    } else {
        rows.split_off(rows.len().min(KINDS))
    };
    let columns = columns(subject, &rows);
    let headings: Vec<&str> = columns
        .iter()
        .map(|(heading, _)| heading.as_str())
        .collect();
    let mut table = Table::new("event", &headings);
    for row in &rows {
        let cells = columns.iter().map(|(_, cell)| cell(row)).collect();
        table.row(&row.first.event.to_string(), cells);
    }
    let mut blocks = vec![Block::Table(table)];
    if !rest.is_empty() {
        let requests: u64 = rest.iter().map(|kind| kind.requests).sum();
        let requests = counted(requests, "request", "requests");
        let kinds = counted(rest.len() as u64, "more kind", "more kinds");
        blocks.push(Block::Paragraph(format!(
            "and {requests} of {kinds} (--list)"
        )));
    }
    blocks
}

/// A column of the list: its heading and its cells.
type Column = (String, Box<dyn Fn(&Kind<'_>) -> String>);

fn columns(subject: Subject<'_>, rows: &[Kind<'_>]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut add = |heading: &str, cell: Box<dyn Fn(&Kind<'_>) -> String>| {
        columns.push((heading.to_owned(), cell));
    };
    if subject.lists_all {
        add("time", Box::new(|kind| duration(kind.first.nanos)));
    } else {
        add("count", Box::new(|kind| grouped(kind.requests)));
    }
    if rows
        .iter()
        .any(|kind| kind.first.domain != rows[0].first.domain)
    {
        add("domain", Box::new(|kind| kind.first.domain.to_string()));
    }
    if rows.iter().any(|kind| kind.first.device.is_some()) {
        let device = |kind: &Kind<'_>| kind.first.device.clone();
        add("device", Box::new(move |kind| dash(device(kind))));
    }
    add("pages", Box::new(|kind| grouped(kind.first.pages)));
    add(
        "limit",
        Box::new(|kind| format!("{:#x}", kind.first.limit_pfn)),
    );
    add("cause", Box::new(|kind| kind.first.cause.to_string()));
    add("free", Box::new(|kind| grouped(kind.first.free_pages)));
    add("gap", Box::new(|kind| grouped(kind.first.largest_gap)));
    add(
        "aligned",
        Box::new(|kind| grouped(kind.first.largest_aligned)),
    );
    for other in subject.explained.allocators.iter().skip(1) {
        let name = other.allocator.clone();
        let grants = move |kind: &Kind<'_>| {
            let granted = kind.first.granted_by.contains(&name);
            if granted { "grants" } else { "-" }.to_owned()
        };
        let short = other.allocator.trim_start_matches("linux-");
        add(short, Box::new(grants));
    }
    columns
}

fn explanation(explained: &Explained, one: &Explanation) -> Vec<Vec<Block>> {
    let granule = granule(explained);
    let allocator = &explained.allocators[0].allocator;
    let mut told = vec![
        Block::Heading(asked(one, allocator, granule)),
        Block::Paragraph(format!("{} {}", refused(one), room(one, granule))),
    ];
    let max32 = one.max32.as_ref().and_then(|it| max32(it, one, allocator));
    told.extend(max32.map(Block::Paragraph));
    told.extend(held_back(&one.space.held_back, granule).map(Block::Paragraph));
    let remedies = [releases(one), changes(one)]
        .into_iter()
        .chain(machine(one));
    vec![
        told,
        remedies.map(Block::Paragraph).collect(),
        vec![holders(one, granule), map(one, granule)],
    ]
}

fn granule(explained: &Explained) -> Granule {
    Granule::from_bytes(explained.granule).unwrap_or(Granule::KIB_4)
}

fn asked(one: &Explanation, allocator: &str, granule: Granule) -> String {
    let it = &one.asked;
    let device = it
        .device
        .as_ref()
        .map_or(String::new(), |device| format!(" for {device}"));
    let rounded = if it.searched_pages == it.pages {
        String::new()
    } else {
        format!(", rounded up to {},", grouped(it.searched_pages))
    };
    let domain = match it.domain {
        0 => String::new(),
        domain => format!(" in domain {domain}"),
    };
    format!(
        "event {} at {}: {} of {}{rounded} at or below pfn {:#x}{device}{domain} fails under {allocator}",
        it.event,
        duration(it.nanos),
        it.function,
        size(Pages(it.pages), granule),
        it.limit_pfn,
    )
}

/// How it was refused.
fn refused(one: &Explanation) -> String {
    let max32 = one.max32.as_ref().map_or(0, |it| it.pages);
    let after = if one.steps > 0 {
        let ranges = counted(one.steps, "range", "ranges");
        format!(" Before that, a search visited {ranges}.")
    } else {
        String::new()
    };
    match one.by {
        RefusedBy::Max32 => format!(
            "It is refused without a search, since {} pages are not less than max32_alloc_size \
             ({}).{after}",
            grouped(one.asked.searched_pages),
            grouped(max32)
        ),
        RefusedBy::Search => {
            let ranges = counted(one.steps, "range", "ranges");
            format!("The search visits {ranges} and finds no gap.")
        }
        RefusedBy::NoMemory => "There is no memory for its struct iova (injected).".to_owned(),
        RefusedBy::PfnZero => {
            "The search finds pfn 0, which alloc_iova_fast() takes for a failure.".to_owned()
        }
        RefusedBy::Endless => "The search never ends.".to_owned(),
    }
}

/// Whether there was room.
fn room(one: &Explanation, granule: Granule) -> String {
    let space = &one.space;
    let aligned = match one.asked.alignment {
        1 => String::new(),
        pages => format!(" and aligned to {} pages", grouped(pages)),
    };
    if let Some(room) = &space.room {
        return format!(
            "There was room: pfns {:#x}-{:#x} are free{aligned}. {}",
            room.pfn,
            room.last_pfn,
            gap(room, granule)
        );
    }
    if one.by == RefusedBy::PfnZero {
        return "Pfn 0 stays allocated, and nobody will free it.".to_owned();
    }
    let free = size(Pages(space.free_pages), granule);
    let asked = one.asked.searched_pages;
    if space.free_pages < asked {
        return format!("There was no room: only {free} are free below the limit.");
    }
    if space.largest_gap < asked {
        return format!(
            "There was no room: {free} are free below the limit, but the largest gap has {}.",
            size(Pages(space.largest_gap), granule)
        );
    }
    format!(
        "There was no room: {free} are free below the limit and the largest gap has {}, but no \
         gap has room for a range that is aligned to {} pages; the largest size-aligned request \
         that fits is {}.",
        size(Pages(space.largest_gap), granule),
        grouped(one.asked.alignment),
        size(Pages(space.largest_aligned), granule)
    )
}

fn gap(room: &Room, granule: Granule) -> String {
    let pages = size(Pages(room.gap_last_pfn - room.gap_pfn + 1), granule);
    let below = room
        .below
        .as_ref()
        .map_or("the start of the domain".to_owned(), neighbour);
    let above = room
        .above
        .as_ref()
        .map_or("the limit".to_owned(), neighbour);
    format!(
        "The gap {:#x}-{:#x} has {pages}, between {below} and {above}.",
        room.gap_pfn, room.gap_last_pfn
    )
}

fn neighbour(it: &Neighbour) -> String {
    let pages = counted(it.pages, "page", "pages");
    format!("{pages} at {:#x} ({})", it.pfn, holder(&it.holder))
}

fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Caller { event, device, .. } => {
            let device = device
                .as_ref()
                .map_or(String::new(), |it| format!(" for {it}"));
            format!("allocated at event {event}{device}")
        }
        Holder::Magazine => "in a magazine".to_owned(),
        Holder::Depot => "in a depot".to_owned(),
        Holder::FlushQueue => "in a flush queue".to_owned(),
        Holder::Reserved => "reserved".to_owned(),
        Holder::Restored { event } => format!("restored at event {event}"),
        Holder::Unknown => "held by nobody".to_owned(),
    }
}

/// How `max32_alloc_size` came to its value; only where it can have refused the request.
fn max32(it: &Max32, one: &Explanation, allocator: &str) -> Option<String> {
    if one.by != RefusedBy::Max32 {
        return None;
    }
    let Some(set) = &it.set else {
        return Some(format!(
            "max32_alloc_size is not set: no request of {} pages or more fits below 4 GiB.",
            grouped(it.unset)
        ));
    };
    let value = grouped(it.pages);
    let set_by = match set.by {
        SetBy::Restore => format!(
            "max32_alloc_size is {value} in the state restored at event {}.",
            set.event
        ),
        _ if set.event == one.asked.event => format!(
            "max32_alloc_size was set to {value} by this request's first try, whose search failed."
        ),
        SetBy::Refusal => format!(
            "max32_alloc_size has been {value} since event {} ({}), when a request that it refused \
             raised it.",
            set.event,
            duration(set.nanos)
        ),
        SetBy::Search => format!(
            "max32_alloc_size has been {value} since event {} ({}), when a search failed; the \
             largest size-aligned request that fitted then was {} pages.",
            set.event,
            duration(set.nanos),
            grouped(set.largest_aligned)
        ),
    };
    Some(format!("{set_by} {}", freed_since(it, allocator)))
}

fn freed_since(it: &Max32, allocator: &str) -> String {
    let (Some(first), Some(last)) = (it.freed_since.first(), it.freed_since.last()) else {
        return "No range below 4 GiB was freed since.".to_owned();
    };
    let ranges: u64 = it.freed_since.iter().map(|it| it.ranges).sum();
    let pages: u64 = it.freed_since.iter().map(|it| it.pages).sum();
    let events = if first.event == last.event {
        format!("during event {}", first.event)
    } else {
        format!("from event {} to {}", first.event, last.event)
    };
    let freed = format!(
        "Since then {} below 4 GiB ({}) were freed {events}",
        counted(ranges, "range", "ranges"),
        counted(pages, "page", "pages"),
    );
    let cached32 = it
        .cached32
        .map_or(String::new(), |pfn| format!(" ({pfn:#x})"));
    format!(
        "{freed}, all below cached32_node{cached32}, so {allocator} kept it; 5b61343b5059 (5.18) \
         resets it at the first of them."
    )
}

fn held_back(held: &HeldBack, granule: Granule) -> Option<String> {
    let total = held.total();
    if total.ranges == 0 {
        return None;
    }
    let places = [
        ("magazines", held.magazines),
        ("depots", held.depots),
        ("flush queues", held.flush_queues),
    ];
    let places = places.iter().filter(|(_, held)| held.ranges > 0);
    let places: Vec<String> = places
        .map(|(name, held)| {
            let ranges = counted(held.ranges, "range", "ranges");
            let pages = counted(held.pages, "page", "pages");
            format!("{name} hold {ranges} ({pages})")
        })
        .collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    let largest = size(Pages(held.largest_aligned_without), granule);
    let effect = match &held.room_without {
        Some(room) => format!(
            "With them freed the request would fit at pfn {:#x}",
            room.pfn
        ),
        None => "With them freed it would not fit either".to_owned(),
    };
    let mut text = format!(
        "{}. {effect}; the largest size-aligned request that fits would be {largest}.",
        list(&places)
    );
    text[..1].make_ascii_uppercase();
    Some(text)
}

/// The releases that grant the request.
fn releases(one: &Explanation) -> String {
    let releases = &one.remedies.releases;
    let mut runs: Vec<String> = Vec::new();
    let mut index = 0;
    while index < releases.len() {
        if !releases[index].verdict.grants() {
            index += 1;
            continue;
        }
        let end = releases[index..].iter().position(|it| !it.verdict.grants());
        let end = end.map(|length| index + length);
        let first = &releases[index].name;
        runs.push(match end.map(|end| &releases[end].name) {
            None if index == 0 => "every release".to_owned(),
            None => format!("{first} and later"),
            Some(next) if index == 0 => format!("releases before {next}"),
            Some(next) => format!("releases from {first} to before {next}"),
        });
        index = end.unwrap_or(releases.len());
    }
    let aborted = releases.iter().find_map(|it| match it.verdict {
        Verdict::Aborted { event, kind } => Some(format!(
            " {} would have crashed or hung at event {event} ({kind}).",
            it.name
        )),
        _ => None,
    });
    let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
    let granted = if runs.is_empty() {
        "No release grants it.".to_owned()
    } else {
        format!("It is granted by {}.", list(&runs))
    };
    granted + &aborted.unwrap_or_default()
}

/// The single changes of the allocator that grant the request.
fn changes(one: &Explanation) -> String {
    let granting = one.remedies.changes.iter().filter(|it| it.verdict.grants());
    let named = |it: &Tried| match (it.commit, &it.first_release) {
        (Some(commit), Some(release)) => format!("{commit} ({release})"),
        _ => "the proposal".to_owned(),
    };
    let phrases = granting.map(|it| match it.applied {
        Some(true) => format!("with {}: {}", named(it), it.summary.unwrap_or_default()),
        _ => format!("without {}", named(it)),
    });
    let (mut with, without): (Vec<String>, Vec<String>) =
        phrases.partition(|it| it.starts_with("with "));
    with.extend(without);
    if with.is_empty() {
        return "No single change of the allocator's history grants it.".to_owned();
    }
    format!("Single changes that grant it: {}.", with.join("; "))
}

/// The changes of the machine or the request that grant it.
fn machine(one: &Explanation) -> Option<String> {
    let granting = one.remedies.machine.iter().filter(|it| it.verdict.grants());
    let names: Vec<&str> = granting.map(|it| it.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("The allocator unchanged: {}.", names.join("; ")))
}

/// Who holds what is not free.
fn holders(one: &Explanation, granule: Granule) -> Block {
    let groups = &one.space.groups;
    let mut table = Table::new(
        "held by",
        &["pages each", "ranges", "pages", "MiB", "oldest"],
    );
    let mib = |pages: u64| grouped((u128::from(pages) << granule.shift()) >> 20);
    for group in groups.iter().take(GROUPS) {
        let name = match &group.device {
            Some(device) => device.clone(),
            None => group.holder.to_owned(),
        };
        table.row(
            &name,
            vec![
                grouped(group.pages),
                grouped(group.ranges),
                grouped(group.total_pages),
                mib(group.total_pages),
                group.oldest_nanos.map_or("-".to_owned(), duration),
            ],
        );
    }
    let rest = groups.get(GROUPS..).unwrap_or_default();
    if !rest.is_empty() {
        let ranges: u64 = rest.iter().map(|it| it.ranges).sum();
        let pages: u64 = rest.iter().map(|it| it.total_pages).sum();
        let oldest = rest.iter().filter_map(|it| it.oldest_nanos).max();
        table.row(
            &format!("{} other sizes", rest.len()),
            vec![
                "-".to_owned(),
                grouped(ranges),
                grouped(pages),
                mib(pages),
                oldest.map_or("-".to_owned(), duration),
            ],
        );
    }
    Block::Table(table)
}

fn map(one: &Explanation, granule: Granule) -> Block {
    let map = &one.space.map;
    let rows = map
        .rows
        .iter()
        .map(|row| format!("{:#10x} {}\n", row.pfn, row.cells));
    let rows: String = rows.collect();
    let mut legend = format!(
        "{} a character: # used, + partly, . free",
        bytes(Pages(map.cell_pages), granule)
    );
    let drawn = |character| map.rows.iter().any(|row| row.cells.contains(character));
    let others = [('=', "free and fits"), ('c', "in rcaches or flush queues")];
    for (character, meaning) in others.iter().filter(|(it, _)| drawn(*it)) {
        let _ = write!(legend, ", {character} {meaning}");
    }
    Block::Verbatim(format!("{rows}{:11}{legend}\n", ""))
}
