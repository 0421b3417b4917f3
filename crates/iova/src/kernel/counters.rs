//! Counters of a domain, for reports.

use crate::units::Nanos;

/// Counts of one domain since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests served from a magazine.
    pub cache_hits: u64,
    /// Requests of a cached size that no magazine could serve.
    pub cache_misses: u64,
    /// Magazines that came from a depot.
    pub depot_refills: u64,
    /// Magazines that a depot gave back to the tree, for want of room or with time.
    pub magazines_returned: u64,
    /// Searches of the tree; the short cut is none.
    pub searches: u64,
    /// Second passes of a search.
    pub second_passes: u64,
    /// Second passes that found a place.
    pub second_passes_that_found: u64,
    /// Flushes of the caches after a failure.
    pub flushes_of_caches: u64,
    /// Such flushes after which the request succeeded.
    pub flushes_that_helped: u64,
    /// Flushes of the IOTLB because a ring was full.
    pub queue_flushes_full: u64,
    /// Flushes of the IOTLB by the timer.
    pub queue_flushes_by_timer: u64,
    /// The most entries that a ring has held.
    pub queue_fullest: u64,
    /// The longest that a range has waited in the flush queue.
    pub queue_longest_wait: Nanos,
}

impl Counters {
    /// Adds another domain's counts to these; of extremes, the larger one stays.
    pub fn add(&mut self, other: &Counters) {
        self.cache_hits += other.cache_hits;
        self.cache_misses += other.cache_misses;
        self.depot_refills += other.depot_refills;
        self.magazines_returned += other.magazines_returned;
        self.searches += other.searches;
        self.second_passes += other.second_passes;
        self.second_passes_that_found += other.second_passes_that_found;
        self.flushes_of_caches += other.flushes_of_caches;
        self.flushes_that_helped += other.flushes_that_helped;
        self.queue_flushes_full += other.queue_flushes_full;
        self.queue_flushes_by_timer += other.queue_flushes_by_timer;
        self.queue_fullest = self.queue_fullest.max(other.queue_fullest);
        self.queue_longest_wait = self.queue_longest_wait.max(other.queue_longest_wait);
    }
}
