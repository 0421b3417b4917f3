//! Which ids are live, which were, and the slot of each.
//!
//! Memory grows with what is live and with what is remembered, not with the trace. A life that
//! ended keeps its slot in a queue before the slot is used again, so that a `double_free` finds
//! what the replay noted there; [`REMEMBERED`] says how long. The queue is searched by id
//! alone in a `double_free` and for messages: an index of it is made at the first `double_free`,
//! as most traces have none.

use std::collections::VecDeque;

use crate::trace::error::{Error, Kind, Place};
use iova::replay::{Dom, Slot};

/// Looked up by id and never iterated over, as its order is not the trace's.
type ById<T> = rustc_hash::FxHashMap<u64, T>;

/// How many ended allocations are remembered for a later `double_free`, at 24 bytes each and a
/// slot in the replay's table; a `double_free` of an earlier one is an error.
pub(super) const REMEMBERED: usize = 1 << 17;

/// Which pair of operations begins and ends a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    AllocFree,
    MapUnmap,
}

impl Pair {
    fn begins(self) -> &'static str {
        match self {
            Pair::AllocFree => "alloc",
            Pair::MapUnmap => "map",
        }
    }

    fn began(self) -> &'static str {
        match self {
            Pair::AllocFree => "allocated",
            Pair::MapUnmap => "mapped",
        }
    }

    fn ends(self) -> &'static str {
        match self {
            Pair::AllocFree => "free",
            Pair::MapUnmap => "unmap",
        }
    }
}

/// What a life belongs to: a domain, and the pair of operations around it, in four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner(u32);

impl Owner {
    fn new(dom: Dom, pair: Pair) -> Owner {
        Owner(dom.0 << 1 | u32::from(pair == Pair::MapUnmap))
    }

    fn dom(self) -> Dom {
        Dom(self.0 >> 1)
    }

    fn pair(self) -> Pair {
        match self.0 & 1 {
            0 => Pair::AllocFree,
            _ => Pair::MapUnmap,
        }
    }
}

/// How many domains there may be, so that an [`Owner`] can tell them apart.
pub(super) const DOMAINS_MAX: u32 = 1 << 31;

/// What is known of a live id.
#[derive(Clone, Copy, Debug)]
struct Life {
    slot: Slot,
    owner: Owner,
    /// The number of the place where it began.
    since: u64,
}

/// What is remembered of an id's life that ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    id: u64,
    slot: Slot,
    owner: Owner,
    /// The number of the place where it ended.
    at: u64,
}

/// A life that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its place in the replay's table.
    pub(super) slot: Slot,
    /// The domain that it belongs to.
    pub(super) dom: Dom,
    /// Where it began, or for an ended one where it ended.
    pub(super) place: Place,
}

/// All lives of a trace.
#[derive(Debug)]
pub(super) struct Lives {
    live: ById<Life>,
    /// How many ended lives are kept.
    remembered: usize,
    /// The lives that ended, the last at the back.
    ended: VecDeque<Ended>,
    /// How many were forgotten from the front of `ended`.
    forgotten: u64,
    /// Where in `ended` an id's last life is, `forgotten` included; made at the first use.
    index: Option<ById<u64>>,
    /// Slots that may be used again.
    spare: Vec<Slot>,
    slots: u32,
}

impl Lives {
    pub(super) fn new(remembered: usize) -> Lives {
        Lives {
            live: ById::default(),
            remembered,
            ended: VecDeque::new(),
            forgotten: 0,
            index: None,
            spare: Vec::new(),
            slots: 0,
        }
    }

    pub(super) fn begin(
        &mut self,
        id: u64,
        dom: Dom,
        pair: Pair,
        place: Place,
    ) -> Result<Slot, Error> {
        let life = Life {
            slot: self.slot()?,
            owner: Owner::new(dom, pair),
            since: place.number(),
        };
        match self.live.insert(id, life) {
            None => Ok(life.slot),
            Some(earlier) => Err(Kind::AlreadyLive {
                op: pair.begins(),
                id,
                since: place.sibling(earlier.since),
            }
            .into()),
        }
    }

    /// Ends a life. Its slot is not used again as long as it is remembered.
    pub(super) fn end(&mut self, id: u64, pair: Pair, place: Place) -> Result<Found, Error> {
        let Some(Life { slot, owner, since }) = self.live.remove(&id) else {
            return Err(Kind::NotLive {
                op: pair.ends(),
                id,
                ended: self.last_ended(id).map(|ended| place.sibling(ended.at)),
            }
            .into());
        };
        let since = place.sibling(since);
        if owner.pair() != pair {
            return Err(Kind::WrongEnd {
                op: pair.ends(),
                id,
                began: owner.pair().began(),
                since,
                expected: owner.pair().ends(),
            }
            .into());
        }
        let at = place.number();
        self.remember(Ended {
            id,
            slot,
            owner,
            at,
        });
        Ok(Found {
            slot,
            dom: owner.dom(),
            place: since,
        })
    }

    /// The last life of an id that ended, for a `double_free` at a place.
    pub(super) fn ended(&mut self, id: u64, place: Place) -> Result<Found, Error> {
        let index = self.index.get_or_insert_with(|| {
            let numbers = self.forgotten..;
            let ids = self.ended.iter().map(|ended| ended.id);
            ids.zip(numbers).collect()
        });
        let Some(number) = index.get(&id) else {
            return Err(Kind::NeverFreed {
                id,
                live: self.live.get(&id).map(|life| place.sibling(life.since)),
                forgotten: (self.forgotten > 0).then_some(self.ended.len()),
            }
            .into());
        };
        let ended = &self.ended[index_of(number - self.forgotten)];
        Ok(Found {
            slot: ended.slot,
            dom: ended.owner.dom(),
            place: place.sibling(ended.at),
        })
    }

    /// A slot that nothing remembered has.
    fn slot(&mut self) -> Result<Slot, Error> {
        if let Some(slot) = self.spare.pop() {
            return Ok(slot);
        }
        let slot = Slot(self.slots);
        match self.slots.checked_add(1) {
            Some(slots) => self.slots = slots,
            None => {
                return Err(Kind::TooMany {
                    what: "ids live or remembered",
                    most: u32::MAX,
                }
                .into());
            }
        }
        Ok(slot)
    }

    fn remember(&mut self, ended: Ended) {
        if self.ended.len() >= self.remembered {
            match self.ended.pop_front() {
                Some(oldest) => self.forget(oldest),
                None => return self.forget(ended),
            }
        }
        if let Some(index) = &mut self.index {
            index.insert(ended.id, self.forgotten + self.ended.len() as u64);
        }
        self.ended.push_back(ended);
    }

    /// Forgets a life, the oldest that was remembered.
    fn forget(&mut self, Ended { id, slot, .. }: Ended) {
        if let Some(index) = &mut self.index
            && index.get(&id) == Some(&self.forgotten)
        {
            index.remove(&id);
        }
        self.forgotten += 1;
        self.spare.push(slot);
    }

    /// The last life of an id that ended, for a message.
    fn last_ended(&self, id: u64) -> Option<&Ended> {
        self.ended.iter().rev().find(|ended| ended.id == id)
    }
}

fn index_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
