//! Records the operations of a closure as a graph. Nothing is computed and no tensor outside is touched: what the
//! closure changes (parameters, gradients) is kept beside them until a compiled call has succeeded.

use super::symbols::Symbols;
use crate::error::{Error, Result};
use crate::tensor::recorder::{Operand, Recorder, ScanBody, ScanSpec, SizeOp};
use crate::tensor::storage::Storage;
use crate::tensor::{Body, Dims, Flag, Size, Strides, Tensor, Traced, eval};
use allotrope_ir::{DType, Dim, Graph, InputKind, NodeId, Op, Scalar, Scan, Type, Value};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where an input of the captured graph comes from on a call.
#[derive(Clone)]
pub(super) enum Source {
    /// An argument of the closure.
    Arg(usize),
    /// A tensor from outside.
    State(Tensor),
    /// The gradient that a tensor from outside holds when the call begins.
    Grad(Tensor),
    /// The gradient that an argument holds when the call begins.
    ArgGrad(usize),
}

/// One graph under construction: the whole program, or the body of a loop.
struct Builder {
    /// The graph while it is open; afterwards it is in its node of the parent.
    graph: Option<Graph>,
    /// The builder around it, and (once closed) its scan node there.
    parent: Option<usize>,
    node: Option<NodeId>,
    /// For a loop: its operands in the parent, in the order of the body's inputs of each kind.
    carries: Vec<Value>,
    xs: Vec<Value>,
    invariants: Vec<Value>,
    /// Body inputs of each kind, as input numbers of the body graph.
    inputs: [Vec<usize>; 3],
    /// Values of the parent that are inputs here.
    imported: HashMap<Value, Value>,
    imported_xs: HashMap<Value, Value>,
    /// Values of a closed body that were recomputed in its parent.
    hoisted: HashMap<Value, Value>,
    length: Size,
    reverse: bool,
    /// The closed body that this one walks back through.
    mirror: Option<usize>,
}

/// A tensor from outside that the program reads or changes.
struct State {
    tensor: Tensor,
    /// Its value now, in the whole program's graph.
    value: Value,
    input: usize,
    changes: u32,
}

/// What the program knows of the gradient of a tensor from outside or of an argument.
struct GradState {
    tensor: Tensor,
    /// The argument's number.
    arg: Option<usize>,
    /// Whether there was one when the program first looked, where it looked before setting one.
    initially: Option<bool>,
    /// What it was then.
    given: Option<Value>,
    now: Option<Tensor>,
    changed: bool,
}

type StateKey = (usize, usize, Dims, Strides);

struct Inner {
    /// Identity of builder 0; builder i has `first + i`.
    first: u64,
    builders: Vec<Builder>,
    /// The open builders, innermost last.
    open: Vec<usize>,
    symbols: Symbols,
    sources: Vec<Source>,
    states: Vec<State>,
    by_key: HashMap<StateKey, usize>,
    flags: Vec<(Flag, bool)>,
    grads: Vec<GradState>,
    by_grad: HashMap<usize, usize>,
    /// The arguments by identity: number, and whether the caller's tensor has a gradient.
    args: HashMap<usize, (usize, bool)>,
    /// The caller's tensors that need gradients.
    callers: Vec<(usize, Tensor)>,
}

/// The recorder of one capture.
pub(super) struct Capture(RefCell<Inner>);

/// What a finished capture knows.
pub(super) struct Captured {
    pub(super) graph: Graph,
    pub(super) sources: Vec<Source>,
    pub(super) symbols: Symbols,
    /// Tensors whose gradient was looked at: whether there must be one when a call begins.
    pub(super) grad_guards: Vec<(Tensor, bool)>,
    /// The same for arguments, by number.
    pub(super) arg_grad_guards: Vec<(usize, bool)>,
    /// Switches that the program branched on.
    pub(super) flags: Vec<(Flag, bool)>,
    /// What becomes of the outputs, in order.
    pub(super) targets: Vec<Target>,
    /// Gradients that are none after the call.
    pub(super) cleared: Vec<Tensor>,
    /// Arguments whose gradients are.
    pub(super) cleared_args: Vec<usize>,
}

