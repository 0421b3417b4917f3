//! The red-black tree of a domain's ranges: disjoint `[lo, hi]`, as the kernel keeps them, under an
//! anchor that is never removed.
//!
//! The kernel walks from range to range; this tree says in O(log n) where such a walk ends and
//! how many ranges it passes. Summaries of each subtree make that possible: how many ranges
//! it holds, and the largest request that fits into any gap below one of its ranges, aligned
//! to its size and not aligned at all (see `gap.rs`). The gap below the lowest range is left out:
//! a space that fills up from the top changes it with each insertion, and no other. The shape of the tree is the textbook's
//! (CLRS), move by move, since one rule of the kernel's can see it ([`RangeTree::at_limit`]).
//!
//! Nodes live in an arena and are named by index; a range costs 64 to 80 bytes. What is given
//! up: every insertion and removal goes up to the root, where the kernel's stop early.

mod gap;
mod node;
mod rebalance;
mod search;
mod summaries;
#[cfg(test)]
mod tests;

pub use gap::Alignment;
use node::{Delta, Growth, NIL, Node, RED};
pub use node::{Maxima, NodeId};
pub use search::{Need, Stop};

use crate::units::{Pages, Pfn, PfnRange};

/// Disjoint ranges of pfns in order, and the anchor above them.
#[derive(Clone, Debug)]
pub struct RangeTree {
    nodes: Vec<Node>,
    root: NodeId,
    /// The lowest range, or the anchor.
    lowest: NodeId,
    /// A place in the arena that holds no range, to be used again; its parent is the next.
    vacant: NodeId,
    /// Gaps that are not empty.
    gaps: u64,
    alignment: Alignment,
}

impl RangeTree {
    /// A tree that holds the anchor alone; aligned requests follow `alignment`.
    pub fn new(alignment: Alignment) -> RangeTree {
        let anchor = Node {
            lo: Pfn::ANCHOR,
            hi: Pfn::ANCHOR,
            ..Node::EMPTY
        };
        let mut ranges = RangeTree {
            nodes: vec![Node::EMPTY, anchor],
            root: NodeId::ANCHOR,
            lowest: NodeId::ANCHOR,
            vacant: NIL,
            gaps: 1,
            alignment,
        };
        ranges.summarise(NodeId::ANCHOR);
        ranges
    }

    /// How many ranges there are, the anchor not counted.
    pub fn len(&self) -> u64 {
        u64::from(self.node(self.root).count()) - 1
    }

    /// Whether there is nothing but the anchor.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many gaps there are between ranges, and between them, pfn 0 and the anchor.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// A range's lowest pfn.
    pub fn lo(&self, id: NodeId) -> Pfn {
        self.node(id).lo
    }

    /// A range's highest pfn.
    pub fn hi(&self, id: NodeId) -> Pfn {
        self.node(id).hi
    }

    /// The range above; none above the anchor.
    pub fn next(&self, id: NodeId) -> Option<NodeId> {
        let right = self.node(id).right;
        if right != NIL {
            return Some(self.leftmost(right));
        }
        let mut below = id;
        let mut above = self.node(id).parent;
        while above != NIL && self.node(above).right == below {
            below = above;
            above = self.node(above).parent;
        }
        above.some()
    }

    /// The range below; none below the lowest.
    pub fn previous(&self, id: NodeId) -> Option<NodeId> {
        let left = self.node(id).left;
        if left != NIL {
            return Some(self.rightmost(left));
        }
        let mut above = id;
        let mut below = self.node(id).parent;
        while below != NIL && self.node(below).left == above {
            above = below;
            below = self.node(below).parent;
        }
        below.some()
    }

    /// How aligned requests are aligned.
    pub fn alignment(&self) -> Alignment {
        self.alignment
    }

