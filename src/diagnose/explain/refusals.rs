//! The requests that an allocator refused, and which of them others grant.

use std::ops::ControlFlow;

use iova::kernel::{Allocator, ConfigError};
use iova::measure::cause::Judge;
use iova::measure::{Cause, Decision};
use iova::units::Pfn;
use serde::Serialize;

use crate::diagnose::names::plain_name;
use crate::diagnose::replaying::{self, AbortedAt, End};
use crate::diagnose::requests::Requests;

/// The outcome of one allocator.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub allocator: String,
    /// Requests for addresses.
    pub requests: u64,
    pub refused: u64,
    /// Those that were refused although there was room.
    pub spurious: u64,
    /// Where the kernel would have crashed or hung, if it would have.
    pub aborted: Option<AbortedAt>,
}

/// A refused request in the list.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalRow {
    pub event: u64,
    pub nanos: u64,
    /// The domain's number in the trace.
    pub domain: u64,
    pub device: Option<String>,
    /// As the tree was searched for them.
    pub pages: u64,
    pub limit_pfn: u64,
    pub cause: Cause,
    /// Pages that are free from `start_pfn` to the limit.
    pub free_pages: u64,
    /// The longest gap there, in pages.
    pub largest_gap: u64,
    /// The largest size-aligned request that would find a gap there, in pages.
    pub largest_aligned: u64,
    /// The other allocators that grant it.
    pub granted_by: Vec<String>,
}

/// The outcome of each allocator, and the refusals of the first.
pub(super) fn collect(
    requests: &Requests,
    allocators: &[Allocator],
) -> Result<(Vec<Summary>, Vec<RefusalRow>), ConfigError> {
    let mut rows: Vec<RefusalRow> = Vec::new();
    let mut summaries = Vec::new();
    for (index, allocator) in allocators.iter().enumerate() {
        let mut summary = Summary {
            allocator: plain_name(allocator),
            requests: 0,
            refused: 0,
            spurious: 0,
            aborted: None,
        };
        let mut next = 0;
        let mut judge = Judge::default();
        let mut replay = replaying::fresh(&requests.header, allocator)?;
        let end = replaying::replay(
            &mut replay,
            &requests.requests,
            |number, replay, request, answer| {
                let Some(answer) = answer else {
                    return ControlFlow::Continue(());
                };
                let decision = Decision::of(&mut judge, replay, request, Some(answer));
                summary.requests += 1;
                if let Some(cause) = decision.cause() {
                    summary.refused += 1;
                    summary.spurious += u64::from(cause.is_spurious());
                }
                match decision.cause() {
                    Some(cause) if index == 0 => {
                        rows.push(row(requests, number, replay, answer.asked, cause));
                    }
                    None if index > 0 => {
                        next += rows[next..].partition_point(|row| row.event < number);
                        if let Some(row) = rows.get_mut(next).filter(|row| row.event == number)
                        {
                            row.granted_by.push(plain_name(allocator));
                        }
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            },
        );
        if let End::Aborted(aborted) = end {
            summary.aborted = Some(aborted.into());
        }
        summaries.push(summary);
    }
    Ok((summaries, rows))
}

fn row(
    requests: &Requests,
    event: u64,
    replay: &iova::replay::Replay,
    asked: iova::kernel::Asked,
    cause: Cause,
) -> RefusalRow {
    let request = &requests.requests[usize::try_from(event).unwrap_or(usize::MAX)];
    let space = replay.domains()[request.dom.0 as usize].space();
    let start = replay.config().start_pfn();
    let end = Pfn(asked.limit.0.saturating_add(1)).max(start);
    let used = space.ranges().used_below(end).0 - space.ranges().used_below(start).0;
    let largest = space.largest(asked.limit);
    RefusalRow {
        event,
        nanos: request.at.0,
        domain: requests.domain(request.dom),
        device: requests.device_of(&request.op),
        pages: asked.size.0,
        limit_pfn: asked.limit.0,
        cause,
        free_pages: end.0 - start.0 - used,
        largest_gap: largest.any.0,
        largest_aligned: largest.aligned.0,
        granted_by: Vec::new(),
    }
}
