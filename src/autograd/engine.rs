//! The backward pass: from the roots, always to the youngest node that has a gradient, so each node is met once, when all
//! gradients of its results are known. The order is part of the definition of every accumulated sum.

use super::grad_mode::is_grad_enabled;
use super::reach::Reach;
use super::tape;

use crate::device;
use crate::error::Result;
use crate::mode;
use crate::tensor::grad_fn::Edge;
use crate::tensor::hooks::Hooks;
use crate::tensor::{Tensor, eval};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a backward pass begins, and with which gradient.
pub(crate) struct Root {
    pub(crate) edge: Edge,
    pub(crate) gradient: Tensor,
}

/// How two gradients of one value are summed.
pub(crate) type Sum = fn(&Tensor, &Tensor) -> Result<Tensor>;

/// Tensors with the gradients that are to be accumulated into them, in order.
pub(crate) type Accumulations = Vec<(Tensor, Tensor)>;

/// Outgoing gradients of a part of the program, one by one, in the order in which they leave it.
pub(crate) type OutgoingGradients = Vec<(Edge, Tensor)>;

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
    /// Nodes with a smaller number are not of the part that is differentiated.
    first_seq: u64,
    /// The gradients that have left that part, in order.
    outgoing: OutgoingGradients,
    /// The nodes met that had saved something, by number.
    saving: Vec<u64>,
}

