//! A fused kernel as Cranelift IR: the nest of loops, the passes over blocks of its innermost axis, and the vectors.
//! The arithmetic of one element is in [`crate::backend::cpu::arith`]. No sum is ever accumulated here.

use crate::backend::cpu::arith::Lanes;
use crate::backend::cpu::block_plan::{Block, BlockPlan, Call, Pass, is_call};
use crate::backend::cpu::calls::{self, Function};
use crate::backend::cpu::emit::{Emitter, mem, vector_type};
use crate::backend::cpu::pack::Width;
use crate::kernels::{Family, KernelId};
use crate::schedule::{Base, BufId, Expr, ExprId, ExprKind, Kernel, View, divisor, gcd, is_one, is_zero};
use allotrope_ir::{DType, Dim, ReduceOp};
use cranelift::prelude::*;

/// A kernel of more passes has short loops only.
const MANY_PASSES: usize = 8;

/// What is known while a kernel is emitted.
struct Run<'a> {
    k: &'a Kernel,
    p: &'a BlockPlan,
    /// Values of expressions that the innermost axis does not change.
    values: Vec<Option<Value>>,
    /// For each expression that is a leaf: its address at the current position (its position, for an iota).
    leaves: Vec<Option<Value>>,
    stores: Vec<Value>,
}

/// Elements of a pass over the innermost axis.
#[derive(Copy, Clone)]
enum Len {
    Fixed(i64),
    /// A multiple of the second, which is not 0.
    Value(Value, i64),
}

/// Where in a pass: element `index + ahead`.
#[derive(Copy, Clone)]
struct At {
    index: Option<Value>,
    ahead: i64,
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

    fn block(&mut self, run: &Run, block: Block) -> Value {
        match block {
            Block::Temp(b) => self.buffer(b),
            Block::Leaf(e) => run.leaves[e.0 as usize].expect("in memory"),
            Block::Store(s) => run.stores[s],
        }
    }

    /// The loop of one pass.
    fn pass(&mut self, run: &Run, s: usize, pass: &Pass, len: Len) {
        if pass.temps.is_empty() && pass.stores.is_empty() {
            return;
        }
        let mut body =
            Body { run, s, pass, inputs: Vec::new(), temps: Vec::new(), splats: Vec::new(), lanes: Lanes::One };
        let (lanes, size) = body.analyse();
        body.temps = pass.temps.iter().map(|t| self.buffer(t.1)).collect();
        body.inputs = run.leaves.clone();
        for (e, b) in body.blocks() {
            body.inputs[e.0 as usize] = Some(self.block(run, b));
        }
        if lanes != Lanes::One {
            self.vectors(&mut body, lanes, size, len);
            return;
        }
        match len {
            Len::Fixed(n) if n <= 4 => (0..n).for_each(|ahead| self.element(&body, At { index: None, ahead })),
            Len::Fixed(n) => {
                let n = self.int(n);
                self.count(n, 1, true, &mut |e, i| e.element(&body, At { index: Some(i), ahead: 0 }));
            }
            Len::Value(n, _) => self.count(n, 1, false, &mut |e, i| e.element(&body, At { index: Some(i), ahead: 0 })),
        }
    }

    fn vectors(&mut self, body: &mut Body, lanes: Lanes, size: usize, len: Len) {
        let k = body.run.k;
        let width = 16 / lanes.bytes() as i64;
        body.lanes = lanes;
        body.splats = vec![None; k.exprs.len()];
        if !matches!(len, Len::Fixed(n) if n < width) {
            let mut needed = Vec::new();
            body.walk(&mut |e| needed.push(e));
            for e in needed {
                if let Source::Value(v) = body.source(e) {
                    body.splats[e.0 as usize] = Some(self.splat(v, k.expr(e).dtype, lanes));
                }
            }
        }
        let unroll: i64 = match size {
            // Where calls are many, they take the time, and the code of the loops between would be most of the code.
            _ if body.run.p.passes.len() > MANY_PASSES => 1,
            0..=6 => 4,
            7..=12 => 2,
            _ => 1,
        };
        let at = |index: Value, ahead: i64| At { index: Some(index), ahead };
        match len {
            Len::Fixed(n) => {
                let vectors = n / width;
                let straight = if vectors <= unroll || vectors as usize * size <= 40 { vectors } else { 0 };
                let looped = if straight > 0 { 0 } else { vectors / unroll * unroll };
                if looped > 0 {
                    let end = self.int(looped * width);
                    self.count(end, unroll * width, true, &mut |e, i| {
                        (0..unroll).for_each(|u| e.element(body, at(i, u * width)));
                    });
                }
                (looped..vectors).for_each(|v| self.element(body, At { index: None, ahead: v * width }));
                body.lanes = Lanes::One;
                (vectors * width..n).for_each(|ahead| self.element(body, At { index: None, ahead }));
            }
            Len::Value(n, multiple) => {
                // Whatever the binding, some remainders never are.
                let multiple_of = |step: i64| multiple % step == 0;
                let mut from = self.int(0);
                if unroll > 1 {
                    let step = unroll * width;
                    let end = if multiple_of(step) { n } else { self.b.ins().band_imm_s(n, -step) };
                    self.span(from, end, step, &mut |e, i| {
                        (0..unroll).for_each(|u| e.element(body, at(i, u * width)));
                    });
                    if multiple_of(step) {
                        return;
                    }
                    from = end;
                }
                let end = if multiple_of(width) { n } else { self.b.ins().band_imm_s(n, -width) };
                self.span(from, end, width, &mut |e, i| e.element(body, at(i, 0)));
                if !multiple_of(width) {
                    body.lanes = Lanes::One;
                    self.span(end, n, 1, &mut |e, i| e.element(body, at(i, 0)));
                }
            }
        }
    }

