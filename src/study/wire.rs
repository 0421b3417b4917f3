//! The figures of a replay as documents hold them.
//!
//! Rates and means are the nearest double to the exact ratio; everything else is an integer.
//! What is unknown is null, never 0.

use serde::{Deserialize, Serialize, Serializer};

use iova::kernel::tally::Tally;
use iova::measure::summary::{Causes, TimeAverage};
use iova::measure::{Cause, Figures, Held, Steps};
use iova::replay::{Finding, Findings, Undone};

/// The figures of one replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of `Figures`, which says what they are"
)]
pub struct WireFigures {
    pub events: u64,
    pub allocs: u64,
    pub failures: u64,
    pub failure_rate: Option<f64>,
    /// Of several runs together, or of one as if its requests were independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_rate_ci95: Option<[f64; 2]>,
    pub spurious: u64,
    /// Of the failures; null where there are none.
    pub spurious_share: Option<f64>,
    pub causes: WireCauses,
    pub frees_of_failed: u64,
    pub searches: u64,
    /// Second passes of a search.
    pub retries: u64,
    /// Second passes that found a place.
    pub retry_successes: u64,
    /// None where the design does not walk.
    pub steps: Option<WireSteps>,
    /// Null where no time passed.
    pub live_pages_mean: Option<f64>,
    /// Null beyond 64 bits.
    pub live_pages_max: Option<u64>,
    pub ranges_max: u64,
    pub held: WireHeld,
    pub caches: WireCaches,
    pub flush_queue: WireFlushQueue,
    pub findings: WireFindings,
}

/// Failures by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`Cause` says what they are")]
pub struct WireCauses {
    pub shortcut: u64,
    pub missed: u64,
    pub cached: u64,
    pub fragmented: u64,
    pub exhausted: u64,
    pub nomem: u64,
}

/// Steps of requests: their sum, and the nearest ranks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`Steps` says what they are")]
pub struct WireSteps {
    pub total: u64,
    pub mean: Option<f64>,
    pub p50: Option<u64>,
    pub p99: Option<u64>,
    pub p999: Option<u64>,
    pub max: Option<u64>,
}

/// Ranges by whoever holds them at the end of a run; averages where there are several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`Held` says what they are")]
pub struct WireHeld {
    #[serde(serialize_with = "whole")]
    pub by_callers: f64,
    #[serde(serialize_with = "whole")]
    pub pages_by_callers: f64,
    #[serde(serialize_with = "whole")]
    pub in_magazines: f64,
    #[serde(serialize_with = "whole")]
    pub in_depots: f64,
    #[serde(serialize_with = "whole")]
    pub in_flush_queues: f64,
    #[serde(serialize_with = "whole")]
    pub in_tree: f64,
}

/// Writes whole numbers as such.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is called by serde")]
fn whole<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let text = format!("{number}");
    match text.parse::<u64>() {
        Ok(integer) => serializer.serialize_u64(integer),
        Err(_) => serializer.serialize_f64(*number),
    }
}

/// What the caches did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`Tally` says what they are")]
pub struct WireCaches {
    pub hits: u64,
    pub misses: u64,
    pub refills: u64,
    pub magazines_returned: u64,
    pub flushes: u64,
    pub flushes_that_helped: u64,
}

/// What the flush queues did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`Tally` says what they are")]
pub struct WireFlushQueue {
    pub flushes_full: u64,
    pub flushes_by_timer: u64,
    pub longest_wait_ns: u64,
    pub fullest: u64,
}

/// Findings by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "`Finding` says what they are")]
pub struct WireFindings {
    pub total: u64,
    pub overlap: u64,
    pub aliased: u64,
    pub below_start: u64,
    pub above_limit: u64,
    pub misaligned: u64,
    pub use_after_free: u64,
    pub endless_search: u64,
}

/// Where the kernel would have been undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireUndone {
    /// The event's number, from 0.
    pub event: u64,
    pub finding: String,
}

