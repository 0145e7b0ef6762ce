//! Matrix products, reductions over any axes, kernels over strided operands, checks, and loops, as Cranelift IR.

use crate::backend::cpu::calls;
use crate::backend::cpu::emit::{Emitter, mem};
use crate::backend::cpu::frame::Cell;
use crate::schedule::lower::numel;
use crate::schedule::program::{Arg, Iterations, LibraryCall, Matmul, Next, ScanStep, StridedReduce};
use crate::schedule::view::{Base, View, is_one, is_zero, row_major};
use allotrope_ir::{DType, Dim, Shape};
use cranelift::codegen::ir::BlockArg;
use cranelift::prelude::types::{I8, I16, I32, I64};
use cranelift::prelude::*;

impl Emitter<'_> {
    pub fn matmul(&mut self, m: &Matmul) {
        let rank = m.c.shape.len();
        let mut batch: Shape = m.c.shape[..rank - 2].iter().cloned().collect();
        let (mut rows, cols) = (m.c.shape[rank - 2].clone(), m.c.shape[rank - 1].clone());
        let inner = m.a.shape[rank - 1].clone();
        let of = |v: &View| -> (Shape, Dim, Dim) {
            (v.strides[..rank - 2].iter().cloned().collect(), v.strides[rank - 2].clone(), v.strides[rank - 1].clone())
        };
        let ((mut ab, mut ars, acs), (mut bb, mut brs, mut bcs), (mut cb, mut crs, _)) = (of(&m.a), of(&m.b), of(&m.c));
        // Strides along axes of one element mean nothing: take those that the fast entries want.
        if is_one(&rows) {
            (ars, crs) = (inner.clone(), cols.clone());
        }
        let acs = if is_one(&inner) { Dim::Fixed(1) } else { acs };
        if is_one(&inner) {
            brs = cols.clone();
        }
        if is_one(&cols) {
            bcs = Dim::Fixed(1);
        }
        crate::schedule::view::collapse(&mut batch, &mut [&mut ab, &mut bb, &mut cb], usize::MAX);
        // A batch that the right operand does not follow is more rows.
        if let (Some(n), Some(sa), Some(sb), Some(sc)) = (batch.last(), ab.last(), bb.last(), cb.last())
            && is_zero(sb)
            && (is_one(&rows) || (*sa == &ars * &rows && *sc == &crs * &rows))
        {
            if is_one(&rows) {
                (ars, crs) = (sa.clone(), sc.clone());
            }
            rows = &rows * n;
            for s in [&mut batch, &mut ab, &mut bb, &mut cb] {
                s.pop();
            }
        }
        let dtype = m.c.dtype;
        let at = (self.address(&m.a), self.address(&m.b), self.address(&m.c));
        let call = Product { dtype, rows, cols, inner, ars, acs, brs, bcs, crs, accumulate: m.accumulate };
        self.batches(&batch, &[&ab, &bb, &cb], [at.0, at.1, at.2], dtype, &call);
    }

    fn batches(&mut self, batch: &[Dim], strides: &[&[Dim]; 3], at: [Value; 3], dtype: DType, call: &Product) {
        let Some((n, rest)) = batch.split_first() else { return self.product(call, at) };
        self.for_each(n, 1, &mut |e, i| {
            let moved: [Value; 3] = std::array::from_fn(|k| {
                if is_zero(&strides[k][0]) {
                    return at[k];
                }
                let step = e.dim_bytes(&strides[k][0], dtype);
                let offset = e.b.ins().imul(i, step);
                e.b.ins().iadd(at[k], offset)
            });
            e.batches(rest, &[&strides[0][1..], &strides[1][1..], &strides[2][1..]], moved, dtype, call);
        });
    }

    /// One product of two matrices. The kernels give the same bits whichever entry is taken.
    fn product(&mut self, p: &Product, at: [Value; 3]) {
        let float = p.dtype.is_float();
        let row = float && !p.accumulate && is_one(&p.acs) && is_one(&p.bcs);
        let rank1 = float && p.accumulate && is_one(&p.ars) && is_one(&p.bcs);
        let special = match (row, rank1) {
            (true, _) => Some((&p.rows, format!("matvec_{}", p.dtype))),
            (_, true) => Some((&p.inner, format!("rank1_acc_{}", p.dtype))),
            _ => None,
        };
        let Some((n, name)) = special else { return self.general_product(p, at) };
        match n.as_fixed() {
            Some(1) => self.special_product(p, &name, at),
            Some(_) => self.general_product(p, at),
            None => {
                let (fast, slow, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
                let n = self.dim(n);
                let one = self.b.ins().icmp_imm_s(IntCC::Equal, n, 1);
                self.b.ins().brif(one, fast, &[], slow, &[]);
                self.b.switch_to_block(fast);
                self.special_product(p, &name, at);
                self.b.ins().jump(done, &[]);
                self.b.switch_to_block(slow);
                self.general_product(p, at);
                self.b.ins().jump(done, &[]);
                self.b.switch_to_block(done);
            }
        }
    }

    fn special_product(&mut self, p: &Product, name: &str, [a, b, c]: [Value; 3]) {
        let cols = self.dim(&p.cols);
        if p.accumulate {
            let (rows, crs) = (self.dim(&p.rows), self.dim(&p.crs));
            self.call(name, &[rows, cols, a, b, c, crs]);
        } else {
            let (inner, brs) = (self.dim(&p.inner), self.dim(&p.brs));
            self.call(name, &[cols, inner, a, b, brs, c]);
        }
    }

    fn general_product(&mut self, p: &Product, [a, b, c]: [Value; 3]) {
        let [m, n, k] = [&p.rows, &p.cols, &p.inner].map(|d| self.dim(d));
        let [ars, acs, brs, bcs, crs] = [&p.ars, &p.acs, &p.brs, &p.bcs, &p.crs].map(|d| self.dim(d));
        let accumulate = self.b.ins().iconst(I32, p.accumulate as i64);
        self.call(&format!("matmul_{}", p.dtype), &[m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate]);
    }

    pub fn strided_reduce(&mut self, r: &StridedReduce) {
        let rank = r.x.shape.len();
        let table = self.stack(16 * rank.max(1) as u32);
        for i in 0..rank {
            let (n, s) = (self.dim(&r.x.shape[i]), self.dim(&r.x.strides[i]));
            self.b.ins().store(mem(), n, table, 8 * i as i32);
            self.b.ins().store(mem(), s, table, 8 * (rank + i) as i32);
        }
        let mask = r.axes.iter().fold(0i64, |m, a| m | 1 << a);
        debug_assert!(r.out.strides == row_major(&r.out.shape) || r.out.is_contiguous());
        let (x, out) = (self.address(&r.x), self.address(&r.out));
        let (n, mask) = (self.int(rank as i64), self.int(mask));
        let strides = self.b.ins().iadd_imm_s(table, 8 * rank as i64);
        let name = format!("reduce_{}_{}", calls::reduce_name(r.op), r.x.dtype);
        self.call(&name, &[n, table, strides, mask, x, out]);
    }

    pub fn library(&mut self, c: &LibraryCall) {
        let words = |a: &Arg| if let Arg::Table(t) = a { t.len() as u32 } else { 0 };
        let table = self.stack(8 * c.args.iter().map(words).sum::<u32>().max(1));
        let mut at = 0;
        let mut list = Vec::with_capacity(c.args.len());
        for arg in &c.args {
            list.push(match arg {
                Arg::Number(n) => self.dim(n),
                Arg::Table(t) => {
                    let begin = self.b.ins().iadd_imm_s(table, at as i64);
                    for n in t {
                        let n = self.dim(n);
                        self.b.ins().store(mem(), n, table, at);
                        at += 8;
                    }
                    begin
                }
                Arg::Read(v) | Arg::Write(v) => self.address(v),
            });
        }
        self.call(&c.name, &list);
    }

    /// No check has failed yet.
    pub fn begin_checks(&mut self) {
        let none = self.int(0);
        self.save(Cell::Status, none);
    }

    pub fn check(&mut self, number: usize, condition: &View) {
        let holds = self.scalar(condition);
        let before = self.recall(Cell::Status, I64);
        let number = self.int(number as i64);
        let first = self.b.ins().icmp_imm_s(IntCC::Equal, before, 0);
        let failed = self.b.ins().select(first, number, before);
        let now = self.b.ins().select(holds, before, failed);
        self.save(Cell::Status, now);
    }

    pub fn guard(&mut self) {
        let status = self.recall(Cell::Status, I64);
        let (failed, passed) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(failed);
        self.b.ins().brif(status, failed, &[], passed, &[]);
        self.b.switch_to_block(failed);
        self.b.ins().return_(&[status]);
        self.b.switch_to_block(passed);
    }

    pub fn scan(&mut self, s: &ScanStep) {
        if s.length == Dim::Fixed(0) && !matches!(s.rounds, Iterations::While { .. }) {
            for c in &s.carries {
                let init = self.address(&c.init);
                self.set_moving(c.current, init);
            }
            return;
        }
        let length = self.dim(&s.length);
        let rounds = match &s.rounds {
            Iterations::Count(n) => {
                let n = self.scalar(n);
                let zero = self.int(0);
                let n = self.b.ins().smax(n, zero);
                self.b.ins().smin(n, length)
            }
            Iterations::All | Iterations::While { .. } => length,
        };
        let (head, body, exit) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let round = self.b.append_block_param(head, I64);
        let zero = self.int(0);
        let mut args: Vec<BlockArg> = vec![zero.into()];
        let (mut toggles, mut moving) = (Vec::new(), Vec::new());
        for c in &s.carries {
            let init = self.address(&c.init);
            args.push(init.into());
            let current = self.b.append_block_param(head, I64);
            moving.push((c.current, current));
            toggles.push(match c.next {
                Next::At(_) => None,
                Next::PingPong { target, buffers } => {
                    let (p, q) = (self.buffer(buffers[0]), self.buffer(buffers[1]));
                    let both = self.b.ins().bxor(p, q);
                    args.push(p.into());
                    let t = self.b.append_block_param(head, I64);
                    moving.push((target, t));
                    Some(both)
                }
            });
        }
        self.b.ins().jump(head, &args);
        self.b.switch_to_block(head);
        moving.iter().for_each(|(b, at)| self.set_moving(*b, *at));
        match &s.rounds {
            Iterations::All | Iterations::Count(_) => {
                let more = self.b.ins().icmp(IntCC::SignedLessThan, round, rounds);
                self.b.ins().brif(more, body, &[], exit, &[]);
            }
            Iterations::While { flag, full } => self.ask(flag, *full, round, length, [body, exit]),
        }
        self.b.switch_to_block(body);
        let index = if s.reverse {
            let last = self.b.ins().iadd_imm_s(rounds, -1);
            self.b.ins().isub(last, round)
        } else {
            round
        };
        self.set_round(s.id, index);
        self.steps(&s.body);
        let next = self.b.ins().iadd_imm_s(round, 1);
        let mut args: Vec<BlockArg> = vec![next.into()];
        for (c, both) in s.carries.iter().zip(toggles) {
            match (&c.next, both) {
                (Next::At(b), _) => {
                    let at = self.buffer(*b);
                    args.push(at.into());
                }
                (Next::PingPong { target, .. }, both) => {
                    let t = self.buffer(*target);
                    args.push(t.into());
                    let other = self.b.ins().bxor(t, both.expect("made with the target"));
                    args.push(other.into());
                }
            }
        }
        self.b.ins().jump(head, &args);
        self.b.switch_to_block(exit);
        for tail in &s.tails {
            self.clear(tail, round, length);
        }
    }

    /// Goes on to the first block where the flag is true and there is room for another round, else to the second.
    fn ask(&mut self, flag: &View, full: Option<usize>, round: Value, length: Value, [body, exit]: [Block; 2]) {
        let asked = self.b.create_block();
        // Where a check has failed, what the flag says means nothing, and the loop need not end by itself.
        if !self.program.checks.is_empty() {
            let status = self.recall(Cell::Status, I64);
            self.b.ins().brif(status, exit, &[], asked, &[]);
        } else {
            self.b.ins().jump(asked, &[]);
        }
        self.b.switch_to_block(asked);
        let more = self.scalar(flag);
        let Some(number) = full else {
            self.b.ins().brif(more, body, &[], exit, &[]);
            return;
        };
        let (wanted, stop) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(stop);
        self.b.ins().brif(more, wanted, &[], exit, &[]);
        self.b.switch_to_block(wanted);
        let room = self.b.ins().icmp(IntCC::SignedLessThan, round, length);
        self.b.ins().brif(room, body, &[], stop, &[]);
        self.b.switch_to_block(stop);
        // No check has failed before: that was asked above.
        let number = self.int(number as i64);
        self.save(Cell::Status, number);
        self.b.ins().jump(exit, &[]);
    }

    /// Sets the elements of the first axis of `x`, which is contiguous, from `begin` on to 0.
    fn clear(&mut self, x: &View, begin: Value, length: Value) {
        let ty = match x.dtype.size() {
            1 => I8,
            2 => I16,
            4 => I32,
            _ => I64,
        };
        let left = self.b.ins().isub(length, begin);
        let one = numel(&x.shape[1..]);
        let step = self.dim(&one);
        let n = self.b.ins().imul(left, step);
        let bytes = self.dim_bytes(&one, x.dtype);
        let skipped = self.b.ins().imul(begin, bytes);
        let at = self.address(x);
        let at = self.b.ins().iadd(at, skipped);
        let size = x.dtype.size() as i64;
        self.count(n, 1, false, &mut |e, i| {
            let place = e.b.ins().imul_imm_s(i, size);
            let place = e.b.ins().iadd(at, place);
            let zero = e.b.ins().iconst(ty, 0);
            e.b.ins().store(mem(), zero, place, 0);
        });
    }

    /// The one element of a view.
    fn scalar(&mut self, x: &View) -> Value {
        match &x.base {
            Base::Buf(_) => {
                let at = self.address(x);
                self.b.ins().load(calls::machine_type(x.dtype), mem(), at, 0)
            }
            base => self.immediate(base, None),
        }
    }
}

/// A product of matrices: sizes and strides in elements.
struct Product {
    dtype: DType,
    rows: Dim,
    cols: Dim,
    inner: Dim,
    ars: Dim,
    acs: Dim,
    brs: Dim,
    bcs: Dim,
    crs: Dim,
    accumulate: bool,
}
