//! One allocator over requests in memory.

use std::ops::ControlFlow;

use iova::kernel::{Allocator, Answer, ConfigError, DomainConfig};
use iova::replay::{Aborted, Replay, Request, ViolationKind};
use serde::Serialize;

use super::requests::Requests;
use crate::trace::event::Header;

/// A replay of an allocator that has not begun.
///
/// # Errors
///
/// If the allocator cannot have the trace's domains.
pub fn fresh(header: &Header, allocator: &Allocator) -> Result<Replay, ConfigError> {
    let config = DomainConfig::new(allocator, header.domain_options())?;
    Ok(Replay::new(config, header.cpus))
}

/// How a replay ended.
#[derive(Clone, Debug)]
pub enum End {
    /// After the last request, or where the observer ended it.
    Done,
    /// The kernel would have crashed or hung.
    Aborted(Aborted),
}

/// Where a replay ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AbortedAt {
    pub event: u64,
    pub kind: ViolationKind,
}

impl From<Aborted> for AbortedAt {
    fn from(Aborted { event, kind }: Aborted) -> AbortedAt {
        AbortedAt { event, kind }
    }
}

/// Replays requests, and shows each one's number, from 0, and answer to `observe`, which may end
/// the replay.
pub fn replay(
    replay: &mut Replay,
    requests: &[Request],
    mut observe: impl FnMut(u64, &Replay, &Request, Option<Answer>) -> ControlFlow<()>,
) -> End {
    for request in requests {
        let number = replay.applied();
        let answer = match replay.apply(request) {
            Ok(answer) => answer,
            Err(aborted) => return End::Aborted(aborted),
        };
        if observe(number, replay, request, answer).is_break() {
            break;
        }
    }
    End::Done
}

/// The state of an allocator just before an event; `None` if the replay is aborted before it.
///
/// # Errors
///
/// If the allocator cannot have the trace's domains.
pub fn before(
    requests: &Requests,
    allocator: &Allocator,
    event: u64,
) -> Result<Option<Replay>, ConfigError> {
    let mut state = fresh(&requests.header, allocator)?;
    let end = usize::try_from(event).unwrap_or(usize::MAX);
    let requests = &requests.requests[..end.min(requests.requests.len())];
    let ended = replay(&mut state, requests, |_, _, _, _| ControlFlow::Continue(()));
    Ok(matches!(ended, End::Done).then_some(state))
}
