//! The tensors that a call hands out, described while the recording knows them: a result that would be a view eagerly is a
//! view of an argument, of a captured tensor, of a gradient or of a computed value. Nothing is recorded for them, and no
//! view is made here.

use super::Capture;
use crate::capture::endpoints::{CallerTensor, OutputLayout, Returned, Target};
use crate::capture::event::{Event, EventOperand, Symbolic};
use crate::capture::laid_out::HandedLayout;
use crate::capture::state::{CaptureState, GradState};
use crate::error::Result;
use crate::tensor::handle::{Link, Root, TraceHandle, ViewOf};
use crate::tensor::traced::Cell;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Body, Size, Tensor};
use allotrope_ir::Op;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::sync::Arc;

/// What becomes of the outputs of the graph, and how those lie that are new tensors.
#[derive(Default)]
pub(super) struct Outputs {
    pub(super) targets: Vec<Target>,
    pub(super) laid_out: Vec<OutputLayout<HandedLayout>>,
}

/// What a call hands out, as the recording has it.
#[derive(Default)]
pub(crate) struct HandedOut {
    /// Each tensor once, what others are views of before these.
    tensors: Vec<Handed>,
    /// Which of them each result is.
    results: Vec<usize>,
    /// The gradients that are one of them, by their place among those that the recording knows.
    grads: Vec<(usize, usize)>,
    /// New tensors among them whose gradient is another one of them.
    own_grads: Vec<(usize, usize)>,
    by_tensor: FxHashMap<usize, usize>,
    /// The first tensor over the elements of each cell, which shows them as they are.
    by_cell: FxHashMap<usize, usize>,
}

struct Handed {
    tensor: Tensor,
    kind: Kind,
}

enum Kind {
    Computed,
    Same,
    Arg(usize),
    /// The gradient that was given, by its place among those that the recording knows.
    Grad(usize),
    View {
        of: usize,
        path: Option<Arc<Link>>,
        differentiable: bool,
    },
}

impl HandedOut {
    /// The tensors that each call makes, in order, and whether they are computed: the others are views.
    pub(crate) fn made(&self) -> Vec<(Tensor, bool)> {
        let made = |h: &Handed| match h.kind {
            Kind::Computed => Some((h.tensor.clone(), true)),
            Kind::View { .. } => Some((h.tensor.clone(), false)),
            Kind::Same | Kind::Arg(_) | Kind::Grad(_) => None,
        };
        self.tensors.iter().filter_map(made).collect()
    }

    /// Whether a gradient, by its place among those that the recording knows, is one of the tensors after the call.
    pub(super) fn is_grad(&self, i: usize) -> bool {
        self.grads.iter().any(|(g, _)| *g == i)
    }

    /// Which of them each result is.
    pub(super) fn results(&self) -> &[usize] {
        &self.results
    }

    /// New tensors among them, each with its gradient.
    pub(super) fn grads_of_results(&self) -> &[(usize, usize)] {
        &self.own_grads
    }

    fn push(&mut self, tensor: Tensor, kind: Kind) -> usize {
        let i = self.tensors.len();
        self.by_tensor.insert(tensor.id(), i);
        if let (Some(cell), Kind::Computed | Kind::Arg(_) | Kind::Grad(_)) = (whole(&tensor), &kind) {
            self.by_cell.entry(address(cell)).or_insert(i);
        }
        self.tensors.push(Handed { tensor, kind });
        i
    }
}

fn address(cell: &Arc<Cell>) -> usize {
    Arc::as_ptr(cell) as usize
}

/// The elements that a traced tensor shows as they are.
fn whole(t: &Tensor) -> Option<&Arc<Cell>> {
    match t.traced().map(|t| (&t.root, &t.path)) {
        Some((Root::Traced(cell), None)) => Some(cell),
        _ => None,
    }
}

impl Capture {
    /// The tensors that a call hands out where the closure returned these.
    ///
    /// # Errors
    /// When one of them is a value of another trace.
    pub(crate) fn handed_out(&self, returned: &[Tensor]) -> Result<HandedOut> {
        let mut state = self.0.borrow_mut();
        let mut out = HandedOut::default();
        let set = state.grads.iter().filter_map(GradState::set);
        let seen: Vec<Tensor> = returned.iter().cloned().chain(set).collect();
        state.guard_results(&seen);
        for t in returned {
            let i = state.handed(&mut out, t)?;
            out.results.push(i);
        }
        state.own_grads(&mut out)?;
        state.shared_grads(&mut out)?;
        Ok(out)
    }
}

