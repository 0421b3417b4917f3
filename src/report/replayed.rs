//! The page that `replay` prints: what was replayed, a table for each question, findings,
//! and what differs between the allocators.
//!
//! One allocator a row, so that two read as well as twelve. A table in which nothing happened
//! is left out: no flush queue, nothing cached.

use super::differs;
use super::number::{counted, duration, grouped, percent, ratio};
use super::table::dash;
use super::{Page, Subject, Table};
use crate::measure::agreement::{Answered, Disagreement};
use crate::measure::{Agreement, Cause, Decision, Figures, Steps};
use crate::model::FlushQueue;
use crate::replay::{Finding, Found};
use crate::study::Row;
use crate::trace::event::{Event, Got, Header};
use crate::trace::write::Writer;

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
    let sentences =
        differs::sentences(subject.rows, subject.differences, subject.header.granule);
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
    let name = header
        .name
        .as_ref()
        .map_or(String::new(), |name| format!(": {name}"));
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

const QUESTIONS: [Question; 6] = [
    (requests, |_| true),
    (causes, |it| it.failures > 0),
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
    cells: impl Fn(&Figures) -> [String; N],
) -> Table {
    let mut table = Table::new("allocator", headings);
    for row in rows {
        table.row(row.allocator.name(), cells(&row.figures));
    }
    table
}

fn requests(rows: &[Row]) -> Table {
    let headings = [
        "allocs",
        "failures",
        "failed",
        "pages live (mean)",
        "(max)",
        "findings",
    ];
    filled(headings, rows, |it| {
        let mean = it.pages_live_mean;
        [
            grouped(it.allocs),
            grouped(it.failures),
            dash(percent(it.failures, it.allocs)),
            dash(mean.and_then(|mean| ratio(mean.area, mean.nanos.into(), 0))),
            grouped(it.pages_live_max),
            grouped(it.findings.total()),
        ]
    })
}

fn causes(rows: &[Row]) -> Table {
    let headings = Cause::ALL.map(Cause::name);
    filled(headings, rows, |it| {
        Cause::ALL.map(|cause| grouped(it.causes.count(cause)))
    })
}

fn searches(rows: &[Row]) -> Table {
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
    let mut table = Table::new("allocator", headings);
    for row in rows {
        let it = &row.figures;
        let steps = row.allocator.rules().walks().then_some(&it.steps);
        let figure = |figure: Option<u64>| dash(figure.map(grouped));
        let quantile = |per_mille| figure(steps.and_then(|it| it.quantile(per_mille)));
        let cells = [
            grouped(it.tally.searches),
            dash(steps.and_then(|steps| ratio(steps.total().into(), it.allocs.into(), 1))),
            quantile(500),
            quantile(990),
            quantile(999),
            figure(steps.and_then(Steps::max)),
            grouped(it.tally.second_passes),
            grouped(it.tally.second_passes_that_found),
        ];
        table.row(row.allocator.name(), cells);
    }
    table
}

fn caches(rows: &[Row]) -> Table {
    let headings = [
        "cache hits",
        "misses",
        "refills",
        "returned",
        "flushes on failure",
        "helped",
    ];
    filled(headings, rows, |it| {
        let tally = &it.tally;
        [
            grouped(tally.cache_hits),
            grouped(tally.cache_misses),
            grouped(tally.depot_refills),
            grouped(tally.magazines_returned),
            grouped(tally.flushes_of_caches),
            grouped(tally.flushes_that_helped),
        ]
    })
}

fn flush_queues(rows: &[Row]) -> Table {
    let headings = [
        "queue flushes, full",
        "by timer",
        "longest wait",
        "fullest ring",
    ];
    filled(headings, rows, |it| {
        let tally = &it.tally;
        [
            grouped(tally.queue_flushes_full),
            grouped(tally.queue_flushes_by_timer),
            duration(tally.queue_longest_wait.0),
            grouped(tally.queue_fullest),
        ]
    })
}

fn held(rows: &[Row]) -> Table {
    let headings = [
        "ranges at the end",
        "held by callers",
        "in magazines",
        "depots",
        "flush queues",
    ];
    filled(headings, rows, |it| {
        let held = &it.held;
        [
            grouped(held.in_tree),
            grouped(held.by_callers),
            grouped(held.in_magazines),
            grouped(held.in_depots),
            grouped(held.in_flush_queues),
        ]
    })
}

/// What an allocator broke, each kind with its first event.
fn findings(row: &Row, page: Page) -> Vec<String> {
    let Figures {
        findings, undone, ..
    } = &row.figures;
    let name = row.allocator.name();
    let kinds = Finding::ALL
        .into_iter()
        .filter(|&kind| findings.count(kind) > 0);
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
        let answers = counted(*compared, "recorded answer", "recorded answers");
        return page.paragraph(&format!("check: {name}: agrees with all of {answers}"));
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
        let mark = if *number == disagreement.event {
            '>'
        } else {
            ' '
        };
        let answer = match decision {
            Decision::NotAsked => String::new(),
            Decision::Granted(pfn) => format!("  -> {} ({pfn})", pfn.0),
            Decision::Refused(_) => "  -> null".to_owned(),
        };
        format!("  {mark} {number}  {}{answer}\n", line(event))
    });
    shown.collect()
}

/// An event as a trace has it, with its time.
fn line(event: &Event) -> String {
    let written = || {
        let mut writer = Writer::new(Vec::new(), &Header::default())?;
        writer.write(event)?;
        writer.finish()
    };
    let text = written()
        .map_err(|_| ())
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| ()));
    let text = text.expect("a trace is text, and writing to memory does not fail");
    text.lines().nth(1).unwrap_or_default().to_owned()
}
