//! Short streams of requests for tests.

use super::sampling::Moment;
use crate::kernel::{Allocator, DomainConfig, DomainOptions};
use crate::op::{Op, Path};
use crate::replay::{Dom, Replay, Request, Slot};
use crate::units::{Cpu, Nanos, Pages, Pfn};

/// Requests of one CPU in one domain.
#[derive(Default)]
pub struct Script {
    at: Nanos,
    requests: Vec<Request>,
}

impl Script {
    pub fn at(&mut self, nanos: u64) -> &mut Script {
        self.at = Nanos(nanos);
        self
    }

    pub fn ask(&mut self, op: Op<Slot>) -> &mut Script {
        self.requests.push(Request {
            at: self.at,
            cpu: Cpu(0),
            dom: Dom(0),
            op,
        });
        self
    }

    /// `alloc_iova_fast` with a flush.
    pub fn alloc(&mut self, slot: u32, pages: u64, limit: u64) -> &mut Script {
        self.ask(Op::Alloc {
            id: Slot(slot),
            pages: Pages(pages),
            limit: Pfn(limit),
            path: Path::Fast { flush: true },
            got: (),
        })
    }

    pub fn free(&mut self, slot: u32) -> &mut Script {
        self.ask(Op::Free { id: Slot(slot) })
    }

    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The moment of the last request.
    pub fn ended(&self) -> Moment {
        Moment {
            event: (self.requests.len() as u64).saturating_sub(1),
            at: self.at,
        }
    }
}

/// A replay of one CPU that has not begun.
pub fn fresh(allocator: &str) -> Replay {
    let allocator: Allocator = allocator.parse().expect("an allocator");
    let config = DomainConfig::new(&allocator, DomainOptions::default()).expect("a domain");
    Replay::new(config, 1)
}