    /// The ranges from the lowest up, the anchor last.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(self.lowest), |&id| self.next(id))
    }

    /// `private_find_iova()`: the range that contains `pfn`; the anchor contains its own.
    pub fn find(&self, pfn: Pfn) -> Option<NodeId> {
        let mut id = self.root;
        while id != NIL {
            let node = self.node(id);
            id = if pfn < node.lo {
                node.left
            } else if pfn > node.hi {
                node.right
            } else {
                return Some(id);
            };
        }
        None
    }

    /// `iova_insert_rbtree()`: adds a range in the gap below `above`.
    pub fn insert_below(&mut self, above: NodeId, range: PfnRange) -> NodeId {
        let successor = *self.node(above);
        assert!(
            successor.gap_lo <= range.lo() && range.hi() < successor.lo,
            "{range} does not fit below {}",
            successor.lo
        );
        let split_off = u64::from(successor.gap_lo < range.lo())
            + u64::from(range.hi().0 + 1 < successor.lo.0);
        self.gaps = self.gaps + split_off - 1;
        let node = Node {
            lo: range.lo(),
            hi: range.hi(),
            gap_lo: successor.gap_lo,
            count_and_red: RED,
            ..Node::EMPTY
        };
        let id = self.place(node);
        if self.node(above).left == NIL {
            self.node_mut(above).left = id;
            self.node_mut(id).parent = above;
        } else {
            let below = self.rightmost(self.node(above).left);
            self.node_mut(below).right = id;
            self.node_mut(id).parent = below;
        }
        self.node_mut(above).gap_lo = Pfn(range.hi().0 + 1);
        if self.lowest == above {
            self.lowest = id;
        }
        self.summarise(id);
        let Node { parent, maxima, .. } = *self.node(id);
        let grown = Growth {
            before: Maxima::NONE,
            after: maxima,
        };
        self.settle_up(parent, grown, above, Delta::added(range));
        self.rebalance_inserted(id);
        id
    }

    /// Replaces all ranges by others, ascending and disjoint, inserted one after the other.
    pub fn refill(&mut self, ranges: &[PfnRange]) {
        *self = RangeTree::new(self.alignment);
        for &range in ranges {
            self.insert_below(NodeId::ANCHOR, range);
        }
    }

    /// The highest place from `low` on and below `limit` (exclusive).
    pub fn highest_place(&self, need: Need, limit: Pfn, low: Pfn) -> Option<Pfn> {
        let (_, end) = self.topmost_gap(limit, need)?;
        let place = need.place_below(end);
        (place >= low).then_some(place)
    }

    /// What a gap must take for a request, aligned to its size or not.
    pub fn need(&self, size: Pages, aligned: bool) -> Need {
        let order = self.alignment.order_of(size).filter(|_| aligned);
        Need {
            size,
            aligned: order.is_some(),
            align_mask: order.map_or(u64::MAX, |order| u64::MAX << order),
        }
    }

    /// Adds a range that overlaps none of the set.
    pub fn insert(&mut self, range: PfnRange) -> NodeId {
        let above = self.lowest_from(range.lo());
        self.insert_below(above, range)
    }

    /// Takes a range out.
    pub fn remove(&mut self, id: NodeId) {
        assert!(
            id != NodeId::ANCHOR && id != NIL,
            "the anchor is never removed"
        );
        let above = self.next(id).unwrap_or(NodeId::ANCHOR);
        let joined = u64::from(!self.node(id).gap().is_empty())
            + u64::from(!self.node(above).gap().is_empty());
        self.gaps = self.gaps + 1 - joined;
        self.node_mut(above).gap_lo = self.node(id).gap_lo;
        if self.lowest == id {
            self.lowest = above;
        }
        self.unlink(id, above);
        self.node_mut(id).parent = self.vacant;
        self.vacant = id;
    }

    /// Lowers a range's `lo`, down to pfns that no other range has.
    pub fn extend_down(&mut self, mut id: NodeId, lo: Pfn) {
        let node = self.node_mut(id);
        assert!(
            node.gap_lo <= lo && lo <= node.lo,
            "{lo} is not in the gap below {}",
            node.lo
        );
        let closed = node.gap_lo == lo && lo < node.lo;
        node.lo = lo;
        self.gaps -= u64::from(closed);
        while id != NIL {
            self.summarise(id);
            id = self.node(id).parent;
        }
    }

    fn place(&mut self, node: Node) -> NodeId {
        if self.vacant != NIL {
            let id = self.vacant;
            self.vacant = self.node(id).parent;
            *self.node_mut(id) = node;
            return id;
        }
        if self.nodes.len() == self.nodes.capacity() {
            // By a quarter, so that a range costs 80 bytes at the most.
            self.nodes.reserve_exact(self.nodes.len() / 4 + 16);
        }
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(RED));
        assert!(id.0 < RED, "a set holds less than 2^31 ranges");
        self.nodes.push(node);
        id
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    fn leftmost(&self, mut id: NodeId) -> NodeId {
        while self.node(id).left != NIL {
            id = self.node(id).left;
        }
        id
    }

    fn rightmost(&self, mut id: NodeId) -> NodeId {
        while self.node(id).right != NIL {
            id = self.node(id).right;
        }
        id
    }
}
