//! Keeping the subtree summaries true on the way up to the root.
//!
//! Counts change all the way. Maxima mostly stop changing after a few nodes; and where a child's
//! maximum was not its parent's, the parent's needs no look at the other child, whose cache
//! line is then left alone.

use super::RangeTree;
use super::node::{Delta, Growth, Maxima, NIL, NodeId, RED};

impl RangeTree {
    /// Computes a subtree's summaries from its children's.
    pub(super) fn summarise(&mut self, id: NodeId) {
        let node = self.node(id);
        let (left, right) = (self.node(node.left), self.node(node.right));
        let count = 1 + left.count() + right.count();
        let used = node
            .pages()
            .wrapping_add(left.used)
            .wrapping_add(right.used);
        let maxima = self.maxima_from_parts(id);
        let node = self.node_mut(id);
        node.count_and_red = count | node.count_and_red & RED;
        node.used = used;
        node.maxima = maxima;
    }

    fn maxima_from_parts(&self, id: NodeId) -> Maxima {
        let node = self.node(id);
        let gap = node.summarised_gap();
        let children = self
            .node(node.left)
            .maxima
            .max(self.node(node.right).maxima);
        let any = gap.len().max(children.any);
        // A gap no longer than what fits elsewhere cannot take more.
        let aligned = if gap.len() <= children.aligned {
            children.aligned
        } else {
            gap.aligned_fit(self.alignment).max(children.aligned)
        };
        Maxima { aligned, any }
    }

    /// Brings the summaries from `id` up to the root in line with a change in a subtree of
    /// its. The gap below `changed`, a node on that way, is another than before; `NIL` where
    /// that has been seen to.
    pub(super) fn settle_up(
        &mut self,
        mut id: NodeId,
        mut growth: Growth,
        changed: NodeId,
        delta: Delta,
    ) {
        let mut settled = false;
        let mut passed = changed == NIL;
        while id != NIL {
            if !settled {
                passed |= id == changed;
                let before = self.node(id).maxima;
                let carried = if id == changed {
                    None
                } else {
                    growth.carry(before)
                };
                let after = carried.unwrap_or_else(|| self.maxima_from_parts(id));
                growth = Growth { before, after };
                settled = passed && before == after;
                self.node_mut(id).maxima = after;
            }
            let node = self.node_mut(id);
            node.count_and_red = node.count_and_red.wrapping_add(delta.ranges);
            node.used = node.used.wrapping_add(delta.pages);
            id = node.parent;
        }
    }
}
