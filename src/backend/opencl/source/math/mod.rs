//! Operations on one element as OpenCL C: an expression for each primitive and dtype, whose operands are expressions of the
//! dtypes' C types. The elementary functions are the text of the kernels' own Rust files, translated, so that they exist
//! once ([`mod@library`]). Never knows of shapes or memory.

mod arithmetic;
mod exact;
mod lex;
mod library;
mod parse;
pub mod sweep;
mod translate;
mod unsupported;

use super::body::c_type;
use allotrope_ir::{BinaryOp, CompareOp, DType, UnaryOp};
use allotrope_kernels::math::Operation;
pub use arithmetic::Arithmetic;
pub use library::{check, library, needs_f64};
pub use unsupported::Unsupported;

/// The C type in which an integer wraps.
fn wrapping(dtype: DType) -> &'static str {
    match dtype {
        DType::I64 => "ulong",
        DType::Bool | DType::U8 | DType::I32 | DType::F16 | DType::BF16 | DType::F32 | DType::F64 => "uint",
    }
}

#[track_caller]
fn undefined(op: &str, dtype: DType) -> ! {
    panic!("bug in this library: {op} of {dtype} has no OpenCL C")
}

/// The operand so that no operator takes only a part of it: names need no parentheses.
fn atom(x: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if x.chars().all(word) { x.to_owned() } else { format!("({x})") }
}

/// `op` of `x`.
///
/// # Panics
/// A bug of the caller: the rules do not admit the dtype.
pub fn unary(op: UnaryOp, dtype: DType, x: &str) -> String {
    let (float, integer) = (matches!(dtype, DType::F32 | DType::F64), dtype.is_integer());
    let (c, wrapping, atom) = (c_type(dtype), wrapping(dtype), atom(x));
    match op {
        UnaryOp::Neg if float => format!("-{atom}"),
        UnaryOp::Neg if integer => format!("({c})(0 - ({wrapping}){atom})"),
        UnaryOp::Abs if float => format!("fabs({x})"),
        UnaryOp::Abs if dtype == DType::U8 => x.to_owned(),
        UnaryOp::Abs if integer => format!("at_abs_{dtype}({x})"),
        UnaryOp::Not if dtype == DType::Bool => format!("(uchar)({atom} ^ 1)"),
        UnaryOp::Not if integer => format!("({c})~{atom}"),
        UnaryOp::Sqrt if dtype == DType::F32 => format!("at_sqrt_f32({x})"),
        UnaryOp::Sqrt if float => format!("sqrt({x})"),
        UnaryOp::Floor if float => format!("floor({x})"),
        UnaryOp::Ceil if float => format!("ceil({x})"),
        UnaryOp::Round if float => format!("rint({x})"),
        UnaryOp::Trunc if float => format!("trunc({x})"),
        UnaryOp::Neg
        | UnaryOp::Abs
        | UnaryOp::Not
        | UnaryOp::Sqrt
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::Trunc => undefined(op.name(), dtype),
        UnaryOp::Exp
        | UnaryOp::Log
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Tanh
        | UnaryOp::Exp2
        | UnaryOp::Expm1
        | UnaryOp::Log2
        | UnaryOp::Log10
        | UnaryOp::Log1p
        | UnaryOp::Tan
        | UnaryOp::Asin
        | UnaryOp::Acos
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Asinh
        | UnaryOp::Acosh
        | UnaryOp::Atanh
        | UnaryOp::Erf
        | UnaryOp::Erfc => format!("{}({x})", elementary(Operation::Unary(op), dtype)),
    }
}

