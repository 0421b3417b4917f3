//! The search of the Android vendors: the smallest gap instead of the topmost one.

use iova::kernel::Refusal;

use super::bug::Bug;
use super::tree::{Steps, Tree, Tried, Want};

impl Tree {
    /// Looks at all gaps from the top, unless one is exactly as wide as the request.
    pub(super) fn search_best_fit(&self, want: Want) -> Tried {
        let spans: Vec<(u64, u64)> = self.ranges().collect();
        let mut best: Option<(u64, u64)> = None;
        let mut steps = 0;
        for index in (0..=spans.len()).rev() {
            let end = spans.get(index).map_or(u64::MAX, |&(lo, _)| lo);
            let begin = match index.checked_sub(1) {
                Some(below) => spans[below].1 + 1,
                None => self.start_pfn(),
            };
            if index > 0 {
                steps += 1;
            }
            let width = end.saturating_sub(begin);
            let Some(place) = want.highest_in(begin, end) else {
                continue;
            };
            let or_equal = u64::from(self.bug() == Some(Bug::LastOfEquals));
            if best.is_none_or(|(smallest, _)| width < smallest + or_equal) {
                best = Some((width, place));
            }
            if width == want.size {
                break;
            }
        }
        let result = best.map(|(_, place)| place).ok_or(Refusal::NoPlace);
        Tried {
            result,
            steps: Steps {
                least: steps,
                most: steps,
            },
        }
    }
}
