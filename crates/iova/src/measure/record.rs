//! What was sampled, as results carry it: plain numbers in columns, one entry a sample.
//!
//! Pages are those of the trace's granule. What was not looked at, or what an allocator does
//! not have, is null.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::sampling::{Every, Moment};
use super::series::{Extremes, Track};

pub use super::sampling::Window;

/// What a [`Sampler`](super::sampler::Sampler) saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampledRecord {
    /// The window as time goes by.
    pub timeline: TimelineRecord,
    /// Who has which part of the window, as time goes by.
    pub map: MapRecord,
}

/// When samples were begun, and the last event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    /// The number of each sample's first event, from 0.
    pub event: Vec<u64>,
    pub nanos: Vec<u64>,
    /// The number of the last event; 0 without events.
    pub last_event: u64,
    /// Its time; 0 without events.
    pub last_nanos: u64,
}

/// A figure in every sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The newest value of each sample.
    pub last: Vec<Option<u64>>,
    /// The smallest; left out where every sample has one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Vec<Option<u64>>>,
    /// The largest; left out where every sample has one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Vec<Option<u64>>>,
}

/// The smallest and the largest number in every sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    pub min: Vec<Option<u64>>,
    pub max: Vec<Option<u64>>,
}

/// What is seen of a window at a moment; see [`Shape`](super::fragmentation::Shape).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are the fields of a shape")]
pub enum Figure {
    Used,
    Cached,
    Queued,
    Free,
    Outside,
    Gaps,
    LargestGap,
    LargestBlock,
    LargestRequest,
    Max32,
    FragmentationPpm,
}

/// What a [`Timeline`](super::timeline::Timeline) saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimelineRecord {
    /// What was looked at.
    pub window: Window,
    /// The distance of the samples.
    pub every: Every,
    /// When they were begun.
    pub moments: Moments,
    /// Each figure of the window.
    pub figures: BTreeMap<Figure, Column>,
    /// How far `max32` was below the largest request that would succeed: both at the moment of
    /// each sample when they were furthest apart; null if `max32` refused nothing that fits.
    /// Results of older versions call it `mistaken`.
    #[serde(alias = "mistaken")]
    pub max32_gap: Bounds,
    /// Requests for addresses.
    pub requests: Vec<u64>,
    /// How far searches walked; null of an allocator that does not walk.
    pub steps: Option<StepColumns>,
    /// Requests that were refused, for each cause that there was.
    pub failures: BTreeMap<Cause, Vec<u64>>,
    /// Sizes in pages that were refused though there was room.
    pub refused_with_room: Bounds,
    /// Sizes in pages that were refused for want of room or memory.
    pub refused_without: Bounds,
    /// Requests for addresses in other domains, which are not sampled.
    pub requests_elsewhere: u64,
}

/// How far searches walked in every sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepColumns {
    /// Steps of all requests together.
    pub total: Vec<u64>,
    /// The most steps that a request took; null without requests.
    pub max: Vec<Option<u64>>,
}

/// Who has the pages of a cell.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// A caller.
    Live,
    /// A magazine or a depot.
    Cached,
    /// A flush queue.
    Queued,
    /// Nobody that is known: reserved or restored.
    Other,
}

/// What an [`AddressMap`](super::address_map::AddressMap) saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapRecord {
    /// What was looked at.
    pub window: Window,
    /// The distance of the columns.
    pub every: Every,
    /// When they were begun.
    pub moments: Moments,
    /// The lowest pfn of the lowest row.
    pub base_pfn: u64,
    /// The pages of a row.
    pub row_pages: u64,
    /// For each holder that there was, the rows from the highest addresses down; each is a
    /// string with one character a column, see [`share`].
    pub held: BTreeMap<Holder, Vec<String>>,
    /// Requests that were refused though there was room.
    pub refused_with_room: Vec<u64>,
    /// Requests that were refused for want of room or memory.
    pub refused_without: Vec<u64>,
}

