//! The page that `replay` prints: what was replayed, a table for each question, findings,
//! and what differs between the allocators.

use super::differs::{self, End, Side};
use super::number::{counted, grouped};
use super::tables::{self, Line};
use super::{Page, Subject};
use crate::study::Agreement;
use crate::study::Row;
use crate::study::agreement::{Answered, Disagreement};
use crate::study::wire::WireFigures;
use crate::trace::event::{Event, Header};
use crate::trace::write::Writer;
use iova::kernel::FlushQueue;
use iova::measure::{Decision, Figures};
use iova::op::Got;
use iova::replay::{Finding, Found};

/// The page of one trace.
pub fn text(subject: &Subject<'_>, page: Page) -> String {
    let Subject {
        rows, differences, ..
    } = subject;
    let mut blocks = vec![heading(subject, page)];
    let figures: Vec<WireFigures> = rows.iter().map(figures).collect();
    let lines: Vec<Line<'_>> = rows
        .iter()
        .zip(&figures)
        .map(|(row, figures)| Line {
            allocator: row.allocator.name(),
            figures,
        })
        .collect();
    blocks.extend(
        tables::replay(&lines)
            .iter()
            .map(|table| table.render(page)),
    );
    blocks.push(rows.iter().flat_map(|row| findings(row, page)).collect());
    let sides: Vec<Side<'_>> = rows.iter().map(side).collect();
    let sentences = differs::sentences(&sides, differences, subject.header.granule);
    blocks.push(sentences.iter().map(|it| page.paragraph(it)).collect());
    let agreements = rows
        .iter()
        .filter_map(|row| Some((row, row.agreement.as_ref()?)));
    blocks.push(agreements.map(|(row, it)| agreed(row, it, page)).collect());
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

fn figures(row: &Row) -> WireFigures {
    WireFigures::of(&row.figures, row.allocator.rules().walks())
}

fn side(row: &Row) -> Side<'_> {
    let walks = row.allocator.rules().walks();
    Side {
        name: row.allocator.name(),
        steps: walks.then(|| row.figures.steps.total()),
        ended: row.figures.undone.map(|undone| End::Event(undone.event)),
    }
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
    page.heading(&format!("{file}{name}"))
        + &page.paragraph(&format!(
            "{events}, {cpus}, granule {granule}, start_pfn {start}{flush_queue}{forcedac}"
        ))
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
            page.warning(&format!("{name}: {} {times}{first}", kind.name()))
        })
        .collect();
    notes.extend(undone.map(|undone| {
        let why = match undone.finding {
            Finding::UseAfterFree => "the kernel would go on from a range that was freed",
            _ => "the kernel would search for ever under its lock",
        };
        let event = undone.event;
        let finding = undone.finding.name();
        page.warning(&format!(
            "{name}: {finding} at event {event}, where its replay ends: {why}"
        ))
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
    page.warning(&text) + &around(first)
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