/// `op` of `a` and `b`.
///
/// # Panics
/// As [`unary`].
pub fn binary(op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
    let (float, integer) = (matches!(dtype, DType::F32 | DType::F64), dtype.is_integer());
    let (c, wrapping, x, y) = (c_type(dtype), wrapping(dtype), atom(a), atom(b));
    let bits = |mark: &str| format!("({c})({x} {mark} {y})");
    let wraps = |mark: &str| format!("({c})(({wrapping}){x} {mark} ({wrapping}){y})");
    let is_bool = dtype == DType::Bool;
    match op {
        BinaryOp::Add if float => format!("{x} + {y}"),
        BinaryOp::Sub if float => format!("{x} - {y}"),
        BinaryOp::Mul if float => format!("{x} * {y}"),
        BinaryOp::Div if dtype == DType::F32 => format!("at_div_f32({a}, {b})"),
        BinaryOp::Div if float => format!("{x} / {y}"),
        BinaryOp::Add if integer => wraps("+"),
        BinaryOp::Sub if integer => wraps("-"),
        BinaryOp::Mul if integer => wraps("*"),
        BinaryOp::Maximum | BinaryOp::Minimum if float => format!("at_{}_{dtype}({a}, {b})", op.name()),
        BinaryOp::Maximum if integer => format!("max(({c}){x}, ({c}){y})"),
        BinaryOp::Minimum if integer => format!("min(({c}){x}, ({c}){y})"),
        BinaryOp::And if integer => bits("&"),
        BinaryOp::Or if integer => bits("|"),
        BinaryOp::Xor if integer => bits("^"),
        BinaryOp::And | BinaryOp::Minimum if is_bool => bits("&"),
        BinaryOp::Or | BinaryOp::Maximum if is_bool => bits("|"),
        BinaryOp::Xor if is_bool => bits("^"),
        BinaryOp::Pow | BinaryOp::Rem | BinaryOp::Quotient if integer => format!("at_{}_{dtype}({a}, {b})", op.name()),
        BinaryOp::Pow | BinaryOp::Rem | BinaryOp::Atan2 if float => {
            format!("{}({a}, {b})", elementary(Operation::Binary(op), dtype))
        }
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::Pow
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Atan2
        | BinaryOp::Rem
        | BinaryOp::Quotient => undefined(op.name(), dtype),
    }
}

/// `a op b`, a bool.
///
/// # Panics
/// As [`unary`].
pub fn compare(op: CompareOp, dtype: DType, a: &str, b: &str) -> String {
    if dtype.is_half() {
        undefined(op.name(), dtype);
    }
    let mark = match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    };
    format!("(uchar)({} {mark} {})", atom(a), atom(b))
}

/// `a` where the bool is true, else `b`, both of the dtype.
pub fn select(_: DType, condition: &str, a: &str, b: &str) -> String {
    format!("{} ? {} : {}", atom(condition), atom(a), atom(b))
}

/// `x` as another dtype, to and from the half-precision floats through f32.
pub fn cast(from: DType, to: DType, x: &str) -> String {
    let c = c_type(to);
    match (from, to) {
        _ if from == to => x.to_owned(),
        (DType::F16 | DType::BF16, _) => cast(DType::F32, to, &widen(from, x)),
        (_, DType::F16 | DType::BF16) => narrow(to, &cast(from, DType::F32, x)),
        (_, DType::Bool) => format!("(uchar)({} != 0)", atom(x)),
        (DType::F32 | DType::F64, DType::I64) => format!("at_i64_of_{from}({x})"),
        // First to 64 bits, where it saturates, then it wraps.
        (DType::F32 | DType::F64, DType::U8 | DType::I32) => format!("({c})at_i64_of_{from}({x})"),
        (DType::F32 | DType::F64, DType::F32 | DType::F64) => format!("({c}){}", atom(x)),
        (DType::Bool | DType::U8 | DType::I32 | DType::I64, _) => format!("({c}){}", atom(x)),
    }
}

/// A half-precision float, given as its bits, as an f32.
///
/// # Panics
/// A bug of the caller: another dtype.
pub fn widen(from: DType, x: &str) -> String {
    if !from.is_half() {
        undefined("widen", from);
    }
    format!("at_f32_of_{from}({x})")
}

/// An f32 as the bits of a half-precision float, rounded to nearest even.
///
/// # Panics
/// A bug of the caller: another dtype.
pub fn narrow(to: DType, x: &str) -> String {
    if !to.is_half() {
        undefined("narrow", to);
    }
    format!("at_{to}_of_f32({x})")
}

/// The name in C of a function of the math files.
fn elementary(operation: Operation, dtype: DType) -> String {
    if !matches!(dtype, DType::F32 | DType::F64) {
        undefined(operation.name(), dtype);
    }
    library::entry_name(operation, dtype)
}