/// Where a result of the captured graph goes.
#[derive(Clone)]
pub(super) enum Target {
    /// Result number i of the closure.
    Return(usize),
    /// Elements of a tensor from outside.
    State { tensor: Tensor },
    /// The gradient of a tensor from outside.
    Grad(Tensor),
    /// The gradient of an argument.
    ArgGrad(usize),
}

/// A result of the closure.
pub(super) enum Returned {
    /// A computed value: the next output of the graph.
    Computed { requires_grad: bool },
    /// A tensor from outside, unchanged or updated: the caller gets the same handle.
    Same(Tensor),
}

impl Captured {
    /// What another recording of the same closure did otherwise, in words.
    pub(super) fn difference(&self, other: &Captured) -> Option<String> {
        if self.graph != other.graph {
            let (a, b) = (self.graph.to_string(), other.graph.to_string());
            let lines = a.lines().zip(b.lines()).find(|(a, b)| a != b);
            return Some(match lines {
                Some((a, b)) => format!("`{}` became `{}`", a.trim(), b.trim()),
                None => format!("{} operations became {}", self.graph.len(), other.graph.len()),
            });
        }
        let same = |(a, b): (&Source, &Source)| match (a, b) {
            (Source::Arg(a), Source::Arg(b)) | (Source::ArgGrad(a), Source::ArgGrad(b)) => a == b,
            (Source::State(a), Source::State(b)) | (Source::Grad(a), Source::Grad(b)) => {
                a.is_same(b) || Inner::key(a) == Inner::key(b)
            }
            _ => false,
        };
        match self.sources.iter().zip(&other.sources).all(same) {
            true => None,
            false => Some("it read another tensor from outside".to_string()),
        }
    }
}

impl Returned {
    /// What is otherwise about the results of another recording, in words.
    pub(super) fn difference(a: &[Returned], b: &[Returned]) -> Option<String> {
        let same = |(a, b): (&Returned, &Returned)| match (a, b) {
            (Returned::Computed { requires_grad: a }, Returned::Computed { requires_grad: b }) => a == b,
            // A handle may be new each time, as detach() gives it.
            (Returned::Same(a), Returned::Same(b)) => a.is_same(b) || Inner::key(a) == Inner::key(b),
            _ => false,
        };
        let equal = a.len() == b.len() && a.iter().zip(b).all(same);
        if equal { None } else { Some("it returned something else".to_string()) }
    }
}

static NEXT_SCOPE: AtomicU64 = AtomicU64::new(0);
/// Builders that one capture can have.
const SCOPES_PER_CAPTURE: u64 = 1 << 24;

impl Capture {
    pub(super) fn new() -> Capture {
        let first = NEXT_SCOPE.fetch_add(SCOPES_PER_CAPTURE, Ordering::Relaxed);
        let mut inner = Inner {
            first,
            builders: Vec::new(),
            open: Vec::new(),
            symbols: Symbols::default(),
            sources: Vec::new(),
            states: Vec::new(),
            by_key: HashMap::new(),
            flags: Vec::new(),
            grads: Vec::new(),
            by_grad: HashMap::new(),
            args: HashMap::new(),
            callers: Vec::new(),
        };
        inner.push_builder(Size::from(1), false, None);
        Capture(RefCell::new(inner))
    }

    /// A traced tensor for argument number `i`, every dimension symbolic.
    pub(super) fn argument(&self, i: usize, like: &Tensor) -> Tensor {
        let mut inner = self.0.borrow_mut();
        let sizes: SmallVec<[Size; 4]> = like.shape_hint().iter().map(|&n| inner.symbols.fresh(n)).collect();
        let ty = inner.ty(like.dtype(), &sizes);
        let value = inner.root().input(ty, InputKind::Arg, format!("arg{i}"));
        inner.sources.push(Source::Arg(i));
        let tensor = inner.tensor(like.dtype(), &sizes, 0, value, false);
        inner.args.insert(tensor.id(), (i, like.stored_grad().is_some()));
        if like.is_requires_grad() {
            inner.callers.push((i, like.clone()));
        }
        drop(inner);
        if like.is_requires_grad() {
            tensor.set_requires_grad(true);
        }
        tensor
    }

