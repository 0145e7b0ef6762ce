//! Abstract evaluation: runs a part of the program that is not computed, to know which captured tensors it would use and
//! what types its results would have. Types are all that it infers; it keeps no graph, guards nothing, and leaves no tensor,
//! generator or setting changed.

use super::recorder::loops::{Iterations, ScanBody, ScanSpec};
use super::recorder::random::Draw;
use super::recorder::settings::HostValue;
use super::recorder::sizes::SizeOp;
use super::recorder::state::LayoutQuestion;
use super::recorder::{
    GradRecorder, LoopRecorder, RandomRecorder, RecomputeRecorder, Recorder, SettingRecorder, SizeRecorder,
    StateRecorder, ValueRecorder,
};
use super::{apply, slot, values};
use crate::device::{Device, default_device};
use crate::error::{self, Error, Result};
use crate::mode::grads::history_changed_in_loop;
use crate::tensor::grad_fn::{Edge, next_seq};
use crate::tensor::handle::{Link, Root, TraceHandle};
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::result_memory::ResultMemory;
use crate::tensor::size::{hints, small};
use crate::tensor::traced::{Cell, new_capture};
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Body, Dims, Generator, Size, Strides, Tensor, TensorType, Traced, contiguous_strides, eval};
use allotrope_ir::{DType, NodeId, Op, Scalar, Value};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Runs `f` without computing anything.
///
/// # Errors
/// Those of `f`, and what it was refused because nothing is computed, whatever it did then.
pub(crate) fn evaluate_abstractly<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    let (result, arisen) = error::noting(|| slot::with(Some(Rc::new(Abstract(RefCell::new(State::new())))), f));
    match arisen.refused {
        Some(refused) => Err(refused.into_error()),
        None => result,
    }
}

struct Abstract(RefCell<State>);

struct State {
    /// Where the program runs around this, once something says so.
    device: Option<Device>,
    /// Identity of the outermost scope; scope i has `first + i`.
    first: u64,
    scopes: u64,
    /// The loops and branches that are open, innermost last: their scopes, and the number of iterations of each.
    open: Vec<(u64, Size)>,
    /// The type of each value so far.
    types: Vec<TensorType>,
    /// In-place changes of captured storages, by address.
    changes: FxHashMap<usize, u32>,
    /// Tensors over captured elements that the program made, by identity.
    made_here: FxHashMap<usize, TraceHandle>,
    /// Places of elements that views show.
    places: Vec<Tensor>,
    /// Gradients of captured tensors that the program has read or set, by identity.
    grads: FxHashMap<usize, (TraceHandle, Option<Tensor>)>,
    /// Settings that the program has set.
    effects: Vec<Arc<dyn HostValue>>,
    first_seq: u64,
}

impl State {
    fn new() -> State {
        State {
            device: None,
            first: new_capture(),
            scopes: 1,
            open: Vec::new(),
            types: Vec::new(),
            changes: FxHashMap::default(),
            made_here: FxHashMap::default(),
            places: Vec::new(),
            grads: FxHashMap::default(),
            effects: Vec::new(),
            first_seq: next_seq(),
        }
    }

    fn scope(&self) -> u64 {
        self.open.last().map_or(self.first, |(scope, _)| *scope)
    }

    fn value(&mut self, ty: TensorType) -> Value {
        self.types.push(ty);
        Value { node: NodeId((self.types.len() - 1) as u32), port: 0 }
    }

    /// A new value of the innermost scope.
    ///
    /// # Errors
    /// When no tensor can have these sizes.
    fn tensor(&mut self, dtype: DType, shape: &[usize]) -> Result<Tensor> {
        Ok(self.typed(TensorType::of(dtype, shape)?))
    }

    fn typed(&mut self, ty: TensorType) -> Tensor {
        let value = self.value(ty);
        self.tensor_of(Arc::new(Cell::new(self.scope(), value)))
    }

    /// A tensor that shows the elements as they are now.
    fn tensor_of(&self, cell: Arc<Cell>) -> Tensor {
        let (scope, value) = (cell.scope, cell.value());
        let ty = self.types[value.node.0 as usize].clone();
        let traced = Traced {
            offset: Some(0),
            scope,
            device: self.device.unwrap_or_else(default_device),
            exprs: small(ty.shape(), |_| 0),
            strides: contiguous_strides(ty.shape()),
            root: Root::Traced(cell),
            path: None,
            seen: Mutex::new((value, 0)),
        };
        Tensor::from_parts(ty, Body::Traced(Box::new(traced)))
    }

