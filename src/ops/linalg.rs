//! Products of matrices and vectors, with PyTorch's rules for operands of any number of axes. Each element of a product
//! is the sum of its chains of fused multiply-adds; everything else here is how operands are laid out for it.

use super::arg::Number;
use super::movement::concat;
use super::results::unlinked;
use super::single_node::{Keeps, single};
use super::twins;
use crate::autograd::is_grad_enabled;
use crate::autograd::record::{composite, differentiable};
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::{laid_out, row_major};
use crate::mode::sizes::{demand_equal, is_zero, numel};
use crate::tensor::operand::Operand;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{DType, Op};
use smallvec::smallvec;

/// The product of operands with the same number of axes, two or more, and equal batch axes.
pub(super) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    product_as_node(if a.dim() == 2 { "MmBackward0" } else { "BmmBackward0" }, a, b)
}

/// As [`product`], by a node of this name.
fn product_as_node(node: &'static str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    differentiable(&Op::Matmul, node, &[Operand::Tensor(a), Operand::Tensor(b)], |_| {
        let factors = Factors::kept(a, b);
        move |c: &Context<'_>, g: &Tensor| super::grads2(c, || factors.by_a(c, g), || factors.by_b(c, g))
    })
}

/// The product of matrices, plus a tensor of its shape.
pub(crate) fn product_plus(x: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let operands = [Operand::Tensor(x), Operand::Tensor(a), Operand::Tensor(b)];
    composite(
        "AddmmBackward0",
        &operands,
        || product(a, b)?.try_add(x),
        |_| {
            let factors = Factors::kept(a, b);
            move |c: &Context<'_>, g: &Tensor| {
                let by = |i: usize, f: &dyn Fn() -> Result<Tensor>| if c.wants(i) { f().map(Some) } else { Ok(None) };
                Ok(smallvec![by(0, &|| Ok(g.clone()))?, by(1, &|| factors.by_a(c, g))?, by(2, &|| factors.by_b(c, g))?])
            }
        },
    )
}

/// The factors of a product, each kept for the gradient of the other.
struct Factors {
    a: Option<Saved>,
    b: Option<Saved>,
    /// Which of them lie in memory by columns.
    turned: [bool; 2],
    /// Each, where calls differ in that.
    lies: [Option<Tensor>; 2],
}

impl Factors {
    fn kept(a: &Tensor, b: &Tensor) -> Factors {
        Factors {
            turned: [a, b].map(is_turned),
            lies: [a, b].map(|x| (x.dim() == 2 && x.traced().is_some()).then(|| x.detach())),
            a: b.is_requires_grad().then(|| Saved::operand(a)),
            b: a.is_requires_grad().then(|| Saved::operand(b)),
        }
    }

    fn by_a(&self, c: &Context<'_>, g: &Tensor) -> Result<Tensor> {
        match self.turned[0] {
            // The same chains of products, laid out as the operand is, so that sums of them stay dense.
            true => product(&transposed(&self.b, c)?.try_transpose(-1, -2)?, &g.try_transpose(-1, -2)?)?
                .try_transpose(-1, -2),
            false => self.laid_out(0, product(g, &transposed(&self.b, c)?)?),
        }
    }

    fn by_b(&self, c: &Context<'_>, g: &Tensor) -> Result<Tensor> {
        match self.turned[1] {
            true => product(&g.try_transpose(-1, -2)?, &transposed(&self.a, c)?.try_transpose(-1, -2)?)?
                .try_transpose(-1, -2),
            false => self.laid_out(1, product(&transposed(&self.a, c)?, g)?),
        }
    }

    /// The gradient of a factor, as that lies.
    fn laid_out(&self, factor: usize, gradient: Tensor) -> Result<Tensor> {
        match &self.lies[factor] {
            Some(x) => laid_out(gradient, LayoutRule::Gradient, &[Operand::Tensor(x)]),
            None => Ok(gradient),
        }
    }
}

fn transposed(x: &Option<Saved>, c: &Context<'_>) -> Result<Tensor> {
    x.as_ref().expect("kept, since the other operand wants its gradient").get(c.me)?.try_transpose(-1, -2)
}

/// What a product of the operands `i` and `i + 1` keeps.
fn factors(a: &Tensor, b: &Tensor, i: usize) -> Vec<Keeps> {
    let each = [(b, Keeps::Operand(i)), (a, Keeps::Operand(i + 1))];
    each.into_iter().filter(|(other, _)| other.is_requires_grad()).map(|(_, kept)| kept).collect()
}

