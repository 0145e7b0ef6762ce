//! The state of a running capture: graphs under construction, tensors from outside and what the program did to them.
//! It decides nothing of its own; the recorder asks and tells.

use super::captured::{Source, Whose};
use super::draws::Item;
use super::layout::Demand;
use super::symbols::Symbols;
use crate::error::{Error, Result};
use crate::tensor::anchor::Anchor;
use crate::tensor::grad_fn::Edge;
use crate::tensor::recorder::{Cell, Root};
use crate::tensor::setting::HostValue;
use crate::tensor::view::Link;
use crate::tensor::{Body, Dims, Size, Strides, Tensor, Traced, contiguous_strides};
use allotrope_ir::{DType, Dim, Graph, InputKind, NodeId, Op, Scalar, Trip, Type, Value};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// One graph under construction: the whole program, or the body of a loop.
#[derive(Clone)]
pub(super) struct Builder {
    /// The graph while it is open; afterwards it is in its node of the parent.
    pub(super) graph: Option<Graph>,
    /// The builder around it, and (once closed) its scan node there.
    pub(super) parent: Option<usize>,
    pub(super) node: Option<NodeId>,
    /// For a loop: its operands in the parent, in the order of the body's inputs of each kind.
    pub(super) carries: Vec<Value>,
    pub(super) xs: Vec<Value>,
    pub(super) invariants: Vec<Value>,
    /// Body inputs of each kind, as input numbers of the body graph.
    pub(super) inputs: [Vec<usize>; 3],
    /// Values of the parent that are inputs here.
    pub(super) imported: HashMap<Value, Value>,
    pub(super) imported_xs: HashMap<Value, Value>,
    /// Values of a closed body that were recomputed in its parent.
    pub(super) hoisted: HashMap<Value, Value>,
    pub(super) length: Size,
    pub(super) reverse: bool,
    pub(super) trip: Trip,
    /// For a counted loop: its number of steps, in the parent.
    pub(super) count: Option<Value>,
    /// The closed body that this one walks back through.
    pub(super) mirror: Option<usize>,
    /// Carries that draws rely on to lie in row-major order.
    pub(super) asked: Vec<usize>,
}

/// A tensor from outside that the program reads or changes.
#[derive(Clone)]
pub(super) struct State {
    pub(super) tensor: Tensor,
    /// Its value now, in the whole program's graph.
    pub(super) value: Value,
    pub(super) input: usize,
    pub(super) changes: u32,
}

/// What the program knows of the gradient of a tensor from outside or of an argument.
#[derive(Clone)]
pub(super) struct GradState {
    pub(super) tensor: Tensor,
    /// The argument's number.
    pub(super) arg: Option<usize>,
    /// Whether there was one when the program first looked, where it looked before setting one.
    pub(super) initially: Option<bool>,
    /// What it was then.
    pub(super) given: Option<Value>,
    pub(super) now: Option<Tensor>,
    pub(super) changed: bool,
}

/// A part of the program that is computed again.
#[derive(Clone)]
pub(super) struct Again {
    number: u32,
    /// The builder in which it is, and the first node that it could make there.
    at: usize,
    first: NodeId,
    /// Builders from here on are inside.
    first_builder: usize,
    /// What it uses from before, and as what.
    barriers: HashMap<Value, Value>,
}

pub(super) type StateKey = (usize, usize, Dims, Strides);

