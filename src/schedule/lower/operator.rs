//! Operators of the library: over strided operands as they lie, repeated axes included. Nothing is copied that has a place in
//! memory and is not written over.

use crate::schedule::factor::Factor;
use crate::schedule::instruction::Instruction;
use crate::schedule::lower::{Lower, same_place};
use crate::schedule::operator::{Operation, Operator};
use crate::schedule::view::{View, is_zero, numel};
use allotrope_ir::{Dim, ScatterOp, Type};
use smallvec::SmallVec;

impl Lower {
    /// Appends an operator that has its number.
    pub(super) fn operation(&mut self, operator: Operator, number: usize) {
        self.instructions.push(Instruction::Operation(Box::new(Operation { operator, number })));
    }

    /// Appends the operator that `make` gives for operands in memory and where the result is to lie. The result, of type
    /// `ty`, lies in the view returned: in `dest` where given. `flops` is for each element of the first operand.
    pub(super) fn along_axis(
        &mut self,
        name: &str,
        flops: i64,
        operands: &[View],
        ty: &Type,
        dest: Option<View>,
        make: impl FnOnce(&[View], View) -> Operator,
    ) -> View {
        let x: SmallVec<[View; 2]> = operands.iter().map(|v| self.in_memory(v)).collect();
        let out = dest.unwrap_or_else(|| self.scratch(ty));
        let reads: SmallVec<[&View; 2]> = x.iter().collect();
        self.unaliased(&reads, &out, |l, out| {
            let operator = make(&x, out.clone());
            let read = match &operator {
                // As much as it writes, and the indices.
                Operator::Gather { index, .. } => &touched(out) + &touched(index),
                _ => bytes(&reads),
            };
            let flops = &numel(&x[0].shape) * &Dim::Fixed(flops);
            let number = l.info(name, name, &x[0].shape, &flops, &(&read + &touched(out)));
            l.operation(operator, number);
        });
        out
    }

    /// The base goes where the result is wanted; then the call puts the sources there.
    pub(super) fn scatter(
        &mut self,
        op: ScatterOp,
        axis: usize,
        operands: &[View],
        ty: &Type,
        dest: Option<View>,
        dies: bool,
    ) -> View {
        let base = &operands[0];
        let out = match dest {
            Some(d) => d,
            None if dies => base.clone(),
            None => self.scratch(ty),
        };
        let [index, source] = [1, 2].map(|i| {
            let v = self.in_memory(&operands[i]);
            // What would be written over while it is read is read from a copy.
            let clash = v.buf().zip(out.buf()).is_some_and(|(v, out)| self.may_alias(v, out));
            if clash { self.materialise(&v, true) } else { v }
        });
        if !same_place(base, &out) {
            self.unaliased(&[base], &out, |l, out| l.copy(base, out));
        }
        let elements = numel(&index.shape);
        let each = Dim::Fixed(ty.dtype.size() as i64);
        let (flops, moves) = match op {
            ScatterOp::Set => (Dim::Fixed(0), each),
            ScatterOp::Add => (elements.clone(), &each * &Dim::Fixed(2)),
        };
        let bytes = &(&touched(&index) + &touched(&source)) + &(&elements * &moves);
        let number = self.info(op.name(), op.name(), &index.shape, &flops, &bytes);
        self.operation(Operator::Scatter { op, axis, index, source, out: out.clone() }, number);
        out
    }

    /// Appends a matrix product.
    pub(super) fn matmul(&mut self, a: &Factor, b: &Factor, out: &View, accumulate: bool) {
        // What has several axes is a view of memory, which the product itself puts into order.
        let a = if a.view.buf().is_some() { a.clone() } else { Factor::of(self.materialise(&a.view, true)) };
        let b = if b.is_view() { Factor::of(self.packed(&b.view)) } else { b.clone() };
        self.unaliased(&[&a.view, &b.view], out, |l, c| {
            if accumulate && c != out {
                l.copy(out, c);
            }
            let rank = c.shape.len();
            let space: SmallVec<[Dim; 4]> = c.shape.iter().cloned().chain([a.shape()[rank - 1].clone()]).collect();
            let flops = &numel(&space) * &Dim::Fixed(2);
            let bytes = bytes(&[&a.view, &b.view, c]);
            let bytes = if accumulate { &bytes + &touched(c) } else { bytes };
            let ops = if accumulate { "addmatmul" } else { "matmul" };
            let number = l.info("matmul", ops, &space, &flops, &bytes);
            l.operation(Operator::Matmul { a: a.clone(), b: b.clone(), out: c.clone(), accumulate }, number);
        });
    }
}

/// Bytes of the elements of views, those that are repeated along an axis once.
pub fn bytes(views: &[&View]) -> Dim {
    views.iter().fold(Dim::Fixed(0), |n, v| &n + &touched(v))
}

/// Bytes of the elements of a view, those that are repeated along an axis once.
pub fn touched(v: &View) -> Dim {
    let walked = v.shape.iter().zip(&v.strides).filter(|(_, s)| !is_zero(s));
    walked.fold(Dim::Fixed(v.dtype.size() as i64), |n, (d, _)| &n * d)
}
