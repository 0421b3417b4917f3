//! What an allocator made of one request, short enough to keep for a while.

use super::cause::{self, Asked, Cause};
use crate::kernel::domain::{Answer, Refusal};
use crate::replay::{Replay, Request};
use crate::units::{Pages, Pfn};

/// What an allocator made of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was no request for addresses.
    NotAsked,
    /// The lowest pfn handed out.
    Granted(Pfn),
    Refused(Refused),
}

/// How a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// By what its last try was refused.
    pub by: Refusal,
    pub cause: Cause,
    /// `max32_alloc_size` after that; none where there is no such thing.
    pub max32: Option<Pages>,
}

impl Decision {
    /// What came of a request that `replay` has just answered. Judging a refusal costs what
    /// [`judge`](cause::judge) does, anything else next to nothing.
    pub fn of(replay: &Replay, request: &Request, answer: Option<Answer>) -> Decision {
        match answer.map(|answer| answer.result) {
            None => Decision::NotAsked,
            Some(Ok(pfn)) => Decision::Granted(pfn),
            Some(Err(by)) => {
                refused(replay, request, by).map_or(Decision::NotAsked, Decision::Refused)
            }
        }
    }

    /// Why it was refused; none if it was not.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Decision::Refused(refused) => Some(refused.cause),
            Decision::NotAsked | Decision::Granted(_) => None,
        }
    }
}

fn refused(replay: &Replay, request: &Request, by: Refusal) -> Option<Refused> {
    let domain = &replay.domains()[request.dom.0 as usize];
    let asked = Asked::of(replay.config(), request)?;
    Some(Refused {
        by,
        cause: cause::judge(replay.config(), domain, asked, by),
        max32: domain.state().max32,
    })
}
