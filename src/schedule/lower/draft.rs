//! Elementwise nodes, and fusions of them with broadcasts and reductions, as one [`Kernel`]: expressions over an
//! iteration space. It decides nothing of memory: destinations are given to [`Draft::finish`].

use crate::schedule::buffer::ScalarId;
use crate::schedule::kernel::{Expr, ExprId, ExprKind, Kernel, Store};
use crate::schedule::view::{View, collapse, is_one, is_zero, numel};
use allotrope_ir::{BinaryOp, DType, Dim, Graph, Op, ReduceOp, Shape, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};

/// For each axis of a value, the axis of the iteration space that walks it (none: its first element) and where that
/// begins.
type Map = SmallVec<[(Option<usize>, Dim); 4]>;

fn identity(rank: usize) -> Map {
    (0..rank).map(|a| (Some(a), Dim::Fixed(0))).collect()
}

/// A kernel whose results have no place yet.
pub struct Draft {
    shape: Shape,
    /// Axes of `shape` from here on are reduced.
    kept: usize,
    exprs: Vec<Expr>,
    /// For each result of the node: what it is.
    pub results: Vec<ExprId>,
    /// What a value is where it is walked by a map.
    memo: FxHashMap<Value, SmallVec<[(Map, ExprId); 1]>>,
}

/// Where a result goes.
pub struct Dest {
    pub view: Option<View>,
    pub in_place: bool,
    pub scalar: Option<ScalarId>,
}

/// Drafts the kernel that computes `results` of `g`, where `known` gives the values that exist already.
/// None where that needs more than one nest of loops.
pub fn draft(g: &Graph, known: &dyn Fn(Value) -> Option<View>, results: &[Value]) -> Option<Draft> {
    let (shape, kept) = space(g, known, results)?;
    let mut d = Draft { shape, kept, exprs: Vec::new(), results: Vec::new(), memo: FxHashMap::default() };
    for &v in results {
        let shape = &g.ty(v).shape;
        let fits = *shape == d.shape || (shape[..] == d.shape[..d.kept] && d.kept < d.shape.len());
        let expr = if fits { d.pull(g, known, v, &identity(shape.len()))? } else { return None };
        d.results.push(expr);
    }
    // What needs a reduction's result and also walks the reduced axes would need a second pass.
    d.exprs.iter().all(|e| !e.reduced || e.depth <= d.kept).then_some(d)
}

/// The iteration space: the operand of the reductions where there are any, else the shape of the results.
fn space(g: &Graph, known: &dyn Fn(Value) -> Option<View>, results: &[Value]) -> Option<(Shape, usize)> {
    let mut stack: Vec<Value> = results.to_vec();
    let mut seen: FxHashSet<Value> = FxHashSet::default();
    let mut found: Option<(Shape, usize)> = None;
    while let Some(v) = stack.pop() {
        if !seen.insert(v) {
            continue;
        }
        if known(v).is_some() {
            continue;
        }
        if let Op::Reduce { axes, .. } = &g.node(v.node).op {
            let shape = g.ty(g.operands(v.node)[0]).shape.clone();
            let kept = shape.len() - axes.len();
            let suffix = axes.iter().copied().eq(kept..shape.len()) && !axes.is_empty();
            if !suffix || found.as_ref().is_some_and(|f| *f != (shape.clone(), kept)) {
                return None;
            }
            found = Some((shape, kept));
        }
        stack.extend(g.operands(v.node));
    }
    if found.is_none() {
        let shape = g.ty(*results.first()?).shape.clone();
        let rank = shape.len();
        found = Some((shape, rank));
    }
    found
}

impl Draft {
    /// The kernel that only copies.
    pub fn copy(from: &View, shape: &[Dim]) -> Draft {
        let shape: Shape = shape.iter().cloned().collect();
        let (kept, dtype) = (shape.len(), from.dtype);
        let mut d = Draft { shape, kept, exprs: Vec::new(), results: Vec::new(), memo: FxHashMap::default() };
        let mut leaf = from.clone();
        for (n, s) in d.shape.iter().zip(&mut leaf.strides) {
            if is_one(n) {
                *s = Dim::Fixed(0);
            }
        }
        let e = d.push(ExprKind::Leaf(leaf), dtype);
        d.results.push(e);
        d
    }

