//! Sums, maxima and minima. The order of every reduction is defined here, by logical index; never by memory layout,
//! vector width, number of threads or the way the elements arrive.
//!
//! The elements `x[0..R]` are those of the reduced axes in row-major order.
//!
//! **Lanes.** A *block* is folded in 16 lanes: lane `l` takes the block's elements `r = l, l + 16, l + 32, ...` in
//! order, `lane = f(lane, x[r])`, beginning with the identity of `f`, lane 1 with the result of no elements. Then the lanes are
//! halved four times: `lane[l] = f(lane[l], lane[l + h])` for `l < h`, with `h = 8, 4, 2, 1`; `lane[0]` is the block's result.
//! Lanes without an element are left out.
//!
//! **Sum.** `f(a, b) = a + b`, identity -0.0 (the exact one of IEEE addition; 0 and wrapping for integers), and an empty sum is
//! +0.0, with which lane 1 begins: so a sum of one element is that element, and no other is -0.0. Blocks are
//! 4096 consecutive elements, the last one what is left. Block results are combined pairwise like the bits of a
//! binary counter: to add block `i`, as long as the low bit of `i` is set, take the result stored at that level,
//! `value = stored + value`, and shift `i` right; store the value at the level reached. At the end the stored values
//! are combined from the lowest level up, `value = stored + value`.
//!
//! **Max, min.** `f(a, b)` is `if b > a or b is NaN {b} else {a}` (`<` for min), identity -inf (+inf; the extreme
//! values for integers, `false` and `true` for `bool`), and all elements are one block. So a NaN anywhere gives NaN, and
//! of equal zeros the first operand of each `f` wins. An empty maximum is the identity.

pub(crate) mod stream;
pub(crate) mod strided;

pub use stream::{REDUCE_STATE_ALIGN, REDUCE_STATE_SIZE, ReduceState};

use super::ops::ReduceOp;
use super::simd::Baseline;
use super::table::table;
use super::view::{Element, View, elements};
use half::{bf16, f16};

/// Lanes of a block.
pub const LANES: usize = 16;
/// Elements of a block of a sum.
pub const BLOCK: usize = 4096;

/// What a reduction folds with.
pub(crate) trait Fold<T>: 'static {
    /// `f(identity, x) = f(x, identity) = x`, exactly.
    const IDENTITY: T;
    /// The result for no elements.
    const EMPTY: T;
    /// Elements per block.
    const BLOCK: usize;
    fn fold(a: T, b: T) -> T;
    /// The lanes of a block before its first element.
    #[inline(always)]
    fn lanes() -> [T; LANES]
    where
        T: Copy,
    {
        let mut lanes = [Self::IDENTITY; LANES];
        lanes[1] = Self::EMPTY;
        lanes
    }
}

/// Addition.
pub(crate) struct Sum;
/// The larger one.
pub(crate) struct Max;
/// The smaller one.
pub(crate) struct Min;

macro_rules! folds {
    ($($op:ident, $t:ty: $identity:expr, $empty:expr, $block:expr, |$a:ident, $b:ident| $e:expr;)+) => {$(
        impl Fold<$t> for $op {
            const IDENTITY: $t = $identity;
            const EMPTY: $t = $empty;
            const BLOCK: usize = $block;
            #[inline(always)]
            fn fold($a: $t, $b: $t) -> $t { $e }
        }
    )+};
}
folds! {
    Sum, f32: -0.0, 0.0, BLOCK, |a, b| a + b;
    Sum, f64: -0.0, 0.0, BLOCK, |a, b| a + b;
    Sum, i64: 0, 0, BLOCK, |a, b| a.wrapping_add(b);
    Sum, i32: 0, 0, BLOCK, |a, b| a.wrapping_add(b);
    Sum, u8: 0, 0, BLOCK, |a, b| a.wrapping_add(b);
    Max, f32: f32::NEG_INFINITY, f32::NEG_INFINITY, usize::MAX, |a, b| if b > a || b.is_nan() { b } else { a };
    Max, f64: f64::NEG_INFINITY, f64::NEG_INFINITY, usize::MAX, |a, b| if b > a || b.is_nan() { b } else { a };
    Max, i64: i64::MIN, i64::MIN, usize::MAX, |a, b| if a > b { a } else { b };
    Max, i32: i32::MIN, i32::MIN, usize::MAX, |a, b| if a > b { a } else { b };
    Max, u8: u8::MIN, u8::MIN, usize::MAX, |a, b| if a > b { a } else { b };
    Max, bool: false, false, usize::MAX, |a, b| a | b;
    Min, f32: f32::INFINITY, f32::INFINITY, usize::MAX, |a, b| if b < a || b.is_nan() { b } else { a };
    Min, f64: f64::INFINITY, f64::INFINITY, usize::MAX, |a, b| if b < a || b.is_nan() { b } else { a };
    Min, i64: i64::MAX, i64::MAX, usize::MAX, |a, b| if a < b { a } else { b };
    Min, i32: i32::MAX, i32::MAX, usize::MAX, |a, b| if a < b { a } else { b };
    Min, u8: u8::MAX, u8::MAX, usize::MAX, |a, b| if a < b { a } else { b };
    Min, bool: true, true, usize::MAX, |a, b| a & b;
}

