//! The operators of the library as Cranelift IR: matrix products, reductions over any axes, kernels along an axis. How each is
//! called is laid out here; what it computes is the kernel's.

use crate::backend::cpu::calls::Function;
use crate::backend::cpu::emit::{Emitter, mem};
use crate::kernels::Family;
use crate::schedule::{Axes, Factor, Operator, Product, View, is_one, is_zero, row_major};
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

    fn matmul(&mut self, a: &Factor, b: &Factor, c: &View, accumulate: bool) {
        let call = Call { dtype: c.dtype, product: Product::of(a, b, c), accumulate };
        let at = [self.address(&a.view), self.address(&b.view), self.address(c)];
        self.batches(0, at, &call);
    }

    /// The products of all batches from this axis on.
    fn batches(&mut self, axis: usize, at: [Value; 3], call: &Call) {
        let Some(n) = call.product.batch.get(axis) else { return self.product(call, at) };
        self.for_each(n, 1, &mut |e, i| {
            let moved: [Value; 3] = std::array::from_fn(|operand| {
                let stride = &call.product.batch_strides[operand][axis];
                if is_zero(stride) {
                    return at[operand];
                }
                let step = e.dim_bytes(stride, call.dtype);
                let offset = e.b.ins().imul(i, step);
                e.b.ins().iadd(at[operand], offset)
            });
            e.batches(axis + 1, moved, call);
        });
    }

    /// One product of two matrices. The kernels give the same bits whichever entry is taken.
    fn product(&mut self, call: &Call, at: [Value; 3]) {
        let p = &call.product;
        let Some(strides @ [ars, acs, _, bcs]) = p.strides() else { return self.product_of_axes(call, at) };
        let float = call.dtype.is_float();
        let row = float && !call.accumulate && is_one(acs) && is_one(bcs);
        let rank1 = float && call.accumulate && is_one(ars) && is_one(bcs);
        let special = match (row, rank1) {
            (true, _) => Some((&p.m, Family::Matvec)),
            (_, true) => Some((&p.k, Family::Rank1Acc)),
            _ => None,
        };
        let Some((n, family)) = special else { return self.general_product(call, strides, at) };
        match n.as_fixed() {
            Some(1) => self.special_product(call, family, strides, at),
            Some(_) => self.general_product(call, strides, at),
            None => {
                let (fast, slow, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
                let n = self.dim(n);
                let one = self.b.ins().icmp_imm_s(IntCC::Equal, n, 1);
                self.b.ins().brif(one, fast, &[], slow, &[]);
                self.b.switch_to_block(fast);
                self.special_product(call, family, strides, at);
                self.b.ins().jump(done, &[]);
                self.b.switch_to_block(slow);
                self.general_product(call, strides, at);
                self.b.ins().jump(done, &[]);
                self.b.switch_to_block(done);
            }
        }
    }

    fn special_product(&mut self, call: &Call, family: Family, strides: [&Dim; 4], [a, b, c]: [Value; 3]) {
        let p = &call.product;
        let function = Function::Kernel(family.of(call.dtype));
        let n = self.dim(&p.n);
        if call.accumulate {
            let (m, row) = (self.dim(&p.m), self.dim(&p.out));
            self.call(function, &[m, n, a, b, c, row]);
        } else {
            let (k, row) = (self.dim(&p.k), self.dim(strides[2]));
            self.call(function, &[n, k, a, b, row, c]);
        }
    }

    fn general_product(&mut self, call: &Call, [ars, acs, brs, bcs]: [&Dim; 4], [a, b, c]: [Value; 3]) {
        let p = &call.product;
        let [m, n, k] = [&p.m, &p.n, &p.k].map(|d| self.dim(d));
        let [ars, acs, brs, bcs, crs] = [ars, acs, brs, bcs, &p.out].map(|d| self.dim(d));
        let accumulate = self.b.ins().iconst(I32, call.accumulate as i64);
        let function = Function::Kernel(Family::Matmul.of(call.dtype));
        self.call(function, &[m, n, k, a, ars, acs, b, brs, bcs, c, crs, accumulate]);
    }

    /// One product of factors whose rows or columns are several axes.
    fn product_of_axes(&mut self, call: &Call, [a, b, c]: [Value; 3]) {
        let p = &call.product;
        let [m, n, k, crs] = [&p.m, &p.n, &p.k, &p.out].map(|d| self.dim(d));
        let (a_axes, b_axes) = (self.axes(&p.a), self.axes(&p.b));
        let accumulate = self.b.ins().iconst(I32, call.accumulate as i64);
        let function = Function::Kernel(Family::MatmulAxes.of(call.dtype));
        self.call(function, &[m, n, k, a, a_axes, b, b_axes, c, crs, accumulate]);
    }

    /// The address of the words that describe a factor to the kernel: numbers of axes, sizes, strides.
    fn axes(&mut self, [rows, columns]: &[Axes; 2]) -> Value {
        let counts = [rows, columns].map(|axes| Dim::fixed(axes.sizes.len()));
        let dims = counts.iter().chain(&rows.sizes).chain(&columns.sizes).chain(&rows.strides).chain(&columns.strides);
        let dims: Vec<&Dim> = dims.collect();
        let table = self.stack(8 * dims.len() as u32);
        for (i, dim) in dims.into_iter().enumerate() {
            let number = self.dim(dim);
            self.b.ins().store(mem(), number, table, 8 * i as i32);
        }
        table
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

/// A product of matrices that the kernels are called for.
struct Call {
    dtype: DType,
    product: Product,
    accumulate: bool,
}
