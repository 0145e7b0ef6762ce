//! Which nodes lead from some roots to some targets: a backward pass that is asked for a few gradients goes nowhere
//! else, so it computes nothing for others, calls no hook of theirs, and frees nothing that they saved.

use crate::tensor::grad_fn::{Edge, GradFn};
use rustc_hash::{FxHashMap, FxHashSet};

pub(crate) struct Reach {
    targets: FxHashSet<usize>,
    /// Nodes behind which there is a target.
    through: FxHashSet<usize>,
}

impl Reach {
    pub(crate) fn new<'a>(roots: impl Iterator<Item = &'a Edge>, targets: &[Edge]) -> Reach {
        let mut reach = Reach { targets: targets.iter().map(Edge::id).collect(), through: FxHashSet::default() };
        // Behind the oldest target there is none.
        let oldest = targets.iter().map(|t| t.node().seq()).min().unwrap_or(u64::MAX);
        let mut known: FxHashMap<usize, &'a dyn GradFn> = FxHashMap::default();
        let mut open: Vec<&'a Edge> = roots.collect();
        while let Some(edge) = open.pop() {
            let node: &'a dyn GradFn = &**edge.node();
            if node.seq() > oldest && known.insert(edge.id(), node).is_none() {
                open.extend(node.edges().iter().flatten());
            }
        }
        // Operands are older than their node: from the oldest on, all that matters is known before it is asked for.
        let mut nodes: Vec<(u64, usize, &dyn GradFn)> = known.into_iter().map(|(id, n)| (n.seq(), id, n)).collect();
        nodes.sort_unstable_by_key(|(seq, id, _)| (*seq, *id));
        for (_, id, node) in nodes {
            if node.edges().iter().flatten().any(|e| reach.contains(e)) {
                reach.through.insert(id);
            }
        }
        reach
    }

    /// Whether the edge leads to a target, or is one.
    pub(crate) fn contains(&self, edge: &Edge) -> bool {
        self.targets.contains(&edge.id()) || self.through.contains(&edge.id())
    }

    /// Whether there is a target behind the node of this edge.
    pub(crate) fn goes_behind(&self, edge: &Edge) -> bool {
        self.through.contains(&edge.id())
    }
}