    /// Ends the capture: what the closure returned and changed becomes the outputs of the graph.
    pub(super) fn finish(self, returned: &[Tensor]) -> Result<(Captured, Vec<Returned>)> {
        let mut inner = self.0.into_inner();
        let mut targets = Vec::new();
        let mut results = Vec::new();
        for (i, t) in returned.iter().enumerate() {
            let outside = t.traced().is_none();
            if outside {
                results.push(Returned::Same(t.clone()));
                continue;
            }
            let value = inner.lift(t)?;
            inner.root().output(value);
            targets.push(Target::Return(i));
            results.push(Returned::Computed { requires_grad: t.is_requires_grad() });
        }
        for s in std::mem::take(&mut inner.states) {
            if s.changes > 0 {
                let dense = s.tensor.is_contiguous();
                match dense {
                    true => inner.root().update(s.input, s.value),
                    false => inner.root().output(s.value),
                }
                targets.push(Target::State { tensor: s.tensor });
            }
        }
        let mut grad_guards = Vec::new();
        let mut arg_grad_guards = Vec::new();
        let mut cleared = Vec::new();
        let mut cleared_args = Vec::new();
        for g in std::mem::take(&mut inner.grads) {
            match (g.arg, g.initially) {
                (Some(i), Some(some)) => arg_grad_guards.push((i, some)),
                (None, Some(some)) => grad_guards.push((g.tensor.clone(), some)),
                (_, None) => {}
            }
            // The gradient itself may have been changed in place.
            let in_place =
                g.now.as_ref().and_then(Tensor::traced).is_some_and(|t| g.given.is_some_and(|v| v != *t.value.lock()));
            match (&g.now, g.changed || in_place, g.arg) {
                (Some(now), true, arg) => {
                    let value = inner.lift(now)?;
                    inner.root().output(value);
                    targets.push(arg.map_or(Target::Grad(g.tensor), Target::ArgGrad));
                }
                (None, true, None) => cleared.push(g.tensor),
                (None, true, Some(i)) => cleared_args.push(i),
                (_, false, _) => {}
            }
        }
        let graph =
            inner.builders.swap_remove(0).graph.expect("the whole program is open until the end").inputs_first();
        let captured = Captured {
            graph,
            sources: inner.sources,
            symbols: inner.symbols,
            grad_guards,
            arg_grad_guards,
            flags: inner.flags,
            targets,
            cleared,
            cleared_args,
        };
        Ok((captured, results))
    }
}

impl Inner {
    fn push_builder(&mut self, length: Size, reverse: bool, mirror: Option<usize>) -> usize {
        let parent = self.open.last().copied();
        self.builders.push(Builder {
            graph: Some(Graph::new()),
            parent,
            node: None,
            carries: Vec::new(),
            xs: Vec::new(),
            invariants: Vec::new(),
            inputs: Default::default(),
            imported: HashMap::new(),
            imported_xs: HashMap::new(),
            hoisted: HashMap::new(),
            length,
            reverse,
            mirror,
        });
        let i = self.builders.len() - 1;
        self.open.push(i);
        i
    }

    fn current(&self) -> usize {
        *self.open.last().expect("the whole program is open")
    }

    fn root(&mut self) -> &mut Graph {
        self.graph(0)
    }

    /// The graph of a builder, open or closed.
    fn graph(&mut self, i: usize) -> &mut Graph {
        if self.builders[i].graph.is_some() {
            return self.builders[i].graph.as_mut().expect("just seen");
        }
        let (parent, node) = (self.builders[i].parent, self.builders[i].node);
        let (parent, node) = parent.zip(node).expect("a closed body has its node in its parent");
        match &mut self.graph(parent).node_mut(node).op {
            Op::Scan(scan) => &mut scan.body,
            _ => unreachable!("bug in allotrope: a loop's node is no scan"),
        }
    }

    fn ty(&self, dtype: DType, sizes: &[Size]) -> Type {
        Type { dtype, shape: sizes.iter().map(|&s| self.symbols.dim(s)).collect() }
    }

