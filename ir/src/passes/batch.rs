//! An operation on one step of a loop, done for all steps at once: the same operation with the loop's axis in front.
//! Every element is defined by the same elements as before, so the bits are equal. It moves nothing by itself.

use super::rewrite::emit;
use crate::{Axes, BinaryOp, Dim, Graph, Op, Shape, Type, Value};

/// A value of a loop body, as it is outside of the loop.
#[derive(Copy, Clone, Debug)]
pub(super) enum Outer {
    /// The same for every step.
    Uniform(Value),
    /// One element of the first axis for each step.
    Stacked(Value),
}

/// Whether [`batched`] can do it.
pub(super) fn is_batchable(op: &Op) -> bool {
    match op {
        Op::Input | Op::Scan(_) | Op::Fusion(_) => false,
        Op::Const(_) | Op::Extent(_) | Op::Iota(_) => true,
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) => true,
        Op::Broadcast(_) | Op::Reshape(_) | Op::Permute(_) | Op::Slice { .. } | Op::Concat { .. } => true,
        Op::Reduce { .. } | Op::Matmul | Op::AddMatmul => true,
        Op::Flip(_) | Op::Window { .. } | Op::OverlapAdd { .. } => true,
        Op::Gather { .. } | Op::Scatter { .. } | Op::ArgReduce { .. } | Op::ArgSort { .. } => true,
        Op::Recurrence { .. } => true,
        // What is computed again in each step is to be gone after it.
        Op::Check(_) | Op::Barrier(_) => false,
    }
}

/// Adds to `g` the operation, whose operands (of these types in one step) are `x`, for all `length` steps.
/// An operation on uniform values only is done once.
pub(super) fn batched(g: &mut Graph, length: &Dim, op: &Op, x: &[(Outer, &Type)]) -> Outer {
    let uniform: Option<Vec<Value>> = (x.iter())
        .map(|(v, _)| match v {
            Outer::Uniform(v) => Some(*v),
            Outer::Stacked(_) => None,
        })
        .collect();
    if let Some(operands) = uniform {
        return Outer::Uniform(emit(g, op.clone(), &operands));
    }
    let mut b = Batch { g, length };
    let result = match op {
        Op::Matmul | Op::AddMatmul => b.matmul(op, x),
        Op::Broadcast(shape) => {
            // Missing axes are inserted behind the loop's.
            let (v, ty) = x[0];
            let mut full: Shape = std::iter::repeat_n(Dim::fixed(1), shape.len() - ty.shape.len()).collect();
            full.extend(ty.shape.iter().cloned());
            let v = b.stacked((v, ty));
            let v = b.emit(Op::Reshape(b.front(&full)), &[v]);
            b.emit(Op::Broadcast(b.front(shape)), &[v])
        }
        op => {
            let operands: Vec<Value> = x.iter().map(|x| b.stacked(*x)).collect();
            b.emit(with_leading_axis(op, length), &operands)
        }
    };
    Outer::Stacked(result)
}

/// The value for all steps, repeated where it is the same for each.
pub(super) fn stacked(g: &mut Graph, length: &Dim, x: (Outer, &Type)) -> Value {
    Batch { g, length }.stacked(x)
}

struct Batch<'a> {
    g: &'a mut Graph,
    length: &'a Dim,
}

impl Batch<'_> {
    fn front(&self, shape: &Shape) -> Shape {
        std::iter::once(self.length.clone()).chain(shape.iter().cloned()).collect()
    }

    fn emit(&mut self, op: Op, x: &[Value]) -> Value {
        emit(self.g, op, x)
    }

    fn stacked(&mut self, (v, ty): (Outer, &Type)) -> Value {
        match v {
            Outer::Stacked(v) => v,
            Outer::Uniform(v) => self.emit(Op::Broadcast(self.front(&ty.shape)), &[v]),
        }
    }

    /// A product with a matrix that is the same for every step is one product of more rows; else a batch of products.
    fn matmul(&mut self, op: &Op, x: &[(Outer, &Type)]) -> Value {
        let [.., (a, a_type), (b, b_type)] = *x else { unreachable!("a product has two factors") };
        let product = match (a, b, a_type.shape.len()) {
            (Outer::Stacked(a), Outer::Uniform(b), 2) => {
                self.rows(a, [&a_type.shape[0], &a_type.shape[1]], b, &b_type.shape[1])
            }
            // The same with both factors, and the result, transposed.
            (Outer::Uniform(a), Outer::Stacked(b), 2) => {
                let a = self.emit(Op::Permute(Axes::from_slice(&[1, 0])), &[a]);
                let b = self.emit(Op::Permute(Axes::from_slice(&[0, 2, 1])), &[b]);
                let product = self.rows(b, [&b_type.shape[1], &b_type.shape[0]], a, &a_type.shape[0]);
                self.emit(Op::Permute(Axes::from_slice(&[0, 2, 1])), &[product])
            }
            _ => {
                let factors = [self.stacked((a, a_type)), self.stacked((b, b_type))];
                self.emit(Op::Matmul, &factors)
            }
        };
        if *op == Op::Matmul {
            return product;
        }
        // By definition the addition comes after the product.
        let c = self.stacked(x[0]);
        self.emit(Op::Binary(BinaryOp::Add), &[c, product])
    }

    /// `[t, m, k]` times `[k, n]` is `[t * m, k]` times `[k, n]`.
    fn rows(&mut self, a: Value, [m, k]: [&Dim; 2], b: Value, n: &Dim) -> Value {
        let rows = self.length * m;
        let a = self.emit(Op::Reshape(Shape::from_iter([rows, k.clone()])), &[a]);
        let product = self.emit(Op::Matmul, &[a, b]);
        self.emit(Op::Reshape(Shape::from_iter([self.length.clone(), m.clone(), n.clone()])), &[product])
    }
}

fn with_leading_axis(op: &Op, length: &Dim) -> Op {
    let behind = |axes: &Axes| axes.iter().map(|a| a + 1).collect::<Axes>();
    match op {
        Op::Reshape(shape) => Op::Reshape(std::iter::once(length.clone()).chain(shape.iter().cloned()).collect()),
        Op::Permute(axes) => Op::Permute(std::iter::once(0).chain(behind(axes)).collect()),
        Op::Slice { axis, start, len } => Op::Slice { axis: axis + 1, start: start.clone(), len: len.clone() },
        Op::Concat { axis } => Op::Concat { axis: axis + 1 },
        Op::Flip(axes) => Op::Flip(behind(axes)),
        Op::Window { axis, count, size, step, dilation } => {
            Op::Window { axis: axis + 1, count: count.clone(), size: size.clone(), step: *step, dilation: *dilation }
        }
        Op::OverlapAdd { axis, len, step, dilation } => {
            Op::OverlapAdd { axis: axis + 1, len: len.clone(), step: *step, dilation: *dilation }
        }
        Op::Gather { axis } => Op::Gather { axis: axis + 1 },
        Op::Scatter { op, axis } => Op::Scatter { op: *op, axis: axis + 1 },
        Op::ArgReduce { op, axis } => Op::ArgReduce { op: *op, axis: axis + 1 },
        Op::ArgSort { axis, descending } => Op::ArgSort { axis: axis + 1, descending: *descending },
        Op::Recurrence { axis, reverse } => Op::Recurrence { axis: axis + 1, reverse: *reverse },
        Op::Reduce { op, axes } => Op::Reduce { op: *op, axes: behind(axes) },
        op => op.clone(),
    }
}
