//! The table of metrics: everything that a result says in numbers of one replay, or of several
//! replays of one allocator together.
//!
//! [`METRICS`] is the one place that knows a metric. Documents, tables, comparisons, policies and
//! the expectations of scenarios read it, so a new metric is one row here and nothing else.
//! Unknown is `None`, never 0.

mod document;
mod value;
mod values;

pub use value::Value;
pub use values::Metrics;

use super::cause::Cause;
use super::steps::Steps;
use super::summary::{TimeAverage, Totals};
use crate::replay::ViolationKind;
use value::{double, quotient};

/// One row of the table.
#[derive(Debug)]
pub struct Metric {
    /// The metric.
    pub id: MetricId,
    /// Its path in documents, policies and expectations, such as `causes.shortcut`: at most one
    /// group. The rows of a group follow each other.
    pub path: &'static str,
    /// What is counted.
    pub unit: Unit,
    /// Where it comes from, and so how the runs of an allocator are put together.
    pub pool: Pool,
    /// Which way is better.
    pub better: Better,
    /// What it is, in a phrase.
    pub meaning: &'static str,
}

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Events of any kind.
    Count,
    /// Pages of the trace's granule.
    Pages,
    /// Nodes that a search examined.
    Steps,
    /// Nanoseconds of virtual time.
    Nanos,
    /// A ratio from 0 to 1.
    Share,
}

/// Where a metric of one replay comes from, and what it is of several.
#[derive(Clone, Copy, Debug)]
pub enum Pool {
    /// A count; the sum of all runs.
    Sum(fn(&Totals) -> u64),
    /// An extreme; the largest of all runs. `None` beyond 64 bits.
    Max(fn(&Totals) -> Option<u64>),
    /// A mean or a state; the mean of all runs, each of which counts the same.
    Mean(fn(&Totals) -> Option<f64>),
    /// One metric divided by another, after these are pooled.
    Ratio(MetricId, MetricId),
    /// A property of the distribution of steps, which is that of all requests of all runs.
    Steps(fn(&Steps) -> Option<Value>),
}

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither is.
    Neither,
}

macro_rules! metrics {
    ($($id:ident $path:literal $unit:ident $pool:expr, $better:ident, $meaning:literal;)*) => {
        /// A metric; its row in [`METRICS`] says what it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum MetricId {
            $(#[doc = concat!("`", $path, "`")] $id,)*
        }

        /// All metrics, in the order of documents and of [`MetricId`].
        pub const METRICS: [Metric; COUNT] = {
            use Pool::{Max, Mean, Ratio, Steps, Sum};
            [$(Metric {
                id: MetricId::$id,
                path: $path,
                unit: Unit::$unit,
                pool: $pool,
                better: Better::$better,
                meaning: $meaning,
            },)*]
        };

        const COUNT: usize = [$(MetricId::$id),*].len();
    };
}