    fn like(&mut self, t: &Tensor) -> Tensor {
        let like = self.typed(t.ty().clone());
        lying(like, Some(Strides::from_slice(t.laid_out())))
    }

    /// # Errors
    /// When the tensor is a value of another trace, or on another device.
    fn check(&mut self, t: &Tensor) -> Result<()> {
        let ours = |scope: u64| (self.first..self.first + self.scopes).contains(&scope);
        match t.traced() {
            Some(traced) if ours(traced.scope) => Ok(()),
            Some(_) => Err(values::other_trace()),
            None => self.runs_on("trace", t.device()),
        }
    }

    fn runs_on(&mut self, op: &'static str, device: Device) -> Result<()> {
        eval::same_device(op, *self.device.get_or_insert(device), device)
    }

    fn leave(&mut self) -> Size {
        self.open.pop().map_or(Size::from(1), |(_, iterations)| iterations)
    }
}

/// The tensor, which is new, with these strides; none stands for row-major order.
fn lying(mut new: Tensor, strides: Option<Strides>) -> Tensor {
    if let (Some(Body::Traced(t)), Some(strides)) = (Arc::get_mut(&mut new.0).map(|i| i.body_mut()), strides) {
        t.strides = strides;
    }
    new
}

/// The address of the storage of a captured tensor.
fn storage(t: &Tensor) -> Option<usize> {
    t.strided().map(|s| Arc::as_ptr(&s.storage) as usize)
}

impl ValueRecorder for Abstract {
    fn record(&self, op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
        for operand in operands {
            if let Operand::Tensor(t) = operand {
                self.0.borrow_mut().check(t)?;
            }
        }
        // Asks the tensors for their sizes, so nothing may be borrowed.
        let (dtype, sizes) = apply::result_type(op, operands)?;
        let shape = hints(&sizes);
        let result = self.0.borrow_mut().tensor(dtype, &shape)?;
        Ok(lying(result, ResultMemory::of(op).strides(&shape, operands)))
    }

    fn full(&self, sizes: &[Size], value: Scalar) -> Result<Tensor> {
        self.0.borrow_mut().tensor(value.dtype(), &hints(sizes))
    }

    fn extent(&self, _: Size) -> Result<Tensor> {
        self.0.borrow_mut().tensor(DType::I64, &[])
    }

    fn data(&self, _: Tensor, what: &str, at: &'static Location<'static>) -> Result<Tensor> {
        Err(self.host_read(what, at))
    }

    fn host_read(&self, what: &str, at: &'static Location<'static>) -> Error {
        values::host_read(what, at)
    }
}

/// Sizes are numbers here.
impl SizeRecorder for Abstract {
    fn size_arith(&self, op: SizeOp, a: Size, b: Size) -> Size {
        op.of_numbers(a, b)
    }
    fn proven_equal(&self, _: Size, _: Size) -> bool {
        true
    }
    fn unify(&self, _: Size, _: Size, _: &'static Location<'static>) {}
    fn specialize(&self, _: Size, _: &str, _: &'static Location<'static>) {}
    fn at_least(&self, _: Size, _: usize) {}
    fn divided(&self, size: Size, by: usize) -> Option<Size> {
        Some(Size::from(size.hint() / by))
    }
}

impl StateRecorder for Abstract {
    fn root_of(&self, target: &Tensor) -> Result<(Tensor, Option<Arc<Link>>)> {
        let Some(traced) = target.traced() else {
            return Ok(match target.view_of() {
                Some(view) => (Tensor::clone(&view.base), Some(Arc::clone(&view.path))),
                None => (target.clone(), None),
            });
        };
        let mut state = self.0.borrow_mut();
        state.check(target)?;
        Ok(match (&traced.root, &traced.path) {
            (_, None) => (target.clone(), None),
            (Root::External(t), Some(path)) => (Tensor::clone(t), Some(Arc::clone(path))),
            (Root::Traced(cell), Some(path)) => (state.tensor_of(Arc::clone(cell)), Some(Arc::clone(path))),
        })
    }

