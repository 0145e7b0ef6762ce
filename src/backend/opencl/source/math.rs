//! TEMPORARY
use allotrope_ir::{BinaryOp, CompareOp, DType, UnaryOp};
pub fn unary(op: UnaryOp, dtype: DType, x: &str) -> String {
    match op {
        UnaryOp::Neg => format!("-{x}"),
        UnaryOp::Sqrt => format!("sqrt({x})"),
        _ => format!("at_{}_{dtype}({x})", op.name()),
    }
}
pub fn binary(op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
    match op {
        BinaryOp::Add => format!("{a} + {b}"),
        BinaryOp::Sub => format!("{a} - {b}"),
        BinaryOp::Mul => format!("{a} * {b}"),
        BinaryOp::Div => format!("{a} / {b}"),
        _ => format!("at_{}_{dtype}({a}, {b})", op.name()),
    }
}
pub fn compare(op: CompareOp, _: DType, a: &str, b: &str) -> String {
    let op = match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    };
    format!("{a} {op} {b}")
}
pub fn select(_: DType, c: &str, a: &str, b: &str) -> String {
    format!("{c} ? {a} : {b}")
}
pub fn cast(_: DType, to: DType, x: &str) -> String {
    format!("({}){x}", super::body::c_type(to))
}
pub fn widen(from: DType, x: &str) -> String {
    format!("at_widen_{from}({x})")
}
pub fn narrow(to: DType, x: &str) -> String {
    format!("at_narrow_{to}({x})")
}
/// The functions that a text calls, and what they call.
pub fn library(_text: &str) -> String {
    String::new()
}
