//! What a backend computes with: elements of a piece of memory under a shape and strides, or one number. It owns nothing,
//! and checks nothing.

use crate::backend::Memory;
use allotrope_ir::{DType, Scalar};

/// Elements in memory: element `i` is number `offset + sum(i[d] * strides[d])` of those in it.
#[derive(Copy, Clone)]
pub struct Array<'a> {
    pub memory: &'a Memory,
    pub dtype: DType,
    /// In elements, as the strides are; these may be 0 and below.
    pub offset: usize,
    pub shape: &'a [usize],
    pub strides: &'a [isize],
}

/// As [`Array`], to be written: no two elements share memory.
pub struct ArrayMut<'a> {
    pub memory: &'a mut Memory,
    pub dtype: DType,
    pub offset: usize,
    pub shape: &'a [usize],
    pub strides: &'a [isize],
}

/// An operand of a primitive: elements, or for elementwise ones a number that stands for an array full of it.
#[derive(Copy, Clone)]
pub enum Operand<'a> {
    Array(Array<'a>),
    Number(Scalar),
}

impl Operand<'_> {
    pub fn dtype(&self) -> DType {
        match self {
            Operand::Array(a) => a.dtype,
            Operand::Number(s) => s.dtype(),
        }
    }
}

impl Array<'_> {
    /// Whether the elements lie in row-major order without gaps.
    pub fn is_dense(&self) -> bool {
        is_dense(self.shape, self.strides)
    }
}

impl ArrayMut<'_> {
    /// Whether the elements lie in row-major order without gaps.
    pub fn is_dense(&self) -> bool {
        is_dense(self.shape, self.strides)
    }
}

/// Whether elements of this shape and these strides lie in row-major order without gaps.
#[inline]
pub(crate) fn is_dense(shape: &[usize], strides: &[isize]) -> bool {
    let mut expected = 1;
    for (&n, &s) in shape.iter().zip(strides).rev() {
        if n != 1 && s != expected {
            // Without elements any strides will do.
            return shape.contains(&0);
        }
        expected = expected.wrapping_mul(n as isize);
    }
    true
}