    /// The kernel that adds two values of one shape.
    pub fn sum(a: &View, b: &View) -> Draft {
        let mut d = Draft::copy(a, &a.shape);
        let second = Draft::copy(b, &b.shape).exprs.remove(0);
        d.exprs.push(second);
        let sum = ExprKind::Binary(BinaryOp::Add, ExprId(0), ExprId(1));
        d.results[0] = d.push(sum, a.dtype);
        d
    }

    /// What it reads; strides along its axes.
    pub fn leaves(&self) -> impl Iterator<Item = &View> {
        self.exprs.iter().filter_map(|e| if let ExprKind::Leaf(v) = &e.kind { Some(v) } else { None })
    }

    fn push(&mut self, kind: ExprKind, dtype: DType) -> ExprId {
        let mut e = Expr { kind, dtype, depth: 0, reduced: false };
        match &e.kind {
            ExprKind::Leaf(v) => e.depth = depth_of(v),
            ExprKind::Reduce(..) => (e.depth, e.reduced) = (self.kept, true),
            _ => {
                for a in e.args() {
                    let a = &self.exprs[a.0 as usize];
                    e.depth = e.depth.max(a.depth);
                    e.reduced |= a.reduced;
                }
            }
        }
        self.exprs.push(e);
        ExprId(self.exprs.len() as u32 - 1)
    }

    /// A cast; one from or to a half-precision float goes through f32.
    fn cast(&mut self, a: ExprId, to: DType) -> ExprId {
        let from = self.exprs[a.0 as usize].dtype;
        if from != to && to != DType::F32 && (from.is_half() || (to.is_half() && from != DType::F32)) {
            let wide = self.cast(a, DType::F32);
            return self.cast(wide, to);
        }
        let kind = match from {
            _ if from == to => ExprKind::Cast(a),
            _ if from.is_half() => ExprKind::Widen(a),
            _ if to.is_half() => ExprKind::Narrow(a),
            _ => ExprKind::Cast(a),
        };
        self.push(kind, to)
    }

