//! Cholesky, QR, singular values and eigenvalues with what is computed of them. The derivatives are those of Murray, "Differentiation
//! of the Cholesky decomposition" (2016), Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2010), and
//! Townsend, "Differentiating the singular value decomposition" (2016); of equal singular values or eigenvalues those are not finite.

use super::host::{Job, decomposed, eager_only, extents};
use super::{solve, turned};
use crate::autograd::record::{composite, composite_many};
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::ops::elementwise::{choose, zero_where};
use crate::ops::{grads1, twin_fns};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::Grads;
use crate::tensor::operand::Operand;
use smallvec::smallvec;

/// Sums of gradients that may not be there.
fn plus(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    match (a, b) {
        (Some(a), Some(b)) => a.try_add(&b).map(Some),
        (a, b) => Ok(a.or(b)),
    }
}

/// The lower triangle with the diagonal halved.
fn half(x: &Tensor) -> Result<Tensor> {
    x.try_tril(0)?.try_add(&x.try_tril(-1)?)?.try_mul(0.5)
}

/// By A of a QR with as many rows as columns of Q and R, where gradients of both may be missing.
fn by_square(q: &Tensor, r: &Tensor, by_q: Option<Tensor>, by_r: Option<Tensor>) -> Result<Tensor> {
    let first = by_r.as_ref().map(|g| r.try_matmul(&turned(g)?)).transpose()?;
    let second = by_q.as_ref().map(|g| turned(g)?.try_matmul(q)?.try_neg()).transpose()?;
    let m = plus(first, second)?.expect("one gradient at least");
    // The lower triangle, mirrored.
    let m = m.try_tril(0)?.try_add(&turned(&m.try_tril(-1)?)?)?;
    let rest = plus(by_q, Some(q.try_matmul(&m)?))?.expect("one gradient at least");
    // (..) R⁻ᵀ
    turned(&solve::try_solve(r, &turned(&rest)?)?)
}

fn qr_gradient(q: &Tensor, r: &Tensor, a: &Tensor, by_q: Option<Tensor>, by_r: Option<Tensor>) -> Result<Tensor> {
    let (m, n) = extents("linalg.qr", a)?;
    if m >= n {
        return by_square(q, r, by_q, by_r);
    }
    // A = [X | Y] with X = Q U, and V = Qᵀ Y.
    let (u, y) = (r.try_narrow(-1, 0, m)?, a.try_narrow(-1, m as isize, n - m)?);
    let parts =
        by_r.map(|g| Ok::<_, Error>((g.try_narrow(-1, 0, m)?, g.try_narrow(-1, m as isize, n - m)?))).transpose()?;
    let (by_u, by_v) = parts.map_or((None, None), |(u, v)| (Some(u), Some(v)));
    let through = by_v.as_ref().map(|v| y.try_matmul(&turned(v)?)).transpose()?;
    let by_y = match &by_v {
        Some(v) => q.try_matmul(v)?,
        None => y.try_zeros_like()?,
    };
    let by_x = by_square(q, &u, plus(by_q, through)?, by_u)?;
    crate::ops::try_cat(&[&by_x, &by_y], -1)
}

/// X - Xᵀ.
fn skew(x: &Tensor) -> Result<Tensor> {
    x.try_sub(&turned(x)?)
}

/// x[j] - x[i] at (i, j), and 1 on the diagonal.
fn differences(x: &Tensor) -> Result<Tensor> {
    let n = x.shape_hint().last().copied().unwrap_or(0);
    let eye = Tensor::try_eye(n, n, x.dtype())?;
    choose(&eye.try_ne(0.0)?, 1.0, &x.try_unsqueeze(-2)?.try_sub(&x.try_unsqueeze(-1)?)?)
}