    fn tensor(&self, dtype: DType, sizes: &[Size], builder: usize, value: Value, is_view: bool) -> Tensor {
        let shape: Dims = sizes.iter().map(|s| s.hint()).collect();
        let traced = Traced {
            scope: self.first + builder as u64,
            value: Mutex::new(value),
            exprs: sizes.iter().map(|s| s.expr()).collect(),
            is_view,
            version: Arc::new(AtomicU32::new(0)),
            base: None,
        };
        Tensor::from_parts(dtype, shape, Body::Traced(traced))
    }

    /// The traced tensor for a value, with the sizes of its type.
    fn tensor_of(&mut self, builder: usize, value: Value, is_view: bool) -> Tensor {
        let ty = self.graph(builder).ty(value).clone();
        let sizes: SmallVec<[Size; 4]> = ty.shape.into_iter().map(|d| self.symbols.size(d)).collect();
        self.tensor(ty.dtype, &sizes, builder, value, is_view)
    }

    /// The builder of this capture that a traced tensor belongs to.
    fn builder_of(&self, t: &Traced) -> Result<usize> {
        match t.scope.checked_sub(self.first) {
            Some(i) if (i as usize) < self.builders.len() => Ok(i as usize),
            _ => Err(Error::Trace(
                "a value of another trace is used here; return it from that closure and pass it as an argument".into(),
            )),
        }
    }

    /// The value of a tensor in the innermost open graph.
    fn lift(&mut self, t: &Tensor) -> Result<Value> {
        let into = self.current();
        match t.body() {
            Body::Traced(traced) => {
                let from = self.builder_of(traced)?;
                if traced.base.is_some_and(|(slot, seen)| self.states[slot].changes != seen) {
                    return Err(Error::Trace(format!(
                        "a view of shape {:?} was taken before its tensor was changed in place; take it again after the change",
                        t.shape_hint()
                    )));
                }
                let value = *traced.value.lock();
                self.import(from, value, into)
            }
            Body::Strided(_) => {
                let slot = self.state(t)?;
                let value = self.states[slot].value;
                self.import(0, value, into)
            }
        }
    }

    fn key(t: &Tensor) -> StateKey {
        let s = t.strided().expect("a tensor from outside has storage");
        (Arc::as_ptr(&s.storage) as usize, s.offset, t.shape_hint().into(), s.strides.clone())
    }

    /// The state entry for a tensor from outside.
    fn state(&mut self, t: &Tensor) -> Result<usize> {
        let key = Self::key(t);
        if let Some(&slot) = self.by_key.get(&key) {
            let changed_elsewhere =
                |s: &State| s.changes > 0 && Self::key(&s.tensor).0 == key.0 && Self::key(&s.tensor) != key;
            if self.states.iter().any(changed_elsewhere) {
                return Err(overlap(t));
            }
            return Ok(slot);
        }
        if self.states.iter().any(|s| s.changes > 0 && Self::key(&s.tensor).0 == key.0) {
            return Err(overlap(t));
        }
        if let Some((i, _)) = self.callers.iter().find(|(_, caller)| caller.is_same(t)) {
            return Err(Error::Trace(format!(
                "argument {i} is also used from outside the closure, so its gradient would come in two parts; use it in one way only"
            )));
        }
        let ty = Type::new(t.dtype(), t.shape_hint().iter().map(|&n| Dim::fixed(n)));
        let input = self.sources.len();
        let name = format!("state{}", self.states.len());
        let value = self.root().input(ty, InputKind::State, name);
        // The handle kept must not keep the tape of the program alive: only elements matter.
        self.sources.push(Source::State(t.clone()));
        self.states.push(State { tensor: t.clone(), value, input, changes: 0 });
        self.by_key.insert(key, self.states.len() - 1);
        Ok(self.states.len() - 1)
    }

    /// The value `v` of builder `from` as a value of the open builder `into`.
    fn import(&mut self, from: usize, v: Value, into: usize) -> Result<Value> {
        if from == into {
            return Ok(v);
        }
        if self.encloses(from, into) {
            let parent = self.builders[into].parent.expect("an enclosed builder has a parent");
            let outer = self.import(from, v, parent)?;
            return Ok(self.import_from_parent(outer, parent, into));
        }
        self.import_from_closed(from, v, into)
    }

    fn encloses(&self, outer: usize, mut inner: usize) -> bool {
        while let Some(p) = self.builders[inner].parent {
            if p == outer {
                return true;
            }
            inner = p;
        }
        false
    }