impl CaptureState {
    /// The gradient of which these are the elements, as it was given when the call began.
    pub(crate) fn given_gradient(&self, cell: &Arc<Cell>) -> Option<usize> {
        let is = |t: &Tensor| whole(t).is_some_and(|c| Arc::ptr_eq(c, cell));
        self.grads.iter().position(|g| g.given.as_ref().is_some_and(is))
    }

    /// Gradients that the program has given to tensors which it made itself, and returns.
    fn own_grads(&mut self, out: &mut HandedOut) -> Result<()> {
        let results: Vec<usize> = (0..out.tensors.len()).filter(|i| out.results.contains(i)).collect();
        for i in results {
            let Handed { tensor, kind } = &out.tensors[i];
            if let (Kind::Computed | Kind::View { .. }, Some(grad)) = (kind, tensor.stored_grad()) {
                let grad = self.handed(out, &grad)?;
                out.own_grads.push((i, grad));
            }
        }
        Ok(())
    }

    /// Gradients that were set to a tensor which something else shows too, or which the program was given.
    fn shared_grads(&mut self, out: &mut HandedOut) -> Result<()> {
        let set: Vec<(usize, Tensor)> =
            self.grads.iter().enumerate().filter_map(|(i, g)| Some((i, g.set()?))).collect();
        let alone = |state: &CaptureState, out: &HandedOut, i: usize, t: &Tensor| {
            let Some(cell) = whole(t).filter(|_| t.view_of().is_none()) else { return false };
            let same = |(j, other): &(usize, Tensor)| *j != i && cell_of(other).is_some_and(|c| Arc::ptr_eq(c, cell));
            !(out.by_tensor.contains_key(&t.id())
                || out.by_cell.contains_key(&address(cell))
                || state.args_by_cell.contains_key(&address(cell))
                || state.given_gradient(cell).is_some()
                || set.iter().any(same))
        };
        for (i, t) in &set {
            if !alone(self, out, *i, t) {
                let place = self.handed(out, t)?;
                out.grads.push((*i, place));
            }
        }
        Ok(())
    }

    /// Hands out the places that the steps of a view depend on, which a run chooses.
    fn hand_places(&mut self, out: &mut HandedOut, path: Option<&Arc<Link>>) -> Result<()> {
        for step in path.into_iter().flat_map(Link::steps) {
            if let ViewOp::Select { at, .. } = step.op {
                let place = self.places[at].clone();
                self.handed(out, &place)?;
            }
        }
        Ok(())
    }

    /// The place of this tensor among those handed out.
    fn handed(&mut self, out: &mut HandedOut, t: &Tensor) -> Result<usize> {
        if let Some(&known) = out.by_tensor.get(&t.id()) {
            return Ok(known);
        }
        let alias = |out: &mut HandedOut, of: usize, path: Option<&Arc<Link>>| {
            out.push(t.clone(), Kind::View { of, path: path.cloned(), differentiable: false })
        };
        let Body::Traced(traced) = t.body() else {
            if !self.made_here.contains_key(&t.id()) {
                if let Some(&arg) = self.known_args.get(&t.id()) {
                    return Ok(out.push(t.clone(), Kind::Arg(arg)));
                }
                self.touch(t);
                return Ok(out.push(t.clone(), Kind::Same));
            }
            let of = out.push(t.same_elements(), Kind::Same);
            return Ok(alias(out, of, None));
        };
        if let Some(&(arg, _)) = self.args.get(&t.id()) {
            return Ok(out.push(t.clone(), Kind::Arg(arg)));
        }
        if let Some(view) = t.view_of() {
            let of = self.handed(out, &view.base)?;
            let path = Some(Arc::clone(&view.path));
            self.hand_places(out, path.as_ref())?;
            return Ok(out.push(t.clone(), Kind::View { of, path, differentiable: true }));
        }
        match (&traced.root, &traced.path) {
            (Root::External(of), path) => {
                let of = self.handed(out, of)?;
                self.hand_places(out, path.as_ref())?;
                Ok(alias(out, of, path.as_ref()))
            }
            (Root::Traced(cell), None) => match self.whole(out, cell, Some(t))? {
                (of, true) => Ok(of),
                (of, false) => Ok(alias(out, of, None)),
            },
            (Root::Traced(cell), Some(path)) => {
                let of = self.whole(out, cell, None)?.0;
                self.hand_places(out, Some(path))?;
                Ok(alias(out, of, Some(path)))
            }
        }
    }

