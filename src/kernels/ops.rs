//! The names of the elementwise and reducing operations that the kernels implement. Never holds behaviour.

/// Elementwise operations of one operand.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-x` (wraps for `i64::MIN`)
    Neg,
    /// `|x|` (wraps for `i64::MIN`)
    Abs,
    /// Square root, correctly rounded.
    Sqrt,
    /// `e^x`
    Exp,
    /// Natural logarithm.
    Log,
    /// Sine, radians.
    Sin,
    /// Cosine, radians.
    Cos,
    /// Hyperbolic tangent.
    Tanh,
    /// Logical for `bool`, bitwise for `i64`.
    Not,
}

/// Elementwise operations of two operands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `a + b` (wraps for `i64`)
    Add,
    /// `a - b` (wraps for `i64`)
    Sub,
    /// `a * b` (wraps for `i64`)
    Mul,
    /// `a / b`, floats only.
    Div,
    /// `if a > b or a is NaN {a} else {b}`
    Maximum,
    /// `if a < b or a is NaN {a} else {b}`
    Minimum,
    /// `a^b`, floats only.
    Pow,
    /// Logical for `bool`, bitwise for `i64`.
    And,
    /// Logical for `bool`, bitwise for `i64`.
    Or,
    /// Logical for `bool`, bitwise for `i64`.
    Xor,
}

/// Elementwise comparisons; IEEE 754 for floats (anything but `Ne` is false with a NaN), `false < true` for `bool`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `a == b`
    Eq,
    /// `a != b`
    Ne,
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
}

/// Reductions over axes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReduceOp {
    /// Sum; `i64` wraps.
    Sum,
    /// Largest element; NaN if there is one.
    Max,
    /// Smallest element; NaN if there is one.
    Min,
}
