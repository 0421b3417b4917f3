//! What a client did: how much in each slice, which sizes, on which CPUs, and in which order
//! it freed.

use std::collections::BTreeMap;
use std::ops::Range;

use super::clients::Client;
use super::history::{Act, History};
use crate::workload::profiled::{AGE_PARTS, FreeOrder};
use iova::units::{Cpu, Nanos};

/// Requests and frees in a slice, about.
const SLICE_ACTS: usize = 32;

/// The most slices, but for pauses.
const SLICES_MAX: usize = 512;

/// Nothing happens for long if it is for more than this part of the whole time.
const PAUSE_SHARE: u64 = 64;

/// What a client did.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    /// Requests and frees in each slice.
    pub(super) slices: Vec<(u32, u32)>,
    /// How often each size in bytes was asked for.
    pub(super) sizes: BTreeMap<u64, u64>,
    /// The CPUs that asked.
    pub(super) cpus: BTreeMap<Cpu, u64>,
    /// The CPUs that freed, and how often it was another than the one that had asked.
    pub(super) free_cpus: BTreeMap<Cpu, u64>,
    pub(super) frees_elsewhere: u64,
    /// Which of the live buffers were freed.
    pub(super) order: FreeOrder,
    /// Requests in slices that free as well, and how many runs of them there are.
    pub(super) mixed: (u64, u64),
}

/// A stretch of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// What happens in it.
    pub(super) acts: Range<usize>,
    /// How long it is.
    pub(super) lasts: Nanos,
}

/// Splits the trace into slices of equal activity. Slice 0 precedes the first act; long pauses get
/// slices without acts, so that activity beside a pause is not averaged into it.
pub(super) fn slices(acts: &[Act], begun: Nanos) -> Vec<Slice> {
    let count = (acts.len() / SLICE_ACTS).clamp(1, SLICES_MAX);
    let bound = |slice: usize| acts.len() * slice / count;
    let time = |act: usize| acts.get(act).or(acts.last()).map_or(0, |act| act.at.0);
    let pause = |act: usize| time(act + 1) - time(act);
    let long = (time(acts.len()) - begun.0) / PAUSE_SHARE;
    let mut slices = vec![Slice {
        acts: 0..0,
        lasts: Nanos(time(0) - begun.0),
    }];
    for slice in 0..count {
        let mut start = bound(slice);
        let end = bound(slice + 1);
        for act in (start..end).filter(|&act| pause(act) > long) {
            slices.push(Slice {
                acts: start..act + 1,
                lasts: Nanos(time(act) - time(start)),
            });
            slices.push(Slice {
                acts: act + 1..act + 1,
                lasts: Nanos(pause(act)),
            });
            start = act + 1;
        }
        slices.push(Slice {
            acts: start..end,
            lasts: Nanos(time(end) - time(start)),
        });
    }
    slices
}

/// What each client did.
pub(super) fn of_clients(
    history: &History,
    clients: &[Client],
    of_life: &[u32],
    slices: &[Slice],
) -> Vec<Activity> {
    let births = births(of_life, clients.len());
    let mut watches: Vec<Watch> = births.iter().map(|&count| Watch::new(count)).collect();
    let mut places = vec![0; of_life.len()];
    for slice in slices {
        for watch in &mut watches {
            watch.open_slice();
        }
        for act in &history.acts[slice.acts.clone()] {
            let watch = &mut watches[of_life[act.life as usize] as usize];
            watch.see(history, act, &mut places);
        }
    }
    watches.into_iter().map(Watch::finish).collect()
}

fn births(of_life: &[u32], clients: usize) -> Vec<usize> {
    let mut births = vec![0; clients];
    for &client in of_life {
        births[client as usize] += 1;
    }
    births
}

/// A client as its acts go by.
struct Watch {
    activity: Activity,
    live: Ranks,
    allocated: usize,
    /// Whether the act before in this slice was a free; none at the start.
    freed_before: Option<bool>,
    /// Runs of requests in this slice.
    runs: u64,
}

impl Watch {
    fn new(births: usize) -> Watch {
        Watch {
            activity: Activity {
                slices: Vec::new(),
                sizes: BTreeMap::new(),
                cpus: BTreeMap::new(),
                free_cpus: BTreeMap::new(),
                frees_elsewhere: 0,
                order: FreeOrder::NONE,
                mixed: (0, 0),
            },
            live: Ranks::new(births),
            allocated: 0,
            freed_before: None,
            runs: 0,
        }
    }

    fn open_slice(&mut self) {
        self.close_slice();
        self.activity.slices.push((0, 0));
        self.freed_before = None;
        self.runs = 0;
    }

