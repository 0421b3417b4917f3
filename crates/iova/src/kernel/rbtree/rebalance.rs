//! The textbook's red-black moves (CLRS, chapter 13), keeping the subtree summaries.
//!
//! They decide the tree's shape, which shows in the kernel's answers, so nothing here may be
//! replaced by another scheme that merely keeps the tree balanced.

use super::RangeTree;
use super::node::{Delta, Growth, NIL, Node, NodeId};

/// Left or right, so that each move is written once for both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

impl Node {
    fn child(&self, side: Side) -> NodeId {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }

    fn set_child(&mut self, side: Side, child: NodeId) {
        match side {
            Side::Left => self.left = child,
            Side::Right => self.right = child,
        }
    }
}

impl RangeTree {
    /// Restores the colours above a new red leaf.
    pub(super) fn rebalance_inserted(&mut self, mut id: NodeId) {
        while self.red(self.parent(id)) {
            let parent = self.parent(id);
            let grandparent = self.parent(parent);
            let side = self.side_of(parent);
            let uncle = self.node(grandparent).child(side.other());
            if self.red(uncle) {
                self.paint(parent, false);
                self.paint(uncle, false);
                self.paint(grandparent, true);
                id = grandparent;
                continue;
            }
            if self.side_of(id) != side {
                id = parent;
                self.rotate(id, side);
            }
            let parent = self.parent(id);
            self.paint(parent, false);
            self.paint(grandparent, true);
            self.rotate(grandparent, side.other());
        }
        self.paint(self.root, false);
    }

    /// Takes a node out of the tree; one with two children is replaced by its successor,
    /// `above`. The gap below `above` has already taken in what the node leaves.
    pub(super) fn unlink(&mut self, id: NodeId, above: NodeId) {
        let removed = *self.node(id);
        let (hole, removed_red);
        if removed.left == NIL || removed.right == NIL {
            hole = if removed.left == NIL {
                removed.right
            } else {
                removed.left
            };
            removed_red = removed.red();
            self.replace(id, hole);
            let seen_to = hole == above;
            if seen_to {
                self.summarise(hole);
            }
            let changed = if seen_to { NIL } else { above };
            let after = self.node(hole).maxima;
            let growth = Growth {
                before: removed.maxima,
                after,
            };
            self.settle_up(removed.parent, growth, changed, Delta::removed(&removed));
        } else {
            hole = self.node(above).right;
            removed_red = self.red(above);
            let mut lowest = self.parent(above);
            if above == removed.right {
                lowest = above;
                self.node_mut(hole).parent = above;
            } else {
                self.replace(above, hole);
                self.adopt(above, Side::Right, removed.right);
            }
            self.replace(id, above);
            self.adopt(above, Side::Left, removed.left);
            self.paint(above, removed.red());
            while lowest != removed.parent {
                self.summarise(lowest);
                lowest = self.parent(lowest);
            }
            let after = self.node(above).maxima;
            let growth = Growth {
                before: removed.maxima,
                after,
            };
            self.settle_up(removed.parent, growth, NIL, Delta::removed(&removed));
        }
        if !removed_red {
            self.rebalance_removed(hole);
        }
    }

    /// Restores the number of black nodes on the paths through `id`, which lack one.
    fn rebalance_removed(&mut self, mut id: NodeId) {
        while id != self.root && !self.red(id) {
            let side = self.side_of(id);
            let parent = self.parent(id);
            let mut sibling = self.node(parent).child(side.other());
            if self.red(sibling) {
                self.paint(sibling, false);
                self.paint(parent, true);
                self.rotate(parent, side);
                sibling = self.node(parent).child(side.other());
            }
            let near = self.node(sibling).child(side);
            let far = self.node(sibling).child(side.other());
            if !self.red(near) && !self.red(far) {
                self.paint(sibling, true);
                id = parent;
                continue;
            }
            if !self.red(far) {
                self.paint(near, false);
                self.paint(sibling, true);
                self.rotate(sibling, side.other());
                sibling = near;
            }
            let red = self.red(parent);
            self.paint(sibling, red);
            self.paint(parent, false);
            let far = self.node(sibling).child(side.other());
            self.paint(far, false);
            self.rotate(parent, side);
            break;
        }
        self.paint(id, false);
    }

    /// Turns the edge between `id` and its child on the other side, so that `id` goes down to
    /// `side`.
    fn rotate(&mut self, id: NodeId, side: Side) {
        let riser = self.node(id).child(side.other());
        let moved = self.node(riser).child(side);
        self.replace(id, riser);
        self.node_mut(id).set_child(side.other(), moved);
        if moved != NIL {
            self.node_mut(moved).parent = id;
        }
        self.adopt(riser, side, id);
        self.summarise(id);
        self.summarise(riser);
    }

    /// Puts `new` (or nothing) where `old` hangs.
    fn replace(&mut self, old: NodeId, new: NodeId) {
        let parent = self.parent(old);
        if parent == NIL {
            self.root = new;
        } else {
            let side = self.side_of(old);
            self.node_mut(parent).set_child(side, new);
        }
        self.node_mut(new).parent = parent;
    }

    fn adopt(&mut self, parent: NodeId, side: Side, child: NodeId) {
        self.node_mut(parent).set_child(side, child);
        self.node_mut(child).parent = parent;
    }

    fn side_of(&self, id: NodeId) -> Side {
        if self.node(self.parent(id)).left == id {
            Side::Left
        } else {
            Side::Right
        }
    }

    fn parent(&self, id: NodeId) -> NodeId {
        self.node(id).parent
    }

    fn red(&self, id: NodeId) -> bool {
        self.node(id).red()
    }

    fn paint(&mut self, id: NodeId, red: bool) {
        self.node_mut(id).paint(red);
    }
}
