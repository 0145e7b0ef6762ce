//! The distances of each two rows of two matrices. No product of matrices stands in for them, so near rows lose no digits.

use super::elementwise::floating;
use super::single_node::{Keeps, single};
use super::{grads1, twins};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::sizes::{demand_equal, is_zero};
use crate::mode::values::full_of;
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use allotrope_ir::Scalar;

/// The largest size along the last axis; each that is as large has the whole gradient, as PyTorch's `cdist` has it.
fn farthest(x: &Tensor) -> Result<Tensor> {
    composite(
        "CdistBackward0",
        &[Operand::Tensor(x)],
        || x.try_abs()?.try_amax(&[-1], false),
        |y| {
            let (x, y) = (Saved::operand(x), Saved::output(y, 0));
            move |c: &Context<'_>, g: &Tensor| {
                let (x, y) = (x.get(c.me)?.detach(), y.get(c.me)?.detach());
                let hit = x.try_abs()?.try_eq(&y.try_unsqueeze(-1)?)?.try_to(g.dtype())?;
                grads1(hit.try_mul(&x.try_sign()?)?.try_mul(&g.try_unsqueeze(-1)?)?)
            }
        },
    )
}

/// How many elements along the last axis are not 0; no gradient comes back but zeros.
fn differing(x: &Tensor) -> Result<Tensor> {
    let compute = || x.try_ne(0.0)?.try_to(x.dtype())?.try_sum_dim(&[-1], false);
    composite("CdistBackward0", &[Operand::Tensor(x)], compute, |_| {
        let sizes = x.sizes();
        move |_: &Context<'_>, g: &Tensor| grads1(full_of(&sizes, Scalar::from_f64(0.0, g.dtype()))?)
    })
}

twins! {
    /// The distance of order `p` of each row of this to each row of `other`: `[.., m, k], [.., n, k] -> [.., m, n]`, where batch axes
    /// broadcast. PyTorch's `torch.cdist`; its default is p = 2. The gradient at distance 0 is 0.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let (x, y) = (Tensor::zeros(&[1, 2], DType::F32), Tensor::from_vec(vec![3.0f32, 4.0, 0.0, 1.0], &[2, 2]));
    /// assert_eq!(x.cdist(&y, 2.0).to_vec::<f32>(), [5.0, 1.0]);
    /// ```
    fn cdist / try_cdist(&self, other: &Tensor, p: f64) -> Tensor {
        let op = "cdist";
        floating(self, op)?;
        let (a, b) = (self.sizes(), other.sizes());
        if a.len() < 2 || b.len() < 2 || self.dtype() != other.dtype() || !demand_equal(a[a.len() - 1], b[b.len() - 1]) {
            let (x, y) = (self.shape_hint(), other.shape_hint());
            return Err(Error::operands(op, format!(
                "takes matrices of one dtype with rows as long as each other, got {}{x:?} and {}{y:?}", self.dtype(), other.dtype()
            )));
        }
        if p.is_nan() || p < 0.0 {
            return Err(Error::operands(op, format!("the order must not be negative, got {p}")));
        }
        single("CdistBackward0", &[self, other], &[Keeps::Operand(0), Keeps::Operand(1), Keeps::Result(0)], |t| {
            let rest = t[0].try_unsqueeze(-2)?.try_sub(&t[1].try_unsqueeze(-3)?)?;
            match p {
                _ if is_zero(a[a.len() - 1]) => {
                    let mut sizes = rest.sizes();
                    sizes.pop();
                    full_of(&sizes, Scalar::from_f64(0.0, t[0].dtype()))
                }
                0.0 => differing(&rest),
                f64::INFINITY => farthest(&rest),
                p => rest.try_norm_dim(p, &[-1], false),
            }
        })
    }
}