/// What [`Traffic`](super::traffic::Traffic) saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrafficRecord {
    /// Bytes per page.
    pub granule: u64,
    /// Requests by size: those of more than half of `pages_max` pages, up to that many.
    pub sizes: Vec<SizeClass>,
    /// Lifetimes of what was freed: those of more than half of `nanos_max`, up to that many;
    /// null where no time passes in the trace.
    pub lifetimes: Option<Vec<LifetimeClass>>,
    /// Allocations that were never freed.
    pub never_freed: u64,
    /// The distance of the samples of the load.
    pub every: Every,
    /// When they were begun.
    pub moments: Moments,
    /// Allocations that were not freed yet, had every request been granted.
    pub live: Column,
    /// Their pages, as asked for.
    pub live_pages: Column,
}

/// Requests of a size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SizeClass {
    /// The largest size of the class, a power of two; null for 2^64.
    pub pages_max: Option<u64>,
    /// How many there were.
    pub requests: u64,
    /// Their pages, as asked for.
    pub pages: u64,
}

/// Allocations of a class of lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LifetimeClass {
    /// The longest lifetime of the class, a power of two; null for 2^64.
    pub nanos_max: Option<u64>,
    /// How many there were.
    pub allocations: u64,
}

impl Moments {
    /// Those of samples that were begun at some moments, of a stream that ended at another.
    pub(super) fn of(begun: impl Iterator<Item = Moment>, ended: Moment) -> Moments {
        let (event, nanos) = begun.map(|moment| (moment.event, moment.at.0)).unzip();
        Moments {
            event,
            nanos,
            last_event: ended.event,
            last_nanos: ended.at.0,
        }
    }
}

impl Column {
    pub(super) fn of(tracks: impl Iterator<Item = Track>) -> Column {
        let tracks: Vec<Track> = tracks.collect();
        let last = tracks.iter().map(|track| track.last).collect();
        let bounds = Bounds::of(tracks.iter().map(|track| track.extremes));
        let single = bounds.min == last && bounds.max == last;
        Column {
            last,
            min: (!single).then_some(bounds.min),
            max: (!single).then_some(bounds.max),
        }
    }

    /// The smallest value of each sample.
    pub fn min(&self) -> &[Option<u64>] {
        self.min.as_ref().unwrap_or(&self.last)
    }

    /// The largest value of each sample.
    pub fn max(&self) -> &[Option<u64>] {
        self.max.as_ref().unwrap_or(&self.last)
    }
}

impl Bounds {
    pub(super) fn of(extremes: impl Iterator<Item = Extremes>) -> Bounds {
        let (min, max) = extremes.map(|it| (it.min(), it.max())).unzip();
        Bounds { min, max }
    }
}

/// A share of a cell as a character: `0` of none of its pages, `f` of all, in between `1` to
/// `e` in equal steps; `?` where the cell was not looked at.
pub fn share(pages: u64, of: u64) -> char {
    let level = match pages {
        _ if of == 0 => return '?',
        0 => 0,
        _ if pages >= of => 15,
        _ => {
            let level = u128::from(pages) * 14 / u128::from(of);
            u32::try_from(level).unwrap_or(13) + 1
        }
    };
    char::from_digit(level, 16).unwrap_or('?')
}

/// What part of a cell a character of [`share`] stands for, the middle of its step; none of a
/// cell that was not looked at or of another character.
pub fn part(share: char) -> Option<f64> {
    match share.to_digit(16)? {
        0 => Some(0.0),
        15 => Some(1.0),
        level => Some((f64::from(level) - 0.5) / 14.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_all_have_characters_of_their_own() {
        let shares = [0, 1, 71, 72, 999, 1000].map(|pages| share(pages, 1000));
        assert_eq!(shares, ['0', '1', '1', '2', 'e', 'f']);
        assert_eq!(share(0, 0), '?');
        assert_eq!(share(u64::MAX - 1, u64::MAX), 'e');
    }

    #[test]
    fn a_share_reads_back_within_its_step() {
        for pages in 0..=1000_u32 {
            let read = part(share(pages.into(), 1000)).expect("a share");
            assert!(
                (read - f64::from(pages) / 1000.0).abs() <= 0.5 / 14.0 + 1e-9,
                "{pages}"
            );
        }
        assert_eq!(part('?'), None);
    }
}
