//! Operations that are one call of a kernel over strided operands: gathering, scattering, places of extremes, sorting,
//! recurrences and overlapping sums. Operands are handed over as they lie, repeated axes included; nothing is copied
//! that has a place in memory.

use crate::schedule::lower::{Lower, numel, same_place, touched};
use crate::schedule::program::Failure;
use crate::schedule::program::{Arg, LibraryCall, Step};
use crate::schedule::view::{View, is_zero};
use allotrope_ir::{AxisOp, Class, DType, Dim, Op, ScatterOp, Shape, Type};
use smallvec::SmallVec;

fn number(n: usize) -> Arg {
    Arg::Number(Dim::fixed(n))
}

fn flag(on: bool) -> Arg {
    number(usize::from(on))
}

fn table(t: &Shape) -> Arg {
    Arg::Table(t.clone())
}

fn read(v: &View) -> Arg {
    Arg::Read(v.clone())
}

fn write(v: &View) -> Arg {
    Arg::Write(v.clone())
}

impl Lower {
    /// Appends the call that `op` is; its result, of type `ty`, lies in the view returned, in `dest` where given.
    /// None where `op` is no such operation. `dies` says that the memory of the first operand may be written over.
    pub(crate) fn library(
        &mut self,
        op: &Op,
        operands: &[View],
        ty: &Type,
        dest: Option<View>,
        dies: bool,
    ) -> Option<View> {
        let Class::Axis(kind) = op.class() else { return None };
        if let AxisOp::Scatter { op, axis } = kind {
            return Some(self.scatter(op, axis, operands, ty, dest, dies));
        }
        let x: SmallVec<[View; 2]> = operands.iter().map(|v| self.in_memory(v)).collect();
        let rank = operands.first()?.shape.len();
        let elements = numel(&x[0].shape);
        let (head, flops) = match kind {
            AxisOp::Gather { axis } => {
                let n = x[0].shape[axis].clone();
                let head = vec![number(rank), number(axis), Arg::Number(n), table(&x[1].shape)];
                (head, Dim::Fixed(0))
            }
            AxisOp::ArgReduce { axis, .. } => (vec![number(rank), number(axis), table(&x[0].shape)], elements),
            AxisOp::ArgSort { axis, descending } => {
                (vec![number(rank), number(axis), flag(descending), table(&x[0].shape)], Dim::Fixed(0))
            }
            AxisOp::Recurrence { axis, reverse } => {
                let head = vec![number(rank), number(axis), flag(reverse), table(&x[0].shape)];
                (head, &elements * &Dim::Fixed(2))
            }
            AxisOp::OverlapAdd { axis, len, step, dilation } => {
                let len = Arg::Number(len.clone());
                let head = vec![number(rank), number(axis), len, number(step), number(dilation), table(&x[0].shape)];
                (head, elements)
            }
            AxisOp::Concat { .. } | AxisOp::Scatter { .. } => return None,
        };
        let function = op.name();
        let out = dest.unwrap_or_else(|| self.scratch(ty));
        let reads: SmallVec<[&View; 2]> = x.iter().collect();
        let read_bytes = match kind {
            // As much as it writes, and the indices.
            AxisOp::Gather { .. } => &touched(&out) + &touched(&x[1]),
            AxisOp::Concat { .. }
            | AxisOp::Scatter { .. }
            | AxisOp::ArgReduce { .. }
            | AxisOp::ArgSort { .. }
            | AxisOp::Recurrence { .. }
            | AxisOp::OverlapAdd { .. } => x.iter().fold(Dim::Fixed(0), |n, v| &n + &touched(v)),
        };
        self.unaliased(&reads, &out, |l, out| {
            let mut args = head;
            args.extend(x.iter().map(|v| table(&v.strides)));
            args.extend(x.iter().map(read));
            args.push(write(out));
            let number = l.info(function, op.name(), &x[0].shape, &flops, &(&read_bytes + &touched(out)));
            l.steps.push(Step::Library(LibraryCall { name: format!("{function}_{}", x[0].dtype), args, number }));
        });
        Some(out)
    }

    /// The base goes where the result is wanted; then the call puts the sources there.
    fn scatter(
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
        let strides = crate::schedule::view::row_major(&out.shape);
        let n = Arg::Number(out.shape[axis].clone());
        let mut args = vec![number(out.shape.len()), number(axis), n, table(&index.shape)];
        args.extend([table(&index.strides), table(&source.strides), table(&strides)]);
        args.extend([read(&index), read(&source), write(&out)]);
        let elements = numel(&index.shape);
        let each = Dim::Fixed(ty.dtype.size() as i64);
        let (flops, moves) = match op {
            ScatterOp::Set => (Dim::Fixed(0), each),
            ScatterOp::Add => (elements.clone(), &each * &Dim::Fixed(2)),
        };
        let bytes = &(&touched(&index) + &touched(&source)) + &(&elements * &moves);
        let number = self.info(op.name(), op.name(), &index.shape, &flops, &bytes);
        self.steps.push(Step::Library(LibraryCall { name: format!("{}_{}", op.name(), ty.dtype), args, number }));
        out
    }

    /// The value as a view of memory: as it is, or what is not repeated of it copied there.
    pub(crate) fn in_memory(&mut self, x: &View) -> View {
        if x.buf().is_some() {
            return x.clone();
        }
        let mut once = x.clone();
        for (n, s) in once.shape.iter_mut().zip(&x.strides) {
            if is_zero(s) {
                *n = Dim::Fixed(1);
            }
        }
        let mut there = self.materialise(&once, true);
        for (s, old) in there.strides.iter_mut().zip(&x.strides) {
            if is_zero(old) {
                *s = Dim::Fixed(0);
            }
        }
        there.shape = x.shape.clone();
        there
    }

    /// Appends the step that asks a check.
    pub(crate) fn check(&mut self, message: &str, condition: &View) {
        debug_assert_eq!(condition.dtype, DType::Bool);
        self.program.checks.push(Failure::Check(message.into()));
        let number = self.program.checks.len();
        self.steps.push(Step::Check { number, condition: condition.clone() });
    }
}
