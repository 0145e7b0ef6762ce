//! The backward pass: from the roots, always to the youngest node that has a gradient, so each node is met once, when all
//! gradients of its results are known. The order is part of the definition of every accumulated sum.

use super::grad_mode::is_grad_enabled;
use super::gradient_names::gradient_name;
use super::reach::Reach;
use super::tape;

use crate::device;
use crate::error::{Error, Result, weighed};
use crate::mode;
use crate::tensor::grad_fn::{Edge, Part};
use crate::tensor::hooks::Hooks;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::{Tensor, eval};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};
use std::cell::RefCell;
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

/// Gradients of the results of one node.
type Gradients = SmallVec<[Option<Tensor>; 1]>;

struct Pending {
    edge: Edge,
    grads: Gradients,
}

/// Where a node waits: its number, the stage of a part of a program, its identity.
type Place = (u64, u32, usize);

/// The stage that a gradient for this edge belongs to.
fn stage(edge: &Edge) -> u32 {
    edge.node().part().map_or(0, |part| part.stage(edge.output))
}

/// Nodes that wait with their gradients, the youngest first out. In a chain of operations one waits at a time: the youngest
/// has its place beside the tree.
#[derive(Default)]
struct Waiting {
    /// Where it is given, younger than all others.
    youngest: Option<(Place, Pending)>,
    others: BTreeMap<Place, Pending>,
}

impl Waiting {
    /// The one at this place, made where there is none.
    fn at(&mut self, place: Place, make: impl FnOnce() -> Pending) -> &mut Pending {
        match (&self.youngest, self.last()) {
            // As young as the youngest.
            (Some((last, _)), _) if *last == place => {}
            (_, Some(last)) if place <= last => return self.others.entry(place).or_insert_with(make),
            _ => {
                let older = self.youngest.replace((place, make()));
                self.others.extend(older);
            }
        }
        &mut self.youngest.as_mut().expect("it was there, or has been put there").1
    }

    /// The place of the youngest.
    fn last(&self) -> Option<Place> {
        let others = || self.others.last_key_value().map(|(place, _)| *place);
        self.youngest.as_ref().map(|(place, _)| *place).or_else(others)
    }

    /// Takes the youngest.
    fn pop(&mut self) -> Option<(Place, Pending)> {
        self.youngest.take().or_else(|| self.others.pop_last())
    }
}

/// Nodes that wait, and leaves in the order in which gradients reached them.
#[derive(Default)]
struct Queue {
    nodes: Waiting,
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
    /// Adds a gradient; `from` says which node gives it, and to which operand.
    fn add(&mut self, edge: &Edge, gradient: Tensor, from: Option<(&str, usize)>, sum: Sum) -> Result<()> {
        let gradient = match edge.sum_to_size() {
            Some(to) => (to.sum)(&gradient, &to.sizes)?,
            None => relayed(gradient, from),
        };
        self.put(edge, gradient, sum)
    }

    /// As `add`, for a gradient of what is not repeated, or that has been summed, with a node of its own.
    fn put(&mut self, edge: &Edge, gradient: Tensor, sum: Sum) -> Result<()> {
        let seq = edge.node().seq();
        if seq < self.first_seq {
            self.outgoing.push((edge.to_output(edge.output), gradient));
            return Ok(());
        }
        let new = || Pending { edge: edge.clone(), grads: Gradients::new() };
        let pending = match seq {
            0 => {
                let place = *self.places.entry(edge.id()).or_insert_with(|| {
                    self.leaves.push(new());
                    self.leaves.len() - 1
                });
                &mut self.leaves[place]
            }
            seq => self.nodes.at((seq, stage(edge), edge.id()), new),
        };
        let i = edge.output as usize;
        while pending.grads.len() <= i {
            pending.grads.push(None);
        }
        let slot = &mut pending.grads[i];
        *slot = Some(match slot.take() {
            Some(so_far) => sum(&so_far, &gradient)?,
            None => gradient,
        });
        Ok(())
    }

    /// Takes the gradients of stages of the same part of a program that are older than `now`, down to the one before which
    /// somebody looks at a gradient. Gives the oldest stage taken.
    fn take_stages(&mut self, edge: &Edge, grads: &mut Gradients, now: u32, looked_at: &[u32]) -> u32 {
        let before = looked_at.iter().filter(|stage| **stage < now);
        let oldest = before.max().map_or(0, |stage| stage + 1);
        let (seq, id) = (edge.node().seq(), edge.id());
        while let Some((s, stage, i)) = self.nodes.last()
            && (s, i) == (seq, id)
            && stage >= oldest
            && let Some((_, older)) = self.nodes.pop()
        {
            let more = older.grads;
            grads.resize(grads.len().max(more.len()), None);
            for (slot, gradient) in grads.iter_mut().zip(more).filter(|(_, gradient)| gradient.is_some()) {
                *slot = gradient;
            }
        }
        oldest
    }
}

