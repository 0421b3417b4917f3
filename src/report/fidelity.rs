//! The report of `profile --check`: a trace and what its profile generates, side by side.

use serde::Serialize;

use super::number::grouped;
use super::table::{Table, dash};
use super::{Page, number};
use crate::study::fidelity::{Observed, ProfileCheck, mean};
use iova::measure::MetricId;

/// The version of the document.
pub const VERSION: u64 = 1;

/// A line of the table: its heading, its value, how it is written.
struct Line {
    name: &'static str,
    of: fn(&Observed) -> Option<f64>,
    write: fn(f64) -> String,
}

const LINES: [Line; 8] = [
    Line {
        name: "requests",
        of: |it| it.metrics.real(MetricId::Allocs),
        write: whole,
    },
    Line {
        name: "failed",
        of: |it| it.metrics.real(MetricId::FailureRate),
        write: percent,
    },
    Line {
        name: "  though room",
        of: spurious_rate,
        write: percent,
    },
    Line {
        name: "live pages",
        of: |it| it.metrics.real(MetricId::LivePagesMean),
        write: whole,
    },
    Line {
        name: "  at most",
        of: |it| it.metrics.real(MetricId::LivePagesMax),
        write: whole,
    },
    Line {
        name: "fragmentation",
        of: |it| it.fragmentation,
        write: percent,
    },
    Line {
        name: "largest gap",
        of: |it| it.largest_gap_pages,
        write: whole,
    },
    Line {
        name: "steps/alloc",
        of: |it| it.metrics.real(MetricId::StepsMean),
        write: |steps| format!("{steps:.1}"),
    },
];

/// The share of the requests that was refused though there was room.
fn spurious_rate(it: &Observed) -> Option<f64> {
    let allocs = it.metrics.real(MetricId::Allocs)?;
    let spurious = it.metrics.real(MetricId::Spurious)?;
    (allocs > 0.0).then(|| spurious / allocs)
}

/// The page: a table for each allocator.
pub fn text(checks: &[ProfileCheck], page: Page) -> String {
    let blocks = checks.iter().map(|check| {
        let mut table = Table::new(
            check.allocator.name(),
            &["trace", "profile", "least", "most"],
        );
        for line in &LINES {
            let write = |value: Option<f64>| dash(value.map(line.write));
            let values = || check.seeds.iter().filter_map(line.of);
            table.row(
                line.name,
                vec![
                    write((line.of)(&check.trace)),
                    write(mean(check.seeds.iter().map(line.of))),
                    write(values().reduce(f64::min)),
                    write(values().reduce(f64::max)),
                ],
            );
        }
        let apart = percent(check.sizes_apart());
        let sentence = format!(
            "Live pages in buffers up to any size: shares at most {apart} apart. {} of the \
             profile.",
            number::counted(check.seeds.len() as u64, "seed", "seeds"),
        );
        format!("{}{}", table.render(page), page.paragraph(&sentence))
    });
    blocks.collect::<Vec<_>>().join("\n")
}

#[derive(Serialize)]
struct Document<'a> {
    iovasim: &'static str,
    version: u64,
    program: &'static str,
    /// One for each allocator.
    checks: Vec<CheckRecord<'a>>,
}

#[derive(Serialize)]
struct CheckRecord<'a> {
    allocator: &'a str,
    trace: &'a Observed,
    seeds: &'a [Observed],
    failure_points: Option<f64>,
    sizes_apart: f64,
}

/// The same as JSON, every seed by itself.
pub fn json(checks: &[ProfileCheck]) -> String {
    let checks = checks.iter().map(|check| CheckRecord {
        allocator: check.allocator.name(),
        trace: &check.trace,
        seeds: &check.seeds,
        failure_points: check.failure_points(),
        sizes_apart: check.sizes_apart(),
    });
    super::document(&Document {
        iovasim: "fidelity",
        version: VERSION,
        program: env!("CARGO_PKG_VERSION"),
        checks: checks.collect(),
    })
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure that is not negative, to read"
)]
fn whole(number: f64) -> String {
    grouped(number.round() as u64)
}
