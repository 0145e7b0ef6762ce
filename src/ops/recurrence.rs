//! The linear recurrence `r[i] = a[i] r[i-1] + b[i]` along an axis: one primitive under cumulative sums, cumulative
//! products and products, closed under differentiation, and without a division that zeros would spoil.

use super::grads2;
use crate::autograd::record::differentiable;
use crate::autograd::saved::Saved;
use crate::error::Result;
use crate::mode::sizes::is_zero;
use crate::mode::values::full_of;
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{Op, Scalar};

/// `r[0] = b[0]`, `r[i] = a[i] r[i-1] + b[i]` along an axis, from its end where `reverse`. Equal shapes and dtypes.
pub(crate) fn recurrence(a: &Tensor, b: &Tensor, axis: usize, reverse: bool) -> Result<Tensor> {
    let operands = [Operand::Tensor(a), Operand::Tensor(b)];
    differentiable(&Op::Recurrence { axis, reverse }, "RecurrenceBackward0", &operands, |r| {
        let (a, r) = (Saved::operand(a), Saved::output(r, 0));
        move |c: &crate::autograd::tape::Context<'_>, g: &Tensor| {
            let n = g.sizes()[axis];
            if is_zero(n) {
                return grads2(c, || Ok(g.clone()), || Ok(g.clone()));
            }
            // s[i] = g[i] + a[i+1] s[i+1] is the gradient of b; that of a[i] is s[i] r[i-1].
            let a = a.get(c.me)?;
            let (one, rest) = (Size::from(1), n.minus(Size::from(1)));
            let (first, last) = if reverse { (rest, Size::from(0)) } else { (Size::from(0), rest) };
            let (later, earlier) = if reverse { (Size::from(0), one) } else { (one, Size::from(0)) };
            let cut = |x: &Tensor, start: Size, len: Size| super::movement::narrow(x, axis, start, len);
            let join = |head: Tensor, tail: Tensor| {
                let parts = if reverse { [&tail, &head] } else { [&head, &tail] };
                super::movement::concat(&parts, axis)
            };
            // The factor behind the last place is used by nobody.
            let shifted = {
                let (tail, unused) = (cut(&a, later, rest)?, cut(&a, last, one)?);
                let parts = if reverse { [&unused, &tail] } else { [&tail, &unused] };
                super::movement::concat(&parts, axis)?
            };
            let s = recurrence(&shifted, g, axis, !reverse)?;
            let by_a = || {
                let product = cut(&s, later, rest)?.try_mul(&cut(&r.get(c.me)?, earlier, rest)?)?;
                let zeros = full_of(&cut(&s, first, one)?.sizes(), Scalar::from_f64(0.0, s.dtype()))?;
                join(zeros, product)
            };
            grads2(c, by_a, || Ok(s.clone()))
        }
    })
}
