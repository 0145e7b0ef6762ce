//! Decompositions of matrices on the host by the crate `faer`, one matrix of a batch after the other. Never on a tape, never in a
//! trace; which bits come out may depend on the machine's instruction set.

use crate::backend::FromElement;
use crate::error::{Error, Result};
use crate::mode::is_recording;
use crate::tensor::{Tensor, eval};
use allotrope_ir::DType;
use faer::linalg::solvers::{Llt, PartialPivLu, Qr, SelfAdjointEigen, Solve, Svd};
use faer::{Mat, MatRef, Side};
use std::panic::Location;

/// Elements that matrices are decomposed in.
pub(crate) trait Float: FromElement + faer::traits::RealField + Copy {
    fn wide(self) -> f64;
    fn rounded(x: f64) -> Self;
}

impl Float for f32 {
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn rounded(x: f64) -> f32 {
        x as f32
    }
}

impl Float for f64 {
    fn wide(self) -> f64 {
        self
    }
    fn rounded(x: f64) -> f64 {
        x
    }
}

/// What is found of each matrix.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Job {
    Inverse,
    Cholesky,
    Det,
    /// Sign of the determinant and logarithm of its size.
    Slogdet,
    Qr {
        complete: bool,
    },
    Svd {
        full: bool,
    },
    /// Of the lower triangle.
    Eigh,
}

/// That the operation is not recorded.
///
/// # Errors
/// In a trace, with the caller's place.
#[track_caller]
pub(crate) fn eager_only(op: &str) -> Result<()> {
    match is_recording() {
        true => Err(Error::trace(format!(
            "{op} at {} is computed on the host, which a trace can't record; do it outside of the trace, and pass the result as an \
             argument",
            Location::caller()
        ))),
        false => Ok(()),
    }
}

/// The rows and columns of the matrices.
pub(super) fn extents(op: &'static str, x: &Tensor) -> Result<(usize, usize)> {
    let shape = x.shape_hint();
    match (x.dtype(), shape) {
        (DType::F32 | DType::F64, [.., m, n]) => Ok((*m, *n)),
        (DType::F32 | DType::F64, _) => {
            Err(Error::operands(op, format!("needs two axes at least, the shape is {shape:?}")))
        }
        (other, _) => Err(Error::operands(op, format!("takes matrices of f32 or f64, got {other}"))),
    }
}

/// As [`extents`], of square matrices.
pub(super) fn square(op: &'static str, x: &Tensor) -> Result<usize> {
    match extents(op, x)? {
        (m, n) if m == n => Ok(n),
        _ => Err(Error::operands(op, format!("takes square matrices, the shape is {:?}", x.shape_hint()))),
    }
}

/// The results for a batch of matrices, each with the batch axes in front.
#[track_caller]
pub(super) fn decomposed(op: &'static str, job: Job, x: &Tensor) -> Result<Vec<Tensor>> {
    eager_only(op)?;
    match job {
        Job::Qr { .. } | Job::Svd { .. } => extents(op, x)?.0,
        Job::Inverse | Job::Cholesky | Job::Det | Job::Slogdet | Job::Eigh => square(op, x)?,
    };
    if x.dtype() == DType::F32 { all::<f32>(op, job, x) } else { all::<f64>(op, job, x) }
}

fn all<T: Float>(op: &'static str, job: Job, x: &Tensor) -> Result<Vec<Tensor>> {
    let (m, n) = extents(op, x)?;
    let elements = eval::elements::<T>(x)?;
    let shape = x.shape_hint();
    let batch_shape = &shape[..shape.len() - 2];
    let shapes = job.shapes(m, n);
    let mut found: Vec<Vec<T>> = shapes.iter().map(|_| Vec::new()).collect();
    let batch: usize = batch_shape.iter().product();
    for i in 0..batch {
        let part = &elements[i * m * n..(i + 1) * m * n];
        let which =
            || if batch_shape.is_empty() { "the matrix".to_string() } else { format!("matrix {i} of the batch") };
        let decomposes = matches!(job, Job::Svd { .. } | Job::Eigh);
        if decomposes && !part.iter().all(|x| x.wide().is_finite()) {
            return Err(Error::operands(op, format!("{} has elements that are not finite", which())));
        }
        job.one(MatRef::from_row_major_slice(part, m, n), &mut found)
            .map_err(|why| Error::operands(op, format!("{} {why}", which())))?;
    }
    let tensor = |(elements, own): (Vec<T>, &Vec<usize>)| {
        let shape: Vec<usize> = batch_shape.iter().chain(own).copied().collect();
        Tensor::try_from_vec(elements, &shape)?.try_to_device(x.device())
    };
    found.into_iter().zip(&shapes).map(tensor).collect()
}

/// Appends the first rows and columns in row-major order.
fn push<T: Float>(out: &mut Vec<T>, x: MatRef<'_, T>) {
    for i in 0..x.nrows() {
        out.extend((0..x.ncols()).map(|j| x[(i, j)]));
    }
}

/// The determinant's factors: the diagonal of U, and whether the rows were exchanged an odd number of times.
fn pivots<T: Float>(a: MatRef<'_, T>) -> (Vec<T>, bool) {
    let lu = PartialPivLu::new(a);
    let (u, order) = (lu.U(), lu.P());
    let (order, n) = (order.arrays().0, a.nrows());
    let (mut seen, mut odd) = (vec![false; n], false);
    for start in 0..n {
        // Each cycle takes one exchange less than it has places.
        let mut at = order[start];
        let is_new = !std::mem::replace(&mut seen[start], true);
        while is_new && at != start {
            seen[at] = true;
            odd = !odd;
            at = order[at];
        }
    }
    ((0..n).map(|i| u[(i, i)]).collect(), odd)
}

