//! A fused kernel as Cranelift IR: the nest of loops, the blocks of its innermost axis, and the calls of the library between
//! the passes over one. A pass is in [`crate::backend::cpu::passes`]. No sum is ever accumulated here.

use crate::backend::cpu::arith::Lanes;
use crate::backend::cpu::block_plan::{Block, BlockPlan, Call, is_call};
use crate::backend::cpu::calls::{self, Function};
use crate::backend::cpu::emit::{Emitter, mem};
use crate::backend::cpu::pack::Width;
use crate::kernels::{Family, KernelId};
use crate::schedule::{Base, BufId, Expr, ExprId, ExprKind, Kernel, View, divisor, gcd, is_one, is_zero};
use allotrope_ir::{Dim, ReduceOp};
use cranelift::prelude::*;

/// What is known while a kernel is emitted.
pub struct Run<'a> {
    pub k: &'a Kernel,
    pub p: &'a BlockPlan,
    /// Values of expressions that the innermost axis does not change.
    pub values: Vec<Option<Value>>,
    /// For each expression that is a leaf: its address at the current position (its position, for an iota).
    pub leaves: Vec<Option<Value>>,
    pub stores: Vec<Value>,
}

/// Elements of a pass over the innermost axis.
#[derive(Copy, Clone)]
pub enum Len {
    Fixed(i64),
    /// A multiple of the second, which is not 0.
    Value(Value, i64),
}

