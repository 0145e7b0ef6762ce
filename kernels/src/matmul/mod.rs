//! Matrix products. The value of every element is defined here; how it is reached never changes it.
//!
//! A chain is a row of fused multiply-adds over at most [`CHAIN`] ascending steps of `k`, beginning at +0.0:
//! `acc = fma(a[m, k], b[k, n], acc)`. `k` is cut into chains from 0 on, and `c[m, n]` is their sum, added one after the
//! other from the first to the last. There is one accumulator for a chain, so the result depends neither on layouts, nor
//! on M and N, nor on blocking, nor on threads, and chains can be worked on side by side. `K = 0` gives 0. Accumulating,
//! `c = c_old + product`: one addition at the end. `f32` and `f64`; integers wrap, where every order gives the same.
//!
//! Chains are computed in turn or side by side ([`chains`]): small ones straight on the operands ([`tile`]), large ones packed
//! and blocked ([`gemm`]). Rows and columns of an operand may be several axes of memory ([`axes`]).

pub(crate) mod axes;
pub(crate) mod chains;
pub(crate) mod gemm;
pub(crate) mod tile;

use self::axes::Operand;
use super::int::Int;
use super::simd::{Arith, Isa, Lanes};
use super::table::table;
use super::view::{Element, View, elements};
use half::{bf16, f16};
use smallvec::SmallVec;

/// Steps of a chain. A packed panel of `b` of this height stays in the first-level cache, and rounding errors grow with
/// `CHAIN + K / CHAIN` instead of `K`.
pub(crate) const CHAIN: usize = 256;

/// A type that matrices can be multiplied in.
pub(crate) trait Scalar: Arith + Element {
    /// Its lanes at a level.
    type Vec<S: Isa>: Lanes<Self>;
}

impl Scalar for f32 {
    type Vec<S: Isa> = S::F32;
}
impl Scalar for f64 {
    type Vec<S: Isa> = S::F64;
}

/// The address of an element and the distances to its neighbours below and to the right.
#[derive(Copy, Clone)]
pub(crate) struct Matrix<T> {
    pub at: *const T,
    pub rs: isize,
    pub cs: isize,
}

impl<T> Matrix<T> {
    /// The matrix from column `p` on.
    #[inline(always)]
    pub(crate) fn column(self, p: usize) -> Self {
        Matrix { at: self.at.wrapping_offset((p as isize).wrapping_mul(self.cs)), ..self }
    }

    /// The matrix from row `p` on.
    #[inline(always)]
    pub(crate) fn row(self, p: usize) -> Self {
        Matrix { at: self.at.wrapping_offset((p as isize).wrapping_mul(self.rs)), ..self }
    }

    #[inline(always)]
    pub(crate) fn transposed(self) -> Self {
        Matrix { at: self.at, rs: self.cs, cs: self.rs }
    }
}

/// `c[m, n] (+)= a[m, k] b[k, n]`; `c`'s rows are `c_rs` apart and its columns 1.
///
/// # Safety
/// All indices are readable from `a` and `b` and writable to `c`, which overlaps neither.
#[inline(always)]
pub(crate) unsafe fn matmul_body<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: *const T,
    a_rs: isize,
    a_cs: isize,
    b: *const T,
    b_rs: isize,
    b_cs: isize,
    c: *mut T,
    c_rs: isize,
    accumulate: u32,
) {
    let a = Matrix { at: a, rs: a_rs, cs: a_cs };
    let b = Matrix { at: b, rs: b_rs, cs: b_cs };
    let add = accumulate != 0;
    // SAFETY: as for the caller; the transposed problem writes the same elements, as `n == 1` and `c_rs == 1`.
    unsafe {
        if m == 0 || n == 0 {
            return;
        }
        if add && k > CHAIN {
            // The sum of several chains needs memory of its own before the one addition.
            let mut product = vec![T::ZERO; m * n];
            oriented::<S, T>(m, n, k, a, b, product.as_mut_ptr(), n as isize, false);
            return add_to(&product, n, c, c_rs);
        }
        if m == 1 && b_cs == 1 {
            return tile::row::<S, T>(n, k, a.at, a.cs, b.at, b.rs, c, add);
        }
        if n == 1 && m > 1 && c_rs == 1 {
            return oriented::<S, T>(1, m, k, b.transposed(), a.transposed(), c, m as isize, add);
        }
        oriented::<S, T>(m, n, k, a, b, c, c_rs, add)
    }
}