    /// `body` for from, from + step, … below `end`.
    fn span(&mut self, from: Value, end: Value, step: i64, body: &mut dyn FnMut(&mut Self, Value)) {
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        let i = self.b.append_block_param(head, types::I64);
        let any = self.b.ins().icmp(IntCC::SignedLessThan, from, end);
        self.b.ins().brif(any, head, &[from.into()], exit, &[]);
        self.b.switch_to_block(head);
        body(self, i);
        let next = self.b.ins().iadd_imm_s(i, step);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, end);
        self.b.ins().brif(more, head, &[next.into()], exit, &[]);
        self.b.switch_to_block(exit);
    }

    /// One element, or one vector: every load before the first store, as stores may lie over what is loaded.
    fn element(&mut self, body: &Body, at: At) {
        let k = body.run.k;
        let mut values: Vec<Option<Value>> = vec![None; k.exprs.len()];
        let roots = body.roots();
        for e in &roots {
            self.value(body, *e, at, &mut values);
        }
        for (i, (e, _)) in body.pass.temps.iter().enumerate() {
            let dtype = k.expr(*e).dtype;
            let (value, stride) = (values[e.0 as usize].expect("a root"), Dim::Fixed(1));
            self.put(body.temps[i], &stride, dtype, at, body.lanes, value);
        }
        for &s in &body.pass.stores {
            let store = &k.stores[s];
            let value = values[store.expr.0 as usize].expect("a root");
            let stride = &store.view.strides[k.axes.len() - 1];
            self.put(body.run.stores[s], stride, store.view.dtype, at, body.lanes, value);
        }
    }

    fn value(&mut self, body: &Body, e: ExprId, at: At, values: &mut Vec<Option<Value>>) -> Value {
        if let Some(v) = values[e.0 as usize] {
            return v;
        }
        let k = body.run.k;
        let expr = k.expr(e);
        let v = match body.source(e) {
            Source::Value(v) => match body.lanes {
                Lanes::One => v,
                _ => body.splats[e.0 as usize].expect("splat before the loop"),
            },
            Source::Block(_) => {
                let base = body.inputs[e.0 as usize].expect("an address");
                self.get(base, &Dim::Fixed(1), expr.dtype, at, body.lanes)
            }
            Source::Leaf(view) => {
                let base = body.inputs[e.0 as usize].expect("an address");
                let stride = &view.strides[k.axes.len() - 1];
                if view.base == Base::Index {
                    self.place(base, stride, 1, at).0
                } else {
                    self.get(base, stride, expr.dtype, at, body.lanes)
                }
            }
            Source::Compute => {
                let args: Vec<Value> = expr.args().iter().map(|a| self.value(body, *a, at, values)).collect();
                let from = k.expr(expr.args()[0]).dtype;
                self.apply(&expr.kind, &args, from, expr.dtype, body.lanes)
            }
        };
        values[e.0 as usize] = Some(v);
        v
    }

    /// The address of an element as a value and a constant to add.
    fn place(&mut self, base: Value, stride: &Dim, size: i64, at: At) -> (Value, i32) {
        let Dim::Fixed(stride) = stride else {
            let stride = self.dim(&(stride * &Dim::Fixed(size)));
            let ahead = self.int(at.ahead);
            let i = at.index.map_or(ahead, |i| self.b.ins().iadd(i, ahead));
            let by = self.b.ins().imul(i, stride);
            return (self.b.ins().iadd(base, by), 0);
        };
        let mut address = base;
        if let Some(i) = at.index {
            let by = self.b.ins().imul_imm_s(i, stride * size);
            address = self.b.ins().iadd(base, by);
        }
        let ahead = at.ahead * stride * size;
        match i32::try_from(ahead) {
            Ok(ahead) if size > 1 => (address, ahead),
            _ => (self.b.ins().iadd_imm_s(address, ahead), 0),
        }
    }

    fn get(&mut self, base: Value, stride: &Dim, dtype: DType, at: At, lanes: Lanes) -> Value {
        let (address, offset) = self.place(base, stride, dtype.size() as i64, at);
        match (lanes, dtype) {
            (Lanes::One, _) => self.b.ins().load(calls::machine_type(dtype), mem(), address, offset),
            (Lanes::Two | Lanes::Four, DType::Bool) => {
                let bytes = self.b.ins().load(types::I32, mem(), address, offset);
                self.bytes_to_mask(bytes)
            }
            _ => self.b.ins().load(vector_type(dtype), mem(), address, offset),
        }
    }

    fn put(&mut self, base: Value, stride: &Dim, dtype: DType, at: At, lanes: Lanes, value: Value) {
        let mask = dtype == DType::Bool && matches!(lanes, Lanes::Two | Lanes::Four);
        let value = if mask { self.mask_to_bytes(value) } else { value };
        let (address, offset) = self.place(base, stride, dtype.size() as i64, at);
        self.b.ins().store(mem(), value, address, offset);
    }
}