/// Whether it is a matrix that lies in memory by columns, without gaps.
fn is_turned(x: &Tensor) -> bool {
    match (x.strided(), x.dim()) {
        (Some(s), 2) => s.strides[0] == 1 && s.strides[1] != 1 && s.strides[1] == x.shape_hint()[0] as isize,
        _ => false,
    }
}

twins! {
    /// The matrix product, as `torch.matmul`: vectors are rows or columns whose axis the result does not have, and axes before the
    /// last two are batch axes that broadcast: `[.., m, k] x [.., k, n] -> [.., m, n]`. Each element is the sum
    /// of chains of fused multiply-adds, of 256 steps of k each, in ascending order.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let a = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    /// assert_eq!(a.matmul(&a).to_vec::<f32>(), [7.0, 10.0, 15.0, 22.0]);
    /// ```
    fn matmul / try_matmul(&self, other: &Tensor) -> Tensor {
        match (self.dim(), other.dim()) {
            (2, 2) => multiplied("MmBackward0", self, other),
            (1, 1) => single("DotBackward0", &[self, other], &factors(self, other, 0), |t| multiplied("MmBackward0", &t[0], &t[1])),
            (2, 1) => single("MvBackward0", &[self, other], &factors(self, other, 0), |t| multiplied("MmBackward0", &t[0], &t[1])),
            (1, 2) => Ok(unlinked(&multiplied("SqueezeBackward4", self, other)?)),
            _ => Ok(unlinked(&multiplied("UnsafeViewBackward0", self, other)?)),
        }
    }
}

/// The product of operands of any numbers of axes; its last node has this name.
fn multiplied(node: &'static str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let fail = |why: &str| {
        Err(Error::operands(
            "matmul",
            format!("{}{:?} x {}{:?}: {why}", a.dtype(), a.shape_hint(), b.dtype(), b.shape_hint()),
        ))
    };
    if a.dim() == 0 || b.dim() == 0 {
        return fail("a tensor without axes has no matrix product; use mul");
    }
    if a.dtype() != b.dtype() || a.dtype() == DType::Bool {
        return match without_products(a, b)? {
            Some([a, b, like]) => multiplied(node, &a, &b)?.try_to(like.dtype()),
            None => fail("operands must have one numeric dtype"),
        };
    }
    let a2 = if a.dim() == 1 { a.try_unsqueeze(0)? } else { a.clone() };
    let b2 = if b.dim() == 1 { b.try_unsqueeze(1)? } else { b.clone() };
    let (m, n) = (a2.sizes(), b2.sizes());
    let (inner_a, inner_b) = (m[m.len() - 1], n[n.len() - 2]);
    if !demand_equal(inner_a, inner_b) {
        return fail(&format!(
            "the last axis of the first ({inner_a}) must equal the second to last of the second ({inner_b})"
        ));
    }
    let full = match (a2.dim(), b2.dim()) {
        (2, 2) => product(&a2, &b2)?,
        (_, 2) => {
            // The batch is more rows of one product.
            let mut sizes = m.clone();
            let rows = numel(&m[..m.len() - 1]);
            sizes[m.len() - 1] = n[1];
            product(&a2.reshape_sizes(&[rows, inner_a])?, &b2)?.reshape_as_node(node, &sizes)?
        }
        _ => {
            let (a3, b3) = batched(&a2, &b2)?;
            product_as_node(node, &a3, &b3)?
        }
    };
    let full = if b.dim() == 1 { drop_axis(node, &full, full.dim() - 1)? } else { full };
    if a.dim() == 1 { drop_axis(node, &full, full.dim() - if b.dim() == 1 { 1 } else { 2 }) } else { Ok(full) }
}

/// Operands of two dtypes, or of bools, which PyTorch takes where no product is computed, for want of rows, columns, batches or
/// terms: in a dtype that has products, and one of the result's dtype, which is the second's.
fn without_products(a: &Tensor, b: &Tensor) -> Result<Option<[Tensor; 3]>> {
    let takes = (a.dtype() == b.dtype() && (a.dim(), b.dim()) != (1, 1)) || b.dim() > 2;
    if !takes || !a.sizes().iter().chain(&b.sizes()).any(|&n| is_zero(n)) {
        return Ok(None);
    }
    let dtype = if b.dtype() == DType::Bool { DType::U8 } else { b.dtype() };
    Ok(Some([a.try_to(dtype)?, b.try_to(dtype)?, b.clone()]))
}

