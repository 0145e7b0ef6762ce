//! Sums and products of three operands that PyTorch has a name for: `lerp`, `addcmul`, `addcdiv`.

use super::super::arg::{Arg, Number, PromotedArg, common, result_dtype};
use super::super::{twins, underived};
use super::{binary, compare};
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
    /// that is a tensor with axes; integers take that of a weight without axes.
    fn lerp / try_lerp<'a>(&self, end: &Tensor, weight: impl Into<Arg<'a>>) -> Tensor {
        let weight = weight.into();
        let own = self.dtype();
        let other = match weight {
            Arg::Tensor(w) if w.dim() > 0 => w.dtype(),
            _ => own,
        };
        if let Some(wrong) = [end.dtype(), other].into_iter().find(|t| *t != own) {
            return Err(Error::operands("lerp", format!("expects {own} throughout, got {wrong}; use to(DType::..) first")));
        }
        let dtype = match weight {
            Arg::Tensor(_) => result_dtype(&[Arg::Tensor(self), Arg::Tensor(end), weight]),
            Arg::Number(_) => own,
        };
        if !dtype.is_float() {
            return Err(Error::operands("lerp", format!("not defined for {dtype}; use to(DType::F32) first")));
        }
        if let Arg::Number(n) = weight {
            n.fitted_factor("lerp", dtype)?;
        }
        let full = if dtype.is_half() { DType::F32 } else { dtype };
        let [a, b, w] = common("lerp", [Arg::Tensor(self), Arg::Tensor(end), weight], full)?;
        super::rounded(&lerp(&a, &b, &w)?, dtype, None)
    }

    /// x + value · a · b, elementwise. A value for integers is cut to a whole number.
    fn addcmul / try_addcmul(&self, a: &Tensor, b: &Tensor, value: impl Into<Number>) -> Tensor {
        let keeps: Vec<Keeps> = [(1, b), (2, a)].into_iter().filter(|(_, other)| other.is_requires_grad()).map(|(i, _)| Keeps::Operand(i)).collect();
        let value = value.into();
        single("AddcmulBackward0", &[self, a, b], &keeps, |t| added(t, value, "addcmul"))
    }

    /// x + value · a / b, elementwise. Two integers are not divided: cast one to a float first.
    fn addcdiv / try_addcdiv(&self, a: &Tensor, b: &Tensor, value: impl Into<Number>) -> Tensor {
        if !a.dtype().is_float() && !b.dtype().is_float() {
            return Err(Error::operands("addcdiv", "integers are not divided; use to(DType::F32) on one of them first"));
        }
        let all = [Keeps::Operand(2), Keeps::Operand(1)];
        let keeps = if b.is_requires_grad() { &all[..] } else { &all[..1] };
        let value = value.into();
        single("AddcdivBackward0", &[self, a, b], keeps, |t| {
            if b.dtype().is_float() {
                return added(t, value, "addcdiv");
            }
            // PyTorch divides the value by b in b's dtype.
            let a = underived("AddcdivBackward0", &t[1], "addcdiv: a quotient can't be cast to the integers it is of")?;
            added(&[t[0].clone(), a, t[2].clone()], value, "addcdiv")
        })
    }
}

/// x + value · a · b or x + value · a / b in one operation, halves in f32.
fn added(all: &[Tensor], value: Number, op: &'static str) -> Result<Tensor> {
    let [x, a, b] = all else { unreachable!("bug in allotrope: three tensors went in") };
    let sum = sum_of(x, a, b, value, op)?;
    let sizes = sum.sizes();
    let [x, a, b] = [x.expand_sizes(&sizes)?, a.expand_sizes(&sizes)?, b.expand_sizes(&sizes)?];
    laid_out(sum, LayoutRule::Elementwise, &[&x, &a, &b].map(Operand::Tensor))
}

fn sum_of(x: &Tensor, a: &Tensor, b: &Tensor, value: Number, op: &'static str) -> Result<Tensor> {
    let args = [Arg::Tensor(x), Arg::Tensor(a), Arg::Tensor(b)];
    let dtype = result_dtype(&args);
    if dtype == DType::Bool {
        return Err(Error::operands(op, "not defined for bool; use to(DType::I64) first"));
    }
    value.fitted_factor(op, dtype)?;
    let value = match value {
        Number::Float(x) if !dtype.is_float() => Number::Int(x as i64),
        value => value,
    };
    let quotient = op == "addcdiv";
    let name = if quotient { "AddcdivBackward0" } else { "AddcmulBackward0" };
    super::all_in_full(op, args, dtype, |all| {
        let [Some(x), Some(a), Some(b)] = all.each_ref().map(PromotedArg::tensor) else {
            unreachable!("tensors went in")
        };
        let operands = [Operand::Tensor(x), Operand::Tensor(a), Operand::Tensor(b)];
        let compute = || {
            let scaled = a.try_mul(value)?;
            x.try_add(&if quotient { scaled.try_div(b)? } else { scaled.try_mul(b)? })
        };
        composite(name, &operands, compute, |_| {
            let needed =
                |t: &Tensor, by: &[&Tensor]| by.iter().any(|t| t.is_requires_grad()).then(|| Saved::operand(t));
            let (a, b) =
                if quotient { (needed(a, &[b]), needed(b, &[a, b])) } else { (needed(a, &[b]), needed(b, &[a])) };
            move |c: &Context<'_>, g: &Tensor| {
                let get = |t: &Option<Saved>| t.as_ref().expect("kept, since a gradient needs it").get(c.me);
                let by_a = || match quotient {
                    true => g.try_mul(&super::try_div(value, &get(&b)?)?),
                    false => g.try_mul(&get(&b)?.try_mul(value)?),
                };
                let by_b = || {
                    let scaled = get(&a)?.try_mul(value)?;
                    match quotient {
                        true => g.try_neg()?.try_mul(&scaled.try_div(&get(&b)?.try_square()?)?),
                        false => g.try_mul(&scaled),
                    }
                };
                Ok(smallvec![
                    if c.wants(0) { Some(g.clone()) } else { None },
                    if c.wants(1) { Some(by_a()?) } else { None },
                    if c.wants(2) { Some(by_b()?) } else { None },
                ])
            }
        })
    })
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
