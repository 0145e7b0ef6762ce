//! Where the elements of a value lie: a base, an offset and one symbolic stride per axis, and the algebra of views on
//! them. A view never copies; whether a copy is needed is what these functions answer.

use crate::schedule::buffer::{BufId, ScalarId};
use allotrope_ir::{DType, Dim, Op, Scalar, Shape, Type};
use smallvec::SmallVec;

/// What the elements of a view come from. All but `Buf` and `Index` are one element, repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum Base {
    Buf(BufId),
    Const(Scalar),
    /// A dimension, as `i64`.
    Extent(Dim),
    /// What a kernel before has computed.
    Scalar(ScalarId),
    /// The element at a position is what a buffer's place would be, `offset` and the strides times the position, as `i64`: an
    /// iota under views.
    Index,
}

/// A value as it lies in memory (or would, if it had to): the element at a position is `offset` and the position's indices
/// times the strides after the beginning of the buffer, all counted in elements of `dtype`. Strides may be negative, and in a
/// view that is only read elements may lie over one another.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub base: Base,
    pub dtype: DType,
    pub offset: Dim,
    pub shape: Shape,
    pub strides: Shape,
}

const ZERO: Dim = Dim::Fixed(0);
const ONE: Dim = Dim::Fixed(1);

/// The row-major strides of a shape.
pub fn row_major(shape: &[Dim]) -> Shape {
    let mut strides: Shape = smallvec::smallvec![ONE; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = &strides[i + 1] * &shape[i + 1];
    }
    strides
}

pub fn is_one(d: &Dim) -> bool {
    *d == ONE
}

pub fn is_zero(d: &Dim) -> bool {
    *d == ZERO
}

pub fn numel(shape: &[Dim]) -> Dim {
    shape.iter().fold(ONE, |n, d| &n * d)
}

pub fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The largest number that divides the dimension under every binding; 0 for the dimension 0.
pub fn divisor(d: &Dim) -> i64 {
    d.terms().iter().fold(0, |g, (_, factor)| gcd(g, factor.abs()))
}

impl View {
    pub fn contiguous(base: Base, ty: &Type) -> View {
        View { base, dtype: ty.dtype, offset: ZERO, shape: ty.shape.clone(), strides: row_major(&ty.shape) }
    }

    /// One element, 0-dim.
    pub fn scalar(base: Base, dtype: DType) -> View {
        View { base, dtype, offset: ZERO, shape: Shape::new(), strides: Shape::new() }
    }

    pub fn with_offset(mut self, offset: &Dim) -> View {
        self.offset = offset.clone();
        self
    }

    /// The view that a view operation makes, where it needs no copy. Constants count as views of nothing.
    pub(in crate::schedule) fn of_op(op: &Op, x: Option<&View>) -> Option<View> {
        Some(match op {
            Op::Const(s) => View::scalar(Base::Const(*s), s.dtype()),
            Op::Extent(d) => View::scalar(Base::Extent(d.clone()), DType::I64),
            Op::Iota(n) => View::contiguous(Base::Index, &Type::new(DType::I64, [n.clone()])),
            Op::Broadcast(shape) => x?.broadcast(shape),
            Op::Reshape(shape) => x?.reshape(shape)?,
            Op::Permute(axes) => x?.permute(axes),
            Op::Slice { axis, start, len } => x?.slice(*axis, start, len),
            Op::Flip(axes) => x?.flip(axes),
            Op::Window { axis, count, size, step, dilation } => x?.window(*axis, count, size, *step, *dilation),
            Op::Input
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Compare(_)
            | Op::Select
            | Op::Cast(_)
            | Op::Reduce { .. }
            | Op::Matmul
            | Op::AddMatmul
            | Op::Concat { .. }
            | Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::ArgReduce { .. }
            | Op::ArgSort { .. }
            | Op::Recurrence { .. }
            | Op::OverlapAdd { .. }
            | Op::Check(_)
            | Op::Barrier(_)
            | Op::Fusion(_)
            | Op::Scan(_) => return None,
        })
    }

    /// The buffer that it is a view of.
    pub fn buf(&self) -> Option<BufId> {
        if let Base::Buf(b) = self.base { Some(b) } else { None }
    }