twins! {
    /// The product of two matrices: `[m, k] x [k, n] -> [m, n]`.
    fn mm / try_mm(&self, other: &Tensor) -> Tensor {
        self.demand_ranks("mm", other, 2, 2)?;
        self.try_matmul(other)
    }

    /// The products of two batches of matrices: `[b, m, k] x [b, k, n] -> [b, m, n]`.
    fn bmm / try_bmm(&self, other: &Tensor) -> Tensor {
        self.demand_ranks("bmm", other, 3, 3)?;
        if !other.has_size(0, self.sizes()[0]) {
            let (a, b) = (self.shape_hint(), other.shape_hint());
            return Err(Error::operands("bmm", format!("{a:?} x {b:?}: the batches must be as long as each other")));
        }
        multiplied("BmmBackward0", self, other)
    }

    /// The product of a matrix and a vector: `[m, k] x [k] -> [m]`.
    fn mv / try_mv(&self, vector: &Tensor) -> Tensor {
        self.demand_ranks("mv", vector, 2, 1)?;
        self.try_matmul(vector)
    }

    /// The sum of the products of two vectors' elements: `[k] x [k] -> []`.
    fn dot / try_dot(&self, other: &Tensor) -> Tensor {
        self.demand_ranks("dot", other, 1, 1)?;
        if !other.has_size(0, self.sizes()[0]) {
            let (a, b) = (self.shape_hint(), other.shape_hint());
            return Err(Error::operands("dot", format!("vectors must be as long as each other, got {a:?} and {b:?}")));
        }
        self.try_matmul(other)
    }

    /// The product of each pair of two vectors' elements: `[m] x [n] -> [m, n]`.
    fn outer / try_outer(&self, other: &Tensor) -> Tensor {
        self.demand_ranks("outer", other, 1, 1)?;
        self.try_unsqueeze(1)?.try_mul(other)
    }

    /// As [`Tensor::outer`], its older name.
    fn ger / try_ger(&self, other: &Tensor) -> Tensor {
        self.try_outer(other)
    }

    /// `beta * self + alpha * (a x b)` of matrices; this tensor broadcasts to the product. With `beta` 0 it counts for
    /// nothing, whatever is in it. Factors of integers are cut to whole numbers.
    fn addmm / try_addmm(&self, a: &Tensor, b: &Tensor, beta: impl Into<Number>, alpha: impl Into<Number>) -> Tensor {
        a.demand_ranks("addmm", b, 2, 2)?;
        let (beta, alpha) = (beta.into(), alpha.into());
        single("AddmmBackward0", &[self, a, b], &factors(a, b, 1), |t| {
            let product = product_times("addmm", &t[1], &t[2], alpha)?;
            added("addmm", &t[0], &product, t[1].sizes()[1], [beta, Number::Int(1)]).and_then(row_major)
        })
    }

    /// `beta * self + alpha * (a x b)` of batches of matrices; as [`Tensor::addmm`].
    fn baddbmm / try_baddbmm(&self, a: &Tensor, b: &Tensor, beta: impl Into<Number>, alpha: impl Into<Number>) -> Tensor {
        let (beta, alpha) = (beta.into(), alpha.into());
        if a.dtype() != b.dtype() && let Some([wide, other, like]) = without_products(a, b)? {
            one_dtype("baddbmm", self, a)?;
            let sum = self.try_to(wide.dtype())?.try_baddbmm(&wide, &other, beta, alpha)?;
            no_sum_of_bools("baddbmm", like.dtype(), &sum)?;
            if !like.dtype().is_float() && is_grad_enabled() && [self, a, b].iter().any(|t| t.is_requires_grad()) {
                return Err(Error::operands("baddbmm", format!("{} has no gradient; use no_grad", like.dtype())));
            }
            return sum.try_to(like.dtype());
        }
        single("BaddbmmBackward0", &[self, a, b], &factors(a, b, 1), |t| {
            let product = product_times("baddbmm", &t[1], &t[2], alpha)?;
            added("baddbmm", &t[0], &product, t[1].sizes()[2], [beta, Number::Int(1)]).and_then(row_major)
        })
    }

    /// `beta * self + alpha * (matrix x vector)`; as [`Tensor::addmm`].
    fn addmv / try_addmv(&self, matrix: &Tensor, vector: &Tensor, beta: impl Into<Number>, alpha: impl Into<Number>) -> Tensor {
        let (beta, alpha) = (beta.into(), alpha.into());
        single("AddmvBackward0", &[self, matrix, vector], &factors(matrix, vector, 1), |t| {
            added("addmv", &t[0], &t[1].try_mv(&t[2])?, t[2].sizes()[0], [beta, alpha])
        })
    }

    /// `beta * self + alpha *` the outer product of two vectors; as [`Tensor::addmm`].
    fn addr / try_addr(&self, a: &Tensor, b: &Tensor, beta: impl Into<Number>, alpha: impl Into<Number>) -> Tensor {
        let (beta, alpha) = (beta.into(), alpha.into());
        single("AddrBackward0", &[self, a, b], &factors(a, b, 1), |t| {
            added("addr", &t[0], &t[1].try_outer(&t[2])?, Size::from(1), [beta, alpha])
        })
    }

    /// The sums over pairs of axes: `axes[i]` of this tensor with `other_axes[i]` of the other; the axes that are left
    /// follow each other. No axes give the product of all pairs of elements.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// assert_eq!(randn(&[2, 3, 4]).tensordot(&randn(&[4, 3, 5]), &[1, 2], &[1, 0]).shape(), [2, 5]);
    /// ```
    fn tensordot / try_tensordot(&self, other: &Tensor, axes: &[isize], other_axes: &[isize]) -> Tensor {
        let fail = |why: &str| {
            let (a, b) = (self.shape_hint(), other.shape_hint());
            Err(Error::operands("tensordot", format!("{a:?} with {b:?} over {axes:?} and {other_axes:?}: {why}")))
        };
        if axes.len() != other_axes.len() {
            return fail("there must be as many axes of both");
        }
        let of = |x: &Tensor, axes: &[isize]| axes.iter().map(|&a| x.axis("tensordot", a)).collect::<Result<Vec<usize>>>();
        let (over, other_over) = (of(self, axes)?, of(other, other_axes)?);
        let repeats = |list: &[usize]| (1..list.len()).any(|i| list[..i].contains(&list[i]));
        if repeats(&over) || repeats(&other_over) {
            return fail("an axis is named twice");
        }
        let (m, n) = (self.sizes(), other.sizes());
        if !over.iter().zip(&other_over).all(|(&i, &j)| demand_equal(m[i], n[j])) {
            return fail("the axes must have equal sizes");
        }
        let free = |rank: usize, over: &[usize]| (0..rank).filter(|i| !over.contains(i)).collect::<Vec<usize>>();
        let (left, right) = (free(self.dim(), &over), free(other.dim(), &other_over));
        let sizes = |s: &Sizes, axes: &[usize]| axes.iter().map(|&i| s[i]).collect::<Sizes>();
        let k = numel(&sizes(&m, &over));
        let order = |first: &[usize], second: &[usize]| first.iter().chain(second).copied().collect();
        let a = super::movement::permute(self, order(&left, &over))?;
        let b = super::movement::permute(other, order(&other_over, &right))?;
        let a = a.reshape_sizes(&[numel(&sizes(&m, &left)), k])?;
        let b = b.reshape_sizes(&[k, numel(&sizes(&n, &right))])?;
        let mut out = sizes(&m, &left);
        out.extend(sizes(&n, &right));
        a.try_matmul(&b)?.reshape_sizes(&out)
    }

    /// The cross product of vectors of three elements, which lie along `axis` of both; the other axes broadcast.
    fn cross / try_cross(&self, other: &Tensor, axis: isize) -> Tensor {
        let a = self.axis("cross", axis)?;
        let three = Size::from(3);
        if other.dim() != self.dim() || !self.has_size(a, three) || !other.has_size(a, three) {
            let (x, y) = (self.shape_hint(), other.shape_hint());
            return Err(Error::operands(
                "cross",
                format!("needs as many axes of both and 3 elements along axis {axis}, got {x:?} and {y:?}"),
            ));
        }
        let turned = |x: &Tensor, by: usize| -> Result<Tensor> {
            let cut = |start: usize, len: usize| super::movement::narrow(x, a, Size::from(start), Size::from(len));
            concat(&[&cut(by, 3 - by)?, &cut(0, by)?], a)
        };
        single("LinalgCrossBackward0", &[self, other], &factors(self, other, 0), |t| {
            let (x1, x2) = (turned(&t[0], 1)?, turned(&t[0], 2)?);
            x1.try_mul(&turned(&t[1], 2)?)?.try_sub(&x2.try_mul(&turned(&t[1], 1)?)?)
        })
    }
}