impl Queue {
    fn add(&mut self, edge: &Edge, gradient: Tensor, sum: Sum) -> Result<()> {
        let gradient = match edge.sum_to_size() {
            Some(to) => (to.sum)(&gradient, &to.sizes)?,
            None => relayed(gradient),
        };
        if edge.node().seq() < self.first_seq {
            self.outgoing.push((edge.to_output(edge.output), gradient));
            return Ok(());
        }
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

/// The gradient by a node of its own, where gradients are differentiated again: one that comes of a repeated tensor
/// takes such a node too, and the order of all must not depend on whether something was repeated.
fn relayed(gradient: Tensor) -> Tensor {
    if !is_grad_enabled() || !gradient.is_requires_grad() {
        return gradient;
    }
    let same = gradient.alias();
    let node = tape::node("Relay", smallvec![tape::edge_of(&gradient)], false, |_, grads| {
        Ok(smallvec![grads[0].clone().map(relayed)])
    });
    same.set_grad_fn(Some(Edge::new(node, 0)));
    same
}

/// How a backward pass goes.
#[derive(Clone, Copy)]
struct Options<'a> {
    /// Nodes keep what they saved.
    keep: bool,
    /// It goes only where this leads.
    reach: Option<&'a Reach>,
    /// Nodes with a smaller number are left alone, leaves too; 0 where there are none such.
    first_seq: u64,
    sum: Sum,
}

/// Lets the hooks see the gradients of a node; those of tensors that keep theirs go to `retained`.
fn see(hooks: &Hooks, grads: &mut [Option<Tensor>], retained: &mut Accumulations) -> Result<()> {
    for (output, slot) in grads.iter_mut().enumerate() {
        if let Some(gradient) = slot.take() {
            let gradient = hooks.run(output as u32, gradient)?;
            retained.extend(hooks.retaining(output as u32).into_iter().map(|t| (t, gradient.clone())));
            *slot = Some(gradient);
        }
    }
    Ok(())
}

/// The hooks of a leaf. A trace holds only as long as a captured leaf has just these.
pub(crate) fn leaf_hooks(leaf: &Tensor) -> Option<Arc<Hooks>> {
    match mode::is_recording() && leaf.strided().is_some() {
        false => leaf.leaf_hooks(false),
        true => {
            let hooks = leaf.leaf_hooks(true)?;
            // Read, so that the trace holds for it.
            hooks.unchanged().get_as("the list of hooks of a leaf,");
            Some(hooks)
        }
    }
}

/// Goes from the roots, and behind each node unless `visit` says that the pass ends there. Leaves come last. Gives the
/// gradients of tensors on the way that keep theirs, the outgoing ones, and the numbers of the nodes that had saved something.
fn backward_pass(
    roots: Vec<Root>,
    options: Options<'_>,
    mut visit: impl FnMut(&Pending) -> bool,
) -> Result<(Accumulations, OutgoingGradients, Vec<u64>)> {
    let Options { keep, reach, first_seq, sum } = options;
    let mut queue = Queue { first_seq, ..Queue::default() };
    let mut retained = Vec::new();
    for root in &roots {
        if reach.is_none_or(|r| r.contains(&root.edge)) {
            queue.add(&root.edge, root.gradient.clone(), sum)?;
        }
    }
    drop(roots);
    // Recording frees nothing of a graph that was there before.
    let recorded_from = mode::grads::first_seq();
    while let Some((_, mut pending)) = queue.nodes.pop_last() {
        if let Some(hooks) = pending.edge.node().hooks().and_then(|h| h.get()) {
            see(hooks, &mut pending.grads, &mut retained)?;
        }
        if visit(&pending) || reach.is_some_and(|r| !r.goes_behind(&pending.edge)) {
            continue;
        }
        let _entered = pending.grads.iter().flatten().next().map(|g| device::enter(g.device()));
        let node = pending.edge.node();
        let keep = keep || node.seq() < recorded_from;
        if first_seq > 0 && node.saves() {
            queue.saving.push(node.seq());
        }
        if let Some(each) = node.contributions(&pending.edge, &pending.grads, keep) {
            for (i, gradient) in each? {
                if let Some(edge) = &node.edges()[i]
                    && reach.is_none_or(|r| r.contains(edge))
                {
                    queue.add(edge, gradient, sum)?;
                }
            }
            continue;
        }
        let grads = node.vjp(&pending.edge, &pending.grads, keep)?;
        for (edge, gradient) in node.edges().iter().zip(grads) {
            if let (Some(edge), Some(gradient)) = (edge, gradient)
                && reach.is_none_or(|r| r.contains(edge))
            {
                queue.add(edge, gradient, sum)?;
            }
        }
    }
    for mut pending in queue.leaves.drain(..) {
        if let Some(hooks) = pending.edge.node().leaf().as_ref().and_then(leaf_hooks) {
            see(&hooks, &mut pending.grads, &mut retained)?;
        }
        visit(&pending);
    }
    Ok((retained, queue.outgoing, queue.saving))
}

/// Gradients of every leaf reached, in the order in which the pass first reached them, after those of tensors on the
/// way that keep theirs.
pub(crate) fn run_to_leaves(roots: Vec<Root>, keep: bool, sum: Sum) -> Result<Accumulations> {
    let mut leaves = Vec::new();
    let (mut found, ..) = backward_pass(roots, Options { keep, reach: None, first_seq: 0, sum }, |p| {
        let Some(leaf) = p.edge.node().leaf() else { return false };
        leaves.extend(p.grads[0].clone().map(|g| (leaf, g)));
        true
    })?;
    found.append(&mut leaves);
    Ok(found)
}

/// Gradients at the targets, and those of tensors on the way that keep theirs. Only nodes that lead to a target are
/// passed, so what others saved stays.
pub(crate) fn run_to_targets(
    roots: Vec<Root>,
    targets: &[Edge],
    keep: bool,
    sum: Sum,
) -> Result<(Vec<Option<Tensor>>, Accumulations)> {
    let reach = Reach::new(roots.iter().map(|r| &r.edge), targets);
    let mut found = vec![None; targets.len()];
    let (retained, ..) = backward_pass(roots, Options { keep, reach: Some(&reach), first_seq: 0, sum }, |p| {
        take(p, targets, &mut found);
        false
    })?;
    Ok((found, retained))
}

/// Gradients at the targets of a part of the program that is differentiated on its own. It ends at its boundaries,
/// which are targets all; whoever holds the part keeps it or frees it as a whole.
pub(crate) fn run_part(roots: Vec<Root>, targets: &[Edge], sum: Sum) -> Result<Vec<Option<Tensor>>> {
    let mut found = vec![None; targets.len()];
    backward_pass(roots, Options { keep: true, reach: None, first_seq: 0, sum }, |p| {
        take(p, targets, &mut found) && p.edge.node().is_boundary()
    })?;
    Ok(found)
}

/// Gradients that leave the part of the program whose nodes have numbers from `first_seq` on: one by one, for whoever goes
/// on has to add them to others in this order. Nothing is freed; the numbers of the nodes that have saved something are
/// given, too.
pub(crate) fn run_out(roots: Vec<Root>, first_seq: u64, sum: Sum) -> Result<(OutgoingGradients, Vec<u64>)> {
    let (_, outgoing, saving) = backward_pass(roots, Options { keep: true, reach: None, first_seq, sum }, |_| false)?;
    Ok((outgoing, saving))
}

/// Takes the gradients of the targets among the results of this node. Whether there is one.
fn take(p: &Pending, targets: &[Edge], found: &mut [Option<Tensor>]) -> bool {
    let mut any = false;
    // Few are asked for: comparing beats hashing.
    for (target, found) in targets.iter().zip(found) {
        if target.id() == p.edge.id() {
            *found = p.grads.get(target.output as usize).cloned().flatten();
            any = true;
        }
    }
    any
}

/// The gradient itself where nothing else holds its elements, else a copy: a `grad` is the user's to change.
pub(crate) fn own(gradient: Tensor) -> Result<Tensor> {
    // A function or a hook of the user's may have given something with a history, which is wanted only in a graph of
    // gradients.
    let gradient = match gradient.is_requires_grad() && !is_grad_enabled() {
        true => gradient.alias(),
        false => gradient,
    };
    if let Some(copy) = mode::state::recorded_copy(&gradient) {
        let copy = copy?;
        copy.set_grad_fn(tape::own_edge(&gradient));
        return Ok(copy);
    }
    match gradient.strided() {
        Some(s)
            if Arc::strong_count(&s.storage) > 1 || Arc::strong_count(&gradient.0) > 1 || !gradient.is_contiguous() =>
        {
            let copy = eval::copied(&gradient)?;
            // It has a history where the graph of the gradients is wanted.
            if gradient.is_requires_grad() && is_grad_enabled() {
                copy.set_grad_fn(tape::edge_of(&gradient));
            }
            Ok(copy)
        }
        _ => Ok(gradient),
    }
}