/// The stages of a part of a program that begin with a gradient at which somebody looks: a hook, a tensor that keeps it, a
/// target.
fn looked_at(part: &dyn Part, edge: &Edge, targets: &[Edge]) -> SmallVec<[u32; 4]> {
    let watched = edge.node().hooks().and_then(|h| h.get()).map_or_else(Vec::new, |hooks| hooks.watched());
    let targets = targets.iter().filter(|target| target.id() == edge.id()).map(|target| target.output);
    watched.into_iter().chain(targets).map(|output| part.stage(output)).collect()
}

/// The gradient by a node of its own, where gradients are differentiated again: one that comes of a repeated tensor
/// takes such a node too, and the order of all must not depend on whether something was repeated.
fn relayed(gradient: Tensor, from: Option<(&str, usize)>) -> Tensor {
    if !is_grad_enabled() || !gradient.is_requires_grad() {
        return gradient;
    }
    let same = gradient.alias();
    let Some(edge) = tape::edge_of(&gradient) else { return gradient };
    // For whoever looks, it is PyTorch's, or the node behind.
    let name = from.and_then(|(node, operand)| gradient_name(node, operand));
    let name = name.unwrap_or_else(|| edge.node().name().to_string().into());
    let node = tape::relay(name, edge, |_, grads| Ok(smallvec![grads[0].clone().map(|g| relayed(g, None))]));
    same.set_grad_fn(Some(Edge::new(node, 0)));
    same
}

/// `found`, or the one of the given gradients that has come through as it was: only relays are in between.
pub(crate) fn given_back(found: Tensor, given: &[Tensor]) -> Tensor {
    let Some(mut edge) = tape::edge_of(&found).filter(|edge| edge.node().is_relay()) else { return found };
    while edge.node().is_relay() && edge.sum_to_size().is_none() {
        let Some(Some(next)) = edge.node().edges().first().cloned() else { return found };
        edge = next;
    }
    let is_it = |g: &&Tensor| {
        tape::edge_of(g).is_some_and(|own| own.id() == edge.id() && own.output == edge.output)
            && edge.sum_to_size().is_none()
    };
    given.iter().find(is_it).cloned().unwrap_or(found)
}

/// How a backward pass goes.
#[derive(Clone, Copy)]
struct Options<'a> {
    /// Nodes keep what they saved.
    keep: bool,
    /// It goes only where this leads.
    reach: Option<&'a Reach>,
    /// Results whose gradients are wanted.
    targets: &'a [Edge],
    /// Nodes with a smaller number are left alone, leaves too; 0 where there are none such.
    first_seq: u64,
    /// The node whose hooks have been called before.
    hooks_of: Option<u64>,
    /// What of the nodes has been found to fail.
    broken: Option<&'a RefCell<Broken>>,
    sum: Sum,
}

impl Options<'_> {
    fn new(keep: bool, sum: Sum) -> Options<'static> {
        Options { keep, reach: None, targets: &[], first_seq: 0, hooks_of: None, broken: None, sum }
    }
}

/// The nodes of a part of a program that can't be passed. A backward pass that is to find them goes on without them.
#[derive(Default)]
pub(crate) struct Broken {
    /// Their numbers, with why, in the order of the pass.
    pub(crate) nodes: Vec<(u64, Error)>,
    /// The node that the pass is at.
    pub(crate) at: u64,
}

impl Broken {
    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.nodes.iter().any(|(known, _)| *known == seq)
    }
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

/// A backward pass on its way.
struct Pass<'a> {
    options: Options<'a>,
    queue: Queue,
    /// The gradients of tensors on the way that keep theirs.
    retained: Accumulations,
    /// Recording frees nothing of a graph that was there before.
    recorded_from: u64,
}

