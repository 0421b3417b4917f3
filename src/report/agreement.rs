//! Recorded answers beside those of a replay: the counts, and, with `--check`, each domain and the
//! events around the first other answer.

use super::block::Block;
use super::number::{counted, grouped};
use crate::study::agreement::{Answered, Disagreement, DomainAgreement, Reason};
use crate::study::document::Row;
use crate::study::{Agreement, Studied, Tally};
use crate::trace::event::{Event, Header};
use crate::trace::write::Writer;
use iova::measure::Decision;
use iova::op::Got;

/// How many domains that disagree are listed.
const DOMAINS_SHOWN: usize = 20;

/// The agreement of each allocator with the recorded kernel, if the trace has answers.
pub(super) fn blocks(studied: &Studied) -> Vec<Block> {
    let rows = &studied.result.rows;
    let checked: Vec<Block> = rows
        .iter()
        .zip(&studied.agreements)
        .filter_map(|(row, it)| Some((row, it.as_ref()?)))
        .flat_map(|(row, it)| checked(row, it))
        .collect();
    if !checked.is_empty() {
        return checked;
    }
    unchecked(rows, &studied.tallies)
}

/// One line where `--check` was not asked for.
fn unchecked(rows: &[Row], tallies: &[Tally]) -> Vec<Block> {
    let Some(compared) = tallies.iter().map(|tally| tally.compared).max() else {
        return Vec::new();
    };
    if compared == 0 {
        return Vec::new();
    }
    let each = rows.iter().zip(tallies).map(|(row, tally)| {
        let (addresses, grants) = (grouped(tally.addresses), grouped(tally.grants));
        format!(
            "{} agrees in {addresses} addresses and {grants} grants",
            row.allocator
        )
    });
    let answers = counted(compared, "recorded answer", "recorded answers");
    vec![Block::Paragraph(format!(
        "{answers}: {}; --check compares them by domain",
        each.collect::<Vec<_>>().join(", ")
    ))]
}

fn checked(row: &Row, agreement: &Agreement) -> Vec<Block> {
    let name = &row.allocator;
    let tally = agreement.tally;
    let answers = counted(tally.compared, "recorded answer", "recorded answers");
    let Some(first) = &agreement.first else {
        let text = format!("check: {name}: agrees with all of {answers}");
        return vec![Block::Paragraph(text)];
    };
    let text = format!(
        "check: {name}: agrees with {} of {answers} in the address, and with {} in the grant; the \
         first other address is event {}: recorded {}, replayed {}",
        grouped(tally.addresses),
        grouped(tally.grants),
        first.event,
        given(first.recorded),
        given(first.replayed),
    );
    let mut blocks = vec![Block::Warning(text), Block::Verbatim(around(first))];
    let disagrees = |it: &(&u64, &DomainAgreement)| it.1.first_address.is_some();
    let disagreeing: Vec<_> = agreement.domains.iter().filter(disagrees).collect();
    let agreeing = (agreement.domains.len() - disagreeing.len()) as u64;
    let shown = disagreeing.iter().take(DOMAINS_SHOWN);
    blocks.extend(shown.map(|(number, it)| Block::Paragraph(domain(**number, it))));
    let more = disagreeing.len().saturating_sub(DOMAINS_SHOWN) as u64;
    if more > 0 {
        let more = counted(more, "more domain disagrees", "more domains disagree");
        blocks.push(Block::Paragraph(more));
    }
    if agreeing > 0 {
        let agree = counted(agreeing, "domain agrees", "domains agree");
        blocks.push(Block::Paragraph(format!("{agree} in every answer")));
    }
    blocks
}

fn domain(number: u64, it: &DomainAgreement) -> String {
    let Tally {
        compared,
        addresses,
        grants,
    } = it.tally;
    let grant = match it.first_grant {
        Some(event) => format!(", the first other grant is event {event}"),
        None => String::new(),
    };
    let first = match it.first_address {
        Some((event, reason)) => {
            format!(
                "; the first other address is event {event}{grant}; {}",
                likely(reason)
            )
        }
        None => String::new(),
    };
    format!(
        "domain {number}: {} of {} addresses, {} grants{first}",
        grouped(addresses),
        grouped(compared),
        grouped(grants),
    )
}

fn likely(reason: Reason) -> &'static str {
    match reason {
        Reason::Occupied => {
            "likely the recorded kernel had ranges there that the trace lacks: reserved, or live \
             before the recording (`import --infer-reserved`, `--reserved`, `--state-before`)"
        }
        Reason::MissedFrees => {
            "likely the trace lacks frees: events were lost, or the domain was used before the \
             recording (`import --state-before`)"
        }
        Reason::Order => {
            "likely CPUs raced, or a timer returned cached ranges: the order of the events is not \
             the order in which the recorded kernel took the lock"
        }
    }
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