/// `c[m, n] += product[m, n]`
///
/// # Safety
/// As many elements are writable to `c`.
#[inline(always)]
unsafe fn add_to<T: Scalar>(product: &[T], n: usize, c: *mut T, c_rs: isize) {
    for (i, row) in product.chunks_exact(n).enumerate() {
        for (j, &x) in row.iter().enumerate() {
            // SAFETY: as for the caller.
            unsafe {
                let at = c.offset(i as isize * c_rs).add(j);
                *at = (*at).sum(x);
            }
        }
    }
}

/// [`matmul_body`] for operands whose rows or columns are several axes, as [`Operand::of`] reads them from words.
///
/// # Safety
/// As for [`matmul_body`]; the words are those that [`Operand::of`] reads, of as many rows and columns.
#[inline(always)]
pub(crate) unsafe fn matmul_axes_body<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: *const T,
    a_axes: *const usize,
    b: *const T,
    b_axes: *const usize,
    c: *mut T,
    c_rs: isize,
    accumulate: u32,
) {
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: as for the caller; the transposed problem writes the same elements, as `n == 1` and `c_rs == 1`. What is
    // computed in memory of its own has `m * n` elements.
    unsafe {
        let (a, b) = (Operand::of(a, a_axes), Operand::of(b, b_axes));
        let (m, n, a, b, c_rs) = match n == 1 && m > 1 && c_rs == 1 {
            true => (1, m, b.transposed(), a.transposed(), m as isize),
            false => (m, n, a, b, c_rs),
        };
        // The sum of several chains needs memory of its own before the one addition.
        let apart = accumulate != 0 && k > CHAIN;
        let mut product = vec![T::ZERO; if apart { m * n } else { 0 }];
        let (to, to_rs) = if apart { (product.as_mut_ptr(), n as isize) } else { (c, c_rs) };
        chains::product_of_axes::<S, T>(m, n, k, a, b, to, to_rs, accumulate != 0 && !apart);
        if apart {
            add_to(&product, n, c, c_rs);
        }
    }
}

/// [`matmul_axes_body`] for integers.
///
/// # Safety
/// As for [`matmul_axes_body`].
#[inline(always)]
pub(crate) unsafe fn matmul_axes_int_body<S: Isa, T: Int>(
    m: usize,
    n: usize,
    k: usize,
    a: *const T,
    a_axes: *const usize,
    b: *const T,
    b_axes: *const usize,
    c: *mut T,
    c_rs: isize,
    accumulate: u32,
) {
    // SAFETY: as for the caller.
    unsafe {
        let (a, b) = (Operand::of(a, a_axes), Operand::of(b, b_axes));
        gemm::copied_int::<S, T>(m, n, k, a, b, c, c_rs, accumulate);
    }
}

/// Multiply-adds of a product. Operands may repeat elements, so there may be more than can be counted.
#[inline(always)]
pub(crate) fn work(m: usize, n: usize, k: usize) -> usize {
    m.saturating_mul(n).saturating_mul(k)
}

/// # Safety
/// As for [`matmul_body`].
#[inline(always)]
unsafe fn oriented<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    k: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    c: *mut T,
    c_rs: isize,
    add: bool,
) {
    // SAFETY: as for the caller.
    unsafe {
        if k <= 1 && (b.cs == 1 || k == 0) && add {
            if k == 1 {
                tile::rank1_add::<S, T>(m, n, a.at, a.rs, b.at, c, c_rs);
            } else {
                for i in 0..m as isize {
                    for j in 0..n {
                        let at = c.offset(i * c_rs).add(j);
                        *at = (*at).sum(T::ZERO);
                    }
                }
            }
        } else {
            chains::product::<S, T>(m, n, k, a, b, c, c_rs, add)
        }
    }
}

/// `c[j] = sum over k of x[k] b[k, j]`: [`matmul_body`] for one dense row and `b_cs == 1`, without its branches.
///
/// # Safety
/// As for [`matmul_body`].
#[inline(always)]
pub(crate) unsafe fn matvec_body<S: Isa, T: Scalar>(
    n: usize,
    k: usize,
    x: *const T,
    b: *const T,
    b_rs: isize,
    c: *mut T,
) {
    // SAFETY: as for the caller.
    unsafe { tile::row::<S, T>(n, k, x, 1, b, b_rs, c, false) }
}

/// `c[i, j] += round(a[i] b[j])`: [`matmul_body`] for `k == 1`, dense operands, accumulating, without its branches.
///
/// # Safety
/// As for [`matmul_body`].
#[inline(always)]
pub(crate) unsafe fn rank1_acc_body<S: Isa, T: Scalar>(
    m: usize,
    n: usize,
    a: *const T,
    b: *const T,
    c: *mut T,
    c_rs: isize,
) {
    // SAFETY: as for the caller.
    unsafe { tile::rank1_add::<S, T>(m, n, a, 1, b, c, c_rs) }
}

