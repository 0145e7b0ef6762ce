//! Operands as users write them, tensors or numbers, and what PyTorch's promotion and broadcasting make of them.

use crate::autograd::saved::Saved;
use crate::error::{Error, Result};
use crate::tensor::create::full_of;
use crate::tensor::grad_fn::Edge;
use crate::tensor::recorder::{self, Operand};
use crate::tensor::size::Sizes;
use crate::tensor::{Size, Tensor};
use allotrope_ir::{DType, Scalar};

/// A Rust number as an operand: it takes the dtype of the tensor beside it unless its kind is higher.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Number {
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl Number {
    fn dtype(self) -> DType {
        match self {
            Number::Bool(_) => DType::Bool,
            Number::Int(_) => DType::I64,
            Number::Float(_) => DType::F32,
        }
    }

    /// As an element of `dtype`.
    pub(crate) fn to(self, dtype: DType) -> Scalar {
        match self {
            Number::Bool(b) => Scalar::from_f64(b as u8 as f64, dtype),
            Number::Int(i) => allotrope_ir::element::cast(Scalar::I64(i), dtype),
            Number::Float(x) => Scalar::from_f64(x, dtype),
        }
    }
}

/// A tensor or a number.
#[derive(Copy, Clone)]
pub enum Arg<'a> {
    Tensor(&'a Tensor),
    Number(Number),
}

impl<'a> From<&'a Tensor> for Arg<'a> {
    fn from(t: &'a Tensor) -> Arg<'a> {
        Arg::Tensor(t)
    }
}

macro_rules! numbers {
    ($($t:ty => $kind:ident as $as:ty),*) => {$(
        impl From<$t> for Arg<'_> {
            fn from(x: $t) -> Self {
                Arg::Number(Number::$kind(x as $as))
            }
        }
    )*};
}
numbers!(f64 => Float as f64, f32 => Float as f64, i64 => Int as i64, i32 => Int as i64, bool => Bool as bool);

/// 0 for bool, 1 for integers, 2 for floats.
fn kind(t: DType) -> u8 {
    match t {
        DType::Bool => 0,
        DType::U8 | DType::I32 | DType::I64 => 1,
        DType::F16 | DType::BF16 | DType::F32 | DType::F64 => 2,
    }
}

/// The dtype that two tensors of equal rank (both with axes, or both without) are computed in.
fn promote(a: DType, b: DType) -> DType {
    if a != b && a.is_half() && b.is_half() { DType::F32 } else { a.max(b) }
}

/// The dtype that PyTorch computes in: tensors with axes decide, a tensor without axes only where its kind is higher,
/// a number only where its kind is higher still.
pub(crate) fn result_dtype(args: &[Arg<'_>]) -> DType {
    if let [Arg::Tensor(a), Arg::Tensor(b)] = args
        && a.dtype() == b.dtype()
    {
        return a.dtype();
    }
    let mut by_rank: [Option<DType>; 3] = [None; 3];
    for arg in args {
        let (rank, t) = match arg {
            Arg::Tensor(t) if t.dim() > 0 => (0, t.dtype()),
            Arg::Tensor(t) => (1, t.dtype()),
            Arg::Number(n) => (2, n.dtype()),
        };
        by_rank[rank] = Some(by_rank[rank].map_or(t, |o| promote(o, t)));
    }
    by_rank
        .into_iter()
        .flatten()
        .reduce(|high, low| if kind(low) > kind(high) { low } else { high })
        .unwrap_or(DType::F32)
}

/// The sizes that `a` and `b` broadcast to.
pub(crate) fn broadcast_sizes(op: &'static str, a: &Tensor, b: &Tensor) -> Result<Sizes> {
    let (x, y) = (a.sizes(), b.sizes());
    let rank = x.len().max(y.len());
    let at = |s: &Sizes, i: usize| (i + s.len()).checked_sub(rank).map_or(Size::from(1), |j| s[j]);
    (0..rank)
        .map(|i| {
            broadcast_size(at(&x, i), at(&y, i)).ok_or_else(|| {
                let (m, n) = (at(&x, i).hint(), at(&y, i).hint());
                Error::operands(
                    op,
                    format!(
                        "cannot broadcast {:?} with {:?}: aligned at the right, axis {i} is {m} and {n}; reshape one operand or make that axis 1",
                        a.shape_hint(),
                        b.shape_hint()
                    ),
                )
            })
        })
        .collect()
}

pub(crate) fn broadcast_size(a: Size, b: Size) -> Option<Size> {
    if a.is_one() {
        return Some(b);
    }
    if b.is_one() {
        return Some(a);
    }
    if recorder::demand_equal(a, b) {
        return Some(a);
    }
    // A symbolic size that is 1 now is repeated now: the trace holds for 1 only.
    for (one, other) in [(a, b), (b, a)] {
        if one.hint() == 1 {
            recorder::specialize(&[one], "an axis of size 1 is repeated by broadcasting");
            return Some(other);
        }
    }
    None
}

/// A tensor operand: the user's own, or one cast or broadcast for the operation.
enum Held<'a> {
    Own(&'a Tensor),
    Made(Tensor),
}

impl Held<'_> {
    fn get(&self) -> &Tensor {
        match self {
            Held::Own(t) => t,
            Held::Made(t) => t,
        }
    }
}