/// `f` over the lanes, halving; lanes from `used` on have no element.
#[inline(always)]
pub(crate) fn halve<T: Copy, F: Fold<T>>(lanes: &mut [T; LANES], used: usize) -> T {
    if used < LANES {
        for lane in &mut lanes[used..] {
            *lane = F::IDENTITY;
        }
    }
    let mut h = LANES / 2;
    while h > 0 {
        for l in 0..h {
            lanes[l] = F::fold(lanes[l], lanes[l + h]);
        }
        h /= 2;
    }
    lanes[0]
}

/// [`super::Table::reduce_sum_f32`] for an element type.
type ReduceFn<T> = unsafe extern "C" fn(usize, *const usize, *const isize, u64, *const T, *mut T);

/// The reductions of each element type.
pub trait ReduceOps: Copy + Sized {
    /// The strided reduction for `op`, if the type has it.
    fn reduction(op: ReduceOp) -> Option<ReduceFn<Self>>;
}

macro_rules! reduce_ops {
    ($($t:ty: $sum:ident, $max:ident, $min:ident;)+) => {$(
        impl ReduceOps for $t {
            #[inline]
            fn reduction(op: ReduceOp) -> Option<ReduceFn<$t>> {
                let table = table();
                Some(match op {
                    ReduceOp::Sum => table.$sum,
                    ReduceOp::Max => table.$max,
                    ReduceOp::Min => table.$min,
                })
            }
        }
    )+};
}
reduce_ops! {
    f32: reduce_sum_f32, reduce_max_f32, reduce_min_f32;
    f64: reduce_sum_f64, reduce_max_f64, reduce_min_f64;
    i64: reduce_sum_i64, reduce_max_i64, reduce_min_i64;
    i32: reduce_sum_i32, reduce_max_i32, reduce_min_i32;
    u8: reduce_sum_u8, reduce_max_u8, reduce_min_u8;
}

impl ReduceOps for bool {
    fn reduction(op: ReduceOp) -> Option<ReduceFn<bool>> {
        match op {
            ReduceOp::Sum => None,
            ReduceOp::Max => Some(reduce_bool::<Max>),
            ReduceOp::Min => Some(reduce_bool::<Min>),
        }
    }
}

macro_rules! no_reductions {
    ($($t:ty),+) => {$( impl ReduceOps for $t {
        fn reduction(_: ReduceOp) -> Option<ReduceFn<$t>> { None }
    } )+};
}
no_reductions!(f16, bf16);

/// # Safety
/// As for [`strided::reduce_body`].
unsafe extern "C" fn reduce_bool<F: Fold<bool>>(
    rank: usize,
    shape: *const usize,
    strides: *const isize,
    mask: u64,
    x: *const bool,
    out: *mut bool,
) {
    // SAFETY: as for the caller.
    unsafe { strided::reduce_body::<Baseline, bool, F>(rank, shape, strides, mask, x, out) }
}

/// Reduces `axes` of `x`; `out` is contiguous over the axes that are kept, in their order. The order of `axes` has no
/// meaning.
///
/// # Panics
/// A bug of the caller: an axis out of range or given twice, `out` of another size, more than 64 dimensions, a type
/// that lacks the operation.
pub fn reduce<T: Element>(op: ReduceOp, x: View<T>, axes: &[usize], out: &mut [T]) {
    let shape = x.shape();
    let mut mask = 0u64;
    for &axis in axes {
        if axis >= shape.len() || axis >= 64 || mask >> axis & 1 == 1 {
            panic!("bug in allotrope: reduce {op:?} of shape {shape:?} over axes {axes:?}");
        }
        mask |= 1 << axis;
    }
    let kept = elements(shape.iter().enumerate().filter(|(d, _)| *d >= 64 || mask >> d & 1 == 0).map(|(_, n)| n));
    if kept != Some(out.len()) || shape.len() > 64 {
        panic!("bug in allotrope: reduce {op:?} of shape {shape:?} over axes {axes:?} into {} elements", out.len());
    }
    let Some(run) = T::reduction(op) else {
        panic!("bug in allotrope: kernel {op:?} is not defined for {}", std::any::type_name::<T>());
    };
    // SAFETY: the view was checked, `out` has one element for each kept index and, being `&mut`, overlaps nothing.
    unsafe { run(shape.len(), shape.as_ptr(), x.strides().as_ptr(), mask, x.as_ptr(), out.as_mut_ptr()) }
}