    /// Whether it lies in memory in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        if !matches!(self.base, Base::Buf(_)) {
            return false;
        }
        let want = row_major(&self.shape);
        (0..self.shape.len()).all(|i| is_one(&self.shape[i]) || self.strides[i] == want[i])
    }

    pub fn permute(&self, axes: &[usize]) -> View {
        View {
            shape: axes.iter().map(|&a| self.shape[a].clone()).collect(),
            strides: axes.iter().map(|&a| self.strides[a].clone()).collect(),
            ..self.clone()
        }
    }

    pub fn slice(&self, axis: usize, start: &Dim, len: &Dim) -> View {
        let mut v = self.clone();
        v.offset = &v.offset + &(start * &v.strides[axis]);
        v.shape[axis] = len.clone();
        v
    }

    pub fn broadcast(&self, shape: &[Dim]) -> View {
        let lead = shape.len() - self.shape.len();
        let strides = (0..shape.len())
            .map(|i| {
                let grows = i < lead || (self.shape[i - lead] != shape[i]);
                if grows { ZERO } else { self.strides[i - lead].clone() }
            })
            .collect();
        View { shape: shape.iter().cloned().collect(), strides, ..self.clone() }
    }

    /// The axes named run backwards: their strides change sign, so a stride may be negative.
    pub fn flip(&self, axes: &[usize]) -> View {
        let mut v = self.clone();
        for &a in axes.iter().filter(|&&a| !is_one(&self.shape[a])) {
            v.offset = &v.offset + &(&(&v.shape[a] - &ONE) * &v.strides[a]);
            v.strides[a] = &ZERO - &v.strides[a];
        }
        v
    }

    /// `count` windows of `size` elements of one axis, the places in a window as a new last axis. Windows may overlap, so
    /// it is only ever read.
    pub fn window(&self, axis: usize, count: &Dim, size: &Dim, step: usize, dilation: usize) -> View {
        let mut v = self.clone();
        let stride = v.strides[axis].clone();
        v.shape[axis] = count.clone();
        v.strides[axis] = &stride * &Dim::fixed(step);
        v.shape.push(size.clone());
        v.strides.push(&stride * &Dim::fixed(dilation));
        v
    }

    /// The element with index `0` of the first axis, without that axis.
    pub fn first(&self) -> View {
        let mut v = self.clone();
        v.shape.remove(0);
        v.strides.remove(0);
        v
    }

    /// The same elements under another shape, where no copy is needed for that.
    pub fn reshape(&self, shape: &[Dim]) -> Option<View> {
        let to = |strides: Shape| View { shape: shape.iter().cloned().collect(), strides, ..self.clone() };
        if self.is_contiguous() {
            return Some(to(row_major(shape)));
        }
        if self.strides.iter().all(is_zero) {
            return Some(to(smallvec::smallvec![ZERO; shape.len()]));
        }
        // Runs of axes that one stride walks, from the left.
        let mut runs: SmallVec<[(Dim, Dim); 4]> = SmallVec::new();
        for (n, s) in self.shape.iter().zip(&self.strides).filter(|(n, _)| !is_one(n)) {
            match runs.last_mut() {
                Some((dim, stride)) if *stride == s * n => {
                    *dim = &*dim * n;
                    *stride = s.clone();
                }
                _ => runs.push((n.clone(), s.clone())),
            }
        }
        // Each run must be a product of consecutive new axes.
        let mut strides: Shape = smallvec::smallvec![ZERO; shape.len()];
        let mut axis = 0;
        for (dim, stride) in &runs {
            let begin = axis;
            let mut product = ONE;
            while product != *dim || begin == axis {
                if axis == shape.len() {
                    return None;
                }
                product = &product * &shape[axis];
                axis += 1;
            }
            let mut s = stride.clone();
            for i in (begin..axis).rev() {
                strides[i] = s.clone();
                s = &s * &shape[i];
            }
        }
        shape[axis..].iter().all(is_one).then(|| to(strides))
    }
}

/// Merges neighbouring axes of an iteration space wherever every operand walks both with one stride, and drops axes of
/// one element. `strides[k][i]` is operand `k`'s stride along axis `i`. Axes before and from `split` on stay apart.
/// Returns the new number of axes before the split.
pub fn collapse(shape: &mut Shape, strides: &mut [&mut Shape], split: usize) -> usize {
    let mut kept = split;
    let mut i = shape.len();
    while i > 0 {
        i -= 1;
        if is_one(&shape[i]) {
            shape.remove(i);
            strides.iter_mut().for_each(|s| _ = s.remove(i));
            kept -= usize::from(i < kept);
        } else if i + 1 < shape.len() && i + 1 != kept && strides.iter().all(|s| s[i] == &s[i + 1] * &shape[i + 1]) {
            let n = shape.remove(i + 1);
            shape[i] = &shape[i] * &n;
            for s in strides.iter_mut() {
                let inner = s.remove(i + 1);
                s[i] = inner;
            }
            kept -= usize::from(i + 1 < kept);
        }
    }
    kept
}
