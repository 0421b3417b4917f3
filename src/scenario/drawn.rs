//! Delays and sizes of a scenario file, fixed or drawn.

use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{At, Error, Here};
use super::quantity::{Bytes, Decimal, InPlace, Life, Or, Time};
use crate::workload::change::Modes;
use crate::workload::distribution::Distribution;
use crate::workload::impossible::Impossible;
use crate::workload::size::Sizes;
use iova::units::Nanos;

/// A time, fixed or drawn.
pub(super) type WireDelay = Or<Time, WireDrawnDelay>;

/// How long a buffer lives.
pub(super) type WireLifetime = Or<Life, WireDrawnDelay>;

/// A size, or how sizes are found.
pub(super) type WireSizes = Or<Bytes, WireDrawnSizes>;

/// A time that is drawn anew each time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "snake_case",
    expecting = "an object that says how times are drawn"
)]
pub(super) enum WireDrawnDelay {
    Uniform(WireUniform<Time>),
    /// At random, so long on average.
    Exponential(Time),
    LogNormal(WireLogNormal<Time>),
    PowerLaw(WirePowerLaw<Time>),
}

/// Sizes that are drawn or taken in turn.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "snake_case",
    expecting = "an object that says how sizes are found"
)]
pub(super) enum WireDrawnSizes {
    Uniform(WireUniform<Bytes>),
    LogNormal(WireLogNormal<Bytes>),
    PowerLaw(WirePowerLaw<Bytes>),
    /// Sizes with their weights, as pairs.
    Weighted(Vec<(Bytes, u64)>),
    /// Sizes in turn with how many of each, as pairs.
    List(Vec<(Bytes, u64)>),
    Scatter(WireScatter),
}

impl InPlace for WireDrawnDelay {
    const EXPECTED: &'static str = "an object that says how times are drawn";
}

impl InPlace for WireDrawnSizes {
    const EXPECTED: &'static str = "an object that says how sizes are found";
}

/// Every number from `min` to `max` equally often.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "WireUniform_{T}")]
#[serde(deny_unknown_fields)]
pub(super) struct WireUniform<T> {
    min: T,
    max: T,
}

/// Half of the numbers below `median`, two thirds within a factor of e^`sigma`, none above
/// `max`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "WireLogNormal_{T}")]
#[serde(deny_unknown_fields)]
pub(super) struct WireLogNormal<T> {
    median: T,
    sigma: Decimal,
    max: T,
}

/// A heavy tail: a share of (`min` / x)^`alpha` exceeds x, none `max`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "WirePowerLaw_{T}")]
#[serde(deny_unknown_fields)]
pub(super) struct WirePowerLaw<T> {
    min: T,
    alpha: Decimal,
    max: T,
}

/// Scatter lists: a geometric number of entries, all of one size.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireScatter {
    /// How large an entry is.
    entry: Bytes,
    /// How many entries there are on average.
    entries_mean: Decimal,
    /// How many there are at most.
    entries_max: u64,
}

/// Modes that a client goes through after its first, round and round.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireChanges {
    /// How long a mode lasts.
    every: WireDelay,
    /// The time without buffers between two modes.
    #[serde(default)]
    pause: Time,
    /// The sizes of the modes after the first; none to use the first again and again.
    #[serde(default)]
    to: Vec<WireSizes>,
}

impl<T: Copy + Into<u64>> WireUniform<T> {
    fn distribution(&self) -> Result<Distribution, Impossible> {
        Distribution::uniform(self.min.into(), self.max.into())
    }
}

impl<T: Copy + Into<u64>> WireLogNormal<T> {
    fn distribution(&self) -> Result<Distribution, Impossible> {
        Distribution::log_normal(self.median.into(), self.sigma.0, self.max.into())
    }
}

impl<T: Copy + Into<u64>> WirePowerLaw<T> {
    fn distribution(&self) -> Result<Distribution, Impossible> {
        Distribution::power_law(self.min.into(), self.alpha.0, self.max.into())
    }
}

impl WireDrawnDelay {
    fn distribution(&self) -> Result<Distribution, Impossible> {
        match self {
            WireDrawnDelay::Uniform(uniform) => uniform.distribution(),
            WireDrawnDelay::Exponential(mean) => Ok(Distribution::exponential(mean.0)),
            WireDrawnDelay::LogNormal(log_normal) => log_normal.distribution(),
            WireDrawnDelay::PowerLaw(power_law) => power_law.distribution(),
        }
    }
}

/// The distribution of a delay.
pub(super) fn delay(wire: &WireDelay, here: &Here<'_>) -> Result<Distribution, Error> {
    match wire {
        Or::Short(time) => Ok(Distribution::fixed(time.0)),
        Or::Long(drawn) => drawn.distribution().at(here),
    }
}

/// The distribution of a delay, nothing where it is missing.
pub(super) fn delay_or_zero(
    wire: Option<&WireDelay>,
    here: &Here<'_>,
) -> Result<Distribution, Error> {
    wire.map_or(Ok(Distribution::fixed(0)), |wire| delay(wire, here))
}

/// The distribution of a lifetime, none for ever.
pub(super) fn lifetime(
    wire: &WireLifetime,
    here: &Here<'_>,
) -> Result<Option<Distribution>, Error> {
    match wire {
        Or::Short(Life::Forever) => Ok(None),
        Or::Short(Life::For(time)) => Ok(Some(Distribution::fixed(time.0))),
        Or::Long(drawn) => drawn.distribution().map(Some).at(here),
    }
}

pub(super) fn sizes(wire: &WireSizes, here: &Here<'_>) -> Result<Sizes, Error> {
    let pairs = |pairs: &[(Bytes, u64)]| -> Vec<_> {
        pairs
            .iter()
            .map(|&(size, number)| (size.0, number))
            .collect()
    };
    let sizes = match wire {
        Or::Short(bytes) => Sizes::fixed(bytes.0),
        Or::Long(drawn) => match drawn {
            WireDrawnSizes::Uniform(uniform) => uniform.distribution().and_then(Sizes::drawn),
            WireDrawnSizes::LogNormal(log_normal) => {
                log_normal.distribution().and_then(Sizes::drawn)
            }
            WireDrawnSizes::PowerLaw(power_law) => {
                power_law.distribution().and_then(Sizes::drawn)
            }
            WireDrawnSizes::Weighted(weighted) => Sizes::weighted(&pairs(weighted)),
            WireDrawnSizes::List(list) => Sizes::list(&pairs(list)),
            WireDrawnSizes::Scatter(scatter) => {
                Sizes::scatter(scatter.entry.0, scatter.entries_mean.0, scatter.entries_max)
            }
        },
    };
    sizes.at(here)
}

/// A client's first sizes and the changes of them.
pub(super) fn modes(
    first: &WireSizes,
    changes: Option<&WireChanges>,
    here: &Here<'_>,
) -> Result<Modes, Error> {
    let first = sizes(first, &here.field("sizes"))?;
    let Some(changes) = changes else {
        return Ok(Modes::one(first));
    };
    let here = here.field("changes");
    let every = delay(&changes.every, &here.field("every"))?;
    let later = changes.to.iter().enumerate();
    let to = later
        .map(|(index, wire)| sizes(wire, &here.field("to").index(index)))
        .collect::<Result<_, _>>()?;
    Modes::changing(first, to, every, Nanos(changes.pause.0)).at(&here)
}