impl Tensor {
    fn demand_ranks(&self, op: &'static str, other: &Tensor, first: usize, second: usize) -> Result<()> {
        if self.dim() == first && other.dim() == second {
            return Ok(());
        }
        let (a, b) = (self.shape_hint(), other.shape_hint());
        Err(Error::operands(op, format!("takes operands with {first} and {second} axes, got {a:?} and {b:?}")))
    }
}

/// x times a number, which a tensor of integers rounds to zero first.
pub(super) fn scaled(op: &'static str, x: &Tensor, by: Number) -> Result<Tensor> {
    by.fitted_factor(op, x.dtype())?;
    match by {
        Number::Float(f) if !x.dtype().is_float() => x.try_mul(f as i64),
        by => x.try_mul(by),
    }
}

/// `alpha * (a x b)` of matrices or of batches of them. Gradients are multiplied last, as in PyTorch. Where `alpha` is 0 the product of two
/// matrices counts for nothing, whatever is in it, unless they are of halves.
fn product_times(op: &'static str, a: &Tensor, b: &Tensor, alpha: Number) -> Result<Tensor> {
    let product = || if op == "addmm" { a.try_matmul(b) } else { a.try_bmm(b) };
    if alpha.to_f64() == 1.0 {
        return product();
    }
    let compute = || {
        let product = product()?;
        let ignored =
            op == "addmm" && alpha.to_f64() == 0.0 && product.dtype().is_float() && !product.dtype().is_half();
        if ignored { product.try_zeros_like() } else { scaled(op, &product, alpha) }
    };
    composite("AddmmBackward0", &[Operand::Tensor(a), Operand::Tensor(b)], compute, |_| {
        let factors = Factors::kept(a, b);
        move |c: &Context<'_>, g: &Tensor| {
            let times = |x: Tensor| scaled(op, &x, alpha);
            super::grads2(c, || times(factors.by_a(c, g)?), || times(factors.by_b(c, g)?))
        }
    })
}