    /// The place of a tensor that shows the elements of a cell as they are, and whether it is `t`.
    fn whole(&mut self, out: &mut HandedOut, cell: &Arc<Cell>, t: Option<&Tensor>) -> Result<(usize, bool)> {
        if let Some(&known) = out.by_cell.get(&address(cell)) {
            return Ok((known, false));
        }
        if let Some(i) = self.given_gradient(cell) {
            let given = self.grads[i].given.clone().expect("just found");
            let is_it = t.is_some_and(|t| t.id() == given.id());
            return Ok((out.push(given, Kind::Grad(i)), is_it));
        }
        let arg = self.args_by_cell.get(&address(cell)).map(|(_, arg)| *arg);
        match (t, arg) {
            (Some(t), None) => Ok((out.push(t.clone(), Kind::Computed), true)),
            (_, arg) => {
                let whole = self.whole_of(cell)?;
                Ok((out.push(whole, arg.map_or(Kind::Computed, Kind::Arg)), false))
            }
        }
    }

    /// Whether a view's history is to be found anew after changes in place.
    fn is_stale(&mut self, t: &Tensor) -> bool {
        let (Some(view), Some(traced)) = (t.view_of(), t.traced()) else { return false };
        let known = t.has_grad_fn() || view.base.stored_requires_grad();
        known && self.version_of(&traced.root) != t.changes_seen()
    }

    /// Makes the computed ones of the tensors outputs of the graph.
    pub(super) fn output_computed(&mut self, out: &HandedOut, outputs: &mut Outputs) -> Result<()> {
        for handed in out.tensors.iter().filter(|h| matches!(h.kind, Kind::Computed)) {
            self.output_new(&handed.tensor, Target::Return, outputs)?;
        }
        Ok(())
    }

    /// Makes an output of what is a new tensor of each call, its axes in the order in which they lie in memory.
    pub(super) fn output_new(&mut self, t: &Tensor, target: Target, outputs: &mut Outputs) -> Result<()> {
        let mut value = self.lift(t)?;
        if let Some(laid_out) = self.handed_out_in(t, outputs.targets.len()) {
            if !laid_out.axes.is_empty() {
                let (op, operands) = (Op::<Size>::Permute(laid_out.axes.clone()), [EventOperand::Value(value)]);
                let (op, operands) = (Symbolic(Cow::Owned(op)), Cow::Borrowed(&operands[..]));
                value = self.made(Event::Record { op, operands })?.value;
            }
            outputs.laid_out.push(laid_out);
        }
        self.output(value, None)?;
        outputs.targets.push(target);
        Ok(())
    }

    /// The tensors as a call needs to know them, and the gradients among them.
    pub(super) fn described(&mut self, out: &HandedOut) -> (Vec<Returned<Size>>, Vec<(CallerTensor, usize)>) {
        for Handed { tensor, .. } in out.tensors.iter().filter(|handed| matches!(handed.kind, Kind::Same)) {
            self.touch(tensor);
        }
        let stale: Vec<bool> = out.tensors.iter().map(|handed| self.is_stale(&handed.tensor)).collect();
        let owner = |i: usize| {
            let grad = &self.grads[i];
            grad.arg.map_or_else(|| CallerTensor::Captured(grad.tensor.clone()), CallerTensor::Arg)
        };
        let each = out.tensors.iter().zip(stale).map(|(Handed { tensor: t, kind }, stale)| {
            // A view that has no history of its own requires a gradient where what it shows does.
            let requires_grad = t.stored_requires_grad() || stale;
            let leaf = requires_grad && !t.has_grad_fn() && !stale;
            match kind {
                Kind::Computed => Returned::Computed { requires_grad, leaf },
                Kind::Same => Returned::Same(TraceHandle::new(t.clone())),
                Kind::Arg(i) => Returned::Arg(*i),
                Kind::Grad(i) => Returned::Grad(owner(*i)),
                Kind::View { of, path, differentiable } => {
                    let steps = path.iter().flat_map(Link::steps).map(|step| match &step.op {
                        ViewOp::Select { axis, at } => {
                            let at = out.by_tensor[&self.places[*at].id()];
                            ViewOp::Select { axis: *axis, at }
                        }
                        op @ (ViewOp::Primitive(_) | ViewOp::Affine(_) | ViewOp::Memory { .. }) => op.clone(),
                    });
                    let steps = steps.collect();
                    let creation = t.view_of().map(ViewOf::creation).unwrap_or_default();
                    Returned::View { of: *of, steps, differentiable: *differentiable, creation, requires_grad, leaf }
                }
            }
        });
        (each.collect(), out.grads.iter().map(|(i, place)| (owner(*i), *place)).collect())
    }
}

/// The elements of which a traced tensor shows some.
fn cell_of(t: &Tensor) -> Option<&Arc<Cell>> {
    match &t.traced()?.root {
        Root::Traced(cell) => Some(cell),
        Root::External(_) => None,
    }
}