fn svd_gradient(u: &Tensor, s: &Tensor, vh: &Tensor, by: [Option<Tensor>; 3]) -> Result<Tensor> {
    let [by_u, by_s, by_vh] = by;
    let (row, v) = (s.try_unsqueeze(-2)?, turned(vh)?);
    let e = differences(&s.try_square()?)?;
    let by_v = by_vh.map(|g| turned(&g)).transpose()?;
    let from_u = by_u.as_ref().map(|g| skew(&turned(u)?.try_matmul(g)?)?.try_div(&e)?.try_mul(&row)).transpose()?;
    let column = s.try_unsqueeze(-1)?;
    let from_v = by_v.as_ref().map(|g| skew(&vh.try_matmul(g)?)?.try_div(&e)?.try_mul(&column)).transpose()?;
    let from_s = by_s.map(|g| g.try_diag_embed(0, -2, -1)).transpose()?;
    let inner = plus(plus(from_u, from_v)?, from_s)?;
    let mut total = inner.map(|inner| u.try_matmul(&inner)?.try_matmul(vh)).transpose()?;
    let (m, n, k) = (u.shape_hint()[u.dim() - 2], v.shape_hint()[v.dim() - 2], s.shape_hint()[s.dim() - 1]);
    // What lies outside of the span of U and of V.
    let outside = |x: &Tensor, g: &Tensor| {
        let scaled = g.try_div(&row)?;
        scaled.try_sub(&x.try_matmul(&turned(x)?.try_matmul(&scaled)?)?)
    };
    if let Some(g) = by_u.filter(|_| m > k) {
        total = plus(total, Some(outside(u, &g)?.try_matmul(vh)?))?;
    }
    if let Some(g) = by_v.filter(|_| n > k) {
        total = plus(total, Some(u.try_matmul(&turned(&outside(&v, &g)?)?)?))?;
    }
    Ok(total.expect("one gradient at least"))
}

/// The first columns of U and rows of Vᵀ, as many as there are singular values.
fn first(x: &Tensor, axis: isize, k: usize) -> Result<Tensor> {
    x.try_narrow(axis, 0, k)
}

fn none_wanted(grads: &[Option<Tensor>]) -> bool {
    grads.iter().all(Option::is_none)
}

#[track_caller]
fn svd_of(op: &'static str, a: &Tensor, full: bool) -> Result<Vec<Tensor>> {
    eager_only(op)?;
    composite_many(
        "LinalgSvdBackward0",
        &[a],
        || decomposed(op, Job::Svd { full }, a),
        |y| {
            let kept: Vec<Saved> = y.iter().enumerate().map(|(i, y)| Saved::output(y, i as u32)).collect();
            move |c: &Context<'_>, grads: &[Option<Tensor>]| -> Result<Grads> {
                if none_wanted(grads) {
                    return Ok(smallvec![None]);
                }
                let [u, s, vh] = [kept[0].get(c.me)?, kept[1].get(c.me)?, kept[2].get(c.me)?];
                let k = s.shape_hint()[s.dim() - 1];
                let part = |g: &Option<Tensor>, axis| g.as_ref().map(|g| first(g, axis, k)).transpose();
                let by = [part(&grads[0], -1)?, grads[1].clone(), part(&grads[2], -2)?];
                grads1(svd_gradient(&first(&u, -1, k)?, &s, &first(&vh, -2, k)?, by)?)
            }
        },
    )
}

#[track_caller]
fn eigh_of(op: &'static str, a: &Tensor) -> Result<Vec<Tensor>> {
    eager_only(op)?;
    composite_many(
        "LinalgEighBackward0",
        &[a],
        || decomposed(op, Job::Eigh, a),
        |y| {
            let (w, v) = (Saved::output(&y[0], 0), Saved::output(&y[1], 1));
            move |c: &Context<'_>, grads: &[Option<Tensor>]| -> Result<Grads> {
                if none_wanted(grads) {
                    return Ok(smallvec![None]);
                }
                let (w, v) = (w.get(c.me)?, v.get(c.me)?);
                let vh = turned(&v)?;
                let from_v = grads[1].as_ref().map(|g| vh.try_matmul(g)?.try_div(&differences(&w)?)).transpose()?;
                let from_w = grads[0].as_ref().map(|g| g.try_diag_embed(0, -2, -1)).transpose()?;
                // The diagonal belongs to the eigenvalues alone.
                let n = w.shape_hint().last().copied().unwrap_or(0);
                let eye = Tensor::try_eye(n, n, w.dtype())?.try_ne(0.0)?;
                let from_v = from_v.map(|x| zero_where(&eye, &x)).transpose()?;
                let inner = plus(from_v, from_w)?.expect("one gradient at least");
                grads1(v.try_matmul(&inner)?.try_matmul(&vh)?)
            }
        },
    )
}

