//! Which nodes lead from some roots to some targets: a backward pass that is asked for a few gradients goes nowhere
//! else, so it computes nothing for others, calls no hook of theirs, and frees nothing that they saved.

use crate::tensor::grad_fn::{Edge, GradFn};
use rustc_hash::{FxHashMap, FxHashSet};

/// A node by identity, and for a part of a program the node inside by number.
type Place = (usize, u64);

pub(crate) struct Reach {
    targets: FxHashSet<Place>,
    /// Nodes behind which there is a target.
    through: FxHashSet<Place>,
}

fn place(node: &dyn GradFn, output: u32) -> Place {
    (std::ptr::from_ref(node).cast::<()>() as usize, node.part().map_or(0, |part| part.seq(output)))
}

fn place_of(edge: &Edge) -> Place {
    place(&**edge.node(), edge.output)
}

/// Calls `f` with what is behind a result of a node: nodes, and which result of each.
fn behind<'a>(node: &'a dyn GradFn, output: u32, mut f: impl FnMut(&'a dyn GradFn, u32)) {
    let edges = node.edges();
    match node.part() {
        None => edges.iter().flatten().for_each(|edge| f(&**edge.node(), edge.output)),
        Some(part) => {
            let behind = part.behind(output);
            let edges = behind.edges.iter().filter_map(|i| edges[*i].as_ref());
            edges.for_each(|edge| f(&**edge.node(), edge.output));
            behind.results.iter().for_each(|result| f(node, *result));
        }
    }
}

impl Reach {
    /// Nodes with numbers before `first_seq` are left alone.
    pub(crate) fn new<'a>(roots: impl Iterator<Item = &'a Edge>, targets: &[Edge], first_seq: u64) -> Reach {
        let mut reach = Reach { targets: targets.iter().map(place_of).collect(), through: FxHashSet::default() };
        // Behind the oldest target there is none, unless it is in a part of a program.
        let oldest = targets.iter().map(|t| t.node().seq()).min().unwrap_or(u64::MAX);
        let enters = |node: &dyn GradFn| {
            let has_more = node.part().is_some() || node.is_ended();
            node.seq() >= first_seq && (node.seq() > oldest || (node.seq() == oldest && has_more))
        };
        let mut known: FxHashMap<Place, (&'a dyn GradFn, u32)> = FxHashMap::default();
        let mut open: Vec<(&'a dyn GradFn, u32)> = roots.map(|edge| (&**edge.node(), edge.output)).collect();
        while let Some((node, output)) = open.pop() {
            if enters(node) && known.insert(place(node, output), (node, output)).is_none() {
                behind(node, output, |node, output| open.push((node, output)));
            }
        }
        // Operands are older than their node: from the oldest on, all that matters is known before it is asked for.
        let mut nodes: Vec<(u64, Place, u32, &dyn GradFn)> =
            known.into_iter().map(|(place, (node, output))| (node.seq(), place, output, node)).collect();
        nodes.sort_unstable_by_key(|(seq, (id, inside), ..)| (*seq, *inside, *id));
        for (_, at, output, node) in nodes {
            let may_be_behind = |t: &Edge| t.node().seq() <= node.seq() && place_of(t) != at;
            let mut leads = node.is_ended() && targets.iter().any(may_be_behind);
            behind(node, output, |node, output| leads |= reach.contains_place(place(node, output)));
            if leads {
                reach.through.insert(at);
            }
        }
        reach
    }

    fn contains_place(&self, place: Place) -> bool {
        self.targets.contains(&place) || self.through.contains(&place)
    }

    /// Whether the edge leads to a target, or is one.
    pub(crate) fn contains(&self, edge: &Edge) -> bool {
        self.contains_place(place_of(edge))
    }

    /// Whether there is a target behind an edge that leads to one or is one.
    pub(crate) fn goes_behind(&self, edge: &Edge) -> bool {
        let place = place_of(edge);
        self.through.contains(&place) || !self.targets.contains(&place)
    }
}