    fn import_from_parent(&mut self, outer: Value, parent: usize, into: usize) -> Value {
        if let Some(&v) = self.builders[into].imported.get(&outer) {
            return v;
        }
        let ty = self.graph(parent).ty(outer).clone();
        let v = self.body_input(into, ty, 2, "outer");
        let b = &mut self.builders[into];
        b.invariants.push(outer);
        b.imported.insert(outer, v);
        v
    }

    fn body_input(&mut self, into: usize, ty: Type, kind: usize, name: &str) -> Value {
        let graph = self.graph(into);
        let number = graph.inputs().len();
        let v = graph.input(ty, InputKind::Arg, format!("{name}{number}"));
        self.builders[into].inputs[kind].push(number);
        v
    }

    /// A value of a loop body that has ended, used by the loop that walks back through it.
    fn import_from_closed(&mut self, from: usize, v: Value, into: usize) -> Result<Value> {
        let leaked = || {
            Error::Trace("a value of a loop body is used outside the loop; give it back from the body instead".into())
        };
        let parent = self.builders[from].parent.ok_or_else(leaked)?;
        self.builders[from].node.ok_or_else(leaked)?;
        let input = self.graph(from).inputs().iter().position(|i| i.node == v.node);
        if let Some(number) = input {
            let b = &self.builders[from];
            let at = |kind: usize| b.inputs[kind].iter().position(|&n| n == number);
            if let Some(i) = at(2) {
                let outer = b.invariants[i];
                return self.import(parent, outer, into);
            }
            if let Some(i) = at(1) {
                let outer = b.xs[i];
                return self.import_element(from, parent, outer, into, leaked);
            }
        } else if let Some(outer) = self.hoist(from, parent, v)? {
            return self.import(parent, outer, into);
        }
        let node = self.builders[from].node.expect("seen above");
        let collected = self.collected(parent, node, v);
        self.import_element(from, parent, collected, into, leaked)
    }

    /// The collected value of body value `v`, one more result of its loop where it is none yet.
    fn collected(&mut self, parent: usize, node: NodeId, v: Value) -> Value {
        let graph = self.graph(parent);
        if let Op::Scan(scan) = &graph.node(node).op
            && let Some(port) = scan.body.outputs().iter().skip(scan.carries).position(|o| o.value == v)
        {
            return Value { node, port: (scan.carries + port) as u32 };
        }
        graph.grow_scan(node, v)
    }

    /// The element for this step of `outer`, which is collected over the loop `from`.
    fn import_element(
        &mut self,
        from: usize,
        parent: usize,
        outer: Value,
        into: usize,
        leaked: impl Fn() -> Error,
    ) -> Result<Value> {
        let mut walker = into;
        while self.builders[walker].mirror != Some(from) {
            walker = self.builders[walker].parent.ok_or_else(&leaked)?;
        }
        let around = self.builders[walker].parent.expect("a loop has a builder around it");
        let outer = self.import(parent, outer, around)?;
        let element = match self.builders[walker].imported_xs.get(&outer) {
            Some(&v) => v,
            None => {
                let mut ty = self.graph(around).ty(outer).clone();
                ty.shape.remove(0);
                let v = self.body_input(walker, ty, 1, "x");
                let b = &mut self.builders[walker];
                b.xs.push(outer);
                b.imported_xs.insert(outer, v);
                v
            }
        };
        self.import(walker, element, into)
    }

    /// Body value `v` recomputed in the parent, where it depends on nothing that the loop changes.
    fn hoist(&mut self, from: usize, parent: usize, v: Value) -> Result<Option<Value>> {
        if let Some(&outer) = self.builders[from].hoisted.get(&v) {
            return Ok(Some(outer));
        }
        let input = self.graph(from).inputs().iter().position(|i| i.node == v.node);
        if let Some(number) = input {
            let b = &self.builders[from];
            return Ok(b.inputs[2].iter().position(|&n| n == number).map(|i| b.invariants[i]));
        }
        let op = self.graph(from).node(v.node).op.clone();
        if matches!(op, Op::Scan(_) | Op::Fusion(_)) {
            return Ok(None);
        }
        let mut operands: SmallVec<[Value; 4]> = SmallVec::new();
        for operand in self.graph(from).operands(v.node) {
            match self.hoist(from, parent, operand)? {
                Some(outer) => operands.push(outer),
                None => return Ok(None),
            }
        }
        let outer = self.graph(parent).op(op, &operands)?;
        self.builders[from].hoisted.insert(v, outer);
        Ok(Some(outer))
    }