    /// The view that a value is, where it is nothing but a view of known values.
    fn view_of(&self, g: &Graph, known: &dyn Fn(Value) -> Option<View>, v: Value) -> Option<View> {
        known(v).or_else(|| match &g.node(v.node).op {
            op @ (Op::Const(_) | Op::Extent(_) | Op::Iota(_)) => View::of_op(op, None),
            op @ (Op::Broadcast(_)
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Slice { .. }
            | Op::Flip(_)
            | Op::Window { .. }) => View::of_op(op, Some(&self.view_of(g, known, g.operands(v.node)[0])?)),
            Op::Input | Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) => None,
            Op::Concat { .. }
            | Op::Reduce { .. }
            | Op::Matmul
            | Op::AddMatmul
            | Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::ArgReduce { .. }
            | Op::ArgSort { .. }
            | Op::Recurrence { .. }
            | Op::OverlapAdd { .. }
            | Op::Check(_)
            | Op::Barrier(_)
            | Op::Fusion(_)
            | Op::Scan(_) => None,
        })
    }

    fn pull(&mut self, g: &Graph, known: &dyn Fn(Value) -> Option<View>, v: Value, map: &Map) -> Option<ExprId> {
        if let Some((_, e)) = self.memo.get(&v).and_then(|known| known.iter().find(|(m, _)| m == map)) {
            return Some(*e);
        }
        let ty = g.ty(v);
        let expr = if let Some(view) = self.view_of(g, known, v) {
            let mut leaf =
                View { shape: self.shape.clone(), strides: smallvec![Dim::Fixed(0); self.shape.len()], ..view.clone() };
            for ((axis, start), stride) in map.iter().zip(&view.strides) {
                leaf.offset = &leaf.offset + &(start * stride);
                if let Some(axis) = *axis {
                    leaf.strides[axis] = &leaf.strides[axis] + stride;
                }
            }
            // A stride along an axis of one element means nothing; without it the value depends on less.
            for (n, s) in self.shape.iter().zip(&mut leaf.strides) {
                if is_one(n) {
                    *s = Dim::Fixed(0);
                }
            }
            self.push(ExprKind::Leaf(leaf), ty.dtype)
        } else {
            let operands = g.operands(v.node);
            let arg = |d: &mut Draft, i: usize| d.pull(g, known, operands[i], map);
            match &g.node(v.node).op {
                Op::Unary(op) => {
                    let a = arg(self, 0)?;
                    self.push(ExprKind::Unary(*op, a), ty.dtype)
                }
                Op::Binary(op) => {
                    let (a, b) = (arg(self, 0)?, arg(self, 1)?);
                    self.push(ExprKind::Binary(*op, a, b), ty.dtype)
                }
                Op::Compare(op) => {
                    let (a, b) = (arg(self, 0)?, arg(self, 1)?);
                    self.push(ExprKind::Compare(*op, a, b), ty.dtype)
                }
                Op::Select => {
                    let (a, b, c) = (arg(self, 0)?, arg(self, 1)?, arg(self, 2)?);
                    self.push(ExprKind::Select(a, b, c), ty.dtype)
                }
                Op::Cast(_) => {
                    let a = arg(self, 0)?;
                    self.cast(a, ty.dtype)
                }
                Op::Reduce { op, .. } => {
                    let whole = map.iter().enumerate().all(|(i, m)| *m == (Some(i), Dim::Fixed(0)));
                    if !whole || map.len() != self.kept {
                        return None;
                    }
                    let a = self.pull(g, known, operands[0], &identity(self.shape.len()))?;
                    self.push(ExprKind::Reduce(*op, a), ty.dtype)
                }
                op @ (Op::Broadcast(_) | Op::Permute(_) | Op::Slice { .. } | Op::Reshape(_)) => {
                    let from = &g.ty(operands[0]).shape;
                    let map = map_through(op, from, &ty.shape, map)?;
                    return self.pull(g, known, operands[0], &map);
                }
                // Of what is computed on the way, a kernel can walk only what is a place for each of its own positions.
                Op::Input | Op::Const(_) | Op::Extent(_) | Op::Iota(_) | Op::Flip(_) | Op::Window { .. } => {
                    return None;
                }
                Op::Concat { .. }
                | Op::Matmul
                | Op::AddMatmul
                | Op::Gather { .. }
                | Op::Scatter { .. }
                | Op::ArgReduce { .. }
                | Op::ArgSort { .. }
                | Op::Recurrence { .. }
                | Op::OverlapAdd { .. }
                | Op::Check(_)
                | Op::Barrier(_)
                | Op::Fusion(_)
                | Op::Scan(_) => return None,
            }
        };
        self.memo.entry(v).or_default().push((map.clone(), expr));
        Some(expr)
    }

    /// Whether result `i` has one element under every binding: it may then stay in a register.
    pub fn is_single(&self, i: usize) -> bool {
        let e = &self.exprs[self.results[i].0 as usize];
        let until = if e.reduced { self.kept } else { self.shape.len() };
        self.shape[..until].iter().all(is_one)
    }

    /// The names of its operations, in order, as people read them.
    pub fn ops(&self) -> String {
        let names: Vec<&str> = self.exprs.iter().filter_map(|e| name_of(&e.kind)).collect();
        if names.is_empty() { "copy".to_string() } else { names.join(" ") }
    }

    /// Floating-point or integer operations, and bytes read and written, per call.
    pub fn cost(&self, dests: &[Dest]) -> (Dim, Dim) {
        let (mut flops, mut bytes) = (Dim::Fixed(0), Dim::Fixed(0));
        for e in &self.exprs {
            let depth = if let ExprKind::Reduce(..) = e.kind { self.shape.len() } else { e.depth };
            match &e.kind {
                ExprKind::Leaf(v) if v.buf().is_some() => {
                    let n = self.shape.iter().zip(&v.strides).filter(|(_, s)| !is_zero(s));
                    let n = n.fold(Dim::Fixed(v.dtype.size() as i64), |n, (d, _)| &n * d);
                    bytes = &bytes + &n;
                }
                ExprKind::Leaf(_) => {}
                _ => flops = &flops + &numel(&self.shape[..depth]),
            }
        }
        for v in dests.iter().filter_map(|d| d.view.as_ref()) {
            bytes = &bytes + &v.shape.iter().fold(Dim::Fixed(v.dtype.size() as i64), |n, d| &n * d);
        }
        (flops, bytes)
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The kernel, with its results going to `dests`.
    pub fn finish(self, number: usize, dests: Vec<Dest>) -> Kernel {
        let Draft { shape: mut axes, kept, mut exprs, results, .. } = self;
        let rank = axes.len();
        let mut stores = Vec::new();
        let mut scalars = Vec::new();
        for (expr, dest) in results.into_iter().zip(dests) {
            if let Some(mut view) = dest.view {
                view.strides.resize(rank, Dim::Fixed(0));
                for (n, s) in axes.iter().zip(&mut view.strides) {
                    if is_one(n) {
                        *s = Dim::Fixed(0);
                    }
                }
                stores.push(Store { expr, view, in_place: dest.in_place });
            }
            scalars.extend(dest.scalar.map(|s| (expr, s)));
        }
        let reduces = exprs.iter().any(|e| matches!(e.kind, ExprKind::Reduce(..)));
        let mut strides: Vec<&mut Shape> = Vec::new();
        for e in &mut exprs {
            if let ExprKind::Leaf(v) = &mut e.kind {
                strides.push(&mut v.strides);
            }
        }
        strides.extend(stores.iter_mut().map(|s| &mut s.view.strides));
        let kept = collapse(&mut axes, &mut strides, kept);
        if reduces && kept == axes.len() {
            // A reduction of one element is still one: rounding and signs are the kernel's.
            axes.push(Dim::Fixed(1));
            strides.iter_mut().for_each(|s| s.push(Dim::Fixed(0)));
        }
        for i in 0..exprs.len() {
            exprs[i].depth = match &exprs[i].kind {
                ExprKind::Leaf(v) => depth_of(v),
                ExprKind::Reduce(..) => kept,
                _ => exprs[i].args().iter().map(|a| exprs[a.0 as usize].depth).max().unwrap_or(0),
            };
        }
        Kernel { axes, kept, exprs, stores, results: scalars, number }
    }
}

