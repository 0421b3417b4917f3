//! Why a description of a client or a fault cannot be carried out.

use std::fmt;

/// The largest number of buffers that a client may hold: more than any window of
/// 32 bits has pages, and little enough to keep in memory.
pub const LIVE_MAX: u64 = 1 << 24;

/// A field's value with which nothing could be generated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {found}, expected {expected}")]
pub struct InvalidConfig {
    pub field: &'static str,
    pub found: String,
    /// What it could be.
    pub expected: String,
}

impl InvalidConfig {
    /// Refuses to hold more than [`LIVE_MAX`] buffers at once, or none.
    ///
    /// # Errors
    ///
    /// Where `count` is beyond that.
    pub(super) fn unless_live(field: &'static str, count: u64) -> Result<(), InvalidConfig> {
        let possible = (1..=LIVE_MAX).contains(&count);
        InvalidConfig::unless(
            possible,
            field,
            count,
            format!("from 1 to {LIVE_MAX} buffers"),
        )
    }

    /// Refuses the value `found` of `field` unless it is `possible`.
    ///
    /// # Errors
    ///
    /// Where it is not.
    pub fn unless(
        possible: bool,
        field: &'static str,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Result<(), InvalidConfig> {
        if possible {
            return Ok(());
        }
        Err(InvalidConfig {
            field,
            found: found.to_string(),
            expected: expected.into(),
        })
    }
}