metrics! {
    Events "events" Count Sum(|it| it.events), Neither, "events replayed";
    Allocs "allocs" Count Sum(|it| it.allocs), Neither, "requests for addresses";
    Failures "failures" Count Sum(|it| it.failures), Lower, "requests refused";
    FailureRate "failure_rate" Share Ratio(MetricId::Failures, MetricId::Allocs), Lower,
        "share of requests that were refused";
    Spurious "spurious" Count Sum(|it| it.causes.spurious()), Lower,
        "requests refused though an aligned gap was free";
    SpuriousShare "spurious_share" Share Ratio(MetricId::Spurious, MetricId::Failures), Neither,
        "share of the refusals for which there was room";
    CauseShortcut "causes.shortcut" Count Sum(|it| it.causes.count(Cause::Shortcut)), Lower,
        "refused by the short cut (max32_alloc_size) though an aligned gap was free";
    CauseMissed "causes.missed" Count Sum(|it| it.causes.count(Cause::Missed)), Lower,
        "refused after a search though an aligned gap was free";
    CauseCached "causes.cached" Count Sum(|it| it.causes.count(Cause::Cached)), Lower,
        "refused for what caches and flush queues held back";
    CauseFragmented "causes.fragmented" Count Sum(|it| it.causes.count(Cause::Fragmented)), Lower,
        "refused with enough pages free, but no aligned gap";
    CauseExhausted "causes.exhausted" Count Sum(|it| it.causes.count(Cause::Exhausted)), Lower,
        "refused with too few pages free";
    CauseNoMem "causes.nomem" Count Sum(|it| it.causes.count(Cause::NoMem)), Lower,
        "refused for want of memory";
    FreesOfFailed "frees_of_failed" Count Sum(|it| it.frees_of_failed), Neither,
        "frees of what had been refused";
    Searches "searches" Count Sum(|it| it.tally.searches), Neither, "searches of the tree";
    Retries "retries" Count Sum(|it| it.tally.second_passes), Neither,
        "searches that went over the tree a second time";
    RetrySuccesses "retry_successes" Count Sum(|it| it.tally.second_passes_that_found), Neither,
        "second passes that found a gap";
    StepsTotal "steps.total" Steps Steps(|it| Some(Value::Count(it.total()))), Lower,
        "steps of all searches together";
    StepsMean "steps.mean" Steps Steps(|it| quotient(it.total().into(), it.requests().into())),
        Lower, "steps a request";
    StepsP50 "steps.p50" Steps Steps(|it| it.quantile(500).map(Value::Count)), Lower,
        "steps within which 50 % of requests stay";
    StepsP99 "steps.p99" Steps Steps(|it| it.quantile(990).map(Value::Count)), Lower,
        "steps within which 99 % of requests stay";
    StepsP999 "steps.p999" Steps Steps(|it| it.quantile(999).map(Value::Count)), Lower,
        "steps within which 99.9 % of requests stay";
    StepsMax "steps.max" Steps Steps(|it| it.max().map(Value::Count)), Lower,
        "steps of the longest search";
    LivePagesMean "live_pages_mean" Pages Mean(live_pages_mean), Neither,
        "pages that callers held, on average";
    LivePagesMax "live_pages_max" Pages Max(|it| u64::try_from(it.live_pages_max).ok()), Neither,
        "pages that callers held at most";
    RangesMax "ranges_max" Count Max(|it| Some(it.ranges_max)), Neither,
        "ranges in the tree at most";
    HeldByCallers "held.by_callers" Count Mean(|it| double(it.held.by_callers)), Neither,
        "ranges that callers hold at the end, on average";
    HeldPagesByCallers "held.pages_by_callers" Pages Mean(|it| double(it.held.pages_by_callers)),
        Neither, "pages that callers hold at the end, on average";
    HeldInMagazines "held.in_magazines" Count Mean(|it| double(it.held.in_magazines)), Neither,
        "ranges in magazines at the end, on average";
    HeldInDepots "held.in_depots" Count Mean(|it| double(it.held.in_depots)), Neither,
        "ranges in depots at the end, on average";
    HeldInFlushQueues "held.in_flush_queues" Count Mean(|it| double(it.held.in_flush_queues)),
        Neither, "ranges in flush queues at the end, on average";
    HeldInTree "held.in_tree" Count Mean(|it| double(it.held.in_tree)), Neither,
        "ranges in the tree at the end, on average";
    CacheHits "caches.hits" Count Sum(|it| it.tally.cache_hits), Higher,
        "requests met from the per-CPU caches";
    CacheMisses "caches.misses" Count Sum(|it| it.tally.cache_misses), Lower,
        "requests that the per-CPU caches could not meet";
    CacheRefills "caches.refills" Count Sum(|it| it.tally.depot_refills), Neither,
        "magazines taken from the depot";
    MagazinesReturned "caches.magazines_returned" Count Sum(|it| it.tally.magazines_returned),
        Neither, "magazines whose ranges went back to the tree";
    CacheFlushes "caches.flushes" Count Sum(|it| it.tally.flushes_of_caches), Lower,
        "flushes of all caches after a failed search";
    CacheFlushesThatHelped "caches.flushes_that_helped" Count
        Sum(|it| it.tally.flushes_that_helped), Neither,
        "flushes of all caches after which there was room";
    QueueFlushesFull "flush_queue.flushes_full" Count Sum(|it| it.tally.queue_flushes_full),
        Neither, "flush queues emptied because they were full";
    QueueFlushesByTimer "flush_queue.flushes_by_timer" Count
        Sum(|it| it.tally.queue_flushes_by_timer), Neither, "flush queues emptied by the timer";
    QueueLongestWait "flush_queue.longest_wait_ns" Nanos
        Max(|it| Some(it.tally.queue_longest_wait.0)), Lower,
        "nanoseconds that a range waited in a flush queue";
    QueueFullest "flush_queue.fullest" Count Max(|it| Some(it.tally.queue_fullest)), Neither,
        "ranges in the fullest flush queue";
    Violations "violations.total" Count Sum(|it| it.violations.total()), Lower,
        "invariants that the allocator broke";
    ViolationOverlap "violations.overlap" Count Sum(|it| it.violations.count(ViolationKind::Overlap)), Lower,
        "ranges handed out over one that is live";
    ViolationAliased "violations.aliased" Count Sum(|it| it.violations.count(ViolationKind::Aliased)), Lower,
        "addresses of a live range handed out once more";
    ViolationBelowStart "violations.below-start" Count
        Sum(|it| it.violations.count(ViolationKind::BelowStart)), Lower,
        "ranges handed out below start_pfn";
    ViolationAboveLimit "violations.above-limit" Count
        Sum(|it| it.violations.count(ViolationKind::AboveLimit)), Lower,
        "ranges handed out above the limit";
    ViolationMisaligned "violations.misaligned" Count
        Sum(|it| it.violations.count(ViolationKind::Misaligned)), Lower,
        "ranges handed out that are not aligned to their size";
    ViolationUseAfterFree "violations.use-after-free" Count
        Sum(|it| it.violations.count(ViolationKind::UseAfterFree)), Lower,
        "uses of a freed range by the search";
    ViolationEndlessSearch "violations.endless-search" Count
        Sum(|it| it.violations.count(ViolationKind::EndlessSearch)), Lower,
        "searches without end under the lock";
    RunsAborted "runs_aborted" Count Sum(|it| u64::from(it.aborted.is_some())), Lower,
        "runs that end where the kernel would have crashed or hung";
}

