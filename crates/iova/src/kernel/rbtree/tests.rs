//! The set against a sorted list: what the tree's structure promises, computed from scratch, and
//! what each query answers, found by looking at every range.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// A range as the list has it.
type Listed = (u64, u64, NodeId);

/// What is done to the set.
#[derive(Clone, Debug)]
enum Act {
    /// Insert a range of so many pages here, where there is room.
    Insert { at: u64, pages: u64 },
    /// Remove one, counted round the ranges.
    Remove { nth: usize },
    /// Lower one by so many pages, or as far as there is room.
    Extend { nth: usize, by: u64 },
}

/// How many pfns the ranges of a test spread over.
const SPAN: u64 = 300;

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let pages = prop_oneof![4 => 1..4_u64, 1 => 1..40_u64];
    let act = prop_oneof![
        6 => (0..SPAN, pages).prop_map(|(at, pages)| Act::Insert { at, pages }),
        3 => any::<usize>().prop_map(|nth| Act::Remove { nth }),
        1 => (any::<usize>(), 0..20_u64).prop_map(|(nth, by)| Act::Extend { nth, by }),
    ];
    prop::collection::vec(act, 1..120)
}

fn alignments() -> impl Strategy<Value = Alignment> {
    let capped = (0..4_u32).prop_map(|order| Alignment::AtMost { order });
    prop_oneof![2 => Just(Alignment::Size), 1 => capped]
}

/// Where the pfns of a test begin: at the lowest, somewhere, or below the anchor.
fn bases() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(12_345), Just(u64::MAX - SPAN - 40)]
}

/// The set and the list side by side.
struct Pair {
    set: RangeTree,
    /// Ascending; the anchor is the last.
    list: Vec<Listed>,
    base: u64,
}

impl Pair {
    fn new(alignment: Alignment, base: u64) -> Pair {
        let anchor = (u64::MAX, u64::MAX, NodeId::ANCHOR);
        Pair {
            set: RangeTree::new(alignment),
            list: vec![anchor],
            base,
        }
    }

    fn apply(&mut self, act: &Act) {
        let ranges = self.list.len() - 1;
        match *act {
            Act::Insert { at, pages } => {
                let (lo, hi) = (self.base + at, self.base + at + (pages - 1));
                let above = self.list.partition_point(|&(other, ..)| other <= lo);
                let free_below = above == 0 || self.list[above - 1].1 < lo;
                if free_below && hi < self.list[above].0 {
                    let range = PfnRange::new(Pfn(lo), Pfn(hi)).expect("pages is at least 1");
                    self.list.insert(above, (lo, hi, self.set.insert(range)));
                }
            }
            Act::Remove { nth } if ranges > 0 => {
                let (.., id) = self.list.remove(nth % ranges);
                self.set.remove(id);
            }
            Act::Extend { nth, by } if ranges > 0 => {
                let nth = nth % ranges;
                let lowest = self.gap_lo(nth);
                let (lo, _, id) = &mut self.list[nth];
                *lo = lo.saturating_sub(by).max(lowest);
                self.set.extend_down(*id, Pfn(*lo));
            }
            Act::Remove { .. } | Act::Extend { .. } => {}
        }
    }

    /// The first pfn of the gap below the range at an index.
    fn gap_lo(&self, index: usize) -> u64 {
        index
            .checked_sub(1)
            .map_or(0, |below| self.list[below].1 + 1)
    }

    fn check_structure(&self) {
        let nil = self.set.node(NIL);
        let summaries = (nil.count_and_red, nil.used, nil.maxima);
        assert_eq!(
            summaries,
            (0, 0, Maxima::NONE),
            "the sentinel is black and empty"
        );
        assert_eq!((nil.left, nil.right), (NIL, NIL), "the sentinel is a leaf");

        assert!(!self.set.node(self.set.root).red(), "the root is black");
        let mut index = 0;
        self.check_subtree(self.set.root, NIL, &mut index);
        assert_eq!(index, self.list.len(), "every range is in the tree");
        let next = |&id: &NodeId| self.set.node(id).parent.some();
        let vacant = std::iter::successors(self.set.vacant.some(), next);
        let in_arena = 1 + self.list.len() + vacant.count();
        assert_eq!(
            self.set.nodes.len(),
            in_arena,
            "no place of the arena is lost"
        );
        assert_eq!(self.set.len(), self.list.len() as u64 - 1);
        assert_eq!(self.set.is_empty(), self.list.len() == 1);
        let gaps = (0..self.list.len()).filter(|&at| self.gap_lo(at) < self.list[at].0);
        assert_eq!(
            self.set.gaps(),
            gaps.count() as u64,
            "gaps that are not empty"
        );
    }

