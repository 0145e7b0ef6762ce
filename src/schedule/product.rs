//! A matrix product as sizes and strides: batch axes merged, and made rows where the right factor is the same for all. It
//! never decides how a product is computed.

use crate::schedule::view::{View, collapse, is_one, is_zero};
use allotrope_ir::{Dim, Shape};

/// `out[.., i, j] = sum over p of a[.., i, p] b[.., p, j]`, `m` rows, `n` columns, `k` steps. Strides are in elements.
pub struct Product {
    pub batch: Shape,
    /// Along the batch axes, of `a`, `b` and `out`.
    pub batch_strides: [Shape; 3],
    pub m: Dim,
    pub n: Dim,
    pub k: Dim,
    /// From row to row and from column to column. Where there is but one, what lies densely would have.
    pub a: [Dim; 2],
    pub b: [Dim; 2],
    /// From row to row of `out`, whose columns are neighbours.
    pub out: Dim,
}

impl Product {
    /// The product of two views into a third, whose last axis has stride 1.
    pub fn of(a: &View, b: &View, out: &View) -> Product {
        let rank = out.shape.len();
        let mut batch: Shape = out.shape[..rank - 2].iter().cloned().collect();
        let (mut m, n, k) = (out.shape[rank - 2].clone(), out.shape[rank - 1].clone(), a.shape[rank - 1].clone());
        let parts = |v: &View| -> (Shape, Dim, Dim) {
            (v.strides[..rank - 2].iter().cloned().collect(), v.strides[rank - 2].clone(), v.strides[rank - 1].clone())
        };
        let ((mut ab, mut ars, mut acs), (mut bb, mut brs, mut bcs), (mut cb, mut crs, _)) =
            (parts(a), parts(b), parts(out));
        // Strides along axes of one element mean nothing.
        if is_one(&m) {
            (ars, crs) = (k.clone(), n.clone());
        }
        if is_one(&k) {
            (acs, brs) = (Dim::Fixed(1), n.clone());
        }
        if is_one(&n) {
            bcs = Dim::Fixed(1);
        }
        collapse(&mut batch, &mut [&mut ab, &mut bb, &mut cb], usize::MAX);
        // A batch that the right factor does not follow is more rows.
        if let (Some(count), Some(sa), Some(sb), Some(sc)) = (batch.last(), ab.last(), bb.last(), cb.last())
            && is_zero(sb)
            && (is_one(&m) || (*sa == &ars * &m && *sc == &crs * &m))
        {
            if is_one(&m) {
                (ars, crs) = (sa.clone(), sc.clone());
            }
            m = &m * count;
            for s in [&mut batch, &mut ab, &mut bb, &mut cb] {
                s.pop();
            }
        }
        Product { batch, batch_strides: [ab, bb, cb], m, n, k, a: [ars, acs], b: [brs, bcs], out: crs }
    }
}