/// `beta * x + alpha * product`, where `x` broadcasts to the product, each element of which has so many terms.
fn added(op: &'static str, x: &Tensor, product: &Tensor, terms: Size, [beta, alpha]: [Number; 2]) -> Result<Tensor> {
    one_dtype(op, x, product)?;
    let sizes = product.sizes();
    let wide = match x.dim() > sizes.len() {
        true => Err(Error::operands(op, "")),
        false => x.expand_sizes(&sizes),
    };
    let wide = wide.map_err(|_| {
        let (given, wanted) = (x.shape_hint(), product.shape_hint());
        Error::operands(op, format!("a tensor of shape {given:?} does not broadcast to the product, {wanted:?}"))
    })?;
    no_sum_of_bools(op, x.dtype(), product)?;
    let product = if alpha.to_f64() == 1.0 { product.clone() } else { scaled(op, product, alpha)? };
    beta.fitted_factor(op, x.dtype())?;
    let scaled = match beta.to_f64() {
        1.0 => wide,
        beta if x.dtype().is_float() && beta == 0.0 => return ignoring(&wide, &product, beta),
        beta if !x.dtype().is_float() && beta.trunc() == 0.0 => return Ok(product),
        _ => scaled(op, &wide, beta)?,
    };
    // Where there are no terms nothing is added, and -0.0 changes nothing, not even another -0.0.
    let nothing = x.dtype().is_float() && is_zero(terms);
    scaled.try_add(&if nothing { product.try_abs()?.try_neg()? } else { product })
}

fn one_dtype(op: &'static str, x: &Tensor, other: &Tensor) -> Result<()> {
    let (own, other) = (x.dtype(), other.dtype());
    if own == other {
        Ok(())
    } else {
        Err(Error::operands(op, format!("operands must have one dtype, got {own} and {other}")))
    }
}

/// An error where bools would have to be added up; of nothing there is a sum.
fn no_sum_of_bools(op: &'static str, dtype: DType, sum: &Tensor) -> Result<()> {
    match dtype == DType::Bool && !sum.sizes().iter().any(|&n| is_zero(n)) {
        true => Err(Error::operands(op, "bools are not added up; use to(DType::U8) first")),
        false => Ok(()),
    }
}

/// The product, beside which `x` counts for nothing, whatever is in it; its gradient is `beta`, a zero, times that of the sum.
fn ignoring(x: &Tensor, product: &Tensor, beta: f64) -> Result<Tensor> {
    if !x.is_requires_grad() {
        return Ok(product.clone());
    }
    composite(
        "AddmmBackward0",
        &[Operand::Tensor(x), Operand::Tensor(product)],
        || product.try_mul(1.0),
        |_| move |c: &Context<'_>, g: &Tensor| super::grads2(c, || g.try_mul(beta), || Ok(g.clone())),
    )
}

/// Without an axis of size 1.
fn drop_axis(node: &'static str, x: &Tensor, axis: usize) -> Result<Tensor> {
    let mut sizes = x.sizes();
    sizes.remove(axis);
    x.reshape_as_node(node, &sizes)
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