    /// Checks a subtree in order, from the list's range at `index` on, and leaves there the
    /// index after its last. Gives the number of black nodes on every path down.
    fn check_subtree(&self, id: NodeId, parent: NodeId, index: &mut usize) -> u32 {
        if id == NIL {
            return 0;
        }
        let node = self.set.node(id);
        assert_eq!(node.parent, parent, "{id:?} knows its parent");
        assert!(
            !(node.red() && self.set.node(parent).red()),
            "{id:?} and its parent are red"
        );

        let first = *index;
        let black = self.check_subtree(node.left, id, index);
        let (lo, hi, listed) = self.list[*index];
        assert_eq!(
            (node.lo.0, node.hi.0, id),
            (lo, hi, listed),
            "the order is the list's"
        );
        assert_eq!(node.gap_lo.0, self.gap_lo(*index), "the gap below {lo}");
        *index += 1;
        let right_black = self.check_subtree(node.right, id, index);
        assert_eq!(
            black, right_black,
            "as many black nodes on either side of {id:?}"
        );

        let under = first..*index;
        assert_eq!(node.count() as usize, under.len(), "the count of {id:?}");
        let used = under
            .clone()
            .map(|at| self.list[at].1 - self.list[at].0 + 1);
        assert_eq!(node.used, used.sum::<u64>(), "the pages used under {id:?}");
        let summarised = under.clone().filter(|&at| at > 0);
        let any = summarised
            .clone()
            .map(|at| self.longest_fit(at, false))
            .max();
        assert_eq!(
            node.maxima.any.0,
            any.unwrap_or(0),
            "the longest gap under {id:?}"
        );
        let aligned = summarised.map(|at| self.longest_fit(at, true)).max();
        assert_eq!(
            node.maxima.aligned.0,
            aligned.unwrap_or(0),
            "the largest aligned fit under {id:?}"
        );
        black + u32::from(!node.red())
    }

    /// Whether a request fits into the gap below the range at an index.
    fn fits(&self, index: usize, need: Need) -> bool {
        let (gap_lo, end) = (self.gap_lo(index), self.list[index].0);
        self.place_in(gap_lo, end, need).is_some()
    }

    /// The highest place for a request in a gap.
    fn place_in(&self, gap_lo: u64, end: u64, need: Need) -> Option<u64> {
        let order = self
            .set
            .alignment
            .order_of(need.size)
            .filter(|_| need.aligned);
        let order = order.unwrap_or(0);
        let place = end.checked_sub(need.size.0)? >> order << order;
        (place >= gap_lo).then_some(place)
    }

    /// The largest request that fits into the gap below the range at an index; of requests
    /// aligned to their size, the largest up to 2^63 pages.
    fn longest_fit(&self, index: usize, aligned: bool) -> u64 {
        let len = self.list[index].0 - self.gap_lo(index);
        let fits = |size: u64| {
            let need = self.set.need(Pages(size), aligned);
            self.fits(index, need)
        };
        let mut longest = if aligned && self.set.alignment == Alignment::Size {
            len.min(1 << 63)
        } else {
            len
        };
        if longest < 2 * SPAN {
            return (1..=longest).rev().find(|&size| fits(size)).unwrap_or(0);
        }
        // Where a request fits, smaller ones do: halving finds the largest.
        let mut fitting = 0;
        while fitting < longest {
            let middle = fitting + (longest - fitting).div_ceil(2);
            if fits(middle) {
                fitting = middle;
            } else {
                longest = middle - 1;
            }
        }
        fitting
    }

    fn check_neighbours(&self) {
        let ids: Vec<NodeId> = self.list.iter().map(|&(.., id)| id).collect();
        assert_eq!(self.set.iter().collect::<Vec<_>>(), ids);
        for (at, &(lo, hi, id)) in self.list.iter().enumerate() {
            assert_eq!((self.set.lo(id), self.set.hi(id)), (Pfn(lo), Pfn(hi)));
            assert_eq!(self.set.rank(id), at as u64, "the rank of {lo}");
            assert_eq!(self.set.next(id), ids.get(at + 1).copied());
            let below = at.checked_sub(1).map(|below| ids[below]);
            assert_eq!(self.set.previous(id), below);
        }
    }