    fn assign(&self, root: &Tensor, value: &Tensor, _: bool) -> Result<()> {
        let mut state = self.0.borrow_mut();
        state.check(value)?;
        match root.body() {
            Body::Traced(t) => {
                let Root::Traced(cell) = &t.root else { unreachable!("bug in allotrope: a root is a view") };
                state.check(root)?;
                if cell.scope != state.scope() {
                    return Err(values::changed_in_loop("value"));
                }
                let new = state.value(root.ty().clone());
                cell.replace(new);
                cell.version.fetch_add(1, Ordering::Relaxed);
            }
            Body::Strided(strided) => {
                eval::check_apart(root.shape_hint(), &strided.strides)?;
                if !state.open.is_empty() {
                    return Err(values::changed_in_loop("tensor"));
                }
                *state.changes.entry(Arc::as_ptr(&strided.storage) as usize).or_default() += 1;
            }
        }
        Ok(())
    }

    fn copy(&self, tensor: &Tensor) -> Result<Tensor> {
        let mut state = self.0.borrow_mut();
        state.check(tensor)?;
        Ok(state.like(tensor))
    }

    fn note_view(&self, _: &Tensor, result: &Tensor, _: &ViewOp) {
        result.see_changes(self.version(result));
    }
    fn keep(&self, place: &Tensor) -> Result<usize> {
        let mut state = self.0.borrow_mut();
        state.check(place)?;
        let place = state.like(place);
        state.places.push(place);
        Ok(state.places.len() - 1)
    }

    fn kept(&self, number: usize) -> Tensor {
        self.0.borrow().places[number].clone()
    }
    fn begins_memory(&self, _: &Tensor) -> bool {
        true
    }
    fn memory_wanted(&self, _: &Tensor, _: usize) -> bool {
        false
    }
    fn order_in_memory(&self, _: &Tensor) -> Option<allotrope_ir::Axes> {
        None
    }
    fn sharing_asked(&self, _: &Tensor) {}
    fn note_contiguous(&self, _: &Tensor, _: &Tensor) {}

    fn version(&self, tensor: &Tensor) -> u32 {
        let root = match tensor.traced().map(|t| &t.root) {
            None => tensor,
            Some(Root::External(t)) => t,
            Some(Root::Traced(cell)) => return cell.version.load(Ordering::Relaxed),
        };
        let changes = storage(root).and_then(|s| self.0.borrow().changes.get(&s).copied());
        root.stored_version() + changes.unwrap_or(0)
    }

    fn layout_asked(&self, _: &Tensor, _: LayoutQuestion) {}
    fn order_asked(&self, _: &Tensor) {}
    fn laid_out(&self, result: Tensor, rule: LayoutRule, operands: &[Operand<'_>]) -> Result<Tensor> {
        let shape = result.shape_hint();
        let strides = rule.strides(shape, operands.iter().map(Operand::laid_out));
        let strides = strides.unwrap_or_else(|| contiguous_strides(shape));
        let moved = lying(self.copy(&result)?, Some(strides));
        if result.has_grad_fn() {
            moved.set_grad_fn(result.grad_fn());
        }
        Ok(moved)
    }

    fn is_same(&self, a: &Tensor, b: &Tensor) -> bool {
        a.id() == b.id()
    }

    fn note_new(&self, alias: &Tensor, _: &Tensor) {
        self.0.borrow_mut().made_here.insert(alias.id(), TraceHandle::new(alias.clone()));
    }

    fn is_new(&self, tensor: &Tensor) -> bool {
        self.0.borrow().made_here.contains_key(&tensor.id())
    }
}

impl GradRecorder for Abstract {
    fn history_asked(&self, _: &Tensor) {}
    fn history_captured(&self, _: &Edge, _: &Tensor) {}
    fn first_seq(&self) -> u64 {
        self.0.borrow().first_seq
    }

    fn grad(&self, tensor: &Tensor) -> Option<Tensor> {
        if tensor.traced().is_some() {
            return tensor.stored_grad();
        }
        let mut state = self.0.borrow_mut();
        if let Some((_, grad)) = state.grads.get(&tensor.id()) {
            return grad.clone();
        }
        // A gradient has the dtype and the shape of its tensor.
        let grad = tensor.has_grad().then(|| state.like(tensor));
        state.grads.insert(tensor.id(), (TraceHandle::new(tensor.clone()), grad.clone()));
        grad
    }

