//! Records the operations of a closure as a graph. Nothing is computed and no tensor outside is touched: what the
//! closure changes (parameters, gradients) is kept beside them until a compiled call has succeeded.

use super::captured::{Captured, Returned, Source, Target, Whose};
use super::draws::{Draws, Item};
use super::inner::{GradState, Inner};
use super::stage::Recorded;
use super::symbols::Symbols;
use crate::autograd::is_grad_enabled;
use crate::autograd::tape::{self, next_seq, own_edge};
use crate::error::{Error, Result};
use crate::tensor::anchor::Anchor;
use crate::tensor::grad_fn::Edge;
use crate::tensor::hooks::GradientHook;
use crate::tensor::recorder::{
    Draw, Operand, Recorder, Root, Rounds, SCOPES_PER_CAPTURE, ScanBody, ScanSpec, SizeOp, capture_of,
};
use crate::tensor::setting::HostValue;
use crate::tensor::view::Link;
use crate::tensor::{Body, Generator, Size, Tensor, eval};
use allotrope_ir::{Dim, InputKind, NodeId, Op, Scalar, Trip, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The recorder of one capture.
pub(super) struct Capture(pub(super) RefCell<Inner>);

/// What a hook or a derivative may not do when the gradient comes from outside of the trace.
fn late(what: &str) -> Error {
    Error::Trace(format!(
        "{what} would be changed in place on the way back, by a hook or a derivative of the user's, where the gradient comes \
         from outside of the traced function; compute a new tensor instead, or call backward() inside the closure"
    ))
}

/// Whether somebody looks at the gradient of an argument on its way outside.
pub(super) fn is_watched(arg: &Tensor) -> bool {
    match arg.grad_fn() {
        None => arg.has_leaf_hooks(),
        Some(edge) => arg.retains_grad() || edge.node().hooks().and_then(|h| h.get()).is_some_and(|h| !h.is_empty()),
    }
}

/// The history that argument `i` has inside, where it has one outside that is not in the trace: a walk inside ends here.
fn entrance(i: usize) -> Edge {
    let node = tape::node("TraceInput", SmallVec::new(), false, move |_, _| {
        Err(Error::Trace(format!(
            "backward() inside the closure comes to argument {i}, which was computed from tensors that need gradients: that \
             history is not in the trace. Call backward() after the call, or pass the argument with detach()"
        )))
    });
    Edge::new(node, 0)
}

/// Sees the gradient of argument `i` in a walk inside. The capture then holds only for arguments with a history of that
/// kind; and compiled code stands for all of them, so nobody can look at the gradient who is one tensor's own.
fn reached(i: usize, watched: bool, asked: Arc<AtomicBool>) -> GradientHook {
    Arc::new(move |_| {
        asked.store(true, Ordering::Relaxed);
        match watched {
            false => None,
            true => panic!(
                "argument {i} has hooks on its gradient, or keeps it; register them inside the closure, or let it use the tensor from outside"
            ),
        }
    })
}

static NEXT_SCOPE: AtomicU64 = AtomicU64::new(0);

impl Capture {
    /// One whose recording nobody looks at.
    pub(super) fn forgetful() -> Capture {
        let capture = Capture::new();
        capture.0.borrow_mut().forgetful = true;
        capture
    }

    pub(super) fn new() -> Capture {
        let first = NEXT_SCOPE.fetch_add(SCOPES_PER_CAPTURE, Ordering::Relaxed);
        let mut inner = Inner {
            forgetful: false,
            first,
            builders: Vec::new(),
            open: Vec::new(),
            symbols: Symbols::new(capture_of(first)),
            sources: Vec::new(),
            states: Vec::new(),
            by_key: HashMap::new(),
            host_values: Vec::new(),
            effects: Vec::new(),
            again: Vec::new(),
            given: Vec::new(),
            layouts: Vec::new(),
            identities: Vec::new(),
            wishes: FxHashMap::default(),
            made: FxHashMap::default(),
            barriers: 0,
            grads: Vec::new(),
            by_grad: HashMap::new(),
            args: HashMap::new(),
            args_by_cell: HashMap::new(),
            callers: Vec::new(),
            first_seq: next_seq(),
            draws: Vec::new(),
            demands: Vec::new(),
            first_values: HashMap::new(),
            versions: HashMap::new(),
            ways_out: HashMap::new(),
            asked: Vec::new(),
            sealed: 0,
        };
        inner.push_builder(Size::from(1), false, None);
        Capture(RefCell::new(inner))
    }

    /// A traced tensor for argument number `i`, every dimension symbolic.
    pub(super) fn argument(&self, i: usize, like: &Tensor) -> Tensor {
        let mut inner = self.0.borrow_mut();
        let axes = like.shape_hint().iter().enumerate();
        let sizes: SmallVec<[Size; 4]> = axes.map(|(axis, &n)| inner.symbols.fresh(n, i, axis)).collect();
        let ty = inner.ty(like.dtype(), &sizes);
        let value = inner.root().input(ty, InputKind::Arg, format!("arg{i}"));
        inner.sources.push(Source::Arg(i));
        inner.given.resize_with(i, || like.clone());
        inner.given.push(like.clone());
        let mut tensor = inner.tensor(like.dtype(), &sizes, 0, value);
        if let Some(Body::Traced(t)) = Arc::get_mut(&mut tensor.0).map(|inner| inner.body_mut()) {
            t.strides = like.strides();
        }
        inner.args.insert(tensor.id(), (i, like.has_grad()));
        if let Some(Root::Traced(cell)) = tensor.traced().map(|t| &t.root) {
            inner.args_by_cell.insert(Arc::as_ptr(cell) as usize, (Arc::clone(cell), i));
        }
        if like.is_requires_grad() {
            inner.callers.push((i, like.clone()));
        }
        drop(inner);
        if !like.is_requires_grad() {
            return tensor;
        }
        let watched = is_watched(like);
        let hooks = match like.is_leaf() && !watched {
            true => {
                tensor.set_requires_grad(true);
                tensor.leaf_hooks(true)
            }
            false => {
                let edge = entrance(i);
                let hooks = edge.hooks().cloned();
                tensor.set_grad_fn(Some(edge));
                hooks
            }
        };
        let asked = Arc::<AtomicBool>::default();
        hooks.iter().for_each(|h| drop(h.add_gradient(0, reached(i, watched, Arc::clone(&asked)))));
        self.0.borrow_mut().asked.push((i, asked));
        tensor
    }

    /// The results that are computed, each once.
    pub(super) fn computed(&self, returned: &[Tensor]) -> Vec<Tensor> {
        let inner = self.0.borrow();
        let mut computed: Vec<Tensor> = Vec::new();
        for t in returned.iter().filter(|t| t.traced().is_some() && !inner.args.contains_key(&t.id())) {
            if !computed.iter().any(|c| c.is_same(t)) {
                computed.push(t.clone());
            }
        }
        computed
    }

    /// Ends the capture: what the closure returned and changed becomes the outputs of the graph.
    pub(super) fn finish(self, returned: &[Tensor], recorded: Option<Recorded>) -> Result<(Captured, Vec<Returned>)> {
        let mut inner = self.0.into_inner();
        let mut targets = Vec::new();
        let mut results = Vec::new();
        for (i, t) in returned.iter().enumerate() {
            let outside = t.traced().is_none();
            if outside {
                results.push(Returned::Same(Anchor::new(t.clone())));
                continue;
            }
            if let Some(&(arg, _)) = inner.args.get(&t.id()) {
                results.push(Returned::Arg(arg));
                continue;
            }
            if let Some(first) = returned[..i].iter().position(|r| r.is_same(t)) {
                results.push(Returned::Again(first));
                continue;
            }
            let value = inner.lift(t)?;
            inner.root().output(value);
            targets.push(Target::Return);
            results.push(Returned::Computed { requires_grad: t.is_requires_grad() });
        }
        let mut arguments: Vec<_> = std::mem::take(&mut inner.args_by_cell).into_values().collect();
        arguments.sort_unstable_by_key(|(_, arg)| *arg);
        for (cell, arg) in arguments {
            if cell.version.load(Ordering::Relaxed) > 0 {
                let value = *cell.value.lock();
                inner.root().output(value);
                targets.push(Target::Arg(arg));
            }
        }
        for s in std::mem::take(&mut inner.states) {
            if s.changes > 0 {
                let dense = s.tensor.is_contiguous();
                match dense {
                    true => inner.root().update(s.input, s.value),
                    false => inner.root().output(s.value),
                }
                targets.push(Target::State { tensor: Anchor::new(s.tensor) });
            }
        }
        let mut grad_guards = Vec::new();
        let mut arg_grad_guards = Vec::new();
        let mut cleared = Vec::new();
        let mut cleared_args = Vec::new();
        for g in std::mem::take(&mut inner.grads) {
            match (g.arg, g.initially) {
                (Some(i), Some(some)) => arg_grad_guards.push((i, some)),
                (None, Some(some)) => grad_guards.push((Anchor::new(g.tensor.clone()), some)),
                (_, None) => {}
            }
            // The gradient itself may have been changed in place.
            let in_place = match (g.now.as_ref().and_then(Tensor::traced).map(|t| &t.root), g.given) {
                (Some(Root::Traced(cell)), Some(given)) => given != *cell.value.lock(),
                _ => false,
            };
            match (&g.now, g.changed || in_place, g.arg) {
                (Some(now), true, arg) => {
                    let value = inner.lift(now)?;
                    inner.root().output(value);
                    targets.push(arg.map_or_else(|| Target::Grad(Anchor::new(g.tensor)), Target::ArgGrad));
                }
                (None, true, None) => cleared.push(Anchor::new(g.tensor)),
                (None, true, Some(i)) => cleared_args.push(i),
                (_, false, _) => {}
            }
        }
        for &value in recorded.iter().flat_map(|r| &r.outputs) {
            inner.root().output(value);
            targets.push(Target::Keep);
        }
        let graph =
            inner.builders.swap_remove(0).graph.expect("the whole program is open until the end").inputs_first();
        let draws = Draws::new(&mut inner, &graph);
        let captured = Captured {
            graph,
            draws,
            sources: inner.sources,
            symbols: inner.symbols,
            grad_guards,
            arg_grad_guards,
            host_values: inner.host_values,
            effects: inner.effects,
            layouts: inner.layouts,
            identities: inner.identities,
            wishes: inner.wishes.into_values().collect(),
            targets,
            cleared,
            cleared_args,
            asked: inner.asked.iter().filter(|(_, asked)| asked.load(Ordering::Relaxed)).map(|(i, _)| *i).collect(),
            recorded,
        };
        Ok((captured, results))
    }
}

impl Recorder for Capture {
    fn size_arith(&self, op: SizeOp, a: Size, b: Size) -> Size {
        self.0.borrow_mut().symbols.arith(op, a, b)
    }

    fn proven_equal(&self, a: Size, b: Size) -> bool {
        let inner = self.0.borrow();
        inner.symbols.dim(a) == inner.symbols.dim(b)
    }

    fn unify(&self, a: Size, b: Size, at: &'static Location<'static>) {
        let mut inner = self.0.borrow_mut();
        if inner.symbols.unify(a, b, at) {
            inner.rewrite();
        }
    }

    fn specialize(&self, size: Size, why: &str, at: &'static Location<'static>) {
        let mut inner = self.0.borrow_mut();
        if inner.symbols.specialize(size, why, at) {
            inner.rewrite();
        }
    }

    fn at_least(&self, size: Size, least: usize) {
        self.0.borrow_mut().symbols.at_least(size, least);
    }

    fn divided(&self, size: Size, by: usize) -> Option<Size> {
        self.0.borrow_mut().symbols.divided(size, by)
    }

    fn record(&self, op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let mut values: SmallVec<[Value; 4]> = SmallVec::new();
        for operand in operands {
            // A number has the shape of the tensor beside it, which comes later when the number is first.
            values.push(match operand {
                Operand::Tensor(t) => inner.lift(t)?,
                Operand::Scalar(_) => Value { node: NodeId(u32::MAX), port: 0 },
            });
        }
        // It held the first time, or the call has failed.
        if let (Op::Check(_), false) = (op, inner.again.is_empty()) {
            return Ok(inner.tensor_of(at, values[0]));
        }
        let shaped = values.iter().find(|v| v.node != NodeId(u32::MAX)).copied();
        for (operand, value) in operands.iter().zip(&mut values) {
            if let Operand::Scalar(s) = operand {
                let shape = shaped.map(|v| inner.graph(at).ty(v).shape.clone()).unwrap_or_default();
                *value = inner.full(&shape, *s)?;
            }
        }
        let op = op.map_dims(&mut |s| inner.symbols.dim(*s));
        let value = inner.add(op, &values)?;
        Ok(inner.tensor_of(at, value))
    }

    fn full(&self, sizes: &[Size], value: Scalar) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let shape: SmallVec<[Dim; 4]> = sizes.iter().map(|&s| inner.symbols.dim(s)).collect();
        let value = inner.full(&shape, value)?;
        Ok(inner.tensor_of(at, value))
    }

    fn extent(&self, size: Size) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let value = match inner.symbols.dim(size) {
            Dim::Fixed(n) => inner.graph(at).constant(Scalar::I64(n)),
            dim => inner.add(Op::Extent(dim), &[])?,
        };
        Ok(inner.tensor_of(at, value))
    }

    fn root_of(&self, target: &Tensor) -> Result<(Tensor, Option<Arc<Link>>)> {
        let mut inner = self.0.borrow_mut();
        let Some(traced) = target.traced() else {
            return Ok(match target.view_of() {
                Some(view) => (view.base.clone(), Some(Arc::clone(&view.path))),
                None => (target.clone(), None),
            });
        };
        Ok(match (&traced.root, &traced.path) {
            (_, None) => (target.clone(), None),
            (Root::Outside(t), Some(path)) => (t.clone(), Some(Arc::clone(path))),
            (Root::Traced(cell), Some(path)) => {
                let builder = inner.builder_of(cell.scope)?;
                let value = *cell.value.lock();
                let mut root = inner.tensor_of(builder, value);
                if let Some(Body::Traced(t)) = Arc::get_mut(&mut root.0).map(|i| i.body_mut()) {
                    t.root = Root::Traced(Arc::clone(cell));
                }
                (root, Some(Arc::clone(path)))
            }
        })
    }

    fn note_view(&self, view: &Tensor) {
        if let Some(t) = view.traced() {
            let version = self.0.borrow_mut().version_of(&t.root);
            t.seen.lock().1 = version;
        }
    }

    fn assign(&self, root: &Tensor, value: &Tensor) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let new = inner.lift(value)?;
        match root.body() {
            Body::Traced(t) => {
                let Root::Traced(cell) = &t.root else { unreachable!("bug in allotrope: a root is a view") };
                let arg = inner.args_by_cell.get(&(Arc::as_ptr(cell) as usize)).map(|(_, i)| *i);
                let has_history = |i: usize| inner.callers.iter().any(|(j, _)| *j == i) || value.is_requires_grad();
                if is_grad_enabled() && arg.is_some_and(has_history) {
                    return Err(Error::Trace(format!(
                        "an argument of shape {:?} would be changed where it has a derivative before or after, and its history outside stays as it is; detach() both or do it under no_grad(|| ..)",
                        root.shape_hint()
                    )));
                }
                if inner.builder_of(cell.scope)? != at {
                    return Err(Error::Trace(
                        "a value from outside a loop can't be changed in place inside it; carry it".into(),
                    ));
                }
                if at == 0 && cell.value.lock().node.0 < inner.sealed {
                    return Err(late("a value of the traced function"));
                }
                let before = std::mem::replace(&mut *cell.value.lock(), new);
                let key = Arc::as_ptr(cell) as usize;
                inner.first_values.entry(key).or_insert_with(|| (Arc::clone(cell), before));
                cell.version.fetch_add(1, Ordering::Relaxed);
            }
            Body::Strided(strided) => {
                eval::check_apart(root.shape_hint(), &strided.strides)?;
                if inner.sealed > 0 {
                    return Err(late("a tensor from outside"));
                }
                if at != 0 {
                    return Err(Error::Trace(
                        "a tensor from outside a loop can't be changed in place inside it; carry it".into(),
                    ));
                }
                let slot = inner.state(root)?;
                let state = &mut inner.states[slot];
                state.value = new;
                state.changes += 1;
            }
        }
        Ok(())
    }

    fn version(&self, tensor: &Tensor) -> u32 {
        let mut inner = self.0.borrow_mut();
        match tensor.body() {
            Body::Traced(t) => inner.version_of(&t.root),
            Body::Strided(_) => inner.outside_version(tensor),
        }
    }

    fn asks_history(&self, tensor: &Tensor) {
        let inner = self.0.borrow();
        let arg = inner.args.get(&tensor.id()).map(|(i, _)| *i);
        if let Some((_, asked)) = inner.asked.iter().find(|(i, _)| Some(*i) == arg) {
            asked.store(true, Ordering::Relaxed);
        }
    }

    fn leads_out(&self, edge: &Edge, tensor: &Tensor) {
        let way = || (edge.to_output(edge.output), tensor.clone());
        self.0.borrow_mut().ways_out.entry((edge.id(), edge.output)).or_insert_with(way);
    }

    fn first_seq(&self) -> u64 {
        self.0.borrow().first_seq
    }

    fn grad(&self, tensor: &Tensor) -> Option<Tensor> {
        let mut inner = self.0.borrow_mut();
        let arg = inner.args.get(&tensor.id()).copied();
        if tensor.traced().is_some() && arg.is_none() {
            return tensor.stored_grad();
        }
        if let Some(&i) = inner.by_grad.get(&tensor.id()) {
            return inner.grads[i].now.clone();
        }
        let has = arg.map_or_else(|| tensor.has_grad(), |(_, has)| has);
        // A gradient has the dtype and the shape of its tensor.
        let given = has.then(|| {
            let ty = inner.ty(tensor.dtype(), &tensor.sizes());
            let name = format!("grad{}", inner.grads.len());
            let kind = if arg.is_some() { InputKind::Arg } else { InputKind::State };
            let value = inner.root().input(ty, kind, name);
            inner
                .sources
                .push(arg.map_or_else(|| Source::Grad(Anchor::new(tensor.clone())), |(i, _)| Source::ArgGrad(i)));
            value
        });
        let now = given.map(|value| inner.tensor_of(0, value));
        inner.grads.push(GradState {
            tensor: tensor.clone(),
            arg: arg.map(|(i, _)| i),
            initially: Some(has),
            given,
            now: now.clone(),
            changed: false,
        });
        let i = inner.grads.len() - 1;
        inner.by_grad.insert(tensor.id(), i);
        now
    }

    fn set_grad(&self, tensor: &Tensor, grad: Option<Tensor>) {
        // With a history where it can be differentiated again.
        let history = grad.as_ref().and_then(own_edge);
        let mut inner = self.0.borrow_mut();
        let arg = inner.args.get(&tensor.id()).map(|(i, _)| *i);
        if tensor.traced().is_some() && arg.is_none() {
            return tensor.store_grad(grad);
        }
        let i = match inner.by_grad.get(&tensor.id()) {
            Some(&i) => i,
            None => {
                inner.grads.push(GradState {
                    tensor: tensor.clone(),
                    arg,
                    initially: None,
                    given: None,
                    now: None,
                    changed: false,
                });
                let i = inner.grads.len() - 1;
                inner.by_grad.insert(tensor.id(), i);
                i
            }
        };
        // The gradient is what these elements are now, whatever is done to a tensor from outside later.
        let now = grad.map(|g| match inner.lift(&g) {
            Ok(value) => {
                let at = inner.current();
                let now = inner.tensor_of(at, value);
                now.set_grad_fn(history.clone());
                now
            }
            Err(_) => g,
        });
        let state = &mut inner.grads[i];
        state.now = now;
        state.changed = true;
    }

    fn scan_begin(&self, spec: &ScanSpec<'_>) -> Result<ScanBody> {
        let mut inner = self.0.borrow_mut();
        let parent = inner.current();
        let carries = spec.carries.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        let xs = spec.xs.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        let mirror = spec.mirror.map(|scope| (scope - inner.first) as usize);
        let (trip, limit, count) = match spec.rounds {
            Rounds::All(length) => (Trip::All, length, None),
            Rounds::Count { n, limit } => (Trip::Count, limit, Some(inner.lift(n)?)),
            Rounds::While => (Trip::While, inner.symbols.room(), None),
        };
        if let Some(walked) = mirror {
            inner.bound(walked);
        }
        let body = inner.push_builder(limit, spec.reverse, mirror);
        (inner.builders[body].trip, inner.builders[body].count) = (trip, count);
        let mut inside = ScanBody { carries: Vec::new(), xs: Vec::new(), scope: inner.first + body as u64, limit };
        for &v in &carries {
            let ty = inner.graph(parent).ty(v).clone();
            let value = inner.body_input(body, ty, 0, "carry");
            inside.carries.push(inner.tensor_of(body, value));
        }
        for &v in &xs {
            let mut ty = inner.graph(parent).ty(v).clone();
            ty.shape.remove(0);
            let value = inner.body_input(body, ty, 1, "x");
            inner.builders[body].imported_xs.insert(v, value);
            inside.xs.push(inner.tensor_of(body, value));
        }
        inner.builders[body].carries = carries;
        inner.builders[body].xs = xs;
        Ok(inside)
    }

    fn scan_end(&self, carries: &[Tensor], ys: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let mut inner = self.0.borrow_mut();
        for t in carries.iter().chain(ys) {
            let value = inner.lift(t)?;
            let at = inner.current();
            inner.graph(at).output(value);
        }
        let body = inner.current();
        inner.carried_in_order(body, carries)?;
        let results = inner.close_loop()?;
        let (finals, stacked) = results.split_at(carries.len());
        Ok((finals.to_vec(), stacked.to_vec()))
    }

    fn branch_end(&self, results: &[Tensor], otherwise: Option<&[Tensor]>) -> Result<Vec<Tensor>> {
        let mut inner = self.0.borrow_mut();
        let body = inner.current();
        for t in results {
            let value = inner.lift(t)?;
            let ty = inner.graph(body).ty(value).clone();
            inner.graph(body).output(value);
            inner.body_input(body, ty, 0, "otherwise");
        }
        // What it begins with is computed around it.
        inner.open.pop();
        let begin = match otherwise {
            Some(tensors) => tensors.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>(),
            None => results
                .iter()
                .map(|t| {
                    let ty = inner.ty(t.dtype(), &t.sizes());
                    inner.full(&ty.shape, Scalar::from_f64(0.0, ty.dtype))
                })
                .collect(),
        };
        inner.open.push(body);
        inner.builders[body].carries = begin?;
        inner.close_loop()
    }

    fn scan_abandon(&self) {
        let mut inner = self.0.borrow_mut();
        if let Some(body) = inner.open.pop() {
            inner.end_draws(body);
        }
    }

    fn catches(&self) -> bool {
        self.0.try_borrow().map_or(true, |inner| !inner.forgetful)
    }

    fn layout_asked(&self, of: Option<&Tensor>) {
        let mut inner = self.0.borrow_mut();
        let Some(t) = of else {
            inner.layouts = (0..inner.given.len()).collect();
            return;
        };
        // A value that was computed is dense whatever the arguments are.
        if let Some(Root::Traced(cell)) = t.traced().map(|t| &t.root)
            && let Some((_, arg)) = inner.args_by_cell.get(&(Arc::as_ptr(cell) as usize))
        {
            let arg = *arg;
            inner.layouts.push(arg);
        }
    }

    fn is_same(&self, a: &Tensor, b: &Tensor) -> bool {
        // The capture itself asks too, about handles only.
        let Ok(mut inner) = self.0.try_borrow_mut() else { return false };
        let arg = |t: &Tensor| inner.args.get(&t.id()).map(|(i, _)| *i);
        let (which, other) = match (arg(a), arg(b)) {
            (Some(i), Some(j)) => (i.max(j), Whose::Arg(i.min(j))),
            (Some(i), None) if b.strided().is_some() => (i, Whose::Outside(Anchor::new(b.clone()))),
            (None, Some(j)) if a.strided().is_some() => (j, Whose::Outside(Anchor::new(a.clone()))),
            _ => return false,
        };
        let given = |i: usize| &inner.given[i];
        let same = match &other {
            Whose::Arg(i) => given(which).id() == given(*i).id(),
            Whose::Outside(t) => given(which).id() == t.id(),
        };
        inner.identities.push((which, other, same));
        same
    }

    fn wish_asked(&self, outside: &Tensor, answer: bool) {
        let Ok(mut inner) = self.0.try_borrow_mut() else { return };
        if !inner.made.contains_key(&outside.id()) {
            inner.wishes.entry(outside.id()).or_insert_with(|| (Anchor::new(outside.clone()), answer));
        }
    }

    fn note_new(&self, alias: &Tensor) {
        if let Ok(mut inner) = self.0.try_borrow_mut() {
            inner.made.insert(alias.id(), Anchor::new(alias.clone()));
        }
    }

    fn is_new(&self, tensor: &Tensor) -> bool {
        self.0.borrow().made.contains_key(&tensor.id())
    }

    fn host_value(&self, seen: Arc<dyn HostValue>) -> Option<Arc<dyn HostValue>> {
        let mut inner = self.0.borrow_mut();
        if let Some(set) = inner.effects.iter().find(|e| e.id() == seen.id()) {
            return Some(Arc::clone(set));
        }
        // Another thread may set it while this is recorded: the first answer is the one that the trace holds for.
        if let Some(known) = inner.host_values.iter().find(|g| g.id() == seen.id()) {
            return Some(Arc::clone(known));
        }
        inner.host_values.push(seen);
        None
    }

    fn set_host_value(&self, new: Arc<dyn HostValue>) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        let known = inner.effects.iter().position(|e| e.id() == new.id());
        let unchanged = known.is_some_and(|i| inner.effects[i].is_same(&*new));
        if inner.current() != 0 && !unchanged {
            return Err(Error::Trace(
                "a Setting can't be set inside the body of a loop, which is recorded once for all steps; carry a tensor".into(),
            ));
        }
        match known {
            Some(i) => inner.effects[i] = new,
            None => inner.effects.push(new),
        }
        Ok(())
    }

    fn draw(&self, draw: &Draw<'_>) -> Result<(Tensor, usize)> {
        self.0.borrow_mut().draw(draw)
    }

    fn again_begin(&self) {
        self.0.borrow_mut().again_begin();
    }

    fn again_end(&self) {
        self.0.borrow_mut().again.pop();
    }

    fn reseed(&self, generator: &Generator, seed: u64) {
        crate::error::must(self.0.borrow().draws_known("manual_seed()"));
        self.0.borrow_mut().note(Item::Seed { generator: generator.clone(), seed });
    }

    fn in_order(&self, what: &'static str, like: &Tensor, whole: bool) -> Result<()> {
        self.0.borrow_mut().in_order(what, like, whole)
    }

    fn host_read(&self, what: &str, at: &'static Location<'static>) -> Error {
        Error::Trace(format!(
            "{what} at {at} is not known while a trace is recorded: the compiled program would have one call's numbers built in. \
             Return the tensor from the closure and read it after the call, pass data as an argument, or choose with where_self() instead of `if`"
        ))
    }
}
