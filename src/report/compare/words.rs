//! A comparison in words: the same sentences in every form of the report.

use super::comparison::{
    Change, ChangedWorkload, Comparison, Pair, Paired, Place, Source, Verdict,
};
use crate::report::number::{counted, grouped};
use crate::report::shell;
use iova::kernel::Change as KernelChange;
use iova::measure::metrics::Unit;
use iova::measure::{Cause, MetricId, Value};

/// `20 seeds (1 to 20)`, `3 seeds (1, 5, 9)`.
pub(super) fn seeds(seeds: &[Option<u64>]) -> String {
    const NAMED: usize = 8;
    let seeds: Vec<u64> = seeds.iter().copied().flatten().collect();
    let count = counted(seeds.len() as u64, "seed", "seeds");
    let in_a_row = seeds
        .windows(2)
        .all(|two| two[1].checked_sub(two[0]) == Some(1));
    match seeds[..] {
        [] => count,
        [one] => format!("{count} ({one})"),
        [first, .., last] if in_a_row => format!("{count} ({first} to {last})"),
        _ => {
            let named: Vec<String> = seeds.iter().take(NAMED).map(u64::to_string).collect();
            let more = if seeds.len() > NAMED { ", …" } else { "" };
            format!("{count} ({}{more})", named.join(", "))
        }
    }
}

/// What the comparison comes to.
pub(super) fn verdict(comparison: &Comparison) -> String {
    let compared = comparison.pairs.len() as u64;
    let compared = counted(compared, "comparison", "comparisons");
    let forbidden = comparison.forbidden() as u64;
    if forbidden > 0 {
        let changes = counted(forbidden, "forbidden change", "forbidden changes");
        return format!("fails: {changes} in {compared}");
    }
    if comparison.is_equal() {
        return format!("equal: nothing differs in {compared}, figure by figure, seed by seed");
    }
    let differ = comparison.pairs.iter().filter(|pair| !pair.is_equal());
    match differ.count() as u64 {
        0 => format!("passes: nothing differs in {compared}"),
        differ => format!(
            "passes: {} of {compared} differ, in nothing that the policy forbids",
            grouped(differ)
        ),
    }
}

/// The scenario and who is compared.
pub(super) fn heading(pair: &Pair) -> String {
    let seeds = counted(pair.seeds, "seed", "seeds");
    let requests = if pair.other_requests {
        ", other requests"
    } else {
        ""
    };
    format!("{}: {}, {seeds}{requests}", pair.scenario, who(pair))
}

pub(super) fn who(pair: &Pair) -> String {
    if pair.base == pair.new {
        pair.new.clone()
    } else {
        format!("{} against {}", pair.new, pair.base)
    }
}

/// What the names of the two say that one has and the other lacks, in words of the kernel's
/// history.
pub(super) fn explained(pair: &Pair) -> Vec<String> {
    if pair.base == pair.new {
        return Vec::new();
    }
    [&pair.new, &pair.base]
        .into_iter()
        .flat_map(|name| explain(name))
        .collect()
}

fn explain(name: &str) -> Vec<String> {
    let marks: Vec<usize> = name.match_indices(['~', '+']).map(|(at, _)| at).collect();
    let ends = marks.iter().skip(1).copied().chain([name.len()]);
    let changes = marks.iter().zip(ends).filter_map(|(&at, end)| {
        let row = KernelChange::parse(&name[at + 1..end])?.row();
        let word = if name[at..].starts_with('~') {
            "without"
        } else {
            "with"
        };
        let commit = row
            .commit
            .map_or(String::new(), |it| format!(" (commit {it})"));
        let (release, slug, summary) = (&name[..at], row.slug, row.summary);
        Some(format!(
            "{name} is {release} {word} {slug}{commit}, by which {summary}"
        ))
    });
    changes.collect()
}

/// A change that the policy forbids, in a sentence that needs nothing beside it.
pub(super) fn forbidden(pair: &Pair, change: &Change) -> String {
    let allowed = change.forbidden.as_deref().unwrap_or("this");
    format!("{}; the policy allows {allowed}", sentence(pair, change))
}

/// A change in a sentence.
pub(super) fn sentence(pair: &Pair, change: &Change) -> String {
    let means = change.metric.metric().meaning;
    let (before, after) = (
        value(change.metric, change.before),
        value(change.metric, change.after),
    );
    let paired = change.paired.as_ref().filter(|_| pair.seeds > 1);
    let paired = paired.map_or(String::new(), |it| {
        paired_words(change.metric, it, pair.seeds)
    });
    format!(
        "{} ({means}) {} from {before} to {after}{paired}{}",
        change.metric.metric().path,
        moved(change),
        causes(pair, change)
    )
}

