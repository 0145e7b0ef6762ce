//! Matrix products, with PyTorch's rules for operands of any number of axes.

use super::twins;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::dispatch::differentiable;
use crate::error::{Error, Result};
use crate::tensor::recorder::{self, Operand};
use crate::tensor::size::Sizes;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Op};

/// The product of operands with the same number of axes, two or more, and equal batch axes.
fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    differentiable(&Op::Matmul, "MmBackward0", &[Operand::Tensor(a), Operand::Tensor(b)], |_| {
        let turned = is_turned(b);
        // Each operand is kept for the gradient of the other.
        let (a, b) = (b.is_requires_grad().then(|| Saved::operand(a)), a.is_requires_grad().then(|| Saved::operand(b)));
        let transposed = |x: &Option<Saved>, me: &_| {
            x.as_ref().expect("kept, since the other operand wants its gradient").get(me)?.try_transpose(-1, -2)
        };
        move |c: &Context<'_>, g: &Tensor| {
            super::grads2(
                c,
                || product(g, &transposed(&b, c.me)?),
                || match turned {
                    // The same chains of products, laid out as the operand is, so that sums of them stay dense.
                    true => product(&g.try_transpose(-1, -2)?, &transposed(&a, c.me)?.try_transpose(-1, -2)?)?
                        .try_transpose(-1, -2),
                    false => product(&transposed(&a, c.me)?, g),
                },
            )
        }
    })
}

/// Whether the matrix lies in memory by columns.
fn is_turned(x: &Tensor) -> bool {
    match (x.strided(), x.dim()) {
        (Some(s), n) if n >= 2 => s.strides[n - 2] == 1 && s.strides[n - 1] != 1,
        _ => false,
    }
}

twins! {
    /// The matrix product, as `torch.matmul`: vectors are rows or columns whose axis goes again, and axes before the
    /// last two are batch axes that broadcast: `[.., m, k] x [.., k, n] -> [.., m, n]`. Each element is a chain of
    /// fused multiply-adds over k in ascending order.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let a = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    /// assert_eq!(a.matmul(&a).to_vec::<f32>(), [7.0, 10.0, 15.0, 22.0]);
    /// ```
    fn matmul / try_matmul(&self, other: &Tensor) -> Tensor {
        let (a, b) = (self, other);
        let fail = |why: &str| {
            Err(Error::operands("matmul", format!("{}{:?} x {}{:?}: {why}", a.dtype(), a.shape_hint(), b.dtype(), b.shape_hint())))
        };
        if a.dtype() != b.dtype() || a.dtype() == DType::Bool {
            return fail("operands must have one numeric dtype");
        }
        if a.dim() == 0 || b.dim() == 0 {
            return fail("a tensor without axes has no matrix product; use mul");
        }
        let a2 = if a.dim() == 1 { a.try_unsqueeze(0)? } else { a.clone() };
        let b2 = if b.dim() == 1 { b.try_unsqueeze(1)? } else { b.clone() };
        let (m, n) = (a2.sizes(), b2.sizes());
        let (inner_a, inner_b) = (m[m.len() - 1], n[n.len() - 2]);
        if !recorder::demand_equal(inner_a, inner_b) {
            return fail(&format!("the last axis of the first ({inner_a}) must equal the second to last of the second ({inner_b})"));
        }
        let full = match (a2.dim(), b2.dim()) {
            (2, 2) => product(&a2, &b2)?,
            (_, 2) => {
                // The batch is more rows of one product.
                let mut sizes = m.clone();
                let rows = recorder::numel(&m[..m.len() - 1]);
                sizes[m.len() - 1] = n[1];
                product(&a2.reshape_sizes(&[rows, inner_a])?, &b2)?.reshape_sizes(&sizes)?
            }
            _ => {
                let (a3, b3) = batched(&a2, &b2)?;
                product(&a3, &b3)?
            }
        };
        let full = if b.dim() == 1 { drop_axis(&full, full.dim() - 1)? } else { full };
        if a.dim() == 1 { drop_axis(&full, full.dim() - if b.dim() == 1 { 1 } else { 2 }) } else { Ok(full) }
    }
}

/// Without an axis of size 1.
fn drop_axis(x: &Tensor, axis: usize) -> Result<Tensor> {
    let mut sizes = x.sizes();
    sizes.remove(axis);
    x.reshape_sizes(&sizes)
}

/// Both operands with broadcast batch axes.
fn batched(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let (m, n) = (a.sizes(), b.sizes());
    let (batch_a, batch_b) = (&m[..m.len() - 2], &n[..n.len() - 2]);
    let rank = batch_a.len().max(batch_b.len());
    let at = |s: &[Size], i: usize| (i + s.len()).checked_sub(rank).map_or(Size::from(1), |j| s[j]);
    let batch = (0..rank)
        .map(|i| {
            super::arg::broadcast_size(at(batch_a, i), at(batch_b, i)).ok_or_else(|| {
                Error::operands(
                    "matmul",
                    format!("cannot broadcast the batch axes of {:?} with {:?}", a.shape_hint(), b.shape_hint()),
                )
            })
        })
        .collect::<Result<Sizes>>()?;
    let with = |own: &Sizes| -> Sizes { batch.iter().chain(&own[own.len() - 2..]).copied().collect() };
    Ok((a.expand_sizes(&with(&m))?, b.expand_sizes(&with(&n))?))
}
