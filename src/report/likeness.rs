//! What `profile --check` prints: a trace and what its profile generates, figure by figure.

use serde::Serialize;

use super::number::grouped;
use super::table::{Table, dash};
use super::{Page, number};
use crate::study::likeness::{Likeness, Looks, mean};

/// A figure: how it is called, its value, how it reads.
struct Figure {
    name: &'static str,
    of: fn(&Looks) -> Option<f64>,
    read: fn(f64) -> String,
}

const FIGURES: [Figure; 8] = [
    Figure {
        name: "requests",
        of: |looks| Some(looks.requests),
        read: whole,
    },
    Figure {
        name: "failed",
        of: |looks| looks.failure_rate,
        read: percent,
    },
    Figure {
        name: "  though room",
        of: |looks| looks.spurious_rate,
        read: percent,
    },
    Figure {
        name: "live pages",
        of: |looks| looks.live_pages_mean,
        read: whole,
    },
    Figure {
        name: "  at most",
        of: |looks| Some(looks.live_pages_max),
        read: whole,
    },
    Figure {
        name: "fragmentation",
        of: |looks| looks.fragmentation,
        read: percent,
    },
    Figure {
        name: "largest gap",
        of: |looks| looks.largest_gap_pages,
        read: whole,
    },
    Figure {
        name: "steps/alloc",
        of: |looks| looks.steps,
        read: |steps| format!("{steps:.1}"),
    },
];

/// The page: a table for each allocator.
pub fn text(likenesses: &[Likeness], page: Page) -> String {
    let blocks = likenesses.iter().map(|likeness| {
        let mut table = Table::new(
            likeness.allocator.name(),
            ["trace", "profile", "least", "most"],
        );
        for figure in &FIGURES {
            let read = |value: Option<f64>| dash(value.map(figure.read));
            let values = || likeness.seeds.iter().filter_map(figure.of);
            table.row(
                figure.name,
                [
                    read((figure.of)(&likeness.original)),
                    read(mean(likeness.seeds.iter().map(figure.of))),
                    read(values().reduce(f64::min)),
                    read(values().reduce(f64::max)),
                ],
            );
        }
        let apart = percent(likeness.sizes_apart());
        let sentence = format!(
            "Live pages in buffers up to any size: shares at most {apart} apart. {} of the \
             profile.",
            number::counted(likeness.seeds.len() as u64, "seed", "seeds"),
        );
        format!("{}{}", table.render(page), page.paragraph(&sentence))
    });
    blocks.collect::<Vec<_>>().join("\n")
}

#[derive(Serialize)]
struct WireLikeness<'a> {
    allocator: &'a str,
    trace: &'a Looks,
    seeds: &'a [Looks],
    failure_points: Option<f64>,
    sizes_apart: f64,
}

/// The same as JSON, every seed by itself.
pub fn json(likenesses: &[Likeness]) -> String {
    let likenesses = likenesses.iter().map(|likeness| WireLikeness {
        allocator: likeness.allocator.name(),
        trace: &likeness.original,
        seeds: &likeness.seeds,
        failure_points: likeness.failure_points(),
        sizes_apart: likeness.sizes_apart(),
    });
    let likenesses: Vec<WireLikeness<'_>> = likenesses.collect();
    let text = serde_json::to_string_pretty(&likenesses).expect("plain data");
    format!("{text}\n")
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
