//! Sums and products of three operands that PyTorch has a name for: `lerp`, `addcmul`, `addcdiv`.

use super::super::arg::{Arg, Number, PromotedArg, common, result_dtype};
use super::super::twins;
use super::{binary, compare, floating, in_full};
use crate::autograd::record::composite;
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::laid_out;
use crate::ops::arg::SavedArg;
use crate::ops::single_node::{Keeps, single};
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use allotrope_ir::{BinaryOp, CompareOp, DType};
use smallvec::smallvec;

twins! {
    /// a + weight · (b - a), elementwise, computed from the nearer end. Both are of one float dtype, and so is a weight
    /// that is a tensor with axes.
    fn lerp / try_lerp<'a>(&self, end: &Tensor, weight: impl Into<Arg<'a>>) -> Tensor {
        let weight = weight.into();
        let dtype = floating(self, "lerp")?.dtype();
        let other = match weight {
            Arg::Tensor(w) if w.dim() > 0 => w.dtype(),
            _ => dtype,
        };
        if let Some(wrong) = [end.dtype(), other].into_iter().find(|t| *t != dtype) {
            return Err(Error::operands("lerp", format!("expects {dtype} throughout, got {wrong}; use to(DType::..) first")));
        }
        let full = if dtype.is_half() { DType::F32 } else { dtype };
        let [a, b, w] = common("lerp", [Arg::Tensor(self), Arg::Tensor(end), weight], full)?;
        lerp(&a, &b, &w)?.try_to(dtype)
    }

    /// x + value · a · b, elementwise. A value for integers is cut to a whole number.
    fn addcmul / try_addcmul(&self, a: &Tensor, b: &Tensor, value: impl Into<Number>) -> Tensor {
        let dtype = result_dtype(&[Arg::Tensor(self), Arg::Tensor(a), Arg::Tensor(b)]);
        let value = value_of(value.into(), dtype);
        let keeps: Vec<Keeps> = [(1, b), (2, a)].into_iter().filter(|(_, other)| other.is_requires_grad()).map(|(i, _)| Keeps::Operand(i)).collect();
        single("AddcmulBackward0", &[self, a, b], &keeps, |t| {
            promoted(&t[0], dtype, |x, full| x.try_add(&full(&t[1])?.try_mul(value)?.try_mul(&full(&t[2])?)?))
        })
    }

    /// x + value · a / b, elementwise. Two integers are not divided: cast one to a float first.
    fn addcdiv / try_addcdiv(&self, a: &Tensor, b: &Tensor, value: impl Into<Number>) -> Tensor {
        if !a.dtype().is_float() && !b.dtype().is_float() {
            return Err(Error::operands("addcdiv", "integers are not divided; use to(DType::F32) on one of them first"));
        }
        let dtype = result_dtype(&[Arg::Tensor(self), Arg::Tensor(a), Arg::Tensor(b)]);
        let value = value_of(value.into(), dtype);
        let all = [Keeps::Operand(2), Keeps::Operand(1)];
        let keeps = if b.is_requires_grad() { &all[..] } else { &all[..1] };
        single("AddcdivBackward0", &[self, a, b], keeps, |t| {
            promoted(&t[0], dtype, |x, full| x.try_add(&full(&t[1])?.try_mul(value)?.try_div(&full(&t[2])?)?))
        })
    }
}

fn value_of(value: Number, dtype: DType) -> Number {
    match value {
        Number::Float(x) if !dtype.is_float() => Number::Int(x as i64),
        value => value,
    }
}

/// Runs `f` on operands of `dtype`, halves in f32.
fn promoted(
    x: &Tensor,
    dtype: DType,
    f: impl FnOnce(&Tensor, &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor>,
) -> Result<Tensor> {
    in_full(&x.try_to(dtype)?, |x| f(x, &|t| t.try_to(x.dtype())))
}

fn lerp(a: &PromotedArg, b: &PromotedArg, w: &PromotedArg) -> Result<Tensor> {
    let (PromotedArg::Tensor(a), PromotedArg::Tensor(b)) = (a, b) else { unreachable!("tensors went in") };
    let rest = |w: &PromotedArg| binary("sub", BinaryOp::Sub, Arg::Number(Number::Float(1.0)), w.arg());
    let compute = || {
        let way = b.try_sub(a)?;
        let from_a = || a.try_add(&way.try_mul(w.arg())?);
        let from_b = |rest: &PromotedArg| b.try_sub(&way.try_mul(rest.arg())?);
        match w {
            PromotedArg::Number(n) if n.to_f64().abs() < 0.5 => from_a(),
            PromotedArg::Number(n) => from_b(&PromotedArg::Number(Number::Float(1.0 - n.to_f64()))),
            PromotedArg::Tensor(t) => {
                let near = compare("lt", CompareOp::Lt, Arg::Tensor(&t.try_abs()?), Arg::Number(Number::Float(0.5)))?;
                from_a()?.try_where_self(&near, &from_b(&PromotedArg::Tensor(rest(w)?))?)
            }
        }
    };
    let operands = [Operand::Tensor(a), Operand::Tensor(b), w.operand()];
    let compute = || laid_out(compute()?, LayoutRule::Elementwise, &operands);
    let node = super::by_kind(w.arg(), "LerpBackward0", "LerpBackward1");
    composite(node, &operands, compute, |_| {
        let ends = w.needs_gradient().then(|| (Saved::operand(a), Saved::operand(b)));
        let w = SavedArg::of(w);
        move |c: &Context<'_>, g: &Tensor| {
            let w = w.get(c.me)?;
            let by_w = || {
                let (a, b) = ends.as_ref().expect("kept where the weight wants its gradient");
                g.try_mul(&b.get(c.me)?.try_sub(&a.get(c.me)?)?)
            };
            let by_a = || match &w {
                PromotedArg::Number(n) => g.try_mul(1.0 - n.to_f64()),
                w => g.try_mul(&rest(w)?),
            };
            Ok(smallvec![
                if c.wants(0) { Some(by_a()?) } else { None },
                if c.wants(1) { Some(g.try_mul(w.arg())?) } else { None },
                if c.wants(2) { Some(by_w()?) } else { None },
            ])
        }
    })
}