/// [`matmul_body`] for integers, where wrapping makes any order the same: rows of `b` added to rows of `c`.
///
/// # Safety
/// As for [`matmul_body`].
#[inline(always)]
pub(crate) unsafe fn matmul_int_body<S: Isa, T: Int>(
    m: usize,
    n: usize,
    k: usize,
    a: *const T,
    a_rs: isize,
    a_cs: isize,
    b: *const T,
    b_rs: isize,
    b_cs: isize,
    c: *mut T,
    c_rs: isize,
    accumulate: u32,
) {
    for i in 0..m as isize {
        // SAFETY: `i < m`, `p < k` and `j < n`; a row of `c` overlaps nothing.
        unsafe {
            let row = std::slice::from_raw_parts_mut(c.offset(i * c_rs), n);
            if accumulate == 0 {
                row.fill(T::ZERO);
            }
            for p in 0..k as isize {
                let x = *a.offset(i * a_rs + p * a_cs);
                let from = b.offset(p * b_rs);
                if b_cs == 1 {
                    for (c, b) in row.iter_mut().zip(std::slice::from_raw_parts(from, n)) {
                        *c = c.mul_add_to(x, *b);
                    }
                } else {
                    for (j, c) in row.iter_mut().enumerate() {
                        *c = c.mul_add_to(x, *from.offset(j as isize * b_cs));
                    }
                }
            }
        }
    }
}

/// [`super::Table::matmul_f32`] for an element type.
type MatmulFn<T> =
    unsafe extern "C" fn(usize, usize, usize, *const T, isize, isize, *const T, isize, isize, *mut T, isize, u32);

/// [`super::Table::matmul_axes_f32`] for an element type.
type MatmulAxesFn<T> =
    unsafe extern "C" fn(usize, usize, usize, *const T, *const usize, *const T, *const usize, *mut T, isize, u32);

/// The matrix product of each element type.
pub trait MatmulOps: Copy + Sized {
    /// The product, if the type has one.
    fn product() -> Option<MatmulFn<Self>>;
    /// That of operands of several axes.
    fn product_of_axes() -> Option<MatmulAxesFn<Self>>;
}
macro_rules! matmul_ops {
    ($($t:ty: $f:ident, $axes:ident;)+) => {$( impl MatmulOps for $t {
        #[inline]
        fn product() -> Option<MatmulFn<$t>> { Some(table().$f) }
        #[inline]
        fn product_of_axes() -> Option<MatmulAxesFn<$t>> { Some(table().$axes) }
    } )+};
}
matmul_ops! {
    f32: matmul_f32, matmul_axes_f32;
    f64: matmul_f64, matmul_axes_f64;
    i64: matmul_i64, matmul_axes_i64;
    i32: matmul_i32, matmul_axes_i32;
    u8: matmul_u8, matmul_axes_u8;
}

macro_rules! no_matmul {
    ($($t:ty),+) => {$( impl MatmulOps for $t {
        fn product() -> Option<MatmulFn<$t>> { None }
        fn product_of_axes() -> Option<MatmulAxesFn<$t>> { None }
    } )+};
}
no_matmul!(bool, f16, bf16);