    fn close_slice(&mut self) {
        if let Some(&(allocs, frees)) = self.activity.slices.last()
            && allocs > 0
            && frees > 0
        {
            let (requests, runs) = &mut self.activity.mixed;
            *requests += u64::from(allocs);
            *runs += self.runs;
        }
    }

    /// `places` holds each life's place among its client's.
    fn see(&mut self, history: &History, act: &Act, places: &mut [usize]) {
        let life = &history.lives[act.life as usize];
        let place = &mut places[act.life as usize];
        let activity = &mut self.activity;
        let Some((allocs, frees)) = activity.slices.last_mut() else {
            return;
        };
        if act.frees {
            *frees += 1;
            if let Some(freed) = life.freed {
                *activity.free_cpus.entry(freed.cpu).or_default() += 1;
                activity.frees_elsewhere += u64::from(freed.cpu != life.cpu);
            }
            note_age(&mut activity.order, self.live.before(*place), self.live.len);
            self.live.remove(*place);
        } else {
            *allocs += 1;
            *activity.sizes.entry(life.bytes).or_default() += 1;
            *activity.cpus.entry(life.cpu).or_default() += 1;
            self.runs += u64::from(self.freed_before != Some(false));
            *place = self.allocated;
            self.allocated += 1;
            self.live.insert(*place);
        }
        self.freed_before = Some(act.frees);
    }

    fn finish(mut self) -> Activity {
        self.close_slice();
        self.activity
    }
}

/// Notes that of `live` buffers one was freed than which `older` are older.
fn note_age(weights: &mut FreeOrder, older: usize, live: usize) {
    if live < 2 {
        return;
    }
    let weight = if older == 0 {
        &mut weights.oldest
    } else if older + 1 == live {
        &mut weights.newest
    } else {
        &mut weights.between[older * AGE_PARTS / live]
    };
    *weight += 1;
}

/// Which of a number of places are taken, and how many before one: a Fenwick tree.
struct Ranks {
    sums: Vec<u32>,
    len: usize,
}

impl Ranks {
    fn new(places: usize) -> Ranks {
        Ranks {
            sums: vec![0; places + 1],
            len: 0,
        }
    }

    fn insert(&mut self, place: usize) {
        self.len += 1;
        self.add(place, 1);
    }

    fn remove(&mut self, place: usize) {
        self.len -= 1;
        self.add(place, u32::MAX);
    }

    fn add(&mut self, place: usize, number: u32) {
        let mut index = place + 1;
        while index < self.sums.len() {
            self.sums[index] = self.sums[index].wrapping_add(number);
            index += index & index.wrapping_neg();
        }
    }

    /// How many places before this one are taken.
    fn before(&self, place: usize) -> usize {
        let (mut index, mut sum) = (place, 0);
        while index > 0 {
            sum += self.sums[index] as usize;
            index &= index - 1;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranks_count_what_is_taken(toggles in proptest::collection::vec(0..40_usize, 0..200)) {
            let (mut ranks, mut taken) = (Ranks::new(40), [false; 40]);
            for place in toggles {
                if taken[place] {
                    ranks.remove(place);
                } else {
                    ranks.insert(place);
                }
                taken[place] = !taken[place];
                for place in 0..40 {
                    let before = taken[..place].iter().filter(|&&taken| taken).count();
                    prop_assert_eq!(ranks.before(place), before);
                }
                prop_assert_eq!(ranks.len, taken.iter().filter(|&&taken| taken).count());
            }
        }
    }

    #[test]
    fn pauses_are_slices_of_their_own() {
        let act = |at| Act {
            at: Nanos(at),
            life: 0,
            frees: false,
        };
        let acts: Vec<Act> = [10, 11, 12, 910, 911, 1010].map(act).into();
        let slices = slices(&acts, Nanos(3));
        let found: Vec<_> = slices
            .iter()
            .map(|it| (it.acts.clone(), it.lasts.0))
            .collect();
        assert_eq!(
            found,
            [
                (0..0, 7),
                (0..3, 2),
                (3..3, 898),
                (3..5, 1),
                (5..5, 99),
                (5..6, 0)
            ]
        );
    }

    #[test]
    fn ages_are_noted_where_there_is_a_choice() {
        let mut order = FreeOrder::NONE;
        for (older, live) in [(0, 1), (0, 5), (4, 5), (1, 16), (8, 16), (14, 16)] {
            note_age(&mut order, older, live);
        }
        assert_eq!((order.oldest, order.newest), (1, 1));
        assert_eq!(order.between, [1, 0, 0, 0, 1, 0, 0, 1]);
    }
}
