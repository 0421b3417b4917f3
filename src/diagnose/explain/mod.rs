//! Why requests were refused: everything that a reviewer would ask of one of them.
//!
//! [`explain`] replays a trace and lists the requests that an allocator refused. Of those that are
//! chosen it makes an [`Explanation`]: the request, the proof that there was room or how much
//! there was, `max32_alloc_size` and its history, the holders of the address space, and the
//! changes that would have granted the request. Reports write that value as text, Markdown and
//! JSON; nothing else is gathered for them.

mod history;
mod refusals;
mod remedies;
mod space;

use iova::kernel::{Allocator, ConfigError};
use iova::measure::Cause;
use iova::op::Op;
use iova::units::Cpu;
use serde::Serialize;

use super::replaying;
use super::requests::Requests;
use history::History;
pub use history::{Freed, Max32, SetBy};
pub use refusals::{RefusalRow, Summary};
pub use remedies::{Remedies, Tried, Verdict};
pub use space::{Group, HeldBack, Holder, Neighbour, Room, Space};

/// Which refused requests are explained in full.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Those of these numbers; if empty, one that another allocator grants, if possible with room.
    pub events: Vec<u64>,
    /// Only requests of this domain, by its number in the trace.
    pub domain: Option<u64>,
}

/// Why requests of a trace were refused.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    pub granule: u64,
    pub start_pfn: u64,
    pub events: u64,
    /// The allocators, the one that is explained first.
    pub allocators: Vec<Summary>,
    /// Every request that the first allocator refused, in order.
    pub refused: Vec<RefusalRow>,
    /// Those that were chosen, in full.
    pub explanations: Vec<Explanation>,
}

/// Why one request was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub asked: Asked,
    pub cause: Cause,
    /// How the last try was refused: by `max32_alloc_size`, after a search, for want of memory.
    pub by: RefusedBy,
    /// Ranges that its searches visited.
    pub steps: u64,
    pub space: Space,
    /// `None` where there is no `max32_alloc_size`.
    pub max32: Option<Max32>,
    pub remedies: Remedies,
}

/// A request as it reached the tree.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    pub event: u64,
    pub nanos: u64,
    pub cpu: u16,
    /// The domain's number in the trace.
    pub domain: u64,
    pub device: Option<String>,
    /// The function that was called.
    pub function: &'static str,
    /// As asked for.
    pub pages: u64,
    /// As the tree was searched for them, rounded up for the rcaches.
    pub searched_pages: u64,
    pub limit_pfn: u64,
    /// The pages that its first pfn is a multiple of; 1 where it is not aligned.
    pub alignment: u64,
}

/// How a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedBy {
    /// `max32_alloc_size`, without a search.
    Max32,
    Search,
    NoMemory,
    /// The search found pfn 0, which `alloc_iova_fast()` takes for a failure.
    PfnZero,
    /// A search that never ends.
    Endless,
}

/// Why a trace cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("event {event}: the trace has {events} events, numbered from 0")]
    NoSuchEvent { event: u64, events: u64 },
    #[error("event {event}: {allocator} refused no request there, expected a refused request")]
    NotRefused { event: u64, allocator: String },
    #[error("domain {domain}: the trace has no such domain; it has {expected}")]
    NoSuchDomain { domain: u64, expected: String },
}

/// Explains why the first of some allocators refused requests; the others are compared with it.
///
/// # Errors
///
/// If an allocator cannot have the trace's domains, or the choice names no refused request.
pub fn explain(
    requests: &Requests,
    allocators: &[Allocator],
    choice: &Choice,
) -> Result<Explained, Error> {
    if let Some(domain) = choice.domain.filter(|it| !requests.domains.contains(it)) {
        let known: Vec<String> = requests.domains.iter().map(u64::to_string).collect();
        return Err(Error::NoSuchDomain {
            domain,
            expected: known.join(", "),
        });
    }
    let (summaries, mut refused) = refusals::collect(requests, allocators)?;
    if let Some(domain) = choice.domain {
        refused.retain(|row| row.domain == domain);
    }
    let chosen = chosen(requests, &summaries, &refused, &choice.events)?;
    let explanations = chosen.into_iter().map(|event| {
        let row = refused.iter().find(|row| row.event == event);
        let cause = row.map_or(Cause::NoMem, |row| row.cause);
        one(requests, &allocators[0], event, cause)
    });
    Ok(Explained {
        granule: requests.header.granule.bytes(),
        start_pfn: requests.header.start_pfn.0,
        events: requests.requests.len() as u64,
        explanations: explanations.collect::<Result<_, ConfigError>>()?,
        allocators: summaries,
        refused,
    })
}

