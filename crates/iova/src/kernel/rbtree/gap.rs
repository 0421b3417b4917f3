//! The largest request that a gap can take, as one number.
//!
//! A request of `size` that is aligned to its size starts at a multiple of the smallest power
//! of two ≥ `size`. Let `2^m` be the largest aligned block within a gap. Every size up to
//! `2^m` fits. A size above that has an alignment of `2^(m+1)` or more; it fits only if a
//! multiple of `2^(m+1)` lies in the gap with at least `size` after it, and as the gap holds
//! no whole block of `2^(m+1)`, at most one such multiple does. No larger alignment helps: a
//! size above `2^(m+1)` would cover a whole such block. So the sizes that fit are exactly
//! `1..=max(2^m, gap end − that multiple)`: a subtree's maximum of this number decides, without
//! looking at any gap, whether one of them takes a request. No gap that is long enough but
//! misaligned is ever visited.

use crate::units::{Pages, Pfn};

/// How aligned requests are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// To the smallest power of two that holds the request, as every release does.
    Size,
    /// To that, but to `2^order` pages at most (`align-cap-N`).
    AtMost {
        /// log2 of the largest alignment, in pages.
        order: u32,
    },
}

impl Alignment {
    /// log2 of the alignment of an aligned request; none where that would be 64: the kernel's
    /// shift wraps then (x86), and the request is not aligned at all.
    pub fn order_of(self, size: Pages) -> Option<u32> {
        let order = match self {
            Alignment::Size => size.order(),
            Alignment::AtMost { order } => size.order().min(order),
        };
        (order < 64).then_some(order)
    }
}

/// Free pfns from `lo` up to, not including, `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    lo: u64,
    end: u64,
}

impl Gap {
    pub(super) fn new(lo: Pfn, end: Pfn) -> Gap {
        Gap {
            lo: lo.0,
            end: end.0,
        }
    }

    /// The largest request without alignment.
    pub(super) fn len(self) -> Pages {
        Pages(self.end - self.lo)
    }

    pub(super) fn is_empty(self) -> bool {
        self.lo == self.end
    }

    /// The largest aligned request; every smaller one fits as well.
    pub(super) fn aligned_fit(self, alignment: Alignment) -> Pages {
        if let Alignment::AtMost { order } = alignment {
            let capped = self.room_above_multiple(order);
            if capped >= 1 << order {
                return Pages(capped);
            }
        }
        let len = self.end - self.lo;
        if len == 0 {
            return Pages(0);
        }
        let longest = len.ilog2();
        let whole = self.room_above_multiple(longest) >= 1 << longest;
        let block = if whole {
            longest
        } else {
            longest.saturating_sub(1)
        };
        let partial = if block < 63 {
            self.room_above_multiple(block + 1)
        } else {
            0
        };
        Pages(partial.max(1 << block))
    }

    /// How much of the gap lies above its lowest multiple of `2^order`; 0 if it has none.
    fn room_above_multiple(self, order: u32) -> u64 {
        let below = (1u64 << order) - 1;
        match self.lo.checked_add(below) {
            Some(raised) => self.end.saturating_sub(raised & !below),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an aligned request fits, by trying every place.
    fn fits(gap: Gap, size: u64, alignment: Alignment) -> bool {
        let multiple = 1u64 << alignment.order_of(Pages(size)).expect("a small size");
        (gap.lo..gap.end).any(|lo| lo % multiple == 0 && lo + size <= gap.end)
    }

    #[test]
    fn every_size_up_to_the_fit_fits_and_none_above() {
        let caps = (0..4).map(|order| Alignment::AtMost { order });
        for alignment in caps.chain([Alignment::Size]) {
            for lo in 0..40 {
                for end in lo..40 {
                    let gap = Gap { lo, end };
                    let fit = gap.aligned_fit(alignment).0;
                    for size in 1..=end - lo + 1 {
                        let expected = fits(gap, size, alignment);
                        assert_eq!(size <= fit, expected, "{size} in {gap:?}, {alignment:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn gaps_at_the_end_of_the_pfns_do_not_overflow() {
        let gap = Gap {
            lo: u64::MAX - 3,
            end: u64::MAX,
        };
        assert_eq!(gap.aligned_fit(Alignment::Size), Pages(3));
        let all = Gap {
            lo: 0,
            end: u64::MAX,
        };
        assert_eq!(
            all.aligned_fit(Alignment::Size),
            Pages(1 << 63),
            "beyond, shifts wrap"
        );
    }
}
