//! The configuration of a domain. [`DomainConfig::new`] refuses what a release cannot have.

use thiserror::Error;

use super::allocator::Allocator;
use super::changes::Change;
use super::flush_queue::FlushQueue;
use super::rules::Rules;
use crate::units::{Granule, Pfn};

/// What the drivers and the command line choose for all domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainOptions {
    /// Bytes per pfn.
    pub granule: Granule,
    /// The lowest pfn that may be handed out.
    pub start_pfn: Pfn,
    /// Where unmapped ranges wait.
    pub flush_queue: FlushQueue,
    /// PCI devices skip the 32-bit try, in releases that have that option.
    pub forcedac: bool,
}

impl Default for DomainOptions {
    fn default() -> DomainOptions {
        DomainOptions {
            granule: Granule::KIB_4,
            start_pfn: Pfn(1),
            flush_queue: FlushQueue::None,
            forcedac: false,
        }
    }
}

/// An allocator with options that it supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainConfig {
    rules: Rules,
    options: DomainOptions,
}

/// Why there can be no such domain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The allocator has no single flush queue.
    #[error(
        "allocator `{allocator}`: has no single flush queue, which came with `{slug}` ({}); \
         apply that change (+{slug}) or choose the flush queue `per-cpu`",
        change.row().commit.unwrap_or_default(),
        slug = change.row().slug
    )]
    NoSingleFlushQueue {
        /// The allocator's name.
        allocator: String,
        /// The change that brought it.
        change: Change,
    },
}

impl DomainConfig {
    /// A domain of an allocator.
    ///
    /// # Errors
    ///
    /// If the allocator does not [support](Allocator::supports) the flush queue.
    pub fn new(
        allocator: &Allocator,
        options: DomainOptions,
    ) -> Result<DomainConfig, ConfigError> {
        if allocator.supports(options.flush_queue) {
            Ok(DomainConfig {
                rules: allocator.rules(),
                options,
            })
        } else {
            Err(ConfigError::NoSingleFlushQueue {
                allocator: allocator.name().to_owned(),
                change: Change::SingleFlushQueue,
            })
        }
    }

    /// The allocator's changes and design.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Bytes per pfn.
    pub fn granule(&self) -> Granule {
        self.options.granule
    }

    /// The lowest pfn that may be handed out.
    pub fn start_pfn(&self) -> Pfn {
        self.options.start_pfn
    }

    /// Where unmapped ranges wait.
    pub fn flush_queue(&self) -> FlushQueue {
        self.options.flush_queue
    }

    /// Whether PCI devices skip the 32-bit try, in releases that have that option.
    pub fn forcedac(&self) -> bool {
        self.options.forcedac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_gets_no_flush_queue_that_it_lacks() {
        let config = |name: &str, flush_queue| {
            let allocator: Allocator = name.parse().expect("an allocator");
            let options = DomainOptions {
                flush_queue,
                ..DomainOptions::default()
            };
            DomainConfig::new(&allocator, options).map_err(|error| error.to_string())
        };
        for name in ["linux-5.10", "linux-6.6", "linux-7.2~single-flush-queue"] {
            assert!(config(name, FlushQueue::PerCpu).is_ok(), "{name}");
            assert_eq!(
                config(name, FlushQueue::Single),
                Err(format!(
                    "allocator `{name}`: has no single flush queue, which came with \
                     `single-flush-queue` (32d5bc8b09da); apply that change \
                     (+single-flush-queue) or choose the flush queue `per-cpu`"
                ))
            );
        }
        for name in [
            "linux-6.7",
            "linux-5.10+single-flush-queue",
            "maple-2026",
            "best-fit",
        ] {
            assert!(config(name, FlushQueue::Single).is_ok(), "{name}");
        }
    }
}