impl Pass<'_> {
    /// Passes one node, unless `visit` says that the pass ends there.
    fn node(&mut self, mut pending: Pending, visit: &mut impl FnMut(&Pending) -> bool) -> Result<()> {
        let Options { keep, reach, first_seq, sum, targets, hooks_of, .. } = self.options;
        let (mut stage, mut stages, mut hooks_called) = (0, SmallVec::new(), false);
        if let Some(part) = pending.edge.node().part() {
            stage = part.stage(pending.edge.output);
            stages = looked_at(part, &pending.edge, targets);
            if stages.contains(&stage) {
                hooks_called = part.call_hooks(&pending.edge, &mut pending.grads)?;
            }
        }
        if hooks_of.is_none_or(|seq| seq != pending.edge.node().seq())
            && let Some(hooks) = pending.edge.node().hooks().and_then(|h| h.get())
        {
            see(hooks, &mut pending.grads, &mut self.retained)?;
        }
        if visit(&pending) || reach.is_some_and(|r| !pending.outputs().any(|edge| r.goes_behind(&edge))) {
            return Ok(());
        }
        let _entered = pending.grads.iter().flatten().next().map(|g| device::enter(g.device()));
        let keep = keep || pending.edge.node().seq() < self.recorded_from;
        if first_seq > 0 && pending.edge.node().saves() {
            self.queue.saving.push(pending.edge.node().seq());
        }
        if let Some(part) = pending.edge.node().part() {
            let oldest = self.queue.take_stages(&pending.edge, &mut pending.grads, stage, &stages);
            let leads = |edge: &Edge| reach.is_none_or(|r| r.contains(edge));
            let wanted: Option<&dyn Fn(&Edge) -> bool> = if reach.is_some() { Some(&leads) } else { None };
            for (edge, gradient) in part.backward(&pending.edge, &pending.grads, hooks_called, oldest, wanted, keep)? {
                // What stays in the part leads to what is wanted.
                if edge.id() == pending.edge.id() || leads(&edge) {
                    self.queue.add(&edge, gradient, None, sum)?;
                }
            }
            return Ok(());
        }
        let node = pending.edge.node();
        let grads = node.vjp(&pending.edge, &pending.grads, keep)?;
        for (i, (edge, gradient)) in node.edges().iter().zip(grads).enumerate() {
            if let (Some(edge), Some(gradient)) = (edge, gradient)
                && reach.is_none_or(|r| r.contains(edge))
            {
                self.queue.add(edge, gradient, Some((node.name(), i)), sum)?;
            }
        }
        Ok(())
    }
}

impl Pending {
    /// The edges of the results whose gradients are here.
    fn outputs(&self) -> impl Iterator<Item = Edge> + '_ {
        let here = self.grads.iter().enumerate().filter(|(_, gradient)| gradient.is_some());
        here.map(|(output, _)| self.edge.to_output(output as u32))
    }
}