fn name_of(kind: &ExprKind) -> Option<&'static str> {
    Some(match kind {
        ExprKind::Leaf(_) => return None,
        ExprKind::Unary(op, _) => op.name(),
        ExprKind::Binary(op, ..) => op.name(),
        ExprKind::Compare(op, ..) => op.name(),
        ExprKind::Select(..) => "select",
        ExprKind::Cast(_) => "cast",
        ExprKind::Widen(_) => "widen",
        ExprKind::Narrow(_) => "narrow",
        ExprKind::Reduce(op, _) => match op {
            ReduceOp::Sum => "sum",
            ReduceOp::Max => "amax",
            ReduceOp::Min => "amin",
        },
    })
}

fn depth_of(v: &View) -> usize {
    v.strides.iter().rposition(|s| !is_zero(s)).map_or(0, |a| a + 1)
}

/// How a view operation's operand is walked where its result is walked by `map`.
fn map_through(op: &Op, from: &[Dim], to: &[Dim], map: &Map) -> Option<Map> {
    Some(match op {
        Op::Broadcast(_) => {
            let lead = to.len() - from.len();
            let axis = |i: usize| if from[i] == to[i + lead] { map[i + lead].clone() } else { (None, Dim::Fixed(0)) };
            (0..from.len()).map(axis).collect()
        }
        Op::Permute(axes) => {
            let mut m = identity(from.len());
            axes.iter().enumerate().for_each(|(i, &a)| m[a] = map[i].clone());
            m
        }
        Op::Slice { axis, start, .. } => {
            let mut m = map.clone();
            m[*axis].1 = &m[*axis].1 + start;
            m
        }
        Op::Reshape(_) => {
            // Only axes of one element come and go.
            let mut old = (0..to.len()).filter(|&i| !is_one(&to[i]));
            let mut m = Map::new();
            for n in from {
                if is_one(n) {
                    m.push((None, Dim::Fixed(0)));
                } else {
                    let i = old.next().filter(|&i| to[i] == *n)?;
                    m.push(map[i].clone());
                }
            }
            if old.next().is_some() {
                return None;
            }
            m
        }
        Op::Flip(_) | Op::Window { .. } | Op::Input | Op::Const(_) | Op::Extent(_) | Op::Iota(_) => return None,
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) => return None,
        Op::Concat { .. }
        | Op::Reduce { .. }
        | Op::Matmul
        | Op::AddMatmul
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::ArgReduce { .. }
        | Op::ArgSort { .. }
        | Op::Recurrence { .. }
        | Op::OverlapAdd { .. }
        | Op::Check(_)
        | Op::Barrier(_)
        | Op::Fusion(_)
        | Op::Scan(_) => return None,
    })
}