    /// Rewrites every open graph after symbols were solved; closed ones are inside them.
    fn rewrite(&mut self) {
        let symbols = &self.symbols;
        for b in &mut self.builders {
            if let Some(graph) = &mut b.graph {
                graph.resolve(&|d| symbols.resolve(d));
            }
        }
    }

    fn add(&mut self, op: Op, operands: &[Value]) -> Result<Value> {
        let at = self.current();
        Ok(self.graph(at).op(op, operands)?)
    }

    fn full(&mut self, shape: &[Dim], value: Scalar) -> Result<Value> {
        let at = self.current();
        let scalar = self.graph(at).constant(value);
        match shape.is_empty() {
            true => Ok(scalar),
            false => self.add(Op::Broadcast(shape.iter().cloned().collect()), &[scalar]),
        }
    }
}

fn overlap(t: &Tensor) -> Error {
    Error::Trace(format!(
        "a tensor of shape {:?} shares storage with another one that the trace changes in place through a different view; change and read it through one view, or clone() it",
        t.shape_hint()
    ))
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
        let shaped = values.iter().find(|v| v.node != NodeId(u32::MAX)).copied();
        for (operand, value) in operands.iter().zip(&mut values) {
            if let Operand::Scalar(s) = operand {
                let shape = shaped.map(|v| inner.graph(at).ty(v).shape.clone()).unwrap_or_default();
                *value = inner.full(&shape, *s)?;
            }
        }
        let op = op.map_dims(&mut |s| inner.symbols.dim(*s));
        let is_view = matches!(op, Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. });
        let value = inner.add(op, &values)?;
        let mut result = inner.tensor_of(at, value, is_view);
        if is_view
            && let Operand::Tensor(source) = operands[0]
            && let Some(view) = Arc::get_mut(&mut result.0)
        {
            match source.traced() {
                Some(source) => view.share_version(source),
                None => {
                    let slot = inner.state(source)?;
                    view.set_base((slot, inner.states[slot].changes));
                }
            }
        }
        Ok(result)
    }

    fn full(&self, sizes: &[Size], value: Scalar) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let shape: SmallVec<[Dim; 4]> = sizes.iter().map(|&s| inner.symbols.dim(s)).collect();
        let value = inner.full(&shape, value)?;
        Ok(inner.tensor_of(at, value, false))
    }

    fn extent(&self, size: Size) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let value = match inner.symbols.dim(size) {
            Dim::Fixed(n) => inner.graph(at).constant(Scalar::I64(n)),
            dim => inner.add(Op::Extent(dim), &[])?,
        };
        Ok(inner.tensor_of(at, value, false))
    }

    fn assign(&self, target: &Tensor, value: &Tensor) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let new = inner.lift(value)?;
        match target.body() {
            Body::Traced(t) => {
                if let Some((i, _)) = inner.args.get(&target.id()) {
                    return Err(Error::Trace(format!(
                        "argument {i} is changed in place, which would not reach the caller's tensor; return the new value, or let the closure use the tensor from outside"
                    )));
                }
                if inner.builder_of(t)? != at {
                    return Err(Error::Trace(
                        "a value from outside a loop can't be changed in place inside it; carry it".into(),
                    ));
                }
                if t.is_view || Arc::strong_count(&t.version) > 1 {
                    return Err(Error::Trace(format!(
                        "a tensor of shape {:?} that has views (or is kept for a derivative) is changed in place; use the plain operation instead",
                        target.shape_hint()
                    )));
                }
                *t.value.lock() = new;
                t.version.fetch_add(1, Ordering::Relaxed);
            }
            Body::Strided(strided) => {
                eval::check_apart(target.shape_hint(), &strided.strides)?;
                if at != 0 {
                    return Err(Error::Trace(
                        "a tensor from outside a loop can't be changed in place inside it; carry it".into(),
                    ));
                }
                let slot = inner.state(target)?;
                let state = &mut inner.states[slot];
                state.value = new;
                state.changes += 1;
            }
        }
        Ok(())
    }

    fn version(&self, tensor: &Tensor) -> u32 {
        match tensor.body() {
            Body::Traced(t) => {
                let outside = t.base.map_or(0, |(slot, _)| self.0.borrow().states[slot].changes);
                t.version.load(Ordering::Relaxed) + outside
            }
            Body::Strided(s) => {
                let inner = self.0.borrow();
                let storage: *const Storage = Arc::as_ptr(&s.storage);
                let here = |t: &State| t.tensor.strided().is_some_and(|s| Arc::as_ptr(&s.storage) == storage);
                let changes: u32 = inner.states.iter().filter(|t| t.changes > 0 && here(t)).map(|t| t.changes).sum();
                s.storage.version() + changes
            }
        }
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
        let has = arg.map_or_else(|| tensor.stored_grad().is_some(), |(_, has)| has);
        // A gradient has the dtype and the shape of its tensor.
        let given = has.then(|| {
            let ty = inner.ty(tensor.dtype(), &tensor.sizes());
            let name = format!("grad{}", inner.grads.len());
            let kind = if arg.is_some() { InputKind::Arg } else { InputKind::State };
            let value = inner.root().input(ty, kind, name);
            inner.sources.push(arg.map_or_else(|| Source::Grad(tensor.clone()), |(i, _)| Source::ArgGrad(i)));
            value
        });
        let now = given.map(|value| inner.tensor_of(0, value, false));
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
                inner.tensor_of(at, value, false)
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
        let body = inner.push_builder(spec.length, spec.reverse, mirror);
        let mut inside = ScanBody { carries: Vec::new(), xs: Vec::new(), scope: inner.first + body as u64 };
        for &v in &carries {
            let ty = inner.graph(parent).ty(v).clone();
            let value = inner.body_input(body, ty, 0, "carry");
            inside.carries.push(inner.tensor_of(body, value, false));
        }
        for &v in &xs {
            let mut ty = inner.graph(parent).ty(v).clone();
            ty.shape.remove(0);
            let value = inner.body_input(body, ty, 1, "x");
            inner.builders[body].imported_xs.insert(v, value);
            inside.xs.push(inner.tensor_of(body, value, false));
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
        let body = inner.open.pop().expect("a loop is open");
        let parent = inner.current();
        let length = inner.symbols.dim(inner.builders[body].length);
        let b = &mut inner.builders[body];
        let mut graph = b.graph.take().expect("the loop is open");
        let order: Vec<usize> = b.inputs.concat();
        graph.order_inputs(&order);
        // The inputs have moved: carries first, then xs, then what comes from outside.
        let mut at = 0;
        for kind in &mut b.inputs {
            for number in kind {
                *number = at;
                at += 1;
            }
        }
        let operands: Vec<Value> = [b.carries.as_slice(), &b.xs, &b.invariants].concat();
        let scan = Scan { body: graph, carries: b.carries.len(), xs: b.xs.len(), length, reverse: b.reverse };
        let node = inner.graph(parent).add(Op::Scan(Box::new(scan)), &operands)?;
        inner.builders[body].node = Some(node);
        let mut result = |port: usize| inner.tensor_of(parent, Value { node, port: port as u32 }, false);
        let finals = (0..carries.len()).map(&mut result).collect();
        let stacked = (carries.len()..carries.len() + ys.len()).map(&mut result).collect();
        Ok((finals, stacked))
    }

    fn scan_abandon(&self) {
        self.0.borrow_mut().open.pop();
    }

    fn flag(&self, flag: &Flag) {
        self.0.borrow_mut().flags.push((flag.clone(), flag.peek()));
    }

    fn host_read(&self, what: &str, at: &'static Location<'static>) -> Error {
        Error::Trace(format!(
            "{what} at {at} is not known while a trace is recorded: the compiled program would have one call's numbers built in. \
             Return the tensor from the closure and read it after the call, pass data as an argument, or choose with where_self() instead of `if`"
        ))
    }
}