/// Goes from the roots, and behind each node unless `visit` says that the pass ends there. Leaves come last. Gives the
/// gradients of tensors on the way that keep theirs, the outgoing ones, and the numbers of the nodes that had saved something.
fn backward_pass(
    roots: Vec<Root>,
    options: Options<'_>,
    mut visit: impl FnMut(&Pending) -> bool,
) -> Result<(Accumulations, OutgoingGradients, Vec<u64>)> {
    let queue = Queue { first_seq: options.first_seq, ..Queue::default() };
    let mut pass = Pass { options, queue, retained: Vec::new(), recorded_from: mode::grads::first_seq() };
    for root in &roots {
        if options.reach.is_none_or(|r| r.contains(&root.edge)) {
            match options.first_seq {
                0 => pass.queue.add(&root.edge, root.gradient.clone(), None, options.sum)?,
                // Another pass has brought it here; what it is used for is added up there.
                _ => pass.queue.put(&root.edge, root.gradient.clone(), options.sum)?,
            }
        }
    }
    drop(roots);
    while let Some(((seq, ..), pending)) = pass.queue.nodes.pop() {
        let Some(broken) = options.broken else {
            pass.node(pending, &mut visit)?;
            continue;
        };
        if !broken.borrow().contains(seq) {
            broken.borrow_mut().at = seq;
            if let Err(e) = weighed(|| pass.node(pending, &mut visit)) {
                broken.borrow_mut().nodes.push((seq, e));
            }
            broken.borrow_mut().at = 0;
        }
    }
    let Pass { mut queue, mut retained, .. } = pass;
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
    let (mut found, ..) = backward_pass(roots, Options::new(keep, sum), |p| {
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
    let reach = Reach::new(roots.iter().map(|r| &r.edge), targets, 0);
    let mut found = vec![None; targets.len()];
    let options = Options { reach: Some(&reach), targets, ..Options::new(keep, sum) };
    let (retained, ..) = backward_pass(roots, options, |p| {
        take(p, targets, &mut found);
        false
    })?;
    Ok((found, retained))
}

/// Gradients at the targets of a part of the program that is differentiated on its own. It ends at its boundaries,
/// which are targets all; whoever holds the part keeps it or frees it as a whole.
pub(crate) fn run_part(roots: Vec<Root>, targets: &[Edge], sum: Sum) -> Result<Vec<Option<Tensor>>> {
    let mut found = vec![None; targets.len()];
    backward_pass(roots, Options::new(true, sum), |p| take(p, targets, &mut found) && p.edge.node().is_boundary())?;
    Ok(found)
}

/// A backward pass through a part of a program, from whose end it begins.
#[derive(Clone, Copy)]
pub(crate) struct PartPass<'a> {
    /// The nodes of the part have numbers from this on.
    pub(crate) first_seq: u64,
    /// The pass goes only where this leads, if given.
    pub(crate) reach: Option<&'a Reach>,
    /// The node whose hooks have been called before.
    pub(crate) hooks_of: Option<u64>,
    /// Whether it ends when the hooks of the roots have been called.
    pub(crate) hooks_only: bool,
    /// The pass goes around nodes that fail.
    pub(crate) broken: Option<&'a RefCell<Broken>>,
}

/// Gradients that leave a part of a program: one by one, for whoever goes on has to add them to others in this order. Nothing
/// is freed; the numbers of the nodes that have saved something are given, too.
pub(crate) fn run_out(roots: Vec<Root>, pass: PartPass<'_>, sum: Sum) -> Result<(OutgoingGradients, Vec<u64>)> {
    let PartPass { first_seq, reach, hooks_of, hooks_only, broken } = pass;
    let options = Options { first_seq, reach, hooks_of, broken, ..Options::new(true, sum) };
    let mut seen = OutgoingGradients::new();
    let (_, mut outgoing, saving) = backward_pass(roots, options, |p| {
        if hooks_only {
            let all = p.grads.iter().enumerate();
            seen.extend(all.filter_map(|(i, g)| Some((p.edge.to_output(i as u32), g.clone()?))));
        }
        hooks_only
    })?;
    outgoing.append(&mut seen);
    Ok((outgoing, saving))
}

/// Takes the gradients of the targets among the results of this node. Whether there is one.
fn take(p: &Pending, targets: &[Edge], found: &mut [Option<Tensor>]) -> bool {
    let mut any = false;
    // Few are asked for: comparing beats hashing.
    for (target, found) in targets.iter().zip(found) {
        if target.id() == p.edge.id() && stage(target) == stage(&p.edge) {
            *found = p.grads.get(target.output as usize).cloned().flatten();
            any = true;
        }
    }
    any
}

/// The gradient itself where nothing else holds its elements and it lies as a `grad` of `x` does, else a copy that does: it is
/// the user's to change.
pub(crate) fn own(gradient: Tensor, x: &Tensor) -> Result<Tensor> {
    // A function or a hook of the user's may have given something with a history, which is wanted only in a graph of
    // gradients.
    let gradient = match gradient.is_requires_grad() && !is_grad_enabled() {
        true => gradient.alias(),
        false => gradient,
    };
    // What is no leaf has a gradient in row-major order, however it lies itself.
    let rule = if x.is_leaf() { LayoutRule::Gradient } else { LayoutRule::RowMajor };
    if let Some(copy) = mode::state::recorded_copy(&gradient) {
        let copy = mode::layout::laid_out(copy?, rule, &[Operand::Tensor(x)])?;
        copy.set_grad_fn(tape::own_edge(&gradient));
        return Ok(copy);
    }
    let Some(s) = gradient.strided() else { return Ok(gradient) };
    let strides = rule.strides(gradient.shape_hint(), std::iter::once(Some(x.laid_out())));
    let shared = Arc::strong_count(&s.storage) > 1 || Arc::strong_count(&gradient.0) > 1;
    if !shared && eval::lies(gradient.shape_hint(), &s.strides, strides.as_deref()) {
        return Ok(gradient);
    }
    let copy = eval::copied_in(&gradient, strides)?;
    // It has a history where the graph of the gradients is wanted.
    if gradient.is_requires_grad() && is_grad_enabled() {
        copy.set_grad_fn(tape::edge_of(&gradient));
    }
    Ok(copy)
}