impl WireFigures {
    /// The figures of a replay; `walks` says whether its design walks at all.
    pub fn of(figures: &Figures, walks: bool) -> WireFigures {
        let Figures { tally, .. } = figures;
        WireFigures {
            events: figures.events,
            allocs: figures.allocs,
            failures: figures.failures,
            failure_rate: quotient(figures.failures.into(), figures.allocs.into()),
            failure_rate_ci95: None,
            spurious: figures.causes.spurious(),
            spurious_share: quotient(figures.causes.spurious().into(), figures.failures.into()),
            causes: WireCauses::of(&figures.causes),
            frees_of_failed: figures.frees_of_failed,
            searches: tally.searches,
            retries: tally.second_passes,
            retry_successes: tally.second_passes_that_found,
            steps: walks.then(|| WireSteps::of(&figures.steps)),
            live_pages_mean: figures.live_pages_mean.and_then(time_average),
            live_pages_max: u64::try_from(figures.live_pages_max).ok(),
            ranges_max: figures.ranges_max,
            held: WireHeld::of(&figures.held),
            caches: WireCaches::of(tally),
            flush_queue: WireFlushQueue::of(tally),
            findings: WireFindings::of(&figures.findings),
        }
    }
}

impl WireFigures {
    /// The figures of several runs of one allocator: counts are added up, of extremes the
    /// larger stays, and means count each run the same. `steps` are those of all runs, none
    /// where the design does not walk.
    pub fn pool(runs: &[&WireFigures], steps: Option<&Steps>) -> WireFigures {
        let sum =
            |figure: fn(&WireFigures) -> u64| runs.iter().map(|it| figure(it)).sum::<u64>();
        let max = |figure: fn(&WireFigures) -> u64| runs.iter().map(|it| figure(it)).max();
        let mean = |figure: fn(&WireFigures) -> f64| {
            let figures: Vec<f64> = runs.iter().map(|it| figure(it)).collect();
            average(&figures).unwrap_or(0.0)
        };
        let (allocs, failures) = (sum(|it| it.allocs), sum(|it| it.failures));
        let spurious = sum(|it| it.spurious);
        let means: Option<Vec<f64>> = runs.iter().map(|it| it.live_pages_mean).collect();
        let pages_max: Option<Vec<u64>> = runs.iter().map(|it| it.live_pages_max).collect();
        WireFigures {
            events: sum(|it| it.events),
            allocs,
            failures,
            failure_rate: quotient(failures.into(), allocs.into()),
            failure_rate_ci95: None,
            spurious,
            spurious_share: quotient(spurious.into(), failures.into()),
            causes: WireCauses {
                shortcut: sum(|it| it.causes.shortcut),
                missed: sum(|it| it.causes.missed),
                cached: sum(|it| it.causes.cached),
                fragmented: sum(|it| it.causes.fragmented),
                exhausted: sum(|it| it.causes.exhausted),
                nomem: sum(|it| it.causes.nomem),
            },
            frees_of_failed: sum(|it| it.frees_of_failed),
            searches: sum(|it| it.searches),
            retries: sum(|it| it.retries),
            retry_successes: sum(|it| it.retry_successes),
            steps: steps.map(WireSteps::of),
            live_pages_mean: means.and_then(|means| average(&means)),
            live_pages_max: pages_max.and_then(|pages| pages.into_iter().max()),
            ranges_max: max(|it| it.ranges_max).unwrap_or(0),
            held: WireHeld {
                by_callers: mean(|it| it.held.by_callers),
                pages_by_callers: mean(|it| it.held.pages_by_callers),
                in_magazines: mean(|it| it.held.in_magazines),
                in_depots: mean(|it| it.held.in_depots),
                in_flush_queues: mean(|it| it.held.in_flush_queues),
                in_tree: mean(|it| it.held.in_tree),
            },
            caches: WireCaches {
                hits: sum(|it| it.caches.hits),
                misses: sum(|it| it.caches.misses),
                refills: sum(|it| it.caches.refills),
                magazines_returned: sum(|it| it.caches.magazines_returned),
                flushes: sum(|it| it.caches.flushes),
                flushes_that_helped: sum(|it| it.caches.flushes_that_helped),
            },
            flush_queue: WireFlushQueue {
                flushes_full: sum(|it| it.flush_queue.flushes_full),
                flushes_by_timer: sum(|it| it.flush_queue.flushes_by_timer),
                longest_wait_ns: max(|it| it.flush_queue.longest_wait_ns).unwrap_or(0),
                fullest: max(|it| it.flush_queue.fullest).unwrap_or(0),
            },
            findings: WireFindings {
                total: sum(|it| it.findings.total),
                overlap: sum(|it| it.findings.overlap),
                aliased: sum(|it| it.findings.aliased),
                below_start: sum(|it| it.findings.below_start),
                above_limit: sum(|it| it.findings.above_limit),
                misaligned: sum(|it| it.findings.misaligned),
                use_after_free: sum(|it| it.findings.use_after_free),
                endless_search: sum(|it| it.findings.endless_search),
            },
        }
    }
}

