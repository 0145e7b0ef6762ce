//! What is known of a value before it is computed, its dtype and its shape, and in what terms primitives say which operands
//! they take. No primitive is known here.

use crate::{DType, Dim, Extent};
use smallvec::SmallVec;
use std::fmt;

/// The dimensions of a value, leftmost first.
pub type Shape<D = Dim> = SmallVec<[D; 4]>;

/// The type of a value: dtype and shape, printed `f32[2, s0]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Type<D = Dim> {
    pub dtype: DType,
    pub shape: Shape<D>,
}

impl<D: Extent> Type<D> {
    pub fn new(dtype: DType, shape: impl IntoIterator<Item = D>) -> Type<D> {
        Type { dtype, shape: shape.into_iter().collect() }
    }

    pub fn scalar(dtype: DType) -> Type<D> {
        Type { dtype, shape: SmallVec::new() }
    }

    /// The number of elements.
    pub fn numel(&self) -> D {
        self.shape.iter().fold(D::of(1), |n, d| n.times(d))
    }
}

impl<D: fmt::Display> fmt::Display for Type<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, ShapeDisplay(&self.shape))
    }
}

/// Prints the dimensions as `[2, s0]`.
pub(crate) struct ShapeDisplay<'a, D>(pub(crate) &'a [D]);
impl<D: fmt::Display> fmt::Display for ShapeDisplay<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

/// How many operands a primitive takes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Arity {
    Exactly(usize),
    OneOrMore,
    /// What its body says.
    OfBody,
}

/// On which dtypes an elementwise function is defined; a half-precision float is in none of them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// bool and the integers.
    Bits,
    Integers,
    Floats,
    /// Integers and floats.
    Numbers,
}

impl Domain {
    pub fn contains(self, dtype: DType) -> bool {
        let float = dtype.is_float() && !dtype.is_half();
        match self {
            Domain::Bits => dtype == DType::Bool || dtype.is_integer(),
            Domain::Integers => dtype.is_integer(),
            Domain::Floats => float,
            Domain::Numbers => float || dtype.is_integer(),
        }
    }
}