/// Tensor operands of one dtype and shape, and numbers as elements of it.
pub(crate) struct Aligned<'a> {
    held: [Option<Held<'a>>; 2],
    scalars: [Scalar; 2],
}

impl<'a> Aligned<'a> {
    /// Casts to `dtype` and broadcasts.
    pub(crate) fn new(op: &'static str, a: Arg<'a>, b: Arg<'a>, dtype: DType) -> Result<Aligned<'a>> {
        let cast = |x: &'a Tensor| -> Result<Held<'a>> {
            if x.dtype() == dtype { Ok(Held::Own(x)) } else { Ok(Held::Made(x.try_to(dtype)?)) }
        };
        let held = match (a, b) {
            (Arg::Tensor(x), Arg::Tensor(y)) => {
                let known = x.traced().is_none() && y.traced().is_none() && x.shape_hint() == y.shape_hint();
                match known {
                    true => [Some(cast(x)?), Some(cast(y)?)],
                    false => {
                        let sizes = broadcast_sizes(op, x, y)?;
                        let fit = |x| -> Result<_> { Ok(Some(Held::Made(cast(x)?.get().expand_sizes(&sizes)?))) };
                        [fit(x)?, fit(y)?]
                    }
                }
            }
            (Arg::Tensor(x), Arg::Number(_)) => [Some(cast(x)?), None],
            (Arg::Number(_), Arg::Tensor(y)) => [None, Some(cast(y)?)],
            (Arg::Number(x), Arg::Number(_)) => [Some(Held::Made(full_of(&[], x.to(dtype))?)), None],
        };
        let scalar = |x: Arg<'_>| match x {
            Arg::Number(n) => n.to(dtype),
            Arg::Tensor(_) => Scalar::Bool(false),
        };
        Ok(Aligned { held, scalars: [scalar(a), scalar(b)] })
    }

    pub(crate) fn operand(&self, i: usize) -> Operand<'_> {
        match &self.held[i] {
            Some(t) => Operand::Tensor(t.get()),
            None => Operand::Scalar(self.scalars[i]),
        }
    }

    /// Operand `i`, kept for a derivative that is wanted by operand `by`.
    pub(crate) fn saved(&self, i: usize, by: usize) -> SavedArg {
        let wanted = self.held[by].as_ref().is_some_and(|t| t.get().is_requires_grad());
        match &self.held[i] {
            Some(t) if wanted => SavedArg::Tensor(Saved::operand(t.get())),
            Some(_) => SavedArg::Unwanted,
            None => SavedArg::Number(self.scalars[i]),
        }
    }
}

/// An operand kept for a derivative.
pub(crate) enum SavedArg {
    Tensor(Saved),
    Number(Scalar),
    Unwanted,
}

/// An operand taken out again.
pub(crate) enum Kept {
    Tensor(Tensor),
    Number(Number),
}

impl SavedArg {
    /// # Errors
    /// When the tensor was changed in place meanwhile.
    pub(crate) fn get(&self, me: &Edge) -> Result<Kept> {
        Ok(match self {
            SavedArg::Tensor(t) => Kept::Tensor(t.get(me)?),
            SavedArg::Number(s) => Kept::Number(match *s {
                Scalar::Bool(b) => Number::Bool(b),
                Scalar::U8(i) => Number::Int(i as i64),
                Scalar::I32(i) => Number::Int(i as i64),
                Scalar::I64(i) => Number::Int(i),
                Scalar::F16(x) => Number::Float(x.to_f64()),
                Scalar::BF16(x) => Number::Float(x.to_f64()),
                Scalar::F32(x) => Number::Float(x as f64),
                Scalar::F64(x) => Number::Float(x),
            }),
            SavedArg::Unwanted => {
                unreachable!("bug in allotrope: a derivative asks for an operand that it did not keep")
            }
        })
    }
}

impl Kept {
    pub(crate) fn arg(&self) -> Arg<'_> {
        match self {
            Kept::Tensor(t) => Arg::Tensor(t),
            Kept::Number(n) => Arg::Number(*n),
        }
    }
}
