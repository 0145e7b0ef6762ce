//! An operation on one iteration of a loop, done for all iterations at once: the same operation with the loop's axis in
//! front ([`Op::batched`]). Every element is defined by the same elements as before, so the bits are equal. It moves nothing
//! by itself.

use super::rewrite::emit;
use crate::{Axes, BinaryOp, Class, Contraction, Dim, Graph, Op, Shape, Type, Value, View};

/// A value of a loop body, as it is outside of the loop.
#[derive(Copy, Clone, Debug)]
pub(super) enum Outer {
    /// The same for every iteration.
    Uniform(Value),
    /// One element of the first axis for each iteration.
    Stacked(Value),
}

/// Adds to `g` the operation, whose operands (of these types in one iteration) are `x`, for all `length` iterations.
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
    let result = match op.class() {
        Class::Contraction(kind) => b.matmul(kind, x),
        Class::View(View::Broadcast(shape)) => {
            // Missing axes are inserted behind the loop's.
            let (v, ty) = x[0];
            let mut full: Shape = std::iter::repeat_n(Dim::fixed(1), shape.len() - ty.shape.len()).collect();
            full.extend(ty.shape.iter().cloned());
            let v = b.stacked((v, ty));
            let v = b.emit(Op::Reshape(b.front(&full)), &[v]);
            b.batched(op, &[v])
        }
        Class::Elementwise(_) | Class::View(_) | Class::Reduction(..) | Class::Axis(_) => {
            let operands: Vec<Value> = x.iter().map(|x| b.stacked(*x)).collect();
            b.batched(op, &operands)
        }
        Class::Leaf(_) | Class::Check(_) | Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => {
            unreachable!("bug in this library: {} cannot be done for many iterations at once", op.name())
        }
    };
    Outer::Stacked(result)
}

/// The value for all iterations, repeated where it is the same for each.
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

    /// The primitive with the loop's axis in front, which it only passes through.
    fn batched(&mut self, op: &Op, x: &[Value]) -> Value {
        let Some(op) = op.batched(self.length) else { unreachable!("bug in this library: {} has no batch", op.name()) };
        debug_assert_eq!(
            op.axis_map(&x.iter().map(|v| self.g.ty(*v)).collect::<Vec<&Type>>()).first(),
            Some(&Some(0)),
            "bug in this library: {} works along the axis of a loop",
            op.name()
        );
        self.emit(op, x)
    }

    fn stacked(&mut self, (v, ty): (Outer, &Type)) -> Value {
        match v {
            Outer::Stacked(v) => v,
            Outer::Uniform(v) => self.emit(Op::Broadcast(self.front(&ty.shape)), &[v]),
        }
    }

    /// A product with a matrix that is the same for every iteration is one product of more rows; else a batch of products.
    fn matmul(&mut self, kind: Contraction, x: &[(Outer, &Type)]) -> Value {
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
        match kind {
            Contraction::Matmul => product,
            // By definition the addition comes after the product.
            Contraction::AddMatmul => {
                let c = self.stacked(x[0]);
                self.emit(Op::Binary(BinaryOp::Add), &[c, product])
            }
        }
    }

    /// `[t, m, k]` times `[k, n]` is `[t * m, k]` times `[k, n]`.
    fn rows(&mut self, a: Value, [m, k]: [&Dim; 2], b: Value, n: &Dim) -> Value {
        let rows = self.length * m;
        let a = self.emit(Op::Reshape(Shape::from_iter([rows, k.clone()])), &[a]);
        let product = self.emit(Op::Matmul, &[a, b]);
        self.emit(Op::Reshape(Shape::from_iter([self.length.clone(), m.clone(), n.clone()])), &[product])
    }
}
