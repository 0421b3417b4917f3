//! The page that `replay` prints: what was replayed, a table for each question, findings,
//! and what differs between the allocators.
//!
//! One allocator a row, so that two read as well as twelve. A table in which nothing happened
//! is left out: no flush queue, nothing cached.

use super::differs;
use super::number::{counted, duration, grouped, percent, ratio};
use super::{Page, Subject, Table};
use crate::measure::agreement::{Answered, Disagreement};
use crate::measure::{Agreement, Decision, Figures};
use crate::model::FlushQueue;
use crate::replay::{Finding, Found};
use crate::study::Row;
use crate::trace::event::Got;
use crate::trace::write::line;

/// The page of one trace.
pub fn text(subject: &Subject<'_>, page: Page) -> String {
    let mut blocks = vec![heading(subject, page)];
    blocks.extend(tables(subject).iter().map(|table| table.render(page)));
    let notes: String = subject
        .rows
        .iter()
        .flat_map(|row| findings(row, page))
        .collect();
    let agreements = subject.rows.iter().filter_map(|row| {
        let agreement = row.agreement.as_ref()?;
        Some(agreed(row, agreement, page))
    });
    let sentences = differs::sentences(subject.rows, subject.differences, subject.header.granule);
    let sentences = sentences.iter().map(|sentence| page.paragraph(sentence));
    blocks.extend([notes, sentences.collect(), agreements.collect()]);
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

fn heading(subject: &Subject<'_>, page: Page) -> String {
    let Subject {
        file,
        header,
        events,
        ..
    } = subject;
    let name = header.name.as_ref().map_or(String::new(), |name| format!(": {name}"));
    let events = counted(*events, "event", "events");
    let cpus = counted(header.cpus.into(), "CPU", "CPUs");
    let flush_queue = match header.flush_queue {
        FlushQueue::None => "",
        FlushQueue::PerCpu => ", a flush queue per CPU",
        FlushQueue::Single => ", a single flush queue",
    };
    let forcedac = if header.forcedac { ", forcedac" } else { "" };
    let granule = header.granule.bytes();
    let start = header.start_pfn;
    page.bold(&page.paragraph(&format!("{file}{name}")))
        + &page.paragraph(&format!(
            "{events}, {cpus}, granule {granule}, start_pfn {start}{flush_queue}{forcedac}"
        ))
}

/// A table, and whether it has anything to say of these figures.
type Question = (fn(&[Row]) -> Table, fn(&Figures) -> bool);

const QUESTIONS: [Question; 5] = [
    (requests, |_| true),
    (searches, |_| true),
    (caches, |it| {
        let tally = &it.tally;
        tally.cache_hits + tally.flushes_of_caches + tally.magazines_returned > 0
    }),
    (flush_queues, |it| {
        let tally = &it.tally;
        tally.queue_fullest > 0
    }),
    (held, |_| true),
];

fn tables(subject: &Subject<'_>) -> Vec<Table> {
    let speaking = QUESTIONS
        .iter()
        .filter(|(_, speaks)| subject.rows.iter().any(|row| speaks(&row.figures)));
    speaking.map(|(table, _)| table(subject.rows)).collect()
}

fn filled<const N: usize>(
    headings: [&str; N],
    rows: &[Row],
    cells: impl Fn(&Figures) -> [Option<String>; N],
) -> Table {
    let mut table = Table::new("allocator", headings);
    for row in rows {
        table.row(row.allocator.name(), cells(&row.figures));
    }
    table
}

fn count(number: impl Into<u128>) -> Option<String> {
    Some(grouped(number))
}

fn requests(rows: &[Row]) -> Table {
    let headings = ["allocs", "failures", "failed", "live pages, mean", "max", "findings"];
    filled(headings, rows, |it| {
        let mean = it.live_pages_mean;
        [
            count(it.allocs),
            count(it.failures),
            percent(it.failures, it.allocs),
            mean.and_then(|mean| ratio(mean.area, mean.nanos.into(), 0)),
            count(it.live_pages_max),
            count(it.findings.total()),
        ]
    })
}

fn searches(rows: &[Row]) -> Table {
    let headings = [
        "searches", "steps/alloc", "p50", "p99", "p99.9", "max", "2nd passes", "found",
    ];
    filled(headings, rows, |it| {
        let quantile = |per_mille| it.steps.quantile(per_mille).map(grouped);
        [
            count(it.tally.searches),
            ratio(it.steps.total().into(), it.allocs.into(), 1),
            quantile(500),
            quantile(990),
            quantile(999),
            it.steps.max().map(grouped),
            count(it.tally.second_passes),
            count(it.tally.second_passes_that_found),
        ]
    })
}

fn caches(rows: &[Row]) -> Table {
    let headings = [
        "cache hits", "misses", "refills", "returned", "flushed on failure", "helped",
    ];
    filled(headings, rows, |it| {
        let tally = &it.tally;
        [
            count(tally.cache_hits),
            count(tally.cache_misses),
            count(tally.depot_refills),
            count(tally.magazines_returned),
            count(tally.flushes_of_caches),
            count(tally.flushes_that_helped),
        ]
    })
}

fn flush_queues(rows: &[Row]) -> Table {
    let headings = ["queue flushes, full", "by timer", "longest wait", "fullest ring"];
    filled(headings, rows, |it| {
        let tally = &it.tally;
        [
            count(tally.queue_flushes_full),
            count(tally.queue_flushes_by_timer),
            Some(duration(tally.queue_longest_wait.0)),
            count(tally.queue_fullest),
        ]
    })
}

fn held(rows: &[Row]) -> Table {
    let headings = [
        "ranges at the end", "held by callers", "in magazines", "depots", "flush queues",
    ];
    filled(headings, rows, |it| {
        let held = &it.held;
        [
            count(held.in_tree),
            count(held.by_callers),
            count(held.in_magazines),
            count(held.in_depots),
            count(held.in_flush_queues),
        ]
    })
}

/// What an allocator broke, each kind with its first event.
fn findings(row: &Row, page: Page) -> Vec<String> {
    let Figures {
        findings, undone, ..
    } = &row.figures;
    let name = row.allocator.name();
    let kinds = Finding::ALL.into_iter().filter(|&kind| findings.count(kind) > 0);
    let ends = undone.map(|undone| undone.finding);
    let mut notes: Vec<String> = kinds
        .filter(|&kind| ends != Some(kind))
        .map(|kind| {
            let first = findings.examples().iter().find(|it| it.finding == kind);
            let times = counted(findings.count(kind), "time", "times");
            let first = first.map_or(String::new(), found);
            page.red(&page.paragraph(&format!("{name}: {} {times}{first}", kind.name())))
        })
        .collect();
    notes.extend(undone.map(|undone| {
        let why = match undone.finding {
            Finding::UseAfterFree => "the kernel would go on from a range that was freed",
            _ => "the kernel would search for ever under its lock",
        };
        let event = undone.event;
        let finding = undone.finding.name();
        page.red(&page.paragraph(&format!(
            "{name}: {finding} at event {event}, where its replay ends: {why}"
        )))
    }));
    notes
}

fn found(found: &Found) -> String {
    let range = found.range.map_or(String::new(), |(pfn, pages)| {
        format!(", {} at pfn {pfn}", counted(pages.0, "page", "pages"))
    });
    format!(", first at event {}{range}", found.event)
}

/// How an allocator's answers compare with the recorded ones.
fn agreed(row: &Row, agreement: &Agreement, page: Page) -> String {
    let name = row.allocator.name();
    let Agreement {
        compared,
        agreeing,
        first,
        ..
    } = agreement;
    let Some(first) = first else {
        let text = match compared {
            0 => format!("check: {name}: the trace has no recorded answers to compare"),
            _ => {
                let answers = counted(*compared, "recorded answer", "recorded answers");
                format!("check: {name}: agrees with all of {answers}")
            }
        };
        return page.paragraph(&text);
    };
    let text = format!(
        "check: {name}: agrees with {} of {}; the first that differs is event {}: recorded {}, \
         replayed {}",
        grouped(*agreeing),
        counted(*compared, "recorded answer", "recorded answers"),
        first.event,
        given(first.recorded),
        given(first.replayed),
    );
    page.red(&page.paragraph(&text)) + &around(first)
}

fn given(got: Got) -> String {
    match got {
        Got::Unrecorded => "nothing".to_owned(),
        Got::Failed => "a failure".to_owned(),
        Got::Pfn(pfn) => format!("pfn {pfn}"),
    }
}

/// The events around a disagreement, as the trace has them, with the replay's answers.
fn around(disagreement: &Disagreement) -> String {
    let shown = disagreement.around.iter().map(|answered| {
        let Answered {
            number,
            event,
            decision,
        } = answered;
        let mark = if *number == disagreement.event { '>' } else { ' ' };
        let answer = match decision {
            Decision::NotAsked => String::new(),
            Decision::Granted(pfn) => format!("  -> {} ({pfn})", pfn.0),
            Decision::Refused(_) => "  -> null".to_owned(),
        };
        format!("  {mark} {number}  {}{answer}\n", line(event))
    });
    shown.collect()
}
