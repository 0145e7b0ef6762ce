//! Linear equations, inverses, determinants and least squares, with the derivatives of Giles, "An extended collection of matrix
//! derivative results for forward and reverse mode algorithmic differentiation" (2008).

use super::host::{Job, decomposed, eager_only, extents, solved, square};
use super::{factor, turned};
use crate::autograd::record::{composite, composite_many};
use crate::autograd::saved::Saved;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::ops::elementwise::choose;
use crate::ops::{grads1, twin_fns};
use crate::tensor::Tensor;
use crate::tensor::operand::Operand;
use smallvec::smallvec;

/// Both with the same batch axes.
fn batched(op: &'static str, a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let (x, y) = (a.shape_hint().to_vec(), b.shape_hint().to_vec());
    if x[..x.len() - 2] == y[..y.len() - 2] {
        return Ok((a.clone(), b.clone()));
    }
    let rank = x.len().max(y.len());
    let at = |s: &[usize], i: usize| if i + s.len() < rank { 1 } else { s[i + s.len() - rank] };
    let mut batch = Vec::new();
    for i in 0..rank - 2 {
        match (at(&x, i), at(&y, i)) {
            (m, n) if m == n || n == 1 => batch.push(m as isize),
            (1, n) => batch.push(n as isize),
            _ => return Err(Error::operands(op, format!("the batch axes of {x:?} and {y:?} do not broadcast"))),
        }
    }
    let wide = |t: &Tensor, s: &[usize]| {
        let sizes: Vec<isize> = batch.iter().copied().chain(s[s.len() - 2..].iter().map(|&n| n as isize)).collect();
        t.try_expand(&sizes)
    };
    Ok((wide(a, &x)?, wide(b, &y)?))
}

/// The solutions of A X = B for matrices with equal batch axes.
#[track_caller]
fn solve_matrices(op: &'static str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let operands = [Operand::Tensor(a), Operand::Tensor(b)];
    composite(
        "LinalgSolveExBackward0",
        &operands,
        || solved(op, a, b),
        |x| {
            let (a, x) = (Saved::operand(a), Saved::output(x, 0));
            move |c: &Context<'_>, g: &Tensor| {
                let by_b = solve_matrices(op, &turned(&a.get(c.me)?)?, g)?;
                let by_a = match c.wants(0) {
                    true => Some(by_b.try_matmul(&turned(&x.get(c.me)?)?)?.try_neg()?),
                    false => None,
                };
                Ok(smallvec![by_a, c.wants(1).then_some(by_b)])
            }
        },
    )
}

/// As [`solve_matrices`], of right sides that may be vectors, as PyTorch tells them.
#[track_caller]
fn solve_any(op: &'static str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    eager_only(op)?;
    let n = square(op, a)?;
    let (x, y) = (a.shape_hint(), b.shape_hint());
    let is_vector = y.len() == 1 || (y.len() + 1 == x.len() && *y == x[..x.len() - 1]);
    let fits = if is_vector { y.last() == Some(&n) } else { y.len() >= 2 && y[y.len() - 2] == n };
    if a.dtype() != b.dtype() || !fits {
        let text = format!("the right side must be {} with {n} rows, got {}{y:?} for {x:?}", a.dtype(), b.dtype());
        return Err(Error::operands(op, text));
    }
    let column = if is_vector { b.try_unsqueeze(-1)? } else { b.clone() };
    let (a, column) = batched(op, a, &column)?;
    let found = solve_matrices(op, &a, &column)?;
    if is_vector { found.try_squeeze(-1) } else { Ok(found) }
}

#[track_caller]
fn inverse(op: &'static str, a: &Tensor) -> Result<Tensor> {
    eager_only(op)?;
    composite(
        "LinalgInvExBackward0",
        &[Operand::Tensor(a)],
        || one(decomposed(op, Job::Inverse, a)?),
        |y| {
            let y = Saved::output(y, 0);
            move |c: &Context<'_>, g: &Tensor| {
                let y = turned(&y.get(c.me)?)?;
                grads1(y.try_matmul(g)?.try_matmul(&y)?.try_neg()?)
            }
        },
    )
}

fn one(mut results: Vec<Tensor>) -> Result<Tensor> {
    Ok(results.pop().expect("one result"))
}

/// A gradient for each matrix, beside two axes.
fn raised(g: &Tensor) -> Result<Tensor> {
    g.try_unsqueeze(-1)?.try_unsqueeze(-1)
}

/// The derivative of the determinant by the matrix, also of a singular one: of U S Vᵀ it is det U det V · U diag(Πⱼ≠ᵢ sⱼ) Vᵀ.
fn cofactors(a: &Tensor) -> Result<Tensor> {
    let (u, s, vh) = factor::try_svd(a, false)?;
    let n = s.shape_hint().last().copied().unwrap_or(0);
    // Products of all but one: of rows with a 1 on the diagonal.
    let eye = Tensor::try_eye(n, n, s.dtype())?;
    let rows = s.try_unsqueeze(-2)?.try_expand_as(&vh)?;
    let rest = choose(&eye.try_ne(0.0)?, 1.0, &rows)?.try_prod_dim(-1, false)?;
    let sign = try_det(&u)?.try_mul(&try_det(&vh)?)?.try_round()?;
    u.try_mul(&rest.try_unsqueeze(-2)?)?.try_matmul(&vh)?.try_mul(&raised(&sign)?)
}

