//! An allocator's answer to one request with the cause of a failure, short enough to keep for a
//! while.

use super::cause::{Cause, Judge};
use crate::kernel::{Answer, Refusal};
use crate::replay::{Replay, Request};
use crate::units::{Pages, Pfn};

/// An allocator's answer to one request.
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
    /// The decision about a request that `replay` has just answered. `judge` is kept from one
    /// request to the next.
    pub fn of(
        judge: &mut Judge,
        replay: &Replay,
        request: &Request,
        answer: Option<Answer>,
    ) -> Decision {
        let Some(Answer { result, asked, .. }) = answer else {
            return Decision::NotAsked;
        };
        let by = match result {
            Ok(pfn) => return Decision::Granted(pfn),
            Err(by) => by,
        };
        let domain = &replay.domains()[request.dom.0 as usize];
        Decision::Refused(Refused {
            by,
            cause: judge.judge(replay.config(), (request.dom, domain), asked, by),
            max32: domain.state().max32,
        })
    }

    /// Why it was refused; none if it was not.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Decision::Refused(refused) => Some(refused.cause),
            Decision::NotAsked | Decision::Granted(_) => None,
        }
    }
}