impl Emitter<'_> {
    pub fn kernel(&mut self, k: &Kernel) {
        let p = self.input.plans.of_kernel(k);
        let none = |n: &Dim| is_zero(n);
        let nothing = if p.states.is_empty() { k.axes.iter().any(none) } else { k.axes[..k.kept].iter().any(none) };
        if nothing && k.results.is_empty() {
            return;
        }
        let mut run = Run { k, p, values: vec![None; k.exprs.len()], leaves: Vec::new(), stores: Vec::new() };
        for e in &k.exprs {
            let at = match &e.kind {
                ExprKind::Leaf(v) => match v.base {
                    Base::Buf(_) => Some(self.address(v)),
                    Base::Index => Some(self.dim(&v.offset)),
                    _ => None,
                },
                _ => None,
            };
            run.leaves.push(at);
        }
        run.stores = k.stores.iter().map(|s| self.address(&s.view)).collect();
        self.level(&mut run, 0);
        for (e, s) in &k.results {
            let value = run.values[e.0 as usize].expect("a result is computed");
            self.set_scalar(*s, value);
        }
    }

    /// Everything inside the loops over axes `0..level`.
    fn level(&mut self, run: &mut Run, level: usize) {
        let k = run.k;
        let p = run.p;
        let rank = k.axes.len();
        let here = |i: usize, reduced: bool| k.exprs[i].depth == level && k.exprs[i].reduced == reduced;
        if level < rank || rank == 0 {
            (0..k.exprs.len()).filter(|&i| here(i, false)).for_each(|i| self.single(run, i));
        }
        let reduces = level == k.kept && !p.states.is_empty();
        if reduces && !p.is_dense(k) {
            for (e, state) in &p.states {
                let state = self.state(*state);
                self.call(reduction(k, *e, Family::ReduceBegin), &[state]);
            }
        }
        if level + 2 == rank
            && let Some((from, to)) = transposes(k)
        {
            let sizes = [&k.axes[level], &k.axes[level + 1], &from.strides[level + 1], &to.strides[level]];
            let [rows, cols, fs, ts] = sizes.map(|d| self.dim(d));
            let from_at = run.leaves[0].expect("in memory");
            let width = Width::of(from.dtype.size()).expect("elements of four or eight bytes");
            self.call(Function::Transpose(width), &[rows, cols, from_at, fs, run.stores[0], ts]);
            return;
        }
        if level + 1 == rank {
            self.innermost(run);
        } else if level < rank {
            let (leaves, stores) = (run.leaves.clone(), run.stores.clone());
            self.for_each(&k.axes[level], 1, &mut |e, i| {
                e.walk(run, level, i);
                e.level(run, level + 1);
                (run.leaves, run.stores) = (leaves.clone(), stores.clone());
            });
        }
        if reduces {
            if !p.is_dense(k) {
                for (e, state) in &p.states {
                    let state = self.state(*state);
                    run.values[e.0 as usize] = self.call(reduction(k, *e, Family::ReduceFinish), &[state]);
                }
            }
            (0..k.exprs.len()).filter(|&i| here(i, true)).for_each(|i| self.single(run, i));
        }
        for (i, s) in k.stores.iter().enumerate() {
            let staged = p.passes.iter().any(|pass| {
                pass.stores.contains(&i)
                    || pass.calls.iter().any(|c| matches!(c, Call::Map { out, .. } if *out == Block::Store(i)))
            });
            let along = s.view.strides.iter().rposition(|s| !is_zero(s)).map_or(0, |a| a + 1);
            if !staged && along.max(k.expr(s.expr).depth) == level {
                let value = run.values[s.expr.0 as usize].expect("computed at this level or before");
                self.b.ins().store(mem(), value, run.stores[i], 0);
            }
        }
    }

    /// Moves every address to index `i` of an axis.
    fn walk(&mut self, run: &mut Run, axis: usize, i: Value) {
        for (e, at) in run.k.exprs.iter().zip(&mut run.leaves) {
            if let (ExprKind::Leaf(v), Some(at)) = (&e.kind, at)
                && !is_zero(&v.strides[axis])
            {
                *at = self.moved(*at, v, axis, i);
            }
        }
        for (s, at) in run.k.stores.iter().zip(&mut run.stores) {
            if !is_zero(&s.view.strides[axis]) {
                *at = self.moved(*at, &s.view, axis, i);
            }
        }
    }

    fn moved(&mut self, at: Value, v: &View, axis: usize, i: Value) -> Value {
        let size = if v.base == Base::Index { 1 } else { v.dtype.size() as i64 };
        let by = match &v.strides[axis] {
            Dim::Fixed(s) => self.b.ins().imul_imm_s(i, s * size),
            s => {
                let s = self.dim(&(s * &Dim::Fixed(size)));
                self.b.ins().imul(i, s)
            }
        };
        self.b.ins().iadd(at, by)
    }

    /// Computes an expression that is one value at this level.
    fn single(&mut self, run: &mut Run, i: usize) {
        if run.values[i].is_some() && matches!(run.k.exprs[i].kind, ExprKind::Reduce(..)) {
            return;
        }
        let e = &run.k.exprs[i];
        let args: Vec<Value> = e.args().iter().filter_map(|a| run.values[a.0 as usize]).collect();
        run.values[i] = match &e.kind {
            ExprKind::Leaf(v) => Some(match v.base {
                Base::Buf(_) => {
                    let at = run.leaves[i].expect("in memory");
                    self.b.ins().load(calls::machine_type(v.dtype), mem(), at, 0)
                }
                _ => self.immediate(&v.base, run.leaves[i]),
            }),
            ExprKind::Reduce(..) => None,
            _ if is_call(e) => Some(self.single_call(run.k, ExprId(i as u32), &args)),
            kind => {
                let from = run.k.expr(e.args()[0]).dtype;
                Some(self.apply(kind, &args, from, e.dtype, Lanes::One))
            }
        };
    }

    /// A library function on one element.
    fn single_call(&mut self, k: &Kernel, e: ExprId, args: &[Value]) -> Value {
        let dtype = k.expr(e).dtype;
        let cells = self.stack(8 * (args.len() as u32 + 1));
        let mut list = vec![self.int(1)];
        for (i, a) in args.iter().enumerate() {
            self.b.ins().store(mem(), *a, cells, 8 * i as i32);
            list.push(self.b.ins().iadd_imm_s(cells, 8 * i as i64));
        }
        let out = 8 * args.len() as i32;
        list.push(self.b.ins().iadd_imm_s(cells, out as i64));
        self.call(map_call(k, e), &list);
        self.b.ins().load(calls::machine_type(dtype), mem(), cells, out)
    }

    /// All passes over the innermost axis.
    fn innermost(&mut self, run: &mut Run) {
        let k = run.k;
        let p = run.p;
        let axis = k.axes.len() - 1;
        let n = &k.axes[axis];
        if p.block == 0 {
            let len = match n {
                Dim::Fixed(n) => Len::Fixed(*n),
                n => Len::Value(self.dim(n), divisor(n)),
            };
            self.passes(run, len);
            return;
        }
        let block = p.block as i64;
        let (leaves, stores) = (run.leaves.clone(), run.stores.clone());
        self.for_each(n, block, &mut |e, i| {
            let len = match n {
                Dim::Fixed(n) if n % block == 0 => Len::Fixed(block),
                n => {
                    let end = e.dim(n);
                    let left = e.b.ins().isub(end, i);
                    let most = e.int(block);
                    Len::Value(e.b.ins().smin(left, most), gcd(divisor(n), block))
                }
            };
            e.walk(run, axis, i);
            e.passes(run, len);
            (run.leaves, run.stores) = (leaves.clone(), stores.clone());
        });
    }

    /// Pass by pass over (a block of) the innermost axis.
    fn passes(&mut self, run: &mut Run, len: Len) {
        let k = run.k;
        let p = run.p;
        for (s, pass) in p.passes.iter().enumerate() {
            self.pass(run, s, pass, len);
            let n = match len {
                Len::Fixed(n) => self.int(n),
                Len::Value(v, _) => v,
            };
            for call in &pass.calls {
                match call {
                    Call::Map { expr, args, out } => {
                        let mut list = vec![n];
                        for block in args.iter().chain([out]) {
                            list.push(self.block(run, *block));
                        }
                        self.call(map_call(k, *expr), &list);
                    }
                    Call::Update { reduce, arg } => {
                        let at = self.block(run, *arg);
                        if p.is_dense(k) {
                            run.values[reduce.0 as usize] = self.call(reduction(k, *reduce, Family::Reduce), &[n, at]);
                        } else {
                            let state = p.states.iter().find(|s| s.0 == *reduce).expect("every reduction has one");
                            let state = self.state(state.1);
                            self.call(reduction(k, *reduce, Family::ReduceUpdate), &[state, n, at]);
                        }
                    }
                }
            }
        }
    }

    fn state(&mut self, state: Option<BufId>) -> Value {
        self.buffer(state.expect("blocks have a running state"))
    }

    pub fn block(&mut self, run: &Run, block: Block) -> Value {
        match block {
            Block::Temp(b) => self.buffer(b),
            Block::Leaf(e) => run.leaves[e.0 as usize].expect("in memory"),
            Block::Store(s) => run.stores[s],
        }
    }
}

