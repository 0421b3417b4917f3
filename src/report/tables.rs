//! The tables of figures: one for each question, one allocator a row, so that two read as well
//! as twelve.
//!
//! A table in which nothing happened is left out: no flush queue, nothing cached.

use super::Table;
use super::number::{decimal, duration, grouped, percent};
use super::table::dash;
use crate::study::wire::WireFigures;

/// An allocator and its figures.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub allocator: &'a str,
    pub figures: &'a WireFigures,
}

/// The tables of one replay.
pub fn replay(lines: &[Line<'_>]) -> Vec<Table> {
    let mut tables = vec![requests(lines), load(lines)];
    tables.extend(details(lines));
    tables
}

/// The tables that say more of requests and what became of them.
pub fn details(lines: &[Line<'_>]) -> Vec<Table> {
    let any = |figure: fn(&WireFigures) -> u64| lines.iter().any(|it| figure(it.figures) > 0);
    let mut tables = Vec::new();
    if any(|it| it.failures) {
        tables.push(causes(lines));
    }
    tables.push(searches(lines));
    if any(|it| it.caches.hits + it.caches.flushes + it.caches.magazines_returned) {
        tables.push(caches(lines));
    }
    if any(|it| it.flush_queue.fullest) {
        tables.push(flush_queues(lines));
    }
    tables.push(held(lines));
    tables
}

fn filled<const N: usize>(
    headings: [&str; N],
    lines: &[Line<'_>],
    cells: impl Fn(&WireFigures) -> [String; N],
) -> Table {
    let mut table = Table::new("allocator", headings);
    for line in lines {
        table.row(line.allocator, cells(line.figures));
    }
    table
}

fn requests(lines: &[Line<'_>]) -> Table {
    let headings = ["allocs", "failures", "failed"];
    filled(headings, lines, |it| {
        [
            grouped(it.allocs),
            grouped(it.failures),
            dash(percent(it.failures, it.allocs)),
        ]
    })
}

/// The load that callers came to, which failures lower, and what was found broken.
pub fn load(lines: &[Line<'_>]) -> Table {
    let headings = ["live pages (mean)", "(max)", "ranges (max)", "findings"];
    filled(headings, lines, |it| {
        [
            dash(it.live_pages_mean.map(|mean| decimal(mean, 0))),
            dash(it.live_pages_max.map(grouped)),
            grouped(it.ranges_max),
            grouped(it.findings.total),
        ]
    })
}

fn causes(lines: &[Line<'_>]) -> Table {
    let headings = [
        "shortcut",
        "missed",
        "cached",
        "fragmented",
        "exhausted",
        "nomem",
    ];
    filled(headings, lines, |it| {
        let causes = &it.causes;
        [
            grouped(causes.shortcut),
            grouped(causes.missed),
            grouped(causes.cached),
            grouped(causes.fragmented),
            grouped(causes.exhausted),
            grouped(causes.nomem),
        ]
    })
}

fn searches(lines: &[Line<'_>]) -> Table {
    let headings = [
        "searches",
        "steps/alloc",
        "p50",
        "p99",
        "p99.9",
        "max",
        "2nd passes",
        "found",
    ];
    filled(headings, lines, |it| {
        let steps = it.steps.as_ref();
        let figure = |figure: Option<u64>| dash(figure.map(grouped));
        [
            grouped(it.searches),
            dash(steps.and_then(|it| it.mean).map(|mean| decimal(mean, 1))),
            figure(steps.and_then(|it| it.p50)),
            figure(steps.and_then(|it| it.p99)),
            figure(steps.and_then(|it| it.p999)),
            figure(steps.and_then(|it| it.max)),
            grouped(it.retries),
            grouped(it.retry_successes),
        ]
    })
}

fn caches(lines: &[Line<'_>]) -> Table {
    let headings = [
        "cache hits",
        "misses",
        "refills",
        "returned",
        "flushes on failure",
        "helped",
    ];
    filled(headings, lines, |it| {
        let caches = &it.caches;
        [
            grouped(caches.hits),
            grouped(caches.misses),
            grouped(caches.refills),
            grouped(caches.magazines_returned),
            grouped(caches.flushes),
            grouped(caches.flushes_that_helped),
        ]
    })
}

fn flush_queues(lines: &[Line<'_>]) -> Table {
    let headings = [
        "queue flushes, full",
        "by timer",
        "longest wait",
        "fullest ring",
    ];
    filled(headings, lines, |it| {
        let queue = &it.flush_queue;
        [
            grouped(queue.flushes_full),
            grouped(queue.flushes_by_timer),
            duration(queue.longest_wait_ns),
            grouped(queue.fullest),
        ]
    })
}

fn held(lines: &[Line<'_>]) -> Table {
    let headings = [
        "ranges at the end",
        "with callers",
        "in magazines",
        "depots",
        "flush queues",
    ];
    filled(headings, lines, |it| {
        let held = &it.held;
        [
            held.in_tree,
            held.by_callers,
            held.in_magazines,
            held.in_depots,
            held.in_flush_queues,
        ]
        .map(|ranges| decimal(ranges, 0))
    })
}
