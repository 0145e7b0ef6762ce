//! A matrix product as sizes and strides: batch axes merged, and made rows where the right factor is the same for all. It
//! never decides how a product is computed.

use crate::schedule::factor::Factor;
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
    /// The rows and the columns of each factor. Where there is but one, its stride is what lies densely would have.
    pub a: [Axes; 2],
    pub b: [Axes; 2],
    /// From row to row of `out`, whose columns are neighbours.
    pub out: Dim,
}

/// The axes, at least one, that an index of a factor counts through, the last the fastest.
#[derive(Clone, Debug)]
pub struct Axes {
    pub sizes: Shape,
    pub strides: Shape,
}

impl Axes {
    fn of((sizes, strides): (&[Dim], &[Dim])) -> Axes {
        Axes { sizes: sizes.iter().cloned().collect(), strides: strides.iter().cloned().collect() }
    }

    fn one(stride: Dim) -> Axes {
        Axes { sizes: smallvec::smallvec![Dim::Fixed(1)], strides: smallvec::smallvec![stride] }
    }

    /// From one index to the next, where that is always as far.
    pub fn stride(&self) -> Option<&Dim> {
        if let [stride] = &self.strides[..] { Some(stride) } else { None }
    }
}

impl Product {
    /// The product of two factors into a view, whose last axis has stride 1.
    pub fn of(a: &Factor, b: &Factor, out: &View) -> Product {
        let rank = out.shape.len();
        let mut batch: Shape = out.shape[..rank - 2].iter().cloned().collect();
        let (mut m, n, k) = (out.shape[rank - 2].clone(), out.shape[rank - 1].clone(), a.shape()[rank - 1].clone());
        let parts = |f: &Factor| -> (Shape, [Axes; 2]) {
            let batch = f.view.strides[..rank - 2].iter().cloned().collect();
            (batch, [rank - 2, rank - 1].map(|i| Axes::of(f.axes(i))))
        };
        let ((mut ab, mut a), (mut bb, mut b)) = (parts(a), parts(b));
        let mut cb: Shape = out.strides[..rank - 2].iter().cloned().collect();
        let mut crs = out.strides[rank - 2].clone();
        // Strides along axes of one element mean nothing.
        if is_one(&m) {
            (a[0], crs) = (Axes::one(k.clone()), n.clone());
        }
        if is_one(&k) {
            (a[1], b[0]) = (Axes::one(Dim::Fixed(1)), Axes::one(n.clone()));
        }
        if is_one(&n) {
            b[1] = Axes::one(Dim::Fixed(1));
        }
        collapse(&mut batch, &mut [&mut ab, &mut bb, &mut cb], usize::MAX);
        // A batch that the right factor does not follow is more rows.
        if let (Some(count), Some(sa), Some(sb), Some(sc)) = (batch.last(), ab.last(), bb.last(), cb.last())
            && is_zero(sb)
            && (is_one(&m) || *sc == &crs * &m)
        {
            let one_stride = is_one(&m) || a[0].stride().is_some_and(|ars| *sa == ars * &m);
            // What has several axes anyway may have another one.
            if one_stride || a.iter().any(|axes| axes.stride().is_none()) {
                let rows = &mut a[0];
                match one_stride {
                    true if is_one(&m) => {
                        (*rows, crs) =
                            (Axes { sizes: smallvec::smallvec![count.clone()], ..Axes::one(sa.clone()) }, sc.clone());
                    }
                    true => rows.sizes[0] = &m * count,
                    false => {
                        rows.sizes.insert(0, count.clone());
                        rows.strides.insert(0, sa.clone());
                    }
                }
                m = &m * count;
                for s in [&mut batch, &mut ab, &mut bb, &mut cb] {
                    s.pop();
                }
            }
        }
        Product { batch, batch_strides: [ab, bb, cb], m, n, k, a, b, out: crs }
    }

    /// The strides of the rows and columns of `a` and of `b`, where none of them is several axes.
    pub fn strides(&self) -> Option<[&Dim; 4]> {
        Some([self.a[0].stride()?, self.a[1].stride()?, self.b[0].stride()?, self.b[1].stride()?])
    }
}