/// Metrics and groups that had another name: first the former name, then today's.
const RENAMED: [(&str, &str); 2] =
    [("findings", "violations"), ("runs_undone", "runs_aborted")];

/// Today's name of a metric without a group, or of a group.
fn today(name: &str) -> &str {
    let renamed = RENAMED.iter().find(|(former, _)| *former == name);
    renamed.map_or(name, |(_, today)| today)
}

fn live_pages_mean(totals: &Totals) -> Option<f64> {
    let TimeAverage { area, nanos } = totals.live_pages_mean?;
    quotient(area, nanos.into()).map(Value::to_f64)
}

impl MetricId {
    /// Its row of the table.
    pub fn metric(self) -> &'static Metric {
        const TABLE: &[Metric; COUNT] = &METRICS;
        &TABLE[self as usize]
    }

    /// The violations of a kind.
    pub fn of_violation(kind: ViolationKind) -> MetricId {
        match kind {
            ViolationKind::Overlap => MetricId::ViolationOverlap,
            ViolationKind::Aliased => MetricId::ViolationAliased,
            ViolationKind::BelowStart => MetricId::ViolationBelowStart,
            ViolationKind::AboveLimit => MetricId::ViolationAboveLimit,
            ViolationKind::Misaligned => MetricId::ViolationMisaligned,
            ViolationKind::UseAfterFree => MetricId::ViolationUseAfterFree,
            ViolationKind::EndlessSearch => MetricId::ViolationEndlessSearch,
        }
    }

    /// The failures of a cause.
    pub fn of_cause(cause: Cause) -> MetricId {
        match cause {
            Cause::Shortcut => MetricId::CauseShortcut,
            Cause::Missed => MetricId::CauseMissed,
            Cause::Cached => MetricId::CauseCached,
            Cause::Fragmented => MetricId::CauseFragmented,
            Cause::Exhausted => MetricId::CauseExhausted,
            Cause::NoMem => MetricId::CauseNoMem,
        }
    }
}

