//! Operands as users write them, tensors or numbers, and their promotion and broadcasting by PyTorch's rules.

pub use super::number::Number;
use crate::autograd::record::check_integers;
use crate::autograd::saved::{self, Saved};
use crate::error::{Error, Result};
use crate::mode::sizes::{demand_equal, specialize};
use crate::mode::values::full_of;
use crate::tensor::grad_fn::Edge;
use crate::tensor::operand::Operand;
use crate::tensor::size::hints;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{DType, Scalar};

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

impl From<Number> for Arg<'_> {
    fn from(n: Number) -> Self {
        Arg::Number(n)
    }
}

impl Arg<'_> {
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Arg::Tensor(t) => t.dtype(),
            Arg::Number(n) => n.dtype(),
        }
    }
}

/// 0 for bool, 1 for integers, 2 for floats.
pub(crate) fn kind(t: DType) -> u8 {
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
    broadcast_with(op, &a.sizes(), &b.sizes())
}

fn broadcast_with(op: &'static str, x: &Sizes, y: &Sizes) -> Result<Sizes> {
    let rank = x.len().max(y.len());
    let at = |s: &Sizes, i: usize| (i + s.len()).checked_sub(rank).map_or(Size::from(1), |j| s[j]);
    (0..rank)
        .map(|i| {
            broadcast_size(at(x, i), at(y, i)).ok_or_else(|| {
                let (m, n) = (at(x, i).hint(), at(y, i).hint());
                Error::operands(
                    op,
                    format!(
                        "cannot broadcast {:?} with {:?}: aligned at the right, axis {i} is {m} and {n}; reshape one operand or make that axis 1",
                        hints(x),
                        hints(y)
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
    if demand_equal(a, b) {
        return Some(a);
    }
    // A symbolic size that is 1 now is repeated now: the trace holds for 1 only.
    for (one, other) in [(a, b), (b, a)] {
        if one.hint() == 1 {
            specialize(&[one], "an axis of size 1 is repeated by broadcasting");
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
    /// Tensors of another dtype as they were given, and the dtype that they are cast to.
    cast: Option<([Option<&'a Tensor>; 2], DType)>,
}

impl<'a> Aligned<'a> {
    /// Casts to `dtype` and broadcasts.
    #[inline(always)]
    pub(crate) fn new(op: &'static str, a: Arg<'a>, b: Arg<'a>, dtype: DType) -> Result<Aligned<'a>> {
        // Small tensors feel what the general way costs.
        if let (Arg::Tensor(x), Arg::Tensor(y)) = (a, b)
            && (x.dtype(), y.dtype()) == (dtype, dtype)
            && x.surely_has_shape_of(y)
        {
            let held = [Some(Held::Own(x)), Some(Held::Own(y))];
            return Ok(Aligned { held, scalars: [Scalar::Bool(false); 2], cast: None });
        }
        Aligned::aligning(op, a, b, dtype)
    }

    #[inline(never)]
    fn aligning(op: &'static str, a: Arg<'a>, b: Arg<'a>, dtype: DType) -> Result<Aligned<'a>> {
        let cast = |x: &'a Tensor| -> Result<Held<'a>> {
            if x.dtype() == dtype { Ok(Held::Own(x)) } else { Ok(Held::Made(promoted(x, dtype)?)) }
        };
        let held = match (a, b) {
            (Arg::Tensor(x), Arg::Tensor(y)) => match x.surely_has_shape_of(y) {
                true => [Some(cast(x)?), Some(cast(y)?)],
                false => {
                    let sizes = broadcast_sizes(op, x, y)?;
                    let fit = |x| -> Result<_> { Ok(Some(Held::Made(cast(x)?.get().expand_sizes(&sizes)?))) };
                    [fit(x)?, fit(y)?]
                }
            },
            (Arg::Tensor(x), Arg::Number(_)) => [Some(cast(x)?), None],
            (Arg::Number(_), Arg::Tensor(y)) => [None, Some(cast(y)?)],
            (Arg::Number(x), Arg::Number(_)) => [Some(Held::Made(full_of(&[], x.to(dtype))?)), None],
        };
        let scalar = |x: Arg<'_>| match x {
            Arg::Number(n) => n.to(dtype),
            Arg::Tensor(_) => Scalar::Bool(false),
        };
        let other = |x: Arg<'a>| match x {
            Arg::Tensor(t) if t.dtype() != dtype => Some(t),
            Arg::Tensor(_) | Arg::Number(_) => None,
        };
        let others = [other(a), other(b)];
        let cast = others.iter().any(Option::is_some).then_some((others, dtype));
        Ok(Aligned { held, scalars: [scalar(a), scalar(b)], cast })
    }

    /// For a sum, a product or a quotient: a number beside half-precision floats keeps the digits that f32 can hold, in which the computation is done.
    #[inline(always)]
    pub(crate) fn for_arithmetic(op: &'static str, a: Arg<'a>, b: Arg<'a>, dtype: DType) -> Result<Aligned<'a>> {
        let mut aligned = Aligned::new(op, a, b, dtype)?;
        if dtype.is_half() {
            for (scalar, x) in aligned.scalars.iter_mut().zip([a, b]) {
                if let Arg::Number(n) = x {
                    *scalar = n.to(DType::F32);
                }
            }
        }
        Ok(aligned)
    }

    #[inline]
    pub(crate) fn operand(&self, i: usize) -> Operand<'_> {
        match &self.held[i] {
            Some(t) => Operand::Tensor(t.get()),
            None => Operand::Scalar(self.scalars[i]),
        }
    }

    /// Operand `i`, kept for a derivative that is wanted by either.
    pub(crate) fn saved_for_both(&self, i: usize) -> SavedArg {
        match self.saved(i, 0) {
            SavedArg::Unwanted => self.saved(i, 1),
            saved => saved,
        }
    }

    /// Operand `i`, kept for a derivative that is wanted by operand `by`.
    pub(crate) fn saved(&self, i: usize, by: usize) -> SavedArg {
        let wanted = self.held[by].as_ref().is_some_and(|t| t.get().is_requires_grad());
        if let Some((others, dtype)) = &self.cast
            && let Some(x) = others[i]
            && wanted
        {
            return SavedArg::Cast(Saved::operand(x), *dtype);
        }
        match &self.held[i] {
            Some(t) if wanted => SavedArg::Tensor(Saved::operand(t.get())),
            Some(_) => SavedArg::Unwanted,
            None => SavedArg::Number(self.scalars[i]),
        }
    }
}

/// Operands of one dtype, the tensors broadcast to one shape; these conversions are recorded on the tape.
pub(crate) fn common<const N: usize>(op: &'static str, args: [Arg<'_>; N], dtype: DType) -> Result<[PromotedArg; N]> {
    let mut kept = [const { PromotedArg::Number(Number::Bool(false)) }; N];
    for (kept, arg) in kept.iter_mut().zip(args) {
        *kept = match arg {
            Arg::Tensor(t) => PromotedArg::Tensor(promoted(t, dtype)?),
            Arg::Number(n) => PromotedArg::Number(n),
        };
    }
    broadcast(op, kept)
}

/// The operands with the tensors broadcast to one shape; these conversions are recorded on the tape.
pub(crate) fn broadcast<const N: usize>(op: &'static str, mut operands: [PromotedArg; N]) -> Result<[PromotedArg; N]> {
    let mut tensors = operands.iter().filter_map(PromotedArg::tensor);
    let Some(first) = tensors.next() else { return Ok(operands) };
    let mut same = first.traced().is_none();
    let mut sizes = first.sizes();
    for t in tensors {
        same &= t.traced().is_none() && t.shape_hint() == first.shape_hint();
        if !same {
            sizes = broadcast_with(op, &sizes, &t.sizes())?;
        }
    }
    if !same {
        for x in &mut operands {
            if let PromotedArg::Tensor(t) = x {
                *t = t.expand_sizes(&sizes)?;
            }
        }
    }
    Ok(operands)
}

/// An operand in the dtype of the operation. Integers with a history remain such.
fn promoted(x: &Tensor, dtype: DType) -> Result<Tensor> {
    if !dtype.is_float() && x.dtype() != dtype {
        check_integers(x)?;
    }
    x.try_to(dtype)
}

/// An operand kept for a derivative.
pub(crate) enum SavedArg {
    Tensor(Saved),
    /// A tensor that the operation cast.
    Cast(Saved, DType),
    Number(Scalar),
    Unwanted,
}

impl SavedArg {
    pub(crate) fn of(x: &PromotedArg) -> SavedArg {
        match x {
            PromotedArg::Tensor(t) => SavedArg::Tensor(Saved::operand(t)),
            PromotedArg::Number(n) => SavedArg::Number(match *n {
                Number::Bool(b) => Scalar::Bool(b),
                Number::Int(i) => Scalar::I64(i),
                Number::Float(x) => Scalar::F64(x),
            }),
        }
    }
}

impl SavedArg {
    /// As [`SavedArg::of`]; a number counts as kept, as in PyTorch, where it is a tensor.
    pub(crate) fn kept(x: &PromotedArg) -> SavedArg {
        if x.tensor().is_none() {
            saved::hidden();
        }
        SavedArg::of(x)
    }
}

/// An operand in the form that the computation takes.
pub(crate) enum PromotedArg {
    Tensor(Tensor),
    Number(Number),
}

impl SavedArg {
    /// # Errors
    /// When the tensor was changed in place meanwhile.
    pub(crate) fn get(&self, me: &Edge) -> Result<PromotedArg> {
        Ok(match self {
            SavedArg::Tensor(t) => PromotedArg::Tensor(t.get(me)?),
            SavedArg::Cast(t, dtype) => PromotedArg::Tensor(t.get(me)?.try_to(*dtype)?),
            SavedArg::Number(s) => PromotedArg::Number(Number::of(*s)),
            SavedArg::Unwanted => {
                unreachable!("bug in allotrope: a derivative asks for an operand that it did not keep")
            }
        })
    }
}

impl PromotedArg {
    pub(crate) fn tensor(&self) -> Option<&Tensor> {
        match self {
            PromotedArg::Tensor(t) => Some(t),
            PromotedArg::Number(_) => None,
        }
    }

    /// Whether it is a tensor to which gradients flow.
    pub(crate) fn needs_gradient(&self) -> bool {
        self.tensor().is_some_and(Tensor::is_requires_grad)
    }

    /// As an operand of a composite, where only tensors count.
    pub(crate) fn operand(&self) -> Operand<'_> {
        match self {
            PromotedArg::Tensor(t) => Operand::Tensor(t),
            PromotedArg::Number(n) => Operand::Scalar(n.to(DType::F64)),
        }
    }

    pub(crate) fn arg(&self) -> Arg<'_> {
        match self {
            PromotedArg::Tensor(t) => Arg::Tensor(t),
            PromotedArg::Number(n) => Arg::Number(*n),
        }
    }
}
