//! The walk back: from the roots, always to the youngest node that has a gradient, so each node is met once, when all
//! gradients of its results are known. The order is part of the definition of every accumulated sum.

use crate::error::Result;
use crate::tensor::grad_fn::Edge;
use crate::tensor::{Tensor, eval, recorder};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a walk begins, and with which gradient.
pub(crate) struct Root {
    pub(crate) edge: Edge,
    pub(crate) gradient: Tensor,
}

/// How two gradients of one value are summed.
pub(crate) type Sum = fn(&Tensor, &Tensor) -> Result<Tensor>;

struct Pending {
    edge: Edge,
    grads: SmallVec<[Option<Tensor>; 1]>,
}

/// Nodes that wait with their gradients, the youngest first out, and leaves in the order in which gradients reached them.
#[derive(Default)]
struct Queue {
    nodes: BTreeMap<(u64, usize), Pending>,
    leaves: Vec<Pending>,
    /// Where each leaf is in the list, by identity.
    places: FxHashMap<usize, usize>,
}

impl Queue {
    fn add(&mut self, edge: &Edge, gradient: Tensor, sum: Sum) -> Result<()> {
        let new = || Pending { edge: edge.clone(), grads: SmallVec::new() };
        let pending = match edge.node().seq() {
            0 => {
                let place = *self.places.entry(edge.id()).or_insert_with(|| {
                    self.leaves.push(new());
                    self.leaves.len() - 1
                });
                &mut self.leaves[place]
            }
            seq => self.nodes.entry((seq, edge.id())).or_insert_with(new),
        };
        let i = edge.output as usize;
        if pending.grads.len() <= i {
            pending.grads.resize(i + 1, None);
        }
        let slot = &mut pending.grads[i];
        *slot = Some(match slot.take() {
            Some(so_far) => sum(&so_far, &gradient)?,
            None => gradient,
        });
        Ok(())
    }
}

/// Walks from the roots, and behind each node unless `visit` says that the walk ends there. Leaves come last.
fn walk(roots: Vec<Root>, sum: Sum, mut visit: impl FnMut(&Pending) -> bool) -> Result<()> {
    let mut queue = Queue::default();
    for root in &roots {
        queue.add(&root.edge, root.gradient.clone(), sum)?;
    }
    drop(roots);
    while let Some((_, pending)) = queue.nodes.pop_last() {
        if visit(&pending) {
            continue;
        }
        let node = pending.edge.node();
        let grads = node.vjp(&pending.edge, &pending.grads)?;
        for (edge, gradient) in node.edges().iter().zip(grads) {
            if let (Some(edge), Some(gradient)) = (edge, gradient) {
                queue.add(edge, gradient, sum)?;
            }
        }
    }
    for leaf in queue.leaves.drain(..) {
        visit(&leaf);
    }
    Ok(())
}

/// Gradients of every leaf reached, in the order in which the walk first reached them.
pub(crate) fn run_to_leaves(roots: Vec<Root>, sum: Sum) -> Result<Vec<(Tensor, Tensor)>> {
    let mut leaves = Vec::new();
    walk(roots, sum, |p| {
        let Some(leaf) = p.edge.node().leaf() else { return false };
        leaves.extend(p.grads[0].clone().map(|g| (leaf, g)));
        true
    })?;
    Ok(leaves)
}

/// Gradients at the targets; the walk goes on behind a target that is no boundary, since others may lie there.
pub(crate) fn run_to_targets(roots: Vec<Root>, targets: &[Edge], sum: Sum) -> Result<Vec<Option<Tensor>>> {
    let mut found = vec![None; targets.len()];
    walk(roots, sum, |p| {
        // Few are asked for: comparing beats hashing.
        for (target, found) in targets.iter().zip(&mut found) {
            if target.id() == p.edge.id() {
                *found = p.grads.get(target.output as usize).cloned().flatten();
            }
        }
        p.edge.node().edges().is_empty()
    })?;
    Ok(found)
}

/// The gradient itself where nothing else holds its elements, else a copy: a `grad` is the user's to change.
pub(crate) fn own(gradient: Tensor) -> Result<Tensor> {
    match gradient.strided() {
        // A recorder takes the elements as they are now.
        Some(_) if recorder::is_active() => Ok(gradient),
        Some(s)
            if Arc::strong_count(&s.storage) > 1 || Arc::strong_count(&gradient.0) > 1 || !gradient.is_contiguous() =>
        {
            eval::copied(&gradient)
        }
        _ => Ok(gradient),
    }
}
