//! The tables of metrics: one for each question, with a row for each allocator, so that two read as
//! well as twelve.
//!
//! A table in which nothing happened is left out: no flush queue, nothing cached.

use super::Table;
use super::number::{decimal, duration, grouped, percent};
use super::table::dash;
use crate::study::document::Row;
use iova::measure::metrics::{Pool, Unit};
use iova::measure::{MetricId, Metrics, Value};

/// A table: its columns, each with its heading.
struct Layout {
    columns: &'static [(&'static str, MetricId)],
    /// It is shown if one of these is more than 0; without any, if one of its columns is.
    shown_for: &'static [MetricId],
}

/// The load of the callers, which failures lower, and violations.
const LOAD: Layout = Layout {
    columns: &[
        ("live pages (mean)", MetricId::LivePagesMean),
        ("(max)", MetricId::LivePagesMax),
        ("ranges (max)", MetricId::RangesMax),
        ("violations", MetricId::Violations),
    ],
    shown_for: &[],
};

const DETAILS: [Layout; 5] = [
    Layout {
        columns: &[
            ("shortcut", MetricId::CauseShortcut),
            ("missed", MetricId::CauseMissed),
            ("cached", MetricId::CauseCached),
            ("fragmented", MetricId::CauseFragmented),
            ("exhausted", MetricId::CauseExhausted),
            ("nomem", MetricId::CauseNoMem),
        ],
        shown_for: &[MetricId::Failures],
    },
    Layout {
        columns: &[
            ("searches", MetricId::Searches),
            ("steps/alloc", MetricId::StepsMean),
            ("p50", MetricId::StepsP50),
            ("p99", MetricId::StepsP99),
            ("p99.9", MetricId::StepsP999),
            ("max", MetricId::StepsMax),
            ("2nd passes", MetricId::Retries),
            ("found", MetricId::RetrySuccesses),
        ],
        shown_for: &[],
    },
    Layout {
        columns: &[
            ("cache hits", MetricId::CacheHits),
            ("misses", MetricId::CacheMisses),
            ("refills", MetricId::CacheRefills),
            ("returned", MetricId::MagazinesReturned),
            ("flushes on failure", MetricId::CacheFlushes),
            ("helped", MetricId::CacheFlushesThatHelped),
        ],
        shown_for: &[
            MetricId::CacheHits,
            MetricId::CacheFlushes,
            MetricId::MagazinesReturned,
        ],
    },
    Layout {
        columns: &[
            ("queue flushes, full", MetricId::QueueFlushesFull),
            ("by timer", MetricId::QueueFlushesByTimer),
            ("longest wait", MetricId::QueueLongestWait),
            ("fullest ring", MetricId::QueueFullest),
        ],
        shown_for: &[MetricId::QueueFullest],
    },
    Layout {
        columns: &[
            ("ranges at the end", MetricId::HeldInTree),
            ("with callers", MetricId::HeldByCallers),
            ("in magazines", MetricId::HeldInMagazines),
            ("depots", MetricId::HeldInDepots),
            ("flush queues", MetricId::HeldInFlushQueues),
        ],
        shown_for: &[],
    },
];

/// The load, and the details of requests and searches.
pub fn details(rows: &[Row]) -> impl Iterator<Item = Table> {
    let layouts = [LOAD].into_iter().chain(DETAILS);
    let shown = layouts.filter(|layout| layout.is_shown(rows));
    shown.map(|layout| layout.table(rows))
}

/// The heading and the meaning of every column.
pub fn columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    let layouts = [LOAD].into_iter().chain(DETAILS);
    let columns = layouts.flat_map(|layout| layout.columns);
    columns.map(|&(heading, metric)| (heading, metric.metric().meaning))
}

impl Layout {
    fn is_shown(&self, rows: &[Row]) -> bool {
        let is_zero = |value: Option<Value>| value.is_none_or(|it| it.to_f64() == 0.0);
        let happened = |it: &MetricId| rows.iter().any(|row| !is_zero(row.metrics.get(*it)));
        match self.shown_for {
            [] => self.columns.iter().any(|(_, it)| happened(it)),
            some => some.iter().any(happened),
        }
    }

    fn table(&self, rows: &[Row]) -> Table {
        let headings: Vec<&str> = self.columns.iter().map(|(heading, _)| *heading).collect();
        let mut table = Table::new("allocator", &headings);
        for row in rows {
            let cells = self
                .columns
                .iter()
                .map(|(_, metric)| cell(&row.metrics, *metric));
            table.row(&row.allocator, cells.collect());
        }
        table
    }
}

/// A metric as tables have it: in the digits of its unit, a dash where it is unknown.
pub fn cell(metrics: &Metrics, metric: MetricId) -> String {
    let row = metric.metric();
    dash(
        metrics
            .get(metric)
            .and_then(|value| match (row.unit, row.pool, value) {
                (_, Pool::Ratio(part, whole), _) => {
                    percent(metrics.count(part), metrics.count(whole))
                }
                (Unit::Nanos, _, Value::Count(nanos)) => Some(duration(nanos)),
                _ if metric == MetricId::StepsMean => Some(decimal(value.to_f64(), 1)),
                (_, _, Value::Count(count)) => Some(grouped(count)),
                (_, _, Value::Real(number)) => Some(decimal(number, 0)),
            }),
    )
}