    fn set_grad(&self, tensor: &Tensor, grad: Option<Tensor>) {
        match tensor.traced() {
            Some(_) => tensor.store_grad(grad),
            None => {
                let entry = (TraceHandle::new(tensor.clone()), grad);
                let old = self.0.borrow_mut().grads.insert(tensor.id(), entry);
                drop(old);
            }
        }
    }

    fn requires_grad_asked(&self, _: &Tensor) {}
    fn history_changes(&self, _: &Tensor) -> Result<()> {
        Err(history_changed_in_loop())
    }
    fn becomes_result(&self, changed: &Tensor) -> Result<()> {
        if changed.strided().is_some() { Err(history_changed_in_loop()) } else { Ok(()) }
    }
    fn view_seen_again(&self, _: &Tensor) {}
    fn is_view(&self, tensor: &Tensor) -> bool {
        tensor.view_of().is_some()
    }
}

impl RandomRecorder for Abstract {
    fn draw(&self, draw: &Draw<'_>) -> Result<(Tensor, usize)> {
        Ok((self.0.borrow_mut().tensor(draw.dtype, &hints(draw.sizes))?, 0))
    }
    fn reseed(&self, _: &Generator, _: u64) {}
}

impl LoopRecorder for Abstract {
    fn scan_begin(&self, spec: &ScanSpec<'_>) -> Result<ScanBody> {
        let mut state = self.0.borrow_mut();
        spec.carries.iter().chain(spec.xs).try_for_each(|t| state.check(t))?;
        let limit = match spec.iterations {
            Iterations::All(n) => n,
            Iterations::Count { limit, .. } => limit,
            // Nothing is collected that would need to know.
            Iterations::While => Size::from(1),
        };
        let scope = state.first + state.scopes;
        state.scopes += 1;
        state.open.push((scope, limit));
        let carries = spec.carries.iter().map(|t| state.like(t)).collect();
        let xs = spec.xs.iter().map(|t| state.tensor(t.dtype(), &t.shape_hint()[1..])).collect::<Result<_>>()?;
        Ok(ScanBody { carries, xs, scope, limit })
    }

    fn scan_end(&self, carries: &[Tensor], ys: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let mut state = self.0.borrow_mut();
        carries.iter().chain(ys).try_for_each(|t| state.check(t))?;
        let iterations = state.leave().hint();
        let finals = carries.iter().map(|t| state.like(t)).collect();
        let collected = |t: &Tensor| {
            let shape: Dims = std::iter::once(iterations).chain(t.shape_hint().iter().copied()).collect();
            state.tensor(t.dtype(), &shape)
        };
        let ys = ys.iter().map(collected).collect::<Result<_>>()?;
        Ok((finals, ys))
    }

    fn branch_end(&self, results: &[Tensor], _: Option<&[Tensor]>) -> Result<Vec<Tensor>> {
        let mut state = self.0.borrow_mut();
        results.iter().try_for_each(|t| state.check(t))?;
        state.leave();
        Ok(results.iter().map(|t| state.like(t)).collect())
    }

    fn scan_abandon(&self) {
        self.0.borrow_mut().leave();
    }
}

impl RecomputeRecorder for Abstract {
    fn recompute_begin(&self) {}
    fn recompute_end(&self) {}
}

impl SettingRecorder for Abstract {
    fn host_value(&self, seen: Arc<dyn HostValue>) -> Option<Arc<dyn HostValue>> {
        self.0.borrow().effects.iter().find(|e| e.id() == seen.id()).cloned()
    }

    fn set_host_value(&self, new: Arc<dyn HostValue>) -> Result<()> {
        let mut state = self.0.borrow_mut();
        let known = state.effects.iter().position(|e| e.id() == new.id());
        if !state.open.is_empty() && !known.is_some_and(|i| state.effects[i].is_same(&*new)) {
            return Err(values::set_in_loop());
        }
        state.effects.retain(|e| e.id() != new.id());
        state.effects.push(new);
        Ok(())
    }
}

impl Recorder for Abstract {
    fn runs_on(&self, op: &'static str, device: Device) -> Result<()> {
        self.0.borrow_mut().runs_on(op, device)
    }

    /// The program runs eagerly around this: an error panics there as any other.
    fn catches(&self) -> bool {
        false
    }
}