/// The function that computes an expression on a block of elements.
fn map_call(k: &Kernel, e: ExprId) -> Function {
    let expr = k.expr(e);
    let id: KernelId = match &expr.kind {
        ExprKind::Unary(op, _) => Family::Unary(*op).of(expr.dtype),
        ExprKind::Binary(op, ..) => Family::Binary(*op).of(expr.dtype),
        ExprKind::Narrow(_) => Family::Narrow.of(expr.dtype),
        ExprKind::Widen(x) => Family::Widen.of(k.expr(*x).dtype),
        kind @ (ExprKind::Leaf(_)
        | ExprKind::Compare(..)
        | ExprKind::Select(..)
        | ExprKind::Cast(_)
        | ExprKind::Reduce(..)) => unreachable!("{kind:?} is no call"),
    };
    Function::Kernel(id)
}

fn reduction(k: &Kernel, e: ExprId, family: fn(ReduceOp) -> Family) -> Function {
    let ExprKind::Reduce(op, _) = &k.expr(e).kind else { unreachable!("not a reduction") };
    Function::Kernel(family(*op).of(k.expr(e).dtype))
}

/// Where from and where to, when the innermost two axes of a kernel only transpose: copy a matrix whose columns are dense
/// to one whose rows are.
fn transposes(k: &Kernel) -> Option<(&View, &View)> {
    let ([Expr { kind: ExprKind::Leaf(from), .. }], [store]) = (&k.exprs[..], &k.stores[..]) else {
        return None;
    };
    let rank = k.axes.len();
    let to = &store.view;
    let fits = rank >= 2
        && from.buf().is_some()
        && Width::of(from.dtype.size()).is_some()
        && !store.in_place
        && is_one(&from.strides[rank - 2])
        && is_one(&to.strides[rank - 1]);
    fits.then_some((from, to))
}