fn average(values: &[f64]) -> Option<f64> {
    let count = double(values.len() as u128);
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}

impl WireCauses {
    pub fn of(causes: &Causes) -> WireCauses {
        WireCauses {
            shortcut: causes.count(Cause::Shortcut),
            missed: causes.count(Cause::Missed),
            cached: causes.count(Cause::Cached),
            fragmented: causes.count(Cause::Fragmented),
            exhausted: causes.count(Cause::Exhausted),
            nomem: causes.count(Cause::NoMem),
        }
    }
}

impl WireSteps {
    /// Sum, mean and percentiles of a distribution.
    pub fn of(steps: &Steps) -> WireSteps {
        WireSteps {
            total: steps.total(),
            mean: quotient(steps.total().into(), steps.requests().into()),
            p50: steps.quantile(500),
            p99: steps.quantile(990),
            p999: steps.quantile(999),
            max: steps.max(),
        }
    }
}

impl WireHeld {
    fn of(held: &Held) -> WireHeld {
        WireHeld {
            by_callers: double(held.by_callers.into()),
            pages_by_callers: double(held.pages_by_callers),
            in_magazines: double(held.in_magazines.into()),
            in_depots: double(held.in_depots.into()),
            in_flush_queues: double(held.in_flush_queues.into()),
            in_tree: double(held.in_tree.into()),
        }
    }
}

impl WireCaches {
    fn of(tally: &Tally) -> WireCaches {
        WireCaches {
            hits: tally.cache_hits,
            misses: tally.cache_misses,
            refills: tally.depot_refills,
            magazines_returned: tally.magazines_returned,
            flushes: tally.flushes_of_caches,
            flushes_that_helped: tally.flushes_that_helped,
        }
    }
}

impl WireFlushQueue {
    fn of(tally: &Tally) -> WireFlushQueue {
        WireFlushQueue {
            flushes_full: tally.queue_flushes_full,
            flushes_by_timer: tally.queue_flushes_by_timer,
            longest_wait_ns: tally.queue_longest_wait.0,
            fullest: tally.queue_fullest,
        }
    }
}

impl WireFindings {
    pub fn of(findings: &Findings) -> WireFindings {
        WireFindings {
            total: findings.total(),
            overlap: findings.count(Finding::Overlap),
            aliased: findings.count(Finding::Aliased),
            below_start: findings.count(Finding::BelowStart),
            above_limit: findings.count(Finding::AboveLimit),
            misaligned: findings.count(Finding::Misaligned),
            use_after_free: findings.count(Finding::UseAfterFree),
            endless_search: findings.count(Finding::EndlessSearch),
        }
    }
}

impl WireUndone {
    /// Where a replay ended.
    pub fn of(undone: Undone) -> WireUndone {
        WireUndone {
            event: undone.event,
            finding: undone.finding.name().to_owned(),
        }
    }
}

fn time_average(average: TimeAverage) -> Option<f64> {
    quotient(average.area, average.nanos.into())
}

/// The quotient of the nearest doubles; none of a whole of 0.
pub fn quotient(part: u128, whole: u128) -> Option<f64> {
    (whole > 0).then(|| double(part) / double(whole))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the nearest double is what is wanted"
)]
fn double(number: u128) -> f64 {
    number as f64
}
