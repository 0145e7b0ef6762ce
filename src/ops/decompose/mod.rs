//! Linear algebra on matrices that products alone cannot do, PyTorch's `torch.linalg`: solving, determinants, Cholesky, QR, SVD,
//! eigenvalues of symmetric matrices. It is computed on the host, for f32 and f64 and any batch axes in front; the derivatives are
//! written in operations. It runs eagerly only: a trace has an error that names the place, until there are primitives for it.
//!
//! ```
//! use allotrope::linalg;
//! use allotrope::prelude::*;
//! let a = Tensor::from_vec(vec![2.0f32, 0.0, 0.0, 4.0], &[2, 2]);
//! let b = Tensor::from_vec(vec![2.0f32, 2.0], &[2]);
//! assert_eq!(linalg::solve(&a, &b).to_vec::<f32>(), [1.0, 0.5]);
//! ```

mod factor;
pub(crate) mod host;
mod solve;

pub use factor::{
    cholesky, eigh, eigvalsh, matrix_rank, pinv, qr, svd, svdvals, try_cholesky, try_eigh, try_eigvalsh,
    try_matrix_rank, try_pinv, try_qr, try_svd, try_svdvals,
};
pub use solve::{det, inv, lstsq, slogdet, solve, try_det, try_inv, try_lstsq, try_slogdet, try_solve};

use crate::error::Result;
use crate::tensor::Tensor;

/// The transposed matrices.
fn turned(x: &Tensor) -> Result<Tensor> {
    x.try_transpose(-1, -2)
}
