//! The figures that are compared, and which way is worse.

use serde_json::{Number, Value};

use crate::study::wire::WireFigures;

/// A figure of a row.
#[derive(Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its path in a row of the result document.
    pub path: &'static str,
    /// What it is, in words.
    pub means: &'static str,
    /// Which way is better.
    pub better: Better,
}

/// Which way a figure gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither is.
    Neither,
}

const fn lower(path: &'static str, means: &'static str) -> Figure {
    let better = Better::Lower;
    Figure {
        path,
        means,
        better,
    }
}

const fn higher(path: &'static str, means: &'static str) -> Figure {
    let better = Better::Higher;
    Figure {
        path,
        means,
        better,
    }
}

const fn neither(path: &'static str, means: &'static str) -> Figure {
    let better = Better::Neither;
    Figure {
        path,
        means,
        better,
    }
}

/// All figures, in the order of a row.
pub const FIGURES: [Figure; 50] = [
    neither("events", "events replayed"),
    neither("allocs", "requests for addresses"),
    lower("failures", "requests refused"),
    lower("failure_rate", "share of requests that were refused"),
    lower(
        "spurious",
        "requests refused though an aligned gap was free",
    ),
    neither(
        "spurious_share",
        "share of the refusals for which there was room",
    ),
    lower(
        "causes.shortcut",
        "refused by the short cut (max32_alloc_size) though an aligned gap was free",
    ),
    lower(
        "causes.missed",
        "refused after a search though an aligned gap was free",
    ),
    lower(
        "causes.cached",
        "refused for what caches and flush queues held back",
    ),
    lower(
        "causes.fragmented",
        "refused with enough pages free, but no aligned gap",
    ),
    lower("causes.exhausted", "refused with too few pages free"),
    lower("causes.nomem", "refused for want of memory"),
    neither("frees_of_failed", "frees of what had been refused"),
    neither("searches", "searches of the tree"),
    neither("retries", "searches that went over the tree a second time"),
    neither("retry_successes", "second passes that found a gap"),
    lower("steps.total", "steps of all searches together"),
    lower("steps.mean", "steps a request"),
    lower("steps.p50", "steps within which 50 % of requests stay"),
    lower("steps.p99", "steps within which 99 % of requests stay"),
    lower("steps.p999", "steps within which 99.9 % of requests stay"),
    lower("steps.max", "steps of the longest search"),
    neither("live_pages_mean", "pages that callers held, on average"),
    neither("live_pages_max", "pages that callers held at most"),
    neither("ranges_max", "ranges in the tree at most"),
    neither(
        "held.by_callers",
        "ranges that callers hold at the end, on average",
    ),
    neither(
        "held.pages_by_callers",
        "pages that callers hold at the end, on average",
    ),
    neither(
        "held.in_magazines",
        "ranges in magazines at the end, on average",
    ),
    neither("held.in_depots", "ranges in depots at the end, on average"),
    neither(
        "held.in_flush_queues",
        "ranges in flush queues at the end, on average",
    ),
    neither("held.in_tree", "ranges in the tree at the end, on average"),
    higher("caches.hits", "requests met from the per-CPU caches"),
    lower(
        "caches.misses",
        "requests that the per-CPU caches could not meet",
    ),
    neither("caches.refills", "magazines taken from the depot"),
    neither(
        "caches.magazines_returned",
        "magazines whose ranges went back to the tree",
    ),
    lower(
        "caches.flushes",
        "flushes of all caches after a failed search",
    ),
    neither(
        "caches.flushes_that_helped",
        "flushes of all caches after which there was room",
    ),
    neither(
        "flush_queue.flushes_full",
        "flush queues emptied because they were full",
    ),
    neither(
        "flush_queue.flushes_by_timer",
        "flush queues emptied by the timer",
    ),
    lower(
        "flush_queue.longest_wait_ns",
        "nanoseconds that a range waited in a flush queue",
    ),
    neither("flush_queue.fullest", "ranges in the fullest flush queue"),
    lower("findings.total", "broken promises of the allocator"),
    lower(
        "findings.overlap",
        "ranges handed out over one that is live",
    ),
    lower(
        "findings.aliased",
        "addresses of a live range handed out once more",
    ),
    lower("findings.below-start", "ranges handed out below start_pfn"),
    lower("findings.above-limit", "ranges handed out above the limit"),
    lower(
        "findings.misaligned",
        "ranges handed out that are not aligned to their size",
    ),
    lower(
        "findings.use-after-free",
        "uses of a freed range by the search",
    ),
    lower(
        "findings.endless-search",
        "searches without end under the lock",
    ),
    lower(
        "runs_undone",
        "seeds in which the kernel would have been undone",
    ),
];

/// How many seeds ended before their requests did, which of a seed is 1 or 0.
pub(super) const UNDONE: &str = "runs_undone";

/// The figure of a path.
pub fn find(path: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.path == path)
}

/// The figures of a row by their paths.
#[derive(Clone, Debug)]
pub(super) struct Values(Value);

impl Values {
    pub(super) fn of(figures: &WireFigures) -> Values {
        let document = serde_json::to_value(figures);
        Values(document.expect("figures are numbers with names"))
    }

    /// The figure; none where it is unknown.
    pub(super) fn get(&self, figure: &Figure) -> Option<Number> {
        let mut parts = figure.path.split('.');
        let found = parts.try_fold(&self.0, |value, name| value.get(name))?;
        found.as_number().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::compare::testing;

    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    leaves(value, &format!("{path}{dot}{name}"), found);
                }
            }
            _ => found.push(path.to_owned()),
        }
    }

    #[test]
    fn every_figure_of_a_row_is_compared() {
        let result = testing::result("a", &[("old", &[5])]);
        let row = serde_json::to_value(&result.runs[0].figures).expect("a document");
        let mut found = vec![UNDONE.to_owned()];
        leaves(&row, "", &mut found);
        found.sort();
        let mut compared: Vec<_> = FIGURES.iter().map(|it| it.path.to_owned()).collect();
        compared.sort();
        assert_eq!(found, compared);
    }

    #[test]
    fn what_a_scenario_can_expect_can_be_compared() {
        for path in crate::scenario::FIGURES {
            assert!(find(path).is_some(), "{path}");
        }
    }
}