/// The numbers of the requests that are explained in full.
fn chosen(
    requests: &Requests,
    summaries: &[Summary],
    refused: &[RefusalRow],
    named: &[u64],
) -> Result<Vec<u64>, Error> {
    if named.is_empty() {
        let telling = |row: &&RefusalRow| (row.granted_by.is_empty(), !row.cause.is_spurious());
        let first = refused.iter().min_by_key(telling);
        return Ok(first.map(|row| row.event).into_iter().collect());
    }
    let events = requests.requests.len() as u64;
    for &event in named {
        if event >= events {
            return Err(Error::NoSuchEvent { event, events });
        }
        if !refused.iter().any(|row| row.event == event) {
            return Err(Error::NotRefused {
                event,
                allocator: summaries[0].allocator.clone(),
            });
        }
    }
    Ok(named.to_vec())
}

/// Explains the refusal of one request.
fn one(
    requests: &Requests,
    allocator: &Allocator,
    event: u64,
    cause: Cause,
) -> Result<Explanation, ConfigError> {
    let mut replay = replaying::fresh(&requests.header, allocator)?;
    let index = usize::try_from(event).unwrap_or(usize::MAX);
    let request = &requests.requests[index];
    let mut history = History::new(&replay, request.dom);
    let mut last = None;
    let mut before = replay.clone();
    for (number, earlier) in (0..=event).zip(&requests.requests) {
        if number == event {
            before = replay.clone();
        }
        // The refusals were found by the same replay, which reached this event.
        let answer = replay.apply(earlier).unwrap_or_default();
        history.observe(number, &replay, earlier, answer);
        last = answer;
    }
    let answer = last.expect("a refused request has an answer");
    let domain = &replay.domains()[request.dom.0 as usize];
    let asked = asked(requests, event, domain, answer.asked);
    Ok(Explanation {
        cause,
        by: refused_by(answer.result.err()),
        steps: answer.steps,
        space: space::look(requests, &replay, request, answer.asked, &history),
        max32: history.max32(domain),
        remedies: remedies::find(requests, allocator, event, &before),
        asked,
    })
}

fn refused_by(refusal: Option<iova::kernel::Refusal>) -> RefusedBy {
    use iova::kernel::Refusal;
    match refusal {
        Some(Refusal::Shortcut) => RefusedBy::Max32,
        Some(Refusal::NoMemory) => RefusedBy::NoMemory,
        Some(Refusal::PfnZero) => RefusedBy::PfnZero,
        Some(Refusal::Endless) => RefusedBy::Endless,
        Some(Refusal::NoPlace) | None => RefusedBy::Search,
    }
}

fn asked(
    requests: &Requests,
    event: u64,
    domain: &iova::kernel::Domain,
    searched: iova::kernel::Asked,
) -> Asked {
    let index = usize::try_from(event).unwrap_or(usize::MAX);
    let request = &requests.requests[index];
    let Cpu(cpu) = request.cpu;
    let need = domain
        .space()
        .ranges()
        .need(searched.size, searched.aligned);
    let pages = match request.op {
        Op::Alloc { pages, .. } => pages.0,
        Op::Map { bytes, .. } => requests.header.granule.pages(bytes).0,
        _ => searched.size.0,
    };
    Asked {
        event,
        nanos: request.at.0,
        cpu,
        domain: requests.domain(request.dom),
        device: requests.device_of(&request.op),
        function: function(&request.op),
        pages,
        searched_pages: searched.size.0,
        limit_pfn: searched.limit.0,
        alignment: (!need.align_mask).saturating_add(1),
    }
}

/// The kernel's function that a request calls.
fn function(op: &Op<iova::replay::Slot>) -> &'static str {
    use iova::op::Path;
    match op {
        Op::Alloc {
            path: Path::Direct { .. },
            ..
        } => "alloc_iova()",
        Op::Map { .. } => "iommu_dma_alloc_iova()",
        _ => "alloc_iova_fast()",
    }
}