twin_fns! {
    /// X of A X = B, for square matrices A `[.., n, n]` and matrices B `[.., n, k]` or vectors `[n]`, `[.., n]`; batch axes broadcast.
    /// A singular matrix is an error.
    ///
    /// ```
    /// use allotrope::linalg;
    /// use allotrope::prelude::*;
    /// let a = Tensor::from_vec(vec![0.0f64, 1.0, 2.0, 0.0], &[2, 2]);
    /// let b = Tensor::from_vec(vec![3.0f64, 4.0], &[2]);
    /// assert_eq!(linalg::solve(&a, &b).to_vec::<f64>(), [2.0, 3.0]);
    /// ```
    fn solve / try_solve(a: &Tensor, b: &Tensor) -> Tensor {
        solve_any("linalg.solve", a, b)
    }

    /// The inverse of square matrices `[.., n, n]`. A singular one is an error; to solve equations, [`solve`] is more accurate.
    ///
    /// ```
    /// use allotrope::linalg;
    /// use allotrope::prelude::*;
    /// let a = Tensor::from_vec(vec![2.0f32, 0.0, 0.0, 4.0], &[2, 2]);
    /// assert_eq!(linalg::inv(&a).to_vec::<f32>(), [0.5, 0.0, 0.0, 0.25]);
    /// ```
    fn inv / try_inv(a: &Tensor) -> Tensor {
        inverse("linalg.inv", a)
    }

    /// The determinants of square matrices, `[.., n, n] -> [..]`. Singular ones have a gradient too.
    fn det / try_det(a: &Tensor) -> Tensor {
        eager_only("linalg.det")?;
        composite("LinalgDetBackward0", &[Operand::Tensor(a)], || one(decomposed("linalg.det", Job::Det, a)?), |y| {
            let (a, y) = (Saved::operand(a), Saved::output(y, 0));
            move |c: &Context<'_>, g: &Tensor| {
                let (a, y) = (a.get(c.me)?, y.get(c.me)?);
                let is_regular = y.detach().try_ne(0.0)?.try_all()?.try_item::<bool>()?;
                grads1(match is_regular {
                    true => raised(&g.try_mul(&y)?)?.try_mul(&turned(&inverse("linalg.det", &a)?)?)?,
                    false => raised(g)?.try_mul(&cofactors(&a)?)?,
                })
            }
        })
    }

    /// The sign of the determinants of square matrices and the logarithm of their size, where no product overflows: 0 and -∞ of a
    /// singular one. No gradient flows through the sign.
    fn slogdet / try_slogdet(a: &Tensor) -> (Tensor, Tensor) {
        let op = "linalg.slogdet";
        eager_only(op)?;
        let mut found = composite_many("LinalgSlogdetBackward0", &[a], || decomposed(op, Job::Slogdet, a), |_| {
            let a = Saved::operand(a);
            move |c: &Context<'_>, grads: &[Option<Tensor>]| match &grads[1] {
                Some(g) => grads1(raised(g)?.try_mul(&turned(&inverse(op, &a.get(c.me)?)?)?)?),
                None => Ok(smallvec![None]),
            }
        })?;
        let log = found.pop().expect("two results");
        Ok((found.pop().expect("two results").detach(), log))
    }

    /// X for which A X is nearest to B, for matrices A `[.., m, n]` of full rank and B `[.., m, k]` or `[m]`: PyTorch's
    /// `lstsq(A, B).solution`. Where there are many (m < n), the shortest. By QR, which has the gradient.
    fn lstsq / try_lstsq(a: &Tensor, b: &Tensor) -> Tensor {
        let op = "linalg.lstsq";
        eager_only(op)?;
        let (m, n) = extents(op, a)?;
        let is_vector = b.dim() == 1;
        let column = if is_vector { b.try_unsqueeze(-1)? } else { b.clone() };
        let rows = column.shape_hint().iter().rev().nth(1).copied();
        if rows != Some(m) || a.dtype() != b.dtype() {
            let (x, y) = (a.shape_hint(), b.shape_hint());
            let text = format!("the right side must be {} with {m} rows, got {}{y:?} for {x:?}", a.dtype(), b.dtype());
            return Err(Error::operands(op, text));
        }
        let found = match m >= n {
            true => {
                let (q, r) = factor::try_qr(a, false)?;
                solve_any(op, &r, &turned(&q)?.try_matmul(&column)?)?
            }
            false => {
                let (q, r) = factor::try_qr(&turned(a)?, false)?;
                q.try_matmul(&solve_any(op, &turned(&r)?, &column)?)?
            }
        };
        if is_vector { found.try_squeeze(-1) } else { Ok(found) }
    }
}
