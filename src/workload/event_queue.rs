//! What happens when: an agenda in the order of time, ties in the order of entry.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use iova::units::Nanos;

/// An agenda.
#[derive(Debug)]
pub(crate) struct EventQueue<T> {
    entries: BinaryHeap<Reverse<Entry<T>>>,
    entered: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Nanos,
    number: u64,
    what: T,
}

impl<T> EventQueue<T> {
    pub(crate) fn new() -> EventQueue<T> {
        EventQueue {
            entries: BinaryHeap::new(),
            entered: 0,
        }
    }

    /// Enters `what` for `at`.
    pub(crate) fn push(&mut self, at: Nanos, what: T) {
        let number = self.entered;
        self.entered += 1;
        self.entries.push(Reverse(Entry { at, number, what }));
    }

    /// When the next entry is due.
    pub(crate) fn due(&self) -> Option<Nanos> {
        self.entries.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes the next entry.
    pub(crate) fn pop(&mut self) -> Option<(Nanos, T)> {
        self.entries
            .pop()
            .map(|Reverse(entry)| (entry.at, entry.what))
    }

    /// Strikes out everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (Nanos, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_by_time_then_by_entry() {
        let mut timeline = EventQueue::new();
        for (at, what) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd')] {
            timeline.push(Nanos(at), what);
        }
        assert_eq!(timeline.due(), Some(Nanos(3)));
        let order: String = std::iter::from_fn(|| timeline.pop())
            .map(|(_, what)| what)
            .collect();
        assert_eq!(order, "bdac");
    }
}
