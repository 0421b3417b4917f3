//! Where two allocators answer one stream of requests differently.

use super::decision::{Decision, Refused};
use crate::replay::Request;

/// How another allocator's answers differ from a first one's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Requests for addresses that both answered.
    pub compared: u64,
    /// Requests that the first alone refused.
    pub first_refused: Cases,
    /// Requests that the other alone refused.
    pub other_refused: Cases,
    /// Requests that both granted, at different addresses.
    pub moved: Cases,
}

/// Requests of a kind: how many, and the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cases {
    pub count: u64,
    /// The first of them.
    pub first: Option<Box<Case>>,
}

/// A request that was answered differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The seed of its trace, where several were put together.
    pub seed: Option<u64>,
    /// The event's number, from 0.
    pub event: u64,
    pub request: Request,
    /// How one of the two refused it; none where both granted it.
    pub refused: Option<Refused>,
}

impl Difference {
    /// Compares what the first and the other made of event number `event`.
    pub fn observe(&mut self, event: u64, request: &Request, first: Decision, other: Decision) {
        let (cases, refused) = match (first, other) {
            (Decision::NotAsked, _) | (_, Decision::NotAsked) => return,
            (Decision::Granted(one), Decision::Granted(two)) if one == two => {
                self.compared += 1;
                return;
            }
            (Decision::Granted(_), Decision::Granted(_)) => (&mut self.moved, None),
            (Decision::Refused(how), Decision::Granted(_)) => {
                (&mut self.first_refused, Some(how))
            }
            (Decision::Granted(_), Decision::Refused(how)) => {
                (&mut self.other_refused, Some(how))
            }
            (Decision::Refused(_), Decision::Refused(_)) => {
                self.compared += 1;
                return;
            }
        };
        self.compared += 1;
        cases.count += 1;
        cases.first.get_or_insert_with(|| {
            Box::new(Case {
                seed: None,
                event,
                request: request.clone(),
                refused,
            })
        });
    }

    /// Puts the comparison of another trace after this one; `seed` made it, if it is to be
    /// said.
    pub fn merge(&mut self, later: &Difference, seed: Option<u64>) {
        self.compared += later.compared;
        self.first_refused.merge(&later.first_refused, seed);
        self.other_refused.merge(&later.other_refused, seed);
        self.moved.merge(&later.moved, seed);
    }

    /// Whether any request was granted by one and refused by the other.
    pub fn in_failures(&self) -> bool {
        self.first_refused.count + self.other_refused.count > 0
    }

    /// Whether any answer differs.
    pub fn any(&self) -> bool {
        self.in_failures() || self.moved.count > 0
    }
}

impl Cases {
    fn merge(&mut self, later: &Cases, seed: Option<u64>) {
        self.count += later.count;
        if self.first.is_none() {
            self.first.clone_from(&later.first);
            if let Some(first) = &mut self.first {
                first.seed = seed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Refusal;
    use crate::measure::Cause;
    use crate::measure::cause::Judge;
    use crate::measure::testing::{Script, fresh};
    use crate::units::Pages;

    /// A full window, searched from its topmost range on; a request fails, ranges below that
    /// one go, and the request is made again.
    fn founding_case() -> Script {
        let mut script = Script::default();
        for (slot, pages) in [(0, 0x8_0000), (1, 0x4_0000), (2, 0x2_0000), (3, 0x1_0000)] {
            script.alloc(slot, pages, 0xf_ffff);
        }
        script.free(0).alloc(4, 0x8_0000, 0xf_ffff);
        script.alloc(5, 0x2_0000, 0xf_ffff).free(2);
        script.alloc(6, 0x2_0000, 0xf_ffff);
        script
    }

    fn difference(script: &Script, first: &str, other: &str) -> Difference {
        let (mut first, mut other) = (fresh(first), fresh(other));
        let mut difference = Difference::default();
        for (event, request) in (0..).zip(script.requests()) {
            let [one, two] = [&mut first, &mut other].map(|replay| {
                let answer = replay.apply(request).expect("nothing undoes this");
                Decision::of(&mut Judge::default(), replay, request, answer)
            });
            difference.observe(event, request, one, two);
        }
        difference
    }

    #[test]
    fn the_founding_case_is_one_request_that_old_alone_refuses() {
        let found = difference(&founding_case(), "old", "new");
        assert_eq!(found.compared, 7);
        assert_eq!(
            (found.first_refused.count, found.other_refused.count),
            (1, 0)
        );
        let case = found.first_refused.first.expect("the case");
        let refused = Refused {
            by: Refusal::Shortcut,
            cause: Cause::Shortcut,
            max32: Some(Pages(0x2_0000)),
        };
        assert_eq!((case.event, case.refused), (8, Some(refused)));
    }

    #[test]
    fn turned_round_it_is_the_other_that_refuses() {
        let found = difference(&founding_case(), "new", "old");
        assert_eq!(
            (found.first_refused.count, found.other_refused.count),
            (0, 1)
        );
        assert!(found.in_failures());
    }

    #[test]
    fn equal_allocators_do_not_differ() {
        let found = difference(&founding_case(), "new", "linux-5.19");
        assert!(!found.any());
        assert_eq!(found.compared, 7);
    }
}
