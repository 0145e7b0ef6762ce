//! The operators of the library as Cranelift IR: matrix products, reductions over any axes, kernels along an axis. How each is
//! called is laid out here; what it computes is the kernel's.

use crate::backend::cpu::calls::Function;
use crate::backend::cpu::emit::{Emitter, mem};
use crate::kernels::Family;
use crate::schedule::{Operator, View, collapse, is_one, is_zero, row_major};
use allotrope_ir::{DType, Dim, ReduceOp, Shape};
use cranelift::prelude::types::I32;
use cranelift::prelude::*;

/// What a kernel along an axis is given.
#[derive(Copy, Clone)]
enum Argument<'a> {
    Number(usize),
    Dim(&'a Dim),
    /// The address of these numbers.
    Table(&'a Shape),
    Address(&'a View),
}

impl Emitter<'_> {
    pub fn operator(&mut self, operator: &Operator) {
        use Argument::{Address, Dim, Number, Table};
        let flag = |on: bool| Number(usize::from(on));
        match operator {
            Operator::Matmul { a, b, out, accumulate } => self.matmul(a, b, out, *accumulate),
            Operator::Reduce { op, axes, x, out } => self.strided_reduce(*op, axes, x, out),
            Operator::Gather { axis, x, index, out } => {
                let head = [Number(x.shape.len()), Number(*axis), Dim(&x.shape[*axis]), Table(&index.shape)];
                let strides = [Table(&x.strides), Table(&index.strides)];
                let rest = [Address(x), Address(index), Address(out)];
                self.along_axis(Family::Gather, x.dtype, &[&head[..], &strides, &rest].concat());
            }
            Operator::Scatter { op, axis, index, source, out } => {
                let head = [Number(out.shape.len()), Number(*axis), Dim(&out.shape[*axis]), Table(&index.shape)];
                let dense = row_major(&out.shape);
                let strides = [Table(&index.strides), Table(&source.strides), Table(&dense)];
                let rest = [Address(index), Address(source), Address(out)];
                self.along_axis(Family::Scatter(*op), out.dtype, &[&head[..], &strides, &rest].concat());
            }
            Operator::ArgReduce { op, axis, x, out } => {
                let head = [Number(x.shape.len()), Number(*axis), Table(&x.shape), Table(&x.strides)];
                let rest = [Address(x), Address(out)];
                self.along_axis(Family::ArgReduce(*op), x.dtype, &[&head[..], &rest].concat());
            }
            Operator::ArgSort { axis, descending, x, out } => {
                let head = [Number(x.shape.len()), Number(*axis), flag(*descending), Table(&x.shape)];
                let rest = [Table(&x.strides), Address(x), Address(out)];
                self.along_axis(Family::ArgSort, x.dtype, &[&head[..], &rest].concat());
            }
            Operator::Recurrence { axis, reverse, a, b, out } => {
                let head = [Number(a.shape.len()), Number(*axis), flag(*reverse), Table(&a.shape)];
                let rest = [Table(&a.strides), Table(&b.strides), Address(a), Address(b), Address(out)];
                self.along_axis(Family::Recurrence, a.dtype, &[&head[..], &rest].concat());
            }
            Operator::OverlapAdd { axis, len, step, dilation, x, out } => {
                let head = [Number(x.shape.len()), Number(*axis), Dim(len), Number(*step), Number(*dilation)];
                let rest = [Table(&x.shape), Table(&x.strides), Address(x), Address(out)];
                self.along_axis(Family::OverlapAdd, x.dtype, &[&head[..], &rest].concat());
            }
        }
    }

    fn matmul(&mut self, a: &View, b: &View, c: &View, accumulate: bool) {
        let rank = c.shape.len();
        let mut batch: Shape = c.shape[..rank - 2].iter().cloned().collect();
        let (mut rows, cols) = (c.shape[rank - 2].clone(), c.shape[rank - 1].clone());
        let inner = a.shape[rank - 1].clone();
        let of = |v: &View| -> (Shape, Dim, Dim) {
            (v.strides[..rank - 2].iter().cloned().collect(), v.strides[rank - 2].clone(), v.strides[rank - 1].clone())
        };
        let ((mut ab, mut ars, acs), (mut bb, mut brs, mut bcs), (mut cb, mut crs, _)) = (of(a), of(b), of(c));
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
        collapse(&mut batch, &mut [&mut ab, &mut bb, &mut cb], usize::MAX);
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
        let dtype = c.dtype;
        let at = (self.address(a), self.address(b), self.address(c));
        let call = Product { dtype, rows, cols, inner, ars, acs, brs, bcs, crs, accumulate };
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
            (true, _) => Some((&p.rows, Family::Matvec)),
            (_, true) => Some((&p.inner, Family::Rank1Acc)),
            _ => None,
        };
        let Some((n, family)) = special else { return self.general_product(p, at) };
        match n.as_fixed() {
            Some(1) => self.special_product(p, family, at),
            Some(_) => self.general_product(p, at),
            None => {
                let (fast, slow, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
                let n = self.dim(n);
                let one = self.b.ins().icmp_imm_s(IntCC::Equal, n, 1);
                self.b.ins().brif(one, fast, &[], slow, &[]);
                self.b.switch_to_block(fast);
                self.special_product(p, family, at);
                self.b.ins().jump(done, &[]);
                self.b.switch_to_block(slow);
                self.general_product(p, at);
                self.b.ins().jump(done, &[]);
                self.b.switch_to_block(done);
            }
        }
    }

    fn special_product(&mut self, p: &Product, family: Family, [a, b, c]: [Value; 3]) {
        let function = Function::Kernel(family.of(p.dtype));
        let cols = self.dim(&p.cols);
        if p.accumulate {
            let (rows, crs) = (self.dim(&p.rows), self.dim(&p.crs));
            self.call(function, &[rows, cols, a, b, c, crs]);
        } else {
            let (inner, brs) = (self.dim(&p.inner), self.dim(&p.brs));
            self.call(function, &[cols, inner, a, b, brs, c]);
        }
    }

    fn general_product(&mut self, p: &Product, [a, b, c]: [Value; 3]) {
        let [m, n, k] = [&p.rows, &p.cols, &p.inner].map(|d| self.dim(d));
        let [ars, acs, brs, bcs, crs] = [&p.ars, &p.acs, &p.brs, &p.bcs, &p.crs].map(|d| self.dim(d));
        let accumulate = self.b.ins().iconst(I32, p.accumulate as i64);
        let function = Function::Kernel(Family::Matmul.of(p.dtype));
        self.call(function, &[m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate]);
    }

    fn strided_reduce(&mut self, op: ReduceOp, axes: &[usize], x: &View, out: &View) {
        let rank = x.shape.len();
        let table = self.stack(16 * rank.max(1) as u32);
        for i in 0..rank {
            let (n, s) = (self.dim(&x.shape[i]), self.dim(&x.strides[i]));
            self.b.ins().store(mem(), n, table, 8 * i as i32);
            self.b.ins().store(mem(), s, table, 8 * (rank + i) as i32);
        }
        let mask = axes.iter().fold(0i64, |m, a| m | 1 << a);
        debug_assert!(out.strides == row_major(&out.shape) || out.is_contiguous());
        let dtype = x.dtype;
        let (x, out) = (self.address(x), self.address(out));
        let (n, mask) = (self.int(rank as i64), self.int(mask));
        let strides = self.b.ins().iadd_imm_s(table, 8 * rank as i64);
        self.call(Function::Kernel(Family::ReduceStrided(op).of(dtype)), &[n, table, strides, mask, x, out]);
    }

    /// A kernel along an axis: what it is given, in order, are words, tables of words, and addresses.
    fn along_axis(&mut self, family: Family, dtype: DType, arguments: &[Argument]) {
        let words = |a: &Argument| if let Argument::Table(t) = a { t.len() as u32 } else { 0 };
        let table = self.stack(8 * arguments.iter().map(words).sum::<u32>().max(1));
        let mut at = 0;
        let mut list = Vec::with_capacity(arguments.len());
        for argument in arguments {
            list.push(match argument {
                Argument::Number(n) => self.int(*n as i64),
                Argument::Dim(d) => self.dim(d),
                Argument::Table(t) => {
                    let begin = self.b.ins().iadd_imm_s(table, at as i64);
                    for n in *t {
                        let n = self.dim(n);
                        self.b.ins().store(mem(), n, table, at);
                        at += 8;
                    }
                    begin
                }
                Argument::Address(v) => self.address(v),
            });
        }
        self.call(Function::Kernel(family.of(dtype)), &list);
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
