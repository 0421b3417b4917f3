//! Which requests belong together: alike in domain, level and limit, in size, in lifetime.

use std::collections::BTreeMap;

use super::history::{History, Life};

/// Smaller groups of sizes are put to their neighbours.
const REQUESTS_MIN: u64 = 16;

/// Groups below this part of all requests as well.
const SHARE_MIN: u64 = 1000;

/// The classes of lifetimes: powers of two of nanoseconds, and for ever.
const LIFETIMES: usize = 66;

/// Requests that a profile takes for those of one client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// What they have in common, by index.
    pub(super) key: u32,
    /// The largest size in bytes.
    pub(super) bytes_max: u64,
    /// How they live, where others of that size live otherwise.
    pub(super) lives: Option<Lives>,
}

/// One of two kinds of lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lives {
    Briefly,
    Long,
}

/// The clients of a history, in the order of their first requests, and each request's client.
pub(super) fn find(history: &History) -> (Vec<Client>, Vec<u32>) {
    let groups = size_groups(history);
    let group_of = |life: &Life| groups[&(life.key, history.order(life))];
    let mut lifetimes: BTreeMap<(u32, u32), [u64; LIFETIMES]> = BTreeMap::new();
    for life in &history.lives {
        let counts = lifetimes
            .entry((life.key, group_of(life)))
            .or_insert([0; LIFETIMES]);
        counts[lifetime_class(life)] += 1;
    }
    let splits: BTreeMap<_, _> = lifetimes
        .into_iter()
        .map(|(group, counts)| (group, split(&counts)))
        .collect();
    let mut clients: Vec<Client> = Vec::new();
    let mut client_of = BTreeMap::new();
    let mut of_life = Vec::with_capacity(history.lives.len());
    for life in &history.lives {
        let group = (life.key, group_of(life));
        let lives = splits[&group].map(|split| {
            if lifetime_class(life) < split {
                Lives::Briefly
            } else {
                Lives::Long
            }
        });
        let client = *client_of.entry((group, lives)).or_insert_with(|| {
            clients.push(Client {
                key: life.key,
                bytes_max: 0,
                lives,
            });
            clients.len() - 1
        });
        let largest = &mut clients[client].bytes_max;
        *largest = life.bytes.max(*largest);
        of_life.push(u32::try_from(client).expect("no more clients than requests"));
    }
    (clients, of_life)
}

/// The group of each key and order of sizes: a few neighbouring orders where there are few
/// requests of one.
fn size_groups(history: &History) -> BTreeMap<(u32, u32), u32> {
    let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for life in &history.lives {
        *counts.entry((life.key, history.order(life))).or_default() += 1;
    }
    let enough = REQUESTS_MIN.max(history.lives.len() as u64 / SHARE_MIN);
    let mut groups = BTreeMap::new();
    let (mut group, mut sum, mut before) = (0, 0, None);
    for (&(key, order), &count) in &counts {
        if before != Some(key) || sum >= enough {
            (group, sum, before) = (order, 0, Some(key));
        }
        sum += count;
        groups.insert((key, order), group);
    }
    groups
}

fn lifetime_class(life: &Life) -> usize {
    match life.freed {
        Some(freed) => {
            let lifetime = freed.at.0 - life.since.0;
            (u64::BITS - lifetime.leading_zeros()) as usize
        }
        None => LIFETIMES - 1,
    }
}

/// The class from which on lifetimes are long, where there are two kinds of them: at least a
/// sixteenth of each, a factor of sixteen apart on average. It is where the variance between
/// the two is largest.
fn split(counts: &[u64; LIFETIMES]) -> Option<usize> {
    let sum = |range: std::ops::Range<usize>| {
        let range = range.map(|class| (counts[class], class as u64));
        range.fold((0, 0), |(count, sum), (more, class)| {
            (count + more, sum + more * class)
        })
    };
    let separation = |&at: &usize| {
        let ((few, low), (many, high)) = (sum(0..at), sum(at..LIFETIMES));
        let fair = few.min(many) * 16 >= few + many && few > 0 && many > 0;
        // The means as fractions: high / many - low / few, times both counts.
        let apart = u128::from(high) * u128::from(few) - u128::from(low) * u128::from(many);
        let weight = u128::from(few) * u128::from(many);
        let wide = fair && apart >= 4 * weight;
        wide.then(|| (apart * apart).checked_div(weight).unwrap_or(0))
    };
    // The first of several: of equals the last is taken.
    let found = (1..LIFETIMES)
        .rev()
        .max_by_key(|at| separation(at).unwrap_or(0))?;
    separation(&found).is_some().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetimes(classes: &[(usize, u64)]) -> [u64; LIFETIMES] {
        let mut counts = [0; LIFETIMES];
        for &(class, count) in classes {
            counts[class] = count;
        }
        counts
    }

    #[test]
    fn lifetimes_are_split_where_there_are_two_kinds() {
        assert_eq!(split(&lifetimes(&[(10, 50), (11, 50)])), None);
        assert_eq!(split(&lifetimes(&[(10, 50), (11, 30), (20, 40)])), Some(12));
        assert_eq!(split(&lifetimes(&[(10, 500), (LIFETIMES - 1, 9)])), None);
        assert_eq!(split(&lifetimes(&[])), None);
        let kept = lifetimes(&[(30, 50), (LIFETIMES - 1, 50)]);
        assert!(split(&kept).is_some_and(|at| at > 30));
    }
}