fn moved(change: &Change) -> &'static str {
    match (change.before, change.after) {
        (Some(before), Some(after)) => match Value::rise(before, after) {
            rise if rise > 0.0 => "rose",
            rise if rise < 0.0 => "fell",
            _ => "stayed, but not seed by seed,",
        },
        _ => "went",
    }
}

fn paired_words(metric: MetricId, paired: &Paired, seeds: u64) -> String {
    if paired.seeds_up + paired.seeds_down == 0 {
        return ", in no seed by itself".to_owned();
    }
    let interval =
        interval(metric, paired).map_or(String::new(), |it| format!(" (95 %: {it})"));
    let [up, down] = [("more", paired.seeds_up), ("less", paired.seeds_down)];
    let sides: Vec<String> = [up, down]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| format!("{word} in {count} of {seeds} seeds"))
        .collect();
    let most = &paired.most;
    let [before, after] = [most.before, most.after].map(|it| number(metric, it));
    let most = most.seed.map_or(String::new(), |seed| {
        format!(", the most in seed {seed} ({before} to {after})")
    });
    format!(
        ", {} a seed{interval}, {}{most}",
        signed(metric, paired.mean),
        sides.join(" and "),
    )
}

/// Why requests are refused more often.
fn causes(pair: &Pair, change: &Change) -> String {
    let of = |it: &Change, spurious: bool| {
        let mut causes = Cause::ALL.into_iter();
        causes.any(|cause| {
            (!spurious || cause.is_spurious()) && MetricId::of_cause(cause) == it.metric
        })
    };
    let changes = pair.changes.iter();
    let causes: Vec<&Change> = match change.metric {
        MetricId::Failures => changes.filter(|it| of(it, false)).collect(),
        MetricId::Spurious => changes.filter(|it| of(it, true)).collect(),
        _ => return String::new(),
    };
    let risen = causes.iter().filter(|it| it.verdict == Verdict::Worse);
    let risen: Vec<String> = risen
        .map(|it| {
            let means = it.metric.metric().meaning;
            let cause = it.metric.metric().path.trim_start_matches("causes.");
            let [before, after] = [it.before, it.after].map(|side| value(it.metric, side));
            format!("{cause} ({means}) {before} to {after}")
        })
        .collect();
    if risen.is_empty() {
        return String::new();
    }
    format!("; by cause: {}", risen.join(", "))
}

/// A scenario that was not compared.
pub(super) fn changed(changed: &ChangedWorkload) -> String {
    let ChangedWorkload { scenario, why } = changed;
    format!("{scenario}: not compared: {why}")
}

/// What is no longer there.
pub(super) fn vanished(place: &Place) -> String {
    let scenario = &place.scenario;
    match &place.allocator {
        None => {
            format!("{scenario}: the scenario is in the base and gone from the new results")
        }
        Some(name) => {
            format!("{scenario}: {name} is in the base and gone from the new results")
        }
    }
}

/// What was not there before.
pub(super) fn added(place: &Place) -> String {
    let scenario = &place.scenario;
    let name = place
        .allocator
        .as_ref()
        .map_or(String::new(), |it| format!(", {it}"));
    format!("{scenario}{name}: new, with nothing to compare it with")
}

/// A command that shows the seed of a forbidden change; `None` if the file is not known.
pub(super) fn look_closer(pair: &Pair) -> Option<String> {
    let change = pair.forbidden().find_map(|it| it.paired.as_ref())?;
    let names = if pair.base == pair.new {
        pair.new.clone()
    } else {
        format!("{},{}", pair.base, pair.new)
    };
    let names = shell::quoted(&names)?;
    Some(match &pair.source {
        Source::Trace(file) => {
            format!(
                "iovasim replay -a {names} {}",
                shell::word(file.as_deref()?)?
            )
        }
        Source::Scenario(file) => {
            let generate = shell::generate(file.as_deref()?, change.most.seed)?;
            format!("{generate} | iovasim replay -a {names} -")
        }
    })
}

/// The interval of a paired difference.
pub(super) fn interval(metric: MetricId, paired: &Paired) -> Option<String> {
    let [lo, hi] = paired.ci95?;
    Some(format!("{} to {}", signed(metric, lo), signed(metric, hi)))
}

