//! The eager meaning of the primitives that pick, place or order elements along an axis, and of checks.

use super::{Locked, buffer_for, copied, elements, fresh, full_view, moved, numel, reviewed, strided, with_type};
use crate::error::{Error, Result};
use crate::kernels;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Op};
use smallvec::SmallVec;

/// Computes a primitive that moves elements to places which only the values or the axes tell.
pub(super) fn placed(op: &Op<Size>, operands: &[Operand<'_>], dtype: DType, shape: &[usize]) -> Result<Tensor> {
    let tensor = |i: usize| match operands[i] {
        Operand::Tensor(t) => t,
        Operand::Scalar(_) => unreachable!("bug in allotrope: operand {i} of {} is a number", op.name()),
    };
    let x = tensor(0);
    let s = strided(x)?;
    match op {
        Op::Check(message) => {
            let Operand::Tensor(holds) = operands[1] else { unreachable!("the condition is computed") };
            return match elements::<bool>(holds)?[0] {
                // A handle of its own: the operand's history stays as it is.
                true => Ok(x.same_elements()),
                false => Err(Error::checked(message)),
            };
        }
        Op::Flip(axes) => {
            let mut strides = s.strides.clone();
            let mut offset = s.offset as isize;
            for &a in axes {
                offset += (shape[a] as isize - 1).max(0) * strides[a];
                strides[a] = -strides[a];
            }
            let offset = if shape.contains(&0) { s.offset } else { offset as usize };
            return copied(&reviewed(x, s, shape.into(), strides, offset));
        }
        Op::Window { .. } => return moved(op, x, shape.into()),
        _ => {}
    }
    let locked = operands.iter().map(|o| Locked::new(*o)).collect::<Result<SmallVec<[Locked<'_>; 3]>>>()?;
    let mut out = buffer_for(dtype, numel(shape));
    match op {
        Op::OverlapAdd { axis, len, step, dilation } => with_type!(number dtype, T => {
            kernels::overlap_add(full_view::<T>(&locked[0]), *axis, len.hint(), *step, *dilation, out.slice_mut())
        }),
        Op::Gather { axis } => with_type!(dtype, T => {
            kernels::gather(full_view::<T>(&locked[0]), full_view::<i64>(&locked[1]), *axis, out.slice_mut())
        }),
        Op::Scatter { op, axis } => with_type!(dtype, T => {
            kernels::copy(full_view::<T>(&locked[0]), out.slice_mut());
            let (index, source) = (full_view::<i64>(&locked[1]), full_view::<T>(&locked[2]));
            kernels::scatter(*op, index, source, *axis, out.slice_mut::<T>(), shape)
        }),
        Op::ArgReduce { op, axis } => with_type!(number x.dtype(), T => {
            kernels::arg_reduce(*op, full_view::<T>(&locked[0]), *axis, out.slice_mut())
        }),
        Op::ArgSort { axis, descending } => with_type!(x.dtype(), T => {
            kernels::argsort(full_view::<T>(&locked[0]), *axis, *descending, out.slice_mut())
        }),
        Op::Recurrence { axis, reverse } => with_type!(number dtype, T => {
            let (a, b) = (full_view::<T>(&locked[0]), full_view::<T>(&locked[1]));
            kernels::recurrence(a, b, *axis, *reverse, out.slice_mut())
        }),
        _ => unreachable!("not a placing primitive"),
    }
    Ok(fresh(dtype, shape, out))
}