impl Metric {
    /// The metric of a path, or of a [former one](Self::former_paths).
    pub fn find(path: &str) -> Option<&'static Metric> {
        let (first, rest) = path.split_once('.').unzip();
        let first = first.unwrap_or(path);
        let is_at = |metric: &&Metric| match metric.in_group() {
            Some((group, name)) => group == today(first) && rest == Some(name),
            None => metric.path == today(first) && rest.is_none(),
        };
        let found = METRICS.iter().find(is_at)?;
        Some(found.id.metric())
    }

    /// Paths of earlier programs, which documents, policies and expectations may still have.
    pub fn former_paths() -> Vec<String> {
        let of = |metric: &Metric| {
            let (group, name) = metric.in_group().unzip();
            let now = group.unwrap_or(metric.path);
            let &(former, _) = RENAMED.iter().find(|(_, it)| *it == now)?;
            Some(name.map_or(former.to_owned(), |name| format!("{former}.{name}")))
        };
        METRICS.iter().filter_map(of).collect()
    }

    /// The group and the name in it, of a path that has one.
    fn in_group(&self) -> Option<(&'static str, &'static str)> {
        self.path.split_once('.')
    }

    fn group(&self) -> Option<&'static str> {
        self.in_group().map(|(group, _)| group)
    }

    /// Whether it is an integer in all documents.
    fn is_integer(&self) -> bool {
        matches!(self.pool, Pool::Sum(_) | Pool::Max(_))
    }

    /// Whether every run knows it.
    fn is_always_known(&self) -> bool {
        matches!(self.pool, Pool::Sum(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::cause::Judge;

    use crate::measure::testing::{Script, fresh};
    use crate::measure::{Decision, Summary};
    use serde_json::json;

    /// A replay of so many pages in as many requests, of which one fails.
    fn metrics(allocator: &str, allocs: u32) -> (Metrics, Option<Steps>) {
        let mut script = Script::default();
        for slot in 0..allocs {
            script.alloc(slot, 1 + u64::from(slot), 0xf_ffff);
        }
        script.alloc(allocs, 1 << 21, 0xf_ffff);
        let mut replay = fresh(allocator);
        let mut summary = Summary::default();
        for request in script.requests() {
            let answer = replay.apply(request).expect("nothing aborts this");
            let decision = Decision::of(&mut Judge::default(), &replay, request, answer);
            summary.observe(&replay, request, answer, decision);
        }
        let totals = summary.finish(&replay, None);
        (Metrics::of(&totals), totals.steps)
    }

    #[test]
    fn paths_are_unique_and_groups_are_in_one_piece() {
        let mut groups: Vec<Option<&str>> = METRICS.iter().map(Metric::group).collect();
        groups.dedup();
        groups.retain(Option::is_some);
        let mut unique = groups.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), groups.len(), "{groups:?}");
        for (index, metric) in METRICS.iter().enumerate() {
            assert_eq!(metric.id as usize, index);
            assert_eq!(Metric::find(metric.path).map(|it| it.id), Some(metric.id));
        }
    }

    #[test]
    fn former_paths_name_metrics() {
        let found = |path: &str| Metric::find(path).map(|it| it.id);
        assert_eq!(found("findings.overlap"), Some(MetricId::ViolationOverlap));
        assert_eq!(found("runs_undone"), Some(MetricId::RunsAborted));
        for path in [
            "findings",
            "violations",
            "runs_undone.total",
            "events.total",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
        let former = Metric::former_paths();
        assert_eq!(former.len(), 9, "{former:?}");
        assert!(former.iter().all(|path| found(path).is_some()));
    }

    #[test]
    fn documents_with_former_names_load() {
        let (metrics, _) = metrics("old", 3);
        let text = serde_json::to_string(&metrics).expect("a document");
        let former = text
            .replace("violations", "findings")
            .replace("runs_aborted", "runs_undone");
        assert_ne!(former, text);
        let again: Metrics = serde_json::from_str(&former).expect("metrics");
        assert_eq!(again, metrics);
        let both = text.replacen('{', r#"{"runs_undone":0,"#, 1);
        let read: Result<Metrics, _> = serde_json::from_str(&both);
        assert!(
            read.is_err_and(|it| it.to_string().contains("duplicate field `runs_aborted`"))
        );
    }

    #[test]
    fn metrics_are_written_by_groups_and_read_back() {
        for name in ["old", "maple-2026"] {
            let (metrics, _) = metrics(name, 3);
            let text = serde_json::to_string(&metrics).expect("a document");
            let again: Metrics = serde_json::from_str(&text).expect("metrics");
            assert_eq!(again, metrics, "{text}");
            let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(document["failures"], json!(1));
            assert_eq!(document["failure_rate"], json!(0.25));
            assert_eq!(document["causes"]["exhausted"], json!(1));
            assert_eq!(document["steps"].is_null(), name == "maple-2026");
        }
    }

    #[test]
    fn a_document_has_all_metrics_and_nothing_else() {
        type Change = fn(&mut serde_json::Value);
        let (metrics, _) = metrics("old", 3);
        let document = serde_json::to_value(&metrics).expect("a document");
        let problem = |change: Change| {
            let mut document = document.clone();
            change(&mut document);
            let read: Result<Metrics, _> = serde_json::from_value(document);
            read.expect_err("refused").to_string()
        };
        let cases: [(Change, &str); 6] = [
            (|it| it["new"] = json!(1), "unknown field `new`"),
            (
                |it| it["causes"]["new"] = json!(1),
                "unknown field `causes.new`",
            ),
            (
                |it| drop(it["causes"].as_object_mut().map(|it| it.remove("cached"))),
                "missing field `causes.cached`",
            ),
            (
                |it| it["failures"] = json!(1.5),
                "invalid value: floating point `1.5`, expected an integer from 0 on as `failures`",
            ),
            (
                |it| it["failures"] = json!(null),
                "invalid type: null, expected an integer from 0 on as `failures`",
            ),
            (|it| it["caches"] = json!(null), "`caches` is null"),
        ];
        for (change, expected) in cases {
            assert_eq!(problem(change), expected);
        }
    }

    #[test]
    fn runs_are_pooled_as_the_table_says() {
        let ((one, steps), (other, more)) = (metrics("old", 3), metrics("old", 8));
        let mut all = steps.expect("it walks");
        all.merge(&more.expect("it walks"));
        let pooled = Metrics::pool(&[&one, &other], Some(&all)).expect("small sums");
        let real = |metric| pooled.real(metric).expect("known");
        assert_eq!(pooled.count(MetricId::Allocs), 13);
        assert_eq!(pooled.count(MetricId::LivePagesMax), 36);
        assert!((real(MetricId::FailureRate) - 2.0 / 13.0).abs() < 1e-12);
        assert!((real(MetricId::HeldByCallers) - 5.5).abs() < 1e-12);
        assert_eq!(pooled.get(MetricId::StepsMax), all.max().map(Value::Count));
        let unknown = Metrics::pool(&[&one, &other], None).expect("small sums");
        assert_eq!(unknown.get(MetricId::StepsMax), None);
        assert_eq!(Metrics::pool(&[&one], None).expect("a run"), one);
        let most = one.clone().with(MetricId::Searches, u64::MAX);
        let problem = Metrics::pool(&[&most, &one], None).expect_err("too many");
        assert_eq!(problem.id, MetricId::Searches);
    }

    #[test]
    fn a_rise_of_one_is_never_lost() {
        let [before, after] = [u64::MAX - 1, u64::MAX].map(Value::Count);
        assert_eq!(Value::rise(before, after).to_bits(), 1.0_f64.to_bits());
        assert_eq!(Value::rise(after, before).to_bits(), (-1.0_f64).to_bits());
        assert_eq!(Value::real(3.0), Value::Count(3));
    }
}