    fn check_queries_at(&self, pfn: u64) {
        let at = Pfn(pfn);
        let below = self.list.partition_point(|&(lo, ..)| lo < pfn);
        let ending_below = self.list.partition_point(|&(_, hi, _)| hi < pfn);

        let highest = below
            .checked_sub(1)
            .map(|last| (self.list[last].2, below as u64));
        assert_eq!(self.set.highest_below(at), highest, "below {pfn}");
        let lowest_from = self.list[below.min(self.list.len() - 1)].2;
        assert_eq!(self.set.lowest_from(at), lowest_from, "from {pfn}");
        let reaching = self.list[ending_below].2;
        assert_eq!(self.set.lowest_reaching(at), reaching, "reaching {pfn}");

        let containing = self
            .list
            .iter()
            .find(|&&(lo, hi, _)| lo <= pfn && pfn <= hi);
        assert_eq!(
            self.set.find(at),
            containing.map(|&(.., id)| id),
            "containing {pfn}"
        );

        let used = self.list[..below]
            .iter()
            .map(|&(lo, hi, _)| hi.min(pfn - 1) - lo + 1);
        assert_eq!(
            self.set.used_below(at).0,
            used.sum::<u64>(),
            "used below {pfn}"
        );

        let begin = if self.is_on_right_spine(reaching) {
            reaching
        } else {
            lowest_from
        };
        assert_eq!(
            self.set.at_limit(at),
            begin,
            "where a pass below {pfn} begins"
        );
    }

    /// Whether only right turns lead from the root to a node: all nodes above it are lower.
    fn is_on_right_spine(&self, id: NodeId) -> bool {
        let parent = |&id: &NodeId| self.set.node(id).parent.some();
        let mut above = std::iter::successors(Some(id), parent);
        above.all(|ancestor| self.set.lo(ancestor) <= self.set.lo(id))
    }

    fn check_first_fit(&self, from: usize, need: Need) {
        let stop = (0..=from).rev().find(|&at| self.fits(at, need));
        let expected = stop.map(|at| Stop {
            at: self.list[at].2,
            ranges: (from - at + 1) as u64,
        });
        let found = self.set.first_fit_down(self.list[from].2, need);
        assert_eq!(found, expected, "{need:?} from {}", self.list[from].0);
    }

    fn check_highest_place(&self, limit: u64, need: Need) {
        let gaps = (0..self.list.len()).rev().map(|at| {
            let end = self.list[at].0.min(limit);
            (self.gap_lo(at), end)
        });
        let below = gaps.filter(|&(gap_lo, end)| gap_lo < end);
        let mut places = below.filter_map(|(gap_lo, end)| self.place_in(gap_lo, end, need));
        let highest = places.next().map(Pfn);
        for low in [0, self.base, limit / 2, limit].map(Pfn) {
            let place = self.set.highest_place(need, Pfn(limit), low);
            let expected = highest.filter(|&place| place >= low);
            assert_eq!(place, expected, "{need:?} from {low} to {limit:#x}");
        }
    }

    fn check_queries(&self) {
        self.check_neighbours();
        let edges = self.list.iter().flat_map(|&(lo, hi, _)| {
            let edges = [lo.checked_sub(1), Some(lo), Some(hi), hi.checked_add(1)];
            edges.into_iter().flatten()
        });
        let limits: Vec<u64> = edges.chain([0, self.base, u64::MAX - 1]).collect();
        for &pfn in &limits {
            self.check_queries_at(pfn);
        }
        let sizes = (1..=9).chain([15, 16, 17, 31, 32, 33, 64, SPAN, 1 << 40, 1 << 63]);
        for size in sizes.map(Pages) {
            for aligned in [false, true] {
                let need = self.set.need(size, aligned);
                for from in 0..self.list.len() {
                    self.check_first_fit(from, need);
                }
                for &limit in &limits {
                    self.check_highest_place(limit, need);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1024,
        rng_seed: RngSeed::Fixed(0),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn tree_keeps_its_promises(acts in acts(), alignment in alignments(), base in bases()) {
        let mut pair = Pair::new(alignment, base);
        pair.check_structure();
        for act in &acts {
            pair.apply(act);
            pair.check_structure();
        }
    }

    #[test]
    fn queries_answer_as_a_list_would(
        acts in acts(),
        alignment in alignments(),
        base in bases(),
    ) {
        let mut pair = Pair::new(alignment, base);
        for act in &acts {
            pair.apply(act);
        }
        pair.check_queries();
    }
}