#[derive(Clone)]
pub(super) struct Inner {
    /// Nothing of the recording is kept.
    pub(super) forgetful: bool,
    /// Identity of builder 0; builder i has `first + i`.
    pub(super) first: u64,
    pub(super) builders: Vec<Builder>,
    /// The open builders, innermost last.
    pub(super) open: Vec<usize>,
    pub(super) symbols: Symbols,
    pub(super) sources: Vec<Source>,
    pub(super) states: Vec<State>,
    pub(super) by_key: HashMap<StateKey, usize>,
    /// What the program read of the host.
    pub(super) host_values: Vec<Arc<dyn HostValue>>,
    /// What it set there.
    pub(super) effects: Vec<Arc<dyn HostValue>>,
    /// The caller's arguments.
    pub(super) given: Vec<Tensor>,
    /// Arguments whose layout the program asked for.
    pub(super) layouts: Vec<usize>,
    /// Arguments that it compared with other tensors, and the answers.
    pub(super) identities: Vec<(usize, Whose, bool)>,
    /// Tensors from outside that it asked whether they need gradients, by identity.
    pub(super) wishes: FxHashMap<usize, (Anchor, bool)>,
    /// Tensors over elements from outside that it made, by identity.
    pub(super) made: FxHashMap<usize, Anchor>,
    /// The parts that are being computed again, innermost last.
    pub(super) again: Vec<Again>,
    /// How many there were.
    pub(super) barriers: u32,
    pub(super) grads: Vec<GradState>,
    pub(super) by_grad: HashMap<usize, usize>,
    /// The arguments by identity: number, and whether the caller's tensor has a gradient.
    pub(super) args: HashMap<usize, (usize, bool)>,
    /// The arguments by the identity of their elements.
    pub(super) args_by_cell: HashMap<usize, (Arc<Cell>, usize)>,
    /// The caller's tensors that need gradients.
    pub(super) callers: Vec<(usize, Tensor)>,
    /// Nodes of the tape with a smaller number were there before.
    pub(super) first_seq: u64,
    /// What is drawn, for each open builder.
    pub(super) draws: Vec<Vec<Item>>,
    /// What must hold of memory for the draws to be those of the eager mode.
    pub(super) demands: Vec<Demand>,
    /// The values that elements had before they were changed in place, by their identity.
    pub(super) first_values: HashMap<usize, (Arc<Cell>, Value)>,
    /// In-place changes that storages from outside had had when they were first asked: what is recorded later sees them
    /// as they were.
    pub(super) versions: HashMap<usize, u32>,
    /// The edges by which the tape leads out of the program, by node and result, with the tensors whose history they are.
    pub(super) ways_out: HashMap<(usize, u32), (Edge, Tensor)>,
    /// The arguments that need gradients, by number, with whether the program depended on what history they have.
    pub(super) asked: Vec<(usize, Arc<AtomicBool>)>,
    /// Nodes of the whole program with a smaller number have run when what is recorded now runs: nothing that they
    /// computed can be changed in place. 0 while the closure is recorded.
    pub(super) sealed: u32,
}