impl Job {
    /// The shapes of the results for a matrix.
    fn shapes(self, m: usize, n: usize) -> Vec<Vec<usize>> {
        let k = m.min(n);
        match self {
            Job::Inverse | Job::Cholesky => vec![vec![n, n]],
            Job::Det => vec![vec![]],
            Job::Slogdet => vec![vec![], vec![]],
            Job::Qr { complete: true } => vec![vec![m, m], vec![m, n]],
            Job::Qr { complete: false } => vec![vec![m, k], vec![k, n]],
            Job::Svd { full: true } => vec![vec![m, m], vec![k], vec![n, n]],
            Job::Svd { full: false } => vec![vec![m, k], vec![k], vec![k, n]],
            Job::Eigh => vec![vec![n], vec![n, n]],
        }
    }

    /// Appends the results for one matrix, or says what is wrong with it.
    fn one<T: Float>(self, a: MatRef<'_, T>, out: &mut [Vec<T>]) -> std::result::Result<(), String> {
        let (n, k) = (a.nrows(), a.nrows().min(a.ncols()));
        let negated = |x: T, odd: bool| if odd { T::zero() - x } else { x };
        match self {
            Job::Inverse => {
                let mut x = Mat::<T>::identity(n, n);
                solve_one(a, &mut x)?;
                push(&mut out[0], x.as_ref());
            }
            Job::Cholesky => {
                let llt = Llt::new(a, Side::Lower).map_err(|_| "is not positive definite".to_string())?;
                push(&mut out[0], llt.L());
            }
            Job::Det => {
                let (pivots, odd) = pivots(a);
                // What follows a pivot of 0 has no meaning.
                let is_singular =
                    pivots.iter().find(|p| p.wide().is_nan() || **p == T::zero()).is_some_and(|p| *p == T::zero());
                let product = pivots.into_iter().fold(T::one(), |x, y| x * y);
                out[0].push(if is_singular { T::zero() } else { negated(product, odd) });
            }
            Job::Slogdet => {
                let (pivots, odd) = pivots(a);
                let (mut sign, mut log) = (negated(T::one(), odd), 0.0);
                for p in pivots {
                    let p = p.wide();
                    sign = if p == 0.0 { T::zero() } else { negated(sign, p < 0.0) };
                    log += p.abs().ln();
                    if p == 0.0 {
                        break;
                    }
                }
                out[0].push(sign);
                out[1].push(T::rounded(log));
            }
            Job::Qr { complete } => {
                let qr = Qr::new(a);
                let q = if complete { qr.compute_Q() } else { qr.compute_thin_Q() };
                push(&mut out[0], q.as_ref());
                // Below what is found there is nothing, also where all rows are wanted.
                let (r, rows) = (qr.thin_R(), if complete { n } else { k });
                for i in 0..rows {
                    out[1].extend((0..a.ncols()).map(|j| if j < i { T::zero() } else { r[(i, j)] }));
                }
            }
            Job::Svd { full } => {
                let svd = if full { Svd::new(a) } else { Svd::new_thin(a) };
                let svd = svd.map_err(|_| "has singular values that were not found".to_string())?;
                push(&mut out[0], svd.U());
                let s = svd.S().column_vector();
                out[1].extend((0..k).map(|i| s[i]));
                push(&mut out[2], svd.V().transpose());
            }
            Job::Eigh => {
                let eigen = SelfAdjointEigen::new(a, Side::Lower)
                    .map_err(|_| "has eigenvalues that were not found".to_string())?;
                let s = eigen.S().column_vector();
                out[0].extend((0..n).map(|i| s[i]));
                push(&mut out[1], eigen.U());
            }
        }
        Ok(())
    }
}

/// The solutions X of A X = B in place of B.
fn solve_one<T: Float>(a: MatRef<'_, T>, b: &mut Mat<T>) -> std::result::Result<(), String> {
    let lu = PartialPivLu::new(a);
    if (0..a.nrows()).any(|i| lu.U()[(i, i)] == T::zero()) {
        return Err("is singular".to_string());
    }
    lu.solve_in_place(b.as_mut());
    Ok(())
}

/// The solutions X of A X = B, matrix by matrix of two batches of one shape.
#[track_caller]
pub(super) fn solved(op: &'static str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    eager_only(op)?;
    if a.dtype() == DType::F32 { solve_all::<f32>(op, a, b) } else { solve_all::<f64>(op, a, b) }
}

fn solve_all<T: Float>(op: &'static str, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (n, k) = (square(op, a)?, extents(op, b)?.1);
    let (left, right) = (eval::elements::<T>(a)?, eval::elements::<T>(b)?);
    let shape = b.shape_hint();
    let batch: usize = shape[..shape.len() - 2].iter().product();
    let mut out = Vec::with_capacity(right.len());
    for i in 0..batch {
        let matrix = MatRef::from_row_major_slice(&left[i * n * n..(i + 1) * n * n], n, n);
        let part = &right[i * n * k..(i + 1) * n * k];
        let mut x = Mat::from_fn(n, k, |i, j| part[i * k + j]);
        solve_one(matrix, &mut x).map_err(|why| Error::operands(op, format!("matrix {i} of the batch {why}")))?;
        push(&mut out, x.as_ref());
    }
    Tensor::try_from_vec(out, shape)?.try_to_device(b.device())
}