fn pair(mut results: Vec<Tensor>) -> (Tensor, Tensor) {
    let second = results.pop().expect("two results");
    (results.pop().expect("two results"), second)
}

/// Below which part of the largest singular value one counts as 0.
fn tolerance(a: &Tensor, rtol: Option<f64>) -> Result<f64> {
    let (m, n) = extents("linalg.pinv", a)?;
    let epsilon = if a.dtype() == crate::DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    Ok(rtol.unwrap_or(epsilon * m.max(n) as f64))
}

/// Whether each singular value counts.
fn counts(s: &Tensor, rtol: f64) -> Result<Tensor> {
    match s.shape_hint().last() {
        Some(0) | None => s.try_gt(0.0),
        Some(_) => s.try_gt(&s.try_amax(&[-1], true)?.try_mul(rtol)?),
    }
}

twin_fns! {
    /// L of A = L Lᵀ, a lower triangle, for symmetric positive definite matrices `[.., n, n]`, of which the lower triangle is read.
    /// One that is not positive definite is an error.
    ///
    /// ```
    /// use allotrope::linalg;
    /// use allotrope::prelude::*;
    /// let a = Tensor::from_vec(vec![4.0f32, 2.0, 2.0, 5.0], &[2, 2]);
    /// assert_eq!(linalg::cholesky(&a).to_vec::<f32>(), [2.0, 0.0, 1.0, 2.0]);
    /// ```
    fn cholesky / try_cholesky(a: &Tensor) -> Tensor {
        eager_only("linalg.cholesky")?;
        let compute = || Ok(decomposed("linalg.cholesky", Job::Cholesky, a)?.pop().expect("one result"));
        composite("LinalgCholeskyExBackward0", &[Operand::Tensor(a)], compute, |y| {
            let y = Saved::output(y, 0);
            move |c: &Context<'_>, g: &Tensor| {
                let l = y.get(c.me)?;
                let lh = turned(&l)?;
                // S = L⁻ᵀ Φ(Lᵀ g) L⁻¹, and of that the symmetric part.
                let phi = half(&lh.try_matmul(&g.try_tril(0)?)?)?;
                let s = solve::try_solve(&lh, &phi)?;
                let s = turned(&solve::try_solve(&lh, &turned(&s)?)?)?;
                grads1(s.try_add(&turned(&s)?)?.try_mul(0.5)?)
            }
        })
    }

    /// Q and R of A = Q R, Q with orthonormal columns and R an upper triangle, for matrices `[.., m, n]`: `[.., m, k]` and
    /// `[.., k, n]` with k = min(m, n), or `[.., m, m]` and `[.., m, n]` if `complete`. That has a gradient where m <= n only.
    fn qr / try_qr(a: &Tensor, complete: bool) -> (Tensor, Tensor) {
        eager_only("linalg.qr")?;
        let job = Job::Qr { complete };
        let found = composite_many("LinalgQrBackward0", &[a], || decomposed("linalg.qr", job, a), |y| {
            let (a, q, r) = (Saved::operand(a), Saved::output(&y[0], 0), Saved::output(&y[1], 1));
            move |c: &Context<'_>, grads: &[Option<Tensor>]| -> Result<Grads> {
                if none_wanted(grads) {
                    return Ok(smallvec![None]);
                }
                let (a, q, r) = (a.get(c.me)?, q.get(c.me)?, r.get(c.me)?);
                let (m, n) = extents("linalg.qr", &a)?;
                if complete && m > n {
                    return Err(Error::autograd(format!(
                        "a complete QR of {m} rows and {n} columns has no derivative, as its Q is not unique; use complete = false"
                    )));
                }
                grads1(qr_gradient(&q, &r, &a, grads[0].clone(), grads[1].clone())?)
            }
        })?;
        Ok(pair(found))
    }

    /// U, S and Vᵀ of A = U diag(S) Vᵀ for matrices `[.., m, n]`, the singular values S in descending order: `[.., m, k]`, `[.., k]`
    /// and `[.., k, n]` with k = min(m, n), or with all of U and V if `full_matrices`. The sign of each pair of vectors is not defined.
    ///
    /// ```
    /// use allotrope::linalg;
    /// use allotrope::prelude::*;
    /// let (_, s, _) = linalg::svd(&Tensor::from_vec(vec![0.0f64, 2.0, 3.0, 0.0], &[2, 2]), false);
    /// assert!((&s - &Tensor::from_vec(vec![3.0, 2.0], &[2])).abs().max().item::<f64>() < 1e-14);
    /// ```
    fn svd / try_svd(a: &Tensor, full_matrices: bool) -> (Tensor, Tensor, Tensor) {
        let mut found = svd_of("linalg.svd", a, full_matrices)?;
        let last = found.pop().expect("three results");
        let (u, s) = pair(found);
        Ok((u, s, last))
    }

    /// The singular values of matrices `[.., m, n]` in descending order.
    fn svdvals / try_svdvals(a: &Tensor) -> Tensor {
        Ok(svd_of("linalg.svdvals", a, false)?.swap_remove(1))
    }

    /// The eigenvalues of symmetric matrices `[.., n, n]` in ascending order, `[.., n]`, and the eigenvectors as columns, `[.., n, n]`.
    /// The lower triangle is read. The sign of each vector is not defined.
    fn eigh / try_eigh(a: &Tensor) -> (Tensor, Tensor) {
        Ok(pair(eigh_of("linalg.eigh", a)?))
    }

    /// The eigenvalues of symmetric matrices `[.., n, n]` in ascending order.
    fn eigvalsh / try_eigvalsh(a: &Tensor) -> Tensor {
        Ok(pair(eigh_of("linalg.eigvalsh", a)?).0)
    }

    /// The pseudoinverse of matrices, `[.., m, n] -> [.., n, m]`: singular values up to `rtol` times the largest count as 0; without
    /// one, the larger extent times the distance of 1 to the next number.
    fn pinv / try_pinv(a: &Tensor, rtol: Option<f64>) -> Tensor {
        eager_only("linalg.pinv")?;
        let rtol = tolerance(a, rtol)?;
        let compute = || {
            let mut found = svd_of("linalg.pinv", a, false)?;
            let vh = found.pop().expect("three results");
            let (u, s) = pair(found);
            let inverse = zero_where(&counts(&s, rtol)?.try_logical_not()?, &s.try_reciprocal()?)?;
            turned(&vh)?.try_mul(&inverse.try_unsqueeze(-2)?)?.try_matmul(&turned(&u)?)
        };
        composite("LinalgPinvBackward0", &[Operand::Tensor(a)], compute, |p| {
            let (a, p) = (Saved::operand(a), Saved::output(p, 0));
            move |c: &Context<'_>, g: &Tensor| {
                // Of Golub and Pereyra, "The differentiation of pseudo-inverses" (1973), for a rank that stays.
                let (a, p) = (a.get(c.me)?, p.get(c.me)?);
                let (ph, gh) = (turned(&p)?, turned(g)?);
                let direct = ph.try_matmul(g)?.try_matmul(&ph)?;
                let left = gh.try_matmul(&p)?.try_matmul(&ph)?;
                let left = left.try_sub(&a.try_matmul(&p.try_matmul(&left)?)?)?;
                let right = ph.try_matmul(&p)?.try_matmul(&gh)?;
                let right = right.try_sub(&right.try_matmul(&p)?.try_matmul(&a)?)?;
                grads1(left.try_add(&right)?.try_sub(&direct)?)
            }
        })
    }

    /// How many singular values of each matrix are larger than `rtol` times the largest (i64); see [`pinv`].
    fn matrix_rank / try_matrix_rank(a: &Tensor, rtol: Option<f64>) -> Tensor {
        let s = svd_of("linalg.matrix_rank", &a.detach(), false)?.swap_remove(1);
        counts(&s, tolerance(a, rtol)?)?.try_sum_dim(&[-1], false)
    }
}