/// `out[.., m, n] = sum over k of a[.., m, k] b[.., k, n]`, `out` contiguous; batch dimensions are equal in both
/// operands (broadcast ones with stride 0).
///
/// # Panics
/// A bug of the caller: shapes that do not fit, operands without arithmetic.
pub fn matmul<T: Element>(a: View<T>, b: View<T>, out: &mut [T]) {
    let Some(run) = T::product() else {
        panic!("bug in allotrope: kernel matmul is not defined for {}", std::any::type_name::<T>());
    };
    let ((batch, &[m, k]), (batch_b, &[k2, n])) =
        match (a.shape().split_last_chunk::<2>(), b.shape().split_last_chunk::<2>()) {
            (Some(a), Some(b)) => (a, b),
            _ => panic!("bug in allotrope: matmul of {:?} and {:?}", a.shape(), b.shape()),
        };
    if batch != batch_b || k != k2 || elements(batch.iter().chain([&m, &n])) != Some(out.len()) {
        panic!("bug in allotrope: matmul of {:?} and {:?} into {} elements", a.shape(), b.shape(), out.len());
    }
    if out.is_empty() {
        return;
    }
    let (a_batch, &[a_rs, a_cs]) = a.strides().split_last_chunk::<2>().expect("as long as the shape");
    let (b_batch, &[b_rs, b_cs]) = b.strides().split_last_chunk::<2>().expect("as long as the shape");
    let (left, right, to) = (a.as_ptr(), b.as_ptr(), out.as_mut_ptr());
    // Not empty, so these are factors of what was counted.
    let (batches, step) = (out.len() / (m * n), m * n);
    if batches == 1 {
        // SAFETY: the views were checked, `out` has m * n elements and, being `&mut`, overlaps nothing.
        return unsafe { run(m, n, k, left, a_rs, a_cs, right, b_rs, b_cs, to, n as isize, 0) };
    }
    // Rows of a batch that shares one `b` are rows of one larger product.
    let shared = batch.iter().zip(b_batch).all(|(&d, &s)| d == 1 || s == 0);
    let mut below = a_rs.wrapping_mul(m as isize);
    let stacked = batch.iter().zip(a_batch).rev().all(|(&d, &s)| {
        let fits = d == 1 || s == below;
        below = below.wrapping_mul(d as isize);
        fits
    });
    if shared && stacked {
        // SAFETY: as above; row `i` of the larger product is row `i % m` of batch `i / m`.
        return unsafe { run(batches * m, n, k, left, a_rs, a_cs, right, b_rs, b_cs, to, n as isize, 0) };
    }
    let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, batch.len());
    let (mut i, mut j) = (0isize, 0isize);
    for done in 0..batches {
        // SAFETY: as above, for the batch at `index`.
        unsafe {
            let (x, y, z) = (left.wrapping_offset(i), right.wrapping_offset(j), to.add(done * step));
            run(m, n, k, x, a_rs, a_cs, y, b_rs, b_cs, z, n as isize, 0);
        }
        for d in (0..batch.len()).rev() {
            index[d] += 1;
            // Wrapping: an axis of one element, and operands without elements, may have any stride.
            i = i.wrapping_add(a_batch[d]);
            j = j.wrapping_add(b_batch[d]);
            if index[d] < batch[d] {
                break;
            }
            index[d] = 0;
            i = i.wrapping_sub(a_batch[d].wrapping_mul(batch[d] as isize));
            j = j.wrapping_sub(b_batch[d].wrapping_mul(batch[d] as isize));
        }
    }
}

/// [`matmul`] without batch, where the first `a_rows` axes of `a`, and the first `b_rows` of `b`, together are its rows and the
/// others its columns, the last axis the fastest: `out[m, n]`, contiguous. The steps `k` may be other axes of `a` than of `b`.
///
/// # Panics
/// A bug of the caller: operands without rows or columns, whose steps differ in number, or without arithmetic.
pub fn matmul_axes<T: Element>(a: View<T>, a_rows: usize, b: View<T>, b_rows: usize, out: &mut [T]) {
    let Some(run) = T::product_of_axes() else {
        panic!("bug in allotrope: kernel matmul is not defined for {}", std::any::type_name::<T>());
    };
    let split = |x: &View<T>, rows: usize| {
        let (above, below) = x.shape().split_at_checked(rows)?;
        (!above.is_empty() && !below.is_empty()).then_some(())?;
        Some((elements(above)?, elements(below)?))
    };
    let sizes = match (split(&a, a_rows), split(&b, b_rows)) {
        (Some((m, k)), Some((k2, n))) if k == k2 && elements([&m, &n]) == Some(out.len()) => Some((m, n, k)),
        _ => None,
    };
    let Some((m, n, k)) = sizes else {
        let (a, b) = (a.shape().split_at_checked(a_rows), b.shape().split_at_checked(b_rows));
        panic!("bug in allotrope: matmul of axes {a:?} and {b:?} into {} elements", out.len());
    };
    if out.is_empty() {
        return;
    }
    let words = |x: &View<T>, rows: usize| -> SmallVec<[usize; 16]> {
        let strides = x.strides().iter().map(|&s| s as usize);
        [rows, x.shape().len() - rows].into_iter().chain(x.shape().iter().copied()).chain(strides).collect()
    };
    let (a_axes, b_axes) = (words(&a, a_rows), words(&b, b_rows));
    // SAFETY: the views were checked, and where there are steps, neither is empty; the words are those of their axes. `out` has
    // m * n elements and, being `&mut`, overlaps nothing.
    unsafe {
        let (left, right) = (a.as_ptr(), b.as_ptr());
        run(m, n, k, left, a_axes.as_ptr(), right, b_axes.as_ptr(), out.as_mut_ptr(), n as isize, 0);
    }
}