/// A figure that may be unknown.
pub(super) fn value(metric: MetricId, value: Option<Value>) -> String {
    let known = value.map(|it| number(metric, it));
    known.unwrap_or_else(|| "unknown".to_owned())
}

fn is_share(metric: MetricId) -> bool {
    metric.metric().unit == Unit::Share
}

fn number(metric: MetricId, value: Value) -> String {
    match value {
        _ if is_share(metric) => format!("{:.3} %", value.to_f64() * 100.0),
        Value::Count(count) => grouped(count),
        Value::Real(number) => decimals(number),
    }
}

/// The difference of a change, with its sign.
pub(super) fn difference(change: &Change) -> Option<String> {
    let (before, after) = (change.before?, change.after?);
    Some(match (before, after) {
        (Value::Count(before), Value::Count(after)) if !is_share(change.metric) => {
            let sign = if after >= before { '+' } else { '-' };
            format!("{sign}{}", grouped(after.abs_diff(before)))
        }
        _ => signed(change.metric, Value::rise(before, after)),
    })
}

/// A difference with its sign; of shares in percentage points.
pub(super) fn signed(metric: MetricId, difference: f64) -> String {
    let sign = if difference < 0.0 { "-" } else { "+" };
    if is_share(metric) {
        return format!("{sign}{:.3} pp", difference.abs() * 100.0);
    }
    format!("{sign}{}", decimals(difference.abs()))
}

/// With digits in groups, and as many decimals as a small number needs.
fn decimals(number: f64) -> String {
    let text = match number.abs() {
        it if it >= 1000.0 => format!("{number:.0}"),
        it if it >= 0.1 || it == 0.0 => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    };
    match text.parse::<u128>() {
        Ok(whole) => grouped(whole),
        Err(_) => text,
    }
}

/// The word for a verdict.
pub(super) fn word(change: &Change) -> &'static str {
    match (change.forbidden.is_some(), change.verdict) {
        (true, _) => "forbidden",
        (false, Verdict::Better) => "better",
        (false, Verdict::Worse) => "worse",
        (false, Verdict::Neither) => "-",
    }
}

/// The pairs in which nothing differs, a scenario each with its allocators.
pub(super) fn equal(comparison: &Comparison) -> Vec<String> {
    let equal: Vec<&Pair> = comparison.pairs.iter().filter(|it| it.is_equal()).collect();
    let scenarios = equal.chunk_by(|one, next| one.scenario == next.scenario);
    let scenarios = scenarios.map(|pairs| {
        let names: Vec<String> = pairs.iter().map(|it| who(it)).collect();
        format!("{} ({})", pairs[0].scenario, names.join(", "))
    });
    scenarios.collect()
}

/// What else is to be said of a pair.
pub(super) fn otherwise(pair: &Pair) -> Option<&'static str> {
    pair.differs_otherwise.then_some(
        "all figures are alike, but the steps of the requests are spread otherwise, or a replay \
         ended at another event",
    )
}

/// The meaning of a figure.
pub(super) fn means(change: &Change) -> &'static str {
    change.metric.metric().meaning
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::compare::Most;

    #[test]
    fn seeds_are_named_as_far_as_they_are_few() {
        let texts = [&[][..], &[7], &[1, 2, 3], &[1, 5, 9]]
            .map(|it| seeds(&it.iter().copied().map(Some).collect::<Vec<_>>()));
        let expected = [
            "0 seeds",
            "1 seed (7)",
            "3 seeds (1 to 3)",
            "3 seeds (1, 5, 9)",
        ];
        assert_eq!(texts, expected);
        assert!(seeds(&[9, 8, 7, 6, 5, 4, 3, 2, 1].map(Some)).ends_with("4, 3, 2, …)"));
    }

    /// A percentile of all requests can move while that of every seed stays.
    #[test]
    fn what_moved_in_no_seed_is_said_to_have() {
        let paired = |seeds_up, mean| Paired {
            mean,
            ci95: Some([mean - 0.5, mean + 0.5]),
            seeds_up,
            seeds_down: 0,
            most: Most {
                seed: Some(4),
                before: Value::Count(10),
                after: Value::Count(12),
            },
        };
        let told = |it: &Paired| paired_words(MetricId::StepsP999, it, 20);
        assert_eq!(told(&paired(0, 0.0)), ", in no seed by itself");
        assert_eq!(
            told(&paired(3, 1.0)),
            ", +1.00 a seed (95 %: +0.50 to +1.50), more in 3 of 20 seeds, the most in seed 4 \
             (10 to 12)"
        );
    }
}
