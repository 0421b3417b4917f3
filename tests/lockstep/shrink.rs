//! Makes a trace that shows a difference small, by leaving requests out.

use crate::compare::{Difference, World, compare};
use crate::trace::valid;
use iova::replay::Request;

/// How many comparisons shrinking may cost.
const BUDGET: u32 = 4000;

/// The shortest trace found that still shows a difference, and that difference.
pub(crate) fn shrink(
    world: &World,
    requests: &[Request],
    difference: Difference,
) -> (Vec<Request>, Difference) {
    let mut best = requests[..=difference.event].to_vec();
    let mut shown = difference;
    let mut left = BUDGET;
    let mut chunk = best.len().div_ceil(2);
    while chunk > 0 {
        let mut smaller = false;
        let mut at = 0;
        while at < best.len() && left > 0 {
            left -= 1;
            let mut kept = best.clone();
            kept.drain(at..best.len().min(at + chunk));
            let kept = valid(&kept, world.cpus);
            match compare(world, &kept) {
                Err(difference) => {
                    best = kept[..=difference.event].to_vec();
                    shown = difference;
                    smaller = true;
                }
                Ok(_) => at += chunk,
            }
        }
        if !smaller || chunk > 1 {
            chunk /= 2;
        }
    }
    (best, shown)
}