/// The loop body of a pass.
struct Body<'a, 'k> {
    run: &'a Run<'k>,
    s: usize,
    pass: &'a Pass,
    /// For each expression that is loaded: from where.
    inputs: Vec<Option<Value>>,
    temps: Vec<Value>,
    splats: Vec<Option<Value>>,
    lanes: Lanes,
}

/// How the loop of a pass gets a value.
enum Source<'a> {
    /// It does not change along the axis.
    Value(Value),
    Block(Block),
    Leaf(&'a View),
    Compute,
}

impl Body<'_, '_> {
    fn source(&self, e: ExprId) -> Source<'_> {
        let k = self.run.k;
        let expr = k.expr(e);
        if expr.depth < k.axes.len()
            && let Some(v) = self.run.values[e.0 as usize]
        {
            return Source::Value(v);
        }
        match (self.run.p.filled[e.0 as usize], &expr.kind) {
            (Some((from, block)), _) if from <= self.s => Source::Block(block),
            (_, ExprKind::Leaf(v)) => Source::Leaf(v),
            _ => Source::Compute,
        }
    }

    fn roots(&self) -> Vec<ExprId> {
        let stores = self.pass.stores.iter().map(|&s| self.run.k.stores[s].expr);
        self.pass.temps.iter().map(|t| t.0).chain(stores).collect()
    }

    fn walk(&self, f: &mut dyn FnMut(ExprId)) {
        let mut seen = vec![false; self.run.k.exprs.len()];
        let mut stack = self.roots();
        while let Some(e) = stack.pop() {
            if std::mem::replace(&mut seen[e.0 as usize], true) {
                continue;
            }
            f(e);
            if let Source::Compute = self.source(e) {
                stack.extend(self.run.k.expr(e).args());
            }
        }
    }

    /// What the loop reads from blocks that others have filled.
    fn blocks(&self) -> Vec<(ExprId, Block)> {
        let mut found = Vec::new();
        self.walk(&mut |e| {
            if let Source::Block(b) = self.source(e) {
                found.push((e, b));
            }
        });
        found
    }

    /// Whether vectors can do it, of which lanes, and how many operations one element is.
    fn analyse(&self) -> (Lanes, usize) {
        let k = self.run.k;
        let inner = k.axes.len() - 1;
        let one_element = k.axes[inner].as_fixed() == Some(1);
        let (mut four, mut eight, mut fits, mut size) = (false, false, !one_element, 0);
        // Bools in memory are bytes: four of them make a mask of four lanes, other masks stay in registers.
        let mut bytes = false;
        // One or two bytes have vectors that are moved, and none that are computed with.
        let (mut narrow, mut only_moves, mut width) = (false, true, None);
        self.walk(&mut |e| {
            let expr = k.expr(e);
            let in_memory = matches!(self.source(e), Source::Block(_) | Source::Leaf(_));
            match expr.dtype {
                DType::F32 | DType::I32 => four = true,
                DType::F64 | DType::I64 => eight = true,
                DType::Bool => bytes |= in_memory,
                DType::U8 | DType::F16 | DType::BF16 => narrow = true,
            }
            only_moves &= *width.get_or_insert(expr.dtype.size()) == expr.dtype.size();
            size += 1;
            match self.source(e) {
                Source::Value(_) => size -= 1,
                Source::Block(_) => {}
                Source::Leaf(v) => fits &= v.base != Base::Index && is_one(&v.strides[inner]),
                Source::Compute => {
                    only_moves = false;
                    let from = k.expr(expr.args()[0]).dtype;
                    fits &= crate::backend::cpu::arith::has_vectors(&expr.kind, from, expr.dtype);
                }
            }
        });
        bytes |= self.pass.temps.iter().any(|t| k.expr(t.0).dtype == DType::Bool);
        for &s in &self.pass.stores {
            let v = &k.stores[s].view;
            bytes |= v.dtype == DType::Bool;
            fits &= is_one(&v.strides[inner]);
        }
        let lanes = match width {
            _ if !fits => Lanes::One,
            Some(1) if only_moves => Lanes::Sixteen,
            Some(2) if only_moves => Lanes::Eight,
            _ => match (narrow, four, eight, bytes) {
                (false, true, false, _) | (false, false, false, true) => Lanes::Four,
                (false, false, true, false) => Lanes::Two,
                _ => Lanes::One,
            },
        };
        (lanes, size.max(1))
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