impl Inner {
    pub(super) fn push_builder(&mut self, length: Size, reverse: bool, mirror: Option<usize>) -> usize {
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
            trip: Trip::All,
            count: None,
            mirror,
            asked: Vec::new(),
        });
        self.draws.push(Vec::new());
        let i = self.builders.len() - 1;
        self.open.push(i);
        i
    }

    pub(super) fn current(&self) -> usize {
        *self.open.last().expect("the whole program is open")
    }

    pub(super) fn root(&mut self) -> &mut Graph {
        self.graph(0)
    }

    /// The graph of a builder, open or closed.
    pub(super) fn graph(&mut self, i: usize) -> &mut Graph {
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

    pub(super) fn ty(&self, dtype: DType, sizes: &[Size]) -> Type {
        Type { dtype, shape: sizes.iter().map(|&s| self.symbols.dim(s)).collect() }
    }

    pub(super) fn tensor(&self, dtype: DType, sizes: &[Size], builder: usize, value: Value) -> Tensor {
        let shape: Dims = sizes.iter().map(|s| s.hint()).collect();
        let strides = contiguous_strides(&shape);
        let traced = Traced {
            strides,
            scope: self.first + builder as u64,
            exprs: sizes.iter().map(|s| s.expr().number).collect(),
            root: Root::Traced(Arc::new(Cell {
                scope: self.first + builder as u64,
                value: Mutex::new(value),
                version: AtomicU32::new(0),
            })),
            path: None,
            seen: Mutex::new((value, 0)),
        };
        Tensor::from_parts(dtype, shape, Body::Traced(traced))
    }

    /// The traced tensor for a value, with the sizes of its type.
    pub(super) fn tensor_of(&mut self, builder: usize, value: Value) -> Tensor {
        let ty = self.graph(builder).ty(value).clone();
        let sizes: SmallVec<[Size; 4]> = ty.shape.into_iter().map(|d| self.symbols.size(d)).collect();
        self.tensor(ty.dtype, &sizes, builder, value)
    }

    pub(super) fn again_begin(&mut self) {
        let at = self.current();
        let first = NodeId(self.graph(at).len() as u32);
        let first_builder = self.builders.len();
        self.again.push(Again { number: self.barriers, at, first, first_builder, barriers: HashMap::new() });
        self.barriers += 1;
    }

    /// The value `v` of builder `from` as a value of the innermost open one. Where a part of the program is computed
    /// again, what it uses from before goes through a barrier.
    fn bring(&mut self, from: usize, v: Value) -> Result<Value> {
        let into = self.current();
        let Some(again) = self.again.last() else { return self.import(from, v, into) };
        let at = again.at;
        if from >= again.first_builder || (from == at && v.node >= again.first) {
            return self.import(from, v, into);
        }
        let here = self.import(from, v, at)?;
        let again = self.again.last().expect("just seen");
        let behind = match again.barriers.get(&here) {
            Some(&behind) => behind,
            None => {
                let op = Op::Barrier(again.number);
                let behind = self.graph(at).op(op, &[here])?;
                self.again.last_mut().expect("just seen").barriers.insert(here, behind);
                behind
            }
        };
        self.import(at, behind, into)
    }

    /// The builder of this capture that a traced tensor belongs to.
    pub(super) fn builder_of(&self, scope: u64) -> Result<usize> {
        match scope.checked_sub(self.first) {
            Some(i) if (i as usize) < self.builders.len() => Ok(i as usize),
            _ => Err(Error::Trace(
                "a value of another trace is used here; return it from that closure and pass it as an argument".into(),
            )),
        }
    }

    /// The value of a tensor in the innermost open graph.
    pub(super) fn lift(&mut self, t: &Tensor) -> Result<Value> {
        let into = self.current();
        match t.body() {
            Body::Traced(traced) => {
                let from = self.builder_of(traced.scope)?;
                let Some(path) = &traced.path else { return self.lift_root(&traced.root) };
                let version = self.version_of(&traced.root);
                let (value, seen) = *traced.seen.lock();
                if seen == version {
                    return self.bring(from, value);
                }
                // The root was changed in place since: look at it again.
                let root = self.lift_root(&traced.root)?;
                let value = self.follow(root, path)?;
                // A walk back is recorded on a copy, whose values the tensor must not remember.
                if from == into && self.sealed == 0 {
                    *traced.seen.lock() = (value, version);
                }
                Ok(value)
            }
            Body::Strided(_) => match t.view_of() {
                Some(view) => {
                    let base = self.lift(&view.base)?;
                    self.follow(base, &view.path)
                }
                None => {
                    let slot = self.state(t)?;
                    let value = self.states[slot].value;
                    self.bring(0, value)
                }
            },
        }
    }

    /// The elements themselves, however they are seen.
    fn lift_root(&mut self, root: &Root) -> Result<Value> {
        match root {
            Root::Outside(t) => self.lift(t),
            Root::Traced(cell) => {
                let from = self.builder_of(cell.scope)?;
                let value = *cell.value.lock();
                self.bring(from, value)
            }
        }
    }

    /// A value of the innermost open graph seen through a view's steps.
    fn follow(&mut self, mut value: Value, path: &Arc<Link>) -> Result<Value> {
        for step in path.steps() {
            if let Op::Gather { .. } = step.op {
                return Err(Error::Trace(
                    "a diagonal or strided view was taken before its tensor was changed in place; take it again after the change".into(),
                ));
            }
            let op = step.op.map_dims(&mut |s| self.symbols.dim(*s));
            value = self.add(op, &[value])?;
        }
        Ok(value)
    }

    /// In-place changes of a root so far, those of the capture included.
    pub(super) fn version_of(&mut self, root: &Root) -> u32 {
        match root {
            Root::Traced(cell) => cell.version.load(Ordering::Relaxed),
            Root::Outside(t) => self.outside_version(t),
        }
    }

    /// In-place changes of a tensor from outside so far, those of the capture included.
    pub(super) fn outside_version(&mut self, t: &Tensor) -> u32 {
        let Some(s) = t.strided() else { return 0 };
        let storage = Arc::as_ptr(&s.storage);
        let here = |t: &State| t.tensor.strided().is_some_and(|s| Arc::as_ptr(&s.storage) == storage);
        let changes: u32 = self.states.iter().filter(|t| t.changes > 0 && here(t)).map(|t| t.changes).sum();
        *self.versions.entry(storage as usize).or_insert_with(|| s.storage.version()) + changes
    }

    pub(super) fn key(t: &Tensor) -> StateKey {
        let s = t.strided().expect("a tensor from outside has storage");
        (Arc::as_ptr(&s.storage) as usize, s.offset, t.shape_hint().into(), s.strides.clone())
    }

    /// The state entry for a tensor from outside.
    pub(super) fn state(&mut self, t: &Tensor) -> Result<usize> {
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
        self.sources.push(Source::State(Anchor::new(t.clone())));
        self.states.push(State { tensor: t.clone(), value, input, changes: 0 });
        self.by_key.insert(key, self.states.len() - 1);
        Ok(self.states.len() - 1)
    }

    /// Rewrites every open graph after symbols were solved; closed ones are inside them.
    pub(super) fn rewrite(&mut self) {
        let symbols = &self.symbols;
        for b in &mut self.builders {
            if let Some(graph) = &mut b.graph {
                graph.resolve(&|d| symbols.resolve(d));
            }
        }
    }

    pub(super) fn add(&mut self, op: Op, operands: &[Value]) -> Result<Value> {
        let at = self.current();
        Ok(self.graph(at).op(op, operands)?)
    }

    pub(super) fn full(&mut self, shape: &[Dim], value: Scalar) -> Result<Value> {
        let at = self.current();
        let scalar = self.graph(at).constant(value);
        match shape.is_empty() {
            true => Ok(scalar),
            false => self.add(Op::Broadcast(shape.iter().cloned().collect()), &[scalar]),
        }
    }
}

pub(super) fn overlap(t: &Tensor) -> Error {
    Error::Trace(format!(
        "a tensor of shape {:?} shares storage with another one that the trace changes in place through a different view; change and read it through one view, or clone() it",
        t.shape_hint()
    ))
}
