//! One pass over a block of a kernel's innermost axis as Cranelift IR: a loop of plain arithmetic, in vectors where all of it
//! has them. The arithmetic of one element is in [`crate::backend::cpu::arith`]. No sum is ever accumulated here.

use crate::backend::cpu::arith::{self, Lanes};
use crate::backend::cpu::block_plan::{Block, Pass};
use crate::backend::cpu::calls;
use crate::backend::cpu::emit::{Emitter, mem, vector_type};
use crate::backend::cpu::kernel::{Len, Run};
use crate::schedule::{Base, ExprId, ExprKind, View, is_one};
use allotrope_ir::{DType, Dim};
use cranelift::prelude::*;

/// A kernel of more passes has short loops only.
const MANY_PASSES: usize = 8;

/// Where in a pass: element `index + ahead`.
#[derive(Copy, Clone)]
struct At {
    index: Option<Value>,
    ahead: i64,
}

impl Emitter<'_> {
    /// The loop of one pass.
    pub fn pass(&mut self, run: &Run, s: usize, pass: &Pass, len: Len) {
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
                    fits &= arith::has_vectors(&expr.kind, from, expr.dtype);
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
